"""What administrators do on the Users page, on real services."""

from tests.pages.screen import choose, labels, opened, ran, said


def test_search_lets_go_of_the_chosen_person(services, ada, ana):
    services.accounts.add_person(actor=ada, username="bea", display_name="Bea", role="analyst")
    app = choose(opened("users"), "Username", 0)
    assert "**Ada** (ada)" in said(app)
    app.text_input[0].set_value("a")
    assert "**Ada** (ada)" in said(ran(app))
    app.text_input[0].set_value("an")
    assert list(ran(app).dataframe[0].value["Username"]) == ["ana"]
    assert "Reset password" not in labels(app)
    assert "Choose a row" in said(app)

"""The access tokens on the Account page."""

from tests.pages.screen import opened, press


def test_new_token_is_shown_once_and_works(services, ada):
    app = opened("account")
    app.text_input(key="token_name").set_value("notebook")
    app = press(app, "Create")
    secret = app.code[0].value
    assert services.access_tokens.find_person(secret)[0].id == ada.id
    app = opened("account")
    assert [text.value for text in app.text if "notebook" in text.value] == [f"notebook (…{secret[-4:]})"]
    assert not [code for code in app.code if secret in code.value]


def test_token_says_whether_it_was_ever_used(services, ada):
    made = services.access_tokens.create(actor=ada, name="old", scopes=["read"], days=None)
    assert any(caption.value.endswith("· never used") for caption in opened("account").caption)
    services.access_tokens.find_person(made.secret)
    assert any("· last used " in caption.value for caption in opened("account").caption)


def test_token_without_a_name_is_refused_where_it_is_made(services, ada):
    app = press(opened("account"), "Create")
    assert "cannot be used for a token" in app.error[0].value
    assert services.access_tokens.list_own(actor=ada) == []


def test_revoking_asks_first_and_ends_the_token(services, ada):
    made = services.access_tokens.create(actor=ada, name="old", scopes=["read"], days=None)
    app = opened("account")
    assert "cannot be undone" in " ".join(text.value for text in app.markdown)
    press(app, "Revoke it")
    assert services.access_tokens.find_person(made.secret) is None

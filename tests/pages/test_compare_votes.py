"""Votes on the compare page: asked for, marked, counted over all runs."""

import pytest

from chatplay.ui import files
from chatplay.ui.compare import figures, past, votes
from chatplay.ui.markdown import plain_markdown
from tests.pages.compare_desk import Desk
from tests.pages.screen import button, choose, labels, opened, press, ran, said, table_with


@pytest.fixture
def desk(services, ada):
    return Desk(services, ada.id)


def test_no_vote_is_asked_for_when_every_pane_failed(services, ada):
    app = opened("compare")
    app.text_area[0].set_value("wordy " * 9_000)
    app = press(ran(app), "Run all")
    assert said(app).count("does not fit the context window") == 2
    assert "Which answer is best?" not in said(app)
    assert "None is good" not in labels(app)


def test_pane_that_won_and_was_asked_again_is_no_longer_marked_as_the_best(services, desk):
    view = desk.run()
    second = plain_markdown(figures.answer_name_of(view, 1))
    app = press(opened("compare", comparison=desk.who["comparison_id"]), second)
    assert f"Your vote: **{figures.answer_name_of(view, 1)}**" in said(app)
    assert second not in labels(app)
    desk.run(pane_ids=(view.panes[1].id,))
    app = opened("compare", comparison=desk.who["comparison_id"])
    assert "Which is best now?" in said(app)
    assert button(app, second).proto.type == "secondary"


def test_vote_is_changed_only_after_saying_so_and_never_by_a_click_meant_for_another_run(services, desk):
    view = desk.run()
    first, second = (plain_markdown(figures.answer_name_of(view, place)) for place in (0, 1))
    app = opened("compare", comparison=desk.who["comparison_id"])
    old_key = button(app, first).key
    app = press(press(press(app, first), "Change the vote"), second)
    assert desk.get().vote.pane_id == view.panes[1].id
    assert "Change the vote" in labels(app)
    desk.run()
    assert button(ran(app), first).key != old_key


def test_vote_is_marked_in_words_in_the_panes_it_was_on(services, desk):
    desk.run()
    app = press(opened("compare", comparison=desk.who["comparison_id"]), "Tie")
    assert said(app).count(":material/balance: **Tie**") == 2
    desk.run(pane_ids=(desk.get().panes[0].id,))
    assert said(ran(app)).count(":material/balance: **Tie**") == 1
    app = press(press(app, "None is good"), "Change the vote")
    assert said(app).count(":material/thumb_down: **Not good**") == 2
    second = plain_markdown(figures.answer_name_of(desk.get(), 1))
    app = press(app, second)
    assert said(app).count(":material/trophy: **Best**") == 1
    assert f"{second} :material/trophy:" in [option.content for option in app.get("button_group")[0].proto.options]
    desk.run()
    assert ":material/trophy: **Best**" not in said(ran(app))


def test_answers_are_called_by_what_they_were_asked_with_whatever_is_set_since(services, desk):
    view = desk.run()
    desk.vote("best", view.panes[0])
    desk.set(0, temperature=0.9)
    app = opened("compare", comparison=desk.who["comparison_id"])
    assert "Your vote: **1 · Temperature 0.2**" in said(app)
    assert "**Best**, before its settings were changed" in said(app)
    desk.set(1, temperature=0.9)
    assert figures.name_of(desk.get(), 0) == f"1 · {view.panes[0].model_name}"


def test_vote_in_a_tab_that_another_one_has_overtaken_is_refused(services, desk):
    view = desk.run()
    app = opened("compare", comparison=desk.who["comparison_id"])
    desk.run()
    app = press(app, plain_markdown(figures.answer_name_of(view, 0)))
    assert "they changed in another tab" in said(app)
    assert desk.get().vote is None


def test_blind_run_hides_names_settings_and_figures_until_the_vote(services, desk):
    desk.service.set_blind(**desk.who, is_blind=True)
    desk.run()
    app = opened("compare", comparison=desk.who["comparison_id"])
    shown = said(app) + "\n".join(labels(app))
    assert "Answer A" in shown
    secrets = ("demo-small", "Temperature 0.2", "TTFT", "Sent as shown", "tok/s")
    assert not [secret for secret in secrets if secret in shown]
    assert not app.selectbox
    app = press(app, "Answer B")
    assert "Your blind vote: **" in said(app)
    assert "**Best** in your blind vote, as Answer B" in said(app)
    assert "Answer A in your blind vote" in said(app)
    assert said(app).count("Sent as shown") == 2
    assert desk.get().vote.is_blind


def with_votes(app):
    next(one for one in app.toggle if one.label.startswith(("Show how often", "Show all"))).set_value(True)
    return ran(app)


def test_votes_on_many_prompts_tell_how_often_each_setting_won(services, desk):
    for number in range(6):
        desk.service.set_prompt(**desk.who, prompt=f"Question {number}")
        desk.service.set_blind(**desk.who, is_blind=number < 4)
        if number == 3:
            desk.service.move_pane(**desk.who, pane_id=desk.get().panes[0].id, by=1)
        desk.run()
        cold = next(pane for pane in desk.get().panes if pane.params.temperature == 0.2)
        desk.vote("tie") if number == 5 else desk.vote("best", cold)
        if number == 2:
            assert "Too few to tell" in said(with_votes(opened("compare", comparison=desk.who["comparison_id"])))
    app = with_votes(opened("compare", comparison=desk.who["comparison_id"]))
    table = table_with(app, "Won")
    assert table[["Settings", "Pane", "Won", "Tie", "Lost", "Votes"]].to_numpy().tolist() == [
        ["Temperature 0.2", "2", 5, 1, 0, 6],
        ["Temperature 1", "1", 0, 1, 5, 6],
    ]
    assert "Can't tell yet** which wins most often: by 6 votes on 6 prompts" in said(app)
    kinds = next(one for one in app.get("button_group") if one.key == "compare_votes_kind")
    kinds.set_value("open")
    assert table_with(ran(app), "Won")["Votes"].tolist() == [2, 2]
    runs = table_with(app, "Best")
    assert runs["Best"].tolist() == ["Tie", *["Temperature 0.2"] * 5]
    assert runs["Vote"].tolist() == ["With names"] * 2 + ["Blind"] * 4
    assert "**Prompt**  \nQuestion 2" in said(choose(app, "Best", 3))


def test_runs_without_votes_can_be_read_again_and_a_veiled_one_tells_nothing(services, desk):
    desk.run()
    assert not [one for one in opened("compare", comparison=desk.who["comparison_id"]).toggle if "runs" in one.label]
    desk.run()
    app = with_votes(opened("compare", comparison=desk.who["comparison_id"]))
    assert table_with(app, "Best")["Best"].tolist() == ["no vote"] * 2
    desk.service.set_blind(**desk.who, is_blind=True)
    desk.run()
    assert not [table for table in ran(app).dataframe if "Best" in table.value]


def test_settings_that_read_alike_are_not_called_the_same(services, desk):
    for place, end in enumerate(("briefly", "at length")):
        desk.set(place, temperature=0.5, system_prompt=f"{'You are helpful. ' * 5}Answer {end}.")
    desk.run()
    (run,) = desk.service.list_runs(**desk.who)
    labels = votes.label_setups([run])
    assert len(set(labels.values())) == len(labels) == 2


def test_table_of_answers_holds_settings_and_votes_and_no_formula(services, desk):
    desk.service.set_prompt(**desk.who, prompt="=1+1")
    desk.set(0, stop=("a", "b"))
    desk.run()
    desk.vote("best", desk.get().panes[1])
    runs = desk.service.list_runs(**desk.who, with_texts=True)
    frame = past.frame_of_answers(runs, votes.label_setups(runs))
    assert frame["vote"].tolist() == ["lost", "won"]
    assert frame["temperature"].tolist() == [0.2, 1.0]
    assert frame["stop"].tolist() == ['["a", "b"]', "[]"]
    assert all(frame["answer"].str.len() > 1)
    assert b",'=1+1," in files._csv(frame)

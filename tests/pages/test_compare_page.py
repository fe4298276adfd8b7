"""What the compare page shows in each of its states, on real services with the Demo model."""

from dataclasses import replace

import pytest

from chatplay.diffs import Diff, Piece
from chatplay.errors import StoreUnavailable
from chatplay.fingerprint import fingerprint_of
from chatplay.params import Range
from chatplay.providers import demo
from chatplay.providers.demo import DemoProvider
from chatplay.ui import text_diff
from chatplay.ui.compare import figures
from chatplay.ui.markdown import plain_markdown
from tests.pages.compare_desk import Desk
from tests.pages.screen import button, html, labels, opened, press, ran, said


@pytest.fixture
def desk(services, ada):
    return Desk(services, ada.id)


def with_settings(app, desk):
    """The first pane's settings, opened."""
    app.session_state[f"compare_settings_{desk.get().panes[0].id}"] = True
    return ran(app)


def test_first_visit_has_two_demo_panes_and_a_prompt_ready_to_run(services, ada):
    app = opened("compare")
    assert [one.value for one in app.selectbox] == ["demo-small · demo"] * 2
    assert "**Temperature 0.2**" in said(app)
    assert "**Temperature 1**" in said(app)
    assert "temperature" in app.text_area[0].value
    assert not button(app, "Run all").disabled
    assert button(app, "Stop all").disabled


def test_run_all_answers_in_every_pane_with_figures_and_fingerprints(services, ada):
    app = press(opened("compare"), "Run all")
    assert said(app).count("Sent as shown") == 2
    assert html(app).count("Time to first token") == 2
    assert "Which answer is best?" in said(app)
    assert app.query_params["comparison"]


def test_tab_keeps_of_all_runs_only_the_answers_on_the_page(services, desk):
    app = press(opened("compare", comparison=desk.who["comparison_id"]), "Run all")
    press(app, "Run all")
    on_page = {answer.generation_id for answer in desk.get().answers.values()}
    assert set(app.session_state["compare_state"].feeds) == on_page


def test_page_begins_with_a_heading_for_screen_readers(services, ada):
    assert '<h1 class="chat-unseen">Compare</h1>' in html(opened("compare"))


def test_name_of_a_model_is_shown_as_it_is_written(services, desk, monkeypatch):
    for name in ("name_of", "answer_name_of"):
        monkeypatch.setattr(figures, name, lambda view, place: f"{place + 1} *m* ![x](x)")
    desk.run()
    app = opened("compare")
    assert {"1 \\*m\\* \\!\\[x\\]\\(x\\)"} <= set(labels(app))
    assert not any("![" in option for one in app.get("button_group") for option in one.options)


def test_address_shows_the_same_answers_again(services, desk):
    view = desk.run()
    app = opened("compare", comparison=view.comparison.id)
    assert said(app).count("Sent as shown") == 2
    assert plain_markdown("1 · Temperature 0.2") in labels(app)


@pytest.mark.parametrize("address", ["nonsense", "11111111-2222-3333-4444-555555555555"])
def test_comparison_that_is_not_there_is_said(services, ada, address):
    assert "There is no such comparison" in said(opened("compare", comparison=address))


def test_prompt_is_stored_when_it_is_changed(services, desk):
    app = opened("compare", comparison=desk.who["comparison_id"])
    app.text_area[0].set_value("What is {{thing}}?")
    app = ran(app)
    assert desk.get().comparison.prompt == "What is {{thing}}?"
    value = next(one for one in app.text_area if "thing" in one.label)
    value.set_value("rain")
    ran(app)
    assert desk.get().comparison.variables == {"thing": "rain"}


def test_prompt_and_run_in_one_go_runs_what_was_typed(services, desk):
    app = opened("compare", comparison=desk.who["comparison_id"])
    app.text_area[0].set_value("Something new")
    press(app, "Run all")
    assert desk.settled().run.prompt == "Something new"


def test_field_of_a_variable_is_called_as_it_is_written(services, desk):
    desk.service.set_prompt(**desk.who, prompt="Tell {{the_reader}} about {{my big-topic}}, {{www.example.org}}")
    app = opened("compare", comparison=desk.who["comparison_id"])
    *plain, escaped = (one.label for one in app.text_area[1:])
    assert (plain, "\\" in escaped) == (["{{the_reader}}", "{{my big-topic}}"], True)


def test_missing_value_is_named_above_the_panes(services, desk):
    desk.service.set_prompt(**desk.who, prompt="What is {{thing}}?")
    app = press(opened("compare", comparison=desk.who["comparison_id"]), "Run all")
    assert "thing" in "\n".join(one.value for one in app.error)
    assert desk.get().run is None


def test_notice_stays_while_the_prompt_is_typed_that_it_asks_for(services, desk):
    desk.service.set_prompt(**desk.who, prompt="What is {{thing}}?")
    app = press(opened("compare", comparison=desk.who["comparison_id"]), "Run all")
    app.text_area[0].set_value("What is {{thing}}, briefly?")
    app = ran(app)
    assert desk.get().comparison.prompt == "What is {{thing}}, briefly?"
    assert "thing" in "\n".join(one.value for one in app.error)


def test_setting_is_stored_when_it_is_changed_and_another_tab_sees_it(services, desk):
    one, other = (with_settings(opened("compare", comparison=desk.who["comparison_id"]), desk) for _ in range(2))
    next(item for item in one.slider if item.label == "Temperature").set_value(0.5)
    ran(one)
    assert desk.get().panes[0].params.temperature == 0.5
    assert next(item for item in ran(other).slider if item.label == "Temperature").value == 0.5


def test_setting_left_to_the_server_is_shown_within_the_range_of_the_model(services, desk):
    demo = next(one for one in services.catalog.upstreams if one.name == "demo")
    services.catalog.set_upstreams([replace(demo, ranges={"max_tokens": Range(1024, 8192)})])
    desk.set(0, max_tokens=None)
    app = with_settings(opened("compare", comparison=desk.who["comparison_id"]), desk)
    assert next(one for one in app.slider if one.label == "Max tokens").value == 1024


def test_panes_are_added_up_to_six(services, desk):
    app = opened("compare", comparison=desk.who["comparison_id"])
    for _ in range(4):
        app = press(app, "Add a pane")
    assert len(desk.get().panes) == 6
    assert button(app, "Add a pane").disabled


def test_failure_stays_in_its_pane_with_retry(services, desk, monkeypatch):
    desk.set(0, seed=1)
    whole = DemoProvider.stream

    async def stream(self, request):
        if request.params.seed == 1:
            raise demo.ModelUnknown("It is gone.", cure="Choose another.", provider="demo", model=request.model)
        async for chunk in whole(self, request):
            yield chunk

    monkeypatch.setattr(DemoProvider, "stream", stream)
    desk.run()
    app = opened("compare", comparison=desk.who["comparison_id"])
    assert [one.value for one in app.error] == ["**It is gone\\.** Choose another\\."]
    assert labels(app).count("Retry") == 1
    monkeypatch.setattr(DemoProvider, "stream", whole)
    assert not press(app, "Retry").error
    assert [desk.settled().answers[pane.id].status for pane in desk.get().panes] == ["complete"] * 2


def test_answer_to_another_request_has_a_red_mark(services, desk, monkeypatch):
    monkeypatch.setattr(demo, "fingerprint_of", lambda request: fingerprint_of(request, without=("temperature",)))
    desk.run()
    app = opened("compare", comparison=desk.who["comparison_id"])
    assert len(app.error) == 2
    assert "This answer is not to what this pane shows" in app.error[0].value


def test_model_that_went_away_is_said_in_its_pane(services, desk):
    from db import compare

    with services.store.transaction() as conn:
        compare.update_pane(conn, pane_id=desk.get().panes[0].id, model_name="gone")
    app = opened("compare", comparison=desk.who["comparison_id"])
    assert "`gone` does not run at the moment" in "\n".join(one.value for one in app.warning)


def test_settings_changed_since_the_answer_are_named(services, desk):
    desk.run()
    desk.set(0, temperature=0.9)
    assert "Changed since this answer: Temperature" in said(opened("compare", comparison=desk.who["comparison_id"]))


def test_answers_to_a_prompt_that_was_worded_anew_since_say_so(services, desk):
    desk.run()
    assert "answers an earlier prompt" not in said(opened("compare", comparison=desk.who["comparison_id"]))
    desk.service.set_prompt(**desk.who, prompt="Something else.")
    assert said(opened("compare", comparison=desk.who["comparison_id"])).count("answers an earlier prompt") == 2


def test_differences_are_shown_on_demand(services, desk):
    desk.set(0, seed=1)
    desk.set(1, seed=2)
    desk.run()
    app = opened("compare", comparison=desk.who["comparison_id"])
    assert "<del>" not in html(app)
    next(one for one in app.toggle if one.label.startswith("Show differences")).set_value(True)
    assert "<del>" in html(ran(app))
    assert "Struck through is only in 1" in said(app)


def test_difference_that_is_not_exact_says_so(services, desk, monkeypatch):
    desk.set(0, seed=1)
    desk.run()
    app = opened("compare", comparison=desk.who["comparison_id"])
    monkeypatch.setattr(text_diff, "find", lambda left, right: Diff((Piece("added", right),), is_rough=True))
    next(one for one in app.toggle if one.label.startswith("Show differences")).set_value(True)
    shown = said(ran(app))
    assert "At least 0 % of the text is shared" in shown
    assert "some of what is marked may be in both" in shown


def test_nothing_running_is_the_designed_empty_state(services, ada, monkeypatch):
    monkeypatch.setattr(type(services.catalog), "list_running", lambda self, role: ())
    app = opened("compare")
    assert "No models running" in said(app)


def test_database_away_is_said(services, desk, monkeypatch):
    def away(self, **_):
        raise StoreUnavailable("The database cannot be reached right now.", cure="Try again in a moment.")

    monkeypatch.setattr(type(services.compare), "open", away)
    app = opened("compare", comparison=desk.who["comparison_id"])
    assert "The database cannot be reached" in said(app)
    assert "Try again" in labels(app)


def test_history_lists_renames_and_deletes(services, desk):
    desk.service.set_prompt(**desk.who, prompt="What is rain?")
    app = opened("compare", comparison=desk.who["comparison_id"])
    assert "What is rain?" in "\n".join(labels(app)).replace("\\", "")
    desk.service.delete(**desk.who)
    assert "What is rain" not in "\n".join(labels(ran(app)))

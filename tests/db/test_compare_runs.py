"""A run of a comparison on the real database: who is asked, who is stopped, and that answers are to what was shown."""

from dataclasses import replace
from uuid import uuid4

import pytest

from chatplay.errors import BadInput, GenerationRunning, ProviderUnreachable
from chatplay.providers.base import Message
from db import compare
from tests.db.chat_rig import STOP, Gate, eventually
from tests.db.compare_rig import bench, second_process

# ---- running -----------------------------------------------------------------------------------


def test_run_asks_every_pane_with_its_own_settings(desk):
    desk.compare.set_prompt(**desk.me, prompt="Say {{word}}, not \\{{word}}")
    desk.compare.set_variable(**desk.me, name="word", value="yes")
    desk.compare.set_param(**desk.me, pane_id=desk.panes[1], name="system_prompt", value="Only {{word}}")
    desk.run()
    view = desk.done()
    sent = {request.params.temperature: request.messages for request in desk.provider.requests}
    prompt = Message("user", "Say yes, not {{word}}")
    assert sent == {0.2: (prompt,), 1.0: (Message("system", "Only yes"), prompt)}
    assert [view.answers[pane.id].content for pane in view.panes] == ["Hello there"] * 2
    assert view.run.prompt == "Say yes, not {{word}}"


def test_same_press_twice_asks_once(desk):
    key = uuid4()
    desk.run(request_key=key)
    desk.run(request_key=key)
    desk.done()
    desk.run(request_key=key)
    assert len(desk.provider.requests) == 2


def test_missing_value_is_named_and_nothing_is_asked(desk):
    desk.compare.set_param(**desk.me, pane_id=desk.panes[1], name="system_prompt", value="Be {{mood}}")
    with pytest.raises(BadInput, match=r"system prompt of pane 2 uses `\{\{mood\}\}`"):
        desk.run()
    assert desk.provider.requests == []
    assert desk.view().run is None


def test_second_run_waits_for_the_first(desk):
    gate = Gate()
    desk.provider.script = ["Hello", gate, STOP]
    desk.run()
    with pytest.raises(GenerationRunning):
        desk.run(pane_ids=[desk.panes[0]])
    gate.open()
    desk.done()
    desk.run(pane_ids=[desk.panes[0]])


def test_failed_pane_is_asked_again_alone_in_the_same_run(desk):
    refused = ProviderUnreachable("No answer.", provider="scripted", model="tiny")
    desk.provider.script = [refused]
    desk.run()
    first = desk.done()
    desk.provider.script = ["Now", STOP]
    desk.run(pane_ids=[desk.panes[0]])
    view = desk.done()
    assert [desk.answer(place).status for place in (0, 1)] == ["complete", "failed"]
    assert (desk.answer(0).attempt, view.run) == (2, first.run)


def test_one_pane_with_another_prompt_begins_a_run_of_its_own(desk):
    desk.run()
    before = desk.done()
    desk.compare.set_prompt(**desk.me, prompt="Something else")
    desk.run(pane_ids=[desk.panes[0]])
    after = desk.done()
    assert after.run != before.run
    assert [answer.pane_id for answer in after.of_run] == [desk.panes[0]]


def test_model_that_went_away_is_its_panes_problem_alone(desk):
    with desk.store.transaction() as conn:
        compare.update_pane(conn, pane_id=desk.panes[0], model_name="gone")
    desk.run()
    desk.done()
    assert (desk.answer(0).status, desk.answer(0).problem.code) == ("failed", "not_found")
    assert [desk.answer(place).check.state for place in (0, 1)] == ["unasked", "same"]
    assert desk.answer(1).status == "complete"


def test_prompt_that_does_not_fit_is_its_panes_problem_alone(desk):
    desk.compare.set_prompt(**desk.me, prompt="word " * 120)
    desk.compare.set_param(**desk.me, pane_id=desk.panes[1], name="max_tokens", value=1000)
    desk.run()
    desk.done()
    assert (desk.answer(0).status, desk.answer(1).problem.code) == ("complete", "context_full")
    assert "1,000 are kept for the answer (Max tokens)." in desk.answer(1).problem.message


def test_prompt_too_long_by_itself_is_told_without_an_answer_nobody_reserved(desk):
    desk.compare.set_param(**desk.me, pane_id=desk.panes[1], name="system_prompt", value="word " * 1_500)
    desk.compare.set_param(**desk.me, pane_id=desk.panes[1], name="max_tokens", value=None)
    desk.run()
    desk.done()
    assert desk.answer(1).problem.message.endswith(" of 1,000 tokens.")


def test_one_pane_is_stopped_the_other_goes_on(desk):
    gate = Gate()
    desk.provider.script = ["Hello", gate, " there", STOP]
    desk.run()
    assert gate.reached.wait(10)
    eventually(lambda: len(desk.provider.requests) == 2)
    desk.compare.stop(**desk.me, pane_ids=[desk.panes[0]])
    eventually(lambda: desk.answer(0).status == "stopped")
    assert desk.answer(1).is_coming
    gate.open()
    desk.done()
    assert [desk.answer(place).content for place in (0, 1)] == ["Hello", "Hello there"]


def test_stopped_answer_is_still_known_to_be_to_what_its_pane_says(desk):
    gate = Gate()
    desk.provider.script = ["Hello", gate, STOP]
    desk.run()
    assert gate.reached.wait(10)
    desk.compare.stop(**desk.me)
    view = desk.done()
    assert {answer.status for answer in view.answers.values()} == {"stopped"}
    assert {answer.check.state for answer in view.answers.values()} == {"same"}


def test_window_of_a_coming_answer_is_known_before_its_end(desk):
    gate = Gate()
    desk.provider.script = ["Hello", gate, STOP]
    view = desk.run()
    window = desk.compare.find_window(view, view.answers[view.panes[0].id])
    gate.open()
    desk.done()
    assert window.window_tokens == 1000
    assert 5 < window.prompt_tokens < 40


def test_another_process_follows_all_panes_and_stops_them(desk):
    gate = Gate()
    desk.provider.script = ["Hello", gate, STOP]
    desk.run()
    assert gate.reached.wait(10)
    with second_process(desk.house.url) as other:
        ends = {}
        for news in other.follow(other.get(**desk.me), interval_sec=0.005):
            if any(update.text for update in news.values()):
                other.stop(**desk.me)
            ends |= {pane: update.end for pane, update in news.items() if update.end}
    shown = {pane: (end.status, end.content) for pane, end in ends.items()}
    assert shown == dict.fromkeys(desk.panes, ("stopped", "Hello"))


def test_run_of_a_dead_process_ends_interrupted_with_its_text(database_url):
    with bench(database_url) as desk:
        gate = Gate()
        desk.provider.script = ["Hello", gate, STOP]
        desk.run()
        assert gate.reached.wait(10)
        desk.house.process.generations.close()
        assert {desk.answer(place).status for place in (0, 1)} == {"interrupted"}
        assert desk.answer(0).content == "Hello"


# ---- whose answer is it ------------------------------------------------------------------------


def test_answer_to_what_was_shown_is_checked_the_same(desk):
    desk.run()
    assert {answer.check.state for answer in desk.done().answers.values()} == {"same"}


def test_provider_that_sends_something_else_is_caught(desk):
    desk.wire.lies = lambda request: replace(request, params=replace(request.params, temperature=0.9))
    desk.run()
    view = desk.done()
    assert {answer.check.state for answer in view.answers.values()} == {"different"}
    assert "temperature" in desk.answer(0).check.fields


def test_panes_that_were_swapped_on_their_way_are_caught(desk):
    other = {0.2: 1.0, 1.0: 0.2}
    desk.wire.lies = lambda request: replace(
        request, params=replace(request.params, temperature=other[request.params.temperature])
    )
    desk.run()
    assert {answer.check.state for answer in desk.done().answers.values()} == {"different"}


def test_refused_parameter_is_named_and_no_mismatch(desk):
    desk.wire.ignores = ("temperature",)
    desk.run()
    assert {(answer.check.state, answer.check.fields) for answer in desk.done().answers.values()} == {
        ("without", ("temperature",))
    }

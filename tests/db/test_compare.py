"""Comparisons on the real database: what is kept, who is asked, whose answer stands where."""

from dataclasses import replace
from uuid import uuid4

import pytest

from chatplay.errors import BadInput, Conflict, GenerationRunning, NotFound, ProviderUnreachable
from chatplay.providers.base import Message
from db import answers, compare
from tests.db.chat_rig import STOP, Gate, add_person, eventually
from tests.db.compare_rig import bench, second_process


@pytest.fixture
def desk(database_url):
    with bench(database_url) as desk:
        yield desk


# ---- what is kept ------------------------------------------------------------------------------


def test_first_comparison_has_two_panes_at_two_temperatures_and_a_prompt(desk):
    view = desk.view()
    assert [pane.params.temperature for pane in view.panes] == [0.2, 1.0]
    assert view.comparison.prompt
    assert desk.compare.list_comparisons(user_id=desk.house.user_id) == []


def test_untouched_comparison_is_given_again_a_touched_one_is_listed(desk):
    again = desk.compare.new(user_id=desk.house.user_id, role="analyst")
    assert again.comparison.id == desk.me["comparison_id"]
    desk.compare.set_prompt(**desk.me, prompt="What is rain?")
    assert [one.title for one in desk.compare.list_comparisons(user_id=desk.house.user_id)] == ["What is rain?"]
    assert desk.compare.new(user_id=desk.house.user_id, role="analyst").comparison.id != desk.me["comparison_id"]


def test_every_change_is_seen_by_another_process_at_once(desk):
    second = desk.panes[1]
    desk.compare.set_prompt(**desk.me, prompt="Say {{word}}")
    desk.compare.set_variable(**desk.me, name="word", value="yes")
    desk.compare.set_param(**desk.me, pane_id=second, name="system_prompt", value="Be {{mood}}")
    desk.compare.set_blind(**desk.me, is_blind=True)
    with second_process(desk.house.url) as other:
        view = other.open(user_id=desk.house.user_id, role="analyst", comparison_id=None)
    assert (view.comparison.prompt, view.comparison.variables) == ("Say {{word}}", {"word": "yes"})
    assert view.comparison.is_blind
    assert [pane.params.system_prompt for pane in view.panes] == ["", "Be {{mood}}"]


def test_panes_are_added_copied_moved_and_removed(desk):
    first, second = desk.panes
    desk.compare.add_pane(**desk.me, like=first)
    copy = desk.panes[1]
    assert desk.view().panes[1].params == desk.view().panes[0].params
    desk.compare.move_pane(**desk.me, pane_id=copy, by=1)
    assert desk.panes == [first, second, copy]
    desk.compare.remove_pane(**desk.me, pane_id=first)
    assert [(pane.id, pane.position) for pane in desk.view().panes] == [(second, 0), (copy, 1)]


def test_panes_stay_between_two_and_six(desk):
    with pytest.raises(Conflict, match="at least 2"):
        desk.compare.remove_pane(**desk.me, pane_id=desk.panes[0])
    for _ in range(4):
        desk.compare.add_pane(**desk.me)
    with pytest.raises(Conflict, match="at most 6"):
        desk.compare.add_pane(**desk.me)


def test_value_out_of_the_models_range_is_refused_and_nothing_changes(desk):
    with pytest.raises(BadInput):
        desk.compare.set_param(**desk.me, pane_id=desk.panes[0], name="temperature", value=9)
    assert desk.view().panes[0].params.temperature == 0.2


@pytest.mark.parametrize(
    "act",
    [
        lambda service, me: service.get(**me),
        lambda service, me: service.set_prompt(**me, prompt="x"),
        lambda service, me: service.run(**me, role="analyst", request_key=uuid4()),
        lambda service, me: service.stop(**me),
        lambda service, me: service.vote(**me, choice="tie"),
        lambda service, me: service.add_pane(**me),
        lambda service, me: service.rename(**me, title="x"),
        lambda service, me: service.delete(**me),
    ],
)
def test_comparison_of_another_person_does_not_exist(desk, act):
    stranger = add_person(desk.store, "bo")
    with pytest.raises(NotFound):
        act(desk.compare, desk.me | {"user_id": stranger})


def test_pane_of_another_comparison_does_not_exist(desk):
    mine = desk.panes[0]
    bo = add_person(desk.store, "bo")
    theirs = desk.compare.new(user_id=bo, role="analyst")
    with pytest.raises(NotFound):
        desk.compare.set_param(
            user_id=bo, comparison_id=theirs.comparison.id, pane_id=mine, name="temperature", value=0.5
        )


def test_deleted_comparison_takes_its_answers_along(desk):
    desk.run()
    generation_id = next(iter(desk.done().answers.values())).generation_id
    desk.compare.delete(**desk.me)
    with desk.store.reading() as conn:
        assert answers.find_answer(conn, generation_id=generation_id) is None
    with pytest.raises(NotFound):
        desk.view()


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
    assert desk.answer(1).status == "complete"


def test_prompt_that_does_not_fit_is_its_panes_problem_alone(desk):
    desk.compare.set_prompt(**desk.me, prompt="word " * 120)
    desk.compare.set_param(**desk.me, pane_id=desk.panes[1], name="max_tokens", value=1000)
    desk.run()
    desk.done()
    assert (desk.answer(0).status, desk.answer(1).problem.code) == ("complete", "context_full")


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


# ---- votes -------------------------------------------------------------------------------------


def test_vote_is_kept_and_may_be_changed(desk):
    desk.run()
    desk.done()
    desk.compare.vote(**desk.me, choice="best", pane_id=desk.panes[1])
    assert desk.view().vote.pane_id == desk.panes[1]
    desk.compare.vote(**desk.me, choice="tie")
    assert (desk.view().vote.choice, desk.view().vote.pane_id) == ("tie", None)


def test_blind_run_is_veiled_until_the_vote_which_says_so(desk):
    desk.compare.set_blind(**desk.me, is_blind=True)
    desk.run()
    view = desk.done()
    assert view.is_veiled
    assert {pane.id for pane in view.places} == set(desk.panes)
    desk.compare.vote(**desk.me, choice="best", pane_id=view.places[0].id)
    assert desk.view().vote.is_blind
    assert not desk.view().is_veiled
    desk.compare.vote(**desk.me, choice="tie")
    assert not desk.view().vote.is_blind


def test_blind_runs_are_shuffled_differently(desk):
    desk.compare.set_blind(**desk.me, is_blind=True)
    orders = set()
    for _ in range(20):
        desk.run()
        orders.add(tuple(pane.id for pane in desk.done().places))
        if len(orders) == 2:
            return
    raise AssertionError("twenty runs in one order")


def test_vote_waits_for_the_answers(desk):
    with pytest.raises(Conflict):
        desk.compare.vote(**desk.me, choice="tie")
    gate = Gate()
    desk.provider.script = ["Hello", gate, STOP]
    desk.run()
    with pytest.raises(Conflict):
        desk.compare.vote(**desk.me, choice="tie")
    gate.open()


# ---- to and from chats -------------------------------------------------------------------------


def test_pane_goes_on_as_a_chat_with_its_settings_and_answer(desk):
    desk.run()
    desk.done()
    chat_id = desk.compare.continue_as_chat(**desk.me, role="analyst", pane_id=desk.panes[1])
    view = desk.house.view(chat_id)
    assert [(message.role, message.content) for message in view.messages] == [
        ("user", desk.view().run.prompt),
        ("assistant", "Hello there"),
    ]
    assert view.chat.params.temperature == 1.0
    assert desk.house.ask("And then?", chat_id=chat_id)


def test_thread_of_a_chat_becomes_the_history_of_a_comparison(desk):
    chat_id = desk.house.new_chat()
    desk.house.ask("One", chat_id=chat_id)
    turn = desk.house.ask("Two {{x}}", chat_id=chat_id)
    me = {"user_id": desk.house.user_id}
    for message in (turn.user_message, turn.assistant_message):
        made = desk.compare.from_chat(**me, role="analyst", chat_id=chat_id, message_id=message.id)
        view = desk.compare.get(**me, comparison_id=made)
        assert [message.content for message in view.comparison.history] == ["One", "Hello there"]
        desk.compare.run(**me, comparison_id=made, role="analyst", request_key=uuid4())
        assert desk.compare.get(**me, comparison_id=made).run.prompt == "Two {{x}}"


def test_message_of_another_persons_chat_cannot_be_compared(desk):
    turn = desk.house.ask("One")
    with pytest.raises(NotFound):
        desk.compare.from_chat(
            user_id=add_person(desk.store, "bo"),
            role="analyst",
            chat_id=turn.user_message.session_id,
            message_id=turn.user_message.id,
        )

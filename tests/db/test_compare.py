"""Comparisons on the real database: what is kept, what can be changed, votes, from and to chats."""

from dataclasses import replace
from uuid import uuid4

import pytest

from chatplay.errors import BadInput, Conflict, NotFound
from chatplay.params import Range
from db import answers
from tests.db.chat_rig import STOP, Gate, add_person
from tests.db.compare_rig import second_process

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


def test_another_model_takes_the_settings_of_its_pane_as_far_as_it_takes_them(desk):
    first, second = desk.panes
    catalog = desk.house.process.catalog
    known = catalog.find_info(desk.view().panes[0].model_name, upstream=desk.view().panes[0].upstream)
    narrow = replace(known, name="narrow", ranges={"temperature": Range(0.0, 0.1)})
    catalog._view = replace(catalog._view, models=(*catalog._view.models, narrow))
    desk.compare.set_param(**desk.me, pane_id=first, name="max_tokens", value=300)
    desk.compare.set_model(**desk.me, role="analyst", pane_id=first, model=narrow)
    changed, other = desk.view().panes
    assert (changed.id, changed.model_name, changed.params.temperature) == (first, "narrow", 0.1)
    assert changed.params.max_tokens == 300
    assert (other.id, other.model_name, other.params.temperature) == (second, known.name, 1.0)


@pytest.mark.parametrize(
    "act",
    [
        lambda service, me: service.get(**me),
        lambda service, me: service.set_prompt(**me, prompt="x"),
        lambda service, me: service.run(**me, role="analyst", request_key=uuid4()),
        lambda service, me: service.stop(**me),
        lambda service, me: service.uncover(**me),
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


# ---- votes -------------------------------------------------------------------------------------


def test_vote_is_kept_and_may_be_changed(desk):
    desk.run()
    desk.done()
    desk.vote(place=1)
    assert desk.view().vote.pane_id == desk.panes[1]
    desk.vote("tie")
    assert (desk.view().vote.choice, desk.view().vote.pane_id) == ("tie", None)


def test_vote_is_not_passed_on_to_an_answer_that_came_later(desk):
    desk.run()
    desk.done()
    desk.vote(place=1)
    assert not desk.view().is_voted_answer_gone
    desk.run(pane_ids=(desk.panes[0],))
    assert not desk.done().is_voted_answer_gone
    desk.run(pane_ids=(desk.panes[1],))
    assert desk.done().is_voted_answer_gone


def test_blind_run_is_veiled_until_the_vote_which_says_so(desk):
    desk.compare.set_blind(**desk.me, is_blind=True)
    desk.run()
    view = desk.done()
    assert view.is_veiled
    assert {pane.id for pane in view.places} == set(desk.panes)
    desk.vote(place=desk.panes.index(view.places[0].id))
    assert desk.view().vote.is_blind
    assert not desk.view().is_veiled
    desk.vote("tie")
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


def test_comparison_of_another_person_cannot_be_voted_on(desk):
    desk.run()
    view = desk.done()
    with pytest.raises(NotFound):
        desk.compare.vote(user_id=add_person(desk.store, "bo"), view=view, choice="tie")
    assert desk.view().vote is None


def test_vote_on_answers_that_another_tab_has_asked_for_again_is_refused(desk):
    desk.run()
    stale = desk.done()
    desk.run()
    desk.done()
    with pytest.raises(Conflict, match="no longer those"):
        desk.compare.vote(user_id=desk.house.user_id, view=stale, choice="best", pane_id=desk.panes[1])
    assert desk.view().vote is None


def test_same_vote_twice_stays_blind(desk):
    desk.compare.set_blind(**desk.me, is_blind=True)
    desk.run()
    desk.done()
    for _ in range(2):
        desk.vote(place=1)
    assert desk.view().vote.is_blind


def test_tie_is_not_passed_on_to_an_answer_that_came_later(desk):
    desk.run()
    desk.done()
    desk.vote("tie")
    desk.run(pane_ids=(desk.panes[0],))
    view = desk.done()
    assert view.is_voted_answer_gone
    assert [view.outcome_of(pane) for pane in view.panes] == [None, "tied"]


def test_vote_keeps_the_answers_it_was_on_whatever_the_clock_says_later(desk):
    desk.run()
    desk.done()
    desk.compare.add_pane(**desk.me)
    desk.vote(place=1)
    ballot = desk.view().vote.ballot
    with desk.store.transaction() as conn:  # as if the clock had been set back by an hour since
        conn.exec_driver_sql("UPDATE comparison_answers SET created_at = created_at + interval '1 hour'")
        conn.exec_driver_sql("UPDATE comparison_votes SET created_at = created_at + interval '1 hour'")
    desk.run(pane_ids=desk.panes)
    view = desk.done()
    assert len(view.of_run) == 3
    assert view.vote.ballot == ballot
    desk.compare.remove_pane(**desk.me, pane_id=view.panes[0].id)
    assert desk.view().vote.ballot == ballot
    desk.vote("none")
    assert desk.view().vote.ballot == desk.view().ballot


def test_blind_vote_tells_where_each_answer_stood(desk):
    desk.compare.add_pane(**desk.me)
    desk.compare.set_blind(**desk.me, is_blind=True)
    desk.run()
    shown = [pane.id for pane in desk.done().places]
    desk.vote(place=0)
    desk.compare.add_pane(**desk.me, like=desk.panes[0])
    desk.run(pane_ids=[desk.panes[1]])
    view = desk.done()
    places = {pane.id: view.veiled_place_of(pane) for pane in view.panes}
    assert places == {pane_id: place for place, pane_id in enumerate(shown)} | {desk.panes[1]: None}
    desk.compare.remove_pane(**desk.me, pane_id=shown[0])
    assert desk.view().veiled_place_of(next(one for one in view.panes if one.id == shown[2])) == 2


def test_vote_waits_for_the_answers(desk):
    with pytest.raises(Conflict):
        desk.vote("tie")
    gate = Gate()
    desk.provider.script = ["Hello", gate, STOP]
    desk.run()
    with pytest.raises(Conflict):
        desk.vote("tie")
    gate.open()


# ---- all runs ----------------------------------------------------------------------------------


def test_runs_are_listed_with_the_answers_each_vote_was_on(desk):
    desk.run()
    desk.done()
    desk.vote(place=1)
    voted = desk.view()
    desk.run(pane_ids=[desk.panes[1]])
    desk.done()
    desk.compare.set_prompt(**desk.me, prompt="Something else")
    desk.run()
    desk.done()
    desk.compare.add_pane(**desk.me)
    desk.compare.remove_pane(**desk.me, pane_id=desk.panes[0])
    latest, first = desk.compare.list_runs(**desk.me)
    assert [answer.id for answer in first.answers] == list(voted.ballot.values())
    assert [first.outcome_of(answer) for answer in first.answers] == ["lost", "won"]
    assert (latest.run.prompt, latest.vote) == ("Something else", None)
    assert [answer.pane_id for answer in latest.answers] == [pane.id for pane in voted.panes]
    counts = desk.compare.count_runs(**desk.me)
    assert (counts.runs, counts.votes) == (2, 1)


def test_texts_of_a_past_run_are_read_when_it_is_opened(desk):
    desk.run()
    run_id = desk.done().run.id
    desk.run()
    desk.done()
    assert {answer.content for run in desk.compare.list_runs(**desk.me) for answer in run.answers} == {"H"}
    (past,) = desk.compare.list_runs(**desk.me, run_id=run_id, with_texts=True)
    assert (past.run.id, [answer.content for answer in past.answers]) == (run_id, ["Hello there"] * 2)
    with pytest.raises(NotFound):
        desk.compare.list_runs(**desk.me | {"user_id": add_person(desk.store, "bo")})


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

"""Votes of a comparison counted by what was set, not by where it stood."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from chatplay.compare.tally import PastRun, Setup, setup_of, tally
from chatplay.compare.values import Check, PaneAnswer, Run, Vote
from chatplay.params import Params

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
COLD, WARM, HOT = (Params(temperature=value) for value in (0.0, 0.5, 1.0))


def answer(params: Params, run_id: UUID, number: int, text: str = "x", state: str = "same", **more) -> PaneAnswer:
    check = Check(state, ("temperature",) if state == "without" else ())
    known = {"id": number, "run_id": run_id, "pane_id": uuid4(), "prompt": "", "attempt": 1, "generation_id": uuid4()}
    known |= {"model_name": "m", "upstream": "u", "params": params, "system_prompt_sent": params.system_prompt}
    known |= {"fingerprint": None, "problem": None, "created_at": NOON, "content": text, "status": "complete"}
    return PaneAnswer(**known | {"metrics": None, "check": check} | more)


def run(*params: Params, best: int | None = None, choice: str = "best", prompt: str | None = None, blind=True, **more):
    """One that was voted on; `best` is the place of the winner."""
    run_id = uuid4()
    answers = tuple(answer(one, run_id, number, **more) for number, one in enumerate(params))
    winner = answers[best] if best is not None else None
    ballot = {one.pane_id: one.id for one in answers}
    vote = Vote(choice, winner and winner.id, winner and winner.pane_id, blind, NOON, ballot)
    return PastRun(Run(run_id, prompt or str(run_id), blind, NOON), answers, vote)


def counts(found):
    return {
        one.setup.params.temperature: (one.votes, one.won, one.tied, one.rejected, one.lost) for one in found.standings
    }


def test_settings_are_known_again_in_whichever_pane_they_stood():
    runs = [run(COLD, HOT, best=0), run(HOT, COLD, best=1), run(WARM, COLD, HOT, best=0)]
    runs += [run(COLD, HOT, choice="tie"), run(HOT, COLD, choice="none")]
    assert counts(tally(runs)) == {0.0: (5, 2, 1, 1, 1), 0.5: (1, 1, 0, 0, 0), 1.0: (5, 0, 1, 1, 3)}


def test_blind_votes_and_others_are_counted_apart():
    runs = [run(COLD, HOT, best=0), run(COLD, HOT, best=1, blind=False)]
    assert [tally(runs, kind).votes for kind in ("all", "blind", "open")] == [2, 1, 1]
    assert counts(tally(runs, "open"))[1.0][1] == 1


def test_run_without_a_vote_counts_for_nothing():
    assert tally([replace(run(COLD, HOT, best=0), vote=None)]).standings == ()


def test_too_few_prompts_have_no_interval():
    four = [run(COLD, HOT, best=0) for _ in range(4)]
    often = [run(COLD, HOT, best=0, prompt=str(number % 9)) for number in range(18)]
    assert not tally(four).is_enough
    assert not tally(often).is_enough
    assert all(one.chance is None for one in (*tally(four).standings, *tally(often).standings))
    assert tally([*four, run(COLD, HOT, best=0)]).is_enough


def test_settings_that_win_again_and_again_lead_with_an_interval_those_that_alternate_do_not():
    found = tally([run(COLD, HOT, best=0) for _ in range(12)])
    assert found.leader is not None
    assert found.leader.setup.params == COLD
    assert found.leader.chance.low > 0.5
    assert tally([run(COLD, HOT, best=number % 2) for number in range(12)]).leader is None


def test_settings_that_never_stood_side_by_side_have_no_leader():
    apart = [run(COLD, HOT, best=0) for _ in range(12)] + [run(WARM, Params(seed=1), best=0) for _ in range(12)]
    found = tally(apart)
    assert {one.group for one in found.standings} == {0, 1}
    assert found.leader is None


@pytest.mark.parametrize("more", [{"state": "different"}, {"text": ""}])
def test_vote_that_says_nothing_of_settings_is_told_and_not_counted(more):
    found = tally([run(COLD, HOT, best=0, **more), run(COLD, COLD, best=0)])
    assert (found.votes, found.uncounted, found.standings) == (0, 2, ())


def test_settings_that_the_model_does_not_take_are_no_part_of_what_was_compared():
    refused = [answer(params, uuid4(), 1, state="without") for params in (COLD, HOT)]
    assert setup_of(refused[0]) == setup_of(refused[1])
    assert tally([run(COLD, HOT, best=0, state="without")]).uncounted == 1
    unsent = answer(replace(COLD, system_prompt="Be brief."), uuid4(), 1, system_prompt_sent="")
    assert setup_of(unsent) == Setup("m", "u", COLD)


def test_settings_in_two_panes_win_when_either_does():
    found = tally([run(COLD, COLD, HOT, best=1), run(COLD, COLD, HOT, best=2)])
    assert counts(found) == {0.0: (2, 1, 0, 0, 1), 1.0: (2, 1, 0, 0, 1)}

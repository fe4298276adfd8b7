"""A vote goes to the answers that its person saw, or nowhere."""

from __future__ import annotations

from uuid import UUID

from chatplay.compare.values import Choice, ComparisonView
from chatplay.errors import Conflict
from chatplay.store import Connection
from db import compare_runs


def cast_vote(
    conn: Connection, now: ComparisonView, seen: ComparisonView, choice: Choice, pane_id: UUID | None
) -> None:
    """The person's vote on the last run, given on what was `seen`; another choice replaces it, and is no longer blind.
    `now` is how the comparison stands, which the caller has locked. Raises Conflict when that shows other answers.
    """
    if now.ballot != seen.ballot:
        raise Conflict(
            "The answers are no longer those that stood here: they changed in another tab.",
            cure="Look at them as they are now, then vote.",
        )
    best = next((answer for answer in now.of_run if answer.pane_id == pane_id and answer.content), None)
    if now.run is None or not now.may_vote or (choice == "best" and best is None):
        raise Conflict(
            "There is nothing to vote on yet.", cure="Run at least two panes and wait for the end of their answers."
        )
    answer_id = best.id if best and choice == "best" else None
    if now.vote and (now.vote.choice, now.vote.answer_id, now.vote.ballot) == (choice, answer_id, now.ballot):
        return  # a click that came twice takes the blindness from no vote
    compare_runs.set_vote(
        conn,
        run_id=now.run.id,
        user_id=now.comparison.user_id,
        choice=choice,
        answer_id=answer_id,
        is_blind=now.is_veiled and seen.is_veiled,
    )

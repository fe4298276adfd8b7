"""Comparisons as they are read: as they stand, and all their runs."""

from __future__ import annotations

from uuid import UUID

from chatplay.compare.tally import PastRun
from chatplay.compare.values import (
    ComparisonView,
    PaneAnswer,
    answer_of,
    comparison_of,
    messages_of,
    pane_of,
    run_of,
    vote_of,
)
from chatplay.store import Connection
from db import compare, compare_runs
from db.compare import ComparisonRow


def view_of(conn: Connection, row: ComparisonRow) -> ComparisonView:
    """A comparison with its panes, their last answers, and its person's vote on the last run."""
    run = compare_runs.find_last_run(conn, comparison_id=row.id)
    vote = compare_runs.find_vote(conn, run_id=run.id, user_id=row.user_id) if run else None
    ballot = compare_runs.get_ballot(conn, run_id=vote.run_id, user_id=row.user_id) if vote else {}
    rows = compare_runs.list_last_answers(conn, comparison_id=row.id) if run else []
    history = messages_of(row)
    return ComparisonView(
        comparison=comparison_of(row),
        panes=tuple(pane_of(pane) for pane in compare.list_panes(conn, comparison_id=row.id)),
        answers={answer.pane_id: answer_of(answer, history) for answer in rows},
        run=run_of(run) if run else None,
        vote=vote_of(vote, ballot) if vote else None,
    )


def list_past_runs(conn: Connection, row: ComparisonRow, *, run_id: UUID | None, with_texts: bool) -> list[PastRun]:
    """All runs with their votes, newest first, or the one. Without texts, an answer has its first character only."""
    runs = compare_runs.list_runs(conn, comparison_id=row.id, user_id=row.user_id)
    rows = compare_runs.list_run_answers(
        conn, comparison_id=row.id, user_id=row.user_id, run_id=run_id, with_texts=with_texts
    )
    history = messages_of(row)
    answers: dict[UUID, list[PaneAnswer]] = {run.id: [] for run, _ in runs if run_id in (None, run.id)}
    for answer in rows:
        if answer.run_id in answers:
            answers[answer.run_id].append(answer_of(answer, history))
    past = []
    for run, vote in runs:
        if run.id in answers:
            ballot = {answer.pane_id: answer.id for answer in answers[run.id]}
            past.append(PastRun(run_of(run), tuple(answers[run.id]), vote_of(vote, ballot) if vote else None))
    return past

"""Comparisons as they are read: as they stand, and all their runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
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
from db.compare_runs import RunRow, VoteRow


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
    runs = compare_runs.list_runs(conn, comparison_id=row.id, user_id=row.user_id, run_id=run_id)
    rows = compare_runs.list_run_answers(
        conn, comparison_id=row.id, user_id=row.user_id, run_id=run_id, with_texts=with_texts
    )
    history, answers = messages_of(row), defaultdict[UUID, list[PaneAnswer]](list)
    for answer in rows:
        answers[answer.run_id].append(answer_of(answer, history))
    return [_past_run(run, answers[run.id], vote) for run, vote in runs]


def _past_run(run: RunRow, answers: Sequence[PaneAnswer], vote: VoteRow | None) -> PastRun:
    ballot = {answer.pane_id: answer.id for answer in answers}
    return PastRun(run_of(run), tuple(answers), vote_of(vote, ballot) if vote else None)

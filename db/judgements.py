"""Judge models of experiments: what each was asked, and what they said of trials. A judgement is a trial of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, text

from db.reviews import VoteRow
from db.schema import experiment_judges

WITHDRAWN = "withdrawn"  # of a judge's plan: its verdicts count in no figure


@dataclass(frozen=True)
class JudgementRow:
    """A judge's call. `winner` is by trial, places undone."""

    judge: int
    subject_id: int
    against_id: int | None
    swapped: bool
    score: float | None
    winner: str | None
    reason: str
    state: str
    is_withdrawn: bool


@dataclass(frozen=True)
class JudgeRow:
    number: int
    plan: Mapping[str, Any]
    created_at: datetime

    @property
    def is_withdrawn(self) -> bool:
        return bool(self.plan.get(WITHDRAWN))


@dataclass(frozen=True)
class JudgeCount:
    total: int
    done: int
    unreadable: int
    verdicts: int


def insert_judge(conn: Connection, *, experiment_id: UUID, user_id: int, plan: Mapping[str, Any]) -> int:
    """Returns its number, from 1. The caller holds the experiment's row."""
    query = select(func.coalesce(func.max(experiment_judges.c.number), 0) + 1)
    number: int = conn.execute(query.where(experiment_judges.c.experiment_id == experiment_id)).scalar_one()
    conn.execute(
        insert(experiment_judges).values(experiment_id=experiment_id, number=number, user_id=user_id, plan=dict(plan))
    )
    return number


def list_judges(conn: Connection, *, experiment_id: UUID) -> list[JudgeRow]:
    query = select(experiment_judges.c.number, experiment_judges.c.plan, experiment_judges.c.created_at)
    here = query.where(experiment_judges.c.experiment_id == experiment_id)
    return [JudgeRow(*row) for row in conn.execute(here.order_by(experiment_judges.c.number))]


def count_judgements(conn: Connection, *, experiment_id: UUID) -> dict[int, JudgeCount]:
    """By judge."""
    query = text(
        "SELECT judge, count(*), count(*) FILTER (WHERE state NOT IN ('waiting', 'running')), "
        "count(*) FILTER (WHERE state = 'done' AND score IS NULL AND winner IS NULL), "
        "count(*) FILTER (WHERE state = 'done' AND (score IS NOT NULL OR winner IS NOT NULL)) "
        "FROM experiment_trials WHERE experiment_id = :id AND judge IS NOT NULL GROUP BY judge"
    )
    return {row[0]: JudgeCount(*row[1:]) for row in conn.execute(query, {"id": experiment_id})}


def drop_judgements(conn: Connection, *, experiment_id: UUID, judge: int, only_undone: bool) -> list[UUID]:
    """All judgements of a judge, or those that have not come to an answer; returns the calls of those that run."""
    query = text(
        "DELETE FROM experiment_trials WHERE experiment_id = :id AND judge = :judge "
        "AND (state <> 'done' OR NOT :only_undone) RETURNING state, generation_id"
    )
    rows = conn.execute(query, {"id": experiment_id, "judge": judge, "only_undone": only_undone})
    return [row.generation_id for row in rows if row.state == "running"]


def delete_judge(conn: Connection, *, experiment_id: UUID, judge: int) -> None:
    here = (experiment_judges.c.experiment_id == experiment_id) & (experiment_judges.c.number == judge)
    conn.execute(delete(experiment_judges).where(here))


def set_withdrawn(conn: Connection, *, experiment_id: UUID, judge: int, is_withdrawn: bool) -> None:
    query = text(
        "UPDATE experiment_judges SET plan = plan || jsonb_build_object(CAST(:name AS text), CAST(:yes AS boolean)) "
        "WHERE experiment_id = :id AND number = :judge"
    )
    conn.execute(query, {"id": experiment_id, "judge": judge, "name": WITHDRAWN, "yes": is_withdrawn})


def list_judged_texts(conn: Connection, *, trial_ids: Collection[int]) -> dict[int, str]:
    """Answers of ended trials by trial."""
    if not trial_ids:
        return {}
    query = text(
        "SELECT t.id, a.content FROM experiment_trials t JOIN answers a ON a.generation_id = t.generation_id "
        "WHERE t.id = ANY(:ids) AND t.state = 'done'"
    )
    return {row[0]: row[1] for row in conn.execute(query, {"ids": list(trial_ids)})}


_JUDGEMENTS = """
SELECT judge, subject_id, against_id, coalesce(swapped, false), score, winner,
       coalesce(rule_scores -> 0 ->> 'reason', error, ''), state,
       coalesce(CAST(j.plan ->> :withdrawn AS boolean), false)
FROM experiment_trials t LEFT JOIN experiment_judges j ON j.experiment_id = t.experiment_id AND j.number = t.judge
WHERE subject_id = ANY(:ids) AND judge IS NOT NULL ORDER BY id
"""


def list_judgements(conn: Connection, *, trial_ids: Collection[int]) -> list[JudgementRow]:
    """Of these trials, as the first of their pair or alone."""
    rows = conn.execute(text(_JUDGEMENTS), {"ids": list(trial_ids), "withdrawn": WITHDRAWN})
    return [JudgementRow(*row) for row in rows]


_JUDGE_VOTES = """
SELECT a.arm, b.arm, j.winner, a.case_no FROM experiment_trials j
JOIN experiment_trials a ON a.id = j.subject_id JOIN experiment_trials b ON b.id = j.against_id
WHERE j.experiment_id = :id AND j.judge = :judge AND j.winner IS NOT NULL ORDER BY j.id
"""


def list_judge_votes(conn: Connection, *, experiment_id: UUID, judge: int) -> list[VoteRow]:
    rows = conn.execute(text(_JUDGE_VOTES), {"id": experiment_id, "judge": judge})
    return [VoteRow(*row) for row in rows]


_SWAPS = """
SELECT p.winner, s.winner FROM experiment_trials p
JOIN experiment_trials s ON s.subject_id = p.subject_id AND s.against_id = p.against_id AND s.judge = p.judge
WHERE p.experiment_id = :id AND p.judge = :judge AND NOT p.swapped AND s.swapped
AND p.winner IS NOT NULL AND s.winner IS NOT NULL ORDER BY p.id
"""


def list_swaps(conn: Connection, *, experiment_id: UUID, judge: int) -> list[tuple[str, str]]:
    """Winners of each pair by trial: as first shown, and with the places swapped."""
    return [(row[0], row[1]) for row in conn.execute(text(_SWAPS), {"id": experiment_id, "judge": judge})]


_BESIDE_HAND = """
SELECT j.score, avg(h.score), t.case_no FROM experiment_trials j
JOIN experiment_trials t ON t.id = j.subject_id
JOIN experiment_hand_scores h ON h.trial_id = t.id AND h.generation_id = t.generation_id
WHERE j.experiment_id = :id AND j.judge = :judge AND j.score IS NOT NULL GROUP BY j.id, j.score, t.case_no ORDER BY j.id
"""


def list_beside_hand(conn: Connection, *, experiment_id: UUID, judge: int) -> list[tuple[float, float, int]]:
    """(judge's score, mean score by hand, case) of trials that have both."""
    rows = conn.execute(text(_BESIDE_HAND), {"id": experiment_id, "judge": judge})
    return [(row[0], row[1], row[2]) for row in rows]


_SUBJECTS = """
SELECT id, arm, case_no, repeat FROM experiment_trials
WHERE experiment_id = :id AND judge IS NULL AND state = 'done' ORDER BY position
"""


def list_subjects(conn: Connection, *, experiment_id: UUID) -> list[tuple[int, int, int, int]]:
    """(trial, arm, case, repeat) of all that a judge can look at."""
    return [(row[0], row[1], row[2], row[3]) for row in conn.execute(text(_SUBJECTS), {"id": experiment_id})]

"""What people and judge models say of trials: scores by hand, votes on pairs, judgements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, text

from db.schema import experiment_judges

WITHDRAWN = "withdrawn"  # of a judge's plan: its verdicts count in no figure


@dataclass(frozen=True)
class HandScoreRow:
    trial_id: int
    user_id: int
    score: float
    note: str
    created_at: datetime


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


@dataclass(frozen=True)
class Reviewable:
    """A trial with its answer that somebody may score."""

    trial_id: int
    arm: int
    case_no: int
    repeat: int
    content: str


@dataclass(frozen=True)
class VoteRow:
    """A vote on two arms; `winner` is the side."""

    left_arm: int
    right_arm: int
    winner: str
    case_no: int


# ---- by hand -----------------------------------------------------------------------------------

_SCORE = """
INSERT INTO experiment_hand_scores (trial_id, user_id, generation_id, score, note)
SELECT id, :user_id, generation_id, :score, :note FROM experiment_trials
WHERE id = :trial_id AND experiment_id = :experiment_id AND judge IS NULL AND state = 'done'
ON CONFLICT (trial_id, user_id) DO UPDATE
SET generation_id = excluded.generation_id, score = excluded.score, note = excluded.note, created_at = now()
"""


def upsert_hand_score(
    conn: Connection, *, experiment_id: UUID, trial_id: int, user_id: int, score: float, note: str
) -> bool:
    """False when there is no such answer."""
    values = {"experiment_id": experiment_id, "trial_id": trial_id, "user_id": user_id, "score": score, "note": note}
    return conn.execute(text(_SCORE), values).rowcount > 0


_HAND_SCORES = """
SELECT h.trial_id, h.user_id, h.score, h.note, h.created_at FROM experiment_hand_scores h
JOIN experiment_trials t ON t.id = h.trial_id AND t.generation_id = h.generation_id
WHERE t.id = ANY(:ids) ORDER BY h.created_at
"""


def list_hand_scores(conn: Connection, *, trial_ids: Collection[int]) -> list[HandScoreRow]:
    """Those given to the answers that stand now."""
    return [HandScoreRow(*row) for row in conn.execute(text(_HAND_SCORES), {"ids": list(trial_ids)})]


# Stable but random: a person who comes back goes on where they stopped, and no arm is scored first.
_UNSCORED = """
FROM experiment_trials t WHERE t.experiment_id = :experiment_id AND t.judge IS NULL AND t.state = 'done'
AND NOT EXISTS (SELECT FROM experiment_hand_scores h
                WHERE h.trial_id = t.id AND h.user_id = :user_id AND h.generation_id = t.generation_id)
"""
_NEXT_REVIEW = f"""
WITH next AS (SELECT t.id, t.arm, t.case_no, t.repeat, t.generation_id {_UNSCORED} AND t.id <> ALL(:skip)
              ORDER BY hashint8(t.id), t.id LIMIT 1)
SELECT next.id, next.arm, next.case_no, next.repeat, a.content
FROM next JOIN answers a ON a.generation_id = next.generation_id
"""


def next_for_review(
    conn: Connection, *, experiment_id: UUID, user_id: int, skip: Sequence[int]
) -> tuple[Reviewable | None, int]:
    """The next answer this person has not scored, and how many there are in all."""
    values = {"experiment_id": experiment_id, "user_id": user_id}
    left = conn.execute(text(f"SELECT count(*) {_UNSCORED}"), values).scalar_one()
    row = conn.execute(text(_NEXT_REVIEW), values | {"skip": list(skip)}).one_or_none()
    return (Reviewable(*row) if row else None), left


# ---- votes -------------------------------------------------------------------------------------

_ANSWERED = "experiment_id = :experiment_id AND judge IS NULL AND state = 'done'"
# This person's votes on answers that stand now, of the kind that is handed out.
_CAST = """
FROM experiment_votes v
JOIN experiment_trials a ON a.id = v.left_trial_id AND a.generation_id = v.left_generation_id
JOIN experiment_trials b ON b.id = v.right_trial_id AND b.generation_id = v.right_generation_id
WHERE v.experiment_id = :experiment_id AND v.user_id = :user_id
AND a.repeat = b.repeat AND a.answer_hash <> b.answer_hash
"""
# Of n answers of which m are alike, (n^2 - sum m^2) / 2 pairs differ: counted without making them.
_PAIRS_LEFT = f"""
SELECT (SELECT coalesce(sum((n * n - alike) / 2), 0) FROM (
  SELECT sum(m) AS n, sum(m * m) AS alike FROM (
    SELECT case_no, repeat, count(*) AS m FROM experiment_trials WHERE {_ANSWERED}
    GROUP BY case_no, repeat, answer_hash) same
  GROUP BY case_no, repeat) block) - (SELECT count(*) {_CAST})
"""
# Blocks of one case and repeat in random but stable order, those with the fewest votes first; the pair inside it, too.
# The blocks are sorted before pairs are made, so that only those of the first ones are.
_NEXT_PAIR = f"""
WITH votes AS (SELECT a.case_no, a.repeat, count(*) AS votes {_CAST} GROUP BY 1, 2)
SELECT pair.left_id, pair.right_id FROM (
  SELECT case_no, repeat, coalesce(max(votes), 0) AS votes, hashint8(CAST(case_no AS bigint) * 100003 + repeat) AS place
  FROM experiment_trials LEFT JOIN votes USING (case_no, repeat) WHERE {_ANSWERED}
  GROUP BY case_no, repeat HAVING min(answer_hash) <> max(answer_hash)
  ORDER BY votes, place, case_no, repeat OFFSET 0) block
CROSS JOIN LATERAL (
  SELECT a.id AS left_id, b.id AS right_id FROM experiment_trials a JOIN experiment_trials b
    ON b.experiment_id = a.experiment_id AND b.case_no = a.case_no AND b.repeat = a.repeat AND b.arm > a.arm
    AND b.judge IS NULL AND b.state = 'done' AND b.answer_hash <> a.answer_hash
  WHERE a.experiment_id = :experiment_id AND a.judge IS NULL AND a.state = 'done'
  AND a.case_no = block.case_no AND a.repeat = block.repeat
  AND NOT EXISTS (SELECT FROM experiment_votes v WHERE v.experiment_id = a.experiment_id AND v.user_id = :user_id
    AND least(v.left_trial_id, v.right_trial_id) = least(a.id, b.id)
    AND greatest(v.left_trial_id, v.right_trial_id) = greatest(a.id, b.id)
    AND v.left_generation_id IN (a.generation_id, b.generation_id)
    AND v.right_generation_id IN (a.generation_id, b.generation_id))
  AND (CAST(a.id AS text) || ':' || CAST(b.id AS text)) <> ALL(:skip)
  ORDER BY hashint8(a.id * 31 + b.id), a.id LIMIT 1) pair
ORDER BY votes, place, case_no, repeat LIMIT 1
"""


def next_pair(
    conn: Connection, *, experiment_id: UUID, user_id: int, skip: Sequence[tuple[int, int]]
) -> tuple[tuple[int, int] | None, int]:
    """Two differing answers of two arms to the same case and repeat, and how many such pairs there are."""
    values = {"experiment_id": experiment_id, "user_id": user_id}
    left = conn.execute(text(_PAIRS_LEFT), values).scalar_one()
    keys = [f"{min(pair)}:{max(pair)}" for pair in skip] + [f"{max(pair)}:{min(pair)}" for pair in skip]
    row = conn.execute(text(_NEXT_PAIR), values | {"skip": keys}).one_or_none()
    return ((row.left_id, row.right_id) if row else None), int(left)


def list_reviewable(conn: Connection, *, experiment_id: UUID, trial_ids: Collection[int]) -> dict[int, Reviewable]:
    """Ended trials of the experiment by id, with their answers."""
    query = text(
        "SELECT t.id, t.arm, t.case_no, t.repeat, a.content FROM experiment_trials t "
        "JOIN answers a ON a.generation_id = t.generation_id "
        "WHERE t.experiment_id = :experiment_id AND t.id = ANY(:ids) AND t.judge IS NULL AND t.state = 'done'"
    )
    rows = conn.execute(query, {"experiment_id": experiment_id, "ids": list(trial_ids)})
    return {row[0]: Reviewable(*row) for row in rows}


_VOTE = """
INSERT INTO experiment_votes (experiment_id, user_id, left_trial_id, right_trial_id, left_generation_id,
                              right_generation_id, winner)
SELECT :experiment_id, :user_id, a.id, b.id, a.generation_id, b.generation_id, :winner
FROM experiment_trials a, experiment_trials b WHERE a.id = :left AND b.id = :right
ON CONFLICT (experiment_id, user_id, least(left_trial_id, right_trial_id), greatest(left_trial_id, right_trial_id))
DO UPDATE SET left_trial_id = excluded.left_trial_id, right_trial_id = excluded.right_trial_id,
  left_generation_id = excluded.left_generation_id, right_generation_id = excluded.right_generation_id,
  winner = excluded.winner, created_at = now()
"""


def upsert_vote(
    conn: Connection, *, experiment_id: UUID, user_id: int, left_trial_id: int, right_trial_id: int, winner: str
) -> None:
    conn.execute(
        text(_VOTE),
        {
            "experiment_id": experiment_id,
            "user_id": user_id,
            "left": left_trial_id,
            "right": right_trial_id,
            "winner": winner,
        },
    )


_VOTES = """
SELECT a.arm, b.arm, v.winner, a.case_no FROM experiment_votes v
JOIN experiment_trials a ON a.id = v.left_trial_id AND a.generation_id = v.left_generation_id
JOIN experiment_trials b ON b.id = v.right_trial_id AND b.generation_id = v.right_generation_id
WHERE v.experiment_id = :id ORDER BY v.id
"""


def list_votes(conn: Connection, *, experiment_id: UUID) -> list[VoteRow]:
    """People's votes on answers that stand now."""
    return [VoteRow(*row) for row in conn.execute(text(_VOTES), {"id": experiment_id})]


# ---- judges ------------------------------------------------------------------------------------


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

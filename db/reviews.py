"""What people say of trials: scores by hand and votes on pairs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class HandScoreRow:
    trial_id: int
    user_id: int
    score: float
    note: str
    created_at: datetime


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

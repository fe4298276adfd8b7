"""Figures of trials by whose scores are wanted: columns for the statistics, rows for the case table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

# Each column as one string of numbers in their binary form: 100,000 trials are eleven values to fetch instead of a
# million, and no number is written as text and read again.
_COLUMN_ARRAYS = """
SELECT {arrays} FROM (
  SELECT t.arm, t.case_no, t.repeat, {score} AS score, {passed} AS passed, t.ttft_ms, t.tokens_per_second,
         t.completion_tokens, t.cost_usd, t.duration_ms, coalesce(t.answer_hash, -1) AS answer
  FROM experiment_trials t {join}
  WHERE t.experiment_id = %(id)s AND t.judge IS NULL AND t.state IN ('done', 'failed')) ended
"""
# What each number is, as numpy calls it; the highest byte comes first.
COLUMNS: Mapping[str, str] = {
    "arm": ">i4",
    "case_no": ">i4",
    "repeat": ">i4",
    "score": ">f8",
    "passed": ">f4",
    "ttft_ms": ">f8",
    "tokens_per_second": ">f8",
    "completion_tokens": ">f8",
    "cost_usd": ">f8",
    "duration_ms": ">f8",
    "answer": ">i8",  # a hash, which floats could not hold
}
_SENT = {
    ">i4": "int4send(CAST({name} AS int))",
    ">i8": "int8send(CAST({name} AS bigint))",
    ">f4": "float4send(coalesce(CAST({name} AS real), 'nan'))",
    ">f8": "float8send(coalesce(CAST({name} AS double precision), 'nan'))",
}
_HAND_SCORE = (
    "LEFT JOIN LATERAL (SELECT avg(s.score) AS score FROM experiment_hand_scores s "
    "WHERE s.trial_id = t.id AND s.generation_id = t.generation_id) h ON true"
)
_JUDGEMENT = (
    "LEFT JOIN experiment_trials j ON j.subject_id = t.id AND j.judge = CAST({judge} AS int) AND j.state = 'done'"
)
_ARRAYS = ", ".join(f"string_agg({_SENT[kind].format(name=name)}, '')" for name, kind in COLUMNS.items())
_BY_RULES = _COLUMN_ARRAYS.format(
    arrays=_ARRAYS, score="t.score", passed="CASE WHEN t.passed THEN 1 WHEN NOT t.passed THEN 0 END", join=""
)
_BY_HAND = _COLUMN_ARRAYS.format(
    arrays=_ARRAYS,
    score="h.score",
    passed="CAST(NULL AS int)",
    join=_HAND_SCORE,
)
_BY_JUDGE = _COLUMN_ARRAYS.format(
    arrays=_ARRAYS,
    score="j.score",
    passed="CAST(NULL AS int)",
    join=_JUDGEMENT.format(judge="%(judge)s"),
)


def read_columns(
    conn: Connection, *, experiment_id: UUID, by_hand: bool = False, judge: int | None = None
) -> dict[str, bytes]:
    """Ended trials, the numbers of each of `COLUMNS` in the same order in all. NaN is unknown (of `answer`, the hash
    of its text: -1), `passed` is 1 or 0. Empty without trials.
    """
    query = _BY_JUDGE if judge is not None else _BY_HAND if by_hand else _BY_RULES
    row = _read_binary(conn, query, {"id": experiment_id, "judge": judge})
    return dict(zip(COLUMNS, (value or b"" for value in row), strict=True))


def _read_binary(conn: Connection, query: str, values: Mapping[str, Any]) -> Sequence[bytes | None]:
    """One row as PostgreSQL holds it: as text it would be twice the bytes, to be read again. By one of its processes:
    gathering long strings from several takes longer than what they spare.
    """
    driver = cast("psycopg.Connection[Any]", conn.connection.driver_connection)
    try:
        with driver.transaction(), driver.cursor(binary=True) as cursor:
            cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0")
            cursor.execute(query, values)
            (row,) = cursor.fetchall()
    except psycopg.Error as error:
        raise DBAPIError.instance(query, values, error, psycopg.Error, dialect=conn.dialect) from error
    return cast("Sequence[bytes | None]", row)


@dataclass(frozen=True)
class CellRow:
    """One arm on one case, in figures. `content` begins the answer of the first repeat that has one."""

    case_no: int
    arm: int
    trials: int
    done: int
    failed: int
    distinct_answers: int
    score: float | None
    passed: float | None
    duration_ms: float | None
    content: str | None


# Of 100,000 trials: the mean score of an arm on a case, what it takes to have it, and which rows those are. A judgement
# lies at the place of its trial, so the rows of both are gathered together, which is quicker than joining them.
_OF_ALL = {
    "rules": ("avg(t.score)", "", "t.judge IS NULL"),
    "hand": ("avg(h.score)", _HAND_SCORE, "t.judge IS NULL"),
    "judge": (
        "avg(t.score) FILTER (WHERE t.judge IS NOT NULL AND t.state = 'done')",
        "",
        "(t.judge IS NULL OR t.judge = :judge)",
    ),
}
# Of a page of them: the score of a trial `t`, and what it takes to have it.
_OF_A_PAGE = {
    "rules": ("t.score", ""),
    "hand": ("h.score", _HAND_SCORE),
    "judge": ("j.score", _JUDGEMENT.format(judge=":judge")),
}


def _kind(by_hand: bool, judge: int | None) -> str:
    return "judge" if judge is not None else "hand" if by_hand else "rules"


# Arms differ where their mean scores do; without scores, where no answer is common to all of them.
_HAVING = {
    "all": "true",
    "arms_differ": "min(score) <> max(score) OR (max(score) IS NULL AND min(low_hash) <> max(high_hash))",
    "repeats_differ": "bool_or(low_hash <> high_hash)",
    "failed": "bool_or(failed > 0)",
    "scored": "max(score) IS NOT NULL",
    "not_scored": "max(score) IS NULL",
}
_CASES = """
SELECT case_no FROM (
  SELECT t.case_no, t.arm, {score} AS score, min(t.answer_hash) FILTER (WHERE t.judge IS NULL) AS low_hash,
         max(t.answer_hash) FILTER (WHERE t.judge IS NULL) AS high_hash,
         count(*) FILTER (WHERE t.state = 'failed' AND t.judge IS NULL) AS failed
  FROM experiment_trials t {join} WHERE t.experiment_id = :id AND {rows} GROUP BY t.case_no, t.arm) cells
WHERE CAST(:search AS text) = '' OR case_no IN (
  SELECT number FROM experiment_cases WHERE experiment_id = :id AND EXISTS (
    SELECT FROM unnest(cells) cell WHERE strpos(lower(cell), lower(:search)) > 0))
GROUP BY case_no HAVING {having} ORDER BY case_no
"""


def list_case_numbers(
    conn: Connection, *, experiment_id: UUID, only: str, search: str, by_hand: bool = False, judge: int | None = None
) -> list[int]:
    """All cases that fit the filter, in order; `only` is one of "all", "arms_differ", "repeats_differ", "failed",
    "scored", "not_scored". Scores are those of rules, those `by_hand` or those of `judge`.
    """
    score, join, rows = _OF_ALL[_kind(by_hand, judge) if "score" in _HAVING[only] else "rules"]
    query = text(_CASES.format(having=_HAVING[only], score=score, join=join, rows=rows))
    return list(conn.execute(query, {"id": experiment_id, "search": search, "judge": judge}).scalars())


_CELLS = """
SELECT c.case_no, c.arm, c.trials, c.done, c.failed, c.distinct_answers, c.score, c.passed, c.duration_ms,
       left(a.content, :chars) AS content
FROM (
  SELECT t.case_no, t.arm, count(*) AS trials, count(*) FILTER (WHERE t.state = 'done') AS done,
         count(*) FILTER (WHERE t.state = 'failed') AS failed, count(DISTINCT t.answer_hash) AS distinct_answers,
         avg({score}) AS score, avg(CASE WHEN t.passed THEN 1.0 WHEN NOT t.passed THEN 0.0 END) AS passed,
         avg(t.duration_ms) AS duration_ms,
         (array_agg(t.generation_id ORDER BY t.repeat) FILTER (WHERE t.state = 'done'))[1] AS generation_id
  FROM experiment_trials t {join} WHERE t.experiment_id = :id AND t.judge IS NULL AND t.case_no = ANY(:cases)
  GROUP BY t.case_no, t.arm) c
LEFT JOIN answers a ON a.generation_id = c.generation_id ORDER BY c.case_no, c.arm
"""


def list_cells(
    conn: Connection,
    *,
    experiment_id: UUID,
    cases: Collection[int],
    chars: int,
    by_hand: bool = False,
    judge: int | None = None,
) -> list[CellRow]:
    """The cells of these cases; of each answer the first `chars` characters. `passed` is by rules, whoever scored."""
    score, join = _OF_A_PAGE[_kind(by_hand, judge)]
    query = text(_CELLS.format(score=score, join=join))
    rows = conn.execute(query, {"id": experiment_id, "cases": list(cases), "chars": chars, "judge": judge})
    return [CellRow(**{**row._mapping, **{name: _float(row._mapping[name]) for name in _MEANS}}) for row in rows]


_MEANS = ("score", "passed", "duration_ms")  # numeric of the database, as floats


def _float(value: Any) -> float | None:
    return None if value is None else float(value)

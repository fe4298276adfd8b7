"""How the trials of an experiment stand while they run: figures by arm, and failures by reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from db.judgements import WITHDRAWN


@dataclass(frozen=True)
class ArmRow:
    """One arm so far; means of the trials that are done, None without any."""

    arm: int
    trials: int
    done: int
    failed: int
    cut_off: int
    score: float | None
    passed: float | None
    ttft_ms: float | None
    tokens_per_second: float | None
    duration_ms: float | None
    completion_tokens: float | None
    cost_usd: float | None


_ARMS = """
SELECT arm, count(*), count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state = 'failed'),
       count(*) FILTER (WHERE state = 'done' AND finish_reason = 'length'),
       avg(score) FILTER (WHERE state = 'done'),
       avg(CASE WHEN passed THEN 1.0::float8 WHEN NOT passed THEN 0.0 END) FILTER (WHERE state = 'done'),
       avg(ttft_ms) FILTER (WHERE state = 'done'), avg(tokens_per_second) FILTER (WHERE state = 'done'),
       avg(duration_ms) FILTER (WHERE state = 'done'),
       avg(completion_tokens::float8) FILTER (WHERE state = 'done'), avg(cost_usd) FILTER (WHERE state = 'done')
FROM experiment_trials WHERE experiment_id = :id AND judge IS NULL GROUP BY arm ORDER BY arm
"""


def list_arms(conn: Connection, *, experiment_id: UUID) -> list[ArmRow]:
    """Every arm that has trials."""
    return [ArmRow(*row) for row in conn.execute(text(_ARMS), {"id": experiment_id})]


@dataclass(frozen=True)
class ErrorRow:
    """Trials that failed for one reason; `cure` says what to do, None where nothing was noted."""

    message: str
    cure: str | None
    trials: int
    arms: Sequence[int]


_ERRORS = """
SELECT coalesce(t.error, 'The call failed.'), min(a.metrics_json ->> 'error_cure'), count(*),
       array_agg(DISTINCT t.arm ORDER BY t.arm)
FROM experiment_trials t LEFT JOIN answers a ON a.generation_id = t.generation_id
WHERE t.experiment_id = :id AND t.state = 'failed' AND t.judge IS NULL
GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT :limit
"""


def list_errors(conn: Connection, *, experiment_id: UUID, limit: int) -> list[ErrorRow]:
    """The commonest reasons first."""
    return [ErrorRow(*row) for row in conn.execute(text(_ERRORS), {"id": experiment_id, "limit": limit})]


_SILENCE = """
SELECT extract(epoch FROM clock_timestamp() - greatest(e.updated_at,
         (SELECT max(t.started_at) FROM experiment_trials t WHERE t.experiment_id = e.id))),
       ARRAY(SELECT DISTINCT w.upstream FROM experiment_trials w WHERE w.experiment_id = e.id AND w.state = 'waiting'
             AND NOT EXISTS (SELECT FROM experiment_trials r WHERE r.upstream = w.upstream AND r.state = 'running'))
FROM experiments e WHERE e.id = :id AND e.state = 'running'
"""


def find_silence(conn: Connection, *, experiment_id: UUID) -> tuple[float, Sequence[str]]:
    """Seconds since a running experiment last moved, and the upstreams that its calls wait for and nobody asks now."""
    row = conn.execute(text(_SILENCE), {"id": experiment_id}).one_or_none()
    return (float(row[0]), row[1]) if row else (0.0, ())


_MARKS = """
SELECT (SELECT concat_ws(' ', count(*), max(s.created_at)) FROM experiment_trials t
              JOIN experiment_hand_scores s ON s.trial_id = t.id WHERE t.experiment_id = :id)
  || ', ' || (SELECT concat_ws(' ', count(*), max(created_at)) FROM experiment_votes WHERE experiment_id = :id)
  || ', ' || coalesce((SELECT string_agg(concat(number, plan ->> :withdrawn, created_at), ' ' ORDER BY number)
              FROM experiment_judges WHERE experiment_id = :id), '')
"""


def find_marks(conn: Connection, *, experiment_id: UUID) -> str:
    """A text that changes whenever somebody scores or votes, and with the judges that count."""
    return str(conn.execute(text(_MARKS), {"id": experiment_id, "withdrawn": WITHDRAWN}).scalar_one())

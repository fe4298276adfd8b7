"""Counts ended calls into the roll-ups, each exactly once: a batch and the removal of its queue rows are one commit.

Every call goes into the rows of its hour, day, week and period, for everybody, its organisation and its person, over
all models, by model, and by model and source. What a roll-up row holds is told in `db/schema/rollups.py`.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from db.schema.rollups import DIMENSIONS, FIGURE_SUMS, HISTOGRAMS, SUMS

LOCK_KEY = 0x63686174_726F6C6C  # "chatroll": one process at a time counts
_ANALYZE_FROM = 5_000


def roll_up(conn: Connection, *, limit: int) -> int:
    """Counts up to `limit` of the longest waiting calls; returns how many. 0: none wait, or another process counts.

    Run it in a transaction of its own: rolled back, nothing of it happened.
    """
    if not conn.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": LOCK_KEY}).scalar_one():
        return 0
    taken = conn.execute(text(_TAKE), {"limit": limit}).scalars().all()
    if not taken:
        return 0
    conn.execute(text(_BATCH))
    # A statement of its own: its snapshot is younger than the locks, so it sees the figures as they stay.
    conn.execute(text(_FILL), {"ids": list(taken)})
    for statement in (_BEGIN_CHATS, _COUNT_ANSWERS):
        conn.execute(text(statement))
    if len(taken) >= _ANALYZE_FROM:
        conn.execute(text("ANALYZE usage_batch"))
    for statement in (_COUNT, _COUNT_SETTINGS):
        conn.execute(text(statement))
    conn.execute(text("DELETE FROM usage_pending WHERE generation_id = ANY(:ids)"), {"ids": list(taken)})
    return len(taken)


def start_anew(conn: Connection) -> None:
    """Empties the roll-ups and queues every ended call again; chats are as old as their oldest call that is left."""
    conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
    for statement in ("TRUNCATE usage_rollups, usage_settings, usage_chats, usage_pending", _QUEUE_ALL):
        conn.execute(text(statement))


def make_periods(conn: Connection) -> None:
    """Makes the rows of all periods of those of the weeks, where there are none of periods yet."""
    conn.execute(text(_PERIODS))


def _columns(names: tuple[str, ...], form: str = "{}") -> str:
    return ", ".join(form.format(name) for name in names)


def _sets(*more: str) -> str:
    """GROUPING SETS of every time, subject and shape, each with `more` columns.

    People have no rows by model alone, periods none by source.
    """
    wanted = [
        ", ".join(filter(None, (time, subject, shape, *more)))
        for time in ("hour", "day", "week", "period")
        for subject in ("", "user_id", "organisation_id")
        for shape in ("", "by_model", "by_source")
        if (subject, shape) != ("user_id", "by_model") and (time, shape) != ("period", "by_source")
    ]
    return "GROUPING SETS (" + ", ".join(f"({columns})" for columns in wanted) + ")"


_KEY = _columns(DIMENSIONS)
# Within a batch a place is three numbers: grouping and sorting by names would take several times as long.
# `slot` is level, scope, shape and the number of the model (and source) packed into one.
_PLACE = "slot, scope_id, at"
_SELECT_PLACE = """
(CAST(CASE WHEN GROUPING(period) = 0 THEN 3 WHEN GROUPING(week) = 0 THEN 2 WHEN GROUPING(day) = 0 THEN 1 ELSE 0 END
      AS bigint) << 36)
+ (CAST(CASE WHEN GROUPING(user_id) = 0 THEN 2 WHEN GROUPING(organisation_id) = 0 THEN 1 ELSE 0 END AS bigint) << 34)
+ (CAST(CASE WHEN GROUPING(by_source) = 0 THEN 2 WHEN GROUPING(by_model) = 0 THEN 1 ELSE 0 END AS bigint) << 32)
+ coalesce(by_source, by_model, 0) AS slot,
coalesce(user_id, organisation_id, 0) AS scope_id, coalesce(hour, day, week, period) AS at
"""
_UNPACKED = """
(slot >> 36) AS level, (slot >> 34) & 3 AS scope, (slot >> 32) & 3 AS shape, slot & 4294967295 AS names
"""
_NUMBERED = """
batch AS MATERIALIZED (
    SELECT *, dense_rank() OVER (ORDER BY upstream, model) AS by_model,
           dense_rank() OVER (ORDER BY upstream, model, source) AS by_source
    FROM usage_batch),
names AS (
    SELECT 0 AS shape, CAST(0 AS bigint) AS names, '' AS upstream, '' AS model, '' AS source
    UNION ALL SELECT DISTINCT 1, by_model, upstream, model, '' FROM batch
    UNION ALL SELECT DISTINCT 2, by_source, upstream, model, source FROM batch)
"""

# The rows of a call as the roll-ups want it; the questions that need the rows themselves begin with the same list.
CALL_COLUMNS = """
u.session_id, coalesce(u.user_id, 0) AS user_id, coalesce(u.organisation_id, 0) AS organisation_id,
u.upstream, u.model, u.source, 1 AS calls, 0 AS chats, 0 AS chat_answers,
CAST(u.status = 'complete' AS int) AS complete, CAST(u.status = 'stopped' AS int) AS stopped,
CAST(u.status = 'failed' AS int) AS failed, CAST(u.status = 'interrupted' AS int) AS interrupted,
CAST(u.fallback_reason IS NOT NULL AS int) AS fallbacks,
coalesce(u.prompt_tokens, 0) AS prompt_tokens, coalesce(u.completion_tokens, 0) AS completion_tokens,
coalesce(u.cached_tokens, 0) AS cached_tokens, CAST(coalesce(u.tokens_estimated, false) AS int) AS tokens_estimated,
CAST(u.prompt_tokens IS NULL OR u.completion_tokens IS NULL AS int) AS tokens_unknown,
coalesce(u.cost_usd, 0) AS cost_usd, CAST(u.cost_usd IS NULL AS int) AS cost_unknown,
u.finish_reason, u.error_class,
usage_key(u.ttft_ms) AS ttft_ms, usage_key(u.tokens_per_second) AS tokens_per_second,
usage_key(u.duration_ms) AS duration_ms, usage_key(u.itl_p95_ms) AS itl_p95_ms,
(usage_size(u.prompt_tokens) << 12) + usage_key(u.ttft_ms) AS ttft_by_size,
(usage_size(u.prompt_tokens + u.completion_tokens) << 12) + usage_key(u.tokens_per_second) AS speed_by_size
"""
SETTINGS_COLUMNS = """
jsonb_strip_nulls(jsonb_build_object('temperature', u.params -> 'temperature', 'top_p', u.params -> 'top_p',
    'max_tokens', u.params -> 'max_tokens', 'presence_penalty', u.params -> 'presence_penalty',
    'frequency_penalty', u.params -> 'frequency_penalty')) AS settings,
u.ttft_ms AS ttft_ms_sum, u.tokens_per_second AS tokens_per_second_sum, u.duration_ms AS duration_ms_sum,
u.itl_p95_ms AS itl_p95_ms_sum, u.completion_tokens AS completion_tokens_sum, u.cost_usd AS cost_usd_sum
"""

_QUEUE_ALL = (
    "INSERT INTO usage_pending (generation_id, created_at) "
    "SELECT generation_id, created_at FROM usage WHERE ended_at IS NOT NULL"
)
_TAKE = "SELECT generation_id FROM usage_pending ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED"

_TIMES = """date_trunc('hour', {0}, 'UTC'), date_trunc('day', {0}, 'UTC'), date_trunc('week', {0}, 'UTC'),
       date_bin('28 days', {0}, '1970-01-05 00:00:00Z')"""

_BATCH = f"""
CREATE TEMPORARY TABLE IF NOT EXISTS usage_batch ON COMMIT DELETE ROWS AS
SELECT u.created_at AS begun_at, u.created_at AS hour, u.created_at AS day, u.created_at AS week,
       u.created_at AS period, {CALL_COLUMNS}, {SETTINGS_COLUMNS}
FROM usage u LIMIT 0
"""
_FILL = f"""
INSERT INTO usage_batch
SELECT u.created_at, {_TIMES.format("u.created_at")}, {CALL_COLUMNS}, {SETTINGS_COLUMNS}
FROM usage u WHERE u.generation_id = ANY(:ids)
"""

_CHAT = "session_id, begun_at, user_id, organisation_id, upstream, model, source"
_ZEROES = tuple(name for name in SUMS if name not in ("chats", "chat_answers"))
_CHAT_ROW = f"""
INSERT INTO usage_batch (hour, day, week, period, user_id, organisation_id, upstream, model, source,
                         chats, chat_answers, {_columns(_ZEROES)})
SELECT {_TIMES.format("begun_at")},
       user_id, organisation_id, upstream, model, source, {{chats}}, {{answers}}, {_columns(_ZEROES, "0")}
"""
# Rows without a call, but with a chat or an answer of a chat, where that chat began.
_BEGIN_CHATS = f"""
WITH new AS (
    INSERT INTO usage_chats ({_CHAT})
    SELECT DISTINCT ON (session_id) {_CHAT} FROM usage_batch WHERE session_id IS NOT NULL ORDER BY session_id, begun_at
    ON CONFLICT DO NOTHING RETURNING *)
{_CHAT_ROW.format(chats=1, answers=0)} FROM new
"""
_COUNT_ANSWERS = f"""
WITH answered AS (
    SELECT session_id, sum(complete) AS answers
    FROM usage_batch WHERE session_id IS NOT NULL AND complete = 1 GROUP BY 1)
{_CHAT_ROW.format(chats=0, answers="answers")} FROM answered JOIN usage_chats USING (session_id)
"""

_ROWS_OF_FIGURES = ", ".join(f"(({n} << 20) + {name})" for n, name in enumerate(HISTOGRAMS))
_FIGURE_OF_ROWS = ", ".join(f"max(entries) FILTER (WHERE figure = {n}) AS {name}" for n, name in enumerate(HISTOGRAMS))
_COUNT = f"""
INSERT INTO usage_rollups AS r ({_KEY}, {_columns(SUMS)}, finish_reasons, error_classes, {_columns(HISTOGRAMS)})
WITH {_NUMBERED},
counts AS (SELECT {_SELECT_PLACE}, {_columns(SUMS, "sum({0}) AS {0}")} FROM batch GROUP BY {_sets()}),
cells AS (
    SELECT {_SELECT_PLACE}, key, count(*) AS n
    FROM batch, LATERAL (VALUES {_ROWS_OF_FIGURES}) f(key) WHERE key IS NOT NULL GROUP BY {_sets("key")}),
ranked AS (
    SELECT {_PLACE}, key >> 20 AS figure, key, CAST(sum(CAST(n AS double precision))
           OVER (PARTITION BY {_PLACE}, key >> 20 ORDER BY key) AS bigint) AS upto FROM cells),
histograms AS (
    SELECT {_PLACE}, figure, array_agg((upto << 20) + (key & 1048575) ORDER BY key) AS entries
    FROM ranked GROUP BY {_PLACE}, figure),
figures AS (SELECT {_PLACE}, {_FIGURE_OF_ROWS} FROM histograms GROUP BY {_PLACE}),
words AS (
    SELECT {_SELECT_PLACE}, kind, word, count(*) AS n
    FROM batch, LATERAL (VALUES (0, finish_reason), (1, error_class)) w(kind, word)
    WHERE word IS NOT NULL GROUP BY {_sets("kind", "word")}),
outcomes AS (
    SELECT {_PLACE}, jsonb_object_agg(word, n) FILTER (WHERE kind = 0) AS finish_reasons,
           jsonb_object_agg(word, n) FILTER (WHERE kind = 1) AS error_classes
    FROM words GROUP BY {_PLACE})
SELECT {_KEY}, {_columns(SUMS)}, coalesce(finish_reasons, '{{}}'), coalesce(error_classes, '{{}}'),
       {_columns(HISTOGRAMS)}
FROM (SELECT {_UNPACKED}, * FROM counts) AS counts JOIN names USING (shape, names)
LEFT JOIN figures USING ({_PLACE}) LEFT JOIN outcomes USING ({_PLACE})
ON CONFLICT ({_KEY}) DO UPDATE SET {_columns(SUMS, "{0} = r.{0} + excluded.{0}")},
    {_columns(("finish_reasons", "error_classes"), "{0} = usage_add(r.{0}, excluded.{0})")},
    {_columns(HISTOGRAMS, "{0} = usage_merge(r.{0}, excluded.{0})")}
"""

_FIGURE_COLUMNS = tuple(column for name in FIGURE_SUMS for column in (f"{name}_n", f"{name}_sum"))
_SUM_FIGURES = _columns(FIGURE_SUMS, "count({0}_sum) AS {0}_n, coalesce(sum({0}_sum), 0) AS {0}_sum")
_SETTINGS_SETS = ", ".join(
    f"({time}{more})"
    for time in ("day", "week")
    for more in ("", ", organisation_id", ", by_model", ", organisation_id, by_model")
)
_COUNT_SETTINGS = f"""
INSERT INTO usage_settings AS r ({_KEY}, settings, calls, failed, {_columns(_FIGURE_COLUMNS)})
WITH {_NUMBERED},
sums AS (
    SELECT 2 - GROUPING(week) AS level,
           CASE WHEN GROUPING(user_id) = 0 THEN 2 ELSE 1 - GROUPING(organisation_id) END AS scope,
           1 - GROUPING(by_model) AS shape, coalesce(user_id, organisation_id, 0) AS scope_id,
           coalesce(day, week) AS at, coalesce(by_model, 0) AS names, settings,
           sum(calls) AS calls, sum(failed + interrupted) AS failed,
           {_SUM_FIGURES}
    FROM batch WHERE settings IS NOT NULL
    GROUP BY settings, GROUPING SETS ((week, user_id), {_SETTINGS_SETS}))
SELECT {_KEY}, settings, calls, failed, {_columns(_FIGURE_COLUMNS)} FROM sums JOIN names USING (shape, names)
ON CONFLICT ({_KEY}, settings) DO UPDATE SET
    {_columns(("calls", "failed", *_FIGURE_COLUMNS), "{0} = r.{0} + excluded.{0}")}
"""

_PERIOD_KEY = _columns(tuple(name for name in DIMENSIONS if name not in ("level", "at")))
_PERIODS = f"""
INSERT INTO usage_rollups (level, at, {_PERIOD_KEY}, {_columns(SUMS)}, finish_reasons, error_classes,
                           {_columns(HISTOGRAMS)})
SELECT 3, date_bin('28 days', at, '1970-01-05 00:00:00Z') AS period, {_PERIOD_KEY}, {_columns(SUMS, "sum({})")},
       usage_added(finish_reasons), usage_added(error_classes), {_columns(HISTOGRAMS, "usage_merged({})")}
FROM usage_rollups WHERE level = 2 AND shape < 2 GROUP BY period, {_PERIOD_KEY}
"""

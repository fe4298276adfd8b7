"""Ends what nobody makes any more: a generation whose heartbeat stands still is marked `interrupted`.

Its process is gone; or that process never learned that it was to begin, because the answer to its commit was lost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from uuid import UUID

from chatplay import params as parameters
from chatplay.errors import StoreError
from chatplay.generation.ends import record_ends
from chatplay.generation.outcome import Ending
from chatplay.generation.values import AnswerMetrics, GenerationEnd
from chatplay.store import Store
from chatplay.timing import summarise
from chatplay.tokens.ranks import estimate_tokens
from db import generations
from db.generations import GenerationRow, UsageFigures

_log = logging.getLogger(__name__)
_MESSAGE = "The app ended while this answer was coming. What had arrived is kept."


class Reaper:
    """Call `look` now and then. A heartbeat is dead when it did not move for `after_sec` of our own clock, or for
    `gone_after_sec` while its process is not connected.

    Two looks at the same value, not the age of a timestamp: a clock that jumps kills nobody. Nor does a database that
    was away, to which nobody could show a sign of life: what was seen before it is forgotten.
    """

    def __init__(
        self,
        *,
        store: Store,
        lives_here: Callable[[UUID], bool],
        after_sec: float,
        gone_after_sec: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._lives_here = lives_here
        self._after_sec = after_sec
        self._gone_after_sec = gone_after_sec
        self._clock = clock
        self._seen: dict[UUID, tuple[object, float]] = {}

    def look(self) -> list[UUID]:
        """Marks the dead and returns their ids."""
        try:
            with self._store.reading() as conn:
                rows = [row for row in generations.list_streaming(conn) if not self._lives_here(row.id)]
                connected = generations.list_connected(conn, owners={row.owner for row in rows})
        except StoreError:
            self._seen = {}
            return []
        now = self._clock()
        self._seen = {row.id: self._seen_since(row, now) for row in rows}
        return [row.id for row in rows if self._is_dead(row, now, row.owner in connected) and self._end(row)]

    def _is_dead(self, row: GenerationRow, now: float, is_connected: bool) -> bool:
        return now - self._seen[row.id][1] >= (self._after_sec if is_connected else self._gone_after_sec)

    def _seen_since(self, row: GenerationRow, now: float) -> tuple[object, float]:
        before = self._seen.get(row.id)
        return before if before and before[0] == row.heartbeat_at else (row.heartbeat_at, now)

    def _end(self, row: GenerationRow) -> bool:
        try:
            with self._store.transaction() as conn:
                if not generations.claim_dead(conn, row=row):
                    return False
                batches = generations.list_events(conn, generation_id=row.id)
                call = generations.get_call(conn, generation_id=row.id)
                record_ends(conn, [_interrupted(row, call, batches)])
        except StoreError as error:
            _log.warning("reaper: %s (%s)", row.id, error.code)
            return False
        _log.info("marked generation %s interrupted: nobody makes it", row.id)
        return True


def _interrupted(row: GenerationRow, call: generations.NewUsage, batches: list[generations.EventBatch]) -> Ending:
    content = "".join(text for batch in batches for text in batch.texts)
    delta_secs = [stamp / 1000 for batch in batches for stamp in batch.at_ms]
    tokens = estimate_tokens(content) if content else None
    # When it ended nobody knows, so it has no duration, and no rate over one.
    timings = summarise(sent_sec=0.0, delta_secs=delta_secs, ended_sec=0.0, completion_tokens=tokens)
    metrics = AnswerMetrics(
        provider=call.provider,
        model=call.model,
        params=parameters.from_json(call.params),
        ttft_ms=timings.ttft_ms,
        itl_p50_ms=timings.itl_p50_ms,
        itl_p95_ms=timings.itl_p95_ms,
        tokens_per_second=timings.tokens_per_second,
        completion_tokens=tokens,
        tokens_estimated=True if content else None,
        error_code="interrupted",
        error_message=_MESSAGE,
        error_cure="Ask again with Retry.",
    )
    figures = UsageFigures(
        status="interrupted",
        error_class="interrupted",
        error_message=_MESSAGE,
        ttft_ms=timings.ttft_ms,
        itl_p50_ms=timings.itl_p50_ms,
        itl_p95_ms=timings.itl_p95_ms,
        itl_max_ms=timings.itl_max_ms,
        gaps_ms=timings.gaps_ms or None,
        tokens_per_second=timings.tokens_per_second,
        completion_tokens=tokens,
        tokens_estimated=metrics.tokens_estimated,
    )
    lengths = tuple(len(text) for batch in batches for text in batch.texts)
    return Ending(row.id, row.message_id, GenerationEnd("interrupted", content, metrics), figures, lengths)

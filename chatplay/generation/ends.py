"""Writes the ends of answers, each once, in one transaction: text, status, usage, timings, cost.

An end is written at once. What ends while others are being written waits for them and then goes together: twenty-five
answers that end in the same moment are two or three transactions, and a thousand trials a few dozen.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chatplay.errors import StoreError, StoreUnavailable
from chatplay.generation.outcome import Ending
from chatplay.generation.values import Keeper
from chatplay.store import Connection, Store
from chatplay.tokens.calibrations import Sample
from db import call_ends
from db.call_ends import CallEnd

_log = logging.getLogger(__name__)
_BATCH = 32  # ends in one transaction at most
_TEACHES = 16  # trials come by the thousand and each lesson is a transaction: one in so many teaches as much


@dataclass(frozen=True, eq=False)
class _Waiting:
    ending: Ending
    keeper: Keeper | None
    user_id: int
    written: asyncio.Future[bool]


class EndWriter:
    """See the module. Use it on one event loop. `on_counted` learns from the server's count of the prompt."""

    def __init__(self, store: Store, *, on_counted: Callable[[Sample], None] | None = None) -> None:
        self._store = store
        self._on_counted = on_counted
        # Ends with a keeper wait for what their callers lock; nobody else's shall wait with them.
        self._lanes = (_Lane(self._write_all), _Lane(self._write_all))

    async def save(self, ending: Ending, keeper: Keeper | None, *, user_id: int) -> bool:
        """Writes it; False when the database would not take it (nothing is written then)."""
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._lanes[keeper is not None].take(_Waiting(ending, keeper, user_id, written))
        return await written

    # ---- in a thread ---------------------------------------------------------------------------

    def _write_all(self, batch: Sequence[_Waiting]) -> list[bool]:
        """Together or, where that fails, each by itself: one that cannot be written holds up no other."""
        try:
            self._write(batch)
        except StoreUnavailable as error:
            return self._put_off(batch, error)
        except StoreError as error:
            if len(batch) == 1:
                return self._put_off(batch, error)
        except Exception:
            if len(batch) == 1:
                _log.exception("end of generation %s", batch[0].ending.generation_id)
                return [False]
        else:
            self._learn(batch)
            return [True] * len(batch)
        return [self._write_all([one])[0] for one in batch]

    def _write(self, batch: Sequence[_Waiting]) -> None:
        with self._store.transaction() as conn:
            record_ends(conn, [one.ending for one in batch])
            keepers = [(one.keeper, one.ending.end) for one in batch if one.keeper is not None]
            keepers.sort(key=lambda kept: kept[0].place)
            for kind, kept in itertools.groupby(keepers, key=lambda kept: type(kept[0])):
                kind.write(conn, list(kept))

    def _put_off(self, batch: Sequence[_Waiting], error: StoreError) -> list[bool]:
        for one in batch:
            _log.warning("end of generation %s waits for the database (%s)", one.ending.generation_id, error.code)
        return [False] * len(batch)

    def _learn(self, batch: Sequence[_Waiting]) -> None:
        for one in batch:
            teaches = one.keeper is None or one.ending.generation_id.int % _TEACHES == 0
            if one.ending.sample is not None and self._on_counted is not None and teaches:
                self._on_counted(one.ending.sample)


class _Lane:
    """Ends that are written one batch after the other."""

    def __init__(self, write: Callable[[Sequence[_Waiting]], list[bool]]) -> None:
        self._write = write
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    def take(self, one: _Waiting) -> None:
        self._waiting.append(one)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write_on())

    async def _write_on(self) -> None:
        try:
            while self._waiting:
                batch = self._next()
                results = [False] * len(batch)
                try:
                    results = await asyncio.to_thread(self._write, batch)
                finally:
                    for one, result in zip(batch, results, strict=True):
                        if not one.written.done():
                            one.written.set_result(result)
        finally:
            self._task = None

    def _next(self) -> list[_Waiting]:
        """Of each person one answer in a chat at most, as `end_calls` wants it."""
        people: set[int] = set()
        batch: list[_Waiting] = []
        for one in self._waiting:
            if one.ending.message_id is not None and one.user_id in people:
                continue
            if one.ending.message_id is not None:
                people.add(one.user_id)
            batch.append(one)
            if len(batch) == _BATCH:
                break
        self._waiting = [one for one in self._waiting if one not in batch]
        return batch


def record_ends(conn: Connection, endings: Sequence[Ending]) -> None:
    """The one way answers end in the database, whether the hub or the reaper ends them."""
    call_ends.end_calls(conn, [_call_end(one) for one in endings])


def _call_end(ending: Ending) -> CallEnd:
    end = ending.end
    return CallEnd(
        ending.generation_id,
        ending.figures,
        ending.message_id,
        end.content,
        end.metrics.to_json(),
        ending.delta_chars,
    )

"""Keeps the catalog true: one process asks all model servers, every process sees what it found within a second.

The processes of one database share a lease; whoever holds it polls, and when its holder dies the next one takes
it. What its round left out, because it has not the key or does not know the server, is asked by those who can.
Everything here runs on the hub's event loop; the database is asked on threads.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from chatplay.errors import (
    ChatplayError,
    ProviderAuthFailed,
    ProviderBadAnswer,
    ProviderError,
    ProviderSilent,
    ProviderUnreachable,
    StoreError,
    StreamCut,
)
from chatplay.models.catalog import ModelCatalog
from chatplay.models.health import CheckResult, Health, check
from chatplay.models.health_book import NOTHING_SEEN, HealthBook, News
from chatplay.providers.registry import Upstream
from db.health import HealthRow, State
from db.upstreams import RefusedParam

_log = logging.getLogger(__name__)
_draw = random.SystemRandom().random
_JITTER = 0.1
# Failures that say something about the server; the others are about the request, or our own (RequestBroken).
_SERVER_FAULTS = (ProviderUnreachable, ProviderSilent, ProviderAuthFailed, ProviderBadAnswer, StreamCut)
_BAD_REQUESTS = (400, 413, 422)  # a program's own body can be wrong in ways that only the server can tell
T = TypeVar("T")


def _is_servers_fault(error: ProviderError) -> bool:
    return isinstance(error, _SERVER_FAULTS) and error.status not in _BAD_REQUESTS


@dataclass(frozen=True)
class Pace:
    """How often what happens, in seconds. A check must end before the next is due."""

    poll_sec: float = 15.0
    check_sec: float = 10.0
    watch_sec: float = 1.0


class HealthPoller:
    """See the module. `check_path` must answer too where it is set."""

    def __init__(
        self,
        *,
        catalog: ModelCatalog,
        book: HealthBook,
        pace: Pace,
        check_path: str | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = _draw,
    ) -> None:
        self._catalog = catalog
        self._book = book
        self._pace = pace
        self._check_path = check_path
        self._sleep = sleep
        self._draw = draw
        self._seen = NOTHING_SEEN  # revisions of registry and health
        self._round: datetime | None = None  # when the last one ended
        self._made_up: dict[str, datetime | None] = {}  # checks of this process that another's round left out
        self._leads = asyncio.Event()
        self._looking = asyncio.Lock()
        # Threads of its own: a database that hangs must not hold up the end of an answer.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="health")
        self._checking: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._chores: set[asyncio.Task[None]] = set()
        catalog.on_learned = self._note_learned

    @property
    def leads(self) -> bool:
        """True while this process is the one that polls."""
        return self._leads.is_set()

    # ---- life ----------------------------------------------------------------------------------

    async def run_forever(self) -> None:
        """Watch the database and poll while this process holds the lease, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_forever())
            group.create_task(self._poll_forever())

    async def aclose(self) -> None:
        """Ends what was begun beside `run_forever`."""
        for chore in (chores := list(self._chores)):
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)

    def release(self) -> None:
        """Gives the lease back, so that another process need not wait for it to run out."""
        self._threads.shutdown(cancel_futures=True)
        self._book.release()

    async def watch_once(self) -> None:
        """Renew or take the lease, and apply what other processes have written."""
        async with self._looking:  # an older look must not be applied after a newer one
            await self._watch()

    async def look_now(self) -> None:
        """As `watch_once`, for those who have just written; whatever fails, the next look makes up for it."""
        await self._guarded(self.watch_once())

    async def _watch(self) -> None:
        try:
            news = await self._in_thread(self._book.read, self._seen)
        except StoreError as error:
            self._leads.clear()
            self._catalog.set_polled(None, database=False)
            _log.debug("the model servers' state waits for the database (%s)", error.code)
            return
        self._apply(news)
        await self._catalog.close_retired()
        (self._leads.set if news.state.leads else self._leads.clear)()

    async def poll_once(self) -> None:
        """Ask every model server this process can ask, all at once; ends within the check's time limit in any case."""
        await asyncio.gather(*(self._check(upstream) for upstream in self._askable()))
        with suppress(StoreError):
            await self._in_thread(self._book.save_polled)
            self._catalog.set_polled(self._catalog.now(), database=True)

    def note_call(self, upstream_name: str, error: ChatplayError | None) -> None:
        """An answer has ended: what it says about its server counts too. On the hub's loop."""
        upstream = self._find(upstream_name)
        if upstream is None or (isinstance(error, ProviderError) and not _is_servers_fault(error)):
            return
        health = self._catalog.health_of(upstream_name)
        failures = health.breaker.failed_calls + health.breaker.failed_checks
        if error is not None or failures or not health.healthy:
            self._start(self._count_call(upstream, well=error is None))

    # ---- loops ---------------------------------------------------------------------------------

    async def _watch_forever(self) -> None:
        while True:
            await self._guarded(self.watch_once())
            await self._sleep(self._pace.watch_sec)

    async def _poll_forever(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            await self._leads.wait()
            started_sec = now()
            await self._guarded(self.poll_once())
            # Jitter keeps many playgrounds from asking one server in step.
            period_sec = self._pace.poll_sec * (1 + _JITTER * (2 * self._draw() - 1))
            await self._sleep(max(period_sec - (now() - started_sec), 0.0))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """A round that fails for a reason nobody thought of must not be the last one."""
        try:
            await work
        except Exception:
            _log.exception("watching the model servers")

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return task

    # ---- one upstream --------------------------------------------------------------------------

    async def _check(self, upstream: Upstream) -> None:
        """Asks it and keeps the answer. Who comes while it is being asked waits for the same answer."""
        key = (upstream.name, upstream.address)
        task = self._checking.get(key)
        if task is None:
            task = self._checking[key] = self._start(self._ask(upstream))
            task.add_done_callback(lambda _: self._checking.pop(key, None))
        await asyncio.wait([task])

    async def _ask(self, upstream: Upstream) -> None:
        provider, before = self._catalog.find_provider(upstream.name), self._catalog.health_of(upstream.name)
        if provider is None:
            return
        limit_sec, known = self._pace.check_sec, before.models or ()
        result = await check(provider, upstream, limit_sec=limit_sec, path=self._check_path, known=known)
        _log_change(upstream, before, result)
        await self._keep(upstream, before, result)

    async def _keep(self, upstream: Upstream, before: Health, result: CheckResult) -> None:
        try:
            after = await self._in_thread(self._book.save_check, upstream, result)
        except StoreError:
            after = before.after_check(result, self._catalog.now())
        self._set(upstream, after)

    async def _count_call(self, upstream: Upstream, *, well: bool) -> None:
        """Counts the call for the breaker, and looks at once whether the server is as it was thought to be."""
        before = self._catalog.health_of(upstream.name)
        try:
            after = await self._in_thread(self._book.save_call, upstream, well)
        except StoreError:
            after = replace(before, breaker=before.breaker.after_call(well, self._catalog.now()))
        self._set(upstream, after)
        if well != after.healthy:
            await self._check(upstream)

    def _set(self, upstream: Upstream, health: Health) -> None:
        known = self._find(upstream.name)
        if known is not None and known.address == upstream.address:  # it may have been changed meanwhile
            self._catalog.set_health({upstream.name: health})

    def _find(self, name: str) -> Upstream | None:
        return next((one for one in self._askable() if one.name == name), None)

    def _askable(self) -> list[Upstream]:
        return [one for one in self._catalog.upstreams if one.kind == "openai" and one.missing_key is None]

    # ---- the database --------------------------------------------------------------------------

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def _note_learned(self, base_url: str, model: str, param: str) -> None:
        self._start(self._keep_learned(RefusedParam(base_url, model, param)))

    async def _keep_learned(self, refused: RefusedParam) -> None:
        with suppress(StoreError):
            await self._in_thread(self._book.save_learned, refused)

    # ---- rows and values -----------------------------------------------------------------------

    def _apply(self, news: News) -> None:
        self._catalog.set_time(news.state.now)
        if news.upstreams is not None:
            self._catalog.set_upstreams(news.upstreams)
            self._catalog.set_refused(_by_model(news.refused))
        if news.health is not None:
            self._catalog.set_health(self._newer(news.health))
        self._catalog.set_polled(news.state.polled_at, database=True)
        self._make_up(news.state)
        if news.upstreams is not None and news.state.leads and self._seen != NOTHING_SEEN:
            self._check_new()
        self._seen = (news.state.registry_revision, news.state.health_revision)

    def _newer(self, rows: list[HealthRow]) -> dict[str, Health]:
        """What the rows say of the upstreams as they are now, unless this process knows of a later check."""
        addresses = {upstream.name: upstream.address for upstream in self._catalog.upstreams}
        found = {}
        for row in rows:
            here = self._catalog.health_of(row.upstream).checked_at
            late = here is not None and (row.checked_at is None or row.checked_at < here)
            if addresses.get(row.upstream) == row.base_url and not late:
                found[row.upstream] = self._book.health_of(row)
        return found

    def _check_new(self) -> None:
        """An upstream that was just added, changed or enabled need not wait for the next round."""
        for upstream in self._askable():
            status = self._catalog.find_status(upstream.name)
            if status is not None and status.standing in ("not checked yet", "stale"):
                self._start(self._check(upstream))

    def _make_up(self, state: State) -> None:
        """Asks what another process's round, which has just ended, left out."""
        before, self._round = self._round, state.polled_at
        if state.leads or state.polled_at == before or self._seen == NOTHING_SEEN:
            return
        for upstream in self._askable():
            checked_at = self._catalog.health_of(upstream.name).checked_at
            mine = checked_at == self._made_up.get(upstream.name)
            if checked_at is None or mine or (before is not None and checked_at <= before):
                self._start(self._check_for_others(upstream))

    async def _check_for_others(self, upstream: Upstream) -> None:
        await self._check(upstream)
        self._made_up[upstream.name] = self._catalog.health_of(upstream.name).checked_at


def _by_model(refused: list[RefusedParam]) -> Mapping[tuple[str, str], frozenset[str]]:
    found: dict[tuple[str, str], frozenset[str]] = {}
    for item in refused:
        key = (item.base_url, item.model)
        found[key] = found.get(key, frozenset()) | {item.param}
    return found


def _log_change(upstream: Upstream, before: Health, result: CheckResult) -> None:
    if result.problem is not None and (before.healthy or before.checked_at is None):
        _log.warning("model server %s is not well: %s", upstream.name, result.problem)
    elif result.healthy and before.problem is not None:
        _log.info("model server %s is well again", upstream.name)

"""The generation hub: runs every model call on its own event loop, outside page scripts and request handlers.

A rerun, a closed tab or a lost connection does not touch a generation; only its end, `stop`, a time limit
or the end of the process does.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID, uuid4

from chatplay.errors import (
    ChatplayError,
    ProviderBadAnswer,
    ProviderError,
    StreamCut,
    StreamingUnsupported,
)
from chatplay.generation.ends import EndWriter
from chatplay.generation.live import LiveGeneration
from chatplay.generation.log import EventLog
from chatplay.generation.outcome import Ending, describe
from chatplay.generation.precedence import GivingWay, Precedence
from chatplay.generation.running import Limits, Running
from chatplay.generation.tally import Tally
from chatplay.generation.values import NEVER_STREAMS, Job, Status, never_asked

T = TypeVar("T")
_log = logging.getLogger(__name__)
_KEEP_ENDED_SEC = 30.0  # an ended answer stays in memory this long for followers that come a little late
_KEEP_IN_SERIES_SEC = 2.0  # those of experiments: nobody follows them, and they come by the thousand
_SETTLE_SEC = 2.0
_TICK_SEC = 0.25
_MANY = 20  # answers at once that leave little of the interpreter to others
_LAST_WORDS_SEC = 2.0  # for chores that tidy up when they are cancelled
# Failures before the first token after which asking once more, without streaming, can help.
_WORTH_A_FALLBACK = (StreamingUnsupported, StreamCut, ProviderBadAnswer)


# Told of each call that ended by itself: the upstream's name and what failed. On the hub's loop; must not raise.
OnCall = Callable[[str, ChatplayError | None], None]


class Hub:
    """Starts, follows and stops generations; one per process."""

    def __init__(
        self,
        *,
        ends: EndWriter,
        log: EventLog,
        limits: Limits,
        at_close: Callable[[], Awaitable[None]] | None = None,
        on_call: OnCall | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owner: UUID = uuid4()
        self.tally = Tally()
        self._ends = ends
        self._event_log = log
        self._limits = limits
        self._at_close = at_close
        self._on_call = on_call
        self._chores: set[Future[Any]] = set()
        self._start_watchers: tuple[Callable[[], None], ...] = ()
        self._clock = clock
        self._running: dict[UUID, Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._begun = asyncio.Event()
        self.precedence = Precedence(lambda: self.running_count >= _MANY)
        self._loop = asyncio.SelectorEventLoop(GivingWay(self.precedence))
        self._thread = threading.Thread(target=self._run_loop, name="generation-hub", daemon=True)

    # ---- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def end_all(self) -> None:
        """Marks what still runs `interrupted`, with its text; what comes now is too late. Returns at once."""
        if self._thread.is_alive():
            self._closing = True
            self._loop.call_soon_threadsafe(self._cancel_all)

    def close(self, timeout_sec: float = 8.0) -> None:
        """Marks what still runs `interrupted`, with its text, and ends the loop."""
        if not self._thread.is_alive():
            self._loop.close()
            return
        self._closing = True
        asyncio.run_coroutine_threadsafe(self._interrupt_all(), self._loop).result(timeout=timeout_sec)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=timeout_sec)

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._ticker = self._loop.create_task(self._watch())
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    def _cancel_all(self) -> None:
        for running in list(self._running.values()):
            self._cancel(running, "interrupted")

    async def _interrupt_all(self) -> None:
        self._cancel_all()
        self._ticker.cancel()
        for chore in list(self._chores):
            chore.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        rest = asyncio.all_tasks() - {asyncio.current_task()}  # chores and ticker, cancelled but not yet awake
        if rest:
            await asyncio.wait(rest, timeout=_LAST_WORDS_SEC)
        if self._at_close is not None:
            await self._at_close()

    # ---- for services --------------------------------------------------------------------------

    def run(self, job: Job) -> None:
        """Begins the call. The job's rows must be committed. Safe from any thread."""
        if self._closing:  # too late to ask: the reaper of the next process marks it interrupted
            if job.tap is not None:
                job.tap.finish(never_asked(job), None)
            return
        now = self._clock()
        running = Running(job, LiveGeneration(self._clock), now, now, now)
        self._running[job.generation_id] = running
        self._loop.call_soon_threadsafe(self._begin, running)
        for wake in self._start_watchers:
            wake()

    def watch_starts(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Has `wake` called whenever a call begins here, on the caller's thread. Returns what ends that."""
        self._start_watchers = (*self._start_watchers, wake)

        def unwatch() -> None:
            self._start_watchers = tuple(other for other in self._start_watchers if other is not wake)

        return unwatch

    def stop(self, generation_id: UUID) -> bool:
        """Stops it: the upstream connection closes and the text so far stays. False when it does not run here."""
        running = self._running.get(generation_id)
        if running is None or running.live.end is not None:
            return False
        self._loop.call_soon_threadsafe(self._cancel, running, "stopped")
        return True

    def find_live(self, generation_id: UUID, *, user_id: int | None = None) -> LiveGeneration | None:
        """The answer in memory if this process runs it or has just ended it; with `user_id`, if it is theirs."""
        running = self._running.get(generation_id)
        if running is None or user_id not in (None, running.job.user_id):
            return None
        return running.live

    def settle(self, *, user_id: int) -> None:
        """Waits for the person's answers that have ended in memory to reach the database, too: who has seen an end
        must find it there. That takes some milliseconds; while the database is away, two seconds.
        """
        late_sec = time.monotonic() + _SETTLE_SEC
        for running in list(self._running.values()):
            if running.job.user_id == user_id and running.live.end is not None:
                running.live.saved.wait(max(late_sec - time.monotonic(), 0))

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Runs a coroutine on the hub's loop, until `close` at the latest.

        What shares the providers' connections belongs there.
        """
        chore = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._chores.add(chore)
        chore.add_done_callback(self._chores.discard)
        return chore

    def list_alive(self) -> list[UUID]:
        """Those it makes, and those whose end is not in the database yet."""
        return [gid for gid, running in list(self._running.items()) if not running.live.saved.is_set()]

    def lives_here(self, generation_id: UUID) -> bool:
        """Whether this process makes it or has just ended it."""
        return generation_id in self._running

    @property
    def running_count(self) -> int:
        return sum(running.live.end is None for running in list(self._running.values()))

    @property
    def kept_count(self) -> int:
        """Running answers and those just ended, which are kept for late followers."""
        return len(self._running)

    # ---- on the loop ---------------------------------------------------------------------------

    def _begin(self, running: Running) -> None:
        self._begun.set()
        task = self._loop.create_task(self._run(running))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _cancel(self, running: Running, why: Status | ProviderError) -> None:
        if running.why is None and running.live.end is None:
            running.why = why
            if running.task is not None:
                running.task.cancel()

    async def _run(self, running: Running) -> None:
        status, error = await self._ask_guarded(running)
        self._event_log.drop(running.job.generation_id)
        if self._on_call is not None and status in ("complete", "failed"):
            self._on_call(running.job.provider.name, error)
        ending = describe(running.outcome(status, error, ended_sec=self._clock()))
        self.tally.note(running.job.source, ending.end)
        running.live.finish(ending.end)  # readers see the end now; the database has it some milliseconds later
        if running.job.tap is not None:
            running.job.tap.finish(ending.end, error)
        if not await self._save(ending, running.job):
            return  # too late to try again: the reaper of the next process marks it interrupted
        running.live.saved.set()
        keep_sec = _KEEP_ENDED_SEC
        if running.job.keeper is not None:
            running.job.keeper.kept()
            keep_sec = _KEEP_IN_SERIES_SEC
        self._loop.call_later(keep_sec, self._running.pop, running.job.generation_id, None)

    async def _save(self, ending: Ending, job: Job) -> bool:
        """Writes the end, again and again while the database is away; False when the hub closes meanwhile."""
        pause_sec = 0.2
        while not await self._ends.save(ending, job.keeper, user_id=job.user_id):
            if self._closing:
                return False
            await asyncio.sleep(pause_sec)
            pause_sec = min(pause_sec * 2, 5.0)
        return True

    async def _ask_guarded(self, running: Running) -> tuple[Status, ChatplayError | None]:
        try:
            if running.why is None:  # else stopped before it began
                running.task = asyncio.current_task()
                running.began_sec = self._clock()
                await self._ask(running)
            else:
                raise asyncio.CancelledError
        except asyncio.CancelledError:
            why = running.why or "interrupted"
            return ("failed", why) if isinstance(why, ProviderError) else (why, None)
        except ChatplayError as error:
            return "failed", error
        except Exception:
            _log.exception("generation %s", running.job.generation_id)
            return "failed", ProviderBadAnswer(
                f"The answer of `{running.job.request.model}` could not be read.",
                provider=running.job.provider.name,
                model=running.job.request.model,
                cure="Try again; an administrator finds the details in `make logs`.",
            )
        return "complete", None

    async def _ask(self, running: Running) -> None:
        """Streams the answer; before its first token one failure may be cured by asking without streaming.

        A program's own request is asked as it wants, and once: it has its own way to try again.
        """
        if not running.job.request.stream:
            return await self._consume(running, stream=False)
        if not running.job.supports_streaming:
            running.fallback_reason = NEVER_STREAMS
            return await self._consume(running, stream=False)
        try:
            await self._consume(running, stream=True)
        except _WORTH_A_FALLBACK as error:
            own = running.job.request.relay is not None and not isinstance(error, StreamingUnsupported)
            if own or running.live.stamps or running.relayed:
                raise
            running.fallback_reason = error.message
            await self._consume(running, stream=False)

    async def _consume(self, running: Running, *, stream: bool) -> None:
        request = replace(running.job.request, stream=stream)
        live, gid, tap = running.live, running.job.generation_id, running.job.tap
        running.streaming, running.end = stream, None  # what a first try said is not said of the second
        live.begin()
        running.last_sign_sec = live.sent_sec
        async with aclosing(running.job.provider.stream(request)) as chunks:
            async for chunk in chunks:
                running.last_sign_sec = self._clock()
                running.size_bytes += chunk.size_bytes
                if chunk.opening is not None and chunk.opening.connect_ms is not None:
                    live.sent_after(chunk.opening.connect_ms)
                if chunk.reasons:
                    live.mark_reasoning()
                if chunk.text:
                    if live.chars + len(chunk.text) > running.max_chars:
                        raise running.endless()
                    seq, at_ms = live.append(chunk.text)
                    self._event_log.add(generation_id=gid, seq=seq, text=chunk.text, at_ms=at_ms)
                elif chunk.calls_tool:
                    live.mark()
                running.end = chunk.end or chunk.opening or running.end
                if tap is not None:
                    running.relayed = running.relayed or chunk.raw is not None
                    tap.take(chunk)

    async def _watch(self) -> None:
        """Ends what takes longer than it may."""
        while True:
            if not self.running_count:
                self._begun.clear()
                await self._begun.wait()
            await asyncio.sleep(_TICK_SEC)
            now = self._clock()
            for running in list(self._running.values()):
                if running.live.end is None and (late := running.overdue(self._limits, now)):
                    self._cancel(running, late)

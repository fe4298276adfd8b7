"""Who reads along in which chat: each member learns of every new answer, wherever and by whom it was asked for."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from uuid import UUID

from chatplay.chats.log import AnswerRef
from chatplay.errors import ChatplayError
from chatplay.runtime import Runtime

_log = logging.getLogger(__name__)
Look = Callable[[Mapping[UUID, int]], list[AnswerRef]]
Run = Callable[[Look, Mapping[UUID, int]], Awaitable[list[AnswerRef]]]
_LOOK_SEC = 1.0  # for answers begun in other processes; those begun here are known at once


class Member:
    """One reader of one chat; `cursor` is the message id of the newest answer it knows."""

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor
        self._answers: asyncio.Queue[tuple[AnswerRef, int | None]] = asyncio.Queue()

    def offer(self, answer: AnswerRef, frame: int | None = None) -> None:
        """Passes on an answer that is new to it, or that its own `frame` (by number) asked for, new or not."""
        message_id = answer.message_id or 0
        if message_id > self.cursor or frame is not None:
            self.cursor = max(self.cursor, message_id)
            self._answers.put_nowait((answer, frame))

    async def next_answer(self) -> tuple[AnswerRef, int | None]:
        """An answer, and the frame that asked for it; None for what was asked for elsewhere."""
        return await self._answers.get()


class Rooms:
    """All readers of one event loop. One query, on a thread of `run`, tells of all of them."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._members: dict[UUID, list[Member]] = defaultdict(list)
        self._poked = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def join(self, runtime: Runtime, chat_id: UUID, cursor: int) -> Generator[Member, None, None]:
        """A member that learns of the answers above `cursor`. Callers have found the chat to be the person's own."""
        member = Member(cursor)
        self._members[chat_id].append(member)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(runtime))
        self._poked.set()
        try:
            yield member
        finally:
            self._members[chat_id].remove(member)
            if not self._members[chat_id]:
                del self._members[chat_id]
            self._poked.set()

    async def _look(self, runtime: Runtime) -> None:
        loop = asyncio.get_running_loop()

        def poke() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._poked.set)

        unwatch = runtime.generations.hub.watch_starts(poke)
        try:
            while self._members:
                self._poked.clear()
                try:
                    await self._look_once(runtime)
                except ChatplayError as error:
                    _log.warning("rooms wait for the database (%s)", error.code)
                except Exception:  # a look that fails for a reason nobody thought of must not be the last one
                    _log.exception("new answers in rooms")
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SEC):
                        await self._poked.wait()
        finally:
            unwatch()

    async def _look_once(self, runtime: Runtime) -> None:
        after = {chat_id: min(one.cursor for one in members) for chat_id, members in self._members.items()}
        for answer in await self._run(runtime.chat_log.list_new_answers, after):
            if answer.session_id is not None:
                for member in self._members.get(answer.session_id, ()):
                    member.offer(answer)

"""`/ws/chat/{session_id}/`: prompts in, the chat's answers out, to every socket that is open on it.

The first frame carries the parameters: a prompt to send, or where to go on reading. All frames are JSON objects.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from anyio import CancelScope
from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from chatplay import errors
from chatplay.api.audience import Seat
from chatplay.api.edge import hang_up
from chatplay.api.errors import detail_of, plain_detail, request_id_of
from chatplay.api.events import Event, error_event
from chatplay.api.frames import BadFrame, Frame, read_frame
from chatplay.api.generations import answer_ref, begin_turn, read_on
from chatplay.api.keys import request_key
from chatplay.api.rooms import Member, Rooms
from chatplay.api.services import Services
from chatplay.api.shapes import GenerateIn
from chatplay.api.who import Caller, resolve, seating
from chatplay.chats.log import AnswerRef, LastAnswer
from chatplay.chats.values import Turn
from chatplay.errors import ChatplayError
from chatplay.runtime import Runtime

router = APIRouter()
_FIRST_FRAME_SEC = 30.0
# The HTTP status each code stands for is its last three digits.
_CLOSE_CODES: tuple[tuple[type[ChatplayError], int], ...] = (
    (errors.NotSignedIn, 4401),
    (errors.NotAllowed, 4403),
    (errors.NotFound, 4404),
    (errors.TooManyRequests, 4429),
    (errors.StoreError, 1013),
)


@router.websocket("/ws/chat/{session_id}/")
async def chat_socket(socket: WebSocket, session_id: str) -> None:
    """A socket on one chat of the caller's."""
    services: Services = socket.app.state.services
    rooms = services.rooms
    await socket.accept()
    request_id = request_id_of(socket)
    talk: _Conversation | None = None
    try:
        rt = await services.runtime()
        caller = await services.run(resolve, rt, socket, "read")
        chat_id = _chat_id(session_id)
        last = await services.run(rt.chat_log.find_last_answer, user_id=caller.user_id, chat_id=chat_id)
        with seating(services, rt, socket, caller, "read")() as seat:
            talk = _Conversation(socket, services, rt, caller, chat_id, request_id, seat)
            await talk.run(rooms, last)
    except ChatplayError as error:
        code = next((code for kind, code in _CLOSE_CODES if isinstance(error, kind)), 1011)
        place = talk.place if talk is not None else None
        await _close(socket, error_event(detail_of(error, request_id), place), code)
    except _SlowReader:
        await hang_up(socket.scope)
    except (WebSocketDisconnect, TimeoutError):
        await _close(socket, None, 4408)


class _SlowReader(Exception):
    """Whoever is at the other end takes nothing."""


@dataclass(eq=False)
class _Leg:
    """An answer to pass on, and the number of the last event of it that went out; None before the first."""

    answer: AnswerRef
    after_seq: int | None = None


class _Conversation:
    """One open socket: frames are read and answers sent by two tasks."""

    def __init__(
        self,
        socket: WebSocket,
        services: Services,
        rt: Runtime,
        caller: Caller,
        chat_id: UUID,
        request_id: str,
        seat: Seat,
    ) -> None:
        self._socket = socket
        self._services = services
        self._rt = rt
        self._caller = caller
        self._chat_id = chat_id
        self._request_id = request_id
        self._seat = seat
        self._params: dict[str, Any] = {}
        self._frames = 0  # that have come
        self._legs: list[_Leg] = []  # the last one is being passed on, those before it were interrupted
        self._passing_on = CancelScope()
        self._ended: dict[UUID, int] = {}  # generations sent to their end, and how many frames had come by then
        self._sending = asyncio.Lock()
        self.place: int | None = None  # the number of the last event that went out, or that the client said it has

    async def run(self, rooms: Rooms, last: LastAnswer) -> None:
        """To the end of the socket. `last` stood in the chat when it was opened."""
        async with asyncio.timeout(_FIRST_FRAME_SEC):
            while (first := await self._receive()) is None:
                pass
        if last.streaming:
            await self._follow(Frame(), last)
        if first.kind == "follow":  # it says where to begin: nothing is sent before that is found
            await self._carry_out(self._follow(first, last))
        with rooms.join(self._rt, self._chat_id, last.message_id) as member:
            tasks = [
                asyncio.create_task(self._read(member, first if first.kind != "follow" else None)),
                asyncio.create_task(self._write(member)),
                asyncio.create_task(self._seat.until_lost()),
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    # ---- frames in -----------------------------------------------------------------------------

    async def _read(self, member: Member, frame: Frame | None) -> None:
        while True:
            if frame is not None:
                await self._carry_out(self._act(member, frame))
            frame = await self._receive()

    async def _receive(self) -> Frame | None:
        """The next frame; None after one that could not be used, which was said."""
        message = await self._socket.receive()
        self._frames += 1
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        try:
            return read_frame(message.get("text"), most_chars=self._rt.settings.api_max_body_kb * 1024)
        except BadFrame as bad:
            # Counted, too: a flood of bad frames is a flood.
            await self._services.run(resolve, self._rt, self._socket, "read")
            await self._tell(plain_detail("bad_frame", bad.message, self._request_id, cure=bad.cure, param=bad.param))
            return None

    async def _carry_out(self, work: Awaitable[None]) -> None:
        """What keeps a frame from being carried out is said; who is not signed in any more is sent away."""
        try:
            await work
        except errors.NotSignedIn:
            raise
        except ChatplayError as error:
            await self._tell(detail_of(error, self._request_id))

    async def _act(self, member: Member, frame: Frame) -> None:
        if frame.kind == "message":
            await self._prompt(member, frame)
            return
        run, chat_id = self._services.run, self._chat_id
        caller = await run(resolve, self._rt, self._socket, "chat" if frame.kind == "stop" else "read")
        if frame.kind == "stop":
            await run(self._rt.chats.stop_coming, user_id=caller.user_id, chat_id=chat_id)
        else:
            last = await run(self._rt.chat_log.find_last_answer, user_id=caller.user_id, chat_id=chat_id)
            await self._follow(frame, last)

    async def _prompt(self, member: Member, frame: Frame) -> None:
        params = frame.params or self._params
        body = GenerateIn(content=frame.content, message_id=frame.message_id, params=params)
        turn = await self._services.run(self._begin, body, frame.idempotency_key)
        self._params = params
        member.offer(answer_ref(turn), self._frames)

    def _begin(self, body: GenerateIn, idempotency_key: str | None) -> Turn:
        """Looks who asks and begins the turn, on one thread."""
        caller = resolve(self._rt, self._socket, "chat")
        key = request_key(caller, "generate", idempotency_key, about=self._chat_id)
        return begin_turn(self._rt, caller, self._chat_id, body, key, "websocket")

    async def _follow(self, frame: Frame, last: LastAnswer) -> None:
        """Goes on where the frame says. Another answer that this interrupts is gone on with afterwards."""
        self._params = frame.params or self._params
        message_id = frame.message_id or last.message_id
        names_a_place = frame.message_id is not None or frame.after_seq is not None
        if message_id == 0 or not (names_a_place or last.streaming):
            return
        found = await self._services.run(
            self._rt.chat_log.find_message,
            user_id=self._caller.user_id,
            chat_id=self._chat_id,
            message_id=message_id,
        )
        if found.generation_id is None:
            raise errors.NotFound("This message is no answer.", cure="Follow the id of a message_start.")
        answer = AnswerRef(found.generation_id, self._chat_id, found.id, found.created_at)
        others = [leg for leg in self._legs if leg.answer.generation_id != answer.generation_id]
        self._legs = [*others, _Leg(answer, frame.after_seq)]
        if frame.after_seq is not None:
            self.place = frame.after_seq
        self._passing_on.cancel()

    # ---- answers out ---------------------------------------------------------------------------

    async def _write(self, member: Member) -> None:
        while True:
            with CancelScope() as self._passing_on:
                if not self._legs:
                    answer, frame = await member.next_answer()
                    # A prompt that was sent before is answered again, unless that was done while it was looked up; an
                    # answer that a frame asked for in the meantime was sent already.
                    if self._ended.get(answer.generation_id, -1) >= (frame or 0):
                        continue
                    self._legs.insert(0, _Leg(answer))  # below what a frame may have asked for in this moment
                leg = self._legs[-1]
                await self._pass_on(leg)
                self._legs = [one for one in self._legs if one is not leg]

    async def _pass_on(self, leg: _Leg) -> None:
        events = await read_on(
            self._services, self._rt, self._caller, leg.answer, after_seq=leg.after_seq, request_id=self._request_id
        )
        if events is not None:
            async with aclosing(events) as coming:
                async for event in coming:
                    if event is not None:  # heartbeats are the server's pings here
                        with CancelScope(shield=True):  # sent and noted, or neither
                            await self._send(event)
                            leg.after_seq = event.seq
        self._ended[leg.answer.generation_id] = self._frames

    async def _send(self, event: Event) -> None:
        async with self._way_out():
            await self._socket.send_text(event.data)
            self.place = event.seq

    async def _tell(self, detail: dict[str, Any]) -> None:
        """An error that belongs to no answer."""
        async with self._way_out():
            await self._socket.send_text(error_event(detail, self.place).data)

    @asynccontextmanager
    async def _way_out(self) -> AsyncGenerator[None, None]:
        """One event at a time."""
        async with self._sending:
            try:
                async with asyncio.timeout(self._rt.settings.api_slow_reader_sec):
                    yield
            except TimeoutError:
                raise _SlowReader from None


def _chat_id(session_id: str) -> UUID:
    try:
        return UUID(session_id)
    except ValueError:
        raise errors.NotFound("There is no such chat.", cure="It may have been deleted.") from None


async def _close(socket: WebSocket, event: Event | None, code: int) -> None:
    with suppress(RuntimeError, WebSocketDisconnect, OSError):  # the other side may be gone already
        if socket.application_state is WebSocketState.CONNECTED and socket.client_state is WebSocketState.CONNECTED:
            if event is not None:
                await socket.send_text(event.data)
            await socket.close(code)

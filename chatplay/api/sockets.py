"""`/ws/chat/{session_id}/`: prompts in, the chat's answers out, to every socket that is open on it.

The first frame carries the parameters: a prompt to send, or where to go on reading. All frames are JSON objects.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from chatplay import errors
from chatplay.api.audience import Seat
from chatplay.api.edge import hang_up, too_deep
from chatplay.api.errors import detail_of, plain_detail, request_id_of
from chatplay.api.events import Event, error_event
from chatplay.api.generations import answer_ref, begin_turn, read_on
from chatplay.api.keys import request_key
from chatplay.api.rooms import Member, Rooms
from chatplay.api.services import Services
from chatplay.api.shapes import Body, GenerateIn, ParamsIn
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


class Frame(Body):
    """What a client sends. A `message` begins an answer; `follow` reads on, after `after_seq` of the answer
    `message_id` (the newest without one); `stop` ends the answer that is coming.
    """

    type: Literal["message", "follow", "stop"] | None = None
    content: str | None = Field(None, min_length=1)
    message_id: int | None = Field(None, ge=1, le=2**63 - 1)
    params: ParamsIn = Field(default_factory=dict)
    after_seq: int | None = Field(None, ge=0, le=999_999_999)
    idempotency_key: str | None = Field(None, min_length=1, max_length=255)

    @property
    def kind(self) -> str:
        return self.type or ("follow" if self.content is None else "message")


@router.websocket("/ws/chat/{session_id}/")
async def chat_socket(socket: WebSocket, session_id: str) -> None:
    """A socket on one chat of the caller's."""
    services: Services = socket.app.state.services
    rooms = services.rooms
    await socket.accept()
    request_id = request_id_of(socket)
    try:
        rt = await services.runtime()
        caller = await services.run(resolve, rt, socket, "read")
        chat_id = _chat_id(session_id)
        last = await services.run(rt.chat_log.find_last_answer, user_id=caller.user_id, chat_id=chat_id)
        with seating(services, rt, socket, caller, "read")() as seat:
            await _Conversation(socket, services, rt, caller, chat_id, request_id, seat).run(rooms, last)
    except ChatplayError as error:
        code = next((code for kind, code in _CLOSE_CODES if isinstance(error, kind)), 1011)
        await _close(socket, error_event(detail_of(error, request_id)), code)
    except _SlowReader:
        await hang_up(socket.scope)
    except (WebSocketDisconnect, TimeoutError):
        await _close(socket, None, 4408)


class _SlowReader(Exception):
    """Whoever is at the other end takes nothing."""


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
        self._coming: UUID | None = None  # the generation that is being sent
        self._frames = 0  # that have come
        self._ended: dict[UUID, int] = {}  # generations sent to their end, and how many frames had come by then
        self._sending = asyncio.Lock()

    async def run(self, rooms: Rooms, last: LastAnswer) -> None:
        async with asyncio.timeout(_FIRST_FRAME_SEC):
            first = await self._receive()
        resumed = await self._resumed(first, last)
        cursor = last.message_id - 1 if last.streaming and resumed is None else last.message_id
        with rooms.join(self._rt, self._chat_id, cursor) as member:
            tasks = [
                asyncio.create_task(self._read(member, first)),
                asyncio.create_task(self._write(member, resumed, first.after_seq if first else None)),
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
                await self._act(member, frame)
            frame = await self._receive()

    async def _receive(self) -> Frame | None:
        """The next frame; None after one that could not be used, which was said."""
        message = await self._socket.receive()
        self._frames += 1
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        text = message.get("text")
        if text is None:
            await self._refuse("A frame must be text that holds a JSON object.")
            return None
        most = self._rt.settings.api_max_body_kb * 1024
        if len(text) > most or too_deep(text.encode("utf-8", "surrogatepass")):
            await self._refuse(f"The frame has more than {most:,} characters or is nested too deep.")
            return None
        try:
            return Frame.model_validate_json(text)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
            path = ".".join(map(str, problem["loc"])) or None
            await self._refuse(f"The frame cannot be used: {problem['msg']}.", param=path)
            return None

    async def _refuse(self, message: str, param: str | None = None) -> None:
        """Said, and counted: a flood of bad frames is a flood."""
        await self._services.run(resolve, self._rt, self._socket, "read")
        await self._send(error_event(plain_detail("bad_frame", message, self._request_id, param=param)))

    async def _act(self, member: Member, frame: Frame) -> None:
        try:
            if frame.kind == "message":
                await self._prompt(member, frame)
            elif frame.kind == "stop":
                await self._stop()
        except errors.NotSignedIn:
            raise
        except ChatplayError as error:
            await self._say(error)

    async def _say(self, error: ChatplayError) -> None:
        await self._send(error_event(detail_of(error, self._request_id)))

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

    async def _stop(self) -> None:
        caller = await self._services.run(resolve, self._rt, self._socket, "chat")
        if self._coming is not None:
            await self._services.run(self._rt.chats.stop, user_id=caller.user_id, generation_id=self._coming)

    # ---- answers out ---------------------------------------------------------------------------

    async def _resumed(self, first: Frame | None, last: LastAnswer) -> AnswerRef | None:
        """The answer the first frame wants to go on with, if it does."""
        if first is None or first.kind != "follow" or (first.after_seq is None and first.message_id is None):
            return None
        message_id = first.message_id or last.message_id
        if message_id == 0:
            return None
        found = await self._services.run(
            self._rt.chat_log.find_message,
            user_id=self._caller.user_id,
            chat_id=self._chat_id,
            message_id=message_id,
        )
        if found.generation_id is None:
            raise errors.NotFound("This message is no answer.", cure="Follow the id of a message_start.")
        return AnswerRef(found.generation_id, self._chat_id, found.id, found.created_at)

    async def _write(self, member: Member, resumed: AnswerRef | None, after_seq: int | None) -> None:
        if resumed is not None:
            await self._pass_on(resumed, after_seq)
        while True:
            answer, frame = await member.next_answer()
            # A prompt that was sent before is answered again, unless that was done while it was looked up.
            if frame is None or self._ended.get(answer.generation_id, 0) < frame:
                await self._pass_on(answer, None)

    async def _pass_on(self, answer: AnswerRef, after_seq: int | None) -> None:
        events = await read_on(
            self._services, self._rt, self._caller, answer, after_seq=after_seq, request_id=self._request_id
        )
        self._coming = answer.generation_id
        try:
            if events is not None:
                await self._send_all(events)
            self._ended[answer.generation_id] = self._frames
        finally:
            self._coming = None

    async def _send_all(self, events: AsyncGenerator[Event | None, None]) -> None:
        async with aclosing(events) as coming:
            async for event in coming:
                if event is not None:  # heartbeats are the server's pings here
                    await self._send(event)

    async def _send(self, event: Event) -> None:
        try:
            async with self._sending, asyncio.timeout(self._rt.settings.api_slow_reader_sec):
                await self._socket.send_text(event.data)
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

"""Answers: asked for and waited for, followed as server-sent events from any process, stopped."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from chatplay.api.errors import answer as error_answer
from chatplay.api.errors import documented, request_id_of, status_of_code
from chatplay.api.events import Event, EventStream, error_of, events_of, last_seq
from chatplay.api.keys import IdempotencyKey, request_key
from chatplay.api.services import Rt, Services, Threads
from chatplay.api.sessions import as_content
from chatplay.api.shapes import Answer, AnswerErrorBody, GenerateIn, Started, answer_of
from chatplay.api.who import Caller, Chatter, Reader, seating
from chatplay.calls import no_such_answer
from chatplay.chats.log import AnswerRef
from chatplay.chats.values import Turn
from chatplay.errors import BadInput
from chatplay.generation.followers import Source
from chatplay.generation.values import GenerationEnd
from chatplay.runtime import Runtime

router = APIRouter(prefix="/v1/chat", tags=["Answers"])
_KINDS = ["message_start", "delta", "error", "message_end"]
_EVENT = {
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "description": "The number of the event, its `seq`."},
        "event": {"type": "string", "enum": _KINDS},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_EXAMPLE = 'id: 1\nevent: delta\ndata: {"type":"delta","id":7,"content_chunk":"Hello","seq":1}\n\n'
_STREAM = {"text/event-stream": {"schema": _EVENT, "example": _EXAMPLE}}
_FAILED = {code: about | {"model": AnswerErrorBody} for code, about in documented(400, 404, 429, 502, 503, 504).items()}
LastEventId = Annotated[str | None, Header(pattern=r"^\d{0,9}$", description="As browsers send it.")]


@router.post(
    "/sessions/{session_id}/generate",
    response_model=Answer,
    responses={
        200: {"content": _STREAM, "description": "The whole answer; with `stream` its events as they come."},
        202: {"model": Started, "description": "With `wait: false`: the answer is on its way."},
        204: {"description": "With `stream`, `Last-Event-ID` and a key that was sent before: you have seen the end."},
        **documented(409),
        **_FAILED,
    },
)
async def generate(
    session_id: UUID,
    body: GenerateIn,
    request: Request,
    caller: Chatter,
    rt: Rt,
    threads: Threads,
    idempotency_key: IdempotencyKey = None,
    last_event_id: LastEventId = None,
) -> Any:
    """Sends a prompt, or answers a message that stands there, and waits for the whole answer.

    The answer goes on when the connection breaks: ask again with the same Idempotency-Key to get it; with `stream`
    and the number of the event you saw last as Last-Event-ID, only what you have not seen.
    """
    key = request_key(caller, "generate", idempotency_key, about=session_id)
    if body.stream:
        with ExitStack() as held:  # a seat, before anything is asked
            held.enter_context(threads.audience.hold(rt, caller.user_id))
            turn = await threads.run(begin_turn, rt, caller, session_id, body, key, "rest")
            seen = last_event_id if idempotency_key else None  # of a new answer nothing was
            after = int(seen) if seen else None
            return await _stream(threads, rt, caller, answer_ref(turn), request, after_seq=after, held=held)
    turn = await threads.run(begin_turn, rt, caller, session_id, body, key, "rest")
    if not body.wait:
        return JSONResponse(_started(turn).model_dump(mode="json"), status_code=202)
    end = await wait_for_end(threads, rt, caller, turn.generation_id)
    await threads.run(rt.generations.hub.settle, user_id=caller.user_id)
    if end.status == "failed":
        return _failed(turn, end, request_id_of(request))
    return answer_of(turn.assistant_message, turn.user_message.id, turn.generation_id, end)


@router.get(
    "/generations/{generation_id}/events",
    response_class=Response,
    responses={
        200: {"content": _STREAM, "description": "message_start, delta, error and message_end, with `id` = seq."},
        204: {"description": "The events you have are all there are: do not connect again."},
    },
)
async def follow_generation(
    generation_id: UUID,
    request: Request,
    caller: Reader,
    rt: Rt,
    threads: Threads,
    last_event_id: LastEventId = None,
    after_seq: Annotated[int | None, Query(ge=0, le=999_999_999, description="The same, for other clients.")] = None,
) -> Response:
    """The events of an answer as server-sent events, from the start or after the one you saw last.

    It works in whatever process the answer is made. Nothing is repeated and nothing left out.
    """
    answer = await threads.run(rt.chat_log.get_answer, user_id=caller.user_id, generation_id=generation_id)
    after = int(last_event_id) if last_event_id else after_seq
    return await _stream(threads, rt, caller, answer, request, after_seq=after)


@router.post("/generations/{generation_id}/stop", status_code=202)
async def stop_generation(generation_id: UUID, caller: Chatter, rt: Rt, threads: Threads) -> dict[str, str]:
    """Asks for the end of an answer, in whatever process it is made; the text so far stays."""
    await threads.run(rt.chats.stop, user_id=caller.user_id, generation_id=generation_id)
    return {"status": "stopping"}


# ---- shared with the WebSocket -----------------------------------------------------------------


def begin_turn(rt: Runtime, caller: Caller, chat_id: UUID, body: GenerateIn, key: UUID, source: str) -> Turn:
    """Starts the answer that `body` asks for. Blocks. Raises what `rt.chats.send` raises."""
    common: dict[str, Any] = {
        "user_id": caller.user_id,
        "role": caller.role,
        "chat_id": chat_id,
        "params": body.params,
        "request_key": key,
        "source": source,
    }
    try:
        if body.content is not None and body.message_id is not None:
            return rt.chats.edit(**common, message_id=body.message_id, text=body.content)
        if body.content is not None:
            return rt.chats.send(**common, text=body.content)
        return rt.chats.regenerate(**common, message_id=body.message_id)
    except BadInput as error:
        raise as_content(error) from None


def answer_ref(turn: Turn) -> AnswerRef:
    message = turn.assistant_message
    return AnswerRef(turn.generation_id, message.session_id, message.id, message.created_at)


async def find_source(threads: Services, rt: Runtime, caller: Caller, generation_id: UUID) -> Source:
    """Where the caller's answer can be looked at; in this process's memory, without a thread. Raises NotFound."""
    live = rt.calls.find_live(user_id=caller.user_id, generation_id=generation_id)
    if live is not None:
        return live
    return await threads.run(rt.calls.find_source, user_id=caller.user_id, generation_id=generation_id)


async def wait_for_end(threads: Services, rt: Runtime, caller: Caller, generation_id: UUID) -> GenerationEnd:
    """The end of the caller's answer. No thread waits for it."""
    source = await find_source(threads, rt, caller, generation_id)
    async with aclosing(threads.followers.follow(source)) as updates:
        async for update in updates:
            if update.end is not None:
                return update.end
    raise no_such_answer()


async def read_on(
    threads: Services, rt: Runtime, caller: Caller, answer: AnswerRef, *, after_seq: int | None, request_id: str
) -> AsyncGenerator[Event | None, None] | None:
    """The events of the caller's answer after `after_seq` (None: all of them), as they come; None where it has seen
    the last one. Raises NotFound.
    """
    over = await threads.run(_last_seq, rt, caller, answer.generation_id, after_seq) if after_seq else None
    if after_seq and over is not None and after_seq >= over:
        return None
    source = await find_source(threads, rt, caller, answer.generation_id)  # anew: one knows what its reader has seen
    updates = threads.followers.follow(source, after_seq=after_seq or 0)
    return events_of(answer, updates, after_seq=after_seq, was_over=over is not None, request_id=request_id)


def _last_seq(rt: Runtime, caller: Caller, generation_id: UUID, after_seq: int) -> int | None:
    source = rt.calls.find_source(user_id=caller.user_id, generation_id=generation_id)
    return last_seq(source.look(after_seq))


# ---- what is sent ------------------------------------------------------------------------------


async def _stream(
    threads: Services,
    rt: Runtime,
    caller: Caller,
    answer: AnswerRef,
    request: Request,
    *,
    after_seq: int | None,
    held: ExitStack | None = None,
) -> Response:
    request_id = request_id_of(request)
    events = await read_on(threads, rt, caller, answer, after_seq=after_seq, request_id=request_id)
    if events is None:
        return Response(status_code=204)
    return EventStream(
        events,
        slow_reader_sec=rt.settings.api_slow_reader_sec,
        sit=seating(threads, rt, request, caller, "read", held.pop_all() if held is not None else None),
        request_id=request_id,
    )


def _failed(turn: Turn, end: GenerationEnd, request_id: str) -> Response:
    """Names what stands in the chat. A failure told once more names no wait: how much of it has passed is not kept."""
    ids = {"message_id": turn.assistant_message.id, "generation_id": str(turn.generation_id)}
    detail = error_of(end.metrics, request_id) | ids
    if turn.assistant_message.status != "streaming":
        detail.pop("retry_after_sec", None)
    return error_answer(detail, status_of_code(end.metrics.error_code))


def _started(turn: Turn) -> Started:
    return Started(
        id=turn.assistant_message.id,
        session_id=turn.assistant_message.session_id,
        user_message_id=turn.user_message.id,
        generation_id=turn.generation_id,
        status=turn.assistant_message.status,
        events_url=f"/v1/chat/generations/{turn.generation_id}/events",
    )

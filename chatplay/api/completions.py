"""`/v1/chat/completions` and `/v1/models` for programs written for OpenAI: the same hub, usage log and limits as the
pages, in OpenAI's words. A call ends with the connection that asked for it, because nobody else can read it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from chatplay.api import completions_docs as docs
from chatplay.api.completions_errors import INTERRUPTED, SERVER_HAD_AN_ERROR, Fault, fault_of
from chatplay.api.completions_events import Events, whole
from chatplay.api.completions_models import describe_model, find_model, list_models
from chatplay.api.completions_pipe import Pipe
from chatplay.api.completions_request import Asked, check_model_takes, params_for, read
from chatplay.api.edge import hang_up
from chatplay.api.errors import request_id_of
from chatplay.api.services import Rt, Threads
from chatplay.api.who import Chatter, Reader, Seating, seating
from chatplay.calls import Call, Calls
from chatplay.errors import ChatplayError
from chatplay.models.catalog import ModelCatalog

_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]


class OpenAIRoute(APIRoute):
    """A route whose failures, also those of its dependencies, are in OpenAI's words."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_in_their_words(request: Request) -> Response:
            try:
                return await handle(request)
            except ChatplayError as error:
                return refusal(fault_of(error), request_id_of(request))

        return handle_in_their_words


router = APIRouter(tags=["OpenAI-compatible"], route_class=OpenAIRoute)


@router.get("/v1/models", responses=docs.MODEL_LIST)
async def list_openai_models(caller: Reader, rt: Rt) -> JSONResponse:
    """The models that run and are open to you, as OpenAI lists them. A name that several servers have stands for
    the first of them; the others are called `server/name`.
    """
    return JSONResponse({"object": "list", "data": list_models(rt.catalog, caller.role)})


@router.get("/v1/models/{model_id:path}", responses=docs.MODEL)
async def get_openai_model(model_id: str, caller: Reader, rt: Rt) -> JSONResponse:
    """One model as OpenAI describes it; ids may contain slashes."""
    return JSONResponse(describe_model(rt.catalog, model_id, caller.role))


@router.post("/v1/chat/completions", responses=docs.COMPLETION, openapi_extra=docs.REQUEST)
async def create_chat_completion(request: Request, caller: Chatter, rt: Rt, threads: Threads) -> Response:
    """An answer, whole or as server-sent events, to a request as OpenAI defines it."""
    asked = read(await request.body(), max_chars=rt.settings.max_prompt_chars)
    pipe = Pipe(asyncio.get_running_loop())
    call = _call(asked, rt.catalog, user_id=caller.user_id, role=caller.role, pipe=pipe)
    return Completion(
        asked=asked,
        call=call,
        pipe=pipe,
        calls=rt.calls,
        start=lambda: threads.run(rt.calls.start, call),
        slow_reader_sec=rt.settings.api_slow_reader_sec,
        request_id=request_id_of(request),
        sit=seating(threads, rt, request, caller, "chat"),
    )


def _call(asked: Asked, catalog: ModelCatalog, *, user_id: int, role: str, pipe: Pipe) -> Call:
    """Raises BadInput, NotFound, or ProviderUnreachable while the model's server is left alone."""
    model = find_model(catalog, asked.model, role)
    check_model_takes(asked, model)
    params = params_for(asked, model)
    catalog.check_open(model)
    return Call(
        user_id=user_id,
        model=model,
        messages=asked.messages,
        params=params,
        source="completions",
        keeps_answer=False,
        stream=asked.streams_upstream,
        relay=asked.relay,
        tap=pipe,
    )


def refusal(fault: Fault, request_id: str) -> JSONResponse:
    headers = dict(fault.headers)
    if fault.status == 401:
        headers["www-authenticate"] = 'Bearer realm="Chat Playground"'
    return JSONResponse(fault.body(request_id), status_code=fault.status, headers=headers)


class Completion(Response):
    """The answer to one request. The status waits for the first token, so that what fails before it is an error
    of HTTP; what fails later ends the stream with an event.
    """

    def __init__(
        self,
        *,
        asked: Asked,
        call: Call,
        pipe: Pipe,
        calls: Calls,
        start: Callable[[], Awaitable[Any]],
        slow_reader_sec: float,
        request_id: str,
        sit: Seating,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._stream, self._call, self._pipe, self._calls, self._start = asked.stream, call, pipe, calls, start
        self._slow_reader_sec = slow_reader_sec
        self._request_id = request_id
        self._sit = sit
        self._lost: ChatplayError | None = None  # why the caller may read no more
        self._named = _Named(f"chatcmpl-{call.generation_id.hex}", int(clock()), asked.model)
        self._events = Events(**vars(self._named), include_usage=asked.include_usage)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch = asyncio.ensure_future(self._watch(receive))
        began = False
        try:
            with self._sit() as seat:
                seat.lost.add_done_callback(self._lose)
                await self._start()
                began = True
                await (self._send_stream if self._stream else self._send_whole)(scope, receive, send)
        except ChatplayError as error:  # no seat, or the database would not open the call
            await refusal(fault_of(error), self._request_id)(scope, receive, send)
        except TimeoutError:  # a reader that takes nothing
            await hang_up(scope)
        finally:
            watch.cancel()
            if began and self._pipe.end is None:
                with suppress(RuntimeError):  # the hub has closed
                    self._calls.stop_unchecked(self._call.generation_id)

    def _lose(self, lost: asyncio.Future[ChatplayError]) -> None:
        if not lost.cancelled():
            self._lost = lost.result()
            self._pipe.leave()

    async def _watch(self, receive: Receive) -> None:
        """A client that hangs up is seen at once, also while the model says nothing."""
        message: Message = {}
        while message.get("type") != "http.disconnect":
            message = await receive()
        self._pipe.leave()

    async def _send_whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        pipe = self._pipe
        while pipe.end is None and not pipe.reader_left:
            await pipe.read()
        fault = self._fault()
        if fault is not None:
            await refusal(fault, self._request_id)(scope, receive, send)
        if fault is not None or pipe.end is None:
            return
        body = whole(**vars(self._named), end=pipe.end, raws=pipe.raws, said=pipe.said)
        await JSONResponse(body)(scope, receive, send)

    async def _send_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        pipe, events = self._pipe, self._events
        chunks = await pipe.read()
        if (not chunks or self._lost is not None) and (fault := self._fault()) is not None:
            await refusal(fault, self._request_id)(scope, receive, send)
            return
        if not pipe.reader_left:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            await self._send(send, events.first())
        while chunks and not pipe.reader_left:
            await self._send(send, b"".join(map(events.of, chunks)))
            chunks = await pipe.read()
        if self._lost is not None or not pipe.reader_left:
            await self._send(send, b"".join(self._last()), more=False)

    def _last(self) -> Iterable[bytes]:
        fault, end = self._fault(), self._pipe.end
        if fault is not None or end is None:
            return [self._events.failed(fault or INTERRUPTED, self._request_id)]
        return self._events.last(end, self._pipe.said)

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        """Raises TimeoutError for a reader that takes nothing for too long."""
        async with asyncio.timeout(self._slow_reader_sec):
            await send({"type": "http.response.body", "body": body, "more_body": more})

    def _fault(self) -> Fault | None:
        """Why there is no whole answer, once it has ended or may be read no more."""
        if self._lost is not None:
            return fault_of(self._lost)
        end, error = self._pipe.end, self._pipe.error
        if error is not None:
            return fault_of(error)
        if end is None or end.status in ("complete", "stopped"):
            return None
        return INTERRUPTED if end.status == "interrupted" else SERVER_HAD_AN_ERROR


@dataclass(frozen=True)
class _Named:
    completion_id: str
    created: int
    model: str

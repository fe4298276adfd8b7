"""Any OpenAI-compatible server, through the openai SDK: its request, auth and error handling are used, its
per-chunk parsing is not, because decoding the events ourselves costs a tenth of the CPU (bench/provider_cpu.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

import openai

from chatplay.errors import ConfigError, ProviderError
from chatplay.providers import faults
from chatplay.providers.base import Chunk, End, Request
from chatplay.providers.faults import Caller, Refusal
from chatplay.providers.openai_answer import AnswerReader, NotTheProtocol, Piece, read_whole, storable
from chatplay.providers.sse import EventTooLong, SseDecoder

OPENAI_URL = "https://api.openai.com/v1"
NO_KEY = "no-key"  # the SDK insists on a key; servers without keys ignore it
MAX_BODY_BYTES = 32 * 1024 * 1024
_TAIL_SEC = 5.0  # after finish_reason, usage and [DONE] get at most this long
_DRAIN_SEC = 0.1  # the bytes after [DONE] decide only whether the connection can be used again
Answer = TypeVar("Answer")
_WANTS_COMPLETION_TOKENS = re.compile(r"^(?:openai/)?(?:o\d|gpt-[5-9])")


@dataclass(frozen=True)
class Limits:
    """How long each part of a call may take.

    The first-token limit runs from sending to the first piece of answer or reasoning; the silence limit
    is between events after it; the whole limit is for answers that are not streamed.
    """

    connect_sec: float = 5.0
    first_token_sec: float = 60.0
    silence_sec: float = 30.0
    whole_sec: float = 300.0


@dataclass(frozen=True)
class ListedModel:
    """One row of a server's model list. `context_tokens` only where the server says it."""

    name: str
    owned_by: str
    context_tokens: int | None


class OpenAIProvider:
    """One upstream. Keeps one client, and so one connection pool, for its whole life: use it on one event loop."""

    def __init__(
        self,
        name: str = "openai",
        *,
        base_url: str = OPENAI_URL,
        api_key: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._name = name
        self._limits = limits or Limits()
        self._base_url = base_url.rstrip("/")
        self._key = (api_key or "").strip()
        self._place = _place(self._base_url)
        self._client = self._make_client()
        # The SDK imports this part on first use, which takes too long inside the event loop.
        self._create = self._client.chat.completions.with_streaming_response.create
        self._dialects: dict[str, _Dialect] = {}

    @property
    def name(self) -> str:
        return self._name

    @property
    def base_url(self) -> str:
        return self._base_url

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """See Provider. Raises ProviderError only; text yielded before an error stands."""
        caller = self._caller(request.model)
        self._check_key(caller)
        async with contextlib.AsyncExitStack() as stack:
            patience = _Patience(self._limits.first_token_sec if request.stream else self._limits.whole_sec)
            response, sent = await self._open(request, caller, stack, patience)
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "text/html":
                raise faults.not_the_protocol(caller, "a web page", status=response.status_code)
            call = _Call(caller, response, self._limits, patience, sent)
            chunks = call.whole() if kind.endswith("json") or not request.stream else call.events()
            async with contextlib.aclosing(chunks):
                async for chunk in chunks:
                    yield chunk

    async def list_models(self) -> tuple[ListedModel, ...]:
        """What GET {base}/models lists. Raises ProviderError."""
        body = await self._get("/models")
        rows = body.get("data") if isinstance(body, Mapping) else None
        if not isinstance(rows, list):
            raise faults.not_the_protocol(self._caller("models"), "something other than a model list")
        return tuple(_listed(row) for row in rows if isinstance(row, Mapping) and isinstance(row.get("id"), str))

    async def find_props(self) -> Mapping[str, Any]:
        """llama-server's GET /props; empty where there is none."""
        root = self._base_url.removesuffix("/v1")
        try:
            body = await self._get(f"{root}/props")
        except ProviderError:
            return {}
        return body if isinstance(body, Mapping) else {}

    async def aclose(self) -> None:
        await self._client.close()

    async def _get(self, path: str) -> Any:
        caller = self._caller("models")
        self._check_key(caller)
        try:
            async with asyncio.timeout(self._limits.connect_sec * 2):
                return await self._client.get(path, cast_to=object)
        except TimeoutError:
            raise faults.silent(caller, self._limits.connect_sec * 2, begun=False) from None
        except Exception as error:
            raise faults.from_sdk(error, caller) from error

    async def _open(
        self, request: Request, caller: Caller, stack: contextlib.AsyncExitStack, patience: _Patience
    ) -> tuple[Any, dict[str, object]]:
        """The response, its headers read, with the body that was sent; at most one try for each dialect."""
        while True:
            dialect = self._dialects.get(request.model) or _dialect_of(request.model)
            body = _body(request, dialect)
            try:
                context = self._create(messages=_messages(request), **body)
                response = await patience.wait(stack.enter_async_context(context))
                return response, body
            except TimeoutError:
                raise faults.silent(caller, patience.limit_sec, begun=False) from None
            except openai.APIStatusError as error:
                learned = dialect.learn(faults.read_refusal(error.body, error.status_code))
                if learned is None:
                    raise faults.from_sdk(error, caller) from None
                self._dialects[request.model] = learned
            except Exception as error:
                raise faults.from_sdk(error, caller) from error

    def _caller(self, model: str) -> Caller:
        return Caller(self._name, model, self._place, (self._key,) if self._key else ())

    def _check_key(self, caller: Caller) -> None:
        if not self._key and self._base_url.startswith("https://api.openai.com"):
            raise faults.bad_key(caller, "is not set")
        if not self._key.isascii() or not self._key.isprintable() or " " in self._key:
            raise faults.bad_key(caller, "holds a character no key has")

    def _make_client(self) -> openai.AsyncOpenAI:
        limits = self._limits
        sendable = self._key if self._key.isascii() and self._key.isprintable() else ""
        http_client = openai.DefaultAsyncHttpxClient(
            follow_redirects=False,
            trust_env=not _is_loopback(self._base_url),  # a company proxy cannot reach this machine's own servers
            timeout=openai.Timeout(None, connect=limits.connect_sec, write=limits.first_token_sec),
        )
        return openai.AsyncOpenAI(
            base_url=self._base_url, api_key=sendable or NO_KEY, max_retries=0, http_client=http_client
        )


@dataclass(frozen=True)
class _Dialect:
    """What this server's body looks like for one model."""

    limit_name: str = "max_tokens"
    asks_usage: bool = True

    def learn(self, refusal: Refusal) -> _Dialect | None:
        """The dialect to try next after a refusal that names one of the two; None when it names neither."""
        words = f"{refusal.param} {refusal.message}"
        other = "max_tokens" if self.limit_name == "max_completion_tokens" else "max_completion_tokens"
        if refusal.status not in (400, 422):
            return None
        if self.asks_usage and "stream_options" in words:
            return _Dialect(self.limit_name, asks_usage=False)
        if self.limit_name == "max_tokens" and re.search(rf"\b{other}\b.*instead|instead.*\b{other}\b", words):
            return _Dialect(other, self.asks_usage)
        return None


def _dialect_of(model: str) -> _Dialect:
    return _Dialect("max_completion_tokens") if _WANTS_COMPLETION_TOKENS.match(model) else _Dialect()


def _messages(request: Request) -> Any:
    return [{"role": message.role, "content": storable(message.content)} for message in request.messages]


def _body(request: Request, dialect: _Dialect) -> dict[str, Any]:
    """The request body without messages; what is None or a penalty of 0 is left out."""
    params = request.params
    body: dict[str, Any] = {
        "model": request.model,
        "temperature": params.temperature,
        "top_p": params.top_p,
        dialect.limit_name: params.max_tokens,
        "seed": params.seed,
        "stop": list(params.stop) or None,
        "presence_penalty": params.presence_penalty or None,
        "frequency_penalty": params.frequency_penalty or None,
        "stream": request.stream,
        "stream_options": {"include_usage": True} if request.stream and dialect.asks_usage else None,
    }
    return {key: value for key, value in body.items() if value is not None}


class _Patience:
    """How long we go on waiting for the next sign of life. Time in which nobody waits does not count, so a
    slow reader is never taken for a silent server.
    """

    def __init__(self, limit_sec: float) -> None:
        self.restart(limit_sec)

    def restart(self, limit_sec: float) -> None:
        self.limit_sec = self._left_sec = limit_sec

    async def wait(self, awaitable: Awaitable[Answer]) -> Answer:
        """The result; TimeoutError when patience ends first."""
        now = asyncio.get_running_loop().time
        started_sec = now()
        async with asyncio.timeout(self._left_sec):
            result = await awaitable
        self._left_sec -= now() - started_sec
        return result


class _Call:
    """One response being read."""

    def __init__(
        self, caller: Caller, response: Any, limits: Limits, patience: _Patience, sent: dict[str, object]
    ) -> None:
        self._caller = caller
        self._limits = limits
        self._patience = patience
        self._bytes: AsyncIterator[bytes] = response.iter_bytes()
        self._reader = AnswerReader()
        self._sent = sent
        self._request_id: str | None = response.headers.get("x-request-id")
        self._unreported_bytes = 0

    async def events(self) -> AsyncGenerator[Chunk, None]:
        """The chunks of a server-sent event stream, ending with the End."""
        decoder, reader = SseDecoder(), self._reader
        while not reader.done:
            received = await self._read()
            for data in self._decode(decoder, received):
                for piece in self._understand(data):
                    yield self._chunk(piece)
            if received is None:
                break
        if not reader.done and reader.finish_reason is None:
            raise self._broken()
        yield self._end()
        await self._drain()

    async def whole(self) -> AsyncGenerator[Chunk, None]:
        """The one chunk and the End of an answer that is not streamed."""
        body = bytearray()
        while (received := await self._read()) is not None:
            body += received
            if len(body) > MAX_BODY_BYTES:
                raise faults.not_the_protocol(self._caller, "more than can be an answer")
        try:
            text = read_whole(self._reader, bytes(body))
        except NotTheProtocol as error:
            raise faults.not_the_protocol(self._caller, str(error)) from None
        if self._reader.refusal is not None:
            raise faults.from_answer(self._reader.refusal, self._caller)
        if text:
            yield self._chunk(text)
        yield self._end()

    async def _read(self) -> bytes | None:
        """The next bytes, None at the end."""
        try:
            received = await self._patience.wait(anext(self._bytes, None))
        except TimeoutError:
            if self._reader.finish_reason is not None:
                return None
            begun = self._reader.begun
            raise faults.silent(self._caller, self._patience.limit_sec, begun=begun) from None
        except Exception as error:
            if self._reader.finish_reason is not None:
                return None
            raise faults.cut(self._caller) from error
        self._unreported_bytes += len(received or b"")
        return received

    def _decode(self, decoder: SseDecoder, received: bytes | None) -> list[bytes]:
        try:
            return decoder.feed(received) if received is not None else decoder.flush()
        except EventTooLong:
            raise faults.not_the_protocol(self._caller, "an event of more than 8 MB") from None

    def _understand(self, data: bytes) -> tuple[Piece, ...]:
        reader = self._reader
        try:
            text, alive = reader.read(data)
        except NotTheProtocol as error:
            if reader.finish_reason is not None:
                return ()
            raise faults.not_the_protocol(self._caller, str(error)) from None
        if reader.refusal is not None:
            raise faults.from_answer(reader.refusal, self._caller, begun=reader.begun)
        if alive:
            finished = reader.finish_reason is not None
            self._patience.restart(min(_TAIL_SEC, self._limits.silence_sec) if finished else self._limits.silence_sec)
        return (text,) if text else ()

    def _chunk(self, text: str) -> Chunk:
        size_bytes, self._unreported_bytes = self._unreported_bytes, 0
        return Chunk(text, None, size_bytes)

    def _end(self) -> Chunk:
        reader = self._reader
        end = End(
            reader.finish_reason, reader.usage, reader.model, self._request_id, reader.system_fingerprint, self._sent
        )
        size_bytes, self._unreported_bytes = self._unreported_bytes, 0
        return Chunk("", end, size_bytes)

    def _broken(self) -> ProviderError:
        if self._reader.begun or self._reader.events:
            return faults.cut(self._caller)
        return faults.not_the_protocol(self._caller, "an empty stream")

    async def _drain(self) -> None:
        """Read to the end so that the connection goes back to the pool."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_DRAIN_SEC):
                while await anext(self._bytes, None) is not None:
                    pass


def _place(base_url: str) -> str:
    """Host and port of a base URL: what may be shown of it. Raises ConfigError when it is no http address."""
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            "The base URL of a model server is not an http or https address.",
            cure="Set it like http://127.0.0.1:8080/v1.",
        )
    return f"{parts.hostname}:{port}" if port else parts.hostname


def _is_loopback(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    with contextlib.suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _listed(row: Mapping[str, Any]) -> ListedModel:
    meta = row.get("meta")
    numbers = [row.get("max_model_len"), row.get("context_length"), row.get("max_context_length")]
    if isinstance(meta, Mapping):
        numbers += [meta.get("n_ctx"), meta.get("n_ctx_train")]
    context = next((number for number in numbers if isinstance(number, int) and number > 0), None)
    return ListedModel(row["id"], str(row.get("owned_by") or ""), context)

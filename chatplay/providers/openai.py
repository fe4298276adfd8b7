"""Any OpenAI-compatible server, through the openai SDK: its request, auth and error handling are used. What looks
into each message before sending and into each chunk after is not: `post` sends a body as it is, which takes a
millisecond less, and decoding the events ourselves costs a tenth of the CPU (bench/provider_cpu.py).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx2
import openai

from chatplay.errors import ConfigError, ProviderError
from chatplay.fingerprint import fingerprint
from chatplay.logs import keep_out_of_logs
from chatplay.providers import faults
from chatplay.providers.base import Chunk, End, Request
from chatplay.providers.bounds import bound
from chatplay.providers.faults import Caller
from chatplay.providers.masking import masked, secrets_among
from chatplay.providers.network import Transport
from chatplay.providers.openai_answer import is_storable, storable
from chatplay.providers.openai_body import Dialect, dialect_of, messages_of, shown_of
from chatplay.providers.openai_call import Call, Limits, written_at
from chatplay.providers.patience import Patience
from chatplay.providers.refusals import read_refusal
from chatplay.providers.safety import AddressPolicy, is_understood

__all__ = ["OPENAI_URL", "Learned", "Limits", "ListedModel", "OpenAIProvider"]

OPENAI_URL = "https://api.openai.com/v1"
_MAX_NAME_CHARS = 200
NO_KEY = "no-key"  # the SDK insists on a key; servers without keys ignore it
Learned = Callable[[str, str, str], None]  # base URL, model, parameter it does not take


@dataclass(frozen=True)
class ListedModel:
    """One row of a server's model list. `context_tokens` is the window it runs with, `max_context_tokens` the
    one it was made for; each only where the server says it.
    """

    name: str
    owned_by: str
    context_tokens: int | None
    max_context_tokens: int | None = None


class OpenAIProvider:
    """One upstream. Keeps one client, and so one connection pool, until it is closed: use it on one event loop."""

    def __init__(
        self,
        name: str = "openai",
        *,
        base_url: str = OPENAI_URL,
        api_key: str | None = None,
        limits: Limits | None = None,
        policy: AddressPolicy | None = None,
        on_learned: Learned | None = None,
    ) -> None:
        self._name = name
        self._policy = policy or AddressPolicy()
        self._on_learned = on_learned or (lambda base_url, model, param: None)
        self._limits = limits or Limits()
        # A user and password in the address would stand in the HTTP library's log.
        self._base_url, self._login = without_login(base_url.rstrip("/"))
        self._key = (api_key or "").strip()
        self._secrets = _secrets(self._key, self._login)
        keep_out_of_logs(*secrets_among(self._secrets))
        _require_address(self._base_url)
        self._client: openai.AsyncOpenAI | None = self._make_client()
        self._calls = 0  # those that use it now
        self._is_closed = False
        self._dialects: dict[str, Dialect] = {}

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
            client = await stack.enter_async_context(self._use_client())
            patience = Patience(self._limits.first_token_sec if request.stream else self._limits.whole_sec)
            stack.callback(patience.end)
            asked_sec = time.monotonic()
            response, sent = await self._open(client, request, caller, stack, patience)
            written_sec = written_at(response)
            connect_ms = None if written_sec is None else (written_sec - asked_sec) * 1000
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "text/html":
                raise faults.not_the_protocol(caller, "a web page", status=response.status_code)
            call = Call(caller, response, self._limits, patience, sent, relays=request.relay is not None)
            chunks = call.whole() if kind.endswith("json") or not request.stream else call.events()
            known = self._opening(request, response, sent, connect_ms)
            opening: End | None = known
            async with contextlib.aclosing(chunks):
                async for chunk in chunks:
                    yield _with_sent(chunk, known, opening)
                    opening = None

    def know_refused(self, refused: Mapping[str, Iterable[str]]) -> None:
        """What not to send for which model, as all processes have learned; what they forgot is sent again."""
        for model in {*self._dialects, *refused}:
            known = self._dialects.get(model) or dialect_of(model)
            self._dialects[model] = replace(known, refused=dialect_of(model, refused.get(model, ())).refused)

    def _opening(
        self, request: Request, response: httpx2.Response, sent: dict[str, object], connect_ms: float | None
    ) -> End:
        """What identifies the bytes that went out, and the parameters that did not."""
        dialect = self._dialects.get(request.model)
        return End(
            sent=sent,
            fingerprint=fingerprint(json.loads(response.request.content)),
            ignored_params=dialect.ignored(request) if dialect else (),
            connect_ms=connect_ms,
        )

    async def list_models(self) -> tuple[ListedModel, ...]:
        """What GET {base}/models lists. Raises ProviderError."""
        body = await self._ask("GET", "/models", None)
        rows = body.get("data") if isinstance(body, Mapping) else None
        if rows is None and isinstance(body, Mapping) and body.get("object") == "list":
            rows = []  # Ollama's list without a model
        if not isinstance(rows, list):
            raise faults.not_the_protocol(self._caller("models"), "something other than a model list")
        listed = (_listed(row) for row in rows if isinstance(row, Mapping) and _is_name(row.get("id")))
        secrets = secrets_among(self._secrets)
        return tuple(model for model in listed if masked(model.name, secrets) == model.name)

    async def check_page(self, path: str) -> None:
        """GET `path` of the server's root must succeed. Raises ProviderError."""
        await self._ask("GET", f"{self._root}/{path.lstrip('/')}", None)

    async def find_object(self, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """The JSON object at `path` of the server's root, asked by POST when there is a `body`; empty without one."""
        try:
            found = await self._ask("GET" if body is None else "POST", f"{self._root}/{path}", body)
        except ProviderError:
            return {}
        return found if isinstance(found, Mapping) else {}

    async def aclose(self) -> None:
        """See Provider."""
        self._is_closed = True
        await self._close_unused()

    @contextlib.asynccontextmanager
    async def _use_client(self) -> AsyncGenerator[openai.AsyncOpenAI, None]:
        """Around each call. Who got hold of the provider before it was closed may come late, and needs a new one."""
        self._client = self._client or self._make_client()
        self._calls += 1
        try:
            yield self._client
        finally:
            self._calls -= 1
            await self._close_unused()

    async def _close_unused(self) -> None:
        if self._is_closed and not self._calls and self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _ask(self, method: str, url: str, body: Mapping[str, Any] | None) -> Any:
        caller = self._caller("models")
        self._check_key(caller)
        try:
            async with self._use_client() as client, asyncio.timeout(self._limits.connect_sec * 2):
                if method == "POST":
                    return await client.post(url, cast_to=object, body=body)
                return await client.get(url, cast_to=object)
        except TimeoutError:
            raise faults.silent(caller, self._limits.connect_sec * 2, begun=False) from None
        except Exception as error:
            raise faults.from_sdk(error, caller) from error

    @property
    def _root(self) -> str:
        return self._base_url.removesuffix("/v1")

    async def _open(
        self,
        client: openai.AsyncOpenAI,
        request: Request,
        caller: Caller,
        stack: contextlib.AsyncExitStack,
        patience: Patience,
    ) -> tuple[httpx2.Response, dict[str, object]]:
        """The response, its headers read, with the body that was sent; at most one try for each dialect."""
        dialect = before = self._dialects.get(request.model) or dialect_of(request.model)
        while True:
            body = dialect.body(request)
            try:
                response = await patience.wait(_post(client, body | messages_of(request)))
                stack.push_async_callback(response.aclose)
                self._keep(request.model, before, dialect)
                return response, body | shown_of(request)
            except TimeoutError:
                raise faults.silent(caller, patience.limit_sec, begun=False) from None
            except openai.APIStatusError as error:
                learned = dialect.learn(read_refusal(error.body, error.status_code), body)
                if learned is None or (request.relay is not None and learned.refused != dialect.refused):
                    raise faults.from_sdk(error, caller) from None
                dialect = learned
            except Exception as error:
                raise faults.from_sdk(error, caller) from error

    def _keep(self, model: str, before: Dialect, now: Dialect) -> None:
        """What was learned, once it has helped."""
        self._dialects[model] = now
        for param in now.refused - before.refused:
            self._on_learned(self._base_url, model, param)

    def _caller(self, model: str) -> Caller:
        return Caller(self._name, model, self._secrets)

    def _check_key(self, caller: Caller) -> None:
        if not self._key and self._base_url.startswith("https://api.openai.com"):
            raise faults.bad_key(caller, "is not set")
        if not self._key.isascii() or not self._key.isprintable() or " " in self._key:
            raise faults.bad_key(caller, "holds a character no key has")

    def _make_client(self) -> openai.AsyncOpenAI:
        sendable = self._key if self._key.isascii() and self._key.isprintable() else ""
        http_client = openai.DefaultAsyncHttpxClient(
            follow_redirects=False,
            trust_env=False,
            # A company proxy cannot reach this machine's own servers.
            transport=Transport(self._base_url, self._policy, use_proxy=not _is_loopback(self._base_url)),
            timeout=openai.Timeout(None, connect=self._limits.connect_sec),
            headers={"accept-encoding": "identity"},  # compression on the way holds back small pieces
            auth=self._login,
            event_hooks={"response": [bound]},
        )
        return openai.AsyncOpenAI(
            base_url=self._base_url, api_key=sendable or NO_KEY, max_retries=0, http_client=http_client
        )


async def _post(client: openai.AsyncOpenAI, body: dict[str, object]) -> httpx2.Response:
    """The response, its body not read yet; raises the SDK's errors."""
    answer = await client.post(
        "/chat/completions",
        cast_to=object,
        body=body,
        options={"security": {"bearer_auth": True}},
        stream=True,
        stream_cls=openai.AsyncStream[object],
    )
    return answer.response


def _with_sent(chunk: Chunk, known: End, opening: End | None) -> Chunk:
    """The chunk with what is `known` of its request: at the end, and as its `opening` at the beginning."""
    if chunk.end is None:
        return chunk if opening is None else replace(chunk, opening=opening)
    end = replace(
        chunk.end,
        ignored_params=known.ignored_params,
        fingerprint=known.fingerprint,
        connect_ms=known.connect_ms,
    )
    return replace(chunk, end=end)


def _require_address(base_url: str) -> None:
    """Raises ConfigError when it is no http address."""
    try:
        parts = urlsplit(base_url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_understood(base_url):
        raise ConfigError(
            "The base URL of a model server is not an http or https address.",
            cure="Set it like http://127.0.0.1:8080/v1.",
        )


def without_login(base_url: str) -> tuple[str, tuple[str, str] | None]:
    """The address without its `user:password@`, and the two of them."""
    scheme, _, rest = base_url.partition("://")
    netloc, slash, path = rest.partition("/")
    login, at, host = netloc.rpartition("@")
    user, _, password = login.partition(":")
    return (f"{scheme}://{host}{slash}{path}", (unquote(user), unquote(password))) if at else (base_url, None)


def _secrets(key: str, login: tuple[str, str] | None) -> tuple[str, ...]:
    """What must not be shown: the key, the password of the address, and the header made of it."""
    user, password = login or ("", "")
    header = base64.b64encode(f"{user}:{password}".encode()).decode() if login else ""
    return tuple(secret for secret in (key, password, header) if len(secret) > 3)


def _is_loopback(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    with contextlib.suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _is_name(value: object) -> bool:
    """Also none with line ends or marks that turn writing around: names stand in logs, cards and selectors."""
    return isinstance(value, str) and 0 < len(value) <= _MAX_NAME_CHARS and value.isprintable() and is_storable(value)


def _listed(row: Mapping[str, Any]) -> ListedModel:
    meta = row.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    running = _first_size(row.get("max_model_len"), row.get("loaded_context_length"), row.get("context_length"))
    made_for = _first_size(row.get("max_context_length"), meta.get("n_ctx_train"))
    owner = storable(str(row.get("owned_by") or ""))[:_MAX_NAME_CHARS]
    return ListedModel(row["id"], owner, running or _first_size(meta.get("n_ctx")), made_for)


def _first_size(*numbers: object) -> int | None:
    sizes = (number for number in numbers if isinstance(number, int) and not isinstance(number, bool))
    return next((size for size in sizes if 0 < size < 2**31), None)

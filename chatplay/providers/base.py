"""What a provider is: one method that takes a request and yields chunks; the last carries the end.

To add a provider, write a class with `name` and `stream` and register it in `registry.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from chatplay.params import Params

Role = Literal["system", "user", "assistant"]
Sleep = Callable[[float], Awaitable[None]]  # seconds; a test passes one that does not wait
FinishReason = str  # "stop" | "length" | "content_filter" | "tool_calls" | what else a server says


@dataclass(frozen=True)
class Message:
    """One message as the model reads it."""

    role: Role
    content: str


Json = Mapping[str, Any]  # a JSON object passed on as it came
# Fields of a delta that come whole, and that some servers repeat in each piece; all other texts are joined by clients.
COME_WHOLE = ("id", "type", "role")


@dataclass(frozen=True)
class Relay:
    """A program's own request, to be sent as it came: `messages` with all their parts, and the fields of the
    body beside them that are no `Params` (tools, response_format, ...).
    """

    messages: tuple[Json, ...]
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One call. `messages` is all that is sent, the system prompt first if there is one.

    `stream=False` asks for the whole answer at once: the provider then yields one delta and the end.
    With `relay` that is what is sent and all that comes back is handed on; `messages` is then its text alone.
    A provider that is no OpenAI-compatible server knows texts only and passes `relay` over.
    """

    model: str
    messages: tuple[Message, ...]
    params: Params
    stream: bool = True
    relay: Relay | None = None


@dataclass(frozen=True)
class Usage:
    """Token counts of one call. `estimated` when we counted because the server reported none.

    `reasoning_tokens` are among the completion tokens, as `cached_tokens` are among those of the prompt; None when
    the server does not say.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int | None = None
    estimated: bool = False
    reasoning_tokens: int | None = None


@dataclass(frozen=True)
class End:
    """How an answer ended. Every field is None where the server did not say.

    `sent` is the request body as the upstream received it, without messages and without the key;
    `fingerprint` identifies the whole of it, messages included.
    `ignored_params` were set but not sent, because the server takes none of them for this model.
    `connect_ms`: from asking until the request was sent, its last byte written; a refused first try is in it.
    `raw_usage` is the server's own account of a relayed request, with what `Usage` has no place for.
    """

    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    model: str | None = None
    request_id: str | None = None
    system_fingerprint: str | None = None
    sent: dict[str, object] = field(default_factory=dict)
    fingerprint: str | None = None
    ignored_params: tuple[str, ...] = ()
    connect_ms: float | None = None
    raw_usage: Json | None = None


@dataclass(frozen=True)
class Chunk:
    """A piece of text, or the end (text is then empty). `size_bytes`: bytes read from the upstream.

    With neither it is a sign of life: the model prepares or, with `reasons`, thinks. It is no delta; pieces of
    reasoning are timed apart from the text.
    `raw`, only of relayed requests: the choice as the server sent it (`delta` or `message`, `logprobs`), where it
    holds more than `text`. `calls_tool`: it holds a piece of a tool call, which is as good as text.
    `opening`, of the first chunk: what is known of the call before its end, for answers that never reach one.
    """

    text: str = ""
    end: End | None = None
    size_bytes: int = 0
    raw: Json | None = None
    calls_tool: bool = False
    reasons: bool = False
    opening: End | None = field(default=None, compare=False)


class Provider(Protocol):
    """A way to ask a model.

    `stream` yields text chunks in order and exactly one last chunk with `end`. It raises only
    `ProviderError`s. Closing the generator (`aclose`: iterate it inside `contextlib.aclosing`, so that a
    cancelled task closes it too) closes the upstream connection. It runs on the hub's event loop and
    must not block it. `aclose` of the provider closes what it keeps open between calls: at once, or after the
    last of those that run. It may still be asked then, and keeps nothing open for the next time.
    """

    @property
    def name(self) -> str: ...

    def stream(self, request: Request) -> AsyncGenerator[Chunk, None]: ...

    async def aclose(self) -> None: ...


def last_user_text(request: Request) -> str:
    """The newest message of the person, or "" when there is none."""
    return next((message.content for message in reversed(request.messages) if message.role == "user"), "")

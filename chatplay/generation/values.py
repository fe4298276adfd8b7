"""What the hub takes and gives: a job, live figures while it runs, the end when it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Protocol, Self
from uuid import UUID

from chatplay import params as parameters
from chatplay.errors import ChatplayError
from chatplay.params import Params
from chatplay.prices import Price
from chatplay.providers.base import Chunk, Provider, Request
from chatplay.store import Connection

Status = Literal["streaming", "complete", "stopped", "failed", "interrupted"]


class Tap(Protocol):
    """Gets an answer chunk by chunk as it comes, with what is not kept of it: for the one reader of a relayed call.

    Called on the hub's thread, which it must not hold up; it must not raise.
    """

    def take(self, chunk: Chunk) -> None: ...

    def finish(self, end: GenerationEnd, error: ChatplayError | None) -> None:
        """Nothing more comes. `error`: what it failed with."""


@dataclass(frozen=True)
class Job:
    """One model call to make. The rows it belongs to are committed before the hub sees it.

    `omitted_messages` of the thread, about `omitted_tokens`, were left out of the request to fit the window.
    """

    generation_id: UUID
    user_id: int
    message_id: int | None
    provider: Provider
    request: Request
    supports_streaming: bool = True
    price: Price | None = None
    omitted_messages: int = 0
    omitted_tokens: int = 0
    source: str = ""
    tap: Tap | None = None
    keeper: Keeper | None = None


@dataclass(frozen=True)
class LiveMetrics:
    """Figures of a running answer. `completion_tokens` is an estimate until the server reports its count."""

    ttft_ms: float | None = None
    completion_tokens: int = 0
    tokens_per_second: float | None = None
    elapsed_ms: float = 0.0


@dataclass(frozen=True)
class AnswerMetrics:
    """All that is known of one answer; None is unknown. Kept as JSON beside the message.

    `ignored_params` were set but had no effect: the server takes none of them for this model.
    `omitted_messages`: the oldest of the thread that were left out of the prompt, with an estimate of their tokens.
    `reasoning_ms`: the first piece of reasoning to the first of the text; `reasoning_tokens` are among those of the
    completion.
    `fingerprint` is of the request as the upstream really got it (`chatplay.fingerprint`).
    """

    provider: str
    model: str
    model_used: str | None = None
    finish_reason: str | None = None
    streamed: bool | None = None
    fallback_reason: str | None = None
    ttft_ms: float | None = None
    itl_p50_ms: float | None = None
    itl_p95_ms: float | None = None
    duration_ms: float | None = None
    tokens_per_second: float | None = None
    end_to_end_tokens_per_second: float | None = None
    reasoning_ms: float | None = None
    reasoning_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    tokens_estimated: bool | None = None
    cost_usd: float | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_cure: str | None = None
    error_param: str | None = None
    retry_after_sec: float | None = None
    params: Params | None = None
    ignored_params: tuple[str, ...] = ()
    omitted_messages: int | None = None
    omitted_tokens: int | None = None
    fingerprint: str | None = None

    @property
    def is_cut_off(self) -> bool:
        """As long as max tokens, or the context window, let it be."""
        return self.finish_reason == "length"

    def to_json(self) -> dict[str, Any]:
        """JSON-ready, unknown figures left out; the inverse of `from_json`."""
        values = {name: value for name, value in asdict(self).items() if value not in (None, ()) and name != "params"}
        if self.ignored_params:
            values["ignored_params"] = list(self.ignored_params)
        if self.params is not None:
            values["params"] = parameters.to_json(self.params)
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> AnswerMetrics | None:
        """Metrics of a stored answer; None where there are none. Names of other versions are passed over."""
        if "provider" not in values:
            return None
        known = {field.name for field in fields(cls)} - {"params", "ignored_params"}
        stored = values.get("params")
        ignored = tuple(values.get("ignored_params", ()))
        settings = parameters.from_json(stored) if stored else None
        return cls(
            **{name: value for name, value in values.items() if name in known}, params=settings, ignored_params=ignored
        )


@dataclass(frozen=True)
class GenerationEnd:
    """The end of an answer: `content` is the whole text, exactly what is stored."""

    status: Status
    content: str
    metrics: AnswerMetrics


NEVER_STREAMS = "The model's server does not stream."  # why nothing but a whole answer was asked for


class Keeper(Protocol):
    """Keeps what a caller needs of an answer's end, in the very transaction that ends the call: both or neither. What
    ends together is kept together, in as few statements as one.

    Not asked when the process died and the reaper ends the call: its caller looks for those itself.
    """

    @property
    def place(self) -> str:
        """What it locks: keepers that write in one transaction come in this order, everywhere the same."""

    @classmethod
    def write(cls, conn: Connection, kept: Sequence[tuple[Self, GenerationEnd]]) -> None:
        """In a thread of its own; again in another transaction when the first did not come to its end."""

    def kept(self) -> None:
        """After the commit, on the hub's thread, which it must not hold up."""


def never_asked(job: Job) -> GenerationEnd:
    """The end of a call for which it was too late."""
    return GenerationEnd("interrupted", "", AnswerMetrics(job.provider.name, job.request.model))


@dataclass(frozen=True)
class Update:
    """News for a follower: the text since the last update, and the end when there is nothing more to come.

    `seq` numbers the last delta in it, from 1.
    """

    text: str
    seq: int
    live: LiveMetrics
    end: GenerationEnd | None = None

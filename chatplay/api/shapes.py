"""What routes take and give, as JSON; field names are a promise to programs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from chatplay import params as parameters
from chatplay.api.errors import ErrorDetail
from chatplay.chats.log import ChatLine, ThreadPage
from chatplay.chats.values import ChatRecord, MessageRecord
from chatplay.generation.values import AnswerMetrics, GenerationEnd

_PARAMS_SCHEMA = parameters.json_schema()
ParamsIn = Annotated[
    dict[str, Any],
    Field(
        description="Settings of this call; what is left out stays as it was used last in this session.",
        json_schema_extra={**_PARAMS_SCHEMA, "examples": [{"temperature": 0.2, "max_tokens": 512}]},
    ),
]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_TEXT = Field(min_length=1, examples=["What is Python?"])


class Body(BaseModel):
    """A request body: a field nobody knows is a mistake and is named."""

    model_config = ConfigDict(extra="forbid")


# ---- sessions ----------------------------------------------------------------------------------


class SessionLine(BaseModel):
    """A session in a list. `message_count` has the variants in it; `streaming`: an answer is coming."""

    id: UUID
    title: str
    model_name: str
    upstream: str
    engine_type: str | None
    message_count: int
    streaming: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, line: ChatLine) -> Self:
        return cls.model_validate(line, from_attributes=True)


class SessionList(BaseModel):
    """A page of sessions, touched last first. `next_cursor` is null on the last page."""

    data: list[SessionLine]
    next_cursor: str | None


class Session(BaseModel):
    """A session. `params` are the settings used last; with `locked_at`, the first message, the model stays."""

    id: UUID
    title: str
    model_name: str
    upstream: str
    engine_type: str | None
    params: dict[str, Any]
    locked_at: datetime | None
    ended_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, chat: ChatRecord, **more: Any) -> Self:
        own = {name: getattr(chat, name) for name in Session.model_fields if name != "params"}
        return cls(**own, params=parameters.to_json(chat.params), **more)


class MessageOut(BaseModel):
    """A message. Of an answer also its generation, its figures (`metrics`) and its place among its variants."""

    id: int
    session_id: UUID
    parent_id: int | None
    role: Literal["user", "assistant", "system"]
    content: str
    status: str
    metrics: dict[str, Any] | None
    generation_id: UUID | None
    variant: int
    variants: int
    created_at: datetime

    @classmethod
    def of(cls, message: MessageRecord) -> Self:
        own = {name: getattr(message, name) for name in MessageOut.model_fields if name != "metrics"}
        return cls(**own, metrics=message.metrics.to_json() if message.metrics else None)


class SessionWithMessages(Session):
    """A session with messages of its thread, oldest first; `next_before` asks for those before them."""

    messages: list[MessageOut]
    next_before: int | None

    @classmethod
    def page(cls, page: ThreadPage) -> Self:
        first = page.messages[0].id if page.has_older else None
        return cls.of(page.chat, messages=[MessageOut.of(one) for one in page.messages], next_before=first)


class NewSession(Body):
    """Without a model the session begins with the default one."""

    model_name: str | None = Field(None, examples=["demo-small"])
    upstream: str | None = Field(None, description="Where several servers have a model of this name.")
    title: Title | None = None


class NewMessage(Body):
    """Clients write as user or system; answers are written by models alone."""

    role: Literal["user", "system"] = "user"
    content: str = _TEXT


class Deleted(BaseModel):
    deleted_count: int


# ---- answers -----------------------------------------------------------------------------------


class GenerateIn(Body):
    """What to answer: `content` is a new prompt; with `message_id` another wording of that prompt. Without `content`,
    `message_id` names the prompt to answer or the answer to ask for again; with neither the last message is answered,
    or asked for again where it is an answer that failed, was stopped or interrupted.
    """

    content: str | None = Field(None, min_length=1, examples=["What is Python?"])
    message_id: int | None = Field(None, ge=1, le=2**63 - 1)
    params: ParamsIn = Field(default_factory=dict)
    stream: bool = Field(False, description="Answer with the events of the answer as it comes (text/event-stream).")
    wait: bool = Field(True, description="False: answer 202 at once; follow the answer by its generation_id.")


class UsageOut(BaseModel):
    """Token counts; `estimated` when the server sent none and they were counted here. null is unknown.

    `reasoning_tokens` are among the completion tokens.
    """

    prompt_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None
    total_tokens: int | None
    estimated: bool | None
    cost_usd: float | None


class TimingsOut(BaseModel):
    """Milliseconds, and tokens per second while decoding and from end to end. null is unknown.

    A model that reasons decodes its text alone; where its reasoning tokens are not reported, both together from the
    first piece of reasoning on. `reasoning_ms`: from there to the first of the text.
    """

    ttft_ms: float | None
    duration_ms: float | None
    itl_p50_ms: float | None
    itl_p95_ms: float | None
    tokens_per_second: float | None
    end_to_end_tokens_per_second: float | None
    reasoning_ms: float | None


class Answer(BaseModel):
    """A whole answer. `fallback`: it had to be asked for without streaming, because of `fallback_reason`."""

    id: int
    session_id: UUID
    user_message_id: int
    generation_id: UUID
    role: Literal["assistant"]
    content: str
    status: str
    finish_reason: str | None
    provider_used: str
    model_used: str | None
    fallback: bool
    fallback_reason: str | None
    usage: UsageOut
    timings: TimingsOut
    created_at: datetime


class AnswerError(ErrorDetail):
    """The same as everywhere; where an answer failed, it stands in the session under these ids."""

    message_id: int | None = Field(None, description="The answer that failed: it can be asked for again.")
    generation_id: UUID | None = None


class AnswerErrorBody(BaseModel):
    """The body when `generate` is not a success."""

    error: AnswerError


class Started(BaseModel):
    """An answer on its way: GET `events_url` follows it."""

    id: int
    session_id: UUID
    user_message_id: int
    generation_id: UUID
    status: str
    events_url: str


def answer_of(message: MessageRecord, user_message_id: int, generation_id: UUID, end: GenerationEnd) -> Answer:
    """The answer in `message` as it ended."""
    metrics = end.metrics
    return Answer(
        id=message.id,
        session_id=message.session_id,
        user_message_id=user_message_id,
        generation_id=generation_id,
        role="assistant",
        content=end.content,
        status=end.status,
        finish_reason=metrics.finish_reason,
        provider_used=metrics.provider,
        model_used=metrics.model_used or metrics.model,
        fallback=metrics.fallback_reason is not None,
        fallback_reason=metrics.fallback_reason,
        usage=usage_of(metrics),
        timings=timings_of(metrics),
        created_at=message.created_at,
    )


def timings_of(metrics: AnswerMetrics) -> TimingsOut:
    return TimingsOut.model_validate(metrics, from_attributes=True)


def usage_of(metrics: AnswerMetrics) -> UsageOut:
    prompt, completion = metrics.prompt_tokens, metrics.completion_tokens
    return UsageOut(
        prompt_tokens=prompt,
        completion_tokens=completion,
        reasoning_tokens=metrics.reasoning_tokens,
        total_tokens=prompt + completion if prompt is not None and completion is not None else None,
        estimated=metrics.tokens_estimated,
        cost_usd=metrics.cost_usd,
    )

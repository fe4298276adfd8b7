"""Chats and messages as pages and routes see them, and the thread as the model reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from chatplay import params as parameters
from chatplay.errors import BadInput
from chatplay.generation.values import AnswerMetrics
from chatplay.params import Params
from chatplay.providers.base import Message, Role
from chatplay.tokens.estimate import DEFAULT_WEIGHTS, Shape
from db.chats import ChatRow
from db.messages import MessageRow, SaidRow

_TITLE_CHARS = 40
OverflowPolicy = Literal["hold_back", "drop_oldest"]
Settings = Params | Mapping[str, Any]  # all of them; or, by name, those to change of what the chat used last


@dataclass(frozen=True)
class ChatRecord:
    """A chat session. `params` are the settings last used in it; `locked_at` is set with the first message."""

    id: UUID
    user_id: int
    title: str
    title_is_custom: bool
    model_name: str
    upstream: str
    engine_type: str | None
    params: Params
    overflow_policy: OverflowPolicy
    leaf_message_id: int | None
    locked_at: datetime | None
    ended_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class MessageRecord:
    """A message and its place among its siblings: `variant` of `variants`, counted from 1."""

    id: int
    session_id: UUID
    parent_id: int | None
    role: Role
    content: str
    status: str
    metrics: AnswerMetrics | None
    generation_id: UUID | None
    created_at: datetime
    variant: int = 1
    variants: int = 1
    previous_id: int | None = None
    next_id: int | None = None


@dataclass(frozen=True)
class Coming:
    """An answer that is coming in a thread that is not on show."""

    generation_id: UUID
    message_id: int


@dataclass(frozen=True)
class ChatView:
    """A chat opened: its last messages, oldest first, and the generation still coming as the last of them, if any.

    `elsewhere`: what is coming in another version of the thread instead; a chat has one answer coming at most.
    """

    chat: ChatRecord
    messages: tuple[MessageRecord, ...]
    has_older: bool
    running: UUID | None
    elsewhere: Coming | None = None


@dataclass(frozen=True)
class ContextUse:
    """Tokens the next request would take of the model's window; None where the window is unknown.

    `used_tokens`: system prompt, thread and draft; `reserved_tokens`: what is kept for the answer.
    `method`: "reported" by an answer's usage, counted by the "server" or by "tiktoken", or an "estimate".
    `error_share`: how far off the last `error_answers` estimates of this model were (0.06 is 6 %), None before
    there are enough. `system_tokens` of the used ones are the `system_prompt`'s; `weights` are for more text.
    """

    used_tokens: int
    window_tokens: int | None
    estimated: bool
    reserved_tokens: int = 0
    method: str = "estimate"
    error_share: float | None = None
    error_answers: int = 0
    system_prompt: str = ""
    system_tokens: int = 0
    weights: Shape = DEFAULT_WEIGHTS
    policy: OverflowPolicy = "hold_back"

    @property
    def share(self) -> float:
        """Of the window, with what is reserved; above 1 it does not fit, and 0 where the window is unknown."""
        return (self.used_tokens + self.reserved_tokens) / self.window_tokens if self.window_tokens else 0.0


@dataclass(frozen=True)
class Turn:
    """A prompt sent and the answer that is now coming."""

    user_message: MessageRecord
    assistant_message: MessageRecord
    generation_id: UUID


def chat_record(row: ChatRow) -> ChatRecord:
    """The row with its settings typed; settings of an older version fall back to the defaults."""
    values = {name: getattr(row, name) for name in ChatRecord.__dataclass_fields__ if name != "params"}
    return ChatRecord(**values, params=parameters.from_json(row.params))


def message_record(row: MessageRow) -> MessageRecord:
    """The row with its figures typed and its place among its siblings."""
    place = row.sibling_ids.index(row.id)
    return MessageRecord(
        id=row.id,
        session_id=row.session_id,
        parent_id=row.parent_id,
        role=row.role,  # type: ignore[arg-type]  # the table's check constraint holds it to Role
        content=row.content,
        status=row.status,
        metrics=AnswerMetrics.from_json(row.metrics),
        generation_id=row.generation_id,
        created_at=row.created_at,
        variant=place + 1,
        variants=len(row.sibling_ids),
        previous_id=row.sibling_ids[place - 1] if place else None,
        next_id=row.sibling_ids[place + 1] if place + 1 < len(row.sibling_ids) else None,
    )


def settings_in(used: Mapping[str, Any], asked: Settings, ranges: parameters.Ranges) -> Params:
    """What a turn is asked with; what the chat `used` last is moved into what the model takes. Raises BadInput."""
    if isinstance(asked, Params):
        return parameters.validate(asked, overrides=ranges)
    return parameters.parse(
        asked, overrides=ranges, base=parameters.clamp(parameters.from_json(used), overrides=ranges)
    )


def title_from(text: str) -> str:
    """A chat's title: the first message on one line, at most 40 characters, cut between words."""
    line = " ".join(text.split())
    if len(line) <= _TITLE_CHARS:
        return line
    head = line[: _TITLE_CHARS - 1]
    return (head.rsplit(" ", 1)[0] if " " in head[20:] else head).rstrip(" ,.;:-") + "…"


def prompt_messages(
    thread: Iterable[MessageRow | MessageRecord | SaidRow | Message], params: Params, *, system: bool = True
) -> tuple[Message, ...]:
    """What the model reads: the system prompt, unless it takes none (`system=False`), then the thread.

    An answer that never brought a token is left out, and prompts that then stand next to each other are
    joined: many chat templates insist on alternating roles.
    """
    messages: list[Message] = []
    if system and params.system_prompt.strip():
        messages.append(Message("system", params.system_prompt))
    for entry in thread:
        if entry.role == "assistant" and not entry.content:
            continue
        if messages and messages[-1].role == entry.role == "user":
            messages[-1] = Message("user", f"{messages[-1].content}\n\n{entry.content}")
        else:
            messages.append(Message(entry.role, entry.content))  # type: ignore[arg-type]
    return tuple(messages)


def check_text(text: str, *, max_chars: int) -> str:
    """`text` as it will be stored and sent. Raises BadInput for what is empty, too long or not text."""
    if not text.strip():
        raise BadInput("The message is empty.", param="text", cure="Type something to send.")
    if len(text) > max_chars:
        raise BadInput(
            f"The message has {len(text):,} characters; the limit is {max_chars:,}.",
            param="text",
            cure="Shorten it, or send it in parts.",
        )
    if bad := parameters.unsendable_character(text):
        raise BadInput(
            f"The message holds {bad}, which can be neither stored nor sent.",
            param="text",
            cure="Remove it and send again.",
        )
    return text

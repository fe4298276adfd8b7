"""What a stored answer was asked with: for whoever wants to ask the same again elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chatplay import snippets
from chatplay.chats.rows import not_found, own_chat
from chatplay.chats.window import messages_for
from chatplay.generation.values import AnswerMetrics
from chatplay.models.catalog import ModelCatalog
from chatplay.params import Params
from chatplay.providers.base import Message
from chatplay.store import Connection
from db import generations
from db import messages as message_rows


@dataclass(frozen=True)
class Asked:
    """The server, the body that was sent but for its messages, and those."""

    upstream: str
    sent: Mapping[str, Any]
    messages: tuple[Message, ...]


def find_asked(conn: Connection, catalog: ModelCatalog, *, user_id: int, chat_id: UUID, message_id: int) -> Asked:
    """Raises NotFound for what is no answer of theirs."""
    chat = own_chat(conn, user_id, chat_id)
    answer = message_rows.find_message(conn, chat_id=chat.id, message_id=message_id)
    if answer is None or answer.role != "assistant":
        raise not_found("answer")
    thread = message_rows.list_path(conn, chat_id=chat.id, leaf_id=message_id)[:-1]
    sent = None
    if answer.generation_id is not None:
        sent = generations.find_sent(conn, generation_id=answer.generation_id)
    metrics = AnswerMetrics.from_json(answer.metrics)
    params = metrics.params if metrics is not None and metrics.params is not None else Params()
    omitted = (metrics.omitted_messages or 0) if metrics is not None else 0
    info = catalog.find_info(chat.model_name, upstream=chat.upstream)
    return Asked(
        upstream=chat.upstream,
        sent=sent or snippets.as_sent(chat.model_name, params),
        messages=messages_for(thread[omitted:], params, info),
    )

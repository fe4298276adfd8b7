"""From a chat to a comparison and back."""

from __future__ import annotations

from dataclasses import asdict, replace
from uuid import UUID, uuid4

from chatplay import params as parameters
from chatplay import templates
from chatplay.chats.rows import own_chat
from chatplay.chats.values import prompt_messages, title_from
from chatplay.compare.runs import not_found
from chatplay.compare.values import Pane, PaneAnswer, messages_of
from chatplay.models.catalog import ModelInfo
from chatplay.models.view import constraints_of
from chatplay.params import Params
from chatplay.store import Connection
from db import chats, compare
from db import messages as message_rows
from db.compare import ComparisonRow


def comparison_from(conn: Connection, user_id: int, chat_id: UUID, message_id: int) -> tuple[UUID, list[Pane]]:
    """A new comparison that asks what was asked at this message, with the thread above as its history; and the panes
    it is to have. Texts of a chat are no templates: braces in them stay.
    """
    chat = own_chat(conn, user_id, chat_id)
    thread = message_rows.list_path(conn, chat_id=chat_id, leaf_id=message_id)
    if thread and thread[-1].role == "assistant":
        thread = thread[:-1]
    if not thread:
        raise not_found("message")
    history = prompt_messages(thread[:-1], Params())
    comparison_id, text = uuid4(), thread[-1].content
    compare.insert_comparison(
        conn,
        comparison_id=comparison_id,
        user_id=user_id,
        title=title_from(text),
        prompt=templates.escape(text),
        history=[asdict(message) for message in history],
        begun_at=compare.NOW,
    )
    params = parameters.from_json(chat.params)
    params = replace(params, system_prompt=templates.escape(params.system_prompt))
    pane = Pane(uuid4(), 0, chat.model_name, chat.upstream, params)
    return comparison_id, [pane, replace(pane, id=uuid4(), position=1)]


def chat_of(conn: Connection, row: ComparisonRow, answer: PaneAnswer, info: ModelInfo) -> UUID:
    """A new chat with the settings of the answer that begins with history, prompt and answer."""
    chat_id, parent_id = uuid4(), None
    params = replace(answer.params, system_prompt=answer.system_prompt_sent)
    compare.insert_chat(
        conn,
        chat_id=chat_id,
        user_id=row.user_id,
        title=title_from(answer.prompt),
        model_name=info.name,
        upstream=info.upstream,
        engine_type=info.engine_type,
        constraints_json=asdict(constraints_of(info)),
        params_json=parameters.to_json(params),
    )
    messages: list[tuple[str, str]] = [(message.role, message.content) for message in messages_of(row)]
    for role, content in (*messages, ("user", answer.prompt)):
        parent_id = message_rows.insert_message(conn, chat_id=chat_id, parent_id=parent_id, role=role, content=content)
    leaf_id = message_rows.insert_message(
        conn,
        chat_id=chat_id,
        parent_id=parent_id,
        role="assistant",
        content=answer.content,
        status=answer.status,
        metrics=answer.metrics.to_json() if answer.metrics else None,
    )
    chats.update_chat(conn, chat_id=chat_id, leaf_message_id=leaf_id)
    return chat_id

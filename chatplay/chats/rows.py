"""One chat inside a transaction: a person's own, the empty one, its model, what is shown of it, a copy of it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any
from uuid import UUID, uuid4

from chatplay import params as parameters
from chatplay.chats.values import ChatRecord, ChatView, Coming, chat_record, message_record
from chatplay.errors import ChatGone, Conflict, NotFound
from chatplay.models.catalog import ModelCatalog, ModelInfo
from chatplay.store import Connection
from db import chats, generations
from db import messages as message_rows
from db.chats import ChatRow
from db.messages import MessageRow


def own_chat(conn: Connection, user_id: int, chat_id: UUID, *, for_update: bool = False) -> ChatRow:
    """Raises NotFound for a missing chat and for one of somebody else, alike."""
    chat = chats.find_chat(conn, user_id=user_id, chat_id=chat_id, for_update=for_update)
    if chat is None:
        raise not_found()
    return chat


def not_found(what: str = "chat") -> NotFound:
    kind = ChatGone if what == "chat" else NotFound
    return kind(f"There is no such {what}.", cure="It may have been deleted. Choose one from the history.")


def empty_chat(conn: Connection, catalog: ModelCatalog, *, user_id: int, role: str) -> ChatRow:
    """The person's one chat without a message; made when there is none. Conflict when another tab begins it now."""
    if found := chats.find_empty_chat(conn, user_id=user_id):
        return with_todays_default(conn, catalog, found, role)
    info = catalog.default(role)
    chats.insert_empty_chat(
        conn,
        chat_id=uuid4(),
        user_id=user_id,
        model_name=info.name,
        upstream=info.upstream,
        engine_type=info.engine_type,
        constraints=asdict(catalog.constraints(info)),
        params=first_params(conn, user_id=user_id, model=info),
    )
    found = chats.find_empty_chat(conn, user_id=user_id)
    if found is None:
        raise Conflict("The new chat was used in another tab.", cure="Open a new chat again.")
    return found


def todays_default(catalog: ModelCatalog, chat: ChatRow, role: str) -> ModelInfo | None:
    """What an empty chat whose model nobody chose is to follow: the default, where it is another one since.

    One whose model does not run stays as it is: the page shows another in its place, and says so.
    """
    if chat.locked_at is not None or chat.updated_at != chat.created_at:
        return None
    own = (chat.model_name, chat.upstream)
    if own not in [(info.name, info.upstream) for info in catalog.list_running(role)]:
        return None
    info = catalog.default(role)
    return None if own == (info.name, info.upstream) else info


def with_todays_default(conn: Connection, catalog: ModelCatalog, chat: ChatRow, role: str) -> ChatRow:
    """The same chat, with that model if there is one."""
    info = todays_default(catalog, chat, role)
    if info is None:
        return chat
    set_model(conn, catalog, chat_id=chat.id, info=info)
    return own_chat(conn, chat.user_id, chat.id)


def set_model(conn: Connection, catalog: ModelCatalog, *, chat_id: UUID, info: ModelInfo) -> None:
    """Gives the chat this model and keeps its limits as they are now."""
    chats.update_chat(
        conn,
        chat_id=chat_id,
        model_name=info.name,
        upstream=info.upstream,
        engine_type=info.engine_type,
        constraints_json=asdict(catalog.constraints(info)),
    )


def chat_with(conn: Connection, chat: ChatRecord, model: ModelInfo) -> ChatRecord:
    """A chat that has not begun as it would begin with this model."""
    params = parameters.from_json(first_params(conn, user_id=chat.user_id, model=model))
    return replace(chat, model_name=model.name, upstream=model.upstream, engine_type=model.engine_type, params=params)


def view_of(conn: Connection, chat: ChatRow, *, limit: int) -> ChatView:
    """The chat with the last `limit` messages of the thread on show."""
    rows = []
    if chat.leaf_message_id is not None:
        rows = message_rows.list_path(conn, chat_id=chat.id, leaf_id=chat.leaf_message_id, limit=limit)
    messages = tuple(message_record(row) for row in rows)
    last = messages[-1] if messages else None
    running = last.generation_id if last and last.status == "streaming" else None
    coming = message_rows.find_coming(conn, chat_id=chat.id) if running is None and last is not None else None
    return ChatView(
        chat=chat_record(chat),
        messages=messages,
        has_older=bool(rows) and rows[0].parent_id is not None,
        running=running,
        elsewhere=Coming(*coming) if coming is not None else None,
    )


def first_params(conn: Connection, *, user_id: int, model: ModelInfo) -> dict[str, Any]:
    """Of a new chat: what the person used last, and above it what the model is to begin with."""
    return {**chats.get_person_params(conn, user_id=user_id), **(model.request_defaults or {})}


def copy_thread(conn: Connection, thread: list[MessageRow], *, chat_id: UUID) -> int | None:
    """Copies a thread into another chat; answers keep text and figures. One that is still coming counts as stopped
    there, with what has come so far; without a word of it yet the copy ends with its prompt.
    """
    parent_id = None
    for row in thread:
        content = _so_far(conn, row) if row.status == "streaming" else row.content
        if row.status == "streaming" and not content:
            break
        parent_id = message_rows.insert_message(
            conn,
            chat_id=chat_id,
            parent_id=parent_id,
            role=row.role,
            content=content,
            status="stopped" if row.status == "streaming" else row.status,
            metrics=row.metrics,
        )
    return parent_id


def _so_far(conn: Connection, row: MessageRow) -> str:
    if row.generation_id is None:
        return ""
    batches = generations.list_events(conn, generation_id=row.generation_id)
    return "".join(text for batch in batches for text in batch.texts)

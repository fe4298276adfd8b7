"""`/v1/chat/sessions`: the caller's chats, as the pages show them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from chatplay.api.cursors import Cursor, read_cursor, write_cursor
from chatplay.api.errors import documented
from chatplay.api.keys import IdempotencyKey, request_key
from chatplay.api.services import Rt, Threads
from chatplay.api.shapes import (
    Deleted,
    MessageOut,
    NewMessage,
    NewSession,
    Session,
    SessionLine,
    SessionList,
    SessionWithMessages,
)
from chatplay.api.who import Caller, Chatter, Reader
from chatplay.chats.values import ChatRecord
from chatplay.errors import BadInput
from chatplay.runtime import Runtime

router = APIRouter(prefix="/v1/chat/sessions", tags=["Sessions"])
_Limit = Annotated[int, Query(ge=1, le=200)]
MessageId = Annotated[int, Query(ge=1, le=2**63 - 1)]


@router.get("")
async def list_sessions(
    caller: Reader,
    rt: Rt,
    threads: Threads,
    limit: _Limit = 50,
    cursor: Cursor = None,
    search: Annotated[str, Query(max_length=200, description="Words of titles and messages.")] = "",
) -> SessionList:
    """Your sessions with messages, touched last first."""
    before = read_cursor(cursor) if cursor else None
    lines = await threads.run(
        rt.chat_log.list_chats, user_id=caller.user_id, search=search, limit=limit + 1, before=before
    )
    shown = lines[:limit]
    return SessionList(
        data=[SessionLine.of(line) for line in shown],
        next_cursor=write_cursor(shown[-1].updated_at, shown[-1].id) if len(lines) > limit else None,
    )


@router.post("", status_code=201, responses=documented(409))
async def create_session(caller: Chatter, rt: Rt, threads: Threads, body: NewSession | None = None) -> Session:
    """A session to chat in. You have one empty session at most: while it is empty, this gives the same one."""
    return Session.of(await threads.run(_create, rt, caller, body or NewSession()))


@router.get("/{session_id}")
async def get_session(
    session_id: UUID,
    caller: Reader,
    rt: Rt,
    threads: Threads,
    limit: _Limit = 100,
    before: Annotated[MessageId | None, Query(description="`next_before` of the page after.")] = None,
) -> SessionWithMessages:
    """A session with the last messages of its thread, oldest first."""
    await threads.run(rt.generations.hub.settle, user_id=caller.user_id)
    page = await threads.run(
        rt.chat_log.open_thread,
        user_id=caller.user_id,
        chat_id=session_id,
        limit=limit,
        before_message_id=before,
    )
    return SessionWithMessages.page(page)


@router.post("/{session_id}/messages", status_code=201, responses=documented(409))
async def add_message(
    session_id: UUID,
    body: NewMessage,
    caller: Chatter,
    rt: Rt,
    threads: Threads,
    idempotency_key: IdempotencyKey = None,
) -> MessageOut:
    """Adds a message to the thread and asks no model; `generate` without content answers it."""
    try:
        added = await threads.run(
            rt.chat_log.add_message,
            user_id=caller.user_id,
            chat_id=session_id,
            role=body.role,
            text=body.content,
            request_key=request_key(caller, "message", idempotency_key, about=session_id),
        )
    except BadInput as error:
        raise as_content(error) from None
    return MessageOut.of(added)


@router.delete("/{session_id}", status_code=204)
async def delete_session(session_id: UUID, caller: Chatter, rt: Rt, threads: Threads) -> None:
    """Removes a session with its messages; an answer still coming in it is stopped."""
    await threads.run(rt.chats.delete, user_id=caller.user_id, chat_id=session_id)


@router.delete("")
async def delete_sessions(caller: Chatter, rt: Rt, threads: Threads) -> Deleted:
    """Removes all your sessions that have messages."""
    return Deleted(deleted_count=await threads.run(rt.chats.delete_all, user_id=caller.user_id))


def as_content(error: BadInput) -> BadInput:
    """The pages call it the text, programs the content."""
    error.param = "content" if error.param == "text" else error.param
    return error


def _create(rt: Runtime, caller: Caller, body: NewSession) -> ChatRecord:
    user_id, role = caller.user_id, caller.role
    chat = rt.chats.new_chat(user_id=user_id, role=role).chat
    if body.model_name is not None:
        model = rt.catalog.get(body.model_name, role=role, upstream=body.upstream)
        chat = rt.chats.choose_model(user_id=user_id, role=role, chat_id=chat.id, model=model)
    if body.title is not None:
        rt.chats.rename(user_id=user_id, chat_id=chat.id, title=body.title)
        chat = rt.chat_log.open_thread(user_id=user_id, chat_id=chat.id, limit=1).chat
    return chat

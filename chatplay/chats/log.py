"""Chats as programs read and write them: pages of lists and threads, messages without an answer, answers by id.

Everything takes the caller's `user_id`; what is not theirs does not exist (NotFound).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from chatplay.calls import no_such_answer
from chatplay.chats.rows import chat_with, not_found, own_chat
from chatplay.chats.values import ChatRecord, Coming, MessageRecord, chat_record, check_text, message_record, title_from
from chatplay.errors import Conflict, GenerationRunning
from chatplay.models.catalog import ModelInfo
from chatplay.store import Store
from db import chat_lines, chats
from db import messages as message_rows
from db.chat_lines import AnswerRef, ChatLine
from db.chats import ChatRow

__all__ = ["AnswerRef", "ChatLine", "ChatLog", "LastAnswer", "ThreadPage"]
PostedRole = Literal["user", "system"]  # what clients may write; answers are written by models alone


@dataclass(frozen=True)
class ThreadPage:
    """A chat with messages of the thread on show, oldest first; `has_older` when there are more before them."""

    chat: ChatRecord
    messages: tuple[MessageRecord, ...]
    has_older: bool


@dataclass(frozen=True)
class LastAnswer:
    """The newest answer of a chat and whether it is still coming; `message_id` is 0 where there is none."""

    message_id: int
    streaming: bool


class ChatLog:
    """See the module. One per process; safe from any thread."""

    def __init__(self, *, store: Store, max_prompt_chars: int) -> None:
        self._store = store
        self._max_prompt_chars = max_prompt_chars

    def count_chats(self, *, user_id: int) -> int:
        """How many chats of the person have messages: those that `delete_all` would remove."""
        with self._store.reading() as conn:
            return chats.count_chats(conn, user_id=user_id)

    def list_chats(
        self, *, user_id: int, search: str = "", limit: int = 50, before: tuple[datetime, UUID] | None = None
    ) -> list[ChatLine]:
        """The person's chats with messages, newest activity first; `before`: time and id of the line above."""
        with self._store.reading() as conn:
            return chat_lines.list_chat_lines(conn, user_id=user_id, search=search, limit=limit, before=before)

    def get_chat(self, *, user_id: int, chat_id: UUID) -> ChatRecord:
        """The chat without its messages. Raises NotFound."""
        with self._store.reading() as conn:
            return chat_record(own_chat(conn, user_id, chat_id))

    def open_thread(
        self, *, user_id: int, chat_id: UUID, limit: int = 50, before_message_id: int | None = None
    ) -> ThreadPage:
        """The last `limit` messages, or those before a message of the thread."""
        with self._store.reading() as conn:
            chat = own_chat(conn, user_id, chat_id)
            leaf_id = chat.leaf_message_id
            if before_message_id is not None:
                found = message_rows.find_message(conn, chat_id=chat_id, message_id=before_message_id)
                if found is None:
                    raise not_found("message")
                leaf_id = found.parent_id
            rows = message_rows.list_path(conn, chat_id=chat_id, leaf_id=leaf_id, limit=limit) if leaf_id else []
        messages = tuple(message_record(row) for row in rows)
        return ThreadPage(chat_record(chat), messages, bool(rows) and rows[0].parent_id is not None)

    def shown_with(self, chat: ChatRecord, model: ModelInfo) -> ChatRecord:
        """A chat that has not begun as it would begin with another model; nothing is stored."""
        with self._store.reading() as conn:
            return chat_with(conn, chat, model)

    def find_message(self, *, user_id: int, chat_id: UUID, message_id: int) -> MessageRecord:
        """One message of the person's chat, whatever its thread. Raises NotFound."""
        with self._store.reading() as conn:
            own_chat(conn, user_id, chat_id)
            found = message_rows.find_message(conn, chat_id=chat_id, message_id=message_id)
        if found is None:
            raise not_found("message")
        return message_record(found)

    def add_message(
        self, *, user_id: int, chat_id: UUID, role: PostedRole, text: str, request_key: UUID
    ) -> MessageRecord:
        """Adds a message to the end of the thread and asks no model. The same `request_key` again: the same message.

        Raises BadInput, NotFound, GenerationRunning while an answer is coming in this chat.
        """
        check_text(text, max_chars=self._max_prompt_chars)
        with self._store.transaction() as conn:
            chat = own_chat(conn, user_id, chat_id, for_update=True)
            same_id, is_streaming = message_rows.find_obstacles(conn, chat_id=chat_id, request_key=request_key)
            if same_id is None and is_streaming:
                raise GenerationRunning("An answer is still coming in this chat.", cure="Wait for its end or stop it.")
            message_id = same_id or message_rows.insert_message(
                conn,
                chat_id=chat_id,
                parent_id=chat.leaf_message_id,
                role=role,
                content=text,
                request_key=request_key,
            )
            if same_id is None:
                chats.update_chat(conn, chat_id=chat_id, **_changes(chat, message_id, text if role == "user" else ""))
            added = message_rows.find_message(conn, chat_id=chat_id, message_id=message_id)
        if added is None:
            raise Conflict("This message was deleted meanwhile.", cure="Send it again under another key.")
        return message_record(added)

    # ---- answers -------------------------------------------------------------------------------

    def get_answer(self, *, user_id: int, generation_id: UUID) -> AnswerRef:
        """Where an answer belongs. Raises NotFound."""
        with self._store.reading() as conn:
            found = chat_lines.find_answer_ref(conn, user_id=user_id, generation_id=generation_id)
        if found is None:
            raise no_such_answer()
        return found

    def find_coming(self, *, user_id: int, chat_id: UUID) -> Coming | None:
        """The answer that is coming in a chat, on show or not. Raises NotFound."""
        with self._store.reading() as conn:
            own_chat(conn, user_id, chat_id)
            found = message_rows.find_coming(conn, chat_id=chat_id)
        return None if found is None else Coming(*found)

    def find_last_answer(self, *, user_id: int, chat_id: UUID) -> LastAnswer:
        """Where a reader of the chat begins. Raises NotFound."""
        with self._store.reading() as conn:
            own_chat(conn, user_id, chat_id)
            found = chat_lines.find_last_answer(conn, chat_id=chat_id)
        return LastAnswer(*found) if found else LastAnswer(0, streaming=False)

    def list_new_answers(self, after: Mapping[UUID, int]) -> list[AnswerRef]:
        """Of many chats at once, whoever's: answers above the message id given for each. Callers own the chats."""
        with self._store.reading() as conn:
            return chat_lines.list_new_answers(conn, after=after)


def _changes(chat: ChatRow, message_id: int, prompt: str) -> dict[str, object]:
    """What a new message changes of its chat: the end of the thread, and with the first message lock and title."""
    changes: dict[str, object] = {"leaf_message_id": message_id, "updated_at": chats.NOW}
    if chat.locked_at is None:
        changes["locked_at"] = chats.NOW
    if prompt and not chat.title:
        changes["title"] = title_from(prompt)
    return changes

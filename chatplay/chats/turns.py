"""One turn: prompt, empty answer, generation and usage row in one transaction; only then is the model asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast
from uuid import UUID, uuid4

from chatplay import params as parameters
from chatplay.calls import Call, Calls
from chatplay.chats.values import OverflowPolicy, Turn, check_text, message_record, title_from
from chatplay.chats.window import plan
from chatplay.errors import Conflict, GenerationRunning, NotFound
from chatplay.generation.hub import Hub
from chatplay.generation.values import Job
from chatplay.models.catalog import ModelCatalog
from chatplay.params import Params
from chatplay.store import Connection, Store
from chatplay.tokens.counting import TokenCounter
from db import chats
from db import messages as message_rows
from db.chats import ChatRow


@dataclass(frozen=True)
class Prompt:
    """What a person asks for. Without `at_message`: a new prompt at the end. With `text` and the id of a
    prompt: another wording of it. Without `text` and with the id of an answer: that answer again; with the id of
    a prompt: an answer to it.
    """

    user_id: int
    role: str
    chat_id: UUID
    params: Params
    request_key: UUID
    text: str | None = None
    at_message: int | None = None
    source: str = "chat"


class Turns:
    """Begins turns; see the module."""

    def __init__(
        self,
        *,
        store: Store,
        hub: Hub,
        calls: Calls,
        catalog: ModelCatalog,
        counter: TokenCounter,
        max_prompt_chars: int,
    ) -> None:
        self._store = store
        self._hub = hub
        self._calls = calls
        self._catalog = catalog
        self._counter = counter
        self._max_prompt_chars = max_prompt_chars

    def begin(self, prompt: Prompt) -> Turn:
        """Commits the turn, then starts its generation. The same `request_key` again gives the same turn.

        Raises BadInput for a text or setting that can't be used, ContextFull for a prompt that does not fit the
        window, NotFound for what is not the person's own,
        GenerationRunning while an answer is coming in this chat, ProviderUnreachable while the model's server is
        left alone after failures.
        """
        if prompt.text is not None:
            check_text(prompt.text, max_chars=self._max_prompt_chars)
        self._hub.settle(user_id=prompt.user_id)
        with self._store.transaction() as conn:
            chat = own_chat(conn, prompt.user_id, prompt.chat_id, for_update=True)
            same_id, is_streaming = message_rows.find_obstacles(conn, chat_id=chat.id, request_key=prompt.request_key)
            if same_id is not None:
                return _same_turn(conn, chat.id, same_id)
            if is_streaming:
                raise GenerationRunning(
                    "An answer is still coming in this chat.",
                    cure="Wait for its end or stop it, then send again. Your text is back in the input.",
                )
            turn, job = self._write(conn, chat, prompt)
        self._calls.run(job)
        return turn

    def _write(self, conn: Connection, chat: ChatRow, prompt: Prompt) -> tuple[Turn, Job]:
        info = self._catalog.get(chat.model_name, role=prompt.role, upstream=chat.upstream)
        self._catalog.check_open(info)
        params = parameters.validate(prompt.params, overrides=info.ranges)
        generation_id = uuid4()
        answer_id = message_rows.insert_turn(
            conn,
            chat_id=chat.id,
            parent_id=_parent(conn, chat, prompt),
            text=prompt.text,
            generation_id=generation_id,
            request_key=prompt.request_key,
        )
        chats.remember_params(
            conn,
            user_id=chat.user_id,
            chat_id=chat.id,
            params=parameters.to_json(params),
            **changes_of_chat(chat, answer_id, prompt.text),
        )
        thread = message_rows.list_path(conn, chat_id=chat.id, leaf_id=answer_id)
        policy = cast(OverflowPolicy, chat.overflow_policy)  # the table's check constraint holds it to these
        prompt_plan = plan(thread[:-1], params=params, model=info, policy=policy, counter=self._counter)
        call = Call(
            user_id=chat.user_id,
            model=info,
            messages=prompt_plan.messages,
            params=params,
            source=prompt.source,
            generation_id=generation_id,
            session_id=chat.id,
            message_id=answer_id,
            omitted_messages=prompt_plan.omitted_messages,
            omitted_tokens=prompt_plan.omitted_tokens,
        )
        return Turn(message_record(thread[-2]), message_record(thread[-1]), generation_id), self._calls.open(conn, call)


def _parent(conn: Connection, chat: ChatRow, prompt: Prompt) -> int | None:
    """What the new prompt follows; without a text, the prompt to answer again."""
    if prompt.at_message is None:
        if prompt.text is None:
            raise not_found("message")
        return chat.leaf_message_id
    target = message_rows.find_message(conn, chat_id=chat.id, message_id=prompt.at_message)
    if target is None or (prompt.text is not None and target.role != "user"):
        raise not_found("message")
    return target.id if prompt.text is None and target.role != "assistant" else target.parent_id


def changes_of_chat(chat: ChatRow, leaf_id: int, text: str | None) -> dict[str, object]:
    """What a new message changes of its chat: the end of the thread, and with the first message lock and title."""
    changes: dict[str, object] = {"leaf_message_id": leaf_id, "updated_at": chats.NOW}
    if chat.locked_at is None:
        changes["locked_at"] = chats.NOW
    if text is not None and not chat.title:
        changes["title"] = title_from(text)
    return changes


def _same_turn(conn: Connection, chat_id: UUID, message_id: int) -> Turn:
    leaf_id = message_rows.newest_child(conn, message_id=message_id) or message_id  # a prompt has its answer below
    user, answer = message_rows.list_path(conn, chat_id=chat_id, leaf_id=leaf_id, limit=2)
    if answer.generation_id is None:
        raise Conflict("This message was sent already.", cure="Reload the page to see its answer.")
    return Turn(message_record(user), message_record(answer), answer.generation_id)


def own_chat(conn: Connection, user_id: int, chat_id: UUID, *, for_update: bool = False) -> ChatRow:
    chat = chats.find_chat(conn, user_id=user_id, chat_id=chat_id, for_update=for_update)
    if chat is None:
        raise not_found()
    return chat


def not_found(what: str = "chat") -> NotFound:
    return NotFound(f"There is no such {what}.", cure="It may have been deleted. Choose one from the history.")

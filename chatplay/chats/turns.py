"""One turn: prompt, empty answer, generation and usage row in one transaction; only then is the model asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast
from uuid import UUID, uuid4

from chatplay import params as parameters
from chatplay.calls import Call, Calls
from chatplay.chats.values import (
    OverflowPolicy,
    Settings,
    Turn,
    check_text,
    message_record,
    settings_in,
    title_from,
)
from chatplay.chats.window import plan
from chatplay.errors import ChatplayError, Conflict, GenerationRunning, NotFound
from chatplay.generation.hub import Hub
from chatplay.generation.values import Job
from chatplay.models.catalog import ModelCatalog, ModelInfo
from chatplay.params import Params
from chatplay.store import Connection, Store
from chatplay.tokens.counting import TokenCounter
from db import chats, turns
from db import messages as message_rows
from db.chats import ChatRow

_WHOLE = 12  # among so many there is an answer whose usage tells the tokens of all before it, if there is any at all


@dataclass(frozen=True)
class Prompt:
    """What a person asks for. Without `at_message`: a new prompt at the end. With `text` and the id of a
    prompt: another wording of it. Without `text` and with the id of an answer: that answer again; with the id of
    a prompt: an answer to it.
    """

    user_id: int
    role: str
    chat_id: UUID
    params: Settings
    request_key: UUID
    text: str | None = None
    at_message: int | None = None
    source: str = "chat"


@dataclass(frozen=True)
class _Opened:
    model: ModelInfo
    params: Params
    generation_id: UUID
    answer_id: int


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
            try:
                opened = self._open(conn, chat, prompt)
            except ChatplayError:
                same_id, _ = message_rows.find_obstacles(conn, chat_id=chat.id, request_key=prompt.request_key)
                if same_id is None:
                    raise
                return _same_turn(conn, chat.id, same_id)
            turn, job = self._write(conn, chat, prompt, opened)
        self._calls.run(job)
        return turn

    def _open(self, conn: Connection, chat: ChatRow, prompt: Prompt) -> _Opened:
        """The turn's messages; an error has changed nothing."""
        info = self._catalog.get(chat.model_name, role=prompt.role, upstream=chat.upstream)
        self._catalog.check_open(info)
        params, generation_id = settings_in(chat, prompt.params, info.ranges), uuid4()
        answer_id = turns.open_turn(
            conn,
            chat_id=chat.id,
            user_id=chat.user_id,
            parent_id=_parent(conn, chat, prompt),
            content=prompt.text,
            title=title_from(prompt.text or ""),
            params=parameters.to_json(params),
            generation_id=generation_id,
            request_key=prompt.request_key,
        )
        if answer_id is None:
            raise GenerationRunning(
                "An answer is still coming in this chat.",
                cure="Wait for its end or stop it, then send again. Your text is back in the input.",
            )
        return _Opened(info, params, generation_id, answer_id)

    def _write(self, conn: Connection, chat: ChatRow, prompt: Prompt, opened: _Opened) -> tuple[Turn, Job]:
        """The call that answers it, as far as it fits the window and the budgets."""
        said, last = message_rows.list_thread(conn, chat_id=chat.id, leaf_id=opened.answer_id, whole=_WHOLE)
        policy = cast(OverflowPolicy, chat.overflow_policy)  # the table's check constraint holds it to these
        sent = plan([*said, *last[:-1]], params=opened.params, model=opened.model, policy=policy, counter=self._counter)
        call = Call(
            user_id=chat.user_id,
            model=opened.model,
            messages=sent.messages,
            params=opened.params,
            source=prompt.source,
            generation_id=opened.generation_id,
            session_id=chat.id,
            message_id=opened.answer_id,
            omitted_messages=sent.omitted_messages,
            omitted_tokens=sent.omitted_tokens,
        )
        turn = Turn(message_record(last[-2]), message_record(last[-1]), opened.generation_id)
        return turn, self._calls.open(conn, call)


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

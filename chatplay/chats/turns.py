"""One turn: prompt, empty answer, generation and usage row in one statement; only then is the model asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast
from uuid import UUID

from chatplay import params as parameters
from chatplay.calls import Call, Calls, agreed_price, new_usage
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
from chatplay.errors import Conflict, GenerationRunning, NotFound
from chatplay.generation.hub import Hub
from chatplay.models.catalog import ModelCatalog
from chatplay.prices import Price
from chatplay.store import Connection, Store
from chatplay.tokens.counting import TokenCounter
from chatplay.usage.price_table import price_of
from db import chats, turns
from db import messages as message_rows
from db.chats import ChatRow
from db.messages import MessageRow, SaidRow
from db.turns import Ground, Opened

_WHOLE = 12  # among so many there is an answer whose usage tells the tokens of all before it, if there is any at all
_TRIES = 5  # where another tab or process changes the chat between reading and writing


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
        with self._store.reading() as conn:
            for _ in range(_TRIES):
                ground = _ground(conn, prompt)
                if ground.same_id is not None:
                    return _same_turn(conn, prompt.chat_id, ground.same_id)
                call, price = self._call(conn, ground, prompt)
                if (opened := self._open(conn, ground, prompt, call)) is not None:
                    self._calls.run(self._calls.job(replace(call, message_id=opened.answer_id), price))
                    return _turn(ground, prompt, call, opened)
        raise Conflict("This chat changes all the time.", cure="Look whether it is open elsewhere, then send again.")

    def _call(self, conn: Connection, ground: Ground, prompt: Prompt) -> tuple[Call, Price | None]:
        """The model call that answers, as far as it fits the window and the budgets, and what it costs."""
        model = self._catalog.get(ground.model_name, role=prompt.role, upstream=ground.upstream)
        self._catalog.check_open(model)
        params = settings_in(ground.params, prompt.params, model.ranges)
        if ground.is_coming:
            raise GenerationRunning(
                "An answer is still coming in this chat.",
                cure="Wait for its end or stop it, then send again. Your text is back in the input.",
            )
        asked = () if prompt.text is None else (SaidRow("user", prompt.text, "complete"),)
        policy = cast(OverflowPolicy, ground.overflow_policy)  # the table's check constraint holds it to these
        thread = (*ground.said, *ground.last, *asked)
        sent = plan(thread, params=params, model=model, policy=policy, counter=self._counter)
        dated = price_of(ground.rates) if ground.rates else None
        price = agreed_price(conn, dated, ground.has_budgets, user_id=ground.user_id, model=model)
        call = Call(
            user_id=ground.user_id,
            model=model,
            messages=sent.messages,
            params=params,
            source=prompt.source,
            session_id=ground.chat_id,
            omitted_messages=sent.omitted_messages,
            omitted_tokens=sent.omitted_tokens,
        )
        return call, price

    def _open(self, conn: Connection, ground: Ground, prompt: Prompt, call: Call) -> Opened | None:
        """The turn's rows; None when the chat is no longer as it was."""
        return turns.open_turn(
            conn,
            ground=ground,
            content=prompt.text,
            title=title_from(prompt.text or ""),
            params=parameters.to_json(call.params),
            request_key=prompt.request_key,
            call=new_usage(call),
            owner=self._calls.owner,
        )


def _ground(conn: Connection, prompt: Prompt) -> Ground:
    """What the turn stands on. Raises NotFound for what is not the person's own."""
    ground = turns.find_ground(
        conn,
        user_id=prompt.user_id,
        chat_id=prompt.chat_id,
        request_key=prompt.request_key,
        at_message=prompt.at_message,
        reworded=prompt.text is not None,
        whole=_WHOLE,
    )
    if ground is None:
        raise not_found()
    is_nothing = prompt.text is None and (prompt.at_message is None or ground.parent_id is None)
    if is_nothing or not ground.has_place:
        raise not_found("message")
    return ground


def _turn(ground: Ground, prompt: Prompt, call: Call, opened: Opened) -> Turn:
    """As pages and routes see it: its rows, as they were written."""
    blank = MessageRow(
        id=opened.answer_id,
        session_id=ground.chat_id,
        parent_id=opened.prompt_id,
        role="assistant",
        content="",
        status="streaming",
        metrics={},
        generation_id=call.generation_id,
        request_key=None,
        created_at=opened.created_at,
        sibling_ids=(opened.answer_id,),
    )
    if opened.prompt_id is None:
        asked = ground.last[-1]
        answer = replace(blank, parent_id=asked.id, sibling_ids=(*opened.beside, opened.answer_id))
    else:
        answer = blank
        asked = replace(
            blank,
            id=opened.prompt_id,
            parent_id=ground.parent_id,
            role="user",
            content=prompt.text or "",
            status="complete",
            generation_id=None,
            sibling_ids=(*opened.beside, opened.prompt_id),
        )
    return Turn(message_record(asked), message_record(answer), call.generation_id)


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

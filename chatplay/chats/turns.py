"""One turn: prompt, empty answer, generation and usage row in one statement; only then is the model asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast
from uuid import UUID

from chatplay import params as parameters
from chatplay.calls import Call, Calls, agreed_price, new_usage
from chatplay.chats.rows import not_found, own_chat
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
from chatplay.errors import BadInput, ChatplayError, Conflict, GenerationRunning
from chatplay.generation.hub import Hub
from chatplay.generation.values import Job
from chatplay.models.catalog import ModelCatalog
from chatplay.prices import Price
from chatplay.store import Connection, Store
from chatplay.tokens.counting import TokenCounter
from chatplay.usage.price_table import dated_price
from db import messages as message_rows
from db import turns
from db.messages import MessageRow, SaidRow
from db.turns import Ground, Opened

_WHOLE = 12  # among so many there is an answer whose usage tells the tokens of all before it, if there is any at all


@dataclass(frozen=True)
class Prompt:
    """What a person asks for. Without `at_message`: a new prompt at the end. With `text` and the id of a
    prompt: another wording of it. Without `text` and with the id of an answer: that answer again; with the id of
    a prompt: an answer to it. With neither: the last message is answered, or asked for again where it
    is an answer that failed, was stopped or interrupted.
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
class _Begun:
    """A turn that stands in the database, and what is to be run for it; None for a turn begun before."""

    turn: Turn
    job: Job | None = None


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

        Raises BadInput for a text or setting that can't be used, or where no prompt waits for an answer, ContextFull
        for a prompt that does not fit the window, BudgetSpent, NotFound for what is not the person's own,
        GenerationRunning while an answer is coming in this chat, ProviderUnreachable while the model's server is left
        alone after failures.
        """
        if prompt.text is not None:
            check_text(prompt.text, max_chars=self._max_prompt_chars)
        self._hub.settle(user_id=prompt.user_id)
        with self._store.reading() as conn:
            begun = self._write(conn, prompt)
        if begun is None:
            begun = self._write_alone(prompt)
        if begun.job is not None:
            self._calls.run(begun.job)
        return begun.turn

    def _write(self, conn: Connection, prompt: Prompt) -> _Begun | None:
        """The turn's rows, each of two statements a transaction of its own; None where the chat changed in between,
        or an answer is coming in it.
        """
        ground = _ground(conn, prompt)
        if ground.same_id is not None:
            return _Begun(_same_turn(conn, prompt.chat_id, ground.same_id))
        if ground.is_coming:
            return None
        if not ground.has_place:
            raise _nothing_there(prompt)
        call, price = self._call(conn, ground, prompt)
        job = self._calls.job(call, price)  # whatever can fail does so before there is something to run
        opened = turns.open_turn(
            conn,
            ground=ground,
            content=prompt.text,
            title=title_from(prompt.text or ""),
            params=parameters.to_json(call.params),
            request_key=prompt.request_key,
            call=new_usage(call),
            owner=self._calls.owner,
        )
        if opened is None:
            return None
        turn = _turn(ground, prompt, call.generation_id, opened)
        return _Begun(turn, replace(job, message_id=opened.answer_id))

    def _write_alone(self, prompt: Prompt) -> _Begun:
        """The same with the chat locked: who waits for the lock also waits for an end that is being written."""
        with self._store.transaction() as conn:
            own_chat(conn, prompt.user_id, prompt.chat_id, for_update=True)
            begun = self._write(conn, prompt)
        if begun is None:
            raise GenerationRunning(
                "An answer is still coming in this chat.",
                cure="Wait for its end or stop it, then send again.",
            )
        return begun

    def _call(self, conn: Connection, ground: Ground, prompt: Prompt) -> tuple[Call, Price | None]:
        """The model call that answers, as far as it fits the window and the budgets, and what it costs."""
        model = self._catalog.get(ground.model_name, role=prompt.role, upstream=ground.upstream)
        self._catalog.check_open(model)
        params = settings_in(ground.params, prompt.params, model.ranges)
        asked = () if prompt.text is None else (SaidRow("user", prompt.text, "complete"),)
        policy = cast(OverflowPolicy, ground.overflow_policy)  # the table's check constraint holds it to these
        thread = (*ground.said, *ground.last, *asked)
        sent = plan(thread, params=params, model=model, policy=policy, counter=self._counter)
        price = agreed_price(conn, dated_price(ground.rates), ground.has_budgets, user_id=ground.user_id, model=model)
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


def _ground(conn: Connection, prompt: Prompt) -> Ground:
    """What the turn stands on. Raises NotFound for a chat that is not the person's own."""
    ground = turns.find_ground(
        conn,
        user_id=prompt.user_id,
        chat_id=prompt.chat_id,
        request_key=prompt.request_key,
        at_message=prompt.at_message,
        has_text=prompt.text is not None,
        whole=_WHOLE,
    )
    if ground is None:
        raise not_found()
    return ground


def _nothing_there(prompt: Prompt) -> ChatplayError:
    if prompt.at_message is not None:
        return not_found("message")
    return BadInput("There is no message to answer.", param="text", cure="Send a prompt.")


def _turn(ground: Ground, prompt: Prompt, generation_id: UUID, opened: Opened) -> Turn:
    """As pages and routes see it: its rows, as they were written."""
    blank = MessageRow(
        id=opened.answer_id,
        session_id=ground.chat_id,
        parent_id=opened.prompt_id,
        role="assistant",
        content="",
        status="streaming",
        metrics={},
        generation_id=generation_id,
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
    return Turn(message_record(asked), message_record(answer), generation_id)


def _same_turn(conn: Connection, chat_id: UUID, message_id: int) -> Turn:
    answer_id = message_rows.find_first_answer(conn, message_id=message_id)
    rows = message_rows.list_path(conn, chat_id=chat_id, leaf_id=answer_id, limit=2) if answer_id else []
    if not rows and message_rows.find_message(conn, chat_id=chat_id, message_id=message_id) is None:
        raise not_found()  # deleted a moment ago
    if len(rows) < 2 or rows[1].generation_id is None:
        raise Conflict("This message was sent already.", cure="Reload the page to see its answer.")
    return Turn(message_record(rows[0]), message_record(rows[1]), rows[1].generation_id)

"""Chat sessions and turns: the one service that pages and routes use to send, stop, regenerate, edit and restore.

Everything takes the signed-in person's `user_id`; what is not theirs does not exist (NotFound).
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from chatplay import params as parameters
from chatplay import snippets
from chatplay.calls import Calls
from chatplay.chats.asked import find_asked
from chatplay.chats.rows import (
    copy_thread,
    empty_chat,
    first_params,
    not_found,
    own_chat,
    set_model,
    todays_default,
    view_of,
    with_todays_default,
)
from chatplay.chats.turns import Prompt, Turns
from chatplay.chats.values import (
    ChatRecord,
    ChatView,
    ContextUse,
    MessageRecord,
    OverflowPolicy,
    Settings,
    Turn,
    chat_record,
    message_record,
)
from chatplay.chats.window import use
from chatplay.errors import ChatplayError, Conflict, ModelLocked
from chatplay.generation.hub import Hub
from chatplay.generation.live import Patience, usual_patience
from chatplay.generation.values import Update
from chatplay.lines import checked_line
from chatplay.models.catalog import ModelCatalog, ModelInfo
from chatplay.params import Params
from chatplay.store import Store
from chatplay.tokens.counting import TokenCounter
from db import chats, generations
from db import messages as message_rows
from db.chats import ChatSummary

_TITLE_LIMIT = 200


class ChatService:
    """See the module. One per process; safe from any thread."""

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
        self._calls = calls
        self._catalog = catalog
        self._counter = counter
        self._turns = Turns(
            store=store, hub=hub, calls=calls, catalog=catalog, counter=counter, max_prompt_chars=max_prompt_chars
        )

    # ---- history -------------------------------------------------------------------------------

    def list_chats(
        self, *, user_id: int, search: str = "", limit: int = 50, before: ChatSummary | None = None
    ) -> list[ChatSummary]:
        """The person's chats with messages, newest activity first; `before` continues a list."""
        with self._store.reading() as conn:
            return chats.list_chats(
                conn,
                user_id=user_id,
                search=search,
                limit=limit,
                before_at=before.updated_at if before else None,
                before_id=before.id if before else None,
            )

    def open_chat(self, *, user_id: int, role: str, chat_id: UUID | None, limit: int = 12) -> ChatView:
        """A chat with its last `limit` messages. Without an id: the one touched last, else the empty one. One that has
        not begun and whose model nobody chose gets the default of today.
        """
        with self._store.reading() as conn:
            chat = own_chat(conn, user_id, chat_id) if chat_id else chats.find_last_open_chat(conn, user_id=user_id)
            if chat is not None and todays_default(self._catalog, chat, role) is None:
                return view_of(conn, chat, limit=limit)
        if chat is None:
            return self.new_chat(user_id=user_id, role=role)
        with self._store.transaction() as conn:
            chat = own_chat(conn, user_id, chat.id, for_update=True)
            return view_of(conn, with_todays_default(conn, self._catalog, chat, role), limit=limit)

    def new_chat(self, *, user_id: int, role: str) -> ChatView:
        """The person's one chat without a message; made when there is none."""
        with self._store.transaction() as conn:
            return view_of(conn, empty_chat(conn, self._catalog, user_id=user_id, role=role), limit=1)

    def older_messages(
        self, *, user_id: int, chat_id: UUID, before: MessageRecord, limit: int = 40
    ) -> tuple[list[MessageRecord], bool]:
        """Messages of the thread before `before`, oldest first, and whether there are more before them."""
        with self._store.reading() as conn:
            own_chat(conn, user_id, chat_id)
            if before.parent_id is None:
                return [], False
            rows = message_rows.list_path(conn, chat_id=chat_id, leaf_id=before.parent_id, limit=limit)
        return [message_record(row) for row in rows], bool(rows) and rows[0].parent_id is not None

    def rename(self, *, user_id: int, chat_id: UUID, title: str) -> None:
        """Gives the chat a title of the person's own."""
        line = checked_line(title, what="title", limit=_TITLE_LIMIT)
        with self._store.transaction() as conn:
            own_chat(conn, user_id, chat_id)
            chats.update_chat(conn, chat_id=chat_id, title=line, title_is_custom=True)

    def delete(self, *, user_id: int, chat_id: UUID) -> None:
        """Removes a chat with its messages; an answer still coming in it is stopped."""
        self._stop_all(user_id, chat_id)
        with self._store.transaction() as conn:
            if not chats.delete_chat(conn, user_id=user_id, chat_id=chat_id):
                raise not_found()

    def delete_all(self, *, user_id: int) -> int:
        """Removes every chat of the person that has messages, and tells how many there were."""
        self._stop_all(user_id, None)
        with self._store.transaction() as conn:
            return chats.delete_chats(conn, user_id=user_id)

    def end_chat(self, *, user_id: int, role: str, chat_id: UUID) -> ChatView:
        """Clears the page: this chat ends (it stays in the history) and the empty one is given."""
        self._stop_all(user_id, chat_id)
        with self._store.transaction() as conn:
            chat = own_chat(conn, user_id, chat_id, for_update=True)
            if chat.locked_at is not None:
                chats.update_chat(conn, chat_id=chat_id, ended_at=chats.NOW)
            return view_of(conn, empty_chat(conn, self._catalog, user_id=user_id, role=role), limit=1)

    def continue_in_new(
        self,
        *,
        user_id: int,
        role: str,
        chat_id: UUID,
        model: ModelInfo | None = None,
        upto_message_id: int | None = None,
    ) -> ChatView:
        """A new chat that begins with a copy of the thread on show, up to a message, perhaps with another model."""
        with self._store.transaction() as conn:
            chat = own_chat(conn, user_id, chat_id)
            leaf_id = upto_message_id or chat.leaf_message_id
            thread = message_rows.list_path(conn, chat_id=chat_id, leaf_id=leaf_id) if leaf_id else []
            if upto_message_id is not None and not thread:
                raise not_found("message")
            fresh = own_chat(
                conn, user_id, empty_chat(conn, self._catalog, user_id=user_id, role=role).id, for_update=True
            )
            if fresh.locked_at is not None:
                raise Conflict("The new chat was used in another tab.", cure="Try again.")
            info = model or self._catalog.get(chat.model_name, role=role, upstream=chat.upstream)
            set_model(conn, self._catalog, chat_id=fresh.id, info=info)
            leaf = copy_thread(conn, thread, chat_id=fresh.id)
            chats.update_chat(
                conn,
                chat_id=fresh.id,
                title=chat.title,
                params_json=dict(chat.params),
                leaf_message_id=leaf,
                overflow_policy=chat.overflow_policy,
                updated_at=chats.NOW,
                **({"locked_at": chats.NOW} if thread else {}),
            )
            return view_of(conn, own_chat(conn, user_id, fresh.id), limit=12)

    # ---- settings ------------------------------------------------------------------------------

    def choose_model(self, *, user_id: int, role: str, chat_id: UUID, model: ModelInfo) -> ChatRecord:
        """Sets the model of a chat that has no message yet; ModelLocked afterwards."""
        info = self._catalog.get(model.name, role=role, upstream=model.upstream)
        with self._store.transaction() as conn:
            chat = own_chat(conn, user_id, chat_id, for_update=True)
            if chat.locked_at is not None:
                raise ModelLocked(
                    f"This chat stays with `{chat.model_name}`: another model may have a different context window, "
                    "tokenizer and abilities.",
                    cure="Continue in a new chat with another model.",
                )
            set_model(conn, self._catalog, chat_id=chat_id, info=info)
            # The new time of change also says that a person chose: the default does not move this chat any more.
            chats.update_chat(
                conn, chat_id=chat_id, params_json=first_params(conn, user_id=user_id, model=info), updated_at=chats.NOW
            )
            return chat_record(own_chat(conn, user_id, chat_id))

    def remember_params(self, *, user_id: int, chat_id: UUID, params: Params) -> None:
        """Keeps the settings for this chat and as the person's own for new chats."""
        with self._store.transaction() as conn:
            own_chat(conn, user_id, chat_id)
            chats.remember_params(conn, user_id=user_id, chat_id=chat_id, params=parameters.to_json(params))

    def context_use(self, view: ChatView, *, draft: str, params: Params, role: str) -> ContextUse:
        """What the next request would take: system prompt, thread, draft and the reserved max tokens. Does not wait:
        where the model's server counts, its number is there when this is asked again.
        """
        return use(
            view.messages,
            draft=draft,
            params=params,
            model=self._find_model(view.chat, role),
            policy=view.chat.overflow_policy,
            counter=self._counter,
        )

    def set_overflow(self, *, user_id: int, chat_id: UUID, policy: OverflowPolicy) -> None:
        """What happens when the context is full: "hold_back" the message or "drop_oldest" turns."""
        with self._store.transaction() as conn:
            own_chat(conn, user_id, chat_id, for_update=True)
            chats.update_chat(conn, chat_id=chat_id, overflow_policy=policy)

    # ---- turns ---------------------------------------------------------------------------------

    def send(
        self,
        *,
        user_id: int,
        role: str,
        chat_id: UUID,
        text: str,
        params: Settings,
        request_key: UUID,
        source: str = "chat",
    ) -> Turn:
        """Adds a prompt at the end of the thread and starts its answer. The same `request_key` again: the same turn.

        `params`: all settings, or by name those to change of what the chat used last.
        """
        return self._turns.begin(Prompt(user_id, role, chat_id, params, request_key, text=text, source=source))

    def edit(
        self,
        *,
        user_id: int,
        role: str,
        chat_id: UUID,
        message_id: int,
        text: str,
        params: Settings,
        request_key: UUID,
        source: str = "chat",
    ) -> Turn:
        """Sends another wording of an earlier prompt; the earlier one stays as a variant with its answers."""
        return self._turns.begin(Prompt(user_id, role, chat_id, params, request_key, text, message_id, source))

    def regenerate(
        self,
        *,
        user_id: int,
        role: str,
        chat_id: UUID,
        message_id: int | None,
        params: Settings,
        request_key: UUID,
        source: str = "chat",
    ) -> Turn:
        """Asks again for an answer; the earlier one stays as a variant. Also how a failed answer is retried, and a
        prompt answered that has no answer yet (`message_id` is then the prompt's; None for whatever stands last).
        """
        return self._turns.begin(Prompt(user_id, role, chat_id, params, request_key, None, message_id, source))

    def show_variant(self, *, user_id: int, chat_id: UUID, message_id: int) -> None:
        """Puts the thread through this message on show, following its newest continuation."""
        with self._store.transaction() as conn:
            own_chat(conn, user_id, chat_id, for_update=True)
            if message_rows.find_message(conn, chat_id=chat_id, message_id=message_id) is None:
                raise not_found("message")
            leaf = message_rows.newest_leaf_below(conn, message_id=message_id)
            chats.update_chat(conn, chat_id=chat_id, leaf_message_id=leaf)

    def stop(self, *, user_id: int, generation_id: UUID) -> None:
        """Stops an answer that is coming, in whatever process; its text so far stays."""
        self._calls.stop(user_id=user_id, generation_id=generation_id)

    def stop_coming(self, *, user_id: int, chat_id: UUID) -> None:
        """The same for whatever is coming in a chat of theirs."""
        self._stop_all(user_id, chat_id)

    def follow(
        self, *, user_id: int, generation_id: UUID, interval_sec: float = 0.04, patience: Patience = usual_patience
    ) -> Iterator[Update]:
        """The answer from its beginning on, as it comes; the last update has its end. From any process."""
        return self._calls.follow(
            user_id=user_id, generation_id=generation_id, interval_sec=interval_sec, patience=patience
        )

    def has_begun(self, *, user_id: int, generation_id: UUID, within_sec: float = 0.0) -> bool:
        """Whether the first text or the end of their answer is here, `within_sec` from now at the latest. Another
        process's answers are not waited for: False.
        """
        live = self._calls.find_live(user_id=user_id, generation_id=generation_id)
        return live is not None and live.has_news(within_sec=within_sec)

    def get_code(
        self, *, user_id: int, role: str, app_url: str, chat_id: UUID, message_id: int, language: snippets.Language
    ) -> str:
        """A program that asks for an answer again, as `chatplay.snippets` writes it. Raises NotFound, and BadInput for
        a model that is gone or not open to `role`.
        """
        with self._store.reading() as conn:
            asked = find_asked(conn, self._catalog, user_id=user_id, chat_id=chat_id, message_id=message_id)
        return snippets.write_code(
            language=language,
            catalog=self._catalog,
            role=role,
            app_url=app_url,
            upstream=asked.upstream,
            sent=asked.sent,
            messages=asked.messages,
        )

    # ---- inside --------------------------------------------------------------------------------

    def _find_model(self, chat: ChatRecord, role: str) -> ModelInfo | None:
        try:
            return self._catalog.get(chat.model_name, role=role, upstream=chat.upstream)
        except ChatplayError:
            return None

    def _stop_all(self, user_id: int, chat_id: UUID | None) -> None:
        with self._store.reading() as conn:
            running = generations.list_streaming_ids(conn, user_id=user_id, chat_id=chat_id)
        for generation_id in running:
            self._calls.stop_unchecked(generation_id)

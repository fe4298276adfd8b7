"""Comparisons: everything a person sets, runs and votes is stored at once, so that reload, second tab and crash lose
nothing. What is not the person's own does not exist (NotFound).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from chatplay import params as parameters
from chatplay.calls import Calls
from chatplay.chats.values import title_from
from chatplay.compare.chats import chat_of, comparison_from
from chatplay.compare.following import follow_together
from chatplay.compare.panes import change_pane, changing, pane_row, place_of, replace_panes, sample_panes, settings_of
from chatplay.compare.reading import list_past_runs, view_of
from chatplay.compare.runs import Press, Runs, own
from chatplay.compare.tally import PastRun
from chatplay.compare.values import (
    MAX_PANES,
    MIN_PANES,
    Choice,
    ComparisonView,
    Pane,
    PaneAnswer,
    Window,
    asked,
    pane_of,
)
from chatplay.compare.voting import cast_vote
from chatplay.errors import BadInput, Conflict
from chatplay.generation.hub import Hub
from chatplay.generation.values import Update
from chatplay.lines import checked_line
from chatplay.models.catalog import ModelCatalog, ModelInfo
from chatplay.store import Connection, Store
from chatplay.tokens.counting import TokenCounter
from db import compare, compare_runs
from db.compare import ComparisonRow, ComparisonSummary
from db.compare_runs import RunCounts

SAMPLE_PROMPT = "Explain what the temperature setting does, in three sentences."
_TITLE_LIMIT = 200
_VALUE_LIMIT = 100_000


class CompareService:
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
        self._hub = hub
        self._calls = calls
        self._catalog = catalog
        self._counter = counter
        self._max_prompt_chars = max_prompt_chars
        self._runs = Runs(
            store=store, hub=hub, calls=calls, catalog=catalog, counter=counter, max_prompt_chars=max_prompt_chars
        )

    # ---- history -------------------------------------------------------------------------------

    def list_comparisons(self, *, user_id: int, search: str = "", limit: int = 50) -> list[ComparisonSummary]:
        """The person's own in which something was changed or run, newest activity first."""
        with self._store.reading() as conn:
            words = search.replace("\0", "").strip()
            return compare.list_comparisons(conn, user_id=user_id, search=words, limit=limit)

    def get(self, *, user_id: int, comparison_id: UUID) -> ComparisonView:
        """A comparison with its panes and their last answers. Raises NotFound."""
        with self._store.reading() as conn:
            return view_of(conn, own(conn, user_id, comparison_id))

    def open(self, *, user_id: int, role: str, comparison_id: UUID | None) -> ComparisonView:
        """As `get`; without an id the one touched last, else a fresh one. Raises NotFound when no model runs for it."""
        if comparison_id is not None:
            return self.get(user_id=user_id, comparison_id=comparison_id)
        with self._store.reading() as conn:
            last = compare.find_last(conn, user_id=user_id)
            if last is not None and last.begun_at is not None:
                return view_of(conn, last)
        return self.new(user_id=user_id, role=role)

    def new(self, *, user_id: int, role: str) -> ComparisonView:
        """The person's one untouched comparison: the default model at two temperatures with a sample prompt."""
        info = self._catalog.default(role)
        with self._store.transaction() as conn:
            row = compare.find_fresh(conn, user_id=user_id)
            if row is None:
                row = self._insert_fresh(conn, user_id)
            first = sample_panes(info)
            now = [pane_of(pane) for pane in compare.list_panes(conn, comparison_id=row.id)]
            if [settings_of(pane) for pane in now] != [settings_of(pane) for pane in first]:
                replace_panes(conn, row.id, first)
            return view_of(conn, row)

    def from_chat(self, *, user_id: int, role: str, chat_id: UUID, message_id: int) -> UUID:
        """A comparison of answers to a prompt of a chat: what stands above it becomes the shared history.

        `message_id` may be the prompt or an answer to it. Raises NotFound.
        """
        with self._store.transaction() as conn:
            comparison_id, panes = comparison_from(conn, user_id, chat_id, message_id)
            replace_panes(conn, comparison_id, panes)
        return comparison_id

    def rename(self, *, user_id: int, comparison_id: UUID, title: str) -> None:
        """Gives it a title of the person's own."""
        line = checked_line(title, what="title", limit=_TITLE_LIMIT)
        self._change(user_id, comparison_id, title=line, title_is_custom=True)

    def delete(self, *, user_id: int, comparison_id: UUID) -> None:
        """Removes it with all its answers and votes; what is still coming is stopped."""
        self.stop(user_id=user_id, comparison_id=comparison_id)
        with self._store.transaction() as conn:
            own(conn, user_id, comparison_id, for_update=True)
            compare.delete_comparison(conn, comparison_id=comparison_id)

    # ---- what is asked -------------------------------------------------------------------------

    def set_prompt(self, *, user_id: int, comparison_id: UUID, prompt: str) -> None:
        """The shared prompt, a template. It may be empty until it is run."""
        text = _checked("prompt", prompt, self._max_prompt_chars)
        with self._store.transaction() as conn:
            row = own(conn, user_id, comparison_id, for_update=True)
            title = row.title if row.title_is_custom else title_from(text)
            compare.update_comparison(conn, comparison_id=comparison_id, prompt=text, title=title)

    def set_variable(self, *, user_id: int, comparison_id: UUID, name: str, value: str) -> None:
        """The value of `{{name}}`; an empty one counts as missing."""
        text = _checked(f"value of {name}", value, _VALUE_LIMIT)
        with self._store.transaction() as conn:
            row = own(conn, user_id, comparison_id, for_update=True)
            compare.update_comparison(conn, comparison_id=comparison_id, variables={**row.variables, name: text})

    def set_blind(self, *, user_id: int, comparison_id: UUID, is_blind: bool) -> None:
        """Whether the next runs hide names, order and figures until the vote."""
        self._change(user_id, comparison_id, is_blind=is_blind)

    # ---- panes ---------------------------------------------------------------------------------

    def set_model(self, *, user_id: int, role: str, comparison_id: UUID, pane_id: UUID, model: ModelInfo) -> None:
        """Another model for the pane; its settings move into that model's ranges."""
        info = self._catalog.get(model.name, role=role, upstream=model.upstream)

        def change(pane: Pane) -> Pane:
            params = parameters.clamp(pane.params, overrides=info.ranges)
            return replace(pane, model_name=info.name, upstream=info.upstream, params=params)

        change_pane(self._store, user_id, comparison_id, pane_id, change)

    def set_param(self, *, user_id: int, comparison_id: UUID, pane_id: UUID, name: str, value: object) -> None:
        """One setting of a pane. Raises BadInput for a value the model does not take."""

        def change(pane: Pane) -> Pane:
            info = self._catalog.find_info(pane.model_name, upstream=pane.upstream)
            ranges = info.ranges if info else None
            return replace(pane, params=parameters.parse({name: value}, overrides=ranges, base=pane.params))

        change_pane(self._store, user_id, comparison_id, pane_id, change)

    def add_pane(self, *, user_id: int, comparison_id: UUID, like: UUID | None = None) -> None:
        """One more pane: a copy of `like` beside it, else of the last one at the end."""
        with changing(self._store, user_id, comparison_id) as (conn, panes):
            if len(panes) >= MAX_PANES:
                raise Conflict(f"A comparison has at most {MAX_PANES} panes.", cure="Remove one first.")
            place = place_of(panes, like) if like is not None else len(panes) - 1
            copy = replace(panes[place], id=uuid4())
            compare.insert_pane(conn, comparison_id=comparison_id, pane=pane_row(copy))
            compare.order_panes(conn, pane_ids=[pane.id for pane in (*panes[: place + 1], copy, *panes[place + 1 :])])

    def remove_pane(self, *, user_id: int, comparison_id: UUID, pane_id: UUID) -> None:
        """Takes a pane off the page; an answer still coming in it is stopped."""
        self.stop(user_id=user_id, comparison_id=comparison_id, pane_ids=[pane_id])
        with changing(self._store, user_id, comparison_id) as (conn, panes):
            gone = panes[place_of(panes, pane_id)]
            if len(panes) <= MIN_PANES:
                raise Conflict(f"A comparison has at least {MIN_PANES} panes.", cure="Add another one first.")
            compare.remove_pane(conn, pane_id=gone.id, comparison_id=comparison_id)
            compare.order_panes(conn, pane_ids=[pane.id for pane in panes if pane.id != gone.id])

    def move_pane(self, *, user_id: int, comparison_id: UUID, pane_id: UUID, by: int) -> None:
        """`by` places to the right, or to the left when negative; at an end it stays."""
        with changing(self._store, user_id, comparison_id) as (conn, panes):
            place = place_of(panes, pane_id)
            ids = [pane.id for pane in panes]
            ids.insert(min(max(place + by, 0), len(ids) - 1), ids.pop(place))
            compare.order_panes(conn, pane_ids=ids)

    # ---- runs ----------------------------------------------------------------------------------

    def run(
        self,
        *,
        user_id: int,
        role: str,
        comparison_id: UUID,
        request_key: UUID,
        pane_ids: Collection[UUID] | None = None,
    ) -> ComparisonView:
        """Asks all panes, or these. The same `request_key` again asks nothing more.

        Raises BadInput naming a variable without a value, GenerationRunning while one of the panes is being answered.
        """
        self._runs.begin(Press(user_id, role, comparison_id, request_key, pane_ids))
        return self.get(user_id=user_id, comparison_id=comparison_id)

    def stop(self, *, user_id: int, comparison_id: UUID, pane_ids: Collection[UUID] | None = None) -> None:
        """Stops what is coming in all panes, or in these; what had arrived stays."""
        with self._store.reading() as conn:
            own(conn, user_id, comparison_id)
            running = compare_runs.list_streaming(conn, comparison_id=comparison_id)
        for pane_id, generation_id in running:
            if pane_ids is None or pane_id in pane_ids:
                self._calls.stop_unchecked(generation_id)

    def follow(
        self, view: ComparisonView, *, interval_sec: float, after: Mapping[UUID, int] | None = None
    ) -> Iterator[dict[UUID, Update]]:
        """News by pane of all answers that are coming, until each has ended and is stored; {} after a second of
        silence. `after`: the delta to go on after, by pane.
        """
        sources = {
            pane_id: self._calls.find_source(user_id=view.comparison.user_id, generation_id=answer.generation_id)
            for pane_id, answer in view.answers.items()
            if answer.is_coming and answer.generation_id is not None
        }
        yield from follow_together(sources, interval_sec=interval_sec, after=after or {})
        self._hub.settle(user_id=view.comparison.user_id)

    def find_window(self, view: ComparisonView, answer: PaneAnswer) -> Window | None:
        """What the answer's prompt takes of the model's window; None where the window is not known. Quick."""
        info = self._catalog.find_info(answer.model_name, upstream=answer.upstream)
        if info is None or info.context_tokens is None:
            return None
        used = self._counter.count([message.content for message in asked(answer, view.comparison.history)], info)
        return Window(used.tokens, info.context_tokens)

    def vote(self, *, user_id: int, view: ComparisonView, choice: Choice, pane_id: UUID | None = None) -> None:
        """The person's vote on the last run, on the answers that `view` shows; another choice replaces it, and is no
        longer blind. Raises Conflict when there are other answers by now.
        """
        with self._store.transaction() as conn:
            now = view_of(conn, own(conn, user_id, view.comparison.id, for_update=True))
            cast_vote(conn, now, view, choice, pane_id)

    def uncover(self, *, user_id: int, comparison_id: UUID) -> None:
        """Shows the names of a blind run without a vote."""
        with self._store.transaction() as conn:
            view = view_of(conn, own(conn, user_id, comparison_id, for_update=True))
            if view.run is not None:
                compare_runs.uncover_run(conn, run_id=view.run.id)

    # ---- all runs ------------------------------------------------------------------------------

    def count_runs(self, *, user_id: int, comparison_id: UUID) -> RunCounts:
        """How many there were, and votes on them. Quick."""
        with self._store.reading() as conn:
            return compare_runs.count_runs(conn, comparison_id=comparison_id, user_id=user_id)

    def list_runs(
        self, *, user_id: int, comparison_id: UUID, run_id: UUID | None = None, with_texts: bool = False
    ) -> list[PastRun]:
        """All runs, newest first, or the one. Without texts, `content` of an answer is its first character. Raises
        NotFound.
        """
        with self._store.reading() as conn:
            row = own(conn, user_id, comparison_id)
            return list_past_runs(conn, row, run_id=run_id, with_texts=with_texts)

    # ---- what becomes of an answer -------------------------------------------------------------

    def continue_as_chat(self, *, user_id: int, role: str, comparison_id: UUID, pane_id: UUID) -> UUID:
        """A chat with the pane's model and settings that begins with the history, the prompt and the pane's answer."""
        with self._store.transaction() as conn:
            row = own(conn, user_id, comparison_id)
            answer = view_of(conn, row).answers.get(pane_id)
            if answer is None or answer.is_coming or not answer.content:
                raise Conflict("There is no answer to continue yet.", cure="Run this pane first.")
            info = self._catalog.get(answer.model_name, role=role, upstream=answer.upstream)
            return chat_of(conn, row, answer, info)

    # ---- inside --------------------------------------------------------------------------------

    def _insert_fresh(self, conn: Connection, user_id: int) -> ComparisonRow:
        compare.insert_comparison(
            conn, comparison_id=uuid4(), user_id=user_id, prompt=SAMPLE_PROMPT, title=title_from(SAMPLE_PROMPT)
        )
        row = compare.find_fresh(conn, user_id=user_id)
        if row is None:
            raise Conflict("The new comparison was used in another tab.", cure="Begin a new one again.")
        return row

    def _change(self, user_id: int, comparison_id: UUID, **columns: Any) -> None:
        with self._store.transaction() as conn:
            own(conn, user_id, comparison_id, for_update=True)
            compare.update_comparison(conn, comparison_id=comparison_id, **columns)


def _checked(what: str, text: str, max_chars: int) -> str:
    if len(text) > max_chars:
        raise BadInput(
            f"The {what} has {len(text):,} characters; the limit is {max_chars:,}.", param=what, cure="Shorten it."
        )
    if bad := parameters.unsendable_character(text):
        raise BadInput(f"The {what} holds {bad}, which can be neither stored nor sent.", param=what, cure="Remove it.")
    return text

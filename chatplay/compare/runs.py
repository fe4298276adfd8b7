"""One press of Run: the rows of all panes in one transaction; only then are the models asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from chatplay import params as parameters
from chatplay import templates
from chatplay.calls import Call, Calls
from chatplay.chats.values import check_text
from chatplay.compare.values import Pane, Run, filled_values, messages_of, pane_of, request_of, run_of
from chatplay.errors import ChatplayError, ContextFull, GenerationRunning, NotFound, StoreError
from chatplay.fingerprint import fingerprint_of
from chatplay.generation.hub import Hub
from chatplay.generation.values import Job
from chatplay.models.catalog import ModelCatalog, ModelInfo
from chatplay.params import Params
from chatplay.providers.base import Message, Request
from chatplay.store import Connection, Store
from chatplay.tokens.counting import TokenCounter, describe_overflow
from db import compare, compare_runs
from db.compare import ComparisonRow
from db.compare_runs import AnswerRow, NewAnswer


@dataclass(frozen=True)
class Press:
    """Who pressed Run where; `pane_ids` None for all panes. The same `request_key` again asks nothing."""

    user_id: int
    role: str
    comparison_id: UUID
    request_key: UUID
    pane_ids: Collection[UUID] | None = None


@dataclass(frozen=True)
class _Asked:
    """What all panes of one press share."""

    press: Press
    run: Run
    history: tuple[Message, ...]
    variables: Mapping[str, str]
    before: Mapping[UUID, AnswerRow]


class Runs:
    """Begins runs; see the module."""

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

    def begin(self, press: Press) -> None:
        """Asks the panes' models. What keeps one pane from being asked is kept as that pane's problem.

        Raises BadInput naming a variable without a value, or for a prompt that cannot be sent; NotFound;
        GenerationRunning while one of these panes is being answered.
        """
        self._hub.settle(user_id=press.user_id)
        with self._store.transaction() as conn:
            comparison = own(conn, press.user_id, press.comparison_id, for_update=True)
            if compare_runs.was_asked(conn, comparison_id=comparison.id, request_key=press.request_key):
                return
            panes = self._chosen(conn, press)
            asked = self._open_run(conn, comparison, press, panes)
            compare.update_comparison(conn, comparison_id=comparison.id)
            jobs = [self._ask(conn, asked, pane) for pane in panes]
        for job in jobs:
            if job is not None:
                self._calls.run(job)

    def _chosen(self, conn: Connection, press: Press) -> list[Pane]:
        panes = [pane_of(row) for row in compare.list_panes(conn, comparison_id=press.comparison_id)]
        if press.pane_ids is not None:
            panes = [pane for pane in panes if pane.id in press.pane_ids]
        if not panes:
            raise not_found("pane")
        busy = {pane_id for pane_id, _ in compare_runs.list_streaming(conn, comparison_id=press.comparison_id)}
        if any(pane.id in busy for pane in panes):
            raise GenerationRunning(
                "An answer is still coming in this comparison.", cure="Wait for its end or stop it, then run again."
            )
        return panes

    def _open_run(self, conn: Connection, comparison: ComparisonRow, press: Press, panes: list[Pane]) -> _Asked:
        """The run of this press. One pane asked with the prompt of the last run joins that one."""
        values = filled_values(comparison.variables)
        prompt = check_text(templates.fill(comparison.prompt, values), max_chars=self._max_prompt_chars)
        for pane in panes:
            _system_prompt(pane, values)
        last = compare_runs.find_last_run(conn, comparison_id=comparison.id)
        if press.pane_ids is not None and last is not None and last.prompt == prompt:
            run = run_of(last)
        else:
            run_id, is_blind = uuid4(), comparison.is_blind and press.pane_ids is None
            compare_runs.insert_run(conn, run_id=run_id, comparison_id=comparison.id, prompt=prompt, is_blind=is_blind)
            stored = compare_runs.find_last_run(conn, comparison_id=comparison.id)
            assert stored is not None, "just written"
            run = run_of(stored)
        before = {row.pane_id: row for row in compare_runs.list_last_answers(conn, comparison_id=comparison.id)}
        return _Asked(press, run, messages_of(comparison), values, before)

    def _ask(self, conn: Connection, asked: _Asked, pane: Pane) -> Job | None:
        before = asked.before.get(pane.id)
        again = before if before is not None and before.run_id == asked.run.id else None
        answer = NewAnswer(
            run_id=asked.run.id,
            pane_id=pane.id,
            request_key=asked.press.request_key,
            attempt=again.attempt + 1 if again else 1,
            model_name=pane.model_name,
            upstream=pane.upstream,
            params=parameters.to_json(pane.params),
            system_prompt_sent=_system_prompt(pane, asked.variables),
        )
        try:
            info = self._model(asked.press.role, pane)
            if not info.supports_system_prompt:
                answer = replace(answer, system_prompt_sent="")
            params = replace(pane.params, system_prompt=answer.system_prompt_sent)
            request = request_of(info.name, asked.history, asked.run.prompt, params)
            self._check_fits(request, info)
        except StoreError:
            raise
        except ChatplayError as error:
            problem = {"code": error.code, "message": error.message, "cure": error.cure}
            compare_runs.insert_answer(conn, answer=replace(answer, problem=problem))
            return None
        call = _call(asked.press.user_id, info, request, answer, again)
        job = self._calls.open(conn, call)
        expected = fingerprint_of(request)
        compare_runs.insert_answer(conn, answer=replace(answer, generation_id=call.generation_id, fingerprint=expected))
        return job

    def _model(self, role: str, pane: Pane) -> ModelInfo:
        """The pane's model, ready to be asked with its settings. Raises what keeps it from that."""
        info = self._catalog.get(pane.model_name, role=role, upstream=pane.upstream)
        self._catalog.check_open(info)
        self._catalog.provider_for(info)
        parameters.validate(pane.params, overrides=info.ranges)
        return info

    def _check_fits(self, request: Request, info: ModelInfo) -> None:
        if info.context_tokens is None:
            return
        used = self._counter.count([message.content for message in request.messages], info)
        reserved = request.params.max_tokens or 0
        if used.tokens + reserved > info.context_tokens:
            raise ContextFull(
                describe_overflow(used, reserved, info),
                param="prompt",
                cure="Shorten the prompt or lower Max tokens. This model was not asked.",
            )


def own(conn: Connection, user_id: int, comparison_id: UUID, *, for_update: bool = False) -> ComparisonRow:
    row = compare.find_comparison(conn, user_id=user_id, comparison_id=comparison_id, for_update=for_update)
    if row is None:
        raise not_found()
    return row


def not_found(what: str = "comparison") -> NotFound:
    return NotFound(f"There is no such {what}.", cure="It may have been deleted. Choose one from the history.")


def _system_prompt(pane: Pane, values: Mapping[str, str]) -> str:
    return templates.fill(pane.params.system_prompt, values, where=f"system prompt of pane {pane.position + 1}")


def _call(user_id: int, info: ModelInfo, request: Request, answer: NewAnswer, again: AnswerRow | None) -> Call:
    return Call(
        user_id=user_id,
        model=info,
        messages=request.messages,
        params=request.params,
        source="compare",
        retry_of=again.generation_id if again else None,
        attempt=answer.attempt,
    )


def with_temperature(params: Params, temperature: float, info: ModelInfo) -> Params:
    """`params` at this temperature, or as near as the model takes."""
    return parameters.clamp(replace(params, temperature=temperature), overrides=info.ranges)

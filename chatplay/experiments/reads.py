"""The part of the experiment service that reads: lists, results for the statistics, the case table, whole trials."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args
from uuid import UUID

from chatplay.errors import BadInput
from chatplay.experiments import records
from chatplay.experiments.desk import Desk, check_id, check_place, no_such, no_such_experiment, readable
from chatplay.experiments.desk import hash_token as hashed
from chatplay.experiments.drafts import Drafts
from chatplay.experiments.plan import messages_for
from chatplay.experiments.scoring import Scored
from chatplay.experiments.values import (
    Arm,
    Attempt,
    Case,
    CaseLine,
    CasePage,
    Cell,
    CellFilter,
    CellLine,
    Experiment,
    ExperimentLine,
    HandScore,
    Judgement,
    Results,
    Trial,
    TrialPage,
    TrialPlace,
    TrialState,
)
from chatplay.generation.values import AnswerMetrics
from chatplay.models.catalog import ModelCatalog
from chatplay.models.view import takes_system_prompt
from chatplay.store import Connection
from db import experiments as db
from db import judgements, reviews, trial_figures, trial_reads
from db.experiments import ExperimentRow
from db.trial_figures import CellRow
from db.trial_reads import TrialRow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chatplay.experiments.stats.table import Axis, TrialTable

_SNIPPET_CHARS = 300


class Reads(Drafts):
    """See the module; the methods' promises are those of `ExperimentService`."""

    _desk: Desk

    def list_experiments(
        self, *, user_id: int, limit: int = 50, before: tuple[datetime, UUID] | None = None
    ) -> list[ExperimentLine]:
        """The person's own, last touched first; after the one that was touched at `before` and has that id."""
        with self._desk.store.reading() as conn:
            rows = db.list_experiments(conn, user_id=user_id, limit=limit, before=before)
        return [ExperimentLine(**vars(row)) for row in rows]

    def get_shared(self, *, user_id: int, token: str) -> Experiment:
        """The experiment behind a read-only link. Raises NotFound for a link that was revoked."""
        with self._desk.store.reading() as conn:
            experiment_id = db.find_linked(conn, token_hash=hashed(token))
        if experiment_id is None:
            raise no_such_experiment()
        return self.get(user_id=user_id, experiment_id=experiment_id, token=token)

    def get_results(
        self, *, user_id: int, experiment_id: UUID, token: str | None = None, scored_by: str = "rules"
    ) -> Results:
        """Every trial that has ended, as arrays. `scored_by`: "rules", "hand" (the mean of people's scores) or
        "judge:<number>". Raises BadInput for anything else.
        """
        judge = _judge_number(scored_by)
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            arms = records.load_arms(conn, row)
            cases = db.count_cases(conn, experiment_id=row.id)
            columns = trial_figures.read_columns(conn, experiment_id=row.id, by_hand=scored_by == "hand", judge=judge)
        return Results(_table(columns, len(arms), cases), arms, axes_of(arms))

    # ---- the case table ------------------------------------------------------------------------

    def list_cells(
        self,
        *,
        user_id: int,
        experiment_id: UUID,
        token: str | None = None,
        only: CellFilter = "all",
        scored_by: str = "rules",
        search: str = "",
        offset: int = 0,
        limit: int = 50,
    ) -> CasePage:
        """Rows of the case table. `search` looks in the cases' columns. Arms differ where their mean scores do or,
        without scores, their answers; the scores are those of `scored_by`, as in `get_results`.
        """
        if only not in get_args(CellFilter):
            raise BadInput(f"There is no filter `{only}`.", param="only", cure="Choose one of those listed.")
        scored: dict[str, Any] = {"by_hand": scored_by == "hand", "judge": _judge_number(scored_by)}
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            numbers = trial_figures.list_case_numbers(
                conn, experiment_id=row.id, only=only, search=search.replace("\0", ""), **scored
            )
            shown = numbers[offset : offset + limit]
            cells = trial_figures.list_cells(conn, experiment_id=row.id, cases=shown, chars=_SNIPPET_CHARS, **scored)
            cases = db.list_cases(conn, experiment_id=row.id, numbers=shown)
        by_case: dict[int, list[CellLine]] = {}
        for cell in cells:
            by_case.setdefault(cell.case_no, []).append(_cell_line(cell))
        lines = [
            CaseLine(records.case_of(number, row.case_columns, texts), tuple(by_case.get(number, ())))
            for number, texts in cases
        ]
        return CasePage(tuple(lines), len(numbers), offset)

    def get_cell(self, *, user_id: int, experiment_id: UUID, arm: int, case: int, token: str | None = None) -> Cell:
        """Every repeat with its whole answer and all its scores. Raises NotFound for a place outside the table."""
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            check_place("cell", arm, case)
            arms = records.load_arms(conn, row)
            found = db.list_cases(conn, experiment_id=row.id, numbers=[case])
            if not 0 <= arm < len(arms) or not found:
                raise no_such("cell")
            rows = trial_reads.list_cell_trials(conn, experiment_id=row.id, arm=arm, case_no=case)
            trials = self._trials(conn, rows)
        of = records.case_of(case, row.case_columns, found[0][1])
        has_system = was_sent_system_prompt(self._desk.catalog, arms[arm], [trial.metrics for trial in trials])
        messages = messages_for(arms[arm], of.values, system=has_system)
        system = messages[0].content if len(messages) > 1 else ""
        return Cell(arms[arm], of, messages[-1].content, system, trials)

    def list_trials(
        self,
        *,
        user_id: int,
        experiment_id: UUID,
        token: str | None = None,
        arms: Collection[int] = (),
        cases: Collection[int] = (),
        states: Collection[TrialState] = (),
        after: TrialPlace | None = None,
        limit: int = 50,
    ) -> TrialPage:
        """Trials with whole answers and all their scores, by case, arm and repeat, from behind `after` on. Of a filter
        any value fits, of an empty one all; a number that no trial has fits none.
        """
        behind = (-1, -1, -1) if after is None else (after.case, after.arm, after.repeat)
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            rows = trial_reads.list_trials(
                conn,
                experiment_id=row.id,
                arms=arms,
                cases=cases,
                states=states,
                after=behind,
                limit=limit + 1,
            )
            trials = self._trials(conn, rows[:limit])
            texts = db.list_cases(conn, experiment_id=row.id, numbers={one.case for one in trials})
        asked_about = {number: records.case_of(number, row.case_columns, cells) for number, cells in texts}
        return TrialPage(trials, asked_about, len(rows) > limit)

    def list_attempts(
        self, *, user_id: int, experiment_id: UUID, trial_id: int, token: str | None = None
    ) -> list[Attempt]:
        """The flight recorder of a trial: every call made for it, the first one first."""
        with self._desk.store.reading() as conn:
            readable(conn, user_id, experiment_id, token)
            row = find_trial(conn, experiment_id, trial_id)
            if row.generation_id is None:
                return []
            rows = trial_reads.list_attempts(conn, generation_id=row.generation_id)
        return [_attempt(found) for found in rows]

    def _trials(self, conn: Connection, rows: Sequence[TrialRow]) -> tuple[Trial, ...]:
        ids = [row.id for row in rows]
        by_hand: dict[int, list[HandScore]] = {}
        for hand in reviews.list_hand_scores(conn, trial_ids=ids):
            score = HandScore(hand.score, hand.note, hand.user_id, hand.created_at)
            by_hand.setdefault(hand.trial_id, []).append(score)
        judged: dict[int, list[Judgement]] = {}
        for one in judgements.list_judgements(conn, trial_ids=ids):
            judged.setdefault(one.subject_id, []).append(_judgement(one))
        return tuple(_trial(row, by_hand.get(row.id, ()), judged.get(row.id, ())) for row in rows)


def find_trial(conn: Connection, experiment_id: UUID, trial_id: int) -> TrialRow:
    """Raises NotFound."""
    check_id("trial", trial_id)
    row = trial_reads.find_trial(conn, experiment_id=experiment_id, trial_id=trial_id)
    if row is None:
        raise no_such("trial")
    return row


def was_sent_system_prompt(catalog: ModelCatalog, arm: Arm, answers: Iterable[AnswerMetrics | None]) -> bool:
    """Whether any of these answers of the arm was asked with its system prompt; without any, whether one would be."""
    settings = [answer.params for answer in answers if answer is not None and answer.params is not None]
    if settings:
        return any(params.system_prompt for params in settings)
    return takes_system_prompt(catalog.find_info(arm.model.name, upstream=arm.model.upstream))


def load_case(conn: Connection, row: ExperimentRow, number: int) -> Case:
    ((_, cells),) = db.list_cases(conn, experiment_id=row.id, numbers=[number])
    return records.case_of(number, row.case_columns, cells)


def axes_of(arms: Sequence[Arm]) -> tuple[Axis, ...]:
    """What varies among the arms, each with its levels in the order they first appear."""
    from chatplay.experiments.stats.table import Axis

    found = []
    for name in arms[0].levels if arms else ():
        labels = list(dict.fromkeys(arm.levels[name] for arm in arms))
        found.append(Axis(name, tuple(labels), tuple(labels.index(arm.levels[name]) for arm in arms)))
    return tuple(found)


def _table(columns: Mapping[str, bytes], arms: int, cases: int) -> TrialTable:
    import numpy as np

    from chatplay.experiments.stats.table import build_table

    def numbers(name: str) -> NDArray[Any]:
        sent = np.frombuffer(columns[name], dtype=trial_figures.COLUMNS[name])
        return sent.astype("i8" if sent.dtype.kind == "i" else "f8")

    found = {name: numbers(name) for name in columns}
    case = found.pop("case_no")
    return build_table(arms=arms, cases=cases, case=case, **found)


def _judge_number(scored_by: str) -> int | None:
    kind, _, number = scored_by.partition(":")
    if kind == "judge" and number.isdecimal() and len(number) < 5:
        return int(number)
    if scored_by not in ("rules", "hand"):
        raise BadInput(f"There are no scores `{scored_by}`.", param="scored_by", cure="Choose one of those listed.")
    return None


def _cell_line(row: CellRow) -> CellLine:
    return CellLine(
        arm=row.arm,
        trials=row.trials,
        done=row.done,
        failed=row.failed,
        distinct_answers=row.distinct_answers,
        score=row.score,
        passed=row.passed,
        duration_ms=row.duration_ms,
        text=row.content,
    )


def _judgement(row: judgements.JudgementRow) -> Judgement:
    return Judgement(
        judge=row.judge,
        trial_id=row.subject_id,
        against_id=row.against_id,
        swapped=row.swapped,
        score=row.score,
        winner=row.winner,  # type: ignore[arg-type]  # both are held to these words by the table
        reason=row.reason,
        state=row.state,  # type: ignore[arg-type]
        is_withdrawn=row.is_withdrawn,
    )


def _trial(row: TrialRow, by_hand: Sequence[HandScore], judged: Sequence[Judgement]) -> Trial:
    return Trial(
        id=row.id,
        arm=row.arm,
        case=row.case_no,
        repeat=row.repeat,
        state=row.state,  # type: ignore[arg-type]  # held to these words by the table
        attempt=row.attempt,
        generation_id=row.generation_id,
        answer=row.content,
        metrics=None if row.metrics_json is None else AnswerMetrics.from_json(row.metrics_json),
        score=row.score,
        passed=row.passed,
        rule_scores=tuple(Scored(**scored) for scored in row.rule_scores or ()),
        hand_scores=tuple(by_hand),
        judgements=tuple(judged),
        error=row.error,
    )


def _attempt(row: trial_reads.AttemptRow) -> Attempt:
    return Attempt(
        generation_id=row.generation_id,
        attempt=row.attempt,
        status=row.status,
        model=row.model,
        model_used=row.model_used,
        started_at=row.created_at,
        ended_at=row.ended_at,
        ttft_ms=row.ttft_ms,
        duration_ms=row.duration_ms,
        tokens_per_second=row.tokens_per_second,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        reasoning_tokens=row.reasoning_tokens,
        cost_usd=row.cost_usd,
        finish_reason=row.finish_reason,
        error=row.error_message,
        request_id=row.request_id,
        fingerprint=row.fingerprint,
        sent=None if row.sent is None else json.dumps(row.sent, ensure_ascii=False, indent=2),
    )

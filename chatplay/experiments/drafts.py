"""The part of the experiment service that plans: templates, drafts, cases, previews."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid4

from chatplay import params as parameters
from chatplay.errors import BadInput, Conflict, PlanChanged
from chatplay.experiments import records
from chatplay.experiments.blocks import Place, list_missing
from chatplay.experiments.desk import Desk, own, readable
from chatplay.experiments.estimate import Work, forecast
from chatplay.experiments.plan import chosen_of, lay_out_arms, merge_arms, plan_to_json
from chatplay.experiments.problems import check_storable, list_foreign_columns, list_problems, list_warnings
from chatplay.experiments.values import (
    Arm,
    CaseTable,
    Experiment,
    Forecast,
    ModelRef,
    Plan,
    Preview,
    PromptVersion,
)
from chatplay.lines import checked_line
from chatplay.models.catalog import ModelInfo
from chatplay.providers.base import Message
from chatplay.store import Connection
from chatplay.tokens.estimate import estimate_message
from db import experiments as db
from db import trial_reads, trials
from db.experiments import ExperimentRow

_NAME_CHARS = 200
_MEASURED_CALLS = 300


class Drafts:
    """See the module; the methods' promises are those of `ExperimentService`."""

    _desk: Desk

    # ---- prompts -------------------------------------------------------------------------------

    def save_prompt(self, *, user_id: int, name: str, prompt: str, system_prompt: str = "") -> PromptVersion:
        """A new version of the template called `name`, or its newest version when that has the same texts.

        Raises BadInput for texts that can't be sent.
        """
        name = checked_line(name, what="name", limit=_NAME_CHARS)
        _check_texts(prompt, system_prompt)
        with self._desk.store.transaction() as conn:
            while True:
                newest = db.find_newest_prompt(conn, user_id=user_id, name=name)
                if newest is not None and (newest.prompt, newest.system_prompt) == (prompt, system_prompt):
                    return records.prompt_version(newest)
                made = db.insert_prompt(
                    conn,
                    user_id=user_id,
                    name=name,
                    number=newest.number + 1 if newest else 1,
                    prompt=prompt,
                    system_prompt=system_prompt,
                )
                if made is not None:  # else another tab was quicker: look again
                    return records.prompt_version(made)

    def revise_prompt(
        self, *, user_id: int, experiment_id: UUID, version: PromptVersion, prompt: str, system_prompt: str
    ) -> PromptVersion:
        """`version` with other texts while only this draft names it and nobody has changed it since it was read, else a
        new version: what ran never changes, and what another tab wrote stays.

        Raises BadInput for texts that can't be sent.
        """
        _check_texts(prompt, system_prompt)
        with self._desk.store.transaction() as conn:
            revised = db.revise_prompt(
                conn,
                version_id=version.id,
                user_id=user_id,
                experiment_id=experiment_id,
                seen=(version.prompt, version.system_prompt),
                prompt=prompt,
                system_prompt=system_prompt,
            )
        if revised is not None:
            return records.prompt_version(revised)
        return self.save_prompt(user_id=user_id, name=version.name, prompt=prompt, system_prompt=system_prompt)

    def list_prompts(self, *, user_id: int) -> list[PromptVersion]:
        """The newest version of each of the person's templates, last made first."""
        with self._desk.store.reading() as conn:
            return [records.prompt_version(row) for row in db.list_prompts(conn, user_id=user_id)]

    def list_prompt_versions(self, *, user_id: int, name: str) -> list[PromptVersion]:
        """All versions, the newest first."""
        with self._desk.store.reading() as conn:
            return [records.prompt_version(row) for row in db.list_prompts(conn, user_id=user_id, name=name)]

    # ---- drafts --------------------------------------------------------------------------------

    def create(
        self,
        *,
        user_id: int,
        name: str,
        plan: Plan | None = None,
        cases: CaseTable | None = None,
        experiment_id: UUID | None = None,
    ) -> Experiment:
        """A draft; when there is one of the id `experiment_id` already, that one as it stands.

        Raises BadInput for an empty or endless name, and for what can't be stored.
        """
        name, plan = checked_line(name, what="name", limit=_NAME_CHARS), plan or Plan()
        check_storable(plan)
        experiment_id = experiment_id or uuid4()
        with self._desk.store.transaction() as conn:
            _check_prompts(conn, user_id, plan)
            is_new = db.insert_experiment(
                conn,
                experiment_id=experiment_id,
                user_id=user_id,
                name=name,
                plan=plan_to_json(plan),
                order_seed=secrets.randbits(32),
            )
            if is_new and cases is not None:
                db.replace_cases(conn, experiment_id=experiment_id, columns=cases.columns, rows=cases.rows)
        return self.get(user_id=user_id, experiment_id=experiment_id)

    def get(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> Experiment:
        """The experiment with its plan and arms."""
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            return _experiment(conn, row, user_id)

    def rename(self, *, user_id: int, experiment_id: UUID, name: str) -> None:
        """Raises BadInput for an empty or endless name."""
        name = checked_line(name, what="name", limit=_NAME_CHARS)
        with self._desk.store.transaction() as conn:
            own(conn, user_id, experiment_id, for_update=True)
            db.rename_experiment(conn, experiment_id=experiment_id, name=name)

    def clone(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> Experiment:
        """A draft of the person's own with the same plan and cases."""
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            plan, cases = records.load_plan(conn, row), _cases(conn, row)
        if row.user_id != user_id:  # templates are each person's own
            copies = [
                self.save_prompt(
                    user_id=user_id, name=version.name, prompt=version.prompt, system_prompt=version.system_prompt
                )
                for version in plan.prompts
            ]
            plan = replace(plan, prompts=tuple(copies))
        return self.create(user_id=user_id, name=f"Copy of {row.name}"[:_NAME_CHARS], plan=plan, cases=cases)

    def save_plan(self, *, user_id: int, experiment_id: UUID, plan: Plan, revision: int | None = None) -> int:
        """Keeps the draft's plan as it is, also one that can't start yet. Returns its new revision.

        Raises Conflict after the start, PlanChanged when the draft is not at `revision` any more, and BadInput for
        numbers that are none and texts that can't be stored.
        """
        check_storable(plan)
        with self._desk.store.transaction() as conn:
            _draft(own(conn, user_id, experiment_id, for_update=True), revision)
            _check_prompts(conn, user_id, plan)
            return db.update_experiment(conn, experiment_id=experiment_id, plan=plan_to_json(plan))

    def save_cases(self, *, user_id: int, experiment_id: UUID, cases: CaseTable, revision: int | None = None) -> int:
        """Replaces the draft's cases. Returns and raises as `save_plan`."""
        with self._desk.store.transaction() as conn:
            _draft(own(conn, user_id, experiment_id, for_update=True), revision)
            db.replace_cases(conn, experiment_id=experiment_id, columns=cases.columns, rows=cases.rows)
            return db.update_experiment(conn, experiment_id=experiment_id)

    def get_cases(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> CaseTable:
        """All cases."""
        with self._desk.store.reading() as conn:
            return _cases(conn, readable(conn, user_id, experiment_id, token))

    # ---- before the start ----------------------------------------------------------------------

    def preview(
        self,
        *,
        user_id: int,
        role: str,
        experiment_id: UUID,
        plan: Plan | None = None,
        cases: CaseTable | None = None,
        forecast: bool = True,
    ) -> Preview:
        """The grid, the number of trials, what they will take, and every problem that keeps them from starting.

        `plan` and `cases` in place of the stored ones: a draft as it is typed, or how to extend a started one (`cases`
        are then added to those there, and `new_trials` are the missing ones and those that were cancelled). Never
        raises BadInput: problems are part of the answer.
        """
        with self._desk.store.reading() as conn:
            row = own(conn, user_id, experiment_id)
            saved, stored = records.load_plan(conn, row), _cases(conn, row)
            before, plan = saved if row.state != "draft" else None, plan or saved
            table = join_cases(stored, cases, started=before is not None)
            known = records.load_arms(conn, row)
            have = {Place(*place) for place in trials.list_places(conn, experiment_id=row.id)}
            again = [Place(*place) for place in trials.list_places(conn, experiment_id=row.id, state="cancelled")]
            models = self._desk.find_models(conn, plan.models, role)
        foreign = list_foreign_columns(stored, cases) if before is not None else []
        found = list_problems(plan, columns=table.columns, cases=len(table), models=models, before=before)
        problems = [*foreign, *found]
        try:
            arms = lay_out_arms(plan)
        except BadInput:
            return Preview((), (), len(table), 0, 0, None, tuple(problems))
        merged, running = merge_arms(known, chosen_of(plan, arms)), chosen_of(plan, arms)
        numbers = {arm.hash: arm.number for arm in merged}
        missing = list_missing(
            [numbers[arm.hash] for arm in running], cases=len(table), repeats=max(plan.repeats, 0), have=have
        )
        places = [*missing, *again]
        looked_ahead = self._forecast(plan, merged, places, table, models) if forecast and places else None
        return Preview(
            arms=arms,
            chosen=tuple(arm.number for arm in running),
            cases=len(table),
            trials=len(running) * len(table) * max(plan.repeats, 0),
            new_trials=len(places),
            forecast=looked_ahead,
            problems=tuple(problems),
            warnings=tuple(list_warnings(running, table, models)),
        )

    def _forecast(
        self,
        plan: Plan,
        arms: Sequence[Arm],
        places: Sequence[Place],
        table: CaseTable,
        models: dict[ModelRef, ModelInfo | None],
    ) -> Forecast:
        calls_of_arm: dict[int, int] = {}
        for place in places:
            calls_of_arm[place.arm] = calls_of_arm.get(place.arm, 0) + 1
        with self._desk.store.reading() as conn:
            measured = {
                model: trial_reads.list_measured(conn, upstream=model.upstream, model=model.name, limit=_MEASURED_CALLS)
                for model in models
            }
        return forecast(
            Work(arms, calls_of_arm, [table.values(row) for row in range(len(table))]),
            models=models,
            measured=measured,
            count=self._count,
            pace=plan.pace,
            limits=self._desk.limits,
        )

    def _count(self, model: ModelInfo, messages: Sequence[Message]) -> float:
        weights = self._desk.counter.known(model).weights
        return float(sum(estimate_message(message.content, weights) for message in messages))


def join_cases(stored: CaseTable, more: CaseTable | None, *, started: bool) -> CaseTable:
    """The cases as they would be: `more` instead of a draft's, or below those of a started experiment, whose columns
    stay as they are: those `more` lacks are empty, and it is to have no other (`list_foreign_columns`).
    """
    if more is None:
        return stored
    if not started:
        return more
    rows = [tuple(more.values(row).get(name, "") for name in stored.columns) for row in range(len(more))]
    return CaseTable(stored.columns, (*stored.rows, *rows))


def _experiment(conn: Connection, row: ExperimentRow, user_id: int) -> Experiment:
    return records.experiment(
        row,
        plan=records.load_plan(conn, row),
        arms=records.load_arms(conn, row),
        cases=db.count_cases(conn, experiment_id=row.id),
        is_mine=row.user_id == user_id,
    )


def _cases(conn: Connection, row: ExperimentRow) -> CaseTable:
    rows = tuple(tuple(cells) for _, cells in db.list_cases(conn, experiment_id=row.id))
    return CaseTable(tuple(row.case_columns), rows)


def _draft(row: ExperimentRow, revision: int | None) -> None:
    if row.state != "draft":
        raise Conflict(
            "This experiment has started; its plan stays as it is.", cure="Extend it, or clone it to plan anew."
        )
    check_revision(row, revision)


def check_revision(
    row: ExperimentRow, revision: int | None, *, cure: str = "Keep one of the two, or save this one as a copy."
) -> None:
    """Raises PlanChanged unless the experiment is as it was at `revision` (None: whatever it is now)."""
    if revision is not None and revision != row.revision:
        raise PlanChanged("This plan was changed in another tab since it was opened here.", cure=cure)


def _check_prompts(conn: Connection, user_id: int, plan: Plan) -> None:
    """A plan may name nobody else's templates."""
    wanted = {version.id for version in plan.prompts}
    mine = {row.id for row in db.list_prompts_by_id(conn, ids=wanted) if row.user_id == user_id}
    if wanted - mine:
        raise BadInput("A template of the plan is not there.", param="prompts", cure="Choose it again.")


def _check_texts(prompt: str, system_prompt: str) -> None:
    spec = parameters.get_spec("system_prompt")
    parameters.check(replace(spec, name="prompt", label="Prompt"), prompt)
    parameters.check(spec, system_prompt)

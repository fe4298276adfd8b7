"""The part of the experiment service that runs: start, pause, resume, cancel, delete, extend, run again, progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from chatplay.errors import BadInput, Conflict
from chatplay.experiments import records
from chatplay.experiments.blocks import Place, Planned, list_missing, order_trials
from chatplay.experiments.desk import Desk, check_place, no_such, own, readable
from chatplay.experiments.drafts import Drafts, check_revision, join_cases
from chatplay.experiments.plan import chosen_of, lay_out_arms, merge_arms, plan_to_json
from chatplay.experiments.problems import list_foreign_columns, list_problems
from chatplay.experiments.values import Arm, CaseTable, Experiment, ModelRef, Plan, Progress
from chatplay.models.catalog import ModelInfo
from chatplay.store import Connection
from db import experiments as db
from db import jobs, trials
from db.experiments import ExperimentRow
from db.trials import NewTrial

_UNDER_WAY = ("running", "paused")
WINDOW_SEC = 30.0  # the pace of these last seconds tells the time left


class Runs(Drafts):
    """See the module; the methods' promises are those of `ExperimentService`."""

    _desk: Desk

    def start(self, *, user_id: int, role: str, experiment_id: UUID, revision: int | None = None) -> Experiment:
        """Lays out the trials and lets workers begin. Raises BadInput for the first problem of the plan, Conflict when
        it has started already, PlanChanged when it is not at `revision` any more.
        """
        with self._desk.store.transaction() as conn:
            row = own(conn, user_id, experiment_id, for_update=True)
            if row.state != "draft":
                raise Conflict("This experiment has started already.", cure="Reload the page to see how far it is.")
            check_revision(row, revision)
            plan = records.load_plan(conn, row)
            self._lay_out(conn, row, plan, None, role)
        return self.get(user_id=user_id, experiment_id=experiment_id)

    def extend(
        self,
        *,
        user_id: int,
        role: str,
        experiment_id: UUID,
        plan: Plan,
        cases: CaseTable | None = None,
        revision: int | None = None,
    ) -> int:
        """More repeats, arms or cases (`cases`: new rows, added to those there); runs only what is missing, and takes
        over the plan's caps, pace and rules. Cancelled trials wait again, and a paused experiment goes on. Returns
        the number of new trials.

        Raises BadInput, also for fewer repeats than there are; Conflict for a draft; PlanChanged when it is not at
        `revision` any more.
        """
        with self._desk.store.transaction() as conn:
            row = own(conn, user_id, experiment_id, for_update=True)
            if row.state == "draft":
                raise Conflict("This experiment has not started yet.", cure="Change its plan instead.")
            check_revision(row, revision, cure="See how it stands now, then extend it again.")
            revived = trials.revive_cancelled(conn, experiment_id=row.id)
            return revived + self._lay_out(conn, row, plan, cases, role)

    def _lay_out(self, conn: Connection, row: ExperimentRow, plan: Plan, more: CaseTable | None, role: str) -> int:
        stored = CaseTable(
            tuple(row.case_columns), tuple(tuple(cells) for _, cells in db.list_cases(conn, experiment_id=row.id))
        )
        table, models = join_cases(stored, more, started=True), self._desk.find_models(conn, plan.models, role)
        before = records.load_plan(conn, row) if row.state != "draft" else None
        found = list_problems(plan, columns=table.columns, cases=len(table), models=models, before=before)
        for problem in (*list_foreign_columns(stored, more), *found):
            raise BadInput(problem.message, param=problem.field, cure=problem.cure)
        known = records.load_arms(conn, row)
        wanted = chosen_of(plan, lay_out_arms(plan))
        arms = merge_arms(known, wanted)
        db.insert_arms(conn, experiment_id=row.id, arms=[records.arm_row(arm) for arm in arms[len(known) :]])
        db.append_cases(conn, experiment_id=row.id, first=len(stored), rows=table.rows[len(stored) :])
        planned = _plan_missing(conn, row, arms, wanted, len(table), plan.repeats)
        trials.insert_trials(conn, experiment_id=row.id, rows=_new_trials(planned, arms))
        self._set_running(conn, row, plan)
        return len(planned)

    def _stop(self, running: Sequence[UUID]) -> None:
        for generation_id in running:
            self._desk.calls.stop_unchecked(generation_id)

    def _set_running(self, conn: Connection, row: ExperimentRow, plan: Plan) -> None:
        db.update_experiment(
            conn,
            experiment_id=row.id,
            plan=plan_to_json(plan),
            state="running",
            paused_because=None,
            ended_at=None,
            started_at=row.started_at or db.NOW,
            **_limits(plan),
        )
        jobs.defer_lots(conn, lots=jobs.list_idle_lots(conn, experiment_id=row.id))
        trials.finish_if_over(conn, experiment_id=row.id)

    def _run_what_waits(self, conn: Connection, row: ExperimentRow) -> None:
        """Takes up an experiment that was over, too; what waits in a paused one runs once it is resumed.

        Raises Conflict while calls of a cancelled one are still being stopped: one that fails would be tried again.
        """
        if row.state == "paused":
            return
        if row.state == "cancelled" and trials.list_running_calls(conn, experiment_id=row.id):
            raise Conflict("Calls of this experiment are still being stopped.", cure="Try again in a moment.")
        self._set_running(conn, row, records.load_plan(conn, row))

    def pause(self, *, user_id: int, experiment_id: UUID) -> None:
        """Begins no more calls; those that run end and count."""
        with self._desk.store.transaction() as conn:
            row = own(conn, user_id, experiment_id, for_update=True)
            if row.state == "running":
                db.update_experiment(conn, experiment_id=row.id, state="paused", paused_because=None)

    def resume(self, *, user_id: int, experiment_id: UUID) -> None:
        """Goes on after a pause or a cap. Raises Conflict when it is over or a cap still stands in the way."""
        with self._desk.store.transaction() as conn:
            row = own(conn, user_id, experiment_id, for_update=True)
            if row.state == "running":
                return
            if row.state != "paused":
                raise Conflict("This experiment is not paused.", cure="Extend it to run more.")
            if row.max_calls is not None and row.calls >= row.max_calls:
                raise Conflict(f"The cap of {row.max_calls:,} calls is reached.", cure="Raise it, then resume.")
            if row.max_cost_usd is not None and row.cost_usd >= row.max_cost_usd:
                raise Conflict(f"The cap of ${row.max_cost_usd:g} is reached.", cure="Raise it, then resume.")
            self._set_running(conn, row, records.load_plan(conn, row))

    def cancel(self, *, user_id: int, experiment_id: UUID) -> None:
        """Stops the calls that run, and begins no more. `extend` with the same plan runs what was cancelled."""
        with self._desk.store.transaction() as conn:
            row = own(conn, user_id, experiment_id, for_update=True)
            if row.state not in _UNDER_WAY:
                raise Conflict("This experiment does not run.", cure="Reload the page to see how it stands.")
            running = _halt(conn, row)
        self._stop(running)

    def delete(self, *, user_id: int, experiment_id: UUID) -> None:
        """Ends and removes it with its answers; its usage rows stay."""
        with self._desk.store.transaction() as conn:
            row = own(conn, user_id, experiment_id, for_update=True)
            running = _halt(conn, row)
        self._stop(running)
        # Apart: it waits for calls that are ending, and the ends of trials wait for the experiment's row.
        with self._desk.store.transaction() as conn:
            db.delete_experiment(conn, experiment_id=experiment_id)

    def set_caps(self, *, user_id: int, experiment_id: UUID, plan: Plan) -> None:
        """Takes over `plan.caps` and `plan.pace`, also while it runs. Raises BadInput for impossible ones, as is a cap
        on cost where a price is not known.
        """
        with self._desk.store.transaction() as conn:
            row = own(conn, user_id, experiment_id, for_update=True)
            stored = records.load_plan(conn, row)
            _check_limits(plan, self._desk.find_prices(conn, stored.models))
            merged = plan_to_json(stored) | {name: plan_to_json(plan)[name] for name in ("caps", "pace")}
            db.update_experiment(conn, experiment_id=row.id, plan=merged, **_limits(plan))

    def rerun_cell(self, *, user_id: int, experiment_id: UUID, arm: int, case: int) -> int:
        """Runs all repeats of one cell again, of a paused experiment once it is resumed; the new answers take the place
        of the old. Returns how many.

        Raises Conflict while one of them waits or runs or a cancellation is under way, NotFound for a cell without
        trials.
        """
        with self._desk.store.transaction() as conn:
            row = own(conn, user_id, experiment_id, for_update=True)
            check_place("cell", arm, case)
            count = trials.reset_cell(conn, experiment_id=row.id, arm=arm, case_no=case)
            if count is None:
                raise Conflict("This cell is still running.", cure="Wait for its end, then run it again.")
            if not count:
                raise no_such("cell")
            self._run_what_waits(conn, row)
            return count

    def rerun_failed(self, *, user_id: int, experiment_id: UUID) -> int:
        """Runs all failed trials again, of a paused experiment once it is resumed. Returns how many.

        Raises Conflict while a cancellation is under way.
        """
        with self._desk.store.transaction() as conn:
            row = own(conn, user_id, experiment_id, for_update=True)
            count = trials.reset_failed(conn, experiment_id=row.id)
            if count:
                self._run_what_waits(conn, row)
            return count

    def get_progress(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> Progress:
        """Cheap: may be asked every second."""
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            counts = trials.count_states(conn, experiment_id=row.id, window_sec=WINDOW_SEC)
        return progress_of(row, counts)


def _halt(conn: Connection, row: ExperimentRow) -> list[UUID]:
    """From now on no call begins; those that run are returned."""
    if row.state in _UNDER_WAY:
        db.update_experiment(conn, experiment_id=row.id, state="cancelled", paused_because=None, ended_at=db.NOW)
        trials.cancel_waiting(conn, experiment_id=row.id)
    return trials.list_running_calls(conn, experiment_id=row.id)


def _plan_missing(
    conn: Connection, row: ExperimentRow, arms: Sequence[Arm], wanted: Sequence[Arm], cases: int, repeats: int
) -> list[Planned]:
    numbers = {arm.hash: arm.number for arm in arms}
    have = {Place(*place) for place in trials.list_places(conn, experiment_id=row.id)}
    places = list_missing([numbers[arm.hash] for arm in wanted], cases=cases, repeats=repeats, have=have)
    lot, position = trials.next_places(conn, experiment_id=row.id)
    # Another seed for each extension, or its blocks would be shuffled as the first ones were.
    return order_trials(places, seed=row.order_seed + position, first_lot=lot, first_position=position)


def _new_trials(planned: Sequence[Planned], arms: Sequence[Arm]) -> list[NewTrial]:
    upstreams = [arm.model.upstream for arm in arms]
    return [
        NewTrial(
            arm=one.place.arm,
            case_no=one.place.case,
            repeat=one.place.repeat,
            lot=one.lot,
            position=one.position,
            upstream=upstreams[one.place.arm],
        )
        for one in planned
    ]


def _limits(plan: Plan) -> dict[str, object]:
    return {
        "max_calls": plan.caps.max_calls,
        "max_cost_usd": plan.caps.max_cost_usd,
        "calls_at_once": plan.pace.calls_at_once,
        "calls_per_minute": plan.pace.calls_per_minute,
        "max_attempts": plan.pace.max_attempts,
    }


def _check_limits(plan: Plan, models: Mapping[ModelRef, ModelInfo | None]) -> None:
    wrong = ("max_calls", "max_cost_usd", "calls_at_once", "calls_per_minute", "max_attempts")
    for problem in list_problems(plan, columns=(), cases=1, models=models):
        if problem.field in wrong:
            raise BadInput(problem.message, param=problem.field, cure=problem.cure)


def progress_of(row: ExperimentRow, counts: Sequence[trials.StateCount]) -> Progress:
    of = {one.state: one.count for one in counts if not one.judged}
    judged = {one.state: one.count for one in counts if one.judged}
    left = sum(one.count for one in counts if one.state in ("waiting", "running"))
    recent = sum(one.recent for one in counts)
    span_sec = max((one.recent_sec for one in counts if one.recent_sec is not None), default=0.0)
    # The span begins with the first of these ends: only the others fell into it.
    rate = (recent - 1) / span_sec if recent > 1 and span_sec > 0 else None
    return Progress(
        state=row.state,  # type: ignore[arg-type]  # held to these words by the table
        paused_because=row.paused_because,
        waiting=of.get("waiting", 0),
        running=of.get("running", 0),
        done=of.get("done", 0),
        failed=of.get("failed", 0),
        cancelled=of.get("cancelled", 0),
        judgements_left=judged.get("waiting", 0) + judged.get("running", 0),
        judgements_done=sum(judged.values()) - judged.get("waiting", 0) - judged.get("running", 0),
        calls=row.calls,
        retries=row.retries,
        cost_usd=row.cost_usd,
        unknown_costs=row.unknown_costs,
        trials_per_sec=rate if row.state == "running" else None,
        left_sec=left / rate if rate and row.state == "running" else None,
    )

"""The part of the experiment service that looks at a run as it goes: figures by arm, failures by reason."""

from __future__ import annotations

from uuid import UUID

from chatplay.experiments import records
from chatplay.experiments.desk import own, readable
from chatplay.experiments.runs import Runs
from chatplay.experiments.values import ArmFigures, ErrorGroup
from db import trial_overview

_MOST_REASONS = 20


class Overview(Runs):
    """See the module; the methods' promises are those of `ExperimentService`."""

    def list_arm_figures(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> list[ArmFigures]:
        """Means by arm of the trials that are done. Cheap: one query, also at 100,000 trials."""
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            rows = trial_overview.list_arms(conn, experiment_id=row.id)
        return [ArmFigures(**vars(one)) for one in rows]

    def list_errors(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> list[ErrorGroup]:
        """Why trials failed, the commonest reason first; at most 20 reasons."""
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            rows = trial_overview.list_errors(conn, experiment_id=row.id, limit=_MOST_REASONS)
        return [ErrorGroup(one.message, one.cure or "", one.trials, tuple(one.arms)) for one in rows]

    def get_marks(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> str:
        """A text that stays the same as long as the results do: what is computed from them may be kept under it."""
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            return trial_overview.find_marks(conn, experiment_id=row.id)

    def rerun_failed(self, *, user_id: int, experiment_id: UUID) -> int:
        """Runs all failed trials again. Returns how many. Raises NotFound."""
        with self._desk.store.transaction() as conn:
            row = own(conn, user_id, experiment_id, for_update=True)
            count = trial_overview.reset_failed(conn, experiment_id=row.id)
            if count:
                self._set_running(conn, row, records.load_plan(conn, row))
            return count

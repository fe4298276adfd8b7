"""The part of the experiment service that looks at a run as it goes: figures by arm, failures by reason."""

from __future__ import annotations

from uuid import UUID

from chatplay.experiments.desk import readable
from chatplay.experiments.runs import WINDOW_SEC, Runs, progress_of
from chatplay.experiments.values import ArmFigures, ErrorGroup, Standing, Standstill
from db import jobs, trial_overview, trials

_MOST_REASONS = 20
_NO_WORKER_SEC = 10.0  # as long as one may take to start together with its app
_LEFT_SEC = 90.0  # longer than a call that failed waits before it is made again


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

    def find_standstill(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> Standstill | None:
        """Why a running experiment does not move, when it waits for workers; None while it moves, or may soon."""
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            silent_sec, upstreams = trial_overview.find_silence(conn, experiment_id=row.id)
            if not upstreams or silent_sec < _NO_WORKER_SEC:
                return None
            workers = jobs.count_workers(conn)
        paced_sec = 60 / row.calls_per_minute if row.calls_per_minute else 0.0
        if workers and silent_sec < _LEFT_SEC + 2 * paced_sec:
            return None
        return Standstill(workers > 0, tuple(sorted(upstreams)))

    def get_standing(self, *, user_id: int, experiment_id: UUID, token: str | None = None) -> Standing:
        """How far it is, and whether its results are still the same: all from one look at its trials."""
        with self._desk.store.reading() as conn:
            row = readable(conn, user_id, experiment_id, token)
            counts = trials.count_states(conn, experiment_id=row.id, window_sec=WINDOW_SEC)
            by_people = trial_overview.find_marks(conn, experiment_id=row.id)
        done, failed = (sum(one.count for one in counts if one.state == state) for state in ("done", "failed"))
        last_at = max((one.last_at for one in counts if one.last_at), default=None)
        return Standing(progress_of(row, counts), f"{done} {failed} {last_at}, {by_people}")

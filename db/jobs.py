"""The job queue, `procrastinate` on this very database: a job is a lot of trials, and jobs wake the workers.

One job a trial would be as safe and dearer: a fetch, a finish, three events and two notices each. Measured with a
model that answers at once: 124 trials a second with 4.2 ms of the worker's CPU each, against 159 with 2.4 ms. So a job
stands for a lot of 16 to 64 trials; which of them still have to run is in the trials themselves, and a job that runs
twice does nothing twice. The queue brings what the table of trials can't: workers that wake at once on any machine,
take turns, and leave what they held to others when they die.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, cast
from uuid import UUID

from sqlalchemy import Connection, text

from db.engine import libpq_url

if TYPE_CHECKING:  # the library takes as long to import as our own code: it is, when a job is first at hand
    import psycopg
    from procrastinate import App as Queue
    from procrastinate.jobs import Job

__all__ = ["QUEUE", "RunLot", "count_workers", "defer_lots", "drop_stalled", "list_idle_lots", "make_app"]
QUEUE = "experiments"
_TASK = "run_lot"
_ALIVE_SEC = 30.0  # a worker gives a sign of life every 5 s


class RunLot(Protocol):
    """What a worker does with a job."""

    def __call__(self, *, experiment_id: str, lot: int) -> Awaitable[None]: ...


def make_app(url: str, run_lot: RunLot) -> Queue:
    """The queue's app for one worker. Opens nothing yet."""
    from procrastinate import App, PsycopgConnector

    logging.getLogger("procrastinate").setLevel(logging.WARNING)  # it tells of each job
    # Four connections: fetching, finishing, signs of life and looking after stalled jobs; one more listens.
    app = App(connector=PsycopgConnector(conninfo=libpq_url(url), min_size=1, max_size=4))
    app.task(name=_TASK, queue=QUEUE)(run_lot)
    return app


def defer_lots(conn: Connection, *, lots: Sequence[tuple[UUID, int]]) -> None:
    """Queues (experiment, lot) pairs in the caller's transaction; those queued already stay as they are.

    Lots of experiments that run at the same time take turns: the lower lot goes first, whosever it is.
    """
    from procrastinate import SyncPsycopgConnector
    from procrastinate.exceptions import AlreadyEnqueued
    from procrastinate.manager import JobManager

    manager = JobManager(SyncPsycopgConnector())
    driver = cast("psycopg.Connection[Any]", conn.connection.driver_connection)
    jobs = [_job(experiment_id, lot) for experiment_id, lot in lots]
    if not jobs:
        return
    with suppress(AlreadyEnqueued), conn.begin_nested():
        manager.batch_defer_jobs(jobs, connection=driver)
        return
    for job in jobs:  # one of them is queued already, so each by itself
        with suppress(AlreadyEnqueued), conn.begin_nested():
            manager.defer_job(job, connection=driver)


def _job(experiment_id: UUID, lot: int) -> Job:
    from procrastinate.jobs import Job

    key = f"{experiment_id}:{lot}"
    return Job(
        id=None,
        queue=QUEUE,
        priority=-lot,
        lock=None,
        queueing_lock=key,
        task_name=_TASK,
        task_kwargs={"experiment_id": str(experiment_id), "lot": lot},
    )


_IDLE = """
SELECT DISTINCT t.experiment_id, t.lot FROM experiment_trials t JOIN experiments e ON e.id = t.experiment_id
WHERE e.state = 'running' AND t.state = 'waiting' AND (CAST(:id AS uuid) IS NULL OR e.id = :id) AND NOT EXISTS (
  SELECT FROM procrastinate_jobs j WHERE j.status IN ('todo', 'doing')
  AND j.queueing_lock = t.experiment_id || ':' || t.lot)
ORDER BY 2
"""


def list_idle_lots(conn: Connection, *, experiment_id: UUID | None = None) -> list[tuple[UUID, int]]:
    """Lots of running experiments with trials that wait and no job to run them."""
    return [(row[0], row[1]) for row in conn.execute(text(_IDLE), {"id": experiment_id})]


def count_workers(conn: Connection) -> int:
    """Workers that are up: they have given a sign of life of late."""
    query = text(
        "SELECT count(*) FROM procrastinate_workers "
        "WHERE last_heartbeat > clock_timestamp() - make_interval(secs => :alive_sec)"
    )
    return int(conn.execute(query, {"alive_sec": _ALIVE_SEC}).scalar_one())


async def drop_stalled(app: Queue, *, after_sec: float) -> None:
    """Removes the jobs of workers that have been silent for `after_sec`: lots with trials to run are then idle."""
    from procrastinate.jobs import Status

    for job in await app.job_manager.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=after_sec):
        await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=True)

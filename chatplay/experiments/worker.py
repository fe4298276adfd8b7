"""A worker: takes lots from the queue, on a thread and loop of its own, and looks after what dead workers left.

One runs inside the app (`EXPERIMENT_WORKER`); `python -m chatplay worker` runs one more on any machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from chatplay.calls import Calls
from chatplay.errors import StoreError
from chatplay.experiments.endings import INTERRUPTED, MOST_INTERRUPTIONS
from chatplay.experiments.run import Runner
from chatplay.models.catalog import ModelCatalog
from chatplay.store import Store
from db import jobs, trial_claims, trial_ends, trials
from db.trial_ends import TrialCall, TrialEnd

if TYPE_CHECKING:
    from procrastinate import App as Queue

_log = logging.getLogger(__name__)
_LOTS_AT_ONCE = 4  # each has 16 trials or more: enough to keep every place busy, few enough to leave lots to others
_GOODBYE_SEC = 8.0
_START_AGAIN_SEC = 2.0


@dataclass(frozen=True)
class WorkerPace:
    """`calls_at_once` of this worker; `upstream_calls` of all workers at one upstream. Seconds for the rest: a server
    that is missing here counts as other processes' for `patience_sec` after one of them asked it.
    """

    calls_at_once: int = 16
    upstream_calls: int = 32
    sweep_sec: float = 5.0
    beat_sec: float = 5.0
    stalled_sec: float = 20.0
    poll_sec: float = 5.0
    patience_sec: float = 60.0


class ExperimentWorker:
    """See the module. `start` returns at once; `close` leaves the lots it had to other workers, or the next start."""

    def __init__(self, *, store: Store, calls: Calls, catalog: ModelCatalog, url: str, pace: WorkerPace) -> None:
        self._store = store
        self._calls = calls
        self._catalog = catalog
        self._url = url
        self._pace = pace
        self._loop = asyncio.SelectorEventLoop()  # psycopg takes no other kind on Windows
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="experiment-worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        if not self._thread.is_alive():
            self._loop.close()
            return
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(timeout=2 * _GOODBYE_SEC)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._work_on())
        finally:
            self._loop.close()

    async def _work_on(self) -> None:
        """Works until it is closed; a database that restarts only makes it begin again."""
        while not self._closing.is_set():
            try:
                await self._work()
            except Exception as error:
                _log.warning("experiment worker begins again (%s: %s)", type(error).__name__, error)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _START_AGAIN_SEC)

    async def _work(self) -> None:
        runner = Runner(
            store=self._store,
            calls=self._calls,
            catalog=self._catalog,
            calls_at_once=self._pace.calls_at_once,
            upstream_calls=self._pace.upstream_calls,
            patience_sec=self._pace.patience_sec,
            rest_sec=self._pace.sweep_sec,
        )

        async def run_lot(*, experiment_id: str, lot: int) -> None:
            await runner.run_lot(UUID(experiment_id), lot)

        app = jobs.make_app(self._url, run_lot)
        async with app.open_async():
            taking = asyncio.create_task(
                app.run_worker_async(
                    queues=[jobs.QUEUE],
                    concurrency=_LOTS_AT_ONCE,
                    install_signal_handlers=False,
                    delete_jobs="always",  # what is left to do is in the trials, not in the jobs
                    fetch_job_polling_interval=self._pace.poll_sec,
                    update_heartbeat_interval=self._pace.beat_sec,
                    stalled_worker_timeout=self._pace.stalled_sec,
                    shutdown_graceful_timeout=_GOODBYE_SEC / 4,
                )
            )
            sweeping = asyncio.create_task(self._sweep_on(app, runner))
            closing = asyncio.create_task(self._closing.wait())
            await asyncio.wait({taking, sweeping, closing}, return_when=asyncio.FIRST_COMPLETED)
            await runner.close()
            for task in (closing, sweeping, taking):
                task.cancel()
            ended = await asyncio.gather(taking, sweeping, return_exceptions=True)
        for failure in ended:
            if isinstance(failure, Exception):
                raise failure

    async def _sweep_on(self, app: Queue, runner: Runner) -> None:
        while True:
            try:
                await jobs.drop_stalled(app, after_sec=self._pace.stalled_sec)
                await runner.in_thread(lambda: sweep(self._store))
            except StoreError as error:
                _log.warning("sweep waits for the database (%s)", error.code)
            await asyncio.sleep(self._pace.sweep_sec)


def sweep(store: Store) -> None:
    """Puts right what a death left: calls the reaper ended, lots without a job, experiments that are over.

    Any number of workers may do it at once.
    """
    with store.reading() as conn:
        orphans = trial_ends.list_orphans(conn)
    for orphan in orphans:
        _put_right(store, orphan)
    with store.transaction() as conn:
        jobs.defer_lots(conn, lots=jobs.list_idle_lots(conn))
    with store.reading() as conn:
        running = trials.list_running_experiments(conn)
    for experiment_id in running:
        with store.transaction() as conn:
            trials.finish_if_over(conn, experiment_id=experiment_id)


def _put_right(store: Store, orphan: trial_ends.Orphan) -> None:
    call = TrialCall(orphan.id, orphan.generation_id)
    with store.transaction() as conn:
        trial_claims.lock_gates(conn, ids=[orphan.experiment_id])
        if not trial_ends.lock_running(conn, trial_id=orphan.id, generation_id=orphan.generation_id):
            return
        counted = trial_ends.count_ends(
            conn,
            experiment_id=orphan.experiment_id,
            costs_usd=[orphan.cost_usd],
            reserved_usd=orphan.reserved_usd or 0.0,
        )
        if counted is not None and counted[0] == "cancelled":
            end = TrialEnd("cancelled")
        elif orphan.attempt >= MOST_INTERRUPTIONS:
            end = INTERRUPTED
        else:
            trial_ends.put_back(conn, calls=[call])
            return
        trial_ends.end_trials(conn, ends=[(call, end)])

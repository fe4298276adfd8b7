"""Composition root: builds the services of one process, starts what they stand on, and stops it in order."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from chatplay.auth.access_tokens import AccessTokens
from chatplay.auth.accounts import AccountService
from chatplay.auth.attempts import Attempts
from chatplay.auth.passwords import Hasher, Passwords
from chatplay.auth.sessions import Sessions
from chatplay.auth.setup import SetUp
from chatplay.auth.sign_in import SignIn
from chatplay.auth.standing import Standing
from chatplay.auth.tickets import Tickets
from chatplay.calls import Calls
from chatplay.chats.log import ChatLog
from chatplay.chats.service import ChatService
from chatplay.compare.service import CompareService
from chatplay.errors import StoreUnavailable
from chatplay.experiments.desk import Desk
from chatplay.experiments.estimate import Limits as ForecastLimits
from chatplay.experiments.service import ExperimentService
from chatplay.experiments.worker import ExperimentWorker, WorkerPace
from chatplay.generation.assembly import Generations, assemble
from chatplay.generation.running import Limits
from chatplay.limits import RequestLimits
from chatplay.models.assembly import assemble_models
from chatplay.models.catalog import ModelCatalog
from chatplay.models.polling import HealthPoller
from chatplay.models.upstreams import UpstreamService
from chatplay.settings import Settings, load_settings, read_environment
from chatplay.store import Store
from chatplay.tokens.calibrations import Calibrations
from chatplay.tokens.counting import ServerCounts, TokenCounter
from chatplay.tokens.ranks import RankLoader
from chatplay.usage.ahead import Ahead
from chatplay.usage.budgets import Budgets
from chatplay.usage.price_table import PriceTable
from chatplay.usage.rollup import RollupWorker
from chatplay.usage.service import Usage
from db.embedded import EmbeddedPostgres
from db.engine import make_engine, migrate
from db.errors import DatabaseError
from db.frozen import FrozenWatch

log = logging.getLogger(__name__)
_RANKS_FOLDER = "token-ranks"
_SHARE_AHEAD = 5  # a fifth of the connections asks ahead of pages, the rest is for who waits
_LONGEST_SILENCE_SEC, _MISSED_POLLS = 60.0, 3  # of all who could ask a model server; then it counts as gone
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Runtime:
    """The services of this process; pages and routes reach everything through one of these."""

    settings: Settings
    store: Store
    accounts: AccountService
    sessions: Sessions
    access_tokens: AccessTokens
    standing: Standing
    limits: RequestLimits
    sign_in: SignIn
    tickets: Tickets
    set_up: SetUp
    catalog: ModelCatalog
    health: HealthPoller
    upstreams: UpstreamService
    generations: Generations
    calls: Calls
    chats: ChatService
    chat_log: ChatLog
    compare: CompareService
    experiments: ExperimentService
    usage: Usage
    ahead: Ahead
    prices: PriceTable
    budgets: Budgets
    rollup: RollupWorker
    embedded: EmbeddedPostgres | None = None
    worker: ExperimentWorker | None = None
    watch: FrozenWatch | None = None

    def close(self) -> None:
        """Stop in order, the newest first; what fails to stop does not keep the rest from it."""
        with contextlib.ExitStack() as stack:
            if self.embedded is not None:
                stack.callback(self.embedded.stop)
            stack.callback(self.store.engine.dispose)
            if self.watch is not None:
                stack.callback(self.watch.close)
            stack.callback(self.health.release)
            stack.callback(self.rollup.close)
            stack.callback(self.generations.close)
            if self.worker is not None:
                stack.callback(self.worker.close)


def build(
    settings: Settings,
    *,
    embedded: EmbeddedPostgres | None = None,
    clock: Clock = utc_now,
    hasher: Hasher | None = None,
    environ: Mapping[str, str] | None = None,
) -> Runtime:
    """Services on the database at `settings.database_url`. Connects to nothing yet.

    `environ` has the keys that models.toml names; the process's own and `.env` when None.
    """
    assert settings.database_url is not None, "start() fills it in for the embedded server"
    store = Store(make_engine(settings.database_url, pool_size=settings.database_pool_size))
    passwords = Passwords(hasher)
    attempts = Attempts(store=store, settings=settings, clock=clock)
    models = assemble_models(settings, store, environ=read_environment() if environ is None else environ)
    calibrations = Calibrations(store)
    generations = assemble(
        store=store,
        limits=Limits(
            first_token_sec=settings.first_token_timeout_sec,
            silence_sec=settings.silence_timeout_sec,
            total_sec=settings.generation_timeout_sec,
        ),
        heartbeat_sec=settings.heartbeat_sec,
        reap_after_sec=settings.reap_after_sec,
        at_close=models.aclose,
        on_call=models.health.note_call,
        on_counted=calibrations.learn,
    )
    server_counts = ServerCounts(catalog=models.catalog, submit=generations.hub.submit, on_counted=calibrations.learn)
    counter = TokenCounter(
        calibrations=calibrations, server=server_counts, ranks=RankLoader(settings.data_dir / _RANKS_FOLDER)
    )
    calls = Calls(store=store, hub=generations.hub, listener=generations.listener, catalog=models.catalog)
    return Runtime(
        settings=settings,
        store=store,
        accounts=AccountService(store=store, passwords=passwords, attempts=attempts),
        sessions=Sessions(store=store, settings=settings, clock=clock),
        access_tokens=AccessTokens(store=store, clock=clock),
        standing=Standing(store=store, settings=settings, clock=clock),
        limits=RequestLimits(store=store, settings=settings),
        sign_in=SignIn(store=store, passwords=passwords, attempts=attempts),
        tickets=Tickets(store=store, clock=clock),
        set_up=SetUp(store=store, passwords=passwords, clock=clock),
        catalog=models.catalog,
        health=models.health,
        upstreams=models.service(generations.hub.submit),
        generations=generations,
        calls=calls,
        chats=ChatService(
            store=store,
            hub=generations.hub,
            calls=calls,
            catalog=models.catalog,
            counter=counter,
            max_prompt_chars=settings.max_prompt_chars,
        ),
        compare=CompareService(
            store=store,
            hub=generations.hub,
            calls=calls,
            catalog=models.catalog,
            counter=counter,
            max_prompt_chars=settings.max_prompt_chars,
        ),
        experiments=ExperimentService(
            Desk(
                store=store,
                catalog=models.catalog,
                calls=calls,
                counter=counter,
                limits=ForecastLimits(settings.experiment_calls, settings.experiment_upstream_calls),
            )
        ),
        usage=Usage(store=store, now=utc_now),
        ahead=Ahead(settings.database_pool_size // _SHARE_AHEAD),
        prices=PriceTable(store=store),
        budgets=Budgets(store=store),
        rollup=RollupWorker(store=store),
        chat_log=ChatLog(store=store, max_prompt_chars=settings.max_prompt_chars),
        embedded=embedded,
    )


def start(settings: Settings, *, progress: Callable[[str], None] = print) -> Runtime:
    """The embedded server when there is no other, the newest tables, and the services on them.

    Raises StoreUnavailable with the cure when the database cannot be had.
    """
    with _translated(), contextlib.ExitStack() as undo:
        embedded = None
        if settings.database_url is None:
            embedded = EmbeddedPostgres(settings.data_dir, bin_dir=settings.pg_bin_dir, progress=progress)
            settings = settings.model_copy(update={"database_url": embedded.start()})
            undo.callback(embedded.stop)
            embedded.keep_alive()
        runtime = build(settings, embedded=embedded)
        undo.callback(runtime.store.engine.dispose)
        watch = FrozenWatch(runtime.store.engine)
        watch.start()
        undo.callback(watch.close)
        runtime = replace(runtime, watch=watch)
        with runtime.store.reading():  # a server that cannot be reached is said so before it is migrated
            pass
        migrate(runtime.store.engine, progress=progress)
        runtime.sessions.clean_up()
        runtime.generations.start()
        undo.callback(runtime.rollup.close)
        runtime.rollup.start()
        # On the loop that also talks to the model servers: they share connections.
        runtime.generations.hub.submit(runtime.health.run_forever())
        if settings.experiment_worker:
            worker = make_worker(runtime)
            worker.start()
            runtime = replace(runtime, worker=worker)
        undo.pop_all()
    return runtime


def make_worker(runtime: Runtime) -> ExperimentWorker:
    """A worker of experiments on the process's own hub; it begins with `start`."""
    settings = runtime.settings
    assert settings.database_url is not None
    return ExperimentWorker(
        store=runtime.store,
        calls=runtime.calls,
        catalog=runtime.catalog,
        url=settings.database_url,
        pace=WorkerPace(
            settings.experiment_calls,
            settings.experiment_upstream_calls,
            patience_sec=max(_LONGEST_SILENCE_SEC, _MISSED_POLLS * settings.health_poll_sec),
        ),
    )


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        raise StoreUnavailable(error.message, cure=error.cure) from error


# ---- the process's one -------------------------------------------------------------------------

_lock = threading.Lock()
_runtime: Runtime | None = None


@functools.cache
def get_settings() -> Settings:
    """This process's settings, read once. Raises ConfigError."""
    return load_settings()


def find_runtime() -> Runtime | None:
    """The process's services if they run; never waits."""
    return _runtime


def get_runtime() -> Runtime:
    """The process's services; the first call starts them, and a start that failed is tried again by the next.

    Raises ConfigError or StoreUnavailable, each with its cure.
    """
    global _runtime
    if (running := _runtime) is not None:
        return running
    with _lock:
        if _runtime is None:
            _runtime = start(get_settings())
        return _runtime


def stop() -> None:
    """End the process's services; a later `get_runtime` starts them anew."""
    global _runtime
    with _lock:
        runtime, _runtime = _runtime, None
    if runtime is not None:
        runtime.close()

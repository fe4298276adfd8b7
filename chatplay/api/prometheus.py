"""`/metrics` for Prometheus: what this process did since it started. Each process answers for itself; totals over
several are Prometheus' to add up. Streamlit's own figures, `/_stcore/metrics`, are behind the same door.

Browsers go to a page of the same address: who asks for HTML gets that.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatplay.api.errors import answer, detail_of, plain_detail, request_id_of
from chatplay.errors import ConfigError, NotSignedIn
from chatplay.generation.tally import TTFT_BOUNDS_SEC, TtftCount
from chatplay.runtime import Runtime
from chatplay.settings import Settings
from db.engine import pool_figures

PATH, _STREAMLITS = "/metrics", "/_stcore/metrics"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FORWARDED = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "x-real-ip", "via")
FindRuntime = Callable[[], Runtime | None]


class RequestCounts:
    """How many requests each route has answered, by method and status. Used on one event loop."""

    def __init__(self) -> None:
        self.answered: Counter[tuple[str, str, str]] = Counter()

    def note(self, scope: Scope, status: int | None) -> None:
        """`status` None: the client left before there was an answer."""
        path = getattr(scope.get("route"), "path", None)
        route = "other" if path is None else f"{scope.get('root_path', '')}{path}"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.answered[route, method, "none" if status is None else str(status)] += 1


class CountRequests:
    """Counts what passes, Streamlit's own routes included. Pure ASGI, so that streams pass untouched."""

    def __init__(self, app: ASGIApp, *, counts: RequestCounts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status: int | None = None

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            self._counts.note(scope, status)


class MetricsDoor:
    """Answers `/metrics` itself and lets nobody else through to Streamlit's figures."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        counts: RequestCounts,
        get_settings: Callable[[], Settings],
        find_runtime: FindRuntime,
    ) -> None:
        self._app = app
        self._get_settings = get_settings
        self._registry = make_registry(counts, find_runtime)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_about_metrics(scope):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        if scope["method"] not in ("GET", "HEAD"):
            detail = plain_detail("method_not_allowed", "The metrics are only read.", request_id_of(connection))
            await answer(detail, 405, {"allow": "GET, HEAD"})(scope, receive, send)
        elif (refusal := self._refusal(connection)) is not None:
            await refusal(scope, receive, send)
        elif scope["path"] == PATH:
            await self._figures(connection)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, connection: HTTPConnection) -> Response | None:
        try:
            settings = self._get_settings()
        except ConfigError as wrong:
            return answer(detail_of(wrong, request_id_of(connection)), 503)
        if may_read(settings, connection):
            return None
        error = NotSignedIn(
            "The metrics are for Prometheus only.",
            cure="Send `Authorization: Bearer` with METRICS_TOKEN, or, while none is set, ask from this machine.",
        )
        return answer(detail_of(error, request_id_of(connection)), 401)

    def _figures(self, connection: HTTPConnection) -> Response:
        encode, content_type = choose_encoder(connection.headers.get("accept", ""))
        headers = {"content-type": content_type, "cache-control": "no-store", "vary": "accept"}
        return Response(encode(self._registry), headers=headers)


def _is_about_metrics(scope: Scope) -> bool:
    path = scope["path"].rstrip("/")
    if path == PATH:
        return b"text/html" not in dict(scope["headers"]).get(b"accept", b"")
    return bool(path.endswith(_STREAMLITS))


def may_read(settings: Settings, connection: HTTPConnection) -> bool:
    """With METRICS_TOKEN only who shows it; without one, this machine itself.

    Behind a proxy on the same machine everybody seems to be this machine. So nobody is, once the settings tell of a
    proxy or of a public address, or the request was forwarded or asks for another host.
    """
    if settings.metrics_token is not None:
        kind, _, shown = connection.headers.get("authorization", "").partition(" ")
        expected = settings.metrics_token.get_secret_value().encode()
        return kind.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), expected)
    if settings.public_url is not None or settings.trusted_proxies:
        return False
    if any(name in connection.headers for name in _FORWARDED):
        return False
    peer = connection.client.host if connection.client is not None else ""
    return _is_loopback(peer) and _is_loopback(connection.url.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# ---- the figures -------------------------------------------------------------------------------


def make_registry(counts: RequestCounts, find_runtime: FindRuntime) -> CollectorRegistry:
    """A registry of our own: Streamlit may use the common one."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(counts, find_runtime))
    ProcessCollector(registry=registry)
    return registry


class _Figures(Collector):
    def __init__(self, counts: RequestCounts, find_runtime: FindRuntime) -> None:
        self._counts = counts
        self._find_runtime = find_runtime

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "chatplay_http_requests", "Requests answered.", labels=("route", "method", "status")
        )
        _fill(requests, self._counts.answered)
        yield requests
        runtime = self._find_runtime()
        up = GaugeMetricFamily("chatplay_services_up", "1 once the services of this process have started.")
        up.add_metric((), 0 if runtime is None else 1)
        yield up
        if runtime is not None:
            yield from _of_calls(runtime)
            yield from _of_parts(runtime)

    def describe(self) -> Iterator[Metric]:
        return iter(())


def _of_calls(runtime: Runtime) -> Iterator[Metric]:
    tally = runtime.generations.hub.tally.read()
    running = GaugeMetricFamily("chatplay_generations_running", "Answers coming right now.")
    running.add_metric((), runtime.generations.hub.running_count)
    yield running
    ended = CounterMetricFamily("chatplay_generations", "Answers that ended.", labels=("status", "source"))
    _fill(ended, tally.ended)
    yield ended
    errors = CounterMetricFamily("chatplay_generation_errors", "Answers that failed.", labels=("class",))
    _fill(errors, {(name,): number for name, number in tally.errors.items()})
    yield errors
    tokens = CounterMetricFamily("chatplay_tokens", "Tokens, reported or counted.", labels=("kind", "source"))
    _fill(tokens, tally.tokens)
    yield tokens
    first = HistogramMetricFamily(
        "chatplay_time_to_first_token_seconds", "From the request to the first token.", labels=("source",)
    )
    for source, count in tally.ttft.items():
        first.add_metric((source,), _buckets(count), count.sum_sec)
    yield first


def _of_parts(runtime: Runtime) -> Iterator[Metric]:
    pool = pool_figures(runtime.store.engine)
    connections = GaugeMetricFamily("chatplay_db_pool_connections", "Database connections.", labels=("state",))
    connections.add_metric(("in_use",), pool.in_use)
    connections.add_metric(("idle",), pool.idle)
    yield connections
    most = GaugeMetricFamily("chatplay_db_pool_max_connections", "Database connections this process may hold.")
    most.add_metric((), pool.most)
    yield most
    kept = GaugeMetricFamily("chatplay_hub_answers_in_memory", "Running answers and those just ended.")
    kept.add_metric((), runtime.generations.hub.kept_count)
    yield kept
    waiting = GaugeMetricFamily("chatplay_event_log_waiting_deltas", "Pieces of answers not yet in the database.")
    waiting.add_metric((), runtime.generations.log.waiting_count)
    yield waiting


def _fill(family: CounterMetricFamily, numbers: Mapping[Any, int]) -> None:
    """`numbers` by their labels."""
    for labels, number in list(numbers.items()):
        family.add_metric(labels, number)


def _buckets(count: TtftCount) -> list[tuple[str, float]]:
    names = [*(str(bound) for bound in TTFT_BOUNDS_SEC), "+Inf"]
    below = 0
    buckets = []
    for name, number in zip(names, count.in_bucket, strict=True):
        below += number
        buckets.append((name, float(below)))
    return buckets

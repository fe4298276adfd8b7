"""Model servers and their checks, as an administrator or the poller would have left them."""

from chatplay.models.health import Breaker, CheckResult, Health, Problem
from chatplay.models.upstreams import UpstreamDraft
from chatplay.providers.openai import ListedModel
from chatplay.providers.registry import Upstream

ADDRESS = "http://127.0.0.1:9/v1"
DOWN = Problem("unreachable", "It cannot be reached: nothing listens there.", "Check that it runs.")


def add(services, ada, name="lab", **more):
    return services.upstreams.add(actor=ada, draft=UpstreamDraft(name, ADDRESS, **more))


def serve(services, *upstreams, demo=False):
    """The catalog as if the poller had just read `upstreams`."""
    built_in = [one for one in services.catalog.upstreams if one.source == "built in"] if demo else []
    services.catalog.set_upstreams([*upstreams, *built_in])


def server(name="lab", **more):
    return Upstream(name, "openai", base_url=ADDRESS, source="administrator", **more)


def well(services, *models, latency_ms=12.0):
    listed = tuple(ListedModel(name, "vllm", 4096) for name in models)
    return Health().after_check(CheckResult("vllm", listed, latency_ms), services.catalog.now())


def down(services, *, failures=1, before=None):
    health = before or Health(breaker=Breaker(threshold=3, cooldown_sec=30.0))
    for _ in range(failures):
        health = health.after_check(CheckResult(None, None, None, DOWN), services.catalog.now())
    return health


# ---- what everyone sees ----

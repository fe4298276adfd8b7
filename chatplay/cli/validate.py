"""`validate`: every part that can be wrong, each as ok, warn or fail, and what cures it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from chatplay.cli.finding import Finding
from chatplay.cli.probes import get
from chatplay.cli.servers import check_servers
from chatplay.cli.stored import reachable_database
from chatplay.errors import ChatplayError
from chatplay.presence import list_running
from chatplay.settings import Settings, read_environment
from chatplay.store import Store
from db.engine import is_known_revision, make_engine, newest_revision
from db.errors import DatabaseError
from db.overview import get_overview

_STRANGER = "https://elsewhere.example"


def validate(settings: Settings) -> int:
    """Print every finding. 1 when one is a fail, else 0: warnings are for reading."""
    findings = []
    for finding in check_all(settings):
        print(f"{finding.grade:<5} {finding.part:<9} {finding.text}", flush=True)
        findings.append(finding)
    return int(any(finding.grade == "fail" for finding in findings))


def check_all(settings: Settings) -> Iterator[Finding]:
    """Every finding, the quick ones first."""
    yield from check_settings(settings)
    yield check_cookie(settings)
    yield check_proxy(settings)
    yield from check_stored(settings)
    yield from check_app(settings)


def check_settings(settings: Settings) -> Iterator[Finding]:
    warnings = settings.warnings()
    for warning in warnings:
        yield Finding("warn", "settings", warning)
    if not warnings:
        yield Finding("ok", "settings", "all values can be used together")


def check_cookie(settings: Settings) -> Finding:
    if settings.cookie_secure:
        return Finding("ok", "cookie", f"Secure, HttpOnly, SameSite=Strict for {settings.public_url}")
    if settings.is_loopback and settings.public_url is None:
        return Finding("ok", "cookie", "HttpOnly, SameSite=Strict; not Secure, as only this machine gets in")
    return Finding(
        "warn", "cookie", "not Secure: it travels readable. Put TLS in front and set PUBLIC_URL to the https address."
    )


def check_proxy(settings: Settings) -> Finding:
    if any(network.prefixlen == 0 for network in settings.trusted_proxies):
        return Finding(
            "fail", "proxy", "TRUSTED_PROXIES believes everybody: addresses can be forged. Name your proxy's alone."
        )
    if settings.cookie_secure and not settings.trusted_proxies:
        return Finding(
            "warn",
            "proxy",
            "PUBLIC_URL is https but TRUSTED_PROXIES is empty: all people share the proxy's address, "
            "also in sign-in locks. Set it to the proxy's address.",
        )
    believed = ", ".join(str(network) for network in settings.trusted_proxies) or "nobody's"
    return Finding("ok", "proxy", f"X-Forwarded headers believed: {believed}")


def check_stored(settings: Settings) -> Iterator[Finding]:
    """The database, then every model server, those it holds included."""
    environ = read_environment()
    with ExitStack() as undo:
        store, finding = _open(settings, undo)
        yield finding
        yield from check_servers(settings, store, environ=environ)


def _open(settings: Settings, undo: ExitStack) -> tuple[Store | None, Finding]:
    """The database where it can be had, and how it is."""
    if settings.database_url is None and not (settings.data_dir / "postgres").exists():
        return None, Finding("warn", "database", "not set up yet; `make run` does it")
    try:
        url = undo.enter_context(reachable_database(settings))
        engine = make_engine(url, pool_size=1, application_name="chatplay-cli")
        undo.callback(engine.dispose)
        seen = get_overview(engine)
    except (DatabaseError, ChatplayError) as error:
        return None, Finding("fail", "database", str(error))
    if not is_known_revision(seen.revision):
        text = (
            f"at revision {seen.revision}, of a newer version of this app; update the app, or restore an older backup"
        )
        return Store(engine), Finding("fail", "database", text)
    if seen.revision != newest_revision():
        text = f"at revision {seen.revision}, not {newest_revision()}; `make run` migrates it"
        return Store(engine), Finding("warn", "database", text)
    return Store(engine), Finding("ok", "database", f"PostgreSQL {seen.server_version} at revision {seen.revision}")


def check_app(settings: Settings) -> Iterator[Finding]:
    apps = list_running(settings.data_dir)
    if not apps:
        yield Finding("warn", "app", "not running; `make run` starts it, then its answers are checked too")
    for app in apps:
        answer = get(f"{app.url}/_stcore/health", {"Origin": _STRANGER})
        if answer.status != 200:
            yield Finding("fail", "app", f"{app.url} does not answer ({answer.problem}). Look with `make logs`.")
            continue
        yield Finding("ok", "app", f"{app.url} answers")
        allowed = {name.lower(): value for name, value in answer.headers.items()}.get("access-control-allow-origin")
        if allowed in ("*", _STRANGER):
            yield Finding("fail", "CORS", "other sites may read answers. Leave server.enableCORS on in config.toml.")
        else:
            yield Finding("ok", "CORS", "other sites may not read answers")

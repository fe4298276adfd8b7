"""How every configured model server is, asked from the terminal: those of the environment, of models.toml and of
administrators, each with what cures it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from chatplay.cli.finding import Finding, Grade
from chatplay.errors import ChatplayError, ConfigError, StoreError
from chatplay.models.assembly import keybox_of, upstreams_of
from chatplay.models.health import CheckResult, Problem, check, missing_here
from chatplay.models.roster import Entry, Roster
from chatplay.providers.openai import Limits
from chatplay.providers.registry import Upstream, make_provider
from chatplay.providers.safety import AddressPolicy
from chatplay.settings import Settings
from chatplay.store import Store

LIMIT_SEC = 5.0
_WITHOUT_DATABASE = "Those that administrators added are not known while the database is away."


def check_servers(settings: Settings, store: Store | None, *, environ: Mapping[str, str]) -> list[Finding]:
    """A finding for each server there is, all asked at once; ends within `LIMIT_SEC` or so. `store` None: the
    database cannot be asked.
    """
    policy = AddressPolicy(settings.upstream_allow_hosts)
    findings = []
    try:
        configured = upstreams_of(settings, environ=environ, policy=policy)
    except ConfigError as error:
        configured, findings = (), [Finding("fail", "models", str(error))]
    roster = Roster(configured, keybox=keybox_of(settings), environ=environ, policy=policy)
    stored, problem = _stored(roster, store)
    known = roster.list_configured() if stored is None else stored
    entries = [entry for entry in known if entry.upstream.kind == "openai"]
    findings += asyncio.run(_check_all(entries, policy))
    if problem is not None:
        findings.append(Finding("warn", "models", problem))
    return findings or [_none(settings)]


def _stored(roster: Roster, store: Store | None) -> tuple[list[Entry] | None, str | None]:
    """All entries, or why those of the database are missing."""
    if store is None:
        return None, _WITHOUT_DATABASE
    try:
        with store.reading() as conn:
            return roster.list_entries(conn), None
    except StoreError:  # away, or before the first start
        return None, _WITHOUT_DATABASE


def _none(settings: Settings) -> Finding:
    if settings.demo_models:
        return Finding("ok", "models", "no model server is configured; the built-in Demo and Echo models answer")
    return Finding(
        "warn",
        "models",
        "there is none: DEMO_MODELS is off and no model server is configured. Add one on the Models page.",
    )


# ---- asking ------------------------------------------------------------------------------------


async def _check_all(entries: Iterable[Entry], policy: AddressPolicy) -> list[Finding]:
    return await asyncio.gather(*(_check(entry, policy) for entry in entries))


async def _check(entry: Entry, policy: AddressPolicy) -> Finding:
    upstream = entry.upstream
    name = f"{upstream.name} ({upstream.source}, {upstream.address})"
    held_back = _not_asked(entry)
    if held_back is not None:
        grade, text = held_back
        return Finding(grade, "models", f"{name}: {text}")
    grade, text = _graded(entry, await _ask(upstream, policy))
    return Finding(grade, "models", f"{name}: {text}")


async def _ask(upstream: Upstream, policy: AddressPolicy) -> CheckResult:
    try:
        provider = make_provider(upstream, Limits(connect_sec=LIMIT_SEC), policy)
    except ChatplayError as error:
        return CheckResult(None, None, None, Problem(error.code, error.message, error.cure))
    try:
        return await check(provider, upstream, limit_sec=LIMIT_SEC)
    finally:
        await provider.aclose()


def _not_asked(entry: Entry) -> tuple[Grade, str] | None:
    upstream = entry.upstream
    if entry.problem is not None:
        return "fail", f"it cannot be used. {entry.problem} Change it on the Models page."
    if upstream.shadowed_by is not None:
        return "warn", f"hidden, because {upstream.shadowed_by} has one of this name. Rename one of the two."
    if not upstream.enabled:
        return "ok", "switched off"
    missing = missing_here(upstream)
    return ("fail", f"it is not asked. {missing}") if missing else None


def _graded(entry: Entry, result: CheckResult) -> tuple[Grade, str]:
    upstream, problem = entry.upstream, result.problem
    if problem is not None:
        return "fail", f"{_lower(problem.message)} {_cure(entry, problem)}"
    names = [model.name for model in result.models or ()]
    wanted = upstream.default_model
    if names and wanted is not None and wanted not in names:
        where = "OPENAI_CHAT_MODEL" if upstream.source == "environment" else "its default model"
        return "fail", f"it has no `{wanted}`. Set {where} to one of: {', '.join(names[:5])}"
    missing = [name for name in upstream.allowed_models if name not in names]
    if names and missing:
        return "warn", f"it does not list {', '.join(missing[:5])}, which {_are(missing)} allowed. Correct the list."
    if not names:
        return "warn", "it answers and lists no model. Load one there."
    count = f"{len(names):,} {'model' if len(names) == 1 else 'models'}"
    return "ok", f"answers in {result.latency_ms or 0:.0f} ms with {count}"


def _cure(entry: Entry, problem: Problem) -> str:
    """The cure in the terms of this terminal: which variable, which file."""
    if problem.code not in ("no_key", "key_refused"):
        return problem.cure
    if entry.upstream.source == "administrator" and entry.upstream.api_key_env is None:
        return "Set a valid key on the Models page."
    variable = entry.upstream.api_key_env
    if variable is None:
        return "Name the variable that holds its key in `api_key_env`, and set that one in the environment or in .env."
    return f"{'Correct' if entry.upstream.api_key else 'Set'} {variable} in the environment or in .env."


def _are(missing: list[str]) -> str:
    return "is" if len(missing) == 1 else "are"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]

"""What administrators do with model servers: look, add, change, switch off, remove, try, and have them asked now."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from chatplay.auth.person import Person
from chatplay.errors import BadInput, ChatplayError, Conflict, NotAllowed, NotFound
from chatplay.keybox import KeyBox
from chatplay.models.catalog import CatalogStatus, ModelCatalog
from chatplay.models.health import CheckResult, Problem, check
from chatplay.models.offers import Offer, find_offers
from chatplay.models.polling import HealthPoller
from chatplay.models.roster import Entry, Roster
from chatplay.providers.base import Provider
from chatplay.providers.entries import read_entry, settings_table
from chatplay.providers.registry import EngineType, ModelSettings, Upstream
from chatplay.store import Connection, Store
from db import health as health_rows
from db import upstreams as rows
from db.calibration import forget_calibrations
from db.health import Day
from db.upstreams import UpstreamRow

_log = logging.getLogger(__name__)
T = TypeVar("T")
# Not any variable of the machine: the key in it goes to an address that is typed in a browser.
_KEY_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*_API_KEY")
_MOST_KEY_CHARS = 4_000
_TEST_SEC = 10.0
_NOTICE_SEC = 2.0


@dataclass(frozen=True)
class UpstreamDraft:
    """What an administrator types. `api_key`: None keeps the stored one (if the address stays), "" forgets it."""

    name: str
    base_url: str = field(repr=False)
    api_key: str | None = field(default=None, repr=False)
    api_key_env: str | None = None
    engine_type: EngineType | None = None
    allowed_models: tuple[str, ...] = ()
    default_model: str | None = None
    enabled: bool = True
    settings: ModelSettings = field(default_factory=ModelSettings)
    per_model: dict[str, ModelSettings] = field(default_factory=dict)


class UpstreamService:
    """`actor` is the signed-in person who asks; anyone but an administrator gets NotAllowed. No method gives a
    key away: upstreams come without theirs.
    """

    def __init__(
        self,
        *,
        store: Store,
        roster: Roster,
        keybox: KeyBox,
        catalog: ModelCatalog,
        poller: HealthPoller,
        make: Callable[[Upstream], Provider],
        submit: Callable[[Coroutine[Any, Any, Any]], Future[Any]],
    ) -> None:
        self._store = store
        self._roster = roster
        self._keybox = keybox
        self._catalog = catalog
        self._poller = poller
        self._make = make
        self._submit = submit

    # ---- looking -------------------------------------------------------------------------------

    def list_upstreams(self, *, actor: Person) -> list[Entry]:
        """All of them in order of precedence, the disabled, hidden and unusable ones included."""
        _require_administrator(actor)
        with self._store.reading() as conn:
            entries = self._roster.list_entries(conn)
        return [replace(entry, upstream=replace(entry.upstream, api_key=None)) for entry in entries]

    def list_days(self) -> list[Day]:
        """The last 24 hours of every upstream: uptime, and the checks of the last hour for a sparkline."""
        with self._store.reading() as conn:
            return health_rows.list_days(conn)

    def list_offers(self, *, actor: Person) -> list[Offer]:
        """Model servers found on this machine that nobody has added yet."""
        _require_administrator(actor)
        known = [entry.upstream for entry in self.list_upstreams(actor=actor)]
        return self._run(find_offers(known=known), limit_sec=_TEST_SEC)

    def test_connection(self, *, actor: Person, draft: UpstreamDraft, upstream_id: int | None = None) -> CheckResult:
        """What a check of the draft finds now; nothing is stored. With the id of a stored one and no key in the
        draft its key is used, if the address is the same. Raises BadInput naming the field.
        """
        _require_administrator(actor)
        row = self._find_row(upstream_id)
        upstream = self._read(draft, row=row)
        result = self._run(_test(self._make(upstream), upstream), limit_sec=_TEST_SEC + 5)
        if result.problem is None or result.problem.code != "no_key":
            return result
        return replace(result, problem=_why_no_key(result.problem, draft, upstream, row))

    def refresh_now(self, *, actor: Person) -> CatalogStatus:
        """Has every upstream asked now, for all processes, and says how they are then."""
        _require_administrator(actor)
        self._run(_after(self._poller.watch_once(), self._poller.poll_once()), limit_sec=_TEST_SEC + 15)
        return self._catalog.status(actor.role)

    # ---- changing ------------------------------------------------------------------------------

    def add(self, *, actor: Person, draft: UpstreamDraft) -> int:
        """Its id. Raises BadInput naming the field, Conflict for a name that is taken."""
        _require_administrator(actor)
        upstream = self._read(draft, row=None)
        with self._store.transaction() as conn:
            self._check_name(conn, upstream.name, None)
            rows.forget_health(conn, name=upstream.name)
            added = rows.add_upstream(
                conn,
                **_values(upstream, draft),
                api_key_encrypted=self._locked(draft, upstream),
                updated_by=actor.username,
            )
        if added is None:
            raise _name_taken(upstream.name)
        self._notice()
        _log.info("%s added model server %s at %s", actor.username, upstream.name, _place(upstream))
        return added

    def edit(self, *, actor: Person, upstream_id: int, draft: UpstreamDraft) -> None:
        """As `add`. Another address forgets the stored key and what was learned of the old one."""
        _require_administrator(actor)
        with self._store.transaction() as conn:
            row = _got(rows.find_upstream(conn, upstream_id=upstream_id, for_update=True))
            upstream = self._read(draft, row=row)
            self._check_name(conn, upstream.name, upstream_id)
            values = _values(upstream, draft)
            moved = upstream.base_url != row.base_url
            if draft.api_key is not None or moved or draft.api_key_env:
                values["api_key_encrypted"] = self._locked(draft, upstream)
            if moved or draft.api_key is not None or upstream.name != row.name:
                rows.forget_health(conn, name=row.name)
                rows.forget_refused_params(conn, base_url=row.base_url)
                forget_calibrations(conn, upstream=row.name)
            rows.change_upstream(conn, upstream_id=upstream_id, **values, updated_by=actor.username)
        self._notice()
        _log.info("%s changed model server %s at %s", actor.username, upstream.name, _place(upstream))

    def set_enabled(self, *, actor: Person, upstream_id: int, enabled: bool) -> None:
        """Switch one off, with its models, or on again."""
        _require_administrator(actor)
        with self._store.transaction() as conn:
            row = _got(rows.find_upstream(conn, upstream_id=upstream_id, for_update=True))
            rows.change_upstream(conn, upstream_id=upstream_id, enabled=enabled, updated_by=actor.username)
        self._notice()
        _log.info("%s switched model server %s %s", actor.username, row.name, "on" if enabled else "off")

    def disable(self, *, actor: Person, upstream_id: int) -> None:
        self.set_enabled(actor=actor, upstream_id=upstream_id, enabled=False)

    def remove(self, *, actor: Person, upstream_id: int) -> None:
        """Its chats stay readable; nothing can be sent in them any more."""
        _require_administrator(actor)
        with self._store.transaction() as conn:
            row = _got(rows.find_upstream(conn, upstream_id=upstream_id, for_update=True))
            rows.forget_health(conn, name=row.name)
            forget_calibrations(conn, upstream=row.name)
            rows.remove_upstream(conn, upstream_id=upstream_id)
        self._notice()
        _log.info("%s removed model server %s", actor.username, row.name)

    # ---- inside --------------------------------------------------------------------------------

    def _read(self, draft: UpstreamDraft, *, row: UpstreamRow | None) -> Upstream:
        """The draft checked, with the key to use."""
        variable = (draft.api_key_env or "").strip() or None
        if variable and not _KEY_VARIABLE.fullmatch(variable):
            raise BadInput(
                "The variable's name must end in _API_KEY.",
                param="api_key_env",
                cure="Name it like LAB_API_KEY and set it in the environment or in .env.",
            )
        upstream = read_entry(_table(draft, variable), source="administrator", policy=self._roster.policy)
        key = _checked_key(draft.api_key)
        if key is None and variable is not None:
            key = self._roster.key_in(variable)
        elif key is None and draft.api_key is None and row is not None and row.base_url == upstream.base_url:
            key = self._roster.entry_of(row).upstream.api_key
        return replace(upstream, api_key=key)

    def _locked(self, draft: UpstreamDraft, upstream: Upstream) -> bytes | None:
        key = _checked_key(draft.api_key)
        return self._keybox.lock(key, base_url=upstream.address) if key else None

    def _check_name(self, conn: Connection, name: str, upstream_id: int | None) -> None:
        configured = self._roster.find_configured(name)
        if configured is not None:
            raise Conflict(
                f"The name `{name}` is taken by a model server of the {configured.source}."
                if configured.source == "environment"
                else f"The name `{name}` is taken by one in {configured.source}.",
                cure="Choose another name.",
            )
        if rows.name_is_taken(conn, name=name, except_id=upstream_id):
            raise _name_taken(name)

    def _notice(self) -> None:
        """This process acts on the change now, so that whoever made it sees it; the others do within a second."""
        with suppress(ChatplayError):
            self._run(self._poller.look_now(), limit_sec=_NOTICE_SEC)

    def _find_row(self, upstream_id: int | None) -> UpstreamRow | None:
        if upstream_id is None:
            return None
        with self._store.reading() as conn:
            return _got(rows.find_upstream(conn, upstream_id=upstream_id))

    def _run(self, work: Coroutine[Any, Any, T], *, limit_sec: float) -> T:
        future: Future[T] = self._submit(work)
        try:
            return future.result(timeout=limit_sec)
        except FutureTimeout:
            future.cancel()
            raise ChatplayError("The model servers took too long to ask.", cure="Try again in a moment.") from None


async def _test(provider: Provider, upstream: Upstream) -> CheckResult:
    try:
        return await check(provider, upstream, limit_sec=_TEST_SEC)
    finally:
        await provider.aclose()


async def _after(*steps: Coroutine[Any, Any, None]) -> None:
    for step in steps:
        await step


def _table(draft: UpstreamDraft, variable: str | None) -> dict[str, Any]:
    table = {
        "name": draft.name.strip(),
        "base_url": draft.base_url,
        "api_key_env": variable,
        "engine": draft.engine_type,
        "models": list(draft.allowed_models),
        "default_model": (draft.default_model or "").strip() or None,
        "enabled": draft.enabled,
        "model": {name: settings_table(settings) for name, settings in draft.per_model.items()},
        **settings_table(draft.settings),
    }
    return {name: value for name, value in table.items() if value is not None}


def _values(upstream: Upstream, draft: UpstreamDraft) -> dict[str, Any]:
    return {
        "name": upstream.name,
        "base_url": upstream.address,
        "api_key_env": upstream.api_key_env,
        "engine_type": upstream.engine_type,
        "allowed_models": list(upstream.allowed_models),
        "default_model": upstream.default_model,
        "enabled": upstream.enabled,
        "settings": settings_table(draft.settings),
        "per_model": {name: settings_table(settings) for name, settings in upstream.per_model.items()},
    }


def _checked_key(api_key: str | None) -> str | None:
    key = (api_key or "").strip()
    if not key.isascii() or not key.isprintable() or " " in key or len(key) > _MOST_KEY_CHARS:
        raise BadInput("The API key holds a character no key has.", param="api_key", cure="Copy the key again.")
    return key or None


def _why_no_key(found: Problem, draft: UpstreamDraft, upstream: Upstream, row: UpstreamRow | None) -> Problem:
    """Where the key should have come from, when it was given in a way that has none."""
    if upstream.api_key_env is not None:
        return replace(
            found,
            message=f"It asks for an API key, and the variable {upstream.api_key_env} is not set.",
            cure="Set it in the environment or in .env and start the app again, or type the key here.",
        )
    if draft.api_key is None and row is not None and row.api_key_encrypted is not None:
        return replace(
            found,
            message="It asks for an API key, and the stored one is for another address, so it is not sent here.",
            cure="Type the key again.",
        )
    return found


def _place(upstream: Upstream) -> str:
    return urlsplit(upstream.address).netloc


def _got(row: UpstreamRow | None) -> UpstreamRow:
    if row is None:
        raise NotFound("This model server does not exist any more.", cure="Reload the page to see which do.")
    return row


def _name_taken(name: str) -> Conflict:
    return Conflict(f"There is a model server called `{name}` already.", cure="Choose another name.")


def _require_administrator(actor: Person) -> None:
    if not actor.is_administrator:
        raise NotAllowed("Only administrators can do this.", cure="Ask one of them.")

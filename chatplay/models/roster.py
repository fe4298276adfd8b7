"""All upstreams there are, from the environment, models.toml and administrators, in the order of precedence."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from chatplay.errors import BadInput
from chatplay.keybox import KeyBox
from chatplay.models.health import missing_here
from chatplay.providers.entries import read_entry
from chatplay.providers.registry import MissingKey, Source, Upstream, key_in, with_key_from
from chatplay.providers.safety import AddressPolicy
from chatplay.store import Connection
from db import upstreams as rows
from db.upstreams import UpstreamRow

_log = logging.getLogger(__name__)
KeyState = Literal["none", "stored", "variable"] | MissingKey


@dataclass(frozen=True)
class Entry:
    """One upstream as administrators see it. `problem` says why a stored one cannot be used; it is not asked then."""

    upstream: Upstream
    key: KeyState
    updated_by: str | None = None
    problem: BadInput | None = None


class Roster:
    """`configured`: those of the environment, of models.toml and the built-in ones, the default first."""

    def __init__(
        self,
        configured: Iterable[Upstream],
        *,
        keybox: KeyBox,
        environ: Mapping[str, str],
        policy: AddressPolicy,
    ) -> None:
        found = tuple(configured)
        self._configured = tuple(upstream for upstream in found if upstream.source != "built in")
        self._built_in = tuple(upstream for upstream in found if upstream.source == "built in")
        self._keybox = keybox
        self._environ = environ
        self.policy = policy

    def load(self, conn: Connection) -> tuple[Upstream, ...]:
        """Every upstream that can be used, those a name clash hides included: see `list_effective`."""
        entries = self.list_entries(conn)
        for entry in entries:
            problem = entry.problem or missing_here(entry.upstream)
            if problem is not None:
                _log.warning("upstream %s cannot be used: %s", entry.upstream.name, problem)
        return tuple(entry.upstream for entry in entries if entry.problem is None)

    def list_entries(self, conn: Connection) -> list[Entry]:
        """All of them, built-in ones last; a hidden one says what hides it."""
        stored = [self.entry_of(row) for row in rows.list_upstreams(conn)]
        built_in = [Entry(upstream, "none") for upstream in self._built_in]
        return _marked([*self.list_configured(), *stored, *built_in])

    def list_configured(self) -> list[Entry]:
        """Those of the environment and of models.toml, which need no database."""
        return _marked([Entry(upstream, _key_state(upstream)) for upstream in self._configured])

    def find_configured(self, name: str) -> Upstream | None:
        """The upstream outside the database that has this name, whatever the case of its letters."""
        known = (*self._configured, *self._built_in)
        return next((upstream for upstream in known if upstream.name.lower() == name.lower()), None)

    def entry_of(self, row: UpstreamRow) -> Entry:
        """A stored one with its key."""
        try:
            upstream = read_entry(table_of(row), source="administrator", policy=self.policy)
        except BadInput as error:
            upstream = Upstream(row.name, "openai", base_url=row.base_url, source="administrator", id=row.id)
            return Entry(upstream, "none", row.updated_by, problem=error)
        upstream = replace(upstream, id=row.id)
        if row.api_key_encrypted is not None:
            key = self._keybox.find_key(row.api_key_encrypted, base_url=row.base_url)
            missing: MissingKey | None = None if key else "stored but unreadable"
            return Entry(replace(upstream, api_key=key, missing_key=missing), missing or "stored", row.updated_by)
        upstream = with_key_from(self._environ, upstream)
        return Entry(upstream, _key_state(upstream), row.updated_by)

    def key_in(self, variable: str | None) -> str | None:
        return key_in(self._environ, variable)


def _key_state(upstream: Upstream) -> KeyState:
    # OpenAI's own variable is named for every upstream of the environment, which may need no key.
    return upstream.missing_key or ("variable" if upstream.api_key else "none")


def table_of(row: UpstreamRow) -> dict[str, Any]:
    """A row as the registry reads it."""
    table = {
        "name": row.name,
        "base_url": row.base_url,
        "api_key_env": row.api_key_env,
        "engine": row.engine_type,
        "models": list(row.allowed_models),
        "default_model": row.default_model,
        "enabled": row.enabled,
        "model": row.per_model,
        **row.settings,
    }
    return {name: value for name, value in table.items() if value is not None}


def _marked(entries: list[Entry]) -> list[Entry]:
    first: dict[str, Source] = {}
    marked = []
    for entry in entries:
        name = entry.upstream.name.lower()
        marked.append(replace(entry, upstream=replace(entry.upstream, shadowed_by=first.get(name))))
        first.setdefault(name, entry.upstream.source)
    return marked

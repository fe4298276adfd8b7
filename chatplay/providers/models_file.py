"""Reads models.toml: the upstreams an operator writes down. An error names file, line, upstream, field and cure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chatplay.errors import BadInput, ConfigError
from chatplay.providers.entries import is_name, read_entry
from chatplay.providers.registry import Upstream, with_key_from
from chatplay.providers.safety import AddressPolicy

_LINE = re.compile(r"\(at line (\d+), column \d+\)")


def read_models_file(path: Path, *, environ: Mapping[str, str], policy: AddressPolicy) -> tuple[Upstream, ...]:
    """The upstreams in `path`, their keys taken from `environ`. Raises ConfigError."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            f"{path.name} cannot be read.",
            cure="Mend its permissions, save it as UTF-8, or correct CHATPLAY_MODELS_FILE.",
        ) from None
    try:
        return _upstreams(text, _parse(text), environ, policy)
    except _Wrong as error:
        place = f"{path.name}, line {error.line}" if error.line else path.name
        raise ConfigError(f"{place}: {error.what}", cure=error.cure) from None


class _Wrong(Exception):
    def __init__(self, what: str, cure: str, line: int | None) -> None:
        super().__init__(what)
        self.what, self.cure, self.line = what, cure, line


def _parse(text: str) -> list[Mapping[str, Any]]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        what = _LINE.sub("", str(error)).strip()
        raise _Wrong(
            f"{what}.", "Compare that line with models.example.toml.", int(found[1]) if found else None
        ) from None
    unknown = sorted(set(tables) - {"upstream"})
    entries = tables.get("upstream", [])
    if unknown or not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        cure = "Begin each model server with [[upstream]]; models.example.toml shows how."
        what = f"there is no `{unknown[0]}`." if unknown else "`upstream` is no list of tables."
        raise _Wrong(what, cure, _line_of(text, unknown[0] if unknown else "upstream", None))
    return entries


def _upstreams(
    text: str, tables: list[Mapping[str, Any]], environ: Mapping[str, str], policy: AddressPolicy
) -> tuple[Upstream, ...]:
    found: list[Upstream] = []
    for number, table in enumerate(tables):
        label = f"upstream `{table['name']}`" if is_name(table.get("name")) else f"upstream {number + 1}"
        try:
            upstream = read_entry(table, source="models.toml", policy=policy)
            _check_name(upstream, found)
            found.append(with_key_from(environ, upstream))
        except BadInput as error:
            raise _Wrong(f"{label}: {error.message}", error.cure, _line_of(text, error.param, number)) from None
    return tuple(found)


def _check_name(upstream: Upstream, before: list[Upstream]) -> None:
    if upstream.name.lower() in {other.name.lower() for other in before}:
        raise BadInput("The name is used twice.", param="name", cure="Give each model server its own name.")


def _line_of(text: str, field: str, entry: int | None) -> int | None:
    """The line `field` is set in, in the `entry`th [[upstream]]; that of the entry when it is not set there."""
    name = re.escape(field)
    sets_field = re.compile(rf"""\s*["']?{name}["']?\s*[=.]|\s*\[+.*\b{name}\b""")
    entry_line, entries = None, 0
    for number, line in enumerate(text.splitlines(), start=1):
        if re.match(r"\s*\[\[\s*upstream\s*\]\]", line):
            entry_line = number if entries == entry else entry_line
            entries += 1
        if entry in (None, entries - 1) and sets_field.match(line):
            return number
    return entry_line

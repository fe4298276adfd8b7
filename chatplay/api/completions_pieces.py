"""Puts what came in pieces together again: a message of the deltas of a stream, as OpenAI's clients do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chatplay.providers.base import COME_WHOLE, Json


def joined(pieces: Iterable[Json]) -> dict[str, Any]:
    """Texts and lists one after the other, items of lists with the same `index` as one; null says nothing."""
    found: dict[str, list[Any]] = {}
    for piece in pieces:
        for name, value in piece.items():
            if value is not None:
                found.setdefault(name, []).append(value)
    return {name: _one(name, values) for name, values in found.items()}


def _one(name: str, values: Sequence[Any]) -> Any:
    if name in COME_WHOLE:
        return values[0]
    if all(isinstance(value, list) for value in values):
        return _items([item for value in values for item in value])
    if len(values) == 1:
        return values[0]
    if all(isinstance(value, str) for value in values):
        return "".join(values)
    if all(isinstance(value, Mapping) for value in values):
        return joined(values)
    return values[-1]


def _items(pieces: Iterable[Any]) -> list[Any]:
    places: dict[tuple[str, int], list[Any]] = {}
    for number, piece in enumerate(pieces):
        index = piece.get("index") if isinstance(piece, Mapping) else None
        place = ("index", index) if isinstance(index, int) else ("number", number)
        places.setdefault(place, []).append(piece)
    return [_item(same) if kind == "index" else same[0] for (kind, _), same in places.items()]


def _item(pieces: Iterable[Json]) -> dict[str, Any]:
    """A whole message has no `index`: its items stand in their order."""
    return {name: value for name, value in joined(pieces).items() if name != "index"}

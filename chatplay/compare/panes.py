"""The panes of a comparison as they are changed: one at a time, while nobody else changes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

from chatplay import params as parameters
from chatplay.compare.runs import not_found, own, with_temperature
from chatplay.compare.values import Pane, pane_of
from chatplay.models.catalog import ModelInfo
from chatplay.params import Params
from chatplay.store import Connection, Store
from db import compare
from db.compare import PaneRow

_SAMPLE_TEMPERATURES = (0.2, 1.0)


@contextmanager
def changing(store: Store, user_id: int, comparison_id: UUID) -> Iterator[tuple[Connection, list[Pane]]]:
    """The person's panes, in a transaction in which nobody else changes them. Raises NotFound."""
    with store.transaction() as conn:
        own(conn, user_id, comparison_id, for_update=True)
        compare.update_comparison(conn, comparison_id=comparison_id)
        yield conn, [pane_of(row) for row in compare.list_panes(conn, comparison_id=comparison_id)]


def change_pane(store: Store, user_id: int, comparison_id: UUID, pane_id: UUID, change: Callable[[Pane], Pane]) -> None:
    """Puts what `change` makes of the pane in its place. Raises NotFound, and what `change` raises."""
    with changing(store, user_id, comparison_id) as (conn, panes):
        pane = pane_row(change(panes[place_of(panes, pane_id)]))
        compare.update_pane(
            conn, pane_id=pane.id, model_name=pane.model_name, upstream=pane.upstream, params=pane.params
        )


def replace_panes(conn: Connection, comparison_id: UUID, panes: Sequence[Pane]) -> None:
    """These instead of those there."""
    for old in compare.list_panes(conn, comparison_id=comparison_id):
        compare.remove_pane(conn, pane_id=old.id, comparison_id=comparison_id)
    for pane in panes:
        compare.insert_pane(conn, comparison_id=comparison_id, pane=pane_row(pane))


def sample_panes(info: ModelInfo) -> list[Pane]:
    """What a first comparison begins with: the model at two temperatures."""
    defaults: Mapping[str, Any] = info.request_defaults or {}
    params = parameters.from_json(defaults)
    return [
        Pane(uuid4(), place, info.name, info.upstream, with_temperature(params, temperature, info))
        for place, temperature in enumerate(_SAMPLE_TEMPERATURES)
    ]


def settings_of(pane: Pane) -> tuple[str, str, Params]:
    """What two panes are compared by, whichever ids and places they have."""
    return pane.model_name, pane.upstream, pane.params


def pane_row(pane: Pane) -> PaneRow:
    """As it is stored."""
    return PaneRow(pane.id, pane.position, pane.model_name, pane.upstream, parameters.to_json(pane.params))


def place_of(panes: Sequence[Pane], pane_id: UUID) -> int:
    """The place of the pane among them. Raises NotFound."""
    place = next((place for place, pane in enumerate(panes) if pane.id == pane_id), None)
    if place is None:
        raise not_found("pane")
    return place

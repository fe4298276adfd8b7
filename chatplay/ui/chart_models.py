"""How charts name models: by name, with the server where two servers have one of that name; the most used in a
colour each, all others in grey under one entry of the legend.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import altair as alt

from chatplay.ui import chart_style as style
from chatplay.usage.values import ModelKey, UsageRow

T = TypeVar("T")


def model_labels(keys: Iterable[ModelKey]) -> dict[ModelKey, str]:
    """The model's name; where two servers have one of that name, `name @ server`."""
    known = sorted(set(keys))
    names = [key.model for key in known]
    return {key: key.model if names.count(key.model) == 1 else f"{key.model} @ {key.upstream}" for key in known}


def relabel(rows: Sequence[UsageRow], known: Sequence[ModelKey] = ()) -> list[UsageRow]:
    """Rows of usage by model under the names that charts give models."""
    keys = [key_of(row) for row in rows]
    labels = model_labels([*known, *keys])
    return [replace(row, label=labels[key]) for row, key in zip(rows, keys, strict=True)]


def key_of(row: UsageRow) -> ModelKey:
    """The model of a row of usage by model."""
    upstream, _, model = row.key.partition("/")
    return ModelKey(upstream, model)


@dataclass(frozen=True)
class Looks:
    """Of one chart: what each model is called, and what the legend says, with its colour."""

    labels: Mapping[ModelKey, str]
    legend: Mapping[str, str]
    others: str

    def group(self, key: ModelKey) -> str:
        """The entry of the legend that the model belongs to."""
        return self.labels[key] if self.labels[key] in self.legend else self.others

    def named_last(self, rows: Iterable[tuple[ModelKey, T]]) -> list[T]:
        """In the order of drawing: what is in grey lies behind."""
        return [row for _, row in sorted(rows, key=lambda pair: self.group(pair[0]) != self.others)]

    def colour(self) -> alt.Color:
        """The colour channel of the field `group`."""
        scale = alt.Scale(domain=list(self.legend), range=list(self.legend.values()))
        return alt.Color("group:N", scale=scale, title=None, legend=style.top_legend(self.legend))

    def weight(self, chosen: alt.Parameter) -> dict[str, Any]:
        """Channels of lines: `chosen` by the legend stands out, and what has a colour before what is grey."""
        is_grey = alt.datum.group == self.others
        faded = alt.when(~chosen).then(alt.value(0.08))
        return {
            "strokeWidth": alt.StrokeWidthValue(**alt.condition(is_grey, alt.value(1), alt.value(2))),
            "opacity": alt.OpacityValue(**faded.when(is_grey).then(alt.value(0.45)).otherwise(alt.value(1.0))),
        }


@dataclass(frozen=True)
class Cast:
    """All models of a page, most used first, and those that a filter left (all: none): the same for all its charts."""

    known: tuple[ModelKey, ...] = ()
    chosen: tuple[ModelKey, ...] = ()

    def labels(self, drawn: Iterable[ModelKey]) -> dict[ModelKey, str]:
        return model_labels([*self.known, *drawn])

    def looks(self, drawn: Iterable[ModelKey]) -> Looks:
        """Of the chart in which `drawn` are. A model looks the same in each chart of the page."""
        present = set(drawn)
        everyone = [*self.known, *sorted(present - set(self.known))]
        labels = model_labels(everyone)
        named = [key for key in everyone if not self.chosen or key in self.chosen][: len(style.PALETTE)]
        by_label = _dealt([labels[key] for key in everyone], [labels[key] for key in named])
        legend = {labels[key]: by_label[labels[key]] for key in named if key in present}
        rest = sorted(labels[key] for key in present - set(named))
        others = rest[0] if len(rest) == 1 else f"{len(rest)} others"
        return Looks(labels, legend | ({others: style.NEUTRAL} if rest else {}), others)


def _dealt(everyone: Sequence[str], named: Sequence[str]) -> dict[str, str]:
    """A colour for each of `named`: the one it has when nothing is filtered; those that are grey then, which a filter
    left, take what the others of `named` leave.
    """
    fixed = style.colours(everyone[: len(style.PALETTE)])
    taken = {fixed[name] for name in named if name in fixed}
    free = iter(look for look in style.PALETTE if look not in taken)
    return {name: fixed.get(name) or next(free) for name in named}

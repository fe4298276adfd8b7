"""Counts made-up calls in whole weeks by numpy, for an empty database: what the roll-up would write, many times faster.

`db/usage_rollup.py` is what counts; a test holds this to it, row by row. Chats and settings of a call are told in
`db/schema/rollups.py`. A chat never crosses two days here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.schema.rollups import DIMENSIONS, FIGURE_SUMS, HISTOGRAMS, SUMS
from db.seed_calls import CallBatch
from db.seed_shapes import Floats, Ints
from db.usage_source import ALL_MODELS, BY_MODEL, BY_SOURCE, DAY, EVERYBODY, HOUR, ORGANISATION, PERSON, WEEK

ROLLUP_COLUMNS = (*DIMENSIONS, *SUMS, "finish_reasons", "error_classes", *HISTOGRAMS)
SETTINGS_COLUMNS = (
    *DIMENSIONS,
    "settings",
    "calls",
    "failed",
    *(f"{name}_{part}" for name in FIGURE_SUMS for part in ("n", "sum")),
)
CHAT_COLUMNS = ("session_id", "begun_at", "user_id", "organisation_id", "upstream", "model", "source")
WORDS = ("finish_reason", "error_class")
_KEY_BITS, _FIGURE_BITS = 20, 3
_RATIO = np.log(1.009 / 0.991)
_SIZES = 2 ** np.arange(5, 21)
_OF_CALLS = [
    (level, scope, shape)
    for level in (HOUR, DAY, WEEK)
    for scope in (EVERYBODY, ORGANISATION, PERSON)
    for shape in (ALL_MODELS, BY_MODEL, BY_SOURCE)
    if (scope, shape) != (PERSON, BY_MODEL)
]
_OF_SETTINGS = [(WEEK, PERSON, ALL_MODELS)] + [
    (level, scope, shape)
    for level in (DAY, WEEK)
    for scope in (EVERYBODY, ORGANISATION)
    for shape in (ALL_MODELS, BY_MODEL)
]


@dataclass(frozen=True)
class _Places:
    """The rows of one level, scope and shape: `of_call` is the row each call goes into."""

    heads: list[str]
    of_call: Ints

    def sums(self, values: NDArray[Any]) -> Floats:
        found: Floats = np.bincount(self.of_call, weights=values, minlength=len(self.heads)).astype(np.float64)
        return found


class WeekOfCalls:
    """All calls of one UTC week of one organisation."""

    def __init__(self, batches: Sequence[CallBatch], organisation_id: int) -> None:
        self._columns = {name: [v for b in batches for v in b.columns[name]] for name in batches[0].columns}
        self._organisation_id = organisation_id
        self._size = len(self._columns["model"])
        self._seconds = np.array([at[:19] for at in self._columns["created_at"]], "datetime64[s]").astype(np.int64)
        self._users = np.array(self._columns["user_id"], np.int64)
        self._figures = {name: self._floats(name) for name in FIGURE_SUMS}
        self._first_of_chat, self._answers = self._chats()
        self._sums = self._amounts()
        self._names = [self._named(shape) for shape in (ALL_MODELS, BY_MODEL, BY_SOURCE)]
        self._words = {name: _numbered([word or "" for word in self._columns[name]]) for name in WORDS}

    def rollups(self) -> Iterator[str]:
        """Lines of COPY for `usage_rollups`, in the order of ROLLUP_COLUMNS."""
        keys = self._keys()
        for place in _OF_CALLS:
            yield from self._rollups_of(self._places(*place), keys)

    def settings(self) -> Iterator[str]:
        """Lines of COPY for `usage_settings`, in the order of SETTINGS_COLUMNS."""
        texts, codes = _numbered([_settings(params) for params in self._columns["params"]])
        for place in _OF_SETTINGS:
            places = self._places(*place)
            spots, spot = np.unique(places.of_call * len(texts) + codes, return_inverse=True)
            heads = [f"{places.heads[one // len(texts)]}\t{texts[one % len(texts)]}" for one in spots.tolist()]
            yield from self._settings_of(_Places(heads, spot))

    def chats(self) -> Iterator[str]:
        """Lines of COPY for `usage_chats`, in the order of CHAT_COLUMNS."""
        names = ("session_id", "created_at", "user_id", "organisation_id", "upstream", "model", "source")
        columns = self._columns | {"organisation_id": [self._organisation_id] * self._size}
        for n in np.flatnonzero(self._first_of_chat).tolist():
            yield "\t".join(str(columns[name][n]) for name in names) + "\n"

    # ---- what the calls bring -------------------------------------------------------------------

    def _floats(self, name: str) -> Floats:
        return np.array([np.nan if value is None else value for value in self._columns[name]], np.float64)

    def _is(self, name: str, value: str) -> NDArray[np.bool_]:
        return np.array([found == value for found in self._columns[name]])

    def _chats(self) -> tuple[NDArray[np.bool_], Ints]:
        """Whether a call is the first of its chat, and how many answers that chat has, told at its first call."""
        first, answers = np.zeros(self._size, np.bool_), np.zeros(self._size, np.int64)
        began: dict[str, int] = {}
        for n, (chat, status) in enumerate(zip(self._columns["session_id"], self._columns["status"], strict=True)):
            if chat is not None:
                at = began.setdefault(chat, n)
                first[at] = True
                answers[at] += status == "complete"
        return first, answers

    def _amounts(self) -> dict[str, NDArray[Any]]:
        tokens = {name: self._floats(name) for name in ("prompt_tokens", "completion_tokens", "cached_tokens")}
        cost = self._figures["cost_usd"]
        unknown = np.isnan(tokens["prompt_tokens"]) | np.isnan(tokens["completion_tokens"])
        found: dict[str, NDArray[Any]] = {name: np.nan_to_num(values) for name, values in tokens.items()}
        found |= {word: self._is("status", word) for word in ("complete", "stopped", "failed", "interrupted")}
        return found | {
            "calls": np.ones(self._size),
            "fallbacks": np.array([reason is not None for reason in self._columns["fallback_reason"]]),
            "tokens_estimated": np.array([bool(flag) for flag in self._columns["tokens_estimated"]]),
            "tokens_unknown": unknown,
            "cost_usd": np.nan_to_num(cost),
            "cost_unknown": np.isnan(cost),
            "chats": self._first_of_chat,
            "chat_answers": self._answers,
        }

    def _keys(self) -> list[tuple[NDArray[np.bool_], Ints]]:
        """Of each of HISTOGRAMS: which calls have it, and the keys of those."""
        prompt, whole = self._floats("prompt_tokens"), self._floats("completion_tokens")
        sizes = {"ttft_by_size": prompt, "speed_by_size": prompt + whole}
        values = {"ttft_by_size": "ttft_ms", "speed_by_size": "tokens_per_second"}
        found = []
        for name in HISTOGRAMS:
            value = self._figures[values.get(name, name)]
            key = np.floor(np.log(np.clip(value, 1e-3, 1e9)) / _RATIO) + 400
            if name in sizes:
                key += np.where(np.isnan(sizes[name]), np.nan, np.digitize(sizes[name], _SIZES) << 12)
            known = ~np.isnan(key)
            found.append((known, key[known].astype(np.int64)))
        return found

    def _named(self, shape: int) -> tuple[list[str], Ints]:
        """Upstream, model and source as a roll-up row of the shape has them."""
        known = [self._columns[name] for name in ("upstream", "model", "source")[: (0, 2, 3)[shape]]]
        empty = [[""] * self._size] * (3 - len(known))
        return _numbered(["\t".join(row) for row in zip(*known, *empty, strict=True)])

    # ---- where they go --------------------------------------------------------------------------

    def _places(self, level: int, scope: int, shape: int) -> _Places:
        at = _floor(level, self._seconds)
        subject = self._users if scope == PERSON else np.full(self._size, self._organisation_id * scope)
        names, name = self._names[shape]
        users, user = np.unique(subject, return_inverse=True)
        times, time = np.unique(at, return_inverse=True)
        places, of_call = np.unique((user * len(times) + time) * len(names) + name, return_inverse=True)
        stamps = [datetime.fromtimestamp(one, UTC).isoformat() for one in times.tolist()]
        heads = []
        for place in places.tolist():
            rest, name_at = divmod(place, len(names))
            user_at, time_at = divmod(rest, len(times))
            heads.append(f"{level}\t{scope}\t{shape}\t{users[user_at]}\t{stamps[time_at]}\t{names[name_at]}")
        return _Places(heads, of_call)

    def _rollups_of(self, places: _Places, keys: list[tuple[NDArray[np.bool_], Ints]]) -> Iterator[str]:
        sums = [places.sums(self._sums[name]) for name in SUMS]
        columns = [
            values if name == "cost_usd" else values.astype(np.int64) for name, values in zip(SUMS, sums, strict=True)
        ]
        lists = [column.tolist() for column in columns]
        words = [self._occurring(places, name) for name in WORDS]
        histograms = _histograms(places, keys)
        for head, *row in zip(places.heads, *lists, *words, *histograms, strict=True):
            yield "\t".join((head, *map(str, row))) + "\n"

    def _occurring(self, places: _Places, name: str) -> list[str]:
        """How often each word occurs, as JSON, one a place."""
        found: list[list[str]] = [[] for _ in places.heads]
        words, codes = self._words[name]
        spots, counts = np.unique(places.of_call * len(words) + codes, return_counts=True)
        for spot, n in zip(spots.tolist(), counts.tolist(), strict=True):
            place, word = divmod(spot, len(words))
            if words[word]:
                found[place].append(f'"{words[word]}": {n}')
        return ["{" + ", ".join(one) + "}" for one in found]

    def _settings_of(self, places: _Places) -> Iterator[str]:
        failed = places.sums(self._sums["failed"]) + places.sums(self._sums["interrupted"])
        columns: list[NDArray[Any]] = [places.sums(self._sums["calls"]).astype(np.int64), failed.astype(np.int64)]
        for values in self._figures.values():
            columns.append(places.sums(~np.isnan(values)).astype(np.int64))
            columns.append(places.sums(np.nan_to_num(values)))
        for head, *row in zip(places.heads, *(column.tolist() for column in columns), strict=True):
            yield "\t".join((head, *map(str, row))) + "\n"


def _histograms(places: _Places, keys: list[tuple[NDArray[np.bool_], Ints]]) -> list[list[str]]:
    """One list a figure, in it one array literal a place."""
    packed = [
        (((places.of_call[known] << _FIGURE_BITS) + figure) << _KEY_BITS) + key
        for figure, (known, key) in enumerate(keys)
    ]
    cells, counts = np.unique(np.concatenate(packed), return_counts=True)
    found = [[r"\N"] * len(places.heads) for _ in keys]
    if not len(cells):
        return found
    owners, upto = cells >> _KEY_BITS, np.cumsum(counts)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(owners)) + 1))
    before = np.repeat(upto[starts] - counts[starts], np.diff(np.append(starts, len(cells))))
    entries = list(map(str, (((upto - before) << _KEY_BITS) + (cells & ((1 << _KEY_BITS) - 1))).tolist()))
    bounds = zip(starts.tolist(), [*starts[1:].tolist(), len(cells)], owners[starts].tolist(), strict=True)
    for start, end, owner in bounds:
        found[owner & ((1 << _FIGURE_BITS) - 1)][owner >> _FIGURE_BITS] = "{" + ",".join(entries[start:end]) + "}"
    return found


def _floor(level: int, seconds: Ints) -> Ints:
    """The beginning of the UTC hour, day or week; the first Monday of the epoch is its fifth day."""
    if level == HOUR:
        return seconds // 3_600 * 3_600
    monday = (4 if level == WEEK else 0) * 86_400
    length = (7 if level == WEEK else 1) * 86_400
    return (seconds - monday) // length * length + monday


def _numbered(texts: list[str]) -> tuple[list[str], Ints]:
    """Each different text once, and the number of each."""
    numbers: dict[str, int] = {}
    codes = np.array([numbers.setdefault(one, len(numbers)) for one in texts], np.int64)
    return list(numbers), codes


def _settings(params: str) -> str:
    return params.replace(', "seed": null', "")

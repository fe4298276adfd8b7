"""One day of made-up calls: chats whose prompts grow, comparisons, experiments, and what went wrong."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db import seed_shapes as shapes
from db.seed_shapes import MODELS, Floats, Ints, pick

COLUMNS = (
    "generation_id",
    "user_id",
    "session_id",
    "source",
    "provider",
    "upstream",
    "model",
    "params",
    "sent",
    "experiment_id",
    "status",
    "finish_reason",
    "error_class",
    "error_message",
    "streamed",
    "fallback_reason",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "tokens_estimated",
    "ttft_ms",
    "itl_p50_ms",
    "itl_p95_ms",
    "itl_max_ms",
    "gaps_ms",
    "queue_ms",
    "connect_ms",
    "duration_ms",
    "tokens_per_second",
    "end_to_end_tokens_per_second",
    "cost_usd",
    "request_id",
    "created_at",
    "ended_at",
)
_NULL = r"\N"
_CALLS_A_GROUP = {"chat": 4.6, "compare": 2.6, "experiment": 120.0}
_SOURCES = (*(name for name, _ in shapes.SOURCES), shapes.LAST_SOURCE)
_CUT_MS = 12_000  # what a failed call waits at most
_INCIDENT_DAY = 11  # of the month: from 10 to 12 o'clock the shared machine is overloaded
_INCIDENT_UPSTREAM = "demo-gpu-box"


@dataclass(frozen=True)
class CallBatch:
    """Columns of equal length, ready to be written; None is unknown."""

    columns: dict[str, Sequence[Any]]

    @property
    def generation_id(self) -> Sequence[str]:
        return self.columns["generation_id"]

    @property
    def created_at(self) -> Sequence[str]:
        return self.columns["created_at"]

    def lines(self) -> Iterator[str]:
        """Rows of COPY's text format, in the order of COLUMNS."""
        for row in zip(*(self.columns[name] for name in COLUMNS), strict=True):
            yield "\t".join(_NULL if value is None else str(value) for value in row)


@dataclass
class _Draw:
    """One array an attribute, one place a call."""

    user: Ints
    model: Ints
    source: NDArray[np.str_]
    group: Ints
    turn: Ints
    at_sec: Floats


def make_calls(
    rng: np.random.Generator, *, day: datetime, until: datetime, size: int, people: Sequence[int], gaps: bool
) -> CallBatch:
    """`size` calls of one UTC day, ordered by time, none after `until`. `gaps`: with the gap before each token."""
    draw = _draw(rng, day, min((until - day) / timedelta(seconds=1), 86_399.0), size, people)
    order = np.argsort(draw.at_sec, kind="stable")
    draw = _Draw(*(getattr(draw, name)[order] for name in ("user", "model", "source", "group", "turn", "at_sec")))
    return _Figures(rng, draw, day, gaps).batch()


def _draw(rng: np.random.Generator, day: datetime, last_sec: float, size: int, people: Sequence[int]) -> _Draw:
    """Groups (a chat, a comparison, an experiment, a single call) until there are `size` calls."""
    shares = np.array([share for _, share in shapes.SOURCES] + [0.03])
    means = np.array([_CALLS_A_GROUP.get(name, 1.0) for name in _SOURCES])
    groups = max(int(size / (shares.sum() / (shares / means).sum()) * 1.3) + 8, 8)
    source = pick(rng, shares / means, groups)
    lengths = np.minimum(rng.geometric(1 / means[source]), 40 * means[source].astype(np.int64) + 1)
    keep = min(int(np.searchsorted(np.cumsum(lengths), size)) + 1, groups)
    owner, lengths = np.repeat(np.arange(keep), lengths[:keep])[:size], lengths[:keep]
    turn = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)[: len(owner)]
    weights = shapes.hour_weights(day.weekday())
    hour = pick(rng, weights * (np.arange(24) * 3600 < last_sec), keep)
    busy = 1 / np.arange(1, len(people) + 1) ** 0.55  # few people make many calls
    person = np.asarray(people)[pick(rng, busy, keep)]
    model = pick(rng, np.array([shape.weight for shape in MODELS]), keep)
    kind = np.array(_SOURCES)[source][owner]
    other = (model[owner] + turn) % len(MODELS)
    pause = np.where(kind == "chat", rng.lognormal(4.3, 0.8, len(owner)), 0.05) * turn
    at_sec = (hour * 3600.0 + rng.random(keep) * 3600)[owner] + pause
    at_sec = np.where(at_sec < last_sec, at_sec, rng.random(len(owner)) * last_sec)
    return _Draw(person[owner], np.where(kind == "compare", other, model[owner]), kind, owner, turn, at_sec)


class _Figures:
    """What the drawn calls measured."""

    def __init__(self, rng: np.random.Generator, draw: _Draw, day: datetime, gaps: bool) -> None:
        self.rng, self.draw, self.day, self.gaps = rng, draw, day, gaps
        self.size = len(draw.at_sec)
        self.incident = (day.day == _INCIDENT_DAY) & (draw.at_sec >= 36_000) & (draw.at_sec < 43_200)
        self.incident &= self._shape("upstream") == _INCIDENT_UPSTREAM

    def batch(self) -> CallBatch:
        columns = self._settings() | self._outcome() | self._ids()
        columns |= self._tokens(columns)
        columns |= self._times(columns)
        columns |= self._costs(columns) | self._texts(columns)
        return CallBatch({name: _listed(columns[name]) for name in COLUMNS})

    def _shape(self, name: str) -> NDArray[Any]:
        return np.array([getattr(shape, name) for shape in MODELS])[self.draw.model]

    def _settings(self) -> dict[str, Any]:
        rng, size = self.rng, self.size
        return {
            "temperature": shapes.TEMPERATURES[pick(rng, shapes.TEMPERATURE_SHARES, size)],
            "top_p": shapes.TOP_PS[pick(rng, shapes.TOP_P_SHARES, size)],
            "max_tokens": shapes.MAX_TOKENS[pick(rng, shapes.MAX_TOKENS_SHARES, size)],
        }

    def _outcome(self) -> dict[str, Any]:
        rng, size = self.rng, self.size
        failed = rng.random(size) < self._shape("error_rate") * np.where(self.incident, 14, 1)
        stopped = ~failed & (rng.random(size) < 0.02) & (self.draw.source == "chat")
        fell_back = ~failed & (rng.random(size) < self._shape("fallback_rate") * np.where(self.incident, 4, 1))
        return {"failed": failed, "stopped": stopped, "fell_back": fell_back}

    def _ids(self) -> dict[str, Any]:
        calls = _uuids(self.rng, self.size)
        groups = _uuids(self.rng, int(self.draw.group.max(initial=-1)) + 1)
        own = [groups[number] for number in self.draw.group.tolist()]
        chat, trial = self.draw.source == "chat", self.draw.source == "experiment"
        return {
            "generation_id": calls,
            "session_id": [one if is_chat else None for one, is_chat in zip(own, chat.tolist(), strict=True)],
            "experiment_id": [one if is_trial else None for one, is_trial in zip(own, trial.tolist(), strict=True)],
            "user_id": self.draw.user,
        }

    def _tokens(self, known: dict[str, Any]) -> dict[str, Any]:
        rng, size = self.rng, self.size
        answer = rng.lognormal(5.25, 0.75, size) * (1 + 0.15 * known["temperature"])
        answer = np.where(known["stopped"], answer * rng.random(size), answer)
        completion = np.clip(np.rint(answer), 1, known["max_tokens"]).astype(np.int64)
        first = rng.lognormal(4.6, 1.1, size)
        prompt = np.clip(np.rint(first + np.minimum(self.draw.turn, 40) * 260), 4, 30_000).astype(np.int64)
        cut = (completion >= known["max_tokens"]) & ~known["stopped"] & ~known["failed"]
        return {"completion": completion, "prompt": prompt, "cut": cut}

    def _times(self, known: dict[str, Any]) -> dict[str, Any]:
        rng, size, failed = self.rng, self.size, known["failed"]
        slow = np.where(self.incident, 4.0, 1.0) * rng.lognormal(0, 1, size) ** self._shape("spread")
        ttft = (self._shape("ttft_ms") + self._shape("ttft_per_1k_ms") * known["prompt"] / 1000) * slow
        context = known["prompt"] + known["completion"]
        speed = self._shape("tokens_per_second") / (1 + context / 24_000) * rng.lognormal(0, 0.18, size)
        decode_sec = (known["completion"] - 1) / speed
        whole = known["fell_back"]
        ttft = np.where(whole, ttft + decode_sec * 1000, ttft)
        duration = np.where(failed, rng.uniform(80, _CUT_MS, size), ttft + np.where(whole, 0, decode_sec * 1000) + 3)
        rated = ~failed & ~whole & (known["completion"] > 1) & (decode_sec > 0.02)
        p50 = 1000 / speed
        gaps = self._gaps(known["completion"], p50, rated)
        between = p50 * 0.96, p50 * rng.uniform(1.5, 3.2, size), p50 * rng.uniform(4, 40, size)
        for place, line in enumerate(gaps):
            if line is not None:
                for figure, value in zip(between, np.quantile(line, (0.5, 0.95, 1)), strict=True):
                    figure[place] = value
        return {
            "ttft_ms": _where(~failed, ttft),
            "tokens_per_second": _where(rated, speed),
            "end_to_end_tokens_per_second": _where(~failed, known["completion"] / duration * 1000),
            "duration_ms": duration,
            "itl_p50_ms": _where(rated, between[0]),
            "itl_p95_ms": _where(rated, between[1]),
            "itl_max_ms": _where(rated, between[2]),
            "queue_ms": rng.exponential(1.5, size),
            "connect_ms": _where(~failed, rng.lognormal(1.0, 0.7, size)),
            "gaps_ms": [None if line is None else "{" + ",".join(f"{gap:.1f}" for gap in line) + "}" for line in gaps],
        }

    def _gaps(self, completion: Ints, p50: Floats, rated: NDArray[np.bool_]) -> list[Floats | None]:
        if not self.gaps:
            return [None] * self.size
        rng = self.rng

        def line(tokens: int, middle: float) -> Floats:
            drawn = rng.lognormal(0, 0.35, tokens - 1) * middle
            drawn[rng.random(tokens - 1) < 0.004] *= 25
            drawn *= middle * (tokens - 1) / drawn.sum()  # together they last as long as the call says
            return drawn

        rows = zip(completion.tolist(), p50.tolist(), rated.tolist(), strict=True)
        return [line(tokens, middle) if known else None for tokens, middle, known in rows]

    def _costs(self, known: dict[str, Any]) -> dict[str, Any]:
        prices = np.array([[np.nan if usd is None else usd for usd in (m.input_usd, m.output_usd)] for m in MODELS])
        paid, made = prices[self.draw.model].T
        cost = (known["prompt"] * paid + known["completion"] * made) / 1e6
        said = ~known["failed"]
        counted = self._shape("upstream") == "demo-laptop"  # its server reports no usage
        return {
            "cost_usd": _where(said & ~np.isnan(cost), cost),
            "prompt_tokens": _where(said, known["prompt"]),
            "completion_tokens": _where(said, known["completion"]),
            "cached_tokens": _where(said & ~counted, np.where(self.draw.turn > 0, known["prompt"] * 3 // 4, 0)),
            "tokens_estimated": _where(said, counted),
        }

    def _texts(self, known: dict[str, Any]) -> dict[str, Any]:
        failed, stopped, size = known["failed"].tolist(), known["stopped"].tolist(), self.size
        which = pick(self.rng, np.array([share for _, share, _ in shapes.ERRORS]), size).tolist()
        settings = zip(
            known["temperature"].tolist(), known["top_p"].tolist(), known["max_tokens"].tolist(), strict=True
        )
        params = [_params(*one) for one in settings]
        begun = [(self.day + timedelta(seconds=at)).isoformat() for at in self.draw.at_sec.tolist()]
        lasted = (self.draw.at_sec + np.asarray(known["duration_ms"], dtype=float) / 1000).tolist()
        return {
            "source": self.draw.source.tolist(),
            "provider": ["openai"] * size,
            "upstream": self._shape("upstream").tolist(),
            "model": self._shape("model").tolist(),
            "params": params,
            "sent": params if self.gaps else [None] * size,
            "status": ["failed" if f else "stopped" if s else "complete" for f, s in zip(failed, stopped, strict=True)],
            "finish_reason": [
                None if f or s else "length" if cut else "stop"
                for f, s, cut in zip(failed, stopped, known["cut"].tolist(), strict=True)
            ],
            "error_class": [shapes.ERRORS[n][0] if f else None for f, n in zip(failed, which, strict=True)],
            "error_message": [shapes.ERRORS[n][2] if f else None for f, n in zip(failed, which, strict=True)],
            "streamed": ["f" if back else "t" for back in known["fell_back"].tolist()],
            "fallback_reason": ["The stream broke off." if b else None for b in known["fell_back"].tolist()],
            "request_id": [f"req-{one[:12]}" for one in known["generation_id"]],
            "created_at": begun,
            "ended_at": [(self.day + timedelta(seconds=at)).isoformat() for at in lasted],
        }


@cache
def _params(temperature: float, top_p: float, max_tokens: int) -> str:
    return json.dumps({"temperature": temperature, "max_tokens": max_tokens, "top_p": top_p, "seed": None})


def _uuids(rng: np.random.Generator, size: int) -> list[str]:
    """Random ids (version 4) from the seed."""
    raw = rng.bytes(16 * size)
    return [str(uuid.UUID(bytes=raw[16 * n : 16 * n + 16], version=4)) for n in range(size)]


def _where(known: NDArray[np.bool_], values: NDArray[Any]) -> list[Any]:
    shown = np.round(values, 6).tolist() if values.dtype.kind == "f" else values.tolist()
    return [value if is_known else None for value, is_known in zip(shown, known.tolist(), strict=True)]


def _listed(values: Any) -> Sequence[Any]:
    return list(values.tolist() if isinstance(values, np.ndarray) else values)

"""What the end of a call means for its trial: done with scores, back to wait for another attempt, failed, cancelled.

Written in the transaction that ends the call, so a trial and its answer are never of two minds.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from uuid import UUID

from chatplay.experiments import judging, scoring
from chatplay.experiments.scoring import Rule, Scored
from chatplay.generation.values import AnswerMetrics, GenerationEnd
from chatplay.store import Connection
from db import trial_ends
from db.trial_ends import TrialCall, TrialEnd

_log = logging.getLogger(__name__)
_RETRYABLE = frozenset({"rate_limited", "provider_unreachable", "provider_silent", "stream_cut", "provider_bad_answer"})
MOST_INTERRUPTIONS = 10
_FIRST_PAUSE_SEC, _LONGEST_PAUSE_SEC = 1.0, 60.0
INTERRUPTED = TrialEnd("failed", error="The app ended again and again while this call ran.")
_UNKNOWN = Scored(None, None, "The rule could not be applied.")


@dataclass(frozen=True)
class Again:
    """The trial waits for another attempt, not before `pause_sec` from now."""

    pause_sec: float


class TrialKeeper:
    """The keeper of one call: `on_kept` is told whether the trial wants another attempt (else None)."""

    def __init__(
        self,
        *,
        trial_id: int,
        experiment_id: UUID,
        generation_id: UUID,
        attempt: int,
        reserved_usd: float | None,
        results: Callable[[GenerationEnd], TrialEnd],
        on_kept: Callable[[Again | None], None],
        draw: Callable[[], float],
    ) -> None:
        self._trial_id = trial_id
        self._experiment_id = experiment_id
        self._generation_id = generation_id
        self._attempt = attempt
        self._reserved_usd = reserved_usd
        self._results = results
        self._on_kept = on_kept
        self._draw = draw
        self._again: Again | None = None

    @property
    def place(self) -> str:
        return f"{self._experiment_id}/{self._trial_id:020}"

    @classmethod
    def write(cls, conn: Connection, kept: Sequence[tuple[TrialKeeper, GenerationEnd]]) -> None:
        for experiment_id, of_one in groupby(kept, key=lambda one: one[0]._experiment_id):
            cls._write_of_one(conn, experiment_id, list(of_one))

    @classmethod
    def _write_of_one(
        cls, conn: Connection, experiment_id: UUID, kept: Sequence[tuple[TrialKeeper, GenerationEnd]]
    ) -> None:
        counted = trial_ends.count_ends(
            conn,
            experiment_id=experiment_id,
            costs_usd=[end.metrics.cost_usd for _, end in kept],
            reserved_usd=sum(keeper._reserved_usd or 0.0 for keeper, _ in kept),
        )
        for keeper, end in kept:
            keeper._again = keeper._next_attempt(end, *counted) if counted is not None else None
        if counted is None:  # deleted while it ran
            return
        trial_ends.put_back(conn, calls=[keeper._call for keeper, _ in kept if keeper._again is not None])
        over = [(keeper, end) for keeper, end in kept if keeper._again is None]
        trial_ends.end_trials(conn, ends=[(keeper._call, keeper._results(end)) for keeper, end in over])

    @property
    def _call(self) -> TrialCall:
        return TrialCall(self._trial_id, self._generation_id)

    def kept(self) -> None:
        self._on_kept(self._again)

    def _next_attempt(self, end: GenerationEnd, state: str, max_attempts: int) -> Again | None:
        if state == "cancelled":
            return None
        if end.status == "interrupted":
            return Again(0.0) if self._attempt < MOST_INTERRUPTIONS else None
        if end.status != "failed" or end.metrics.error_code not in _RETRYABLE or self._attempt >= max_attempts:
            return None
        pause_sec = end.metrics.retry_after_sec
        if pause_sec is None:  # doubled each time, and drawn so that trials do not come back all at once
            pause_sec = _FIRST_PAUSE_SEC * 2 ** (self._attempt - 1) * (0.5 + self._draw())
        return Again(min(pause_sec, _LONGEST_PAUSE_SEC))


def trial_end(end: GenerationEnd, *, rules: Sequence[Rule], columns: Mapping[str, str]) -> TrialEnd:
    """An ended call as the end of a trial, scored by all rules."""
    if end.status != "complete":
        return _without_answer(end)
    metrics = end.metrics
    answer = scoring.Answer(end.content, metrics.ttft_ms, metrics.duration_ms, metrics.completion_tokens)
    by_rule = [_scored(rule, answer, columns) for rule in rules]
    score, passed = scoring.combine(by_rule)
    return _with_figures(metrics, end.content, score, passed, by_rule)


def judgement_end(end: GenerationEnd, *, pairs: bool, swapped: bool) -> TrialEnd:
    """An ended call of a judge: its verdict, the places of a swapped pair undone."""
    if end.status != "complete":
        return _without_answer(end)
    verdict = judging.read(end.content, pairs=pairs)
    known = verdict.score is not None or verdict.winner is not None
    kept = _with_figures(end.metrics, end.content, verdict.score, None, [Scored(verdict.score, None, verdict.reason)])
    winner = judging.unswapped(verdict.winner, swapped=swapped)
    error = None if known else "The judge's answer holds no verdict."
    return replace(kept, winner=winner, error=error)


def _without_answer(end: GenerationEnd) -> TrialEnd:
    if end.status == "failed":
        return TrialEnd("failed", cost_usd=end.metrics.cost_usd, error=end.metrics.error_message or "The call failed.")
    if end.status == "interrupted":
        return INTERRUPTED
    return TrialEnd("cancelled", cost_usd=end.metrics.cost_usd)


def _with_figures(
    metrics: AnswerMetrics, text: str, score: float | None, passed: bool | None, by_rule: Sequence[Scored]
) -> TrialEnd:
    return TrialEnd(
        "done",
        score=score,
        passed=passed,
        rule_scores=[asdict(scored) for scored in by_rule] or None,
        ttft_ms=metrics.ttft_ms,
        tokens_per_second=metrics.tokens_per_second,
        prompt_tokens=metrics.prompt_tokens,
        completion_tokens=metrics.completion_tokens,
        cost_usd=metrics.cost_usd,
        duration_ms=metrics.duration_ms,
        answer_hash=hash_of(text),
        finish_reason=metrics.finish_reason,
    )


def hash_of(text: str) -> int:
    """63 bits that are the same for the same text."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big") >> 1


def _scored(rule: Rule, answer: scoring.Answer, columns: Mapping[str, str]) -> Scored:
    try:
        return scoring.score_answer(rule, answer, columns=columns)
    except Exception:  # an answer must not get lost because a rule fails on it
        _log.exception("rule %s", rule.kind)
        return _UNKNOWN

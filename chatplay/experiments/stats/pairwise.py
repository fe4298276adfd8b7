"""Blind votes between pairs of answers, as strengths with intervals (Bradley-Terry, ties by Davidson)."""

from __future__ import annotations

from collections.abc import Sequence

from chatplay.experiments.stats.values import Ranking, Vote


def rank_votes(votes: Sequence[Vote], *, arms: int) -> Ranking:
    """Strengths of `arms` arms from `votes` (in any order). Says so where votes do not link all arms."""
    raise NotImplementedError

"""How far a judge model can be believed: beside scores by hand, and against itself with places swapped."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from chatplay.experiments.stats.values import JudgeAgreement, SwapConsistency, Winner


def compare_judge(*, judge: ArrayLike, hand: ArrayLike, case: ArrayLike) -> JudgeAgreement:
    """Agreement of two score columns (0..1, nan or None: not scored); `case` numbers cluster the intervals."""
    raise NotImplementedError


def check_swaps(pairs: Sequence[tuple[Winner, Winner]]) -> SwapConsistency:
    """Consistency of (verdict, verdict with the places swapped): each says which PLACE won, as the judge said."""
    raise NotImplementedError

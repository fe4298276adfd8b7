"""Blind votes between pairs of answers, as strengths with intervals (Bradley-Terry, ties by Davidson)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtri, stdtrit

from chatplay.experiments.stats.table import FloatArray, IntArray
from chatplay.experiments.stats.values import Ranking, Strength, Vote
from chatplay.experiments.stats.words import count

PRIOR_VOTES = 0.5
_Z = float(ndtri(0.975))
_STEPS = 100
_TOLERANCE = 1e-9
_ENOUGH_CASES = 10


def rank_votes(votes: Sequence[Vote], *, arms: int) -> Ranking:
    """Strengths of `arms` arms from `votes` (in any order). Says so where votes do not link all arms.

    The chances of (left, right, tie) are as s_l : s_r : nu sqrt(s_l s_r) (Bradley & Terry 1952, Biometrika 39,
    324; ties: Davidson 1970, JASA 65, 317). Every arm also gets half a win and half a loss against an imagined
    arm of average strength: an arm that won all its votes, or none, keeps a finite strength and an interval.
    Intervals are Wald's on the log scale; with votes on ten cases or more, from the sandwich that takes votes on
    the same case as alike, with t. Each group of arms that votes link is fitted alone. Ballots of an arm with itself
    are left out.
    """
    told = [vote for vote in votes if vote.left != vote.right]
    groups = _link(told, arms)
    fits = {group: _fit_group(told, members) for group, members in enumerate(groups)}
    strengths = [strength for group in fits for strength in _rank(told, groups[group], group, fits[group])]
    unvoted = tuple(arm for arm in range(arms) if not any(arm in members for members in groups))
    return Ranking(
        strengths=tuple(strengths),
        groups=len(groups),
        tie_strength=max((fit.tie_strength for fit in fits.values()), default=0.0),
        unvoted=unvoted,
        caveats=_caveats(groups, unvoted, strengths),
    )


@dataclass(frozen=True, eq=False)
class Fit:
    """Log strengths [arms] that sum to 0 with their covariance; Davidson's nu (0 without ties)."""

    log_strength: FloatArray
    covariance: FloatArray
    tie_strength: float
    reach: float  # how many standard errors an interval goes to either side


@dataclass(frozen=True, eq=False)
class _Ballots:
    """Votes as numbers: arms within the group, `won` 0 left, 1 right, 2 tie, and the vote's case (-1: none)."""

    left: IntArray
    right: IntArray
    won: IntArray
    case: IntArray
    arms: int


def fit_davidson(votes: Sequence[Vote], *, arms: int, prior_votes: float = PRIOR_VOTES) -> Fit:
    """Penalised maximum likelihood by Newton's method; `prior_votes` wins and as many losses for each arm.

    With `prior_votes` 0 it is plain maximum likelihood, which needs linked arms of which none won or lost all.
    """
    ballots = _count(votes, list(range(arms)))
    has_ties = bool((ballots.won == 2).any())
    theta: FloatArray = np.zeros(arms + 1)
    for _ in range(_STEPS):
        slope, curve = _slope(ballots, theta, prior_votes, has_ties)[:2]
        step: FloatArray = np.asarray(np.linalg.pinv(curve) @ slope, dtype=np.float64)
        theta += step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < _TOLERANCE:
            break
    _, curve, by_vote = _slope(ballots, theta, prior_votes, has_ties)
    centre = np.eye(arms) - 1 / arms
    error, reach = _covariance(ballots, curve, by_vote)
    covariance = centre @ error[:arms, :arms] @ centre
    return Fit(centre @ theta[:arms], covariance, float(np.exp(theta[arms])) if has_ties else 0.0, reach)


def _slope(
    ballots: _Ballots, theta: FloatArray, prior: float, has_ties: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gradient, negative Hessian of the penalised log-likelihood, and the gradient of each vote.

    A vote is a multinomial logit over three outcomes with the features e_left, e_right, (e_left + e_right) / 2 + tie.
    """
    arms, votes = ballots.arms, len(ballots.won)
    features = np.zeros((votes, 3, arms + 1))
    rows = np.arange(votes)
    features[rows, 0, ballots.left] = 1
    features[rows, 1, ballots.right] = 1
    features[rows, 2, ballots.left] = features[rows, 2, ballots.right] = 0.5
    features[:, 2, arms] = 1
    odds = features @ theta
    if not has_ties:
        odds[:, 2] = -np.inf
    chance = np.exp(odds - odds.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    expected = np.asarray(np.einsum("vo,vof->vf", chance, features))
    by_vote = features[rows, ballots.won] - expected
    curve = np.einsum("vo,vof,vog->fg", chance, features, features) - expected.T @ expected
    pulled = np.append(np.ones(arms), float(has_ties)) * prior
    against = expit(theta)
    slope = by_vote.sum(axis=0) + pulled * (1 - 2 * against)
    if not has_ties:
        slope[arms] = 0
    return slope, curve + np.diag(2 * pulled * against * (1 - against)), by_vote


def _covariance(ballots: _Ballots, curve: FloatArray, by_vote: FloatArray) -> tuple[FloatArray, float]:
    inverse: FloatArray = np.asarray(np.linalg.pinv(curve), dtype=np.float64)
    cases = np.unique(ballots.case)
    if cases.size < _ENOUGH_CASES or cases[0] < 0 or cases.size == len(ballots.case):
        return inverse, _Z
    sums = np.zeros((cases.size, by_vote.shape[1]))
    np.add.at(sums, np.searchsorted(cases, ballots.case), by_vote)
    sandwich = inverse @ (sums.T @ sums * cases.size / (cases.size - 1)) @ inverse
    return sandwich, float(stdtrit(cases.size - 1, 0.975))


def _count(votes: Sequence[Vote], members: list[int]) -> _Ballots:
    place = {arm: row for row, arm in enumerate(members)}
    outcome = {"left": 0, "right": 1, "tie": 2, "neither": 2}
    return _Ballots(
        left=np.array([place[vote.left] for vote in votes], dtype=np.int64),
        right=np.array([place[vote.right] for vote in votes], dtype=np.int64),
        won=np.array([outcome[vote.winner] for vote in votes], dtype=np.int64),
        case=np.array([-1 if vote.case is None else vote.case for vote in votes], dtype=np.int64),
        arms=len(members),
    )


def _fit_group(votes: Sequence[Vote], members: list[int]) -> Fit:
    place = {arm: row for row, arm in enumerate(members)}
    mine = [Vote(place[v.left], place[v.right], v.winner, v.case) for v in votes if v.left in place]
    return fit_davidson(mine, arms=len(members))


def _link(votes: Sequence[Vote], arms: int) -> list[list[int]]:
    """Groups of arms that votes connect, without arms that have no vote."""
    parent = list(range(arms))

    def root(arm: int) -> int:
        while parent[arm] != arm:
            arm = parent[arm]
        return arm

    for vote in votes:
        parent[root(vote.left)] = root(vote.right)
    groups: dict[int, list[int]] = {}
    for arm in sorted({arm for vote in votes for arm in (vote.left, vote.right)}):
        groups.setdefault(root(arm), []).append(arm)
    return list(groups.values())


def _rank(votes: Sequence[Vote], members: list[int], group: int, fit: Fit) -> list[Strength]:
    reaches = fit.reach * np.sqrt(np.diag(fit.covariance))
    order = np.argsort(-fit.log_strength, kind="stable")
    return [
        _strength(votes, members[row], group, rank + 1, float(fit.log_strength[row]), float(reaches[row]))
        for rank, row in enumerate(order)
    ]


def _strength(votes: Sequence[Vote], arm: int, group: int, rank: int, log_strength: float, reach: float) -> Strength:
    wins = sum((v.left == arm and v.winner == "left") or (v.right == arm and v.winner == "right") for v in votes)
    losses = sum((v.left == arm and v.winner == "right") or (v.right == arm and v.winner == "left") for v in votes)
    mine = sum(arm in (v.left, v.right) for v in votes)
    return Strength(
        arm=arm,
        group=group,
        rank=rank,
        log_strength=log_strength,
        win_chance=float(expit(log_strength)),
        low=float(expit(log_strength - reach)),
        high=float(expit(log_strength + reach)),
        votes=mine,
        wins=wins,
        ties=mine - wins - losses,
        losses=losses,
    )


def _caveats(groups: list[list[int]], unvoted: tuple[int, ...], strengths: list[Strength]) -> tuple[str, ...]:
    said = []
    if len(groups) > 1:
        said.append(
            f"The votes fall into {len(groups)} groups of arms that were never set against each other. Strengths hold "
            "within a group only; a vote between two groups links them."
        )
    if unvoted:
        said.append(f"{count(len(unvoted), 'arm')} without a vote.")
    one_sided = sum(strength.votes in (strength.wins, strength.losses) for strength in strengths)
    if one_sided:
        said.append(
            f"{count(one_sided, 'arm')} won all votes or none: how far ahead or behind rests on the half vote each "
            "way that every arm is given."
        )
    return tuple(said)

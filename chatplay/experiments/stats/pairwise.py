"""Votes between answers, as strengths with intervals: pairs (Bradley-Terry, ties by Davidson), and the best of several
(Luce, ties by Davidson and Luce), of which pairs are the smallest case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri, stdtrit

from chatplay.experiments.stats.table import FloatArray, IntArray
from chatplay.experiments.stats.values import Choice, Ranking, Strength, Vote
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
    arm of average strength: an arm that won all its votes, or none, keeps a finite strength and an interval. So does
    nu, by half a tie and half a vote without one, where there were ties.
    Intervals are Wald's on the log scale; with votes on ten cases or more, from the sandwich that takes votes on
    the same case as alike, with t, unless no case has two votes or some vote has no case. Each group of arms that
    votes link is fitted alone. Ballots of an arm with itself are left out.
    """
    return rank_choices(list(map(_choice, votes)), arms=arms)


def rank_choices(choices: Sequence[Choice], *, arms: int) -> Ranking:
    """As `rank_votes`, from votes for the best of any number of answers.

    The chances of the answers and of a tie of all are as s_1 : ... : s_k : nu_k (s_1 ... s_k)^(1/k) (Luce 1959,
    Individual Choice Behavior; ties: Firth, Kosmidis & Turner 2019, arXiv:1909.07123), with a nu for each number of
    answers.
    """
    told = [choice for choice in choices if len(set(choice.arms)) > 1]
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
    """Log strengths [arms] that sum to 0 with their covariance; Davidson's nu of pairs (0 without ties)."""

    log_strength: FloatArray
    covariance: FloatArray
    tie_strength: float
    reach: float  # how many standard errors an interval goes to either side


@dataclass(frozen=True, eq=False)
class _Ballots:
    """Votes as numbers. `answers` [votes, places] are arms within the group, -1 at places that a vote has not; `won` is
    the place that won, the last plus one for a tie; `size` [votes] says which of `sizes` numbers of answers a vote has;
    `has_ties` [sizes] of which there was a tie; `case` is -1 where there is none.
    """

    answers: IntArray
    won: IntArray
    size: IntArray
    sizes: IntArray
    has_ties: NDArray[np.bool_]
    case: IntArray
    arms: int


def fit_davidson(votes: Sequence[Vote], *, arms: int, prior_votes: float = PRIOR_VOTES) -> Fit:
    """`fit_choices` of pairs."""
    return fit_choices(list(map(_choice, votes)), arms=arms, prior_votes=prior_votes)


def fit_choices(choices: Sequence[Choice], *, arms: int, prior_votes: float = PRIOR_VOTES) -> Fit:
    """Penalised maximum likelihood by Newton's method; `prior_votes` wins and as many losses for each arm.

    With `prior_votes` 0 it is plain maximum likelihood, which needs linked arms of which none won or lost all.
    """
    ballots = _count(choices, list(range(arms)))
    theta: FloatArray = np.zeros(arms + len(ballots.sizes))
    for _ in range(_STEPS):
        slope, curve = _slope(ballots, theta, prior_votes)[:2]
        step: FloatArray = np.asarray(np.linalg.pinv(curve) @ slope, dtype=np.float64)
        theta += step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < _TOLERANCE:
            break
    _, curve, by_vote = _slope(ballots, theta, prior_votes)
    centre = np.eye(arms) - 1 / arms
    error, reach = _covariance(ballots, curve, by_vote)
    covariance = centre @ error[:arms, :arms] @ centre
    ties = np.exp(theta[arms:][(ballots.sizes == 2) & ballots.has_ties])
    return Fit(centre @ theta[:arms], covariance, float(ties.sum()), reach)


def _slope(ballots: _Ballots, theta: FloatArray, prior: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gradient, negative Hessian of the penalised log-likelihood, and the gradient of each vote.

    A vote is a multinomial logit: the outcome that an answer wins has the feature e_arm, a tie the mean of those of all
    its answers plus that of its tie.
    """
    arms, (votes, places) = ballots.arms, ballots.answers.shape
    features = np.zeros((votes, places + 1, len(theta)))
    rows = np.arange(votes)
    there = ballots.answers >= 0
    for place in range(places):
        mine = rows[there[:, place]]
        arm = ballots.answers[mine, place]
        features[mine, place, arm] = 1
        features[mine, places, arm] += 1 / ballots.sizes[ballots.size[mine]]
    features[rows, places, arms + ballots.size] = 1
    odds = features @ theta
    odds[:, :places][~there] = -np.inf
    odds[~ballots.has_ties[ballots.size], places] = -np.inf
    chance = np.exp(odds - odds.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    expected = np.asarray(np.einsum("vo,vof->vf", chance, features))
    by_vote = features[rows, ballots.won] - expected
    curve = np.einsum("vo,vof,vog->fg", chance, features, features) - expected.T @ expected
    pulled = np.append(np.ones(arms), ballots.has_ties.astype(np.float64)) * prior
    against = expit(theta)
    slope = by_vote.sum(axis=0) + pulled * (1 - 2 * against)
    slope[arms:][~ballots.has_ties] = 0
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


def _choice(vote: Vote) -> Choice:
    places = {"left": 0, "right": 1, "tie": None, "neither": None}
    return Choice((vote.left, vote.right), places[vote.winner], vote.case)


def _count(choices: Sequence[Choice], members: list[int]) -> _Ballots:
    row_of = {arm: row for row, arm in enumerate(members)}
    places = max((len(choice.arms) for choice in choices), default=0)
    rows = [[row_of[arm] for arm in choice.arms] + [-1] * (places - len(choice.arms)) for choice in choices]
    sizes, size = np.unique([len(choice.arms) for choice in choices], return_inverse=True)
    won = np.array([places if one.winner is None else one.winner for one in choices], dtype=np.int64)
    return _Ballots(
        answers=np.array(rows, dtype=np.int64).reshape(len(choices), places),
        won=won,
        size=size.astype(np.int64),
        sizes=sizes.astype(np.int64),
        has_ties=np.isin(np.arange(len(sizes)), size[won == places]),
        case=np.array([-1 if one.case is None else one.case for one in choices], dtype=np.int64),
        arms=len(members),
    )


def _fit_group(choices: Sequence[Choice], members: list[int]) -> Fit:
    row_of = {arm: row for row, arm in enumerate(members)}
    mine = [
        Choice(tuple(row_of[arm] for arm in one.arms), one.winner, one.case) for one in choices if one.arms[0] in row_of
    ]
    return fit_choices(mine, arms=len(members))


def _link(choices: Sequence[Choice], arms: int) -> list[list[int]]:
    """Groups of arms that votes connect, without arms that have no vote."""
    parent = list(range(arms))

    def root(arm: int) -> int:
        while parent[arm] != arm:
            arm = parent[arm]
        return arm

    for choice in choices:
        for arm in choice.arms[1:]:
            parent[root(choice.arms[0])] = root(arm)
    groups: dict[int, list[int]] = {}
    for arm in sorted({arm for choice in choices for arm in choice.arms}):
        groups.setdefault(root(arm), []).append(arm)
    return list(groups.values())


def _rank(choices: Sequence[Choice], members: list[int], group: int, fit: Fit) -> list[Strength]:
    reaches = fit.reach * np.sqrt(np.diag(fit.covariance))
    order = np.argsort(-fit.log_strength, kind="stable")
    return [
        _strength(choices, members[row], group, rank + 1, float(fit.log_strength[row]), float(reaches[row]))
        for rank, row in enumerate(order)
    ]


def _strength(
    choices: Sequence[Choice], arm: int, group: int, rank: int, log_strength: float, reach: float
) -> Strength:
    mine = [choice for choice in choices if arm in choice.arms]
    decided = [choice.arms[choice.winner] for choice in mine if choice.winner is not None]
    wins = decided.count(arm)
    return Strength(
        arm=arm,
        group=group,
        rank=rank,
        log_strength=log_strength,
        win_chance=float(expit(log_strength)),
        low=float(expit(log_strength - reach)),
        high=float(expit(log_strength + reach)),
        votes=len(mine),
        wins=wins,
        ties=len(mine) - len(decided),
        losses=len(decided) - wins,
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

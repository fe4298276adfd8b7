"""Votes and judges, against published figures and statsmodels."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa

from chatplay.experiments.stats import check_swaps, compare_judge, rank_choices, rank_votes
from chatplay.experiments.stats.pairwise import fit_choices, fit_davidson
from chatplay.experiments.stats.values import Choice, Vote

# American League 1987 (Agresti, Categorical Data Analysis, 10.6): row's wins over column.
# Milwaukee, Detroit, Toronto, New York, Boston, Cleveland, Baltimore.
BASEBALL = (
    (0, 7, 9, 7, 7, 9, 11),
    (6, 0, 7, 5, 11, 9, 9),
    (4, 6, 0, 7, 7, 8, 12),
    (6, 8, 6, 0, 6, 7, 10),
    (6, 2, 6, 7, 0, 7, 12),
    (4, 4, 5, 6, 6, 0, 6),
    (2, 4, 1, 3, 1, 7, 0),
)


def season() -> list[Vote]:
    return [Vote(i, j, "left") for i, row in enumerate(BASEBALL) for j, wins in enumerate(row) for _ in range(wins)]


def test_strengths_are_those_published_for_baseball() -> None:
    fit = fit_davidson(season(), arms=7, prior_votes=0)
    assert fit.log_strength - fit.log_strength[6] == pytest.approx(
        [1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0], abs=1e-4
    )


def test_standard_errors_are_those_of_bradleyterry2() -> None:
    cov = fit_davidson(season(), arms=7, prior_votes=0).covariance
    beside_last = np.sqrt(np.diag(cov) + cov[6, 6] - 2 * cov[6])[:6]
    assert beside_last == pytest.approx([0.3433, 0.3396, 0.3367, 0.3359, 0.3339, 0.3319], abs=1e-4)


def test_two_arms_with_ties_have_davidsons_closed_form() -> None:
    votes = [Vote(0, 1, winner) for winner in ["left"] * 8 + ["right"] * 2 + ["tie"] * 5]
    fit = fit_davidson(votes, arms=2, prior_votes=0)
    assert fit.log_strength[0] - fit.log_strength[1] == pytest.approx(np.log(4))
    assert fit.tie_strength == pytest.approx(5 / np.sqrt(16))


def test_undefeated_arm_has_a_finite_strength() -> None:
    best = rank_votes([Vote(0, 1, "left")] * 5, arms=2)
    first = best.strengths[0]
    assert (first.arm, first.wins, first.losses) == (0, 5, 0)
    assert 0 < first.low < 0.5 < first.win_chance < first.high < 1
    assert "2 arms won all votes or none" in best.caveats[-1]


def test_unlinked_arms_are_ranked_in_their_groups() -> None:
    found = rank_votes([Vote(0, 1, "left"), Vote(3, 2, "right"), Vote(2, 3, "neither")], arms=5)
    assert [(one.arm, one.group, one.rank) for one in found.strengths] == [(0, 0, 1), (1, 0, 2), (2, 1, 1), (3, 1, 2)]
    assert "2 groups of arms" in found.caveats[0]
    assert found.unvoted == (4,)


def test_places_and_order_of_votes_do_not_matter() -> None:
    votes = season()[:120]
    turned = [Vote(vote.right, vote.left, "right") for vote in reversed(votes)]
    plain, mirrored = rank_votes(votes, arms=7), rank_votes(turned, arms=7)
    assert [one.win_chance for one in mirrored.strengths] == pytest.approx([one.win_chance for one in plain.strengths])


def test_relabelled_arms_permute_their_strengths() -> None:
    order = [3, 0, 6, 1, 5, 2, 4]
    renamed = [Vote(order[vote.left], order[vote.right], vote.winner) for vote in season()]
    plain, mixed = rank_votes(season(), arms=7), rank_votes(renamed, arms=7)
    assert [one.arm for one in mixed.strengths] == [order[one.arm] for one in plain.strengths]
    ends = [[(one.win_chance, one.low, one.high) for one in found.strengths] for found in (plain, mixed)]
    assert np.array(ends[1]) == pytest.approx(np.array(ends[0]))


def test_twice_the_votes_narrow_intervals_by_root_two() -> None:
    widths = []
    for votes in (season(), season() * 2):
        fit = fit_davidson(votes, arms=7, prior_votes=0)
        widths.append(np.sqrt(np.diag(fit.covariance)))
    assert widths[0] / widths[1] == pytest.approx([np.sqrt(2)] * 7, rel=1e-6)


def test_votes_on_one_case_count_as_alike() -> None:
    rng = np.random.default_rng(1)
    winners = ["left" if won else "right" for won in rng.random(20) < 0.6]
    single = [Vote(0, 1, winner, case) for case, winner in enumerate(winners)]
    often = [Vote(0, 1, winner, case) for case, winner in enumerate(winners) for _ in range(10)]
    widths = [found.high - found.low for found in (rank_votes(votes, arms=2).strengths[0] for votes in (single, often))]
    assert widths[1] == pytest.approx(widths[0], rel=0.15)


def test_no_votes_rank_nobody() -> None:
    assert rank_votes([], arms=3).unvoted == (0, 1, 2)


def test_best_of_three_has_luces_closed_form() -> None:
    choices = [Choice((0, 1, 2), winner) for winner in [0] * 6 + [1] * 3 + [2] + [None] * 4]
    fit = fit_choices(choices, arms=3, prior_votes=0)
    assert fit.log_strength - fit.log_strength[2] == pytest.approx(np.log([6, 3, 1]))
    observed = np.linalg.inv(np.diag([0.6, 0.3]) - np.outer([0.6, 0.3], [0.6, 0.3])) / 10
    cov = fit_choices(choices[:10], arms=3, prior_votes=0).covariance
    assert cov[0, 0] + cov[2, 2] - 2 * cov[0, 2] == pytest.approx(observed[0, 0])


def test_pairs_among_votes_on_several_answers_are_the_same_model() -> None:
    pairs = [Vote(0, 1, winner) for winner in ["left"] * 8 + ["right"] * 2 + ["tie"] * 5]
    told = [Choice((1, 0), {"left": 1, "right": 0}.get(vote.winner)) for vote in pairs]
    strengths = [rank_choices(told, arms=2).strengths, rank_votes(pairs, arms=2).strengths]
    by_choice, by_vote = ([(one.win_chance, one.low, one.high, one.wins) for one in found] for found in strengths)
    assert [value for one in by_choice for value in one] == pytest.approx([value for one in by_vote for value in one])
    alone = fit_davidson(pairs, arms=2, prior_votes=0)
    mixed = fit_choices([*told, Choice((0, 2, 1), 1), Choice((0, 2, 1), 0), Choice((0, 2, 1), 2)], arms=3)
    assert mixed.log_strength[0] - mixed.log_strength[1] < alone.log_strength[0] - alone.log_strength[1]


def test_arm_with_two_answers_in_a_vote_has_two_chances_to_win_it() -> None:
    choices = [Choice((0, 0, 1), winner) for winner in [0] * 3 + [1] * 3 + [2] * 3]
    fit = fit_choices(choices, arms=2, prior_votes=0)
    assert fit.log_strength == pytest.approx([0, 0], abs=1e-8)
    first = next(one for one in rank_choices(choices, arms=2).strengths if one.arm == 0)
    assert (first.votes, first.wins, first.losses) == (9, 6, 3)


def test_intervals_of_votes_on_several_answers_hold_the_truth_from_five_votes_on() -> None:
    rng, truth = np.random.default_rng(7), np.array([0.7, 0.0, -0.7])
    chances = np.append(np.exp(truth), 0.7)
    held = []
    for number in (5, 12):
        for _ in range(150):
            drawn = rng.choice(4, size=number, p=chances / chances.sum())
            found = fit_choices([Choice((0, 1, 2), None if won == 3 else int(won)) for won in drawn], arms=3)
            held.append(np.abs(found.log_strength - truth) <= found.reach * np.sqrt(np.diag(found.covariance)))
    assert np.mean(held) >= 0.94


def scores(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    hand = rng.integers(0, 5, 120) / 4
    return np.clip(hand + rng.integers(-1, 2, 120) / 4, 0, 1), hand, np.arange(120) // 4


def test_kappa_and_correlation_are_those_of_the_libraries() -> None:
    judge, hand, case = scores(1)
    counts = np.zeros((5, 5))
    np.add.at(counts, ((judge * 4).astype(int), (hand * 4).astype(int)), 1)
    found = compare_judge(judge=judge, hand=hand, case=case)
    assert found.kappa.value == pytest.approx(cohens_kappa(counts, wt="quadratic").kappa)
    assert found.correlation.value == pytest.approx(stats.spearmanr(judge, hand).statistic)
    assert found.weighted
    assert found.kappa.low < found.kappa.value < found.kappa.high


def test_unscored_answers_are_counted_not_compared() -> None:
    found = compare_judge(judge=[1.0, None, 0, 1], hand=[1.0, 1, None, 0], case=[0, 1, 2, 3])
    assert (found.pairs, found.same_share.unknown, found.same_share.value) == (2, 2, 0.5)
    assert found.bias.value == 0.5


def test_scores_all_alike_have_no_kappa() -> None:
    found = compare_judge(judge=[1.0] * 12, hand=[1.0] * 12, case=range(12))
    assert (found.kappa.value, found.correlation.value, found.same_share.value) == (None, None, 1)


def test_few_cases_say_nothing_of_a_judge_that_cannot_be() -> None:
    found = compare_judge(judge=[1.0, 0.5, 0, 1], hand=[0.0, 0, 0, 1], case=range(4))
    assert (found.bias.high, found.kappa.high) == (1, 1)
    assert -1 <= found.kappa.low < found.kappa.value


def test_judge_that_prefers_the_first_place_is_found_out() -> None:
    pairs = [("left", "right"), ("left", "left"), ("left", "left"), ("right", "right"), ("tie", "tie")]
    found = check_swaps(pairs)
    assert found.inconsistent_share.value == pytest.approx(3 / 5)
    assert found.first_place_share.value == pytest.approx(2 / 3)

"""The cells of the exported notebook: text and code that stand alone, outside this app.

They say the formulas of `stats` once more, in plain steps and one arm at a time; a test runs them and holds the
figures against those of the app.
"""

from __future__ import annotations

_LOAD = """
import numpy as np
import pandas as pd
from scipy import optimize, special, stats
from statsmodels.stats.multitest import multipletests

trials = pd.read_csv("trials.csv", encoding="utf-8-sig")
# Texts that a spreadsheet would take for a formula carry an apostrophe in front.
texts = trials.select_dtypes(["object", "string"]).columns
trials[texts] = trials[texts].apply(lambda cells: cells.str.replace(r"^'(?=[=+\\-@\\t\\r\\n＝＋－＠])", "", regex=True))
trials = trials[trials["state"].isin(["done", "failed"])]
trials["passed"] = trials["passed"].map({True: 1.0, False: 0.0, "true": 1.0, "false": 0.0})
METRICS = ["score", "passed", "ttft_ms", "tokens_per_second", "completion_tokens", "cost_usd", "duration_ms"]
trials[METRICS] = trials[METRICS].astype(float)
trials[["trial", "arm_label", "case", "repeat", "answer", *METRICS]].head()
"""

_CELLS_TEXT = """
## Cells

A cell is one arm on one case. Repeats of a case are alike, so only cases count as independent: every statistic below
starts from the mean of a cell's repeats, and a case with more repeats weighs no more than another.
"""

_CELLS = """
def cells(metric):
    \"\"\"Means, counts and sums of squared deviations, each a table arm x case; NaN where nothing is known.\"\"\"
    known = trials.dropna(subset=[metric])
    index, columns = range(len(ARMS)), range(CASES)
    groups = known.groupby(["arm", "case"])[metric]
    shape = lambda values: values.unstack("case").reindex(index=index, columns=columns).to_numpy(float)
    mean, count = shape(groups.mean()), np.nan_to_num(shape(groups.count()))
    squares = np.nan_to_num(shape(groups.apply(lambda values: ((values - values.mean()) ** 2).sum())))
    return mean, count, squares


def is_score(metric):
    return metric in ("score", "passed")


def is_binary(metric):
    return is_score(metric) and trials[metric].dropna().isin([0.0, 1.0]).all()
"""

_INTERVALS_TEXT = r"""
## Means with 95 % intervals

With $C$ cases, mean $m$ and variance $s^2$ of the case means, and $t$ the 97.5 % quantile of Student's t with $C - 1$
degrees of freedom (no interval below three cases):

- **Times, rates, tokens, cost** (positive, skewed; from five cases on): with $cv = s/m$ and skewness $g$, the error of
  $\log m$ is $e = cv\sqrt{(1 + 5cv^2/C)/C}$, and the interval is $m e^{-e t}$ to $m e^{e(t + d)}$, where
  $d = \max(0, \tfrac12 ((2g - 3cv)t^2 + g)/(6\sqrt C))$ (delta method; Hall 1992, J. R. Statist. Soc. B 54, 221).
  Otherwise $m \pm t\, s/\sqrt C$, cut at 0.
- **Scores and shares**: Wilson's interval (1927, JASA 22, 209) at the effective size $n = C\, m(1-m)/s^2$ (Korn &
  Graubard 1998, Survey Methodology 24, 193), with a quantile between the normal one and t.
"""

_INTERVALS = """
def moments(values):
    values = values[~np.isnan(values)]
    return values, len(values), values.mean() if len(values) else np.nan, values.var(ddof=1) if len(values) > 1 else 0.0


def t_interval(values):
    values, cases, mean, variance = moments(values)
    half = stats.t.ppf(0.975, max(cases - 1, 1)) * np.sqrt(variance / cases) if cases else np.nan
    return mean, mean - half, mean + half


def positive_interval(values):
    values, cases, mean, variance = moments(values)
    if cases < 5 or values.min() <= 0:
        mean, low, high = t_interval(values)
        return mean, max(low, 0.0) if cases and values.min() >= 0 else low, high
    cv, skew, t = np.sqrt(variance) / mean, stats.skew(values) if variance > 0 else 0.0, stats.t.ppf(0.975, cases - 1)
    error = cv * np.sqrt((1 + 5 * cv**2 / cases) / cases)
    shift = max(0.5 * ((2 * skew - 3 * cv) * t**2 + skew) / (6 * np.sqrt(cases)), 0)
    return mean, mean * np.exp(-error * t), mean * np.exp(error * (t + shift))


def share_interval(values, repeats=None):
    values, cases, mean, variance = moments(values)
    if not cases:
        return np.nan, np.nan, np.nan
    spread = max(mean * (1 - mean), 0)
    size = spread * cases / variance if variance > 1e-24 else cases
    size = max(min(size, cases * repeats) if repeats is not None else size, cases)
    t, z = stats.t.ppf(0.975, max(cases - 1, 1)), stats.norm.ppf(0.975)
    square = z**2 + (t**2 - z**2) * (1 - min(cases / size, 1))
    centre = (mean + square / (2 * size)) / (1 + square / size)
    half = np.sqrt(square * (spread / size + square / (4 * size**2))) / (1 + square / size)
    return mean, max(centre - half, 0), min(centre + half, 1)


def interval(metric, values, repeats):
    if is_score(metric):
        found = share_interval(values, repeats if is_binary(metric) else None)
    else:
        found = positive_interval(values)
    enough = (~np.isnan(values)).sum() >= 3
    return found if enough else (found[0], np.nan, np.nan)


rows = []
for metric in METRICS:
    mean, count, _ = cells(metric)
    for arm, label in enumerate(ARMS):
        used = count[arm] > 0
        repeats = count[arm].sum() / used.sum() if used.any() else np.nan
        value, low, high = interval(metric, mean[arm], repeats)
        rows.append([metric, arm, label, int(count[arm].sum()), int(used.sum()), value, low, high])
arms = pd.DataFrame(rows, columns=["metric", "arm", "label", "trials", "cases", "mean", "low", "high"])
arms
"""

_PASS_TEXT = r"""
## pass@k, pass^k and agreement between repeats

With $n$ answers to a case of which $c$ pass: pass@k $= 1 - \binom{n-c}{k}/\binom{n}{k}$ (Chen et al. 2021,
arXiv:2107.03374) and pass^k $= \binom{c}{k}/\binom{n}{k}$ (Yao et al. 2024, arXiv:2406.12045), averaged over cases.
Two repeats are alike with chance $\sum_g n_g(n_g-1)/(n(n-1))$ over the distinct answers $g$ (Simpson 1949).
"""

_PASS = """
def share_of_cases(values):
    found = share_interval(values)
    return found if len(values) >= 3 else (found[0], np.nan, np.nan)


passed, passed_count, _ = cells("passed")
rows = []
for arm, label in enumerate(ARMS):
    n, c = passed_count[arm], np.round(np.nan_to_num(passed[arm] * passed_count[arm]))
    for k in (1, 2, 3, 5, 10):
        use = n >= k
        if use.any():
            one = 1 - special.comb(n - c, k)[use] / special.comb(n, k)[use]
            every = special.comb(c, k)[use] / special.comb(n, k)[use]
            rows.append([arm, label, k, *share_of_cases(one), *share_of_cases(every)])
ends = lambda name: [name, f"{name}_low", f"{name}_high"]
pass_at = pd.DataFrame(rows, columns=["arm", "label", "k", *ends("at_least_one"), *ends("all_of_them")])

answered = trials.dropna(subset=["answer"])
sizes = answered.groupby(["arm", "case", "answer"]).size()
totals = answered.groupby(["arm", "case"]).size()
alike = (sizes * (sizes - 1)).groupby(["arm", "case"]).sum() / (totals * (totals - 1))
repeated = alike[totals > 1].groupby("arm")
rows = [[arm, ARMS[arm], *share_of_cases(shares.to_numpy())] for arm, shares in repeated]
agreement = pd.DataFrame(rows, columns=["arm", "label", "same_share", "low", "high"])
display(pass_at)
agreement
"""

_COMPARE_TEXT = r"""
## Each arm against the baseline

Paired by case: $d_i$ is the difference of the two arms' means on case $i$, over the cases both know. The interval is
$\bar d \pm t\, s_d/\sqrt C$, the p-value that of the paired t-test. Pass/fail values take in 0.1 pseudo-cases of each
$+1$ and $-1$ (after Agresti & Min 2005, Statistics in Medicine 24, 729). The p-values of one metric are adjusted after
Holm (1979, Scand. J. Statist. 6, 65): "better" or "worse" means an adjusted p below 5 %.
"""

_COMPARE = """
def difference(metric, arm):
    mean, count, _ = cells(metric)
    gaps = mean[arm] - mean[BASELINE]
    gaps, cases, value, variance = moments(gaps)
    if cases:
        used = lambda row: count[row].sum() / max((count[row] > 0).sum(), 1)
        repeats = 2 / (1 / used(arm) + 1 / used(BASELINE))
        values = trials[metric].dropna()
        if np.allclose(gaps, value, rtol=1e-12, atol=0):
            variance = 0.0
        if is_binary(metric):
            variance = (variance * (cases - 1) + 0.2 / repeats) / (cases - 1 + 0.2)
        elif is_score(metric) and values.between(0, 1).all() and variance == 0:
            variance = 0.2 / (cases - 1 + 0.2)
    if cases < 3:
        return value, np.nan, np.nan, np.nan, cases
    error = np.sqrt(variance / cases)
    half = stats.t.ppf(0.975, cases - 1) * error
    if error > 0:
        p = 2 * stats.t.sf(abs(value) / error, cases - 1)
    else:
        p = 1.0 if value == 0 else 2.0 ** (1 - cases)
    return value, value - half, value + half, p, cases


rows = [
    [metric, arm, ARMS[arm], *difference(metric, arm)]
    for metric in METRICS
    for arm in range(len(ARMS))
    if arm != BASELINE
]
comparisons = pd.DataFrame(rows, columns=["metric", "arm", "label", "difference", "low", "high", "p", "cases"])
comparisons["p_holm"] = np.nan
for metric, group in comparisons.dropna(subset=["p"]).groupby("metric"):
    comparisons.loc[group.index, "p_holm"] = multipletests(group["p"], method="holm")[1]
comparisons
"""

_VARIANCE_TEXT = r"""
## Which setting matters

Analysis of variance of the cell means, settings fixed and cases random, over the cases every arm has a value for.
Components come from expected mean squares (Searle, Casella & McCulloch 1992, Variance Components, ch. 4 and 5), so
noise does not inflate them; negative ones count as 0. An axis owns what only it explains among the settings.
"""

_VARIANCE = """
def span(names, used):
    columns = [np.ones((len(used), 1))]
    for name in names:
        levels = np.array([AXES[name][arm] for arm in used], dtype=object)
        columns.append((levels[:, None] == np.array(list(dict.fromkeys(AXES[name])), dtype=object)).astype(float))
    design = np.concatenate(columns, axis=1)
    rank = np.linalg.matrix_rank(design)
    basis = np.linalg.svd(design, full_matrices=False)[0][:, :rank]
    return basis @ basis.T, rank


def variance_shares(metric):
    mean, count, squares = cells(metric)
    used = np.flatnonzero((count > 0).any(axis=1))
    complete = np.flatnonzero((count[used] > 0).all(axis=0)) if len(used) else used
    a, c = len(used), len(complete)
    if a < 1 or c < 3:
        return {}
    mean, count, squares = (table[np.ix_(used, complete)] for table in (mean, count, squares))
    mean = mean - mean.mean()
    arm_means, case_means = mean.mean(axis=1), mean.mean(axis=0)
    by_case = a * (case_means**2).sum()
    rest = max(((mean**2).sum() - c * (arm_means**2).sum() - by_case) / ((a - 1) * (c - 1)), 0) if a > 1 else 0.0
    free = np.maximum(count - 1, 0).sum()
    chance = squares.sum() / free if free else 0.0
    shared = chance * (1 / count).mean()
    everything, rank = span(list(AXES), used)
    parts = {}
    for name in AXES:
        others, fewer = span([other for other in AXES if other != name], used)
        parts[name] = (arm_means @ (everything - others) @ arm_means - (rank - fewer) * rest / c) / a
    parts["settings together"] = ((arm_means**2).sum() - (a - 1) * rest / c) / a - sum(parts.values())
    parts["case"] = (by_case / (c - 1) - (rest if a > 1 else shared)) / a
    repeated = (count > 1).any()
    parts["case by setting"] = (rest - shared if a > 1 else 0.0) if repeated else 0.0
    parts["chance"] = chance if repeated else rest
    parts = {name: max(value, 0) for name, value in parts.items()}
    total = sum(parts.values())
    return {name: value / total if total else np.nan for name, value in parts.items()}


variance = pd.DataFrame({metric: variance_shares(metric) for metric in METRICS}).T
variance
"""

_FRONTIER_TEXT = """
## Quality against cost against latency

An arm is on the frontier when no other is at least as good in everything and better in something. The probability is
how often that holds in 2,000 bootstrap samples of cases, drawn whole (Davison & Hinkley 1997, 3.8); another seed moves
it by about a hundredth.
"""

_FRONTIER = """
def on_frontier(losses):
    \"\"\"Booleans [arms] from losses [objectives, arms].\"\"\"
    return np.array([
        not any((losses[:, other] <= losses[:, arm]).all() and (losses[:, other] < losses[:, arm]).any()
                for other in range(losses.shape[1]))
        for arm in range(losses.shape[1])
    ])


signs = {"score": -1.0, "cost_usd": 1.0, "duration_ms": 1.0}
tables = {metric: cells(metric)[0] for metric in signs}
objectives = [metric for metric, table in tables.items() if not np.isnan(table).all()]
frontier = pd.DataFrame(columns=["arm", "on_frontier", "probability"])
if objectives:
    losses = np.stack([signs[metric] * tables[metric] for metric in objectives])
    used = np.flatnonzero((~np.isnan(losses)).any(axis=2).all(axis=0))
    complete = np.flatnonzero((~np.isnan(losses[:, used])).all(axis=(0, 1)))
    losses = losses[:, used][:, :, complete]
    if len(complete):
        rng = np.random.default_rng(1)
        drawn = [
            on_frontier(np.round(losses[:, :, rng.integers(0, len(complete), len(complete))].mean(axis=2), 12))
            for _ in range(2000)
        ]
        frontier = pd.DataFrame({
            "arm": used,
            "on_frontier": on_frontier(losses.mean(axis=2)),
            "probability": np.mean(drawn, axis=0) if len(complete) > 1 else np.nan,
        })
frontier
"""

_VOTES_TEXT = r"""
## Votes on pairs

The chances of left, right and tie are as $s_l : s_r : \nu\sqrt{s_l s_r}$ (Bradley & Terry 1952, Biometrika 39, 324;
Davidson 1970, JASA 65, 317). Every arm also gets half a win and half a loss against an imagined arm of average
strength. Fitted here by maximising the likelihood over all arms with a vote.
"""

_VOTES = """
votes = pd.read_csv("votes.csv")
votes = votes[votes["left"] != votes["right"]]
strengths = pd.Series(dtype=float, name="win_chance")
if len(votes):
    members = sorted(set(votes["left"]) | set(votes["right"]))
    place = {arm: row for row, arm in enumerate(members)}
    left, right = votes["left"].map(place).to_numpy(), votes["right"].map(place).to_numpy()
    won = votes["winner"].map({"left": 0, "right": 1, "tie": 2, "neither": 2}).to_numpy()
    ties = (won == 2).any()

    def loss(theta):
        odds = np.stack([theta[left], theta[right], (theta[left] + theta[right]) / 2 + theta[-1]], axis=1)
        if not ties:
            odds[:, 2] = -np.inf
        voted = odds[np.arange(len(won)), won] - special.logsumexp(odds, axis=1)
        own = theta if ties else theta[:-1]
        prior = 0.5 * (special.log_expit(own) + special.log_expit(-own))
        return -(voted.sum() + prior.sum())

    theta = optimize.minimize(loss, np.zeros(len(members) + 1), method="BFGS", options={"gtol": 1e-8}).x[:-1]
    strengths = pd.Series(special.expit(theta - theta.mean()), index=[ARMS[arm] for arm in members], name="win_chance")
strengths
"""

CELLS: list[tuple[str, str]] = [
    ("code", _LOAD),
    ("markdown", _CELLS_TEXT),
    ("code", _CELLS),
    ("markdown", _INTERVALS_TEXT),
    ("code", _INTERVALS),
    ("markdown", _PASS_TEXT),
    ("code", _PASS),
    ("markdown", _COMPARE_TEXT),
    ("code", _COMPARE),
    ("markdown", _VARIANCE_TEXT),
    ("code", _VARIANCE),
    ("markdown", _FRONTIER_TEXT),
    ("code", _FRONTIER),
    ("markdown", _VOTES_TEXT),
    ("code", _VOTES),
]

"""The cells of the exported notebook about arms: loading, means, pass@k, agreement, differences to the baseline."""

from __future__ import annotations

_LOAD = """
import numpy as np
import pandas as pd
from IPython.display import display
from scipy import optimize, sparse, special, stats
from statsmodels.stats.multitest import multipletests

# Texts are texts, also where all of them look like numbers: 0.5 is another answer than 0.50, and 007 than 7.
TEXTS = {"arm_label", "state", "model", "upstream", "prompt", "stop", "system_prompt"}
TEXTS |= {"answer", "hand_notes", "finish_reason", "error"}
columns = pd.read_csv("trials.csv", encoding="utf-8-sig", nrows=0).columns
kinds = {name: str for name in columns if name in TEXTS or name.startswith("case.")}
# An answer may read "NA": only an empty cell is unknown.
trials = pd.read_csv("trials.csv", encoding="utf-8-sig", dtype=kinds, keep_default_na=False, na_values=[""])
# Texts that a spreadsheet would take for a formula carry an apostrophe in front.
texts = trials.select_dtypes(["object", "string"]).columns
trials[texts] = trials[texts].apply(lambda cells: cells.str.replace(r"^'(?=[=+\\-@\\t\\r\\n＝＋－＠])", "", regex=True))
trials = trials[trials["state"].isin(["done", "failed"])].copy()
trials.loc[trials["state"] == "done", "answer"] = trials["answer"].fillna("")
if SCORED_BY != "rules":  # people and judges score, they do not pass or fail
    trials["score"], trials["passed"] = trials["hand_score" if SCORED_BY == "hand" else f"{SCORED_BY}_score"], np.nan
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

answered = trials[trials["state"] == "done"]
sizes = answered.groupby(["arm", "case", "answer"], dropna=False).size()
totals = answered.groupby(["arm", "case"]).size()
alike = (sizes * (sizes - 1)).groupby(["arm", "case"]).sum() / (totals * (totals - 1))
distinct = sizes.groupby(["arm", "case"]).size()
rows = []
for arm, shares in alike[totals > 1].groupby("arm"):
    kinds = distinct[totals > 1].loc[arm].mean()
    rows.append([arm, ARMS[arm], *share_of_cases(shares.to_numpy()), kinds, int((shares == 1).sum())])
names = ["arm", "label", "same_share", "low", "high", "distinct_answers_mean", "all_same_cases"]
agreement = pd.DataFrame(rows, columns=names)
display(pass_at)
agreement
"""

_COMPARE_TEXT = r"""
## Each arm against the baseline

Paired by case: $d_i$ is the difference of the two arms' means on case $i$, over the cases both know. The interval is
$\bar d \pm t\, s_d/\sqrt C$, the p-value that of the paired t-test. Pass/fail values take in 0.1 pseudo-cases of each
$+1$ and $-1$ (after Agresti & Min 2005, Statistics in Medicine 24, 729). Scores lie in 0..1, so intervals of their
differences end at -1 and 1 (Mandelkern 2002, Statist. Sci. 17, 149). The p-values of one metric are adjusted after
Holm (1979, Scand. J. Statist. 6, 65): "better" or "worse" means an adjusted p below 5 %.

A bootstrap of the cases would be the other way: in simulations with a known truth its intervals held it in 81 to 94 %
with 10 to 20 cases, these in 94 to 96 %.

Where it can't be told yet: with $v$ the variance of the mean difference at which one this large shows in 4 of 5
experiments at the level Holm left for it, and $\sigma^2$ the variance between repeats of both arms, it takes
$\sigma^2/(C v - b)$ repeats of each case ($b$: what of the variance belongs to the cases; Snijders & Bosker 2012, 11.3)
or $C\,e^2/v$ cases.

Where all cases differ by the same amount, only their number tells: chance alone would turn all signs alike with
$p = 2^{1-C}$ (Fisher 1935, The Design of Experiments, 21), so with $m$ arms still open after Holm it takes
$1 + \log_2(m/0.05)$ cases. With fewer there is no interval, for one of no width would promise too much.
"""

_COMPARE = """
def difference(metric, arm):
    mean, count, _ = cells(metric)
    gaps = mean[arm] - mean[BASELINE]
    gaps, cases, value, variance = moments(gaps)
    values = trials[metric].dropna()
    if cases:
        used = lambda row: count[row].sum() / max((count[row] > 0).sum(), 1)
        repeats = 2 / (1 / used(arm) + 1 / used(BASELINE))
        if np.allclose(gaps, value, rtol=1e-12, atol=0):
            variance = 0.0
        if is_binary(metric):
            variance = (variance * (cases - 1) + 0.2 / repeats) / (cases - 1 + 0.2)
        elif is_score(metric) and values.between(0, 1).all() and variance == 0:
            variance = 0.2 / (cases - 1 + 0.2)
    if cases < 3:
        return value, np.nan, np.nan, np.nan, cases, np.nan
    error = np.sqrt(variance / cases)
    half = stats.t.ppf(0.975, cases - 1) * error
    if error > 0:
        p = 2 * stats.t.sf(abs(value) / error, cases - 1)
    else:
        p = 1.0 if value == 0 else 2.0 ** (1 - cases)
    low, high = value - half, value + half
    if is_score(metric) and values.between(0, 1).all():
        low, high = max(low, -1.0), min(high, 1.0)
    return value, low, high, p, cases, error


NAMES = ["metric", "arm", "label", "difference", "low", "high", "p", "cases", "error"]
rows = [
    [metric, arm, ARMS[arm], *difference(metric, arm)]
    for metric in METRICS
    for arm in range(len(ARMS))
    if arm != BASELINE
]
comparisons = pd.DataFrame(rows, columns=NAMES)
comparisons["p_holm"] = np.nan
for metric, group in comparisons.dropna(subset=["p"]).groupby("metric"):
    comparisons.loc[group.index, "p_holm"] = multipletests(group["p"], method="holm")[1]
is_open = comparisons["p_holm"] >= 0.05
open_arms = is_open.groupby(comparisons["metric"]).transform("sum")
is_alike = is_open & (comparisons["error"] == 0) & (comparisons["difference"] != 0)
comparisons.loc[is_alike, ["low", "high"]] = np.nan


def about(number):
    \"\"\"Rounded up to two digits: a plan is no more exact than that.\"\"\"
    whole = int(np.ceil(number))
    step = 10 ** max(len(str(whole)) - 2, 0)
    return -(-whole // step) * step


def more(row):
    \"\"\"How many more repeats, and how many more cases, would settle an open comparison; NaN: none, or too many.\"\"\"
    if np.isnan(row["p"]) or row["difference"] == 0 or row["p_holm"] < 0.05:
        return np.nan, np.nan
    if is_alike[row.name]:
        return np.nan, np.ceil(1 + np.log2(open_arms[row.name] / 0.05)) - row["cases"]
    factor = max(row["p_holm"] / row["p"] if 0 < row["p"] < 1 else 1.0, 1.0)
    critical = stats.t.ppf(1 - 0.025 / factor, row["cases"] - 1) + stats.norm.ppf(0.8)
    wanted, spread = (row["difference"] / critical) ** 2, row["error"] ** 2 * row["cases"]
    _, count, squares = cells(row["metric"])
    both, used = [int(row["arm"]), BASELINE], (count > 0).sum(axis=1)
    free = np.maximum(count - 1, 0).sum(axis=1)
    repeats, extra = np.nan, np.nan
    if (free[both] > 0).all():
        chance = (squares.sum(axis=1)[both] / free[both]).sum()
        now = 2 / sum(used[arm] / count[arm].sum() for arm in both)
        room = wanted * row["cases"] - max(spread - chance / now, 0)
        if room > 0 and chance / room <= 50:
            repeats = about(max(chance / room - now, 1))
    if spread / wanted <= max(1000, 20 * row["cases"]):
        extra = about(max(spread / wanted - row["cases"], 1))
    return repeats, extra


comparisons[["more_repeats", "more_cases"]] = [more(row) for _, row in comparisons.iterrows()]
comparisons
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
]

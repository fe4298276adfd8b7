"""The cells of the exported notebook about settings: shares of variance, means by level, the frontier."""

from __future__ import annotations

_VARIANCE_TEXT = r"""
## Which setting matters

Analysis of variance of the cell means, settings fixed and cases random, over the cases every arm has a value for.
Components come from expected mean squares (Searle, Casella & McCulloch 1992, Variance Components, ch. 4 and 5), so
noise does not inflate them; negative ones count as 0. An axis owns what only it explains among the settings.

Intervals: 1,000 bootstrap samples of whole cases (Davison & Hinkley 1997, 3.8), $t$ on the log odds of shares clear of
0, else percentiles, both widened by $\sqrt{C/(C-1)}$ (Hesterberg 2015, Am. Statistician 69, 371). The seed is the
app's, so that the samples are the same.
"""

_VARIANCE = """
SEED = 1


def samples(draws, cases):
    \"\"\"How often each case is drawn in each bootstrap sample [draws, cases].\"\"\"
    drawn = np.random.default_rng(SEED).integers(0, cases, size=(draws, cases))
    return np.array([np.bincount(row, minlength=cases) for row in drawn], dtype=float)


def span(names, used):
    columns = [np.ones((len(used), 1))]
    for name in names:
        levels = np.array([AXES[name][arm] for arm in used], dtype=object)
        columns.append((levels[:, None] == np.array(list(dict.fromkeys(AXES[name])), dtype=object)).astype(float))
    design = np.concatenate(columns, axis=1)
    rank = np.linalg.matrix_rank(design)
    basis = np.linalg.svd(design, full_matrices=False)[0][:, :rank]
    return basis @ basis.T, rank


def components(mean, count, squares, used, weights, noise):
    \"\"\"Variance components of each sample, by name. `noise`: how often the arms' noise is in their squares, once in
    the data and twice in a sample of them; `free`: a sample's squares are (C - 1) / C of the data's.\"\"\"
    a, c = mean.shape
    free = c - 1 if noise == 1 else (c - 1) ** 2 / c
    arm_means = weights @ mean.T / c
    grand = arm_means.mean(axis=1, keepdims=True)
    by_case = a * (weights @ mean.mean(axis=0) ** 2 - c * grand[:, 0] ** 2)
    within = weights @ (mean**2).sum(axis=0) - c * (arm_means**2).sum(axis=1)
    rest = np.maximum((within - by_case) / ((a - 1) * free), 0) if a > 1 else np.zeros(len(weights))
    repeats = weights @ np.maximum(count - 1, 0).sum(axis=0)
    chance = np.divide(weights @ squares.sum(axis=0), repeats, out=np.zeros(len(weights)), where=repeats > 0)
    shared, gaps, parts = chance * (1 / count).mean(), arm_means - grand, {}
    everything, rank = span(list(AXES), used)
    for name in AXES:
        others, fewer = span([other for other in AXES if other != name], used)
        owned = np.einsum("da,ab,db->d", gaps, everything - others, gaps)
        parts[name] = (owned - noise * (rank - fewer) * rest / c) / a
    together = ((gaps**2).sum(axis=1) - noise * (a - 1) * rest / c) / a
    parts["settings together"] = together - sum(parts.values())
    parts["case"] = (by_case / free - (rest if a > 1 else shared)) / a
    repeated = (count > 1).any()
    parts["case by setting"] = rest - shared if repeated and a > 1 else np.zeros(len(weights))
    parts["chance"] = chance if repeated else rest
    return {name: np.maximum(values, 0) for name, values in parts.items()}


def shares_of(parts):
    total = sum(parts.values())
    known = total > 0
    return {name: np.divide(part, total, out=np.full(len(part), np.nan), where=known) for name, part in parts.items()}


def hidden_parts(count, used):
    \"\"\"What these cells cannot tell: settings that never vary alone, what one repeat or one arm leaves mixed.\"\"\"
    rank = span(list(AXES), used)[1]
    own = {name: rank - span([other for other in AXES if other != name], used)[1] for name in AXES}
    hidden = {name for name, free in own.items() if not free}
    if sum(own.values()) == len(used) - 1:  # arms differ in nothing else, as with a single setting
        hidden.add("settings together")
    repeated, varied = (count > 1).any(), len(used) > 1
    if not (repeated and varied):
        hidden.add("case by setting")
    return hidden if repeated or varied else {*hidden, "case", "chance"}


def share_ends(point, drawn, cases):
    reach = np.sqrt(cases / (cases - 1)) * stats.t.ppf(0.025, cases - 1)
    if min(drawn.min(), point) > 0 and max(drawn.max(), point) < 1:
        half = -reach * special.logit(drawn).std()
        return special.expit(special.logit(point) - half), special.expit(special.logit(point) + half)
    return tuple(np.quantile(drawn, [stats.norm.cdf(reach), stats.norm.cdf(-reach)]))


rows = []
for metric in METRICS:
    mean, count, squares = cells(metric)
    used = np.flatnonzero((count > 0).any(axis=1))
    complete = np.flatnonzero((count[used] > 0).all(axis=0)) if len(used) else used
    if len(used) < 1 or len(complete) < 3:
        continue
    mean, count, squares = (table[np.ix_(used, complete)] for table in (mean, count, squares))
    mean, cases = mean - mean.mean(), len(complete)
    point = shares_of(components(mean, count, squares, used, np.ones((1, cases)), noise=1))
    drawn = shares_of(components(mean, count, squares, used, samples(1000, cases), noise=2))
    usable = ~np.isnan(np.stack(list(drawn.values()))).any(axis=0)
    hidden = hidden_parts(count, used)
    for name, share in point.items():
        ends = share_ends(share[0], drawn[name][usable], cases) if usable.any() else (np.nan, np.nan)
        rows.append([metric, name, *((np.nan,) * 3 if name in hidden else (share[0], *ends))])
variance = pd.DataFrame(rows, columns=["metric", "source", "share", "low", "high"])
variance
"""

_EFFECTS_TEXT = """
## The mean at each value, and of two settings together

A case's value is the mean over the arms of the level (or of both levels), so every arm counts the same; it counts when
all those arms have one there. Intervals as for arms (main effects: Box, Hunter & Hunter 2005, ch. 5).
"""

_EFFECTS = """
def pooled(metric, members):
    mean, count, _ = cells(metric)
    valued = [arm for arm in members if (count[arm] > 0).any()]
    if not valued:
        return 0, np.nan, np.nan, np.nan
    values = mean[valued].mean(axis=0)
    used = ~np.isnan(values)
    known = count[valued][:, used].sum()
    return int(known), *interval(metric, values, known / used.sum() if used.any() else np.nan)


def members_of(wanted):
    return [arm for arm in range(len(ARMS)) if all(AXES[name][arm] == level for name, level in wanted.items())]


rows, heat_rows, names = [], [], list(AXES)
for metric in METRICS:
    for name in names:
        for level in dict.fromkeys(AXES[name]):
            rows.append([metric, name, level, *pooled(metric, members_of({name: level}))])
    for one, other in [(one, other) for place, one in enumerate(names) for other in names[place + 1 :]]:
        for row in dict.fromkeys(AXES[one]):
            for column in dict.fromkeys(AXES[other]):
                if members := members_of({one: row, other: column}):
                    heat_rows.append([metric, one, other, row, column, *pooled(metric, members)])
ends = ["trials", "mean", "low", "high"]
effects = pd.DataFrame(rows, columns=["metric", "setting", "value", *ends])
heat = pd.DataFrame(heat_rows, columns=["metric", "rows", "columns", "row", "column", *ends])
display(effects)
heat
"""

_FRONTIER_TEXT = """
## Quality against cost against latency

An arm is on the frontier when no other is at least as good in everything and better in something. The probability is
how often that holds in 2,000 bootstrap samples of cases, drawn whole (Davison & Hinkley 1997, 3.8); the samples are the
app's.
"""

_FRONTIER = """
def on_frontier(losses):
    \"\"\"Booleans [draws, arms] from losses [objectives, draws, arms].\"\"\"
    mine, other = losses[..., :, None], losses[..., None, :]
    return ~((other <= mine).all(axis=0) & (other < mine).any(axis=0)).any(axis=-1)


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
        # Equal arms must stay equal: sums in another order differ in the last digits.
        scale = np.abs(losses).max(axis=(1, 2), keepdims=True)
        scaled = losses / np.where(scale > 0, scale, 1.0)
        weights = samples(2000, len(complete)) / len(complete)
        often = on_frontier(np.stack([np.round(weights @ one.T, 12) for one in scaled])).mean(axis=0)
        frontier = pd.DataFrame({
            "arm": used,
            "on_frontier": on_frontier(losses.mean(axis=2)[:, None])[0],
            "probability": often if len(complete) > 1 else np.nan,
        })
frontier
"""

CELLS: list[tuple[str, str]] = [
    ("markdown", _VARIANCE_TEXT),
    ("code", _VARIANCE),
    ("markdown", _EFFECTS_TEXT),
    ("code", _EFFECTS),
    ("markdown", _FRONTIER_TEXT),
    ("code", _FRONTIER),
]

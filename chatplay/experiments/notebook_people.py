"""The cells of the exported notebook about what people and judge models say: votes, judges beside hand scores."""

from __future__ import annotations

_VOTES_TEXT = r"""
## Votes on pairs

The chances of left, right and tie are as $s_l : s_r : \nu\sqrt{s_l s_r}$ (Bradley & Terry 1952, Biometrika 39, 324;
Davidson 1970, JASA 65, 317). Every arm also gets half a win and half a loss against an imagined arm of average
strength. Arms that votes link are fitted together by maximising the likelihood. Intervals are Wald's on the log scale;
with votes on ten cases or more, from the sandwich that takes votes on a case as alike, with $t$. `voter` is `people` or
the number of a judge model.
"""

_VOTES = """
def fit(left, right, won, case, arms):
    \"\"\"Log strengths of `arms` arms, and how far their intervals reach. `won`: 0 left, 1 right, 2 tie.\"\"\"
    rows, ties = np.arange(len(won)), (won == 2).any()
    features = np.zeros((len(won), 3, arms + 1))
    features[rows, 0, left] = features[rows, 1, right] = 1
    features[rows, 2, left] = features[rows, 2, right] = 0.5
    features[:, 2, arms] = 1
    prior = 0.5 * np.append(np.ones(arms), float(ties))

    def chances(theta):
        odds = features @ theta
        odds[:, 2] = odds[:, 2] if ties else -np.inf
        return special.softmax(odds, axis=1)

    def gradients(theta):
        return features[rows, won] - np.einsum("vo,vof->vf", chances(theta), features)

    def loss(theta):
        pull = prior * (special.log_expit(theta) + special.log_expit(-theta))
        return -(np.log(chances(theta)[rows, won]).sum() + pull.sum())

    def slope(theta):
        return -(gradients(theta).sum(axis=0) + prior * (1 - 2 * special.expit(theta))) * np.append(np.ones(arms), ties)

    theta = optimize.minimize(loss, np.zeros(arms + 1), jac=slope, method="BFGS", options={"gtol": 1e-9}).x
    chance, against = chances(theta), special.expit(theta)
    expected = np.einsum("vo,vof->vf", chance, features)
    curve = np.einsum("vo,vof,vog->fg", chance, features, features) - expected.T @ expected
    error = np.linalg.pinv(curve + np.diag(2 * prior * against * (1 - against)))
    reach, cases = stats.norm.ppf(0.975), np.unique(case)
    if len(cases) >= 10 and cases[0] >= 0 and len(cases) < len(case):
        sums = np.stack([gradients(theta)[case == one].sum(axis=0) for one in cases])
        error = error @ (sums.T @ sums * len(cases) / (len(cases) - 1)) @ error
        reach = stats.t.ppf(0.975, len(cases) - 1)
    centre = np.eye(arms) - 1 / arms
    spread = np.diag(centre @ error[:arms, :arms] @ centre)
    return centre @ theta[:arms], reach * np.sqrt(spread)


votes = pd.read_csv("votes.csv", dtype={"voter": str})
votes = votes[(votes["left"] != votes["right"]) & ~votes["voter"].isin([str(judge) for judge in WITHDRAWN])]
won = votes["winner"].map({"left": 0, "right": 1, "tie": 2, "neither": 2})
rows = []
for voter, mine in votes.groupby("voter"):
    links = sparse.coo_array((np.ones(len(mine)), (mine["left"], mine["right"])), shape=(len(ARMS), len(ARMS)))
    group_of = sparse.csgraph.connected_components(links, directed=False)[1]
    for group in np.unique(group_of[mine["left"]]):
        here = mine[group_of[mine["left"]] == group]
        members = sorted(set(here["left"]) | set(here["right"]))
        place = {arm: row for row, arm in enumerate(members)}
        left, right = here["left"].map(place).to_numpy(), here["right"].map(place).to_numpy()
        case = here["case"].fillna(-1).to_numpy(int)
        strength, reach = fit(left, right, won[here.index].to_numpy(int), case, len(members))
        for arm, row in place.items():
            wins = ((here["left"] == arm) & (here["winner"] == "left")).sum()
            wins += ((here["right"] == arm) & (here["winner"] == "right")).sum()
            ends = special.expit([strength[row], strength[row] - reach[row], strength[row] + reach[row]])
            of = ((here["left"] == arm) | (here["right"] == arm)).sum()
            rows.append([voter, group, arm, ARMS[arm], *ends, of, wins])
strengths = pd.DataFrame(rows, columns=["voter", "group", "arm", "label", "win_chance", "low", "high", "votes", "wins"])
strengths
"""

_JUDGES_TEXT = r"""
## Judges

Beside scores by hand of the same answers: the share with the same score, Cohen's kappa (1960; with quadratic weights
for three to seven steps, 1968), Spearman's rank correlation, and the judge's mean lead over the hand. Intervals of the
second and third come from the jackknife over cases with $t$ (Fleiss & Davies 1982), the correlation's on Fisher's z
scale; kappa and the lead lie in -1..1, and so do their intervals. Of judges of pairs: how often the verdict changed
when the places were swapped (Wilson 1927).
"""

_JUDGES = """
def jackknife(statistic, case, back=lambda value: value):
    \"\"\"`statistic` of a selection of rows; t over the error of leaving out each case (Efron & Tibshirani 1993).\"\"\"
    value, cases = statistic(np.ones(len(case), bool)), np.unique(case)
    if np.isnan(value) or len(cases) < 3:
        return back(value), np.nan, np.nan
    without = np.array([statistic(case != one) for one in cases])
    error = np.sqrt((len(cases) - 1) / len(cases) * ((without - without.mean()) ** 2).sum())
    half = stats.t.ppf(0.975, len(cases) - 1) * error
    return back(value), back(value - half), back(value + half)


def kappa(judge, hand, steps):
    gaps = (steps[:, None] - steps) ** 2
    table = np.array([[((judge == one) & (hand == other)).sum() for other in steps] for one in steps], float)
    expected = (gaps * np.outer(table.sum(axis=1), table.sum(axis=0))).sum() / table.sum()
    return 1 - (gaps * table).sum() / expected if expected > 0 else np.nan


def fisher_z(x, y):
    x, y = x - x.mean(), y - y.mean()
    size = np.sqrt((x**2).sum() * (y**2).sum())
    return np.arctanh(np.clip((x * y).sum() / size, -1 + 1e-12, 1 - 1e-12)) if size > 0 else np.nan


rows = []
for column in [name for name in trials.columns if name.startswith("judge_") and name.endswith("_score")]:
    if int(column.split("_")[1]) in WITHDRAWN:
        continue
    both = trials.dropna(subset=[column, "hand_score"])
    if not len(both):
        continue
    judge, hand, case = (both[name].to_numpy(float) for name in (column, "hand_score", "case"))
    steps = np.unique([judge, hand])
    by_case = lambda values: pd.Series(values).groupby(case).mean().to_numpy()
    same = share_interval(by_case((judge == hand).astype(float)))
    lead = np.clip(t_interval(by_case(judge - hand)), -1, 1)
    if len(np.unique(case)) < 3:
        same, lead = (same[0], np.nan, np.nan), (lead[0], np.nan, np.nan)
    if 2 <= len(steps) <= 7:
        kappas = np.clip(jackknife(lambda use: kappa(judge[use], hand[use], steps), case), -1, 1)
    else:
        kappas = (np.nan,) * 3
    x, y = stats.rankdata(judge), stats.rankdata(hand)
    correlation = jackknife(lambda use: fisher_z(x[use], y[use]), case, np.tanh)
    rows.append([column.split("_")[1], len(both), *same, *kappas, *correlation, *lead])
ends = lambda name: [name, f"{name}_low", f"{name}_high"]
names = ["judge", "pairs", *ends("same_share"), *ends("kappa"), *ends("correlation"), *ends("bias")]
judges = pd.DataFrame(rows, columns=names)


def share_of_pairs(marks):
    found = share_interval(np.array(marks, float), 1.0)
    return found if len(marks) >= 3 else (found[0], np.nan, np.nan)


swaps = pd.read_csv("swaps.csv", dtype=str)
swaps = swaps[~swaps["judge"].isin([str(judge) for judge in WITHDRAWN])]
mirror, rows = {"left": "right", "right": "left"}, []
for judge, mine in swaps.groupby("judge"):
    changed = mine["first"].map(lambda side: mirror.get(side, side)) != mine["swapped"]
    firsts = mine[changed & (mine["first"] == mine["swapped"])]["first"] == "left"
    rows.append([judge, len(mine), *share_of_pairs(changed), *share_of_pairs(firsts)])
swapped = pd.DataFrame(rows, columns=["judge", "pairs", *ends("inconsistent_share"), *ends("first_place_share")])
display(judges)
swapped
"""

CELLS: list[tuple[str, str]] = [
    ("markdown", _VOTES_TEXT),
    ("code", _VOTES),
    ("markdown", _JUDGES_TEXT),
    ("code", _JUDGES),
]

"""The exported notebook, executed: every figure of the Results tab comes out of the data again."""

import asyncio
import io
import json
import random
import zipfile
from dataclasses import replace

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

from chatplay.errors import ModelUnknown
from chatplay.experiments import export
from chatplay.experiments.scoring import Contains
from chatplay.experiments.stats import (
    check_swaps,
    compare_judge,
    compare_with_baseline,
    explain_variance,
    find_frontier,
    list_heat_cells,
    list_level_means,
    rank_votes,
    summarise_arms,
)
from chatplay.experiments.stats.values import METRICS
from chatplay.experiments.values import AxisText, CaseTable, JudgePlan
from chatplay.prices import Price
from chatplay.providers.base import Usage, last_user_text
from tests.db.experiment_rig import MODEL
from tests.db.experiment_rig import house as make_house

TABLES = [
    "arms",
    "pass_at",
    "agreement",
    "comparisons",
    "variance",
    "effects",
    "heat",
    "frontier",
    "strengths",
    "judges",
    "swapped",
]


@pytest.fixture
def house(database_url):
    with make_house(database_url, price=Price(1.0, 2.0)) as found:
        draw = random.Random(3)
        words = ["a", "b", "NA", ""]  # answers that a reader of tables might take for nothing
        found.answerer.answer = lambda request: f"{draw.choice(words)}{' word' * draw.randint(0, 3)}"
        yield found


def run(house):
    """Two axes, rules, scores by hand, votes of people and of a judge of pairs, a judge's scores."""
    draft = house.draft(cases=11, repeats=3, rules=(Contains("a"),))
    axes = (AxisText("temperature", "0, 0.5"), AxisText("top_p", "0.5, 1"))
    house.call("save_plan", draft.id, plan=replace(draft.plan, axes=axes))
    house.call("start", draft.id, role="analyst")
    house.work()
    house.finish(draft.id)
    draw = random.Random(4)
    for _ in range(24):
        pair = house.call("next_pair", draft.id)
        ids = {"left_trial_id": pair.left_trial_id, "right_trial_id": pair.right_trial_id}
        house.call("add_vote", draft.id, winner=draw.choice(["left", "right", "tie"]), **ids)
    for _ in range(40):
        item = house.call("next_for_review", draft.id)
        house.call("add_hand_score", draft.id, trial_id=item.trial_id, score=draw.choice([0, 0.5, 1]))
    house.answerer.answer = lambda request: json.dumps({"score": draw.choice([0, 0.5, 1])})
    house.call("run_judge", draft.id, role="analyst", plan=JudgePlan(MODEL, "Good?"))
    house.finish(draft.id)
    house.answerer.answer = lambda request: json.dumps({"winner": draw.choice("AB")})
    house.call("run_judge", draft.id, role="analyst", plan=JudgePlan(MODEL, "Better?", pairs=True))
    house.finish(draft.id)
    return draft.id


def run_uneven(house):
    """Answers are longer than the baseline's by the same amount in every case, one arm fails in one of them, and only
    the baseline is scored, by hand.
    """

    def answer(request):
        arm = (request.params.temperature, request.params.max_tokens)
        if arm == (0.5, 512) and last_user_text(request) == "Say w3":
            raise ModelUnknown("No such model.", provider="scripted", model="tiny")
        return "a"

    draft = house.draft(cases=4, repeats=1)
    axes = (AxisText("temperature", "0, 0.5"), AxisText("max_tokens", "256, 512"))
    house.call("save_plan", draft.id, plan=replace(draft.plan, axes=axes))
    house.answerer.answer = answer
    house.answerer.usage = lambda request: Usage(10, request.params.max_tokens)
    house.call("start", draft.id, role="analyst")
    house.work()
    house.finish(draft.id)
    for case in range(4):
        (trial,) = house.call("get_cell", draft.id, arm=0, case=case).trials
        house.call("add_hand_score", draft.id, trial_id=trial.id, score=case / 4)
    return draft.id


def executed(packed, folder, scored_by="rules"):
    """The notebook's tables, as it computed them, by name."""
    folder.mkdir()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(folder)
    notebook = nbformat.read(folder / "experiment.ipynb", as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        cell.source = cell.source.replace('SCORED_BY = "rules"', f'SCORED_BY = "{scored_by}"')
    dump = f"for name in {TABLES}:\n    globals()[name].to_pickle(name + '.pickle')"
    notebook.cells.append(nbformat.v4.new_code_cell(dump))
    client = NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(folder)}})
    asyncio.run(client.async_execute())  # its `execute` leaves a loop open
    return {name: pd.read_pickle(folder / f"{name}.pickle") for name in TABLES}


def agree(row, estimate, names=("mean", "low", "high"), tolerance=1e-6):
    for name, known in zip(names, (estimate.value, estimate.low, estimate.high), strict=True):
        same(row[name], known, tolerance)


def agree_with_trials(row, estimate):
    agree(row, estimate)
    same(row["trials"], estimate.trials)


def same(value, known, tolerance=1e-6):
    assert np.allclose(float(value), np.nan if known is None else float(known), tolerance, 1e-9, True), (value, known)


def ends(name):
    return name, f"{name}_low", f"{name}_high"


def check_arms(found, results):
    arms, pass_at = found["arms"].set_index(["metric", "arm"]), found["pass_at"].set_index(["arm", "k"])
    for summary in summarise_arms(results.table):
        for metric in METRICS:
            agree(arms.loc[(metric, summary.arm)], summary.estimate(metric))
        agreed = found["agreement"].set_index("arm").loc[summary.arm]
        agree(agreed, summary.agreement.same_share, ("same_share", "low", "high"))
        same(agreed["distinct_answers_mean"], summary.agreement.distinct_mean)
        same(agreed["all_same_cases"], summary.agreement.all_same_cases)
        for known in summary.pass_at:
            agree(pass_at.loc[(summary.arm, known.k)], known.at_least_one, ends("at_least_one"))
            agree(pass_at.loc[(summary.arm, known.k)], known.all_of_them, ends("all_of_them"))


def check_comparisons(found, results):
    rows = found["comparisons"].set_index(["metric", "arm"])
    for known in compare_with_baseline(results.table, baseline=0):
        row = rows.loc[(known.metric, known.arm)]
        agree(row, known.difference, ("difference", "low", "high"))
        same(row["p"], known.p_value)
        same(row["p_holm"], known.p_adjusted)
        if known.verdict.word == "unclear" and known.verdict.more_repeats is not None:
            same(row["more_repeats"], known.verdict.more_repeats)
        elif known.verdict.word == "unclear":
            same(row["more_cases"], known.verdict.more_cases)


def check_settings(found, results):
    variance = found["variance"].set_index(["metric", "source"])
    for metric in [one for one in METRICS if one in variance.index]:
        told = explain_variance(results.table, axes=results.axes, metric=metric, rng=np.random.default_rng(1))
        for known in told.shares:
            row = variance.loc[(metric, known.name or known.source.replace("_", " "))]
            for name in ("share", "low", "high"):
                same(row[name], getattr(known, name))
    effects = found["effects"].set_index(["metric", "setting", "value"])
    heat = found["heat"].set_index(["metric", "row", "column"])
    rows, columns = results.axes
    for metric in METRICS:
        for axis in results.axes:
            for known in list_level_means(results.table, axis=axis, metric=metric):
                agree_with_trials(effects.loc[(metric, axis.name, axis.levels[known.level])], known.estimate)
        for known in list_heat_cells(results.table, rows=rows, columns=columns, metric=metric):
            agree_with_trials(heat.loc[(metric, rows.levels[known.row], columns.levels[known.column])], known.estimate)


def check_frontier(found, results):
    rows = found["frontier"].set_index("arm")
    for known in find_frontier(results.table, rng=np.random.default_rng(1)).arms:
        assert bool(rows.loc[known.arm, "on_frontier"]) == known.on_frontier
        same(rows.loc[known.arm, "probability"], known.probability)


def check_votes(found, results, votes):
    rows = found["strengths"].set_index(["voter", "arm"])
    for voter, cast in votes.items():
        for known in rank_votes(cast, arms=len(results.arms)).strengths:
            row = rows.loc[(voter, known.arm)]
            for name in ("win_chance", "low", "high", "votes", "wins"):
                same(row[name], getattr(known, name), 1e-4)


def check_judges(found, columns, swaps):
    (row,) = found["judges"].to_dict("records")
    known = compare_judge(judge=columns.judge, hand=columns.hand, case=columns.case)
    for name in ("same_share", "kappa", "correlation", "bias"):
        agree(row, getattr(known, name), ends(name))
    (row,) = found["swapped"].to_dict("records")
    told = check_swaps(swaps)
    agree(row, told.inconsistent_share, ends("inconsistent_share"))
    agree(row, told.first_place_share, ends("first_place_share"))


@pytest.mark.timeout(300)
def test_notebook_computes_every_figure_of_the_app(house, tmp_path):
    experiment_id = run(house)
    packed = b"".join(house.call("export_notebook", experiment_id))
    found, results = executed(packed, tmp_path / "rules"), house.call("get_results", experiment_id)
    check_arms(found, results)
    check_comparisons(found, results)
    check_settings(found, results)
    check_frontier(found, results)
    votes = {"people": house.call("list_votes", experiment_id), "2": house.call("list_votes", experiment_id, judge=2)}
    check_votes(found, results, votes)
    columns = house.call("get_judge_columns", experiment_id, judge=1)
    check_judges(found, columns, house.call("list_swaps", experiment_id, judge=2))
    by_judge = executed(packed, tmp_path / "judge", scored_by="judge_1")
    check_arms(by_judge, house.call("get_results", experiment_id, scored_by="judge:1"))


def test_notebook_takes_no_text_for_a_number(house, tmp_path, monkeypatch):
    """Answers, cases and columns that all look like numbers: 7 and 007 are two answers, "1e2" is a case."""
    said = iter(["7", "007", "0.5", "0.50"] * 3)
    house.answerer.answer = lambda request: next(said)
    draft = house.draft(axes="0", cases=1, repeats=2)
    cases = CaseTable(("word", "expected"), (("1e2", "01"), ("2", "0x2")))
    house.call("save_cases", draft.id, cases=cases)
    house.call("start", draft.id, role="analyst")
    house.work()
    house.finish(draft.id)
    with zipfile.ZipFile(io.BytesIO(b"".join(house.call("export_notebook", draft.id)))) as archive:
        archive.extractall(tmp_path)
        notebook = nbformat.reads(archive.read("experiment.ipynb"), as_version=4)
    monkeypatch.chdir(tmp_path)
    found = {}
    for cell in [one for one in notebook.cells if one.cell_type == "code"][:2]:  # the choices, and the loading
        exec(cell.source, found)
    trials = found["trials"]
    assert sorted(trials["answer"]) == ["0.5", "0.50", "007", "7"]
    assert sorted(set(trials["case.word"])) == ["1e2", "2"]
    assert sorted(set(trials["case.expected"])) == ["01", "0x2"]
    layout = export.Layout(draft.plan, (), ("word", "expected"), (1,))
    told = {column.name for column in export.list_columns(layout) if column.kind == "text"}
    assert told == found["TEXTS"] | {"case.word", "case.expected"}


@pytest.mark.timeout(300)
def test_notebook_agrees_where_the_data_tell_little(house, tmp_path):
    experiment_id = run_uneven(house)
    found = executed(b"".join(house.call("export_notebook", experiment_id)), tmp_path / "hand", scored_by="hand")
    results = house.call("get_results", experiment_id, scored_by="hand")
    tokens = compare_with_baseline(results.table, baseline=0, metrics=("completion_tokens",))
    assert [one.verdict.more_cases for one in tokens] == [3, None, 4]
    check_comparisons(found, results)
    check_settings(found, results)
    assert found["variance"].set_index("metric").loc["score", ["share", "low", "high"]].isna().all(axis=None)

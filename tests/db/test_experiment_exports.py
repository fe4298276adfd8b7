"""What is taken away: files that hold everything and start no formula, a notebook that computes the same, code."""

import csv
import io
import json
import random
import zipfile

import nbformat
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from nbclient import NotebookClient

from chatplay.errors import BadInput
from chatplay.experiments.scoring import Contains
from chatplay.experiments.stats import (
    compare_with_baseline,
    explain_variance,
    find_frontier,
    rank_votes,
    summarise_arms,
)
from chatplay.experiments.values import CaseTable
from chatplay.prices import Price
from chatplay.providers.base import last_user_text
from chatplay.providers.registry import Upstream
from tests.db.experiment_rig import house as make_house

NASTY = ["=1+1", "+SUM(A1)", "-2", "@cmd", "\tx", "\rx", "plain", 'a,"b"\nc', "'=quoted", "＝1"]


@pytest.fixture
def house(database_url):
    with make_house(database_url, price=Price(1.0, 2.0)) as found:
        yield found


def take(house, experiment_id, fmt):
    return b"".join(house.call("export", experiment_id, fmt=fmt))


@pytest.fixture
def nasty(house):
    """Cases and answers that spreadsheets would take for formulas."""
    house.answerer.answer = last_user_text
    version = house.experiments.save_prompt(user_id=house.user_id, name="echo", prompt="{{word}}")
    draft = house.draft(axes="0", repeats=1, cases=1)
    plan = draft.plan.__class__(prompts=(version,), models=draft.plan.models, repeats=1, rules=(Contains("a"),))
    made = house.experiments.create(
        user_id=house.user_id, name="Nasty", plan=plan, cases=CaseTable(("word",), tuple((one,) for one in NASTY))
    )
    house.call("start", made.id, role="analyst")
    house.work()
    house.finish(made.id)
    return made.id


def test_csv_starts_no_formula_in_any_cell(house, nasty):
    rows = list(csv.reader(io.StringIO(take(house, nasty, "csv").decode("utf-8-sig"), newline="")))
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))]
    assert len(rows) == 1 + len(NASTY)
    assert "'=1+1" in cells


def test_jsonl_and_parquet_hold_every_text_as_it_is(house, nasty):
    lines = [json.loads(line) for line in take(house, nasty, "jsonl").decode().splitlines()]
    table = pq.read_table(io.BytesIO(take(house, nasty, "parquet"))).to_pylist()
    for rows in (lines, table):
        assert sorted(row["answer"] for row in rows) == sorted(NASTY)
        assert {row["case.word"] == row["answer"] for row in rows} == {True}
    assert [row["score"] for row in lines] == [row["score"] for row in table]


def test_export_comes_in_pieces_and_misses_nothing(house, monkeypatch):
    from chatplay.experiments import takeaway

    monkeypatch.setattr(takeaway, "_PAGE_ROWS", 5)
    experiment_id = house.run()
    pieces = list(house.call("export", experiment_id, fmt="jsonl"))
    assert len(pieces) == 3
    rows = [json.loads(line) for line in b"".join(pieces).decode().splitlines()]
    assert len({(row["arm"], row["case"], row["repeat"]) for row in rows}) == 12


def test_export_of_an_unknown_kind_is_refused_at_once(house):
    experiment_id = house.start()
    with pytest.raises(BadInput, match="csv, jsonl or parquet"):
        house.call("export", experiment_id, fmt="docx")


def test_code_of_a_trial_makes_its_call_and_holds_no_key(house):
    experiment_id = house.run()
    trial = house.call("get_cell", experiment_id, arm=1, case=0).trials[0]
    with pytest.raises(BadInput, match="built into this app"):
        house.call("get_code", experiment_id, trial_id=trial.id, language="curl")
    lab = Upstream("scripted", "openai", base_url="http://lab.example/v1", api_key="sk-secret", api_key_env="LAB_KEY")
    object.__setattr__(house.process.catalog._view, "upstreams", (lab,))
    curl = house.call("get_code", experiment_id, trial_id=trial.id, language="curl")
    python = house.call("get_code", experiment_id, trial_id=trial.id, language="python")
    for code in (curl, python):
        assert "LAB_KEY" in code
        assert "sk-secret" not in code
        assert "Say w0" in code
    assert "http://lab.example/v1/chat/completions" in curl
    compile(python, "code", "exec")


def test_code_of_a_chat_turn_holds_its_thread(house):
    from tests.db.chat_rig import Rig

    rig = Rig(house.process, house.user_id, house.url)
    chat_id = rig.new_chat()
    rig.ask("First", chat_id=chat_id)
    turn = rig.ask("Second", chat_id=chat_id)
    lab = Upstream("scripted", "openai", base_url="http://lab.example/v1")
    object.__setattr__(house.process.catalog._view, "upstreams", (lab,))
    code = house.experiments.get_turn_code(
        user_id=house.user_id, chat_id=chat_id, message_id=turn.assistant_message.id, language="python"
    )
    assert code.index("'First'") < code.index("First at 0.7") < code.index("'Second'")
    assert "OPENAI_API_KEY" in code


# ---- the notebook ------------------------------------------------------------------------------


def executed(packed, folder):
    """The notebook's tables, as it computed them."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(folder)
    notebook = nbformat.read(folder / "experiment.ipynb", as_version=4)
    nbformat.validate(notebook)
    dump = (
        "for name in ['arms', 'pass_at', 'comparisons', 'variance', 'frontier', 'strengths', 'agreement']:\n"
        "    globals()[name].to_json(name + '.json', orient='split', double_precision=15)"
    )
    notebook.cells.append(nbformat.v4.new_code_cell(dump))
    NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(folder)}}).execute()
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


def frame(table):
    return pd.DataFrame(table["data"], columns=table["columns"], index=table["index"])


def same(value, other):
    return np.allclose([np.nan if value is None else value], [np.nan if other is None else other], 1e-6, 1e-9, True)


@pytest.mark.timeout(300)
def test_notebook_computes_the_figures_of_the_app(house, tmp_path):
    draw = random.Random(3)
    house.answerer.answer = lambda request: f"{draw.choice('abc')} {'word ' * draw.randint(1, 9)}"
    experiment_id = house.run(axes="0, 0.5, 1", cases=12, repeats=3, rules=(Contains("a"),))
    for _ in range(12):
        pair = house.call("next_pair", experiment_id)
        ids = {"left_trial_id": pair.left_trial_id, "right_trial_id": pair.right_trial_id}
        house.call("add_vote", experiment_id, winner=draw.choice(["left", "right", "tie"]), **ids)
    found = executed(house.call("export_notebook", experiment_id), tmp_path)
    results = house.call("get_results", experiment_id)

    arms = frame(found["arms"]).set_index(["metric", "arm"])
    for summary in summarise_arms(results.table):
        for metric in ("score", "passed", "duration_ms", "cost_usd", "completion_tokens"):
            row, estimate = arms.loc[(metric, summary.arm)], summary.estimate(metric)
            assert same(row["mean"], estimate.value), (metric, summary.arm)
            assert same(row["low"], estimate.low), (metric, summary.arm)
            assert same(row["high"], estimate.high), (metric, summary.arm)
        agreed = frame(found["agreement"]).set_index("arm").loc[summary.arm]
        assert same(agreed["same_share"], summary.agreement.same_share.value)
        assert same(agreed["high"], summary.agreement.same_share.high)
        for known in summary.pass_at:
            table = frame(found["pass_at"])
            row = table[(table["arm"] == summary.arm) & (table["k"] == known.k)].iloc[0]
            assert same(row["at_least_one"], known.at_least_one.value)
            assert same(row["all_of_them"], known.all_of_them.value)
            assert same(row["all_of_them_low"], known.all_of_them.low)

    comparisons = frame(found["comparisons"]).set_index(["metric", "arm"])
    for known in compare_with_baseline(results.table, baseline=0):
        row = comparisons.loc[(known.metric, known.arm)]
        for name, value in (
            ("difference", known.difference.value),
            ("low", known.difference.low),
            ("high", known.difference.high),
            ("p", known.p_value),
            ("p_holm", known.p_adjusted),
        ):
            assert same(row[name], value), (known.metric, known.arm, name)

    rng = np.random.default_rng(1)
    variance = frame(found["variance"])
    for metric in ("score", "duration_ms"):
        for share in explain_variance(results.table, axes=results.axes, metric=metric, rng=rng).shares:
            if share.share is not None:
                name = share.name or share.source.replace("_", " ")
                assert same(variance.loc[metric, name], share.share), (metric, name)

    frontier = frame(found["frontier"]).set_index("arm")
    for known in find_frontier(results.table, rng=rng).arms:
        assert bool(frontier.loc[known.arm, "on_frontier"]) == known.on_frontier
        assert abs(frontier.loc[known.arm, "probability"] - known.probability) < 0.06

    ranked = rank_votes(house.call("list_votes", experiment_id), arms=3)
    chances = dict(zip(found["strengths"]["index"], found["strengths"]["data"], strict=True))
    for strength in ranked.strengths:
        assert abs(chances[results.arms[strength.arm].label] - strength.win_chance) < 1e-4

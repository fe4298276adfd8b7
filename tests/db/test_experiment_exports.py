"""What is taken away: files that hold everything and start no formula, a notebook that computes the same, code."""

import csv
import io
import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from chatplay.errors import BadInput
from chatplay.experiments import takeaway
from chatplay.experiments.scoring import Contains
from chatplay.experiments.values import CaseTable
from chatplay.models.view import described
from chatplay.prices import Price
from chatplay.providers.base import Usage, last_user_text
from chatplay.providers.registry import Upstream
from db import trial_reads
from tests.db.experiment_rig import house as make_house

NASTY = ["=1+1", "+SUM(A1)", "-2+A1", "@cmd", "\tx", "\rx", "plain", 'a,"b"\nc', "'=quoted", "＝1"]


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


def test_notebook_is_packed_a_page_of_trials_at_a_time(house, nasty, monkeypatch):
    monkeypatch.setattr(takeaway, "_PAGE_ROWS", 2)
    read = []
    pages = trial_reads.list_export_rows

    def list_export_rows(*args, **more):
        read.append(1)
        return pages(*args, **more)

    monkeypatch.setattr(trial_reads, "list_export_rows", list_export_rows)
    pieces = house.call("export_notebook", nasty)
    next(pieces)
    assert len(read) < 3  # of six
    assert list(pieces)
    assert len(read) == 1 + len(NASTY) // 2


def test_files_tell_how_many_tokens_went_into_reasoning(house):
    house.answerer.usage = lambda request: Usage(10, 5, reasoning_tokens=2)
    experiment_id = house.run(axes="0", cases=2, repeats=1)
    lines = [json.loads(line) for line in take(house, experiment_id, "jsonl").splitlines()]
    table = pq.read_table(io.BytesIO(take(house, experiment_id, "parquet"))).to_pylist()
    assert [row["reasoning_tokens"] for row in (*lines, *table)] == [2] * 4


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


def test_export_holds_the_seed_that_was_sent_why_each_answer_ended_and_what_was_noted(house):
    experiment_id = house.run(seed_policy="varied")
    trial = house.call("get_cell", experiment_id, arm=1, case=2).trials[0]
    house.call("add_hand_score", experiment_id, trial_id=trial.id, score=0.5, note="Too short.")
    rows = [json.loads(line) for line in take(house, experiment_id, "jsonl").decode().splitlines()]
    sent = {(request.params.seed, request.params.temperature) for request in house.answerer.requests}
    assert {(row["seed"], row["temperature"]) for row in rows} == sent
    assert len({row["seed"] for row in rows}) == 6
    assert {row["finish_reason"] for row in rows} == {"stop"}
    assert [row["hand_notes"] for row in rows if row["trial"] == trial.id] == ["Too short."]


def test_export_of_an_unknown_kind_is_refused_at_once(house):
    experiment_id = house.start()
    with pytest.raises(BadInput, match="csv, jsonl, parquet or zip"):
        house.call("export", experiment_id, fmt="docx")


LAB = Upstream(
    "scripted",
    "openai",
    base_url="http://lab.example/v1",
    api_key="sk-secret",
    api_key_env="LAB_KEY",
    allowed_models=("tiny",),
)


def serve(house, *upstreams):
    catalog = house.process.catalog
    catalog._view = described(replace(catalog._view, upstreams=upstreams))


def codes(house, experiment_id, role, **more):
    """The program of a trial in both languages."""
    trial = house.call("get_cell", experiment_id, arm=1, case=0).trials[0]
    wanted = {"trial_id": trial.id, "role": role, "app_url": "https://chat.example"} | more
    return [house.call("get_code", experiment_id, language=language, **wanted) for language in ("curl", "python")]


def test_code_of_a_trial_asks_the_models_server_for_an_administrator_and_holds_no_key(house):
    experiment_id = house.run()
    serve(house, LAB)
    curl, python = codes(house, experiment_id, "administrator")
    for code in (curl, python):
        assert "LAB_KEY" in code
        assert "sk-secret" not in code
        assert "Say w0" in code
    assert "http://lab.example/v1/chat/completions" in curl
    compile(python, "code", "exec")


def test_code_of_a_trial_asks_this_app_for_everybody_else(house):
    experiment_id = house.run()
    serve(house, replace(LAB, name="first"), LAB)
    curl, python = codes(house, experiment_id, "analyst")
    for code in (curl, python):
        assert "lab.example" not in code
        assert "LAB_KEY" not in code
        assert "CHATPLAY_TOKEN" in code
        assert "Say w0" in code
        assert "scripted/tiny" in code  # `tiny` alone is the first server's
    assert "https://chat.example/v1/chat/completions" in curl
    compile(python, "code", "exec")


def test_code_of_a_built_in_model_asks_this_app_whoever_wants_it(house):
    experiment_id = house.run()
    curl, _ = codes(house, experiment_id, "administrator")
    assert "https://chat.example/v1/chat/completions" in curl


def test_code_of_a_model_that_is_gone_or_closed_says_so(house):
    experiment_id = house.run()
    serve(house, replace(LAB, roles=("administrator",)))
    with pytest.raises(BadInput, match="not open to you"):
        codes(house, experiment_id, "analyst")
    serve(house)
    with pytest.raises(BadInput, match="not there any more"):
        codes(house, experiment_id, "administrator")


def test_code_of_a_chat_turn_holds_its_thread(house):
    from tests.db.chat_rig import Rig

    rig = Rig(house.process, house.user_id, house.url)
    chat_id = rig.new_chat()
    rig.ask("First", chat_id=chat_id)
    turn = rig.ask("Second", chat_id=chat_id)
    serve(house, replace(LAB, api_key_env=None))
    code = rig.chats.get_code(
        user_id=house.user_id,
        role="administrator",
        app_url="https://chat.example",
        chat_id=chat_id,
        message_id=turn.assistant_message.id,
        language="python",
    )
    assert code.index("'First'") < code.index("First at 0.7") < code.index("'Second'")
    assert "OPENAI_API_KEY" in code

"""Experiments as programs read them: how far they are, their arms, and all trials as a file."""

import csv
import io
import json
import zipfile
from uuid import UUID

import pyarrow.parquet as pq
import pytest

from chatplay.experiments.values import Caps, Pace


@pytest.fixture
def house(own_house):
    return own_house


def test_experiments_are_listed_page_by_page(house):
    guest = house.add_guest("planner")
    made = [guest.new_experiment() for _ in range(3)]
    with guest.client() as client:
        first = client.get("/v1/experiments", params={"limit": 2}).json()
        second = client.get("/v1/experiments", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [one["id"] for one in first["data"] + second["data"]] == made[::-1]
    assert (second["next_cursor"], second["data"][0]["trials"]) == (None, 8)


def test_experiment_tells_progress_and_its_arms(house):
    with house.ana.client() as client:
        found = client.get(f"/v1/experiments/{house.ana.new_experiment()}").json()
    assert (found["name"], found["state"], found["progress"]["waiting"]) == ("Greetings", "running", 8)
    assert [arm["params"]["temperature"] for arm in found["arms"]] == [0, 0.5]
    assert {arm["ttft_ms"] for arm in found["arms"]} == {None}


def rows(format, data):
    if format == "csv":
        return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    if format == "jsonl":
        return [json.loads(line) for line in data.splitlines()]
    return pq.read_table(io.BytesIO(data)).to_pylist()


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_all_trials_come_as_a_file_that_no_spreadsheet_runs(house, format):
    experiment_id = house.ana.new_experiment()
    with house.ana.client() as client:
        answer = client.get(f"/v1/experiments/{experiment_id}/export", params={"format": format})
    found = rows(format, answer.content)
    assert (answer.status_code, len(found)) == (200, 8)
    assert answer.headers["content-disposition"] == f'attachment; filename="trials.{format}"'
    guarded = "'=1+1" if format == "csv" else "=1+1"
    assert any(guarded in map(str, row.values()) for row in found)


def test_notebook_comes_with_its_data_written_while_it_is_sent(house):
    experiment_id = house.ana.new_experiment()
    with house.ana.client() as client:
        answer = client.get(f"/v1/experiments/{experiment_id}/export", params={"format": "zip", "name": "words"})
    assert answer.headers["content-disposition"] == 'attachment; filename="words.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert sorted(archive.namelist()) == ["experiment.ipynb", "swaps.csv", "trials.csv", "votes.csv"]
        assert archive.testzip() is None
        assert len(archive.read("trials.csv").splitlines()) > 8


def test_unknown_format_is_named(house):
    with house.ana.client() as client:
        refused = client.get(f"/v1/experiments/{house.ana.new_experiment()}/export", params={"format": "xml"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "format")


# ---- planned and run by programs -----------------------------------------------------------------

PLAN = {
    "name": "Greetings",
    "prompts": [{"name": "greeting", "prompt": "Say {{word}}", "system_prompt": "Be brief."}],
    "models": [{"name": "echo"}],
    "params": {"max_tokens": 256},
    "axes": {"temperature": "0, 0.5"},
    "cases": [{"word": "one", "expected": 1}, {"word": "two", "expected": None}],
    "rules": [{"kind": "contains", "value": "{{expected}}"}],
    "repeats": 2,
    "limits": {"max_calls": 100},
}


def create(client, key=None, **changes):
    headers = {"idempotency-key": key} if key else {}
    return client.post("/v1/experiments", json=PLAN | changes, headers=headers)


def act(client, made, verb, body=None):
    return client.post(f"/v1/experiments/{made['id']}/{verb}", json=body)


def test_experiment_is_created_with_what_it_comes_to_and_then_started(house):
    with house.ana.client() as client:
        made = create(client).json()
        started = act(client, made, "start").json()
    assert (made["state"], made["planned"]["trials"], made["planned"]["problems"]) == ("draft", 8, [])
    assert made["planned"]["warnings"] == []
    assert (started["state"], started["progress"]["waiting"]) == ("running", 8)
    assert [arm["params"]["max_tokens"] for arm in started["arms"]] == [256, 256]
    assert (started["cases"], started["case_columns"]) == (2, ["word", "expected"])


def test_same_key_creates_one_experiment(house):
    with house.ana.client() as client, house.bob.client() as other:
        first, again = create(client, "k1").json(), create(client, "k1", name="Other").json()
        fresh, theirs = create(client, "k2").json(), create(other, "k1").json()
    assert (first["id"], again["name"]) == (again["id"], "Greetings")
    assert len({first["id"], fresh["id"], theirs["id"]}) == 3


def test_used_key_keeps_no_template_of_its_own(house):
    with house.ana.client() as client:
        create(client, "k3")
        create(client, "k3", prompts=[{"name": "never kept", "prompt": "Sing {{word}}"}])
    names = {prompt.name for prompt in house.runtime.experiments.list_prompts(user_id=house.ana.person.id)}
    assert "greeting" in names
    assert "never kept" not in names


def test_what_is_sent_twice_happens_once(house):
    with house.ana.client() as client:
        made = create(client).json()
        for verb, state in (("start", "running"), ("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
            answers = [act(client, made, verb) for _ in range(2)]
            assert [(one.status_code, one.json()["state"]) for one in answers] == [(200, state)] * 2
    assert answers[-1].json()["progress"]["cancelled"] == 8


def test_extension_runs_what_is_missing_and_adds_cases_once(house):
    with house.ana.client() as client:
        made = create(client).json()
        revision = act(client, made, "start").json()["revision"]
        body = {"repeats": 3, "axes": {"temperature": "0, 0.5, 1"}, "cases": [{"word": "three"}], "revision": revision}
        more, again = act(client, made, "extend", body), act(client, made, "extend", body)
    assert (more.status_code, more.json()["new_trials"]) == (200, 3 * 3 * 3 - 8)
    assert (again.status_code, again.json()["error"]["type"]) == (409, "plan_changed")


@pytest.mark.parametrize(
    ("limits", "caps", "pace"),
    [
        ({"max_calls": 500}, Caps(500, 9.0), Pace(2, 60.0, 5)),
        ({"max_cost_usd": None, "max_attempts": 1}, Caps(100, None), Pace(2, 60.0, 1)),
        ({}, Caps(100, 9.0), Pace(2, 60.0, 5)),
    ],
)
def test_extension_changes_the_limits_it_names_and_no_others(house, limits, caps, pace):
    first = {"max_calls": 100, "max_cost_usd": 9, "calls_at_once": 2, "calls_per_minute": 60, "max_attempts": 5}
    with house.ana.client() as client:
        made = create(client, limits=first, models=[{"name": "demo-small"}]).json()
        act(client, made, "start")
        assert act(client, made, "extend", {"limits": limits}).status_code == 200
    plan = house.runtime.experiments.get(user_id=house.ana.person.id, experiment_id=UUID(made["id"])).plan
    assert (plan.caps, plan.pace) == (caps, pace)


def test_extension_by_a_case_with_an_unknown_column_is_refused_with_those_there_are(house):
    with house.ana.client() as client:
        made = create(client).json()
        act(client, made, "start")
        refused = act(client, made, "extend", {"cases": [{"wrod": "three"}]})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "cases")
    assert "there are `word`, `expected`" in refused.json()["error"]["cure"]


@pytest.mark.parametrize(
    ("changes", "status", "param"),
    [
        ({"axes": {"warmth": "1"}}, 400, "warmth"),
        ({"axes": {"temperature": "9"}}, 400, "temperature"),
        ({"params": {"seed": 1}}, 400, "seed"),
        ({"rules": [{"kind": "smells"}]}, 400, "rules.kind"),
        ({"cases": [{"": "x"}]}, 400, "cases"),
        ({"models": [{"name": "nobody's"}]}, 404, None),
        ({"repeats": 0}, 422, "repeats"),
        ({"unknown": 1}, 422, "unknown"),
    ],
)
def test_mistake_in_a_plan_is_named_and_nothing_starts(house, changes, status, param):
    with house.ana.client() as client:
        refused = create(client, **changes)
        if refused.status_code == 201:
            refused = act(client, refused.json(), "start")
    assert refused.status_code == status, refused.text
    assert refused.json()["error"]["param"] == param


@pytest.mark.parametrize("bad", ["\\u0000", "\\ud800"])
@pytest.mark.parametrize(
    ("changes", "status", "param"),
    [
        ({"axes": {"temperature": "0BAD"}}, 400, "axes"),
        ({"axes": {"tempBAD": "0"}}, 400, "axes"),
        ({"rules": [{"kind": "contains", "value": "aBAD"}]}, 400, "rules"),
        ({"prompts": [{"prompt": "a", "system_prompt": "aBAD"}]}, 400, "system_prompt"),
        ({"params": {"stop": ["aBAD"]}}, 400, "stop"),
        ({"cases": [{"word": "aBAD"}]}, 400, "cases"),
        ({"cases": [{"woBADrd": "a"}]}, 400, "cases"),
        ({"models": [{"name": "aBAD"}]}, 404, None),
    ],
)
def test_text_that_can_not_be_stored_is_the_programs_mistake_and_not_ours(house, bad, changes, status, param):
    body = json.dumps(PLAN | changes).replace("BAD", bad)
    with house.ana.client() as client:
        refused = client.post("/v1/experiments", content=body, headers={"content-type": "application/json"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (status, param)


def test_draft_without_its_variable_says_so_before_it_is_started(house):
    with house.ana.client() as client:
        made = create(client, cases=[{"text": "x"}], rules=[]).json()
        refused = act(client, made, "start")
    assert "no column `word`" in made["planned"]["problems"][0]
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "cases")


def test_draft_with_an_empty_cell_warns_of_it_and_starts(house):
    with house.ana.client() as client:
        made = create(client, cases=[{"word": "one"}, {"word": None}], rules=[]).json()
        started = act(client, made, "start")
    assert made["planned"]["problems"] == []
    assert "`word` is empty in 1 of 2 cases" in made["planned"]["warnings"][0]
    assert started.json()["state"] == "running"


@pytest.mark.parametrize(("verb", "body"), [("resume", None), ("cancel", None), ("extend", {"repeats": 5})])
def test_draft_cannot_be_run_otherwise_than_by_its_start(house, verb, body):
    with house.ana.client() as client:
        refused = act(client, create(client).json(), verb, body)
    assert (refused.status_code, refused.json()["error"]["type"]) == (409, "conflict")


def test_file_is_called_as_asked_and_open_through_a_read_only_link(house):
    experiment_id = house.ana.new_experiment()
    link = house.runtime.experiments.add_link(user_id=house.ana.person.id, experiment_id=experiment_id)
    with house.bob.client() as client:
        asked = {"shared": link.token, "name": "greetings"}
        found = client.get(f"/v1/experiments/{experiment_id}/export", params=asked)
        refused = client.get(f"/v1/experiments/{experiment_id}/export", params={"shared": "guess"})
    assert (found.status_code, refused.status_code) == (200, 404)
    assert found.headers["content-disposition"] == 'attachment; filename="greetings.csv"'


# ---- single trials -------------------------------------------------------------------------------


def trials_of(client, experiment_id, **asked):
    answer = client.get(f"/v1/experiments/{experiment_id}/trials", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def places(found):
    return [(one["case"], one["arm"], one["repeat"]) for one in found["data"]]


ALL_PLACES = [(case, arm, repeat) for case in (0, 1) for arm in (0, 1) for repeat in (0, 1)]


def test_trials_are_listed_page_by_page_each_once(house):
    experiment_id, found, cursor = house.ana.new_experiment(), [], None
    with house.ana.client() as client:
        while cursor is not None or not found:
            page = trials_of(client, experiment_id, limit=3, **({"cursor": cursor} if cursor else {}))
            found, cursor = found + places(page), page["next_cursor"]
        whole = trials_of(client, experiment_id, limit=8)
    assert found == places(whole) == ALL_PLACES
    assert whole["next_cursor"] is None


def test_trial_that_waits_has_its_case_and_no_figures(house):
    with house.ana.client() as client:
        one = trials_of(client, house.ana.new_experiment(), case=1, arm=1)["data"][0]
    assert (one["state"], one["attempts"], one["values"]) == ("waiting", 0, {"word": "two"})
    assert {one[name] for name in ("answer", "usage", "timings", "score", "error", "generation_id")} == {None}


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"arm": 1}, [place for place in ALL_PLACES if place[1] == 1]),
        ({"case": 0}, [place for place in ALL_PLACES if place[0] == 0]),
        ({"arm": [0, 1], "case": [1, 7]}, [place for place in ALL_PLACES if place[0] == 1]),
        ({"state": "waiting"}, ALL_PLACES),
        ({"state": ["failed", "done"]}, []),
        ({"arm": 2**31 - 1}, []),
    ],
)
def test_trials_are_those_that_fit_every_filter(house, asked, wanted):
    with house.ana.client() as client:
        assert places(trials_of(client, house.ana.new_experiment(), **asked)) == wanted


def test_draft_has_no_trials_yet(house):
    with house.ana.client() as client:
        assert trials_of(client, create(client).json()["id"]) == {"data": [], "next_cursor": None}


def test_trials_are_open_through_a_read_only_link(house):
    experiment_id = house.ana.new_experiment()
    link = house.runtime.experiments.add_link(user_id=house.ana.person.id, experiment_id=experiment_id)
    with house.bob.client() as client:
        assert len(trials_of(client, experiment_id, shared=link.token)["data"]) == 8
        refused = client.get(f"/v1/experiments/{experiment_id}/trials", params={"shared": "guess"})
    assert refused.status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "param"),
    [
        ({"state": "over"}, 422, "state.0"),
        ({"arm": -1}, 422, "arm.0"),
        ({"case": 2**31}, 422, "case.0"),
        ({"arm": "x"}, 422, "arm.0"),
        ({"limit": 201}, 422, "limit"),
        ({"cursor": "x"}, 400, "cursor"),
        ({"cursor": "MSAyIDM0NTY3ODkwMTIzNA=="}, 400, "cursor"),
        ({"cursor": "\u00fc"}, 400, "cursor"),
    ],
)
def test_filter_of_trials_that_is_none_is_named(house, asked, status, param):
    with house.ana.client() as client:
        refused = client.get(f"/v1/experiments/{house.ana.new_experiment()}/trials", params=asked)
    assert (refused.status_code, refused.json()["error"]["param"]) == (status, param)


def test_cursor_of_another_list_is_refused(house):
    with house.ana.client() as client:
        house.ana.new_experiment()
        experiment_id = house.ana.new_experiment()
        cursor = client.get("/v1/experiments", params={"limit": 1}).json()["next_cursor"]
        refused = client.get(f"/v1/experiments/{experiment_id}/trials", params={"cursor": cursor})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "cursor")

"""Experiments as programs read them: how far they are, their arms, and all trials as a file."""

import csv
import io
import json

import pyarrow.parquet as pq
import pytest


@pytest.fixture
def house(own_house):
    return own_house


def test_experiments_are_listed_page_by_page(house):
    guest = house.add_guest("planner")
    made = [guest.new_experiment() for _ in range(3)]
    with guest.client() as client:
        first = client.get("/v1/experiments", params={"limit": 2}).json()
        second = client.get("/v1/experiments", params={"limit": 2, "offset": first["next_offset"]}).json()
    assert [one["id"] for one in first["data"] + second["data"]] == made[::-1]
    assert (second["next_offset"], second["data"][0]["trials"]) == (None, 8)


def test_experiment_tells_progress_and_its_arms(house):
    with house.ana.client() as client:
        found = client.get(f"/v1/experiments/{house.ana.new_experiment()}").json()
    assert (found["name"], found["state"], found["progress"]["waiting"]) == ("Greetings", "running", 8)
    assert [arm["params"]["temperature"] for arm in found["arms"]] == [0, 0.5]
    assert {arm["ttft_ms"] for arm in found["arms"]} == {None}


def rows(format, data):
    if format == "csv":
        return list(csv.DictReader(io.StringIO(data.decode())))
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


def test_unknown_format_is_named(house):
    with house.ana.client() as client:
        refused = client.get(f"/v1/experiments/{house.ana.new_experiment()}/export", params={"format": "xml"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "format")

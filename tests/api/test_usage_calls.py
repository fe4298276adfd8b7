"""Calls as a file: one's own for all but administrators, sent piece by piece, as a page shows them."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from chatplay.usage.filter_text import write_filter
from chatplay.usage.values import UsageFilter


@pytest.fixture
def house(own_house):
    for guest in (own_house.ana, own_house.ada):
        guest.ask(guest.new_session(), "A secret prompt")
    return own_house


def everything(**more):
    now = datetime.now(UTC)
    return replace(UsageFilter(None, now - timedelta(days=1), now + timedelta(days=1)), **more)


def rows(guest, **query):
    with guest.client() as client:
        answer = client.get("/v1/usage/calls", params=query)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def users(found):
    return {int(row["user_id"]) for row in found}


def test_calls_are_ones_own_without_asking_for_more(house):
    assert users(rows(house.ada)) == {house.ada.person.id}
    assert users(rows(house.ada, everybody=True)) >= {house.ada.person.id, house.ana.person.id}


def refusal(guest, **query):
    with guest.client() as client:
        answer = client.get("/v1/usage/calls", params=query)
    return answer.status_code, answer.json()["error"]["type"], answer.json()["error"]["cure"]


def test_analyst_gets_only_their_own_calls_whatever_the_filter(house):
    theirs = write_filter(everything(user_id=house.ada.person.id))
    for found in (write_filter(everything()), theirs):
        assert users(rows(house.ana, filter=found)) == {house.ana.person.id}


def test_analyst_who_asks_for_everybodys_calls_is_refused(house):
    for more in ({}, {"filter": write_filter(everything())}):
        assert refusal(house.ana, everybody=True, **more) == (403, "not_allowed", "Ask one of them.")
    assert users(rows(house.ana, everybody=False)) == {house.ana.person.id}


def test_token_of_an_administrator_without_the_scope_admin_gets_only_their_own_calls(house):
    made = house.runtime.access_tokens.create(actor=house.ada.person, name="reader", scopes=("read",), days=1)
    reader = replace(house.ada, token=made.secret)
    theirs = write_filter(everything(user_id=house.ana.person.id))
    for found in (write_filter(everything()), theirs):
        assert users(rows(reader, filter=found)) == {house.ada.person.id}
    assert refusal(reader, everybody=True) == (403, "not_allowed", "Make one that has it on the Account page.")


def test_filter_of_a_page_narrows_the_file(house):
    assert rows(house.ada, filter=write_filter(everything(statuses=("failed",)))) == []
    assert users(rows(house.ada, filter=write_filter(everything(user_id=house.ana.person.id)))) == {house.ana.person.id}


def test_file_is_sent_in_pieces_under_a_name(house):
    with house.ana.client() as client, client.stream("GET", "/v1/usage/calls") as answer:
        assert "content-length" not in answer.headers
        assert answer.headers["content-disposition"].startswith('attachment; filename="calls-20')
        assert "secret prompt" not in "".join(answer.iter_text())


def test_parquet_is_whole(house):
    with house.ana.client() as client:
        answer = client.get("/v1/usage/calls", params={"format": "parquet"})
    assert pq.read_table(io.BytesIO(answer.content)).num_rows == len(rows(house.ana))


@pytest.mark.parametrize("path", ["/v1/usage/calls", "/admin/usage"])
@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"start": "9995-01-01T00:00:00Z", "end": "9996-01-01T00:00:00Z"}, "end"),
        ({"start": "0001-01-01T00:00:00+14:00"}, "start"),
        ({"end": "0001-01-01T00:00:00"}, "end"),
        ({"end": "9999-12-31T23:59:59-14:00"}, "end"),
        ({"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "start"),
        ({"start": "2015-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "start"),
    ],
)
def test_range_that_cannot_be_asked_for_is_refused(house, path, query, param):
    with house.ada.client() as client:
        answer = client.get(path, params=query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("filter", ["", "guess", "bnVsbA==", "e30=", "é", write_filter(everything(sources=("a\0",)))])
def test_filter_that_is_none_is_refused(house, filter):
    with house.ana.client() as client:
        answer = client.get("/v1/usage/calls", params={"filter": filter})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "filter")

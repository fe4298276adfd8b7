"""Calls one by one: pages that miss none and repeat none, the flight recorder, exports that no spreadsheet runs."""

import csv
import io
from datetime import timedelta
from uuid import uuid4

import pyarrow.parquet as pq
import pytest

from chatplay.errors import BadInput, NotFound
from chatplay.prices import Price
from chatplay.sheets import safe_cell
from chatplay.store import Store
from chatplay.usage import exporting
from chatplay.usage.flight import stall_limit_ms
from tests.db.usage_rig import FAILED, NOON, day, make_rig


@pytest.fixture
def house(engine):
    return make_rig(Store(engine))


def read_pages(house, filter, **more):
    found, after = [], None
    while True:
        page = house.usage.list_calls(filter, after=after, limit=3, **more)
        found += page.rows
        if (after := page.after) is None:
            return found


# ---- lists ---------------------------------------------------------------------------------------


def test_pages_hold_every_call_once_newest_first_even_of_one_moment(house):
    made = {house.add(NOON + timedelta(seconds=number // 4)) for number in range(10)}
    rows = read_pages(house, house.everyone(**day()))
    assert {row.generation_id for row in rows} == made
    assert len(rows) == 10
    assert [row.created_at for row in rows] == sorted((row.created_at for row in rows), reverse=True)


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        ("slowest_first_token", [300.0, 200.0, 200.0, 100.0]),
        ("slowest_decode", [100.0, 200.0, 200.0, 300.0]),
        ("most_expensive", [100.0, 200.0, 200.0, 300.0]),
    ],
)
def test_list_by_a_figure_leaves_out_calls_without_it(house, order, wanted):
    for ttft_ms in (200.0, 300.0, 100.0, 200.0):
        house.add(ttft_ms=ttft_ms, tokens_per_second=ttft_ms, cost_usd=1 / ttft_ms)
    house.add(**FAILED)
    rows = read_pages(house, house.everyone(**day()), order=order)
    assert [row.ttft_ms for row in rows] == wanted


def test_running_call_is_in_the_list_but_in_no_figure(house):
    house.add(status="streaming", ended_at=None, ttft_ms=None)
    filter = house.everyone(**day(statuses=("streaming",)))
    assert [row.status for row in house.usage.list_calls(filter).rows] == ["streaming"]
    assert house.usage.tiles(filter, "UTC").calls.value == 0


@pytest.mark.parametrize("after", ["", "x", "bm90IGpzb24=", "WzEsIDJd"])
def test_place_that_is_none_is_refused(house, after):
    with pytest.raises(BadInput):
        house.usage.list_calls(house.everyone(**day()), after=after)


# ---- flight recorder -----------------------------------------------------------------------------


def test_flight_record_places_each_gap_and_marks_the_stalls(house):
    call = house.add(ttft_ms=200.0, connect_ms=50.0, gaps_ms=[20.0, 30.0, 500.0, 20.0])
    record = house.usage.get_call(call, user_id=house.ana)
    assert [(gap.seq, gap.at_ms, gap.is_stall) for gap in record.timeline] == [
        (2, 220.0, False),
        (3, 250.0, False),
        (4, 750.0, True),
        (5, 770.0, False),
    ]
    assert (record.stalls, record.stall_ms) == (1, 100.0)


def test_flight_record_leaves_unknown_what_is_not_known(house):
    record = house.usage.get_call(house.add(**FAILED), user_id=None)
    assert (record.timeline, record.stall_ms, record.stalls, record.price) == ((), None, 0, None)
    assert record.call.error_class == "rate_limited"


def test_flight_record_names_person_organisation_and_the_price_of_its_day(house):
    house.prices.set_price(upstream="box", model="tiny", price=Price(1.0, 2.0), set_by="ana")
    with_price = house.add(NOON + timedelta(days=4000))
    record = house.usage.get_call(with_price, user_id=None)
    assert (record.call.person, record.call.organisation, record.price) == ("Ana", "Default", Price(1.0, 2.0))
    assert house.usage.get_call(house.add(NOON - timedelta(days=400)), user_id=None).price is None
    assert record.call.chat_exists is False


def test_call_that_never_was_is_not_found(house):
    with pytest.raises(NotFound):
        house.usage.get_call(uuid4(), user_id=None)


@pytest.mark.parametrize(("gaps", "limit"), [([], None), ([10.0], 100.0), ([50.0, 60.0, 70.0], 240.0)])
def test_stall_is_four_medians_and_a_tenth_of_a_second_at_least(gaps, limit):
    assert stall_limit_ms(gaps) == limit


# ---- exports -------------------------------------------------------------------------------------


def test_whether_there_ever_was_a_call_is_known_whatever_the_range(house):
    assert not house.usage.has_calls()
    house.add()
    assert house.usage.has_calls()


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(exporting, "_PAGE", 3)


def read_csv(house, filter):
    return list(
        csv.DictReader(io.StringIO(b"".join(house.usage.export(filter, "csv")).decode("utf-8-sig"), newline=""))
    )


def test_csv_holds_the_whole_range_in_order_over_many_pages(house, small_pages):
    made = [str(house.add(NOON + timedelta(seconds=number // 2))) for number in range(10)]
    rows = read_csv(house, house.everyone(**day()))
    assert sorted(row["generation_id"] for row in rows) == sorted(made)
    assert [row["created_at"] for row in rows] == sorted(row["created_at"] for row in rows)
    assert len(list(house.usage.export(house.everyone(**day()), "csv"))) == 5


def test_csv_leaves_unknown_empty_and_numbers_as_they_are(house):
    house.add(**FAILED, duration_ms=-0.5)
    (row,) = read_csv(house, house.everyone(**day()))
    assert (row["ttft_ms"], row["cost_usd"], row["duration_ms"]) == ("", "", "-0.5")


@pytest.mark.parametrize("text", ["=1+1", "+A1", "-1+A1", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv_text_that_looks_like_a_formula_is_guarded(house, text):
    assert safe_cell(text) == f"'{text}"
    house.add(model=text, upstream=text)
    (row,) = read_csv(house, house.everyone(**day()))
    assert (row["model"], row["upstream"]) == (f"'{text}", f"'{text}")


def test_parquet_holds_the_same_rows_with_their_kinds(house, small_pages):
    for number in range(7):
        house.add(NOON + timedelta(seconds=number), cost_usd=None if number else 0.5)
    pieces = list(house.usage.export(house.everyone(**day()), "parquet"))
    table = pq.read_table(io.BytesIO(b"".join(pieces)))
    assert (len(pieces), table.num_rows, table.column("cost_usd").null_count) == (4, 7, 6)
    assert str(table.schema.field("created_at").type) == "timestamp[us, tz=UTC]"
    assert table.column("model").to_pylist() == ["tiny"] * 7


def test_parquet_of_nothing_is_a_table_without_rows(house):
    data = b"".join(house.usage.export(house.everyone(**day()), "parquet"))
    assert pq.read_table(io.BytesIO(data)).num_rows == 0


def test_export_holds_nobody_elses_calls_and_no_prompt(house):
    house.add()
    house.add(user=house.ben)
    rows = read_csv(house, house.own(**day()))
    assert [row["user_id"] for row in rows] == [str(house.ana)]
    assert not {"messages", "prompt", "content"} & set(rows[0])

"""Answers of models that think first, from a server's own stream to the figures that are stored."""

from __future__ import annotations

import csv
import io
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from chatplay.providers.openai import OpenAIProvider
from chatplay.usage.service import Usage
from chatplay.usage.values import UsageFilter
from db.engine import migrate
from tests import upstream as mock
from tests.db.chat_rig import rig

THOUGHTS, WORDS = 20, 51


class Paced:
    """A provider whose answers take the time we say: a second for each piece of reasoning, 20 ms for each word."""

    name = "scripted"

    def __init__(self, inner: OpenAIProvider) -> None:
        self._inner = inner
        self.now_sec = 1_000.0

    async def stream(self, request):
        async with aclosing(self._inner.stream(request)) as chunks:
            async for chunk in chunks:
                self.now_sec += 0.02 if chunk.text else 1.0
                yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.fixture
def server():
    with mock.Upstream() as server:
        yield server


@pytest.fixture
def house(server, database_url):
    provider = Paced(OpenAIProvider("scripted", base_url=server.base_url))
    with rig(database_url, provider=provider, clock=lambda: provider.now_sec) as house:
        yield house
        house.process.generations.hub.submit(provider.aclose()).result(timeout=10)


def asked(house, server, details, *pieces):
    """The stored metrics of an answer in these pieces. `details` of its usage; None: none is reported."""
    events = [*pieces, mock.delta(finish="stop")]
    if details is not None:
        events.append(mock.usage_chunk(3, 2_050) | {"usage": mock.usage(3, 2_050) | details})
    server.script(mock.raw(*map(mock.event, events), mock.DONE, before=()))
    return house.view(house.ask().user_message.session_id).messages[-1].metrics


def thinking(field="reasoning_content"):
    return [mock.delta(**{field: "hm "})] * THOUGHTS + [mock.delta("word ")] * WORDS


def reporting(reasoning_tokens):
    return {"completion_tokens_details": {"reasoning_tokens": reasoning_tokens}}


TEXT_SEC = (WORDS - 1) * 0.02
BOTH_SEC = (THOUGHTS - 1) * 1.0 + WORDS * 0.02


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize(
    ("usage", "tokens", "span_sec"),
    [
        (reporting(2_000), 50, TEXT_SEC),
        ({}, 2_050, BOTH_SEC),
        (reporting(0), 2_050, BOTH_SEC),
        (reporting(9_999), 2_050, BOTH_SEC),
    ],
    ids=["reported", "not reported", "reported as none", "reported as more than all"],
)
def test_decode_speed_of_a_model_that_reasons_is_stored_as_it_was(house, server, field, usage, tokens, span_sec):
    metrics = asked(house, server, usage, *thinking(field))
    with house.store.reading() as conn:
        row = conn.execute(text("SELECT tokens_per_second, connect_ms + ttft_ms AS first_word_ms FROM usage")).one()
    assert metrics.tokens_per_second == row.tokens_per_second == pytest.approx((tokens - 1) / span_sec)
    assert row.first_word_ms == pytest.approx(THOUGHTS * 1000 + 20)
    assert metrics.reasoning_ms == pytest.approx((THOUGHTS - 1) * 1000 + 20)
    assert metrics.completion_tokens == 2_050


def test_reported_reasoning_tokens_are_kept_with_the_answer(house, server):
    assert asked(house, server, reporting(2_000), *thinking()).reasoning_tokens == 2_000
    assert asked(house, server, {}, *thinking()).reasoning_tokens is None


def test_reasoning_tokens_are_in_the_usage_log_and_its_export(house, server):
    asked(house, server, reporting(2_000), *thinking())
    now = datetime.now(UTC)
    usage = Usage(store=house.store, now=lambda: now)
    everything = UsageFilter(None, now - timedelta(hours=1), now + timedelta(hours=1))
    (row,) = csv.DictReader(io.StringIO(b"".join(usage.export(everything, "csv")).decode("utf-8-sig")))
    table = pq.read_table(io.BytesIO(b"".join(usage.export(everything, "parquet"))))
    assert row["reasoning_tokens"] == "2000"
    assert table["reasoning_tokens"].to_pylist() == [2_000]
    assert usage.get_call(UUID(row["generation_id"]), user_id=house.user_id).call.reasoning_tokens == 2_000


def test_reasoning_tokens_kept_with_answers_alone_are_taken_over_by_the_migration(house, server, engine):
    asked(house, server, reporting(2_000), *thinking())
    with engine.begin() as conn:
        conn.execute(text("ALTER TABLE usage DROP COLUMN reasoning_tokens"))
        conn.execute(text("UPDATE alembic_version SET version_num = '0012'"))
    migrate(engine)
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT reasoning_tokens FROM usage")) == 2_000


def test_reasoning_that_is_counted_but_never_sent_is_left_out_of_the_speed(house, server):
    metrics = asked(house, server, reporting(2_000), *[mock.delta("word ")] * WORDS)
    assert metrics.tokens_per_second == pytest.approx(49 / TEXT_SEC)
    assert (metrics.reasoning_tokens, metrics.reasoning_ms) == (2_000, None)


def test_tokens_we_count_ourselves_are_those_of_the_text(house, server):
    metrics = asked(house, server, None, *thinking())
    assert metrics.tokens_estimated
    assert metrics.tokens_per_second == pytest.approx((metrics.completion_tokens - 1) / TEXT_SEC)


def test_model_that_does_not_reason_is_measured_as_ever(house, server):
    metrics = asked(house, server, {}, *[mock.delta("word ")] * WORDS)
    assert metrics.tokens_per_second == pytest.approx(2_049 / TEXT_SEC)
    assert (metrics.reasoning_tokens, metrics.reasoning_ms) == (None, None)


def test_answer_that_ends_while_it_reasons_has_no_speed(house, server):
    metrics = asked(house, server, reporting(2_050), *[mock.delta(reasoning_content="hm ")] * THOUGHTS)
    assert (metrics.tokens_per_second, metrics.ttft_ms) == (None, None)
    assert metrics.reasoning_ms == pytest.approx((THOUGHTS - 1) * 1000)

"""The event-stream decoder: the same events whatever the cuts and line ends."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatplay.providers import sse
from chatplay.providers.sse import EventTooLong, SseDecoder


def decode(stream, cuts=()):
    decoder, places = SseDecoder(), [0, *sorted(cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(places)]
    return [data for piece in pieces for data in decoder.feed(piece)] + decoder.flush()


STREAM = (
    ': hello\n\ndata: {"a": "日本"}\n\nevent: x\nid: 1\ndata:b\n\ndata: one\ndata: two\n\ndata: [DONE]\n\n'.encode()
)
EVENTS = ['{"a": "日本"}'.encode(), b"b", b"one\ntwo", b"[DONE]"]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_events_are_the_same_for_any_cuts_and_line_ends(cuts, line_end):
    assert decode(STREAM.replace(b"\n", line_end), cuts) == EVENTS


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_without_an_exception(noise):
    decode(noise)


def test_event_without_its_blank_line_comes_at_the_end():
    assert decode(b"data: last") == [b"last"]


def test_endless_line_is_refused(monkeypatch):
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    with pytest.raises(EventTooLong):
        decode(b"data: " + b"x" * 200)


@pytest.mark.parametrize("line", [b"data: xxxxxxxxxx\n", b"data:\n"])
def test_endless_event_is_refused(monkeypatch, line):
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    with pytest.raises(EventTooLong):
        decode(line * 200)


def test_long_line_in_many_pieces_takes_linear_work():
    decoder = SseDecoder()
    pieces = [b"data: ", *[b"x" * 50] * 150_000, b"\n\n"]
    assert [len(data) for piece in pieces for data in decoder.feed(piece)] == [150_000 * 50]

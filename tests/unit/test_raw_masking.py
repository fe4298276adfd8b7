"""What is handed on as it came loses its keys and nothing else, wherever a stream is cut."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatplay.providers.masking import MASK, Mask, RawMask
from tests.unit.cuts import SIZES, cut

WORDS = "correct-horse-battery"  # a key that texts end like
KEY = "sk-planted-5f2c9a7e1b"
SECRETS = (KEY, WORDS)
TEXTS = st.lists(st.sampled_from(["correct", "-horse", " sk-pl", "is ", "corr", "s", "c", "."]), max_size=9).map(
    "".join
)
LEAKY = st.lists(st.sampled_from([KEY, WORDS, "correct", "sk-pl", " is ", "."]), max_size=8).map("".join)


def ends_in_most_of_a_key(text):
    return any(text.endswith(secret[:length]) for secret in SECRETS for length in range(8, len(secret)))


def call(index, arguments):
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


def relayed(*deltas):
    """The choices that come out of a stream of these deltas, the held-back text of the plain one with the last."""
    raw_mask, mask = RawMask(SECRETS), Mask(SECRETS)
    shown = [
        raw_mask.feed({"index": 0, "delta": delta, "finish_reason": None}, mask.feed(delta.get("content") or ""))
        for delta in deltas
    ]
    held = mask.rest()
    last = raw_mask.rest(held)
    return [*shown, *([{"delta": {"content": held}}] if held and last is None else []), *([last] if last else [])]


def joined(choices):
    """As a client puts them together: each text by its name, tool calls by their index."""
    texts = defaultdict(str)
    for choice in choices:
        for name, part in choice["delta"].items():
            if name == "tool_calls":
                for one in part:
                    texts[one["index"]] += one["function"]["arguments"]
            else:
                texts[name] += part
    return dict(texts)


def woven(*streams):
    """Pieces of all streams in turns."""
    longest = max(map(len, streams))
    return [stream[place] for place in range(longest) for stream in streams if place < len(stream)]


@given(st.tuples(TEXTS, TEXTS, TEXTS, TEXTS), SIZES)
def test_every_text_comes_out_whole_however_it_was_cut(texts, sizes):
    said = {"content": texts[0], "reasoning_content": texts[1], 0: texts[2], 1: texts[3]}
    if any(map(ends_in_most_of_a_key, texts)):
        return  # the end is hidden as the key it is most of
    streams = [[{name: piece} for piece in cut(said[name], sizes)] for name in ("content", "reasoning_content")]
    streams += [[call(index, piece) for piece in cut(said[index], sizes)] for index in (0, 1)]
    assert joined(relayed(*woven(*streams))) == {name: text for name, text in said.items() if text}


@given(st.tuples(LEAKY, LEAKY, LEAKY), SIZES)
def test_no_cut_lets_a_key_through(texts, sizes):
    streams = [[{"content": piece} for piece in cut(texts[0], sizes)]]
    streams += [[call(index, piece) for piece in cut(text, sizes)] for index, text in enumerate(texts[1:])]
    for text in joined(relayed(*woven(*streams))).values():
        assert KEY not in text
        assert WORDS not in text


def test_parallel_calls_keep_their_own_ends():
    first, second = {"index": 0, "id": "c0", "type": "function"}, {"index": 1, "id": "c1", "type": "function"}
    choices = relayed(
        {"tool_calls": [{**first, "function": {"name": "f", "arguments": "is correct"}}]},
        {"tool_calls": [{**second, "function": {"name": "g", "arguments": "so"}}]},
    )
    assert [choice["delta"] for choice in choices[1:]] == [
        {"tool_calls": [{**second, "function": {"name": "g", "arguments": "so"}}]},
        call(0, "rect"),
    ]


def test_refusal_and_parts_of_a_content_get_their_ends_in_the_same_shape():
    raw_mask, mask = RawMask(SECRETS), Mask(SECRETS)
    assert raw_mask.feed({"delta": {"refusal": "is correct"}}, mask.feed("is correct")) == {
        "delta": {"refusal": "is cor"}
    }
    assert raw_mask.rest(mask.rest()) == {"index": 0, "delta": {"refusal": "rect"}}
    parts = [{"type": "text", "text": "is correct"}]
    raw_mask.feed({"delta": {"content": parts}}, "is cor")
    assert raw_mask.rest("")["delta"] == {"content": [{"type": "text", "text": "rect"}]}


def test_key_that_begins_in_plain_text_is_hidden_in_the_field_beside_a_reasoning():
    raw_mask, mask = RawMask(SECRETS), Mask(SECRETS)
    begun = mask.feed(KEY[:9])  # held nothing but text, so it was not handed on as it came
    ended = raw_mask.feed({"delta": {"content": KEY[9:], "reasoning": "Hm"}}, mask.feed(KEY[9:]))
    assert (begun, ended) == ("sk-", {"delta": {"content": MASK, "reasoning": "Hm"}})


def test_whole_answer_is_masked_in_one_go():
    calls = [
        {"id": "a", "function": {"arguments": f'{{"k": "{KEY}"}}'}},
        {"id": "correct", "function": {"arguments": "correct"}},
    ]
    message = {"role": "assistant", "content": f"{WORDS} is correct", "tool_calls": calls}
    shown = RawMask(SECRETS).whole({"index": 0, "message": message, "finish_reason": "correct"})
    assert (shown["message"]["content"], shown["finish_reason"]) == (f"{MASK} is correct", "correct")
    arguments = [one["function"]["arguments"] for one in shown["message"]["tool_calls"]]
    assert arguments == [f'{{"k": "{MASK}"}}', "correct"]
    assert [one["id"] for one in shown["message"]["tool_calls"]] == ["a", "correct"]


def test_what_names_a_call_is_never_cut():
    raw_mask = RawMask(SECRETS)
    piece = {"delta": {"role": "assistant", "tool_calls": [{"index": 0, "id": "correct", "type": "correct"}]}}
    assert raw_mask.feed(piece, "") == piece
    assert raw_mask.rest("") is None


# ---- log probabilities, which spell the text again ----


def entry(token):
    return {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": [{"token": token}]}


def probabilities(tokens, *, stream=True):
    raw_mask = RawMask(SECRETS)
    if not stream:
        return raw_mask.whole({"logprobs": {"content": list(map(entry, tokens))}})["logprobs"]["content"]
    choices = [raw_mask.feed({"delta": {}, "logprobs": {"content": [entry(token)]}}, "") for token in tokens]
    choices += [last] if (last := raw_mask.rest("")) else []
    return [one for choice in choices for one in choice["logprobs"]["content"]]


@pytest.mark.parametrize("stream", [True, False])
@given(TEXTS, SIZES)
def test_probabilities_of_a_text_without_keys_come_out_as_they_were(stream, text, sizes):
    tokens = cut(text, sizes)
    if not any(map(ends_in_most_of_a_key, (text, *tokens))):
        assert probabilities(tokens, stream=stream) == list(map(entry, tokens))


@pytest.mark.parametrize("stream", [True, False])
@given(LEAKY, SIZES)
def test_no_key_can_be_spelled_by_its_tokens(stream, text, sizes):
    shown = probabilities(cut(text, sizes), stream=stream)
    assert len(shown) == len(cut(text, sizes))
    for spelled in (
        "".join(one["token"] for one in shown),
        bytes(b for one in shown for b in one["bytes"] or []).decode(),
    ):
        assert KEY not in spelled
        assert WORDS not in spelled


TEXT, OBJECT, OBJECTS = "is correct", {"y": "is correct"}, [{"y": "is correct"}]


@pytest.mark.parametrize(
    ("values", "held_back"),
    [
        ((TEXT, OBJECT), "rect"),
        ((OBJECT, TEXT), {"y": "rect"}),
        ((OBJECTS, OBJECT), [{"y": "rect"}]),
        ((OBJECT, OBJECTS), [{"y": "rect"}]),
    ],
)
def test_field_of_another_shape_in_each_piece_comes_as_it_came_but_for_what_is_held_back(values, held_back):
    *shown, last = relayed(*({"x": value} for value in values))
    assert [choice["delta"]["x"] for choice in shown] == [_without_end(value) for value in values]
    assert last["delta"]["x"] == held_back


def test_list_in_a_list_comes_as_it_came():
    [shown] = relayed({"x": [["is correct"]]})
    assert shown["delta"]["x"] == [["is correct"]]


def _without_end(value):
    if isinstance(value, list):
        return [_without_end(part) for part in value]
    return value.removesuffix("rect") if isinstance(value, str) else {"y": value["y"].removesuffix("rect")}

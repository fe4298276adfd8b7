"""Counting tokens never downloads; prices are None when something is unknown."""

import pytest

from chatplay.prices import Price, cost_usd
from chatplay.providers.base import Message, Usage
from chatplay.tokens import ranks as tokens


class TwoLetters:
    """An encoding of two letters a token."""

    def encode_ordinary(self, text):
        return [text[at : at + 2] for at in range(0, len(text), 2)]


@pytest.fixture
def loaded(monkeypatch):
    monkeypatch.setattr(tokens, "_loaded", {"o200k_base": TwoLetters()})


@pytest.mark.parametrize(("text", "expected"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("日本語です", 2)])
def test_estimate_is_four_characters_a_token_rounded_up(text, expected):
    assert tokens.estimate_tokens(text) == expected


def test_count_without_loaded_ranks_is_an_estimate():
    assert tokens.count_tokens("abcdefgh", "gpt-4o") == tokens.TokenCount(2, estimated=True)


def test_count_with_loaded_ranks_is_exact(loaded):
    assert tokens.count_tokens("abcdefgh", "gpt-4o") == tokens.TokenCount(4, estimated=False)


def test_count_of_an_unknown_model_is_an_estimate(loaded):
    assert tokens.count_tokens("abcdefgh", "qwen").estimated


def test_count_of_a_text_without_blanks_does_not_wait_for_the_encoder(loaded):
    assert tokens.count_tokens("a" * 1_000_000, "gpt-4o").estimated


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o-mini", "o200k_base"),
        ("o3", "o200k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-oss-20b", "o200k_harmony"),
        ("qwen", None),
    ],
)
def test_encoding_follows_the_model(model, name):
    assert tokens.encoding_for(model) == name


def test_ranks_that_cannot_be_had_are_reported_not_raised(monkeypatch):
    def refuse(name):
        raise OSError("closed network")

    monkeypatch.setattr("tiktoken.get_encoding", refuse)
    assert tokens.load_ranks("o200k_base") is False


def test_usage_made_up_from_text_is_flagged():
    usage = tokens.estimate_usage([Message("user", "abcd")], "abcdefgh")
    assert usage == Usage(prompt_tokens=5, completion_tokens=2, estimated=True)


def test_cost_counts_cached_tokens_at_their_price():
    usage = Usage(prompt_tokens=1000, completion_tokens=100, cached_tokens=400)
    assert cost_usd(usage, Price(2.0, 8.0, 1.0)) == pytest.approx((600 * 2 + 400 * 1 + 100 * 8) / 1e6)
    assert cost_usd(usage, Price(2.0, 8.0)) == pytest.approx((1000 * 2 + 100 * 8) / 1e6)


def test_cost_of_the_unknown_is_none():
    assert cost_usd(None, Price(1, 1)) is None
    assert cost_usd(Usage(1, 1), None) is None

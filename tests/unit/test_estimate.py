"""Token estimates: the shape of a text, and what answers teach about it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatplay.tokens.estimate import DEFAULT_WEIGHTS, SHAPE, Calibration, estimate, shape_of
from tests.live import samples

TEXTS = st.text(max_size=200)
TRUTH = (6.0, 0.4, 0.18, 3.0, 1.0, 0.4, 0.3, 1.0, 1.3, 2.0)


def taught(texts, weights=TRUTH, start=None):
    """A calibration that saw a model count by `weights`."""
    known = start or Calibration()
    for text in texts:
        known = known.learn(shape_of(text), max(round(estimate(shape_of(text), weights)), 1))
    return known


def paragraphs(*places):
    return [samples.texts(kind)[place] for place in places for kind in samples.KINDS]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("", {}),
        ("Hello, world", {"words": 2, "letters": 10, "signs": 1, "sign_runs": 1}),
        ("für 12 Öfen", {"words": 2, "letters": 7, "accented": 2, "digits": 2}),
        ("a  b\nc\n\n", {"words": 3, "letters": 3, "blanks": 3}),
        ("日本語。", {"cjk": 4}),
        ("да 👍", {"other": 4}),
        ("x += f(y);", {"words": 3, "letters": 3, "signs": 5, "sign_runs": 3}),
    ],
)
def test_shape_counts_what_tokens_depend_on(text, counts):
    assert dict(zip(SHAPE, shape_of(text), strict=True)) == dict.fromkeys(SHAPE, 0) | {"messages": 1} | counts


@given(TEXTS)
def test_every_character_but_single_blanks_is_counted_once(text):
    shape = dict(zip(SHAPE, shape_of(text), strict=True))
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    counted = sum(shape[name] for name in ("letters", "digits", "signs", "cjk", "other"))
    assert counted == units - sum(text.count(blank) for blank in " \t\n\r")


@given(TEXTS, TEXTS)
def test_shape_of_two_messages_is_the_sum(one, two):
    assert shape_of(one, two) == tuple(map(sum, zip(shape_of(one), shape_of(two), strict=True)))


def test_untaught_estimate_is_about_four_characters_of_english_a_token():
    for text in samples.ENGLISH:
        assert 3.7 < len(text) / estimate(shape_of(text)) < 4.7


@pytest.mark.parametrize("kind", samples.KINDS)
def test_taught_estimate_is_within_a_tenth_on_texts_not_seen(kind):
    known = taught(paragraphs(0, 1, 4, 5))
    for place in (2, 3, 6, 7):
        shape = shape_of(samples.texts(kind)[place])
        assert estimate(shape, known.weights()) == pytest.approx(estimate(shape, TRUTH), rel=0.1)


def test_error_shown_is_that_of_the_estimates_before_each_answer():
    first = Calibration().learn(shape_of("one two three " * 20), 100)
    off = abs(estimate(shape_of("one two three " * 20)) - 100) / 100
    assert first.error_share == pytest.approx(off)
    assert taught(paragraphs(*range(8))).error_share < off


def test_error_is_known_after_a_few_answers_only():
    assert [taught(paragraphs(0)[:count]).is_known for count in (0, 4, 5)] == [False, False, True]


@pytest.mark.parametrize("reported", [0, -5, 3, 90_000])
def test_report_that_cannot_be_true_teaches_nothing(reported):
    known = taught(paragraphs(0, 1))
    assert known.learn(shape_of(samples.ENGLISH[5]), reported) is known


def test_one_strange_report_among_many_changes_little():
    known, shape = taught(paragraphs(*range(8))), shape_of(samples.GERMAN[3])
    before = estimate(shape, known.weights())
    after = estimate(shape, known.learn(shape, round(before * 4)).weights())
    assert after == pytest.approx(before, rel=0.05)


def test_another_tokenizer_behind_the_same_name_is_learned_anew():
    other = tuple(weight * 1.6 for weight in TRUTH)
    known = taught(paragraphs(*range(8)) * 20, weights=other, start=taught(paragraphs(*range(8)) * 5))
    shape = shape_of(samples.ENGLISH[2])
    assert estimate(shape, known.weights()) == pytest.approx(estimate(shape, other), rel=0.1)


@settings(max_examples=60)
@given(st.lists(st.tuples(TEXTS, st.integers(-10, 5_000)), max_size=30))
def test_weights_stay_finite_and_never_negative_whatever_is_reported(answers):
    known = Calibration()
    for text, tokens in answers:
        known = known.learn(shape_of(text), tokens)
    assert all(0 <= weight < 1_000 for weight in known.weights())
    assert 0 <= known.error_share <= 1


def test_without_answers_the_defaults_hold():
    assert Calibration().weights() == DEFAULT_WEIGHTS

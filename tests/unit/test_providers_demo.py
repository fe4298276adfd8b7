"""The Demo models: every setting acts, seeds repeat, Markdown stays whole."""

import asyncio
import itertools

import pytest

from chatplay.errors import ModelUnknown
from chatplay.experiments import judging
from chatplay.experiments.values import JudgePlan, ModelRef
from chatplay.params import Params
from chatplay.providers.base import Message, Request
from chatplay.providers.demo import DEMO_MODELS, DemoProvider, StopText
from chatplay.providers.demo_text import PAGES
from chatplay.providers.ngram import split_tokens

PROMPT = "What does temperature do?"


def run(prompt=PROMPT, *, model="demo-small", stream=True, earlier=(), **params):
    """Texts, End and pauses; requests without a seed draw 1, 2, 3..."""
    pauses, seeds = [], itertools.count(1)

    async def sleep(sec):
        pauses.append(sec)

    async def collect():
        provider = DemoProvider(sleep=sleep, draw_seed=lambda: next(seeds))
        asked = Request(model, (*earlier, Message("user", prompt)), Params(**params), stream)
        return [chunk async for chunk in provider.stream(asked)]

    *chunks, last = asyncio.run(collect())
    return [chunk.text for chunk in chunks], last.end, pauses


def text(prompt=PROMPT, **settings):
    return "".join(run(prompt, **settings)[0])


def judged(*answers, rubric="Does it name the seed and the dice?", **settings):
    plan = JudgePlan(ModelRef("demo-small", "demo"), rubric, pairs=len(answers) > 1)
    task, material = judging.ask(plan, values={}, prompt=PROMPT, answers=answers)
    said = text(material.content, earlier=(task,), max_tokens=512, **settings)
    return judging.read(said, pairs=plan.pairs)


def test_asked_to_judge_it_gives_the_same_readable_verdict_each_time_and_says_what_it_is_worth():
    good, poor = judged("The seed is the dice of temperature."), judged("No.")
    assert good == judged("The seed is the dice of temperature.", seed=7)
    assert 1 >= good.score > poor.score == 0
    assert "understands nothing" in good.reason


def test_asked_to_choose_it_names_the_same_answer_in_either_place():
    good, poor = "The seed is the dice of temperature.", "No."
    winners = [judged(good, poor).winner, judged(poor, good).winner, judged(good, good).winner]
    assert winners == ["left", "right", "tie"]


def test_a_verdict_keeps_to_max_tokens_and_a_chat_about_verdicts_is_a_chat():
    plan = JudgePlan(ModelRef("demo-small", "demo"), "Good?")
    task, material = judging.ask(plan, values={}, prompt=PROMPT, answers=("Yes.",))
    assert len(run(material.content, earlier=(task,), max_tokens=4)[0]) == 4
    assert not text(task.content).startswith("{")


def test_temperature_zero_repeats_without_a_seed():
    assert text(temperature=0.0, seed=1) == text(temperature=0.0, seed=2)


def test_same_seed_repeats_and_another_differs():
    assert text(seed=1) == text(seed=1)
    assert len({text(seed=seed) for seed in range(8)}) > 4


def test_higher_temperature_varies_more():
    def variety(temperature):
        return len({text(seed=seed, temperature=temperature, max_tokens=40) for seed in range(20)})

    assert variety(0.0) == 1
    assert variety(0.2) < variety(1.0)


def test_tiny_top_p_leaves_only_the_likeliest():
    assert text(temperature=1.0, top_p=0.0, seed=3) == text(temperature=0.0)


def test_max_tokens_ends_with_length_and_exact_usage():
    texts, end, _ = run(max_tokens=20, seed=1)
    assert (end.finish_reason, end.usage.completion_tokens, len(texts)) == ("length", 20, 20)
    assert end.usage.prompt_tokens == len(split_tokens(PROMPT))


def test_answer_that_ends_by_itself_says_stop():
    _, end, _ = run(temperature=0.0, max_tokens=1024)
    assert end.finish_reason == "stop"


def test_stop_text_is_never_shown_even_when_split_over_tokens():
    assert " freely a" in text(temperature=0.0)
    cut = text(temperature=0.0, stop=(" freely a",))
    assert text(temperature=0.0).startswith(cut + " freely a")


@pytest.mark.parametrize("name", ["frequency_penalty", "presence_penalty"])
def test_penalty_makes_words_repeat_less(name):
    def repeats(value):
        words = [text(seed=seed, max_tokens=80, temperature=1.0, **{name: value}).split() for seed in range(12)]
        return sum(len(answer) - len(set(answer)) for answer in words) / sum(map(len, words))

    assert repeats(2.0) < repeats(0.0)


@pytest.mark.parametrize(
    ("prompt", "word"), [("How do I bake bread?", "loaf"), ("some python code", "program"), ("my cats", "cat")]
)
def test_answer_is_about_the_prompt(prompt, word):
    assert word in text(prompt, temperature=0.0)


def test_page_already_told_makes_room_for_another():
    told = text(temperature=0.0)
    assert text(temperature=0.0, earlier=(Message("assistant", told),)) != told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.keywords.split()[0])
def test_markdown_blocks_come_whole(page):
    for seed in range(3):
        answer = text(page.keywords, seed=seed, temperature=1.0, max_tokens=1024)
        assert answer.count("```") % 2 == 0
        assert all("\n" + row in page_rows() for row in _rows(answer))


def page_rows():
    return "\n".join(page.text for page in PAGES)


def _rows(answer):
    return [line for line in answer.split("\n") if line.startswith(("- ", "| ", "> ", "1. "))]


def test_first_token_waits_longer_for_a_longer_prompt():
    assert run("word " * 2000, seed=1)[2][0] > run("word", seed=1)[2][0] + 0.3


def test_pace_is_about_forty_words_a_second_and_uneven():
    pauses = run(seed=1, temperature=0.0)[2][1:]
    assert 0.02 < sum(pauses) / len(pauses) < 0.03
    assert max(pauses) > min(pauses) * 1.5


def test_not_streamed_answer_is_the_same_text():
    assert run(seed=1, stream=False)[0] == [text(seed=1)]


def test_models_answer_differently_and_the_large_one_is_slower():
    small, large = (run(model=model, seed=1, temperature=1.0) for model in DEMO_MODELS)
    assert small[0] != large[0]
    assert large[2][0] > small[2][0]


def test_unknown_demo_model_is_refused_by_name():
    with pytest.raises(ModelUnknown, match="demo-huge"):
        run(model="demo-huge")


@pytest.mark.parametrize("prompt", ["", "qwertz", "日本", "a" * 5000, "a" + " \n" * 250_000])
def test_any_prompt_gets_an_answer(prompt):
    assert text(prompt, seed=1)


def test_stop_text_holds_back_only_what_may_become_one():
    stop = StopText(("END",))
    assert [stop.feed("a E"), stop.feed("N"), stop.feed("x EN"), stop.rest()] == ["a ", "", "ENx ", "EN"]
    assert not stop.hit


def test_first_words_of_demo_tell_already_what_was_sent():
    async def collect():
        asked = Request("demo-small", (Message("user", "Hi"),), Params(), True)
        return [chunk async for chunk in DemoProvider(sleep=lambda sec: asyncio.sleep(0)).stream(asked)]

    first, *_, last = asyncio.run(collect())
    assert first.opening.fingerprint == last.end.fingerprint

"""How much of a context window a thread takes, and what is left out of it. Counted by the untaught estimate."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from chatplay.chats import window
from chatplay.chats.values import MessageRecord
from chatplay.generation.values import AnswerMetrics
from chatplay.models.catalog import ModelInfo
from chatplay.params import Params
from chatplay.tokens.counting import TokenCounter
from tests.unit.test_counting import Untaught

COUNTER = TokenCounter(calibrations=Untaught(), server=None, ranks=None)
CHAT = uuid4()
LONG_SYSTEM = "You weigh every word before you answer, and say nothing twice. " * 300


def model(**given):
    return ModelInfo("tiny", "gpu", "openai", "vllm", **({"context_tokens": 6_000} | given))


def message(number, role, content, metrics=None):
    return MessageRecord(number, CHAT, number - 1 or None, role, content, "complete", metrics, None, datetime.now(UTC))


def reported(prompt, completion, *, system="", **given):
    about = {"provider": "gpu", "model": "tiny", "params": Params(system_prompt=system)}
    return AnswerMetrics(**(about | {"prompt_tokens": prompt, "completion_tokens": completion} | given))


def count(thread, system="", of=None):
    params = Params(system_prompt=system)
    return window.count_thread(thread, params=params, model=of or model(), counter=COUNTER, whole=True)


def counted(messages):
    """Tokens of what is sent, by the same counter."""
    return COUNTER.count([one.content for one in messages], model()).tokens


def turns(many, words):
    """So many turns without a usage, and a last prompt."""
    said = [message(n, ("user", "assistant")[(n - 1) % 2], f"{n} " + words) for n in range(1, 2 * many + 1)]
    return (*said, message(2 * many + 1, "user", "And now?"))


def test_leaving_out_turns_frees_what_they_take_and_nothing_of_the_system_prompt():
    thread, params = turns(12, "a word about the river " * 20), Params(system_prompt=LONG_SYSTEM, max_tokens=500)
    assert count(thread, LONG_SYSTEM).tokens + 500 > 6_000
    plan = window.plan(thread, params=params, model=model(), policy="drop_oldest", counter=COUNTER)
    assert plan.omitted_messages
    assert counted(plan.messages) + 500 <= 6_000
    left_out = counted(thread[: plan.omitted_messages])
    assert plan.omitted_tokens == pytest.approx(left_out, rel=0.05)


def test_a_system_prompt_that_was_taken_away_is_no_longer_counted():
    thread = (message(1, "user", "Hi"), message(2, "assistant", "Hello.", reported(5_800, 20, system=LONG_SYSTEM)))
    found = count(thread)
    assert (found.tokens < 5_820 - counted([message(1, "user", LONG_SYSTEM)]) + 100, found.estimated) == (True, True)


def test_a_system_prompt_that_became_shorter_never_eats_what_the_thread_takes():
    said = "many words about a river " * 40
    metrics = reported(900, 20, system=LONG_SYSTEM)  # its server needs fewer tokens for such a prompt than we think
    thread = (message(1, "user", said), message(2, "assistant", "Fine.", metrics))
    found = count(thread, "Be brief.")
    assert found.tokens >= counted(thread) + counted([message(1, "user", "Be brief.")])


def test_an_unchanged_system_prompt_leaves_the_reported_count_alone():
    thread = (message(1, "user", "Hi"), message(2, "assistant", "Hello.", reported(5_800, 20, system=LONG_SYSTEM)))
    found = count(thread, LONG_SYSTEM)
    assert (found.tokens, found.method, found.estimated) == (5_820, "reported", False)


def test_a_system_prompt_is_not_counted_for_a_model_that_takes_none():
    deaf = model(supports_system_prompt=False)
    thread = (message(1, "user", "Hi"), message(2, "assistant", "Hello.", reported(40, 7, system="Be brief.")))
    found = count(thread, "Something else, and longer than that.", of=deaf)
    assert (found.tokens, found.method) == (47, "reported")


def test_reasoning_is_not_part_of_the_next_prompt():
    thread = (message(1, "user", "Hi"), message(2, "assistant", "Hello.", reported(60, 7_600, reasoning_tokens=7_500)))
    found = count(thread, of=model(context_tokens=32_000))
    assert (found.tokens, found.method, found.estimated) == (160, "reported", False)


def test_reasoning_that_was_not_counted_leaves_an_estimate_of_what_was_said():
    thread = (message(1, "user", "Hi"), message(2, "assistant", "Hello.", reported(60, 7_600, reasoning_ms=900.0)))
    found = count(thread, of=model(context_tokens=32_000))
    assert (found.tokens, found.estimated) == (60 + counted([message(1, "assistant", "Hello.")]), True)


@pytest.mark.parametrize("other", [{"model": "big"}, {"provider": "elsewhere"}])
def test_what_another_model_reported_is_an_estimate_for_this_one(other):
    thread = (message(1, "user", "Hi"), message(2, "assistant", "Hello.", reported(40, 7, **other)))
    found = count(thread)
    assert (found.tokens, found.method, found.estimated) == (47, "estimate", True)

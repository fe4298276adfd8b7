"""A model that takes no such parameter is asked again without it, once, and the answer says what had no effect."""

import asyncio

import pytest

from chatplay.errors import ParameterRefused
from chatplay.params import Params
from chatplay.providers.base import Message, Request
from chatplay.providers.openai import OpenAIProvider
from tests import upstream as mock


@pytest.fixture
def server():
    with mock.Upstream(default=mock.answer("Hello")) as server:
        yield server


def refusing(message, param=None, code=None):
    return mock.refuse(400, {"message": message, "param": param, "code": code, "type": "invalid_request_error"})


def ask(server, *, times=1, params=None, known=None, forgets=False):
    """The end of the last answer, and what was learned."""
    learned = []

    async def run():
        provider = OpenAIProvider("lab", base_url=server.base_url, on_learned=lambda *news: learned.append(news))
        if known:
            provider.know_refused({"m": known})
        if forgets:
            provider.know_refused({})
        request = Request("m", (Message("user", "Hi"),), params or Params(seed=1, stop=("x",)))
        try:
            for _ in range(times):
                chunks = [chunk async for chunk in provider.stream(request)]
        finally:
            await provider.aclose()
        return chunks[-1].end

    return asyncio.run(run()), learned


@pytest.mark.parametrize(
    ("message", "param", "code", "name"),
    [
        ("Unsupported parameter: 'seed' is not supported with this model.", "seed", "unsupported_parameter", "seed"),
        (
            "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is "
            "supported.",
            "temperature",
            "unsupported_value",
            "temperature",
        ),
        ("Unrecognized request argument supplied: top_p", None, None, "top_p"),
        ("`stop` is not allowed for this model", None, None, "stop"),
    ],
)
def test_refused_parameter_is_left_out_learned_and_told(server, message, param, code, name):
    server.script(refusing(message, param, code))
    end, learned = ask(server, times=2)
    assert end.ignored_params == (name,)
    assert learned == [(server.base_url, "m", name)]
    assert [name in request.body for request in server.chats] == [True, False, False]


def test_several_refused_parameters_are_left_out_one_after_the_other(server):
    server.script(*(refusing(f"Unsupported parameter: '{name}'", name) for name in ("temperature", "top_p")))
    end, learned = ask(server)
    assert end.ignored_params == ("temperature", "top_p")
    assert len(learned) == 2


def test_nothing_is_learned_when_leaving_it_out_did_not_help(server):
    server.default = refusing("Unsupported parameter: 'seed'", "seed")
    learned = []

    async def run():
        provider = OpenAIProvider("lab", base_url=server.base_url, on_learned=lambda *news: learned.append(news))
        try:
            await anext(provider.stream(Request("m", (Message("user", "Hi"),), Params(seed=1))))
        finally:
            await provider.aclose()

    with pytest.raises(ParameterRefused):
        asyncio.run(run())
    assert learned == []


def test_value_out_of_bounds_is_the_persons_to_change_and_not_learned(server):
    server.script(refusing("Invalid 'temperature': must be less than or equal to 2.", "temperature"))
    with pytest.raises(ParameterRefused):
        ask(server)
    assert len(server.chats) == 1


def test_max_tokens_is_never_left_out(server):
    server.script(refusing("Unsupported parameter: 'max_tokens'", "max_tokens"))
    with pytest.raises(ParameterRefused):
        ask(server)


def test_parameter_refused_though_it_was_not_sent_is_an_error(server):
    server.default = refusing("Unsupported parameter: 'seed'", "seed")
    with pytest.raises(ParameterRefused):
        ask(server)
    assert len(server.chats) == 2


def test_parameter_another_process_learned_about_is_not_sent(server):
    end, learned = ask(server, known=["seed"])
    assert (end.ignored_params, learned) == (("seed",), [])
    assert "seed" not in server.chats[0].body


def test_parameter_that_all_processes_forgot_is_sent_again(server):
    end, _ = ask(server, known=["seed"], forgets=True)
    assert end.ignored_params == ()
    assert "seed" in server.chats[0].body


def test_parameter_that_was_not_set_is_not_told(server):
    end, _ = ask(server, known=["seed"], params=Params())
    assert end.ignored_params == ()


def test_metrics_keep_what_had_no_effect():
    from chatplay.generation.values import AnswerMetrics

    metrics = AnswerMetrics(provider="lab", model="m", ignored_params=("seed",))
    assert AnswerMetrics.from_json(metrics.to_json()) == metrics
    assert "ignored_params" not in AnswerMetrics(provider="lab", model="m").to_json()

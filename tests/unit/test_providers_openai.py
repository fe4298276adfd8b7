"""The OpenAI-compatible provider against a scriptable upstream: answers read, requests sent, connections closed."""

import asyncio
import threading

import pytest

from chatplay.errors import ProviderBadAnswer
from chatplay.params import Params
from chatplay.providers.openai import OpenAIProvider
from tests import upstream as mock
from tests.unit.openai_provider_rig import QUICK_SILENCE, ask, collect, request

# ---- answers ----


def test_answer_streamed_comes_in_order_with_usage_and_reason(upstream):
    upstream.script(mock.answer("Hel", "lo", " you"))
    text, end, error = ask(upstream)
    assert (text, error) == ("Hello you", None)
    assert (end.finish_reason, end.usage.prompt_tokens, end.usage.completion_tokens) == ("stop", 3, 3)
    assert (end.model, end.request_id, end.system_fingerprint) == (mock.MODEL, "req_mock", "fp_mock")
    assert end.connect_ms > 0


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("split-utf8", "naïve 日本語 👩‍👩‍👧 ü"),
        ("usage-in-finish", "Hello there"),
        ("usage-missing", "Hello there"),
        ("length", "Hello there"),
    ],
)
def test_answer_in_any_packaging_is_read_whole(upstream, script, expected):
    text, _, error = ask(upstream, request(script))
    assert (text, error) == (expected, None)


def test_usage_in_finish_chunk_is_taken_and_missing_stays_none(upstream):
    assert ask(upstream, request("usage-in-finish"))[1].usage.completion_tokens == 2
    assert ask(upstream, request("usage-missing"))[1].usage is None


def test_answer_not_streamed_is_one_chunk_and_the_end(upstream):
    upstream.script(mock.answer("Hel", "lo"))
    text, end, _ = ask(upstream, request(stream=False))
    assert (text, end.finish_reason, end.usage.completion_tokens) == ("Hello", "stop", 2)


def test_server_that_ignores_stream_is_understood(upstream):
    upstream.script(mock.payload(200, mock.whole("All at once")))
    assert ask(upstream)[0] == "All at once"


def test_reset_after_the_finish_reason_is_a_complete_answer(upstream):
    finish = mock.event(mock.delta(finish="stop"))
    upstream.script(mock.raw(finish, then=(mock.Wait(0.05), mock.Reset())))
    text, end, error = ask(upstream)
    assert (text, end.finish_reason, error) == ("Hello there", "stop", None)


def test_hang_after_the_finish_reason_is_a_complete_answer(upstream):
    upstream.script(mock.raw(mock.event(mock.delta(finish="stop")), then=(mock.Hang(),)))
    assert ask(upstream, limits=QUICK_SILENCE)[1].finish_reason == "stop"


def test_reasoning_keeps_the_stream_alive_and_is_no_text(upstream):
    thought = mock.Body(mock.event(mock.delta(reasoning_content="hm")))
    pauses = [step for _ in range(4) for step in (thought, mock.Wait(0.15))]
    end = mock.Body(mock.event(mock.delta("Yes", finish="stop")) + mock.DONE)
    upstream.script(mock.steps(mock.Head(), *pauses, end))
    assert ask(upstream, limits=QUICK_SILENCE)[0] == "Yes"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_shows_as_signs_of_life_for_whoever_watches(upstream, name):
    async def run():
        provider = OpenAIProvider(base_url=upstream.base_url)
        chunks = [chunk async for chunk in provider.stream(request())]
        await provider.aclose()
        return [(chunk.text, chunk.reasons, chunk.end is None) for chunk in chunks]

    thought = mock.event(mock.delta(**{name: "hm"}))
    upstream.script(mock.raw(thought, mock.event(mock.delta("Yes", finish="stop")), mock.DONE, before=()))
    assert asyncio.run(run()) == [("", True, True), ("Yes", False, True), ("", False, False)]


def test_slow_reader_is_not_taken_for_a_silent_server(upstream):
    async def run():
        provider = OpenAIProvider(base_url=upstream.base_url, limits=QUICK_SILENCE)
        texts = []
        async for chunk in provider.stream(request()):
            texts.append(chunk.text)
            await asyncio.sleep(0.5)
        await provider.aclose()
        return "".join(texts)

    upstream.script(mock.answer("a", "b", "c", "d", delay_sec=0.05))
    assert asyncio.run(run()) == "abcd"


def test_lone_surrogates_and_nul_become_replacement_characters(upstream):
    halves = [rb'"\ud83d"', rb'"\ude00 "', rb'"a\u0000b\udc00"']
    events = [b'data: {"choices":[{"delta":{"content":' + half + b"}}]}\n\n" for half in halves]
    upstream.script(mock.raw(*events, mock.DONE, before=()))
    assert ask(upstream)[0] == "😀 a\ufffdb\ufffd"


def test_first_token_and_silence_limits_differ(upstream):
    upstream.script(mock.answer("a", "b", first_delay_sec=0.6))
    assert ask(upstream, limits=QUICK_SILENCE)[0] == "ab"


def test_sizes_add_up_to_the_bytes_of_the_body(upstream):
    async def run():
        provider = OpenAIProvider(base_url=upstream.base_url)
        chunks = [chunk async for chunk in provider.stream(request("usage-missing"))]
        await provider.aclose()
        return sum(chunk.size_bytes for chunk in chunks)

    expected = sum(len(step.data) for step in mock.SCRIPTS["usage-missing"](_streamed()) if isinstance(step, mock.Body))
    assert asyncio.run(run()) == expected


def _streamed():
    return mock.Recorded("POST", "/v1/chat/completions", {}, {"stream": True}, 1, 0.0)


def test_first_words_tell_already_what_was_sent(upstream):
    upstream.script(mock.answer("Hel", "lo"))

    async def run():
        provider = OpenAIProvider("lab", base_url=upstream.base_url)
        found = [chunk async for chunk in provider.stream(request())]
        await provider.aclose()
        return found

    first, *_, last = asyncio.run(run())
    assert first.opening.fingerprint == last.end.fingerprint
    assert first.opening.sent["model"] == mock.MODEL


# ---- requests ----


def test_request_sends_no_null_and_no_default_penalty(upstream):
    ask(upstream, request(params=Params(seed=None, stop=())))
    body = upstream.wait_for_request().body
    assert None not in body.values()
    assert body["max_tokens"] == 512
    assert body["stream_options"] == {"include_usage": True}
    assert not {"seed", "stop", "presence_penalty", "frequency_penalty"} & set(body)


def test_request_sends_what_is_set(upstream):
    _, end, _ = ask(upstream, request(params=Params(seed=7, stop=("END",), presence_penalty=0.5)))
    body = upstream.wait_for_request().body
    assert (body["seed"], body["stop"], body["presence_penalty"]) == (7, ["END"], 0.5)
    assert end.sent == {key: value for key, value in body.items() if key != "messages"}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("o3-mini", "max_completion_tokens"),
        ("gpt-5-mini", "max_completion_tokens"),
        ("gpt-4o", "max_tokens"),
        ("qwen", "max_tokens"),
    ],
)
def test_token_limit_is_named_as_the_model_wants_it(upstream, model, name):
    ask(upstream, request(model, params=Params(max_tokens=300)))
    assert upstream.wait_for_request().body[name] == 300


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        ("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "max_tokens"),
        ("Unrecognized request argument supplied: stream_options", "stream_options"),
    ],
)
def test_dialect_named_in_a_refusal_is_learned(upstream, said, gone):
    upstream.script(mock.refuse(400, {"message": said}), mock.answer("Fine"))
    assert ask(upstream, request(params=Params()))[0] == "Fine"
    assert gone not in upstream.wait_for_request(2).body


def test_login_in_the_base_url_is_sent_and_not_logged(upstream, caplog):
    caplog.set_level("DEBUG")
    ask(
        upstream, request("usage-missing"), base_url=upstream.base_url.replace("//", "//me:hunter2@"), key="sk-planted1"
    )
    assert upstream.wait_for_request().headers["authorization"].startswith("Basic ")
    assert "hunter2" not in caplog.text
    assert "sk-planted1" not in caplog.text


def test_stream_is_asked_for_uncompressed(upstream):
    ask(upstream, request("usage-missing"), key="sk-planted1")
    headers = upstream.wait_for_request().headers
    assert (headers["accept-encoding"], headers["authorization"]) == ("identity", "Bearer sk-planted1")


def test_local_server_needs_no_key(upstream):
    upstream.script(mock.answer("Hi"))
    assert ask(upstream)[0] == "Hi"


def test_lone_surrogate_in_a_message_is_sent_replaced(upstream):
    upstream.script(mock.answer("Hi"))
    assert ask(upstream, request(text="a\ud800b"))[0] == "Hi"
    assert upstream.wait_for_request().body["messages"][0]["content"] == "a\ufffdb"


# ---- connections ----


async def start(upstream, count=2):
    """A stream that has yielded `count` chunks and hangs, its provider, and the upstream's record of it."""
    provider = OpenAIProvider(base_url=upstream.base_url)
    chunks = provider.stream(request("hang-mid-stream"))
    for _ in range(count):
        await anext(chunks)
    return provider, chunks, upstream.wait_for_request()


def left_at(upstream, record):
    upstream.wait_until(lambda: record.disconnected_at is not None)
    return record.disconnected_at


def test_closing_the_generator_closes_the_connection(upstream):
    async def run():
        provider, chunks, record = await start(upstream)
        await chunks.aclose()
        await asyncio.to_thread(left_at, upstream, record)
        await provider.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("model", ["hang-mid-stream", "hang-before-headers", "hang-before-text"])
def test_cancelling_the_task_closes_the_connection(upstream, model):
    async def run():
        provider = OpenAIProvider(base_url=upstream.base_url)
        task = asyncio.create_task(collect(provider, request(model)))
        record = await asyncio.to_thread(upstream.wait_for_request)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(left_at, upstream, record)
        await provider.aclose()

    asyncio.run(run())


def test_closed_provider_hangs_up_after_the_answer_that_is_coming(upstream):
    gate = threading.Event()
    first, last = mock.event(mock.delta("Hello")), mock.event(mock.delta(" there", finish="stop"))
    upstream.script(mock.steps(mock.Head(), mock.Body(first), mock.Gate(gate), mock.Body(last), mock.Body(mock.DONE)))

    async def run():
        provider = OpenAIProvider(base_url=upstream.base_url)
        chunks = provider.stream(request())
        texts = [(await anext(chunks)).text]
        await provider.aclose()
        still_open = upstream.open_count
        gate.set()
        texts += [chunk.text async for chunk in chunks]
        await asyncio.to_thread(upstream.wait_until, lambda: upstream.open_count == 0)
        return still_open, "".join(texts)

    assert asyncio.run(run()) == (1, "Hello there")


def test_closed_provider_answers_who_comes_late_and_keeps_nothing_open(upstream):
    async def run():
        provider = OpenAIProvider(base_url=upstream.base_url)
        await provider.list_models()
        await provider.aclose()
        await asyncio.to_thread(upstream.wait_until, lambda: upstream.open_count == 0)
        _, end, _ = await collect(provider, request("usage-missing"))
        await asyncio.to_thread(upstream.wait_until, lambda: upstream.open_count == 0)
        return end, upstream.connection_count

    end, connections = asyncio.run(run())
    assert (end.finish_reason, connections) == ("stop", 2)


@pytest.mark.parametrize("data", [b'{"data": [', b"[" * 100_000, b'"\xff"'])
def test_model_list_that_cannot_be_read_is_a_bad_answer(upstream, data):
    kind = (("content-type", "application/json"), ("content-length", str(len(data))))
    upstream.routes["GET /v1/models"] = mock.steps(mock.Head(200, kind, chunked=False), mock.Body(data))

    async def run():
        provider = OpenAIProvider("lab", base_url=upstream.base_url)
        try:
            await provider.list_models()
        finally:
            await provider.aclose()

    with pytest.raises(ProviderBadAnswer):
        asyncio.run(run())


def test_connection_is_kept_for_the_next_answer(upstream):
    async def run():
        provider = OpenAIProvider(base_url=upstream.base_url)
        for _ in range(3):
            await collect(provider, request("usage-missing"))
        await provider.aclose()

    asyncio.run(run())
    assert {record.connection for record in upstream.chats} == {1}

"""The OpenAI-compatible provider against a scriptable upstream: answers, faults, closing, keys."""

import asyncio
import contextlib
import socket

import pytest

from chatplay import errors
from chatplay.params import Params
from chatplay.providers.base import Message, Request
from chatplay.providers.openai import Limits, OpenAIProvider
from tests import upstream as mock

PLAIN = Params(temperature=None, max_tokens=None, top_p=None, presence_penalty=None, frequency_penalty=None)


@pytest.fixture
def upstream():
    with mock.Upstream(default=mock.answer("Hello")) as server:
        yield server


def request(model=mock.MODEL, *, stream=True, params=PLAIN, text="Hi"):
    return Request(model, (Message("user", text),), params, stream)


async def collect(provider, asked):
    """The text that arrived, the End if one came, and the error if one was raised."""
    text, end, error = "", None, None
    try:
        async with contextlib.aclosing(provider.stream(asked)) as chunks:
            async for chunk in chunks:
                text, end = text + chunk.text, chunk.end
    except errors.ProviderError as caught:
        error = caught
    return text, end, error


def ask(upstream, asked=None, *, base_url=None, key=None, limits=None):
    async def run():
        provider = OpenAIProvider("lab", base_url=base_url or upstream.base_url, api_key=key, limits=limits)
        try:
            return await collect(provider, asked or request())
        finally:
            await provider.aclose()

    return asyncio.run(run())


# Short is only the limit that a test lets run out: a busy machine must not run out another.
QUICK_START = Limits(first_token_sec=0.2, whole_sec=0.2)
QUICK_SILENCE = Limits(silence_sec=0.4)


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


FAULTS = [
    ("unauthorized", errors.ProviderAuthFailed, ""),
    ("forbidden", errors.ProviderAuthFailed, ""),
    ("no-model", errors.ModelUnknown, ""),
    ("rate-limited", errors.RateLimited, ""),
    ("overflow", errors.ContextOverflow, ""),
    ("bad-parameter", errors.ParameterRefused, ""),
    ("server-error", errors.ProviderBadAnswer, ""),
    ("overloaded", errors.ProviderBadAnswer, ""),
    ("html", errors.ProviderBadAnswer, ""),
    ("html-error", errors.ProviderBadAnswer, ""),
    ("redirect", errors.ProviderBadAnswer, ""),
    ("refuse-stream", errors.StreamingUnsupported, ""),
    ("hang-before-headers", errors.ProviderSilent, ""),
    ("hang-before-text", errors.ProviderSilent, ""),
    ("hang-mid-stream", errors.ProviderSilent, "Hello there"),
    ("reset-mid-stream", errors.StreamCut, "Hello there"),
    ("cut-mid-stream", errors.StreamCut, "Hello there"),
    ("end-without-done", errors.StreamCut, "Hello there"),
    ("error-mid-stream", errors.StreamCut, "Hello there"),
    ("garbage", errors.ProviderBadAnswer, "Hello there"),
]


@pytest.mark.parametrize(("script", "kind", "kept"), FAULTS)
def test_fault_becomes_its_error_and_arrived_text_is_kept(upstream, script, kind, kept):
    limits = {"hang-before": QUICK_START, "hang-mid": QUICK_SILENCE}.get(script.rpartition("-")[0])
    text, end, error = ask(upstream, request(script), key="sk-secret123456", limits=limits)
    assert (type(error), text, end) == (kind, kept, None)
    assert (error.provider, error.model) == ("lab", script)
    assert "lab" in error.message
    assert script in error.message
    assert error.cure
    assert "sk-secret" not in str(error)
    assert "<html" not in str(error)


def test_every_provider_error_has_a_fault_that_raises_it():
    shown = {kind for _, kind, _ in FAULTS} | {errors.ProviderUnreachable}
    assert shown == set(errors.ProviderError.__subclasses__())


def test_rate_limit_carries_the_wait(upstream):
    _, _, error = ask(upstream, request("rate-limited"))
    assert error.retry_after_sec == 7
    assert "7 seconds" in error.cure


def test_rate_limit_tells_the_time_that_only_the_words_name(upstream):
    upstream.script(mock.refuse(429, {"message": "Rate limit reached. Please try again in 1m20s.", "code": None}))
    _, _, error = ask(upstream)
    assert (error.retry_after_sec, error.cure) == (80, "Try again in 2 minutes.")


def test_refused_parameter_is_named(upstream):
    assert ask(upstream, request("bad-parameter"))[2].param == "temperature"


def test_hang_without_streaming_ends_at_the_whole_limit(upstream):
    upstream.script(mock.steps(mock.Hang()))
    assert type(ask(upstream, request(stream=False), limits=QUICK_START)[2]) is errors.ProviderSilent


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


def test_reasoning_shows_as_signs_of_life_for_whoever_watches(upstream):
    async def run():
        provider = OpenAIProvider(base_url=upstream.base_url)
        chunks = [chunk async for chunk in provider.stream(request())]
        await provider.aclose()
        return [(chunk.text, chunk.end is None) for chunk in chunks]

    thought = mock.event(mock.delta(reasoning_content="hm"))
    upstream.script(mock.raw(thought, mock.event(mock.delta("Yes", finish="stop")), mock.DONE, before=()))
    assert asyncio.run(run()) == [("", True), ("Yes", True), ("", False)]


def test_comments_alone_do_not_keep_a_silent_stream_alive(upstream):
    ping = (mock.Body(b": ping\n\n"), mock.Wait(0.05))
    upstream.script(mock.steps(mock.Head(), *ping * 40))
    assert type(ask(upstream, limits=QUICK_START)[2]) is errors.ProviderSilent


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


SHAPES = [
    (400, {"object": "error", "message": "maximum context length is 4096 tokens", "code": 400}, errors.ContextOverflow),
    (400, {"error": {"code": 400, "type": "exceed_context_size_error", "message": "x"}}, errors.ContextOverflow),
    (400, {"error": "input length exceeds the context length"}, errors.ContextOverflow),
    (404, {"error": 'model "mock-model" not found, try pulling it first'}, errors.ModelUnknown),
    (404, {"detail": "Not Found"}, errors.ProviderBadAnswer),
    (422, {"detail": [{"loc": ["body", "top_p"], "msg": "too big"}]}, errors.ParameterRefused),
    (400, {"error": {"message": "max_tokens is too large: 9", "param": None}}, errors.ParameterRefused),
    (400, {"error": {"message": "no"}}, errors.ProviderBadAnswer),
    (200, {"error": {"message": "slow down", "code": 429}}, errors.RateLimited),
    (200, {"hello": "world"}, errors.ProviderBadAnswer),
    (200, ["not", "an", "object"], errors.ProviderBadAnswer),
    (429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}, errors.RateLimited),
]


@pytest.mark.parametrize(("status", "body", "kind"), SHAPES)
def test_refusal_in_another_servers_words_is_understood(upstream, status, body, kind):
    upstream.script(mock.payload(status, body))
    assert type(ask(upstream)[2]) is kind


def test_error_event_naming_a_rate_limit_is_one(upstream):
    upstream.script(mock.raw(mock.event({"error": {"message": "busy", "code": 429}})))
    assert type(ask(upstream)[2]) is errors.RateLimited


@pytest.mark.parametrize("value", ["Bearer sk-abcdef123456", "http://me:secret@host/v1 sk-abcdef123456"])
def test_server_that_quotes_a_secret_is_not_repeated(upstream, value):
    upstream.script(mock.refuse(500, {"message": f"boom {value}"}))
    shown = str(ask(upstream)[2])
    assert "boom" in shown
    assert "abcdef" not in shown
    assert "secret" not in shown


def test_base_url_credentials_are_not_shown():
    _, _, error = ask(None, base_url="http://me:hunter2@127.0.0.1:9/v1")
    assert type(error) is errors.ProviderUnreachable
    assert "hunter2" not in str(error)


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


def unused_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_refused_connection_says_that_nothing_listens():
    _, _, error = ask(None, base_url=f"http://127.0.0.1:{unused_port()}/v1")
    assert type(error) is errors.ProviderUnreachable
    assert "nothing listens" in error.message
    assert "127.0.0.1" not in str(error)  # addresses are for administrators


def test_unknown_host_says_so():
    _, _, error = ask(None, base_url="http://no-such-host.invalid/v1", limits=Limits(connect_sec=1))
    assert type(error) is errors.ProviderUnreachable


def test_plain_server_behind_https_is_a_tls_failure(upstream):
    _, _, error = ask(None, base_url=upstream.base_url.replace("http:", "https:"), limits=Limits(connect_sec=1))
    assert type(error) is errors.ProviderUnreachable
    assert "TLS" in error.message


def test_server_that_closes_without_a_word_is_unreachable(upstream):
    upstream.script(mock.steps(mock.Cut()))
    assert type(ask(upstream)[2]) is errors.ProviderUnreachable


@pytest.mark.parametrize("key", ["schlüssel", "sk-a\nb", "sk a"])
def test_key_that_cannot_be_sent_is_a_clear_failure(upstream, key):
    _, _, error = ask(upstream, key=key)
    assert type(error) is errors.ProviderAuthFailed
    assert key not in str(error)
    assert upstream.chats == []


def test_openai_without_a_key_is_not_even_asked():
    assert type(ask(None, base_url="https://api.openai.com/v1")[2]) is errors.ProviderAuthFailed


def test_local_server_needs_no_key(upstream):
    upstream.script(mock.answer("Hi"))
    assert ask(upstream)[0] == "Hi"


def test_lone_surrogate_in_a_message_is_sent_replaced(upstream):
    upstream.script(mock.answer("Hi"))
    assert ask(upstream, request(text="a\ud800b"))[0] == "Hi"
    assert upstream.wait_for_request().body["messages"][0]["content"] == "a\ufffdb"


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


def test_connection_is_kept_for_the_next_answer(upstream):
    async def run():
        provider = OpenAIProvider(base_url=upstream.base_url)
        for _ in range(3):
            await collect(provider, request("usage-missing"))
        await provider.aclose()

    asyncio.run(run())
    assert {record.connection for record in upstream.chats} == {1}


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

"""A key that a server sends back is shown nowhere, however it is cut; ordinary text passes untouched and at once."""

import asyncio
import contextlib
import json
import logging
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatplay.logs import configure_logging, keep_out_of_logs
from chatplay.params import Params
from chatplay.providers.base import Message, Request
from chatplay.providers.masking import MASK, Mask, secrets_among
from chatplay.providers.openai import OpenAIProvider
from chatplay.settings import load_settings
from tests import upstream as mock
from tests.unit.cuts import SIZES, cut

KEY = "sk-planted-5f2c9a7e1b"
OTHER = "sk-pl-another-4711"
PIECES = st.lists(st.sampled_from([KEY, OTHER, "s", "sk-", "sk-pl", "planted", " the", "is ", "."]), max_size=12)


def fed(pieces, secrets=(KEY, OTHER)):
    mask = Mask(secrets)
    return "".join([*map(mask.feed, pieces), mask.rest()])


@given(PIECES, SIZES)
def test_no_cut_lets_a_key_through(words, sizes):
    shown = fed(cut("".join(words), sizes))
    assert KEY not in shown
    assert OTHER not in shown


@given(st.lists(st.sampled_from(["s", "sk-", "is ", "sk-p ", "the", "\n"]), max_size=20), st.integers(1, 5))
def test_text_without_a_key_comes_back_whole(words, size):
    text = "".join(words) + "."
    assert fed(cut(text, [size])) == text


def test_words_that_end_like_a_key_begins_are_not_held_back():
    mask = Mask((KEY,))
    assert [mask.feed(piece) for piece in ("This", " is", " sk", " s")] == ["This", " is", " sk", " s"]


def test_most_of_a_key_at_the_end_is_hidden_too():
    assert fed(["Your key: ", KEY[:-1]]) == f"Your key: sk-{MASK}"


def test_answer_of_nothing_but_keys_takes_linear_work():
    assert fed([OTHER * 300_000]) == MASK * 300_000


def test_placeholders_and_short_words_are_no_secrets():
    assert secrets_among(["lm-studio", "none", "EMPTY", "sk-no-key-required", None, "", KEY]) == (KEY,)


# ---- through the provider ----


@pytest.fixture
def upstream():
    with mock.Upstream() as server:
        yield server


def ask(upstream, *, stream=True, base_url=None):
    """The text and the End of an answer, and the chunks it came in."""

    async def run():
        provider = OpenAIProvider("lab", base_url=base_url or upstream.base_url, api_key=KEY)
        request = Request(mock.MODEL, (Message("user", "Hi"),), Params(), stream)
        async with contextlib.aclosing(provider.stream(request)) as chunks:
            found = [chunk async for chunk in chunks]
        await provider.aclose()
        return "".join(chunk.text for chunk in found), found[-1].end

    return asyncio.run(run())


@pytest.mark.parametrize("stream", [True, False])
def test_answer_that_echoes_the_header_shows_no_key(upstream, stream):
    upstream.script(mock.answer("You sent Bearer sk-pla", "nted-5f2c", "9a7e1b", ", right"))
    text, _ = ask(upstream, stream=stream)
    assert text.removeprefix("You sent Bearer ").removeprefix("sk-") == f"{MASK}, right"


def test_fields_beside_the_text_show_no_key(upstream):
    upstream.script(mock.raw(mock.event({**mock.delta("x", finish="stop"), "model": f"m {KEY}"}), mock.DONE))
    _, end = ask(upstream)
    assert KEY not in json.dumps([end.model, end.request_id, end.system_fingerprint])


def test_model_that_is_called_like_the_key_is_not_listed(upstream):
    upstream.models = [{"id": KEY}, {"id": "real"}]

    async def names():
        provider = OpenAIProvider("lab", base_url=upstream.base_url, api_key=KEY)
        found = await provider.list_models()
        await provider.aclose()
        return [model.name for model in found]

    assert asyncio.run(names()) == ["real"]


@contextmanager
def logging_to(folder, **more):
    """The app's own log, until the end of the block."""
    levels = {logger: logger.level for logger in (logging.root, logging.getLogger("httpx2"))}
    path = configure_logging(load_settings(env_file=None, environ={"CHATPLAY_DATA_DIR": str(folder), **more}))
    try:
        yield path
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
        for handler in [one for one in logging.root.handlers if getattr(one, "baseFilename", None) == str(path)]:
            logging.root.removeHandler(handler)
            handler.close()


def test_log_shows_no_key_even_in_the_lines_of_others(tmp_path):
    with logging_to(tmp_path) as path:
        keep_out_of_logs(KEY)
        logging.getLogger("somebody.else").warning("headers: %s", {"authorization": f"Bearer {KEY}"})
    assert f"Bearer {MASK}" in path.read_text()
    assert KEY not in path.read_text()


@pytest.mark.parametrize(("level", "told"), [("INFO", False), ("DEBUG", True)])
def test_log_does_not_tell_each_check_of_a_model_server(tmp_path, level, told):
    with logging_to(tmp_path, LOG_LEVEL=level) as path:
        logging.getLogger("httpx2").info("HTTP Request: GET http://127.0.0.1:9/v1/models")
    assert ("HTTP Request" in path.read_text()) is told

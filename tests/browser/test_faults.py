"""What a model's server may do wrong is told where the answer would stand, with the next step."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.app_process import App
from tests.browser.conftest import environment_for
from tests.upstream import SCRIPTS, answer

FAULTS = {
    "unauthorized": ("refused the API key for `?mock-model`? .HTTP 401", "Choose another model"),
    "no-model": ("has no model called `?mock-model", "Choose another model"),
    "rate-limited": ("Try again in 7 seconds", "Retry"),
    "overflow": ("do not fit the context window of `?mock-model", "Shorten the message"),
    "bad-parameter": ("does not accept this value of `?temperature", "Retry"),
    "server-error": ("failed to answer with `?mock-model`? .HTTP 500", "Retry"),
    "hang-before-text": ("sent nothing from `?mock-model`? for 2 seconds", "Retry"),
}


@pytest.fixture(scope="module")
def app(_upstream):
    """An app that soon loses its patience."""
    with App(**environment_for(_upstream, FIRST_TOKEN_TIMEOUT_SEC="2", SILENCE_TIMEOUT_SEC="2")) as app:
        yield app


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_inline_with_its_next_step(chat, upstream, fault):
    said, step = FAULTS[fault]
    upstream.script(SCRIPTS[fault], SCRIPTS[fault])  # some are asked again without streaming
    chat.send("Try").done()
    for _ in ("while it came", "after a reload"):
        expect(chat.answer.get_by_role("alert")).to_contain_text(re.compile(said))
        for name in ("openai", "mock-model"):
            expect(chat.answer.get_by_role("alert")).to_contain_text(name)
        expect(chat.answer.get_by_role("button", name=step)).to_be_visible()
        expect(chat.messages.first).to_contain_text("Try")
        chat.page.reload()
        chat.ready()


@pytest.mark.parametrize("fault", ["cut-mid-stream", "reset-mid-stream", "hang-mid-stream", "error-mid-stream"])
def test_a_stream_that_breaks_keeps_its_text_and_retry_gets_the_whole(chat, upstream, fault):
    upstream.script(SCRIPTS[fault], answer("Hello there, whole."))
    chat.send("Try").done()
    expect(chat.answer).to_contain_text("Hello there")
    expect(chat.answer.get_by_role("alert")).to_contain_text("What had come is kept above.")
    chat.button("Retry").click()
    expect(chat.answer).to_contain_text("Hello there, whole.")
    expect(chat.answer).to_contain_text("2/2")
    assert len(upstream.chats) == 2


def test_an_answer_that_could_not_stream_says_fallback_used(chat, upstream):
    upstream.script(SCRIPTS["refuse-stream"], SCRIPTS["refuse-stream"])
    chat.ask("Try", "Whole answer.")
    expect(chat.answer.get_by_text("Fallback used").first).to_be_visible()
    assert [request.streamed for request in upstream.chats] == [True, False]


def test_an_overflowing_prompt_is_shortened_and_sent_again(chat, upstream):
    upstream.script(SCRIPTS["overflow"], answer("Fits."))
    chat.send("Far too long").done()
    chat.button("Shorten the message").click()
    chat.page.get_by_role("textbox", name="Your message, worded anew").fill("Short")
    chat.messages.first.get_by_role("button", name="Send", exact=True).click()
    expect(chat.answer).to_contain_text("Fits.")
    assert upstream.wait_for_request(2).body["messages"][-1]["content"] == "Short"


def test_a_failed_prompt_goes_on_with_another_model(chat, upstream):
    upstream.script(SCRIPTS["unauthorized"], answer("I may."))
    chat.send("Try").done()
    chat.button("Choose another model").click()
    chat.page.get_by_role("dialog").get_by_role("combobox").click()
    chat.page.get_by_role("option", name="mock-other").click()
    chat.button("Continue in a new chat").click()
    expect(chat.input).to_have_value("Try")
    chat.input.press("Enter")
    expect(chat.answer).to_contain_text("I may.")
    assert upstream.wait_for_request(2).body["model"] == "mock-other"

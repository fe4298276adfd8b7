"""A prompt and its answer: streaming, figures, settings, and stopping."""

import re

from playwright.sync_api import expect

from tests.browser.scripts import held, silent_until
from tests.upstream import answer, words


def test_an_answer_grows_before_its_end(chat, upstream, gate):
    upstream.script(held(gate, "First half.", " Second half."))
    chat.send("Tell me")
    expect(chat.answer).to_contain_text("First half.")
    expect(chat.answer).not_to_contain_text("Second half.")
    gate.set()
    expect(chat.answer).to_contain_text("First half. Second half.")


def test_a_sign_of_waiting_stands_until_the_first_token(chat, upstream, gate):
    upstream.script(silent_until(gate, "Here it is."))
    chat.send("Think long")
    waiting = chat.page.get_by_text("Waiting for the first token")
    expect(waiting).to_be_attached()
    gate.set()
    expect(chat.answer).to_contain_text("Here it is.")
    expect(waiting).not_to_be_attached()


def test_performance_is_written_in_the_agreed_form(chat, upstream):
    upstream.script(words(12, delay_sec=0.03))
    chat.ask("Count", "w11")
    expect(chat.performance).to_have_text(re.compile(r"^Performance: [\d,]+\.\d tok/s \| TTFT: (\d+ms|\d\.\d\dms|\d+\.\d\ds|\d\.\dms)$"))


def test_an_answer_carries_its_own_figures(chat, upstream):
    upstream.script(answer("Hello", " there", " you"))
    chat.ask("Hi", "Hello there you")
    expect(chat.answer).to_contain_text(re.compile(r"TTFT .+tok/s.*3 tokens.*stop"))
    expect(chat.page.get_by_text("Context: 6 / 32,768 tokens")).to_be_visible()

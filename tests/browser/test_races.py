"""Two clicks so close together that the second comes in the run of the first: nothing is lost, nothing hangs."""

from contextlib import contextmanager

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from tests.browser.app_process import wait_until
from tests.browser.chat_screen import Chat
from tests.upstream import answer


@pytest.fixture
def locked(app):
    """`with locked(table) as wait_for:` nobody reads the table; `wait_for(n)` returns once `n` are waiting to."""

    @contextmanager
    def lock(table):
        with app.database() as conn:
            conn.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
            count = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = cast(:name AS regclass)")
            yield lambda number: wait_until(
                lambda: conn.execute(count, {"name": table}).scalar_one() >= number, f"{number} waiting for {table}"
            )

    return lock


def test_a_message_sent_while_the_page_is_being_drawn_is_answered(chat, upstream, locked):
    upstream.script(answer("Hello there."))
    chat.input.fill("Hi")
    with locked("chat_sessions") as wait_for:
        chat.page.get_by_placeholder("Search").fill("x")
        wait_for(1)
        chat.input.press("Enter", no_wait_after=True)
    expect(chat.answer).to_contain_text("Hello there.")
    chat.done()
    expect(chat.messages).to_have_count(2)


def test_a_message_sent_right_after_a_choice_goes_to_the_model_on_show(chat, upstream, locked):
    upstream.script(answer("Hello there."))
    chat.input.fill("Hi")
    chat.page.get_by_role("combobox", name="Model Selector").click()
    option = chat.page.get_by_role("option", name="mock-other")
    expect(option).to_be_visible()
    with locked("auth_sessions") as wait_for:
        option.click(no_wait_after=True)
        wait_for(1)
        _press_enter(chat)
    expect(chat.answer).to_contain_text("Hello there.")
    chat.done()
    expect(chat.page.get_by_text("Model locked: this chat stays with mock-other at openai.")).to_be_visible()
    assert upstream.wait_for_request().body["model"] == "mock-other"


@pytest.mark.parametrize("delay_ms", [0, 5, 10, 20, 40, 80, 150])
def test_a_model_chosen_and_a_message_sent_at_once_get_an_answer_of_that_model(chat, upstream, delay_ms):
    upstream.script(answer("Hello there."))
    chat.input.fill("Hi")
    chat.page.get_by_role("combobox", name="Model Selector").click()
    chat.page.get_by_role("option", name="mock-other").click(no_wait_after=True)
    chat.page.wait_for_timeout(delay_ms)
    _press_enter(chat)
    expect(chat.answer).to_contain_text("Hello there.")
    assert upstream.wait_for_request().body["model"] == "mock-other"


def _press_enter(chat: Chat) -> None:
    """Without a look at the page before: that would take longer than the race does."""
    chat.input.evaluate(
        """input => input.dispatchEvent(
           new KeyboardEvent('keydown', {key: 'Enter', bubbles: true, cancelable: true}))"""
    )

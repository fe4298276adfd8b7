"""Clicks while a chat's first answer is coming: they act at once, and the answer goes on."""

import pytest
from playwright.sync_api import expect

from tests.browser.chat_screen import Chat
from tests.browser.scripts import held
from tests.upstream import answer


@pytest.fixture
def streaming(chat, upstream, gate):
    """A new chat whose answer has begun and waits for the gate."""
    upstream.script(held(gate, "The beginning,", " the end."))
    chat.send("Tell me all")
    expect(chat.answer).to_contain_text("The beginning,")
    return chat


def _ends_well(chat, gate):
    gate.set()
    expect(chat.answer).to_contain_text("The beginning, the end.")
    expect(chat.messages).to_have_count(2)


def test_the_prompt_can_be_copied_before_its_answer_ends(streaming, gate):
    streaming.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    streaming.choose(streaming.messages.first, "Copy")
    expect(streaming.page.get_by_text("Copied.")).to_be_visible()
    assert streaming.page.evaluate("navigator.clipboard.readText()") == "Tell me all"
    _ends_well(streaming, gate)


def test_the_chat_can_be_renamed_before_its_answer_ends(streaming, gate):
    streaming.choose_in_history("Tell me all", "Rename")
    streaming.page.get_by_role("textbox", name="Title").fill("All of it")
    streaming.page.get_by_role("textbox", name="Title").press("Enter")
    expect(streaming.page.get_by_role("dialog")).to_have_count(0)
    expect(streaming.history.get_by_role("button", name="All of it")).to_be_visible()
    expect(streaming.stop_button).to_be_visible()
    _ends_well(streaming, gate)


def test_advanced_settings_open_before_the_answer_ends(streaming, gate):
    streaming.page.get_by_text("Advanced").click()
    expect(streaming.page.get_by_role("spinbutton", name="Seed")).to_be_visible()
    expect(streaming.answer).to_contain_text("The beginning,")
    expect(streaming.stop_button).to_be_visible()
    _ends_well(streaming, gate)


def test_a_dialog_opened_in_mid_answer_stays_open_and_does_not_loop(streaming, gate):
    page = streaming.page
    page.evaluate(
        """() => { window.runs = 0; const app = document.querySelector('[data-testid=stApp]');
           new MutationObserver(() => { window.runs += app.dataset.testScriptState === 'running' })
           .observe(app, {attributes: true, attributeFilter: ['data-test-script-state']}) }"""
    )
    streaming.button("Continue in a new chat with another model").click()
    dialog = streaming.dialog("Continue with another model")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Cancel")).to_be_enabled()
    page.wait_for_timeout(2_000)  # a loop would run the page dozens of times
    assert page.evaluate("window.runs") <= 4
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    _ends_well(streaming, gate)


def test_a_prompt_worded_anew_in_mid_answer_ends_that_answer(streaming, upstream):
    upstream.script(answer("Another answer."))
    streaming.choose(streaming.messages.first, "Edit and resend")
    streaming.page.get_by_role("textbox", name="Your message, worded anew").fill("Tell me less")
    streaming.messages.first.get_by_role("button", name="Send", exact=True).click()
    expect(streaming.answer).to_contain_text("Another answer.")
    upstream.wait_until(lambda: upstream.chats[0].disconnected_at is not None, 10)
    streaming.messages.first.get_by_role("button", name="Earlier version").click()
    expect(streaming.answer).to_contain_text("You stopped this answer.")


def test_a_regenerated_answer_stands_alone_while_it_comes(streaming, upstream, gate):
    _ends_well(streaming, gate)
    streaming.done()
    gate.clear()
    upstream.script(held(gate, "The second beginning,", " the second end."))
    streaming.choose(streaming.answer, "Regenerate")
    expect(streaming.answer).to_contain_text("The second beginning,")
    expect(streaming.messages).to_have_count(2)
    expect(streaming.page.get_by_text("The beginning, the end.")).to_have_count(0)
    gate.set()
    expect(streaming.answer).to_contain_text("The second beginning, the second end.")


def test_a_chat_deleted_elsewhere_in_mid_answer_says_so(streaming, app, person, visitors):
    other = Chat(visitors.visit(person), app.url).open(f"?chat={streaming.id}")
    other.choose_in_history("Tell me all", "Delete")
    other.button("Delete chat").click()
    expect(streaming.page.get_by_text("This chat was deleted in another tab or browser.")).to_be_visible()
    expect(streaming.messages).to_have_count(0)
    expect(streaming.page.get_by_text("You stopped this answer.")).to_have_count(0)


def test_that_an_answer_is_still_coming_is_said_until_it_has_come(streaming, gate):
    notice = streaming.page.get_by_text("An answer is still coming in this chat.")
    streaming.send("Too early")
    expect(notice).to_be_visible()
    gate.set()
    expect(streaming.answer).to_contain_text("The beginning, the end.")
    expect(notice).to_have_count(0)
    expect(streaming.input).to_have_value("Too early")


def test_stop_stays_in_sight_when_the_page_is_drawn_in_mid_answer(streaming, gate):
    page = streaming.page
    expect(streaming.stop_button).to_be_visible()
    page.evaluate(
        """() => { window.hidden = 0; setInterval(() => {
             window.hidden += getComputedStyle(document.querySelector('.st-key-chat_stop')).visibility === 'hidden'
           }, 10) }"""
    )
    page.get_by_placeholder("Search").fill("nothing holds this")
    expect(page.get_by_text("No chat holds these words.")).to_be_visible()
    page.wait_for_timeout(500)
    assert page.evaluate("window.hidden") == 0
    _ends_well(streaming, gate)

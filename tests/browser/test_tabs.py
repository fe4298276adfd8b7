"""Reload, second tab, second browser, another person: one chat seen from several sides."""

import pytest
from playwright.sync_api import expect

from tests.browser.app_process import wait_until
from tests.browser.chat_screen import Chat
from tests.browser.scripts import held
from tests.upstream import answer


@pytest.fixture
def streaming(chat, upstream, gate):
    """A chat whose answer has begun and waits for the gate."""
    upstream.script(held(gate, "The beginning,", " the end."))
    chat.send("Tell me all")
    expect(chat.answer).to_contain_text("The beginning,")
    return chat


def test_an_answer_goes_on_after_a_reload(streaming, gate):
    streaming.page.reload()
    expect(streaming.answer).to_contain_text("The beginning,")
    expect(streaming.stop_button).to_be_visible()
    gate.set()
    expect(streaming.answer).to_contain_text("The beginning, the end.")
    expect(streaming.messages).to_have_count(2)


def test_an_answer_streams_in_a_second_browser_too(streaming, app, person, visitors, gate):
    other = Chat(visitors.visit(person), app.url).open(f"?chat={streaming.id}")
    expect(other.answer).to_contain_text("The beginning,")
    gate.set()
    for chat in (other, streaming):
        expect(chat.answer).to_contain_text("The beginning, the end.")


def test_a_second_browser_stops_the_answer_of_the_first(streaming, app, person, upstream, visitors):
    other = Chat(visitors.visit(person), app.url).open(f"?chat={streaming.id}")
    other.stop_button.click()
    for chat in (other, streaming):
        expect(chat.answer).to_contain_text("You stopped this answer.")
    upstream.wait_until(lambda: upstream.chats[0].disconnected_at is not None, 10)


@pytest.mark.parametrize("address", ["of another person", "11111111-2222-3333-4444-555555555555", "nonsense"])
def test_a_chat_that_is_not_mine_is_not_found(streaming, app, visitors, address):
    wanted = streaming.id if address == "of another person" else address
    other = Chat(visitors.visit(app.add_person()), app.url).open(f"?chat={wanted}")
    expect(other.page.get_by_text("There is no such chat.")).to_be_visible()
    expect(other.messages).to_have_count(0)
    assert other.id != wanted


def test_two_tabs_that_send_at_once_send_one_message_and_keep_the_other_text(chat, app, upstream, gate):
    upstream.default, normal = held(gate, "Only one answer."), upstream.default
    try:
        tabs = (chat, Chat(chat.page.context.new_page(), app.url).open(f"?chat={chat.id}"))
        for number, tab in enumerate(tabs):
            tab.input.fill(f"Text of tab {number}")
        for tab in tabs:
            tab.input.press("Enter", no_wait_after=True)
        notices = [tab.page.get_by_text("An answer is still coming in this chat.") for tab in tabs]
        wait_until(lambda: any(notice.is_visible() for notice in notices), "the notice in one of the tabs")
        loser = next(number for number, notice in enumerate(notices) if notice.is_visible())
        expect(tabs[loser].input).to_have_value(f"Text of tab {loser}")
        expect(tabs[loser].answer).to_contain_text("Only one answer.")
        expect(tabs[loser].messages).to_have_count(2)
        assert len(upstream.chats) == 1
        gate.set()
        expect(notices[loser]).to_have_count(0)
        expect(tabs[loser].input).to_have_value(f"Text of tab {loser}")
    finally:
        upstream.default = normal


def test_an_open_tab_follows_what_another_one_sends_and_keeps_its_draft(chat, app, upstream, gate):
    upstream.script(answer("One."), held(gate, "The beginning,", " the end."))
    chat.ask("First", "One.")
    other = Chat(chat.page.context.new_page(), app.url).open(f"?chat={chat.id}")
    other.input.fill("A draft")
    chat.send("Second")
    expect(other.answer).to_contain_text("The beginning,")
    gate.set()
    expect(other.answer).to_contain_text("The beginning, the end.")
    expect(other.messages).to_have_count(4)
    expect(other.input).to_have_value("A draft")


def test_an_open_tab_hears_of_the_name_that_another_one_gave(chat, app):
    chat.ask("First", "w19")
    other = Chat(chat.page.context.new_page(), app.url).open(f"?chat={chat.id}")
    chat.choose_in_history("First", "Rename")
    chat.page.get_by_role("textbox", name="Title").fill("Sourdough")
    chat.button("Rename").click()
    expect(other.page).to_have_title("Sourdough · Chat Playground", timeout=15_000)
    expect(other.history.get_by_role("button", name="Sourdough")).to_be_visible()


def test_a_double_enter_sends_one_message(chat, upstream):
    upstream.script(answer("Once."))
    chat.input.fill("Twice?")
    chat.input.evaluate(
        """input => { for (const _ of [1, 2])
           input.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true, cancelable: true})) }"""
    )
    expect(chat.answer).to_contain_text("Once.")
    chat.done()
    expect(chat.messages).to_have_count(2)
    expect(chat.page.get_by_role("alert")).to_have_count(0)
    assert len(upstream.chats) == 1


def test_a_chat_deleted_in_another_tab_says_so_and_keeps_the_text(chat, app, upstream):
    upstream.script(answer("Here."))
    chat.ask("Soon gone", "Here.")
    chat.input.fill("One more thing")
    other = Chat(chat.page.context.new_page(), app.url).open(f"?chat={chat.id}")
    other.choose_in_history("Soon gone", "Delete")
    other.button("Delete chat").click()
    expect(other.messages).to_have_count(0)
    expect(chat.page.get_by_text("This chat was deleted in another tab or browser.")).to_be_visible()
    expect(chat.input).to_have_value("One more thing")
    chat.input.press("Enter")
    expect(chat.answer).to_contain_text("w19")

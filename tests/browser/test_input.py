"""What people paste: it is sent letter by letter, or refused with its reason and kept."""

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from tests.browser.app_process import wait_until
from tests.browser.sign_in_form import sign_in
from tests.upstream import answer

DRAFT = "sessionStorage['chatplay-draft']"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("x" * 300_000, "The message has 300,000 characters; the limit is 100,000."), ("a\0b", "a NUL character")],
    ids=["more than may be sent", "NUL"],
)
def test_a_text_that_cannot_be_sent_is_refused_and_kept(chat, upstream, text, reason):
    chat.put(text).input.press("Enter")
    expect(chat.page.get_by_role("alert").filter(has_text=reason)).to_be_visible()
    wait_until(lambda: chat.input.input_value() == text, "the text to be back in the input")
    expect(chat.messages).to_have_count(0)
    assert not upstream.chats


def test_blanks_are_not_sent(chat, upstream):
    chat.input.press("Enter")
    chat.send("  \n ")
    expect(chat.page.get_by_role("alert")).to_contain_text("The message is empty.")
    chat.ask("Something", "w19")
    expect(chat.page.get_by_role("alert")).to_have_count(0)
    expect(chat.messages).to_have_count(2)
    assert len(upstream.chats) == 1


@pytest.mark.parametrize(
    "text",
    ["שלום, מה שלומך?", "line\n" * 10_000 + "last", "<b>not bold</b> **nor this** $x$ ![i](http://example.invalid/x)"],
    ids=["right-to-left", "ten thousand lines", "markup"],
)
def test_a_strange_text_arrives_letter_by_letter(chat, upstream, text):
    upstream.script(answer("Understood."))
    chat.paste(text).input.press("Enter")
    expect(chat.answer).to_contain_text("Understood.")
    assert upstream.wait_for_request().body["messages"][-1]["content"] == text
    expect(chat.messages.first).to_contain_text(text[-40:])


def test_half_a_character_is_replaced_and_the_rest_is_sent(chat, upstream):
    upstream.script(answer("Understood."))
    chat.put("half a pair: \ud83d, a whole one: \U0001f600").input.press("Enter")
    expect(chat.answer).to_contain_text("Understood.")
    sent = upstream.wait_for_request().body["messages"][-1]["content"]
    assert sent == "half a pair: \ufffd, a whole one: \U0001f600"


def test_a_draft_outlives_a_reload_and_a_sent_message_does_not_come_back(chat, upstream):
    upstream.script(answer("Understood."))
    chat.input.fill("A long thought, half written")
    wait_until(lambda: chat.page.evaluate(DRAFT), "the draft to be kept")
    chat.page.reload()
    expect(chat.ready().input).to_have_value("A long thought, half written")
    chat.input.press("Enter")
    expect(chat.answer).to_contain_text("Understood.")
    chat.input.fill("Under")  # part of what stands above it, and yet not sent
    wait_until(lambda: "Under" in (chat.page.evaluate(DRAFT) or ""), "the short draft to be kept")
    chat.page.reload()
    expect(chat.ready().input).to_have_value("Under")
    chat.input.fill("")
    wait_until(lambda: not chat.page.evaluate(DRAFT), "the sent message to be let go of")
    chat.page.reload()
    expect(chat.ready().messages).to_have_count(2)
    chat.page.wait_for_timeout(1_000)
    expect(chat.input).to_have_value("")


def test_a_message_sent_after_the_sign_in_has_ended_is_there_after_the_next_one(chat, app, person, upstream):
    chat.ask("First", "w19")
    chat.input.fill("Typed over the weekend")
    with app.database() as conn:
        conn.execute(text("DELETE FROM auth_sessions"))
    chat.input.press("Enter")
    sign_in(chat.page, person)
    expect(chat.ready().messages).to_have_count(2)
    expect(chat.input).to_have_value("Typed over the weekend")
    assert len(upstream.chats) == 1


def test_a_draft_does_not_outlive_signing_out(chat):
    chat.ask("First", "w19")
    chat.input.fill("Nobody else's business")
    wait_until(lambda: chat.page.evaluate(DRAFT), "the draft to be kept")
    chat.button("Sign out").click()
    expect(chat.page.get_by_role("textbox", name="Username")).to_be_visible()
    assert not chat.page.evaluate(DRAFT)

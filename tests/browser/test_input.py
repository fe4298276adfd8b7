"""What people paste: it is sent letter by letter, or refused with its reason and kept."""

import pytest
from playwright.sync_api import expect

from tests.upstream import answer


@pytest.mark.parametrize(
    ("text", "reason"),
    [("x" * 1_000_000, "The message has 1,000,000 characters; the limit is 100,000."), ("a\0b", "a NUL character")],
    ids=["a million characters", "NUL"],
)
def test_a_text_that_cannot_be_sent_is_refused_and_kept(chat, upstream, text, reason):
    chat.send(text)
    expect(chat.page.get_by_role("alert").filter(has_text=reason)).to_be_visible()
    assert chat.input.input_value() == text
    expect(chat.messages).to_have_count(0)
    assert not upstream.chats


def test_nothing_is_sent_when_nothing_is_typed(chat, upstream):
    for blank in ("", "  \n "):
        chat.send(blank)
    chat.ask("Something", "w19")
    expect(chat.messages).to_have_count(2)
    assert len(upstream.chats) == 1


@pytest.mark.parametrize(
    "text",
    ["שלום, מה שלומך?", "line\n" * 10_000 + "last", "<b>not bold</b> **nor this** $x$ ![i](http://example.invalid/x)"],
    ids=["right-to-left", "ten thousand lines", "markup"],
)
def test_a_strange_text_arrives_letter_by_letter(chat, upstream, text):
    upstream.script(answer("Understood."))
    chat.ask(text, "Understood.")
    assert upstream.wait_for_request().body["messages"][-1]["content"] == text
    expect(chat.messages.first).to_contain_text(text[-40:])


def test_a_lone_surrogate_neither_breaks_the_page_nor_the_store(chat, upstream):
    chat.input.fill("half")
    chat.input.evaluate(
        """input => { Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set
           .call(input, 'half a pair: \\ud83d'); input.dispatchEvent(new Event('input', {bubbles: true})) }"""
    )
    chat.input.press("Enter")
    chat.done()
    expect(chat.messages.first).to_contain_text("half a pair: \ufffd")

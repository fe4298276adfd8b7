"""Other answers and other wordings; nothing that was said is lost."""

from playwright.sync_api import expect

from tests.browser.scripts import held
from tests.upstream import answer


def test_regenerate_keeps_the_earlier_answer_behind_arrows(chat, upstream):
    upstream.script(answer("First one."), answer("Other one."))
    chat.ask("Say", "First one.").choose(chat.answer, "Regenerate")
    expect(chat.answer).to_contain_text("Other one.")
    expect(chat.answer).to_contain_text("2/2")
    chat.answer.get_by_role("button", name="Earlier version").click()
    expect(chat.answer).to_contain_text("First one.")
    expect(chat.answer).to_contain_text("1/2")
    chat.answer.get_by_role("button", name="Later version").click()
    expect(chat.answer).to_contain_text("Other one.")


def test_an_edited_prompt_is_sent_again_and_the_earlier_wording_stays(chat, upstream):
    upstream.script(answer("About cats."), answer("About dogs."))
    chat.ask("Cats?", "About cats.").choose(chat.messages.first, "Edit and resend")
    field = chat.page.get_by_role("textbox", name="Your message, worded anew")
    expect(field).to_be_focused()
    field.fill("Dogs?")
    chat.messages.first.get_by_role("button", name="Send", exact=True).click()
    expect(chat.answer).to_contain_text("About dogs.")
    expect(chat.messages.first).to_contain_text("Dogs?")
    assert [message["content"] for message in upstream.wait_for_request(2).body["messages"]] == ["Dogs?"]
    chat.messages.first.get_by_role("button", name="Earlier version").click()
    expect(chat.answer).to_contain_text("About cats.")


def test_the_model_is_locked_and_another_one_continues_in_a_new_chat(chat, upstream):
    upstream.script(answer("From the first model."), answer("From the second."))
    chat.ask("Who are you?", "From the first model.")
    first, page = chat.id, chat.page
    expect(page.get_by_text("Model locked: this chat stays with mock-model at openai.")).to_be_visible()
    expect(page.get_by_role("combobox", name="Model Selector")).to_be_disabled()
    chat.button("Continue in a new chat with another model").click()
    page.get_by_role("dialog").get_by_role("combobox").click()
    page.get_by_role("option", name="mock-other").click()
    chat.button("Continue in a new chat").click()
    expect(page.get_by_text("Model locked: this chat stays with mock-other at openai.")).to_be_visible()
    assert chat.id != first
    chat.ask("And you?", "From the second.")
    body = upstream.wait_for_request(2).body
    assert body["model"] == "mock-other"
    sent = [message["content"] for message in body["messages"]]
    assert sent == ["Who are you?", "From the first model.", "And you?"]


def test_the_lock_is_said_from_the_first_message_on(chat, upstream, gate):
    upstream.script(held(gate, "First half.", " Second half."))
    words, other = chat.page.get_by_text("Model locked"), chat.button("Continue in a new chat with another model")
    expect(other).to_be_hidden()
    expect(words).to_be_hidden()
    chat.send("Tell me")
    expect(chat.answer).to_contain_text("First half.")
    expect(words).to_be_visible()
    expect(other).to_be_visible()
    gate.set()
    expect(chat.answer).to_contain_text("Second half.")
    expect(words).to_be_visible()


def test_a_chat_without_messages_takes_another_model(chat, upstream):
    chat.page.get_by_role("combobox", name="Model Selector").click()
    chat.page.get_by_role("option", name="mock-other").click()
    chat.ask("Hi", "w19")
    assert upstream.wait_for_request().body["model"] == "mock-other"


def _coming_elsewhere(chat, upstream, gate):
    """A prompt's answer comes while an earlier version of the answer before it is on show."""
    upstream.script(answer("First one."), answer("Other one."), held(gate, "The beginning,", " the end."))
    chat.ask("Say", "First one.").choose(chat.answer, "Regenerate")
    expect(chat.answer).to_contain_text("Other one.")
    chat.done().send("Go on")
    expect(chat.answer).to_contain_text("The beginning,")
    chat.messages.nth(1).get_by_role("button", name="Earlier version").click()
    expect(chat.answer).to_contain_text("First one.")
    return chat.page.get_by_text("An answer is coming in another version of this chat.").locator("visible=true").last


def test_an_answer_that_comes_in_another_version_is_told_and_can_be_stopped(chat, upstream, gate):
    told = _coming_elsewhere(chat, upstream, gate)
    expect(told).to_be_visible()
    chat.send("Too early")
    expect(chat.page.get_by_text("An answer is still coming in this chat.")).to_be_visible()
    expect(chat.stop_button).to_be_visible()
    chat.stop_button.click()
    upstream.wait_until(lambda: upstream.chats[-1].disconnected_at is not None, 10)
    expect(told).to_have_count(0)
    expect(chat.stop_button).to_be_hidden()
    expect(chat.page.get_by_text("An answer is still coming in this chat.")).to_have_count(0)
    expect(chat.input).to_have_value("Too early")
    upstream.script(answer("Now it goes on."))
    chat.input.press("Enter")
    expect(chat.answer).to_contain_text("Now it goes on.")


def test_an_answer_that_comes_in_another_version_can_be_shown_and_its_end_is_noticed(chat, upstream, gate):
    told = _coming_elsewhere(chat, upstream, gate)
    chat.button("Show it").click()
    expect(chat.answer).to_contain_text("The beginning,")
    expect(told).to_have_count(0)
    chat.messages.nth(1).get_by_role("button", name="Earlier version").click()
    expect(told).to_be_visible()
    gate.set()
    expect(told).to_have_count(0)
    expect(chat.stop_button).to_be_hidden()
    expect(chat.answer).to_contain_text("First one.")

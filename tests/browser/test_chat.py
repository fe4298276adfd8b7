"""A prompt and its answer: streaming, figures, settings, and stopping."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.app_process import wait_until
from tests.browser.scripts import held, silent_until
from tests.browser.test_layout import AT_REST
from tests.upstream import SCRIPTS, answer, words


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
    expect(chat.answer.get_by_text(re.compile(r"^[1-9] s$"))).to_be_visible()
    gate.set()
    expect(chat.answer).to_contain_text("Here it is.")
    expect(waiting).not_to_be_attached()


def test_performance_is_written_in_the_agreed_form(chat, upstream):
    upstream.script(words(12, delay_sec=0.03))
    chat.ask("Count", "w11")
    expect(chat.performance).to_have_text(re.compile(r"^Performance: [\d,]+\.\d tok/s \| TTFT: [\d.]+m?s$"))


def test_an_answer_carries_its_own_figures(chat, upstream):
    upstream.script(answer("Hello", " there", " you", delay_sec=0.05))
    chat.ask("Hi", "Hello there you")
    expect(chat.answer).to_contain_text(re.compile(r"TTFT .+tok/s.*3 tokens.*stop"))
    expect(chat.page.get_by_text("Context: 518 / 32,768 tokens")).to_be_visible()


def test_settings_moved_in_the_panel_reach_the_model(chat, upstream):
    page = chat.page
    page.get_by_role("slider", name="Temperature").press("Home")
    page.get_by_role("slider", name="Max tokens").press("End")
    page.get_by_text("Advanced").click()
    page.get_by_role("spinbutton", name="Seed").fill("42")
    page.get_by_role("textbox", name="System prompt").fill("Be brief.")
    page.get_by_role("textbox", name="System prompt").press("Tab")
    chat.ask("Hi", "w19")
    body = upstream.wait_for_request().body
    assert (body["temperature"], body["seed"]) == (0.0, 42)
    assert 1024 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert [message["content"] for message in body["messages"]] == ["Be brief.", "Hi"]


def test_settings_put_away_under_advanced_reach_the_model_too(chat, upstream):
    page = chat.page
    page.get_by_text("Advanced").click()
    page.get_by_role("spinbutton", name="Seed").fill("42")
    page.get_by_role("spinbutton", name="Seed").press("Tab")
    page.get_by_text("Advanced").click()
    expect(page.get_by_role("spinbutton", name="Seed")).to_have_count(0)
    chat.ask("Hi", "w19")
    assert upstream.wait_for_request().body["seed"] == 42


def test_what_draws_code_is_loaded_before_an_answer_needs_it(chat):
    with chat.page.expect_response(re.compile("SyntaxHighlighter")) as response:
        chat.page.reload()
    assert response.value.ok


def test_settings_of_a_chat_are_there_again_after_a_reload(chat, upstream):
    chat.page.get_by_role("slider", name="Temperature").press("Home")
    chat.ask("Hi", "w19")
    chat.page.reload()
    chat.ready()
    expect(chat.page.get_by_role("slider", name="Temperature")).to_have_value("0")


def test_settings_moved_and_not_sent_are_there_again_after_a_reload(app, chat):
    def kept():
        query = "SELECT params_json -> 'temperature' FROM chat_sessions WHERE id = %(id)s"
        with app.database() as conn:
            return conn.exec_driver_sql(query, {"id": chat.id}).scalar_one()

    chat.page.get_by_role("slider", name="Temperature").press("Home")
    wait_until(lambda: kept() == 0, "the setting to be kept")
    chat.page.reload()
    chat.ready()
    expect(chat.page.get_by_role("slider", name="Temperature")).to_have_value("0")


def test_stop_closes_the_upstream_connection_and_keeps_the_text(chat, upstream):
    upstream.script(SCRIPTS["slow"])
    chat.send("Count")
    expect(chat.answer).to_contain_text("w3")
    chat.stop_button.click()
    request = upstream.wait_for_request()
    upstream.wait_until(lambda: request.disconnected_at is not None, 10)
    expect(chat.answer).to_contain_text("You stopped this answer.")
    chat.page.reload()
    expect(chat.answer).to_contain_text(re.compile(r"w0 w1 w2 w3.*You stopped this answer\.", re.DOTALL))


def test_escape_stops(chat, upstream):
    upstream.script(SCRIPTS["slow"])
    chat.send("Count")
    expect(chat.answer).to_contain_text("w3")
    chat.page.keyboard.press("Escape")
    expect(chat.answer).to_contain_text("You stopped this answer.")
    assert upstream.wait_for_request().disconnected_at is not None


def test_the_thread_goes_along_with_the_next_prompt(chat, upstream):
    upstream.script(answer("One."), answer("Two."))
    chat.ask("First", "One.").ask("Second", "Two.")
    sent = [message["content"] for message in upstream.wait_for_request(2).body["messages"]]
    assert sent == ["First", "One.", "Second"]


def test_an_answer_is_had_as_code_that_makes_its_call_again(chat, upstream):
    upstream.script(answer("Hello."))
    chat.ask("Say hello", "Hello.").choose(chat.answer, "Get code")
    dialog = chat.dialog("Get code")
    expect(dialog).to_contain_text("/v1/chat/completions")
    dialog.get_by_text("Python", exact=True).click()
    expect(dialog).to_contain_text("client.chat.completions.create")
    expect(dialog).to_contain_text("Say hello")


def test_copy_puts_the_answer_on_the_clipboard(chat, upstream):
    chat.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    upstream.script(answer("Take **this**."))
    chat.ask("Give", "Take this.")
    chat.choose(chat.answer, "Copy")
    expect(chat.page.get_by_text("Copied.")).to_be_visible()
    assert chat.page.evaluate("navigator.clipboard.readText()") == "Take **this**."


def test_head_and_foot_are_as_wide_as_the_messages_on_every_screen(chat, upstream):
    upstream.script(answer("Hello."))
    chat.ask("Hi", "Hello.")
    icons = chat.page.locator(".st-key-chat_header .stTooltipIcon")
    for width in (380, 700, 800, 900, 1100, 1440, 2560):
        chat.page.set_viewport_size({"width": width, "height": 900})
        chat.page.evaluate(AT_REST)
        message = edges(chat.messages.first)
        assert edges(chat.page.get_by_test_id("stChatInput")) == pytest.approx(message, abs=1), width
        assert max(edges(icon)[1] for icon in icons.all()) <= message[1] + 1, width


def edges(element):
    box = element.bounding_box()
    return box["x"], box["x"] + box["width"]

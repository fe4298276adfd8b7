"""Narrow screens, hands on the keyboard, and the headers that confine a page."""

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from tests.browser.app_process import PASSWORD, wait_until
from tests.browser.chat_screen import Chat
from tests.browser.compare_screen import Compare
from tests.browser.scripts import held
from tests.upstream import SCRIPTS, answer

WIDE = f"A word: {'x' * 300}\n\n```\n{'y' * 300}\n```\n\n| a | b |\n|---|---|\n| {'z ' * 90} | {'v' * 90} |"
TOO_WIDE = """() => [document.documentElement,
                 ...document.querySelectorAll('.stMain, .stBottom, [class*=BlockContainer]')]
  .filter(box => box.scrollWidth > box.clientWidth + 1).map(box => `${box.className}: ${box.scrollWidth}`)"""
CODE = "```python\n@cache\ndef f(x: int) -> str:  # why\n    return 'a' * 2\n```\n\nDone."
# Texts of the elements that `selector` finds, darker or lighter than their ground by less than 4.5 to 1.
TOO_DIM = """selector => {
  const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = colours => {
    for (paint.fillStyle of colours) paint.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...paint.getImageData(0, 0, 1, 1).data].map(v => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05 };
  const up = e => e ? [...up(e.parentElement), getComputedStyle(e)] : [];
  const isDim = e => {
    const styles = up(e), grounds = styles.map(style => style.backgroundColor);
    const [low, high] = [light(grounds), light([...grounds, styles.at(-1).color])].sort((a, b) => a - b);
    return high / low < 4.5 || styles.some(style => style.opacity < 1) };
  return [...document.querySelectorAll(selector)].filter(isDim).map(e => e.textContent) }"""
PHONE = {"width": 380, "height": 800}
WIDE_SCREEN = {"width": 1280, "height": 800}
AT_REST = """() => new Promise(done => {
  const box = document.querySelector('[data-testid=stMain]');
  const look = (before, frames) => { const now = `${box.scrollTop} ${box.scrollHeight}`;
    frames ? requestAnimationFrame(() => look(now, now === before ? frames - 1 : 30)) : done() };
  look('', 30) })"""


@pytest.mark.parametrize("path", ["/", "/chat", "/models", "/account", "/users"])
def test_a_page_fits_a_screen_of_380_pixels(app, visitors, path):
    page = visitors.visit(app.add_person("administrator"), viewport=PHONE)
    page.goto(app.url + path)
    expect(page.get_by_role("main").get_by_role("heading").first).to_be_visible()
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    assert page.evaluate(TOO_WIDE) == []


def test_an_address_that_is_no_page_says_so_in_our_words(app, person, visitors):
    page = visitors.visit(person)
    page.goto(f"{app.url}/nonsense")
    expect(page.get_by_role("heading", name="No such page")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("main").get_by_role("link", name="Welcome").click()
    expect(page.get_by_role("heading", name="Three things to try")).to_be_visible()


def test_a_chat_without_a_message_shows_its_head(app, person, visitors):
    chat = Chat(visitors.visit(person, viewport={"width": 380, "height": 500}), app.url).open()
    chat.page.evaluate(AT_REST)
    assert chat.page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0


def test_a_page_opened_at_its_own_address_asks_for_nothing_in_vain(app, person, visitors):
    page, refused = visitors.visit(person), []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    Chat(page, app.url).open()
    assert refused == []


def test_a_chat_with_wide_content_fits_a_screen_of_380_pixels(app, upstream, person, visitors):
    chat = Chat(visitors.visit(person, viewport=PHONE), app.url).open()
    upstream.script(answer(WIDE, "\n\nDone."), SCRIPTS["unauthorized"])
    chat.ask("w" * 300, "Done.").send("And now an error").done()
    assert chat.page.evaluate(TOO_WIDE) == []


def test_choosing_a_chat_on_a_narrow_screen_puts_the_sidebar_away(app, upstream, person, visitors):
    chat = Chat(visitors.visit(person, viewport=PHONE), app.url).open()
    upstream.script(answer("Here."))
    chat.ask("Find me again", "Here.")
    chat.page.get_by_test_id("stExpandSidebarButton").click()
    row = chat.history.get_by_role("button", name="Find me again")
    expect(row).to_be_in_viewport()
    row.click()
    expect(row).not_to_be_in_viewport()
    expect(chat.answer).to_contain_text("Here.")


def test_choosing_a_page_on_a_narrow_screen_puts_the_sidebar_away(app, person, visitors):
    page = Chat(visitors.visit(person, viewport=PHONE), app.url).open().page
    page.get_by_test_id("stExpandSidebarButton").click()
    link = page.get_by_role("link", name="Models")
    expect(link).to_be_in_viewport()
    link.click()
    expect(page).to_have_title("Models · Chat Playground")
    expect(link).not_to_be_in_viewport()


def test_pages_of_administrators_are_not_offered_to_others(app, chat, visitors):
    expect(chat.page.get_by_role("link", name="Account")).to_be_visible()
    expect(chat.page.get_by_role("link", name="Users")).to_have_count(0)
    page = Chat(visitors.visit(app.add_person("administrator")), app.url).open().page
    expect(page.get_by_role("link", name="Users")).to_be_visible()


def test_beginning_a_comparison_on_a_narrow_screen_puts_the_sidebar_away(app, person, visitors):
    board = Compare(visitors.visit(person, viewport=PHONE), app.url).open()
    board.page.get_by_test_id("stExpandSidebarButton").click()
    new = board.page.locator(".st-key-compare_new button")
    expect(new).to_be_in_viewport()
    new.click()
    expect(new).not_to_be_in_viewport()


def test_stop_leaves_the_context_line_readable_on_a_narrow_screen(app, upstream, person, visitors, gate):
    chat = Chat(visitors.visit(person, viewport=PHONE), app.url).open()
    upstream.script(held(gate, "The beginning,"))
    chat.send("Hi")
    expect(chat.answer).to_contain_text("The beginning,")
    expect(chat.stop_button).to_be_visible()
    context, stop = chat.page.locator(".chat-count").bounding_box(), chat.stop_button.bounding_box()
    assert context["x"] + context["width"] <= stop["x"]


@pytest.mark.parametrize("screen", [WIDE_SCREEN, PHONE])
def test_advanced_settings_open_without_moving_the_page(app, person, visitors, screen):
    page = visitors.visit(person, viewport=screen)
    Chat(page, app.url).open()
    page.evaluate(AT_REST)
    before = page.get_by_text("Advanced").bounding_box()
    page.get_by_text("Advanced").click()
    expect(page.get_by_role("textbox", name="System prompt")).to_be_visible()
    page.evaluate(AT_REST)
    assert page.get_by_text("Advanced").bounding_box() == before


_LENGTHEN = """
WITH RECURSIVE said AS (
    SELECT leaf_message_id + 1000000 AS id, leaf_message_id AS parent, 1 AS n FROM chat_sessions WHERE id = :chat_id
    UNION ALL SELECT id + 1, id, n + 1 FROM said WHERE n < 29
), kept AS (
    INSERT INTO chat_messages (id, session_id, parent_id, role, content) OVERRIDING SYSTEM VALUE
    SELECT id, CAST(:chat_id AS uuid), parent, 'user', 'number ' || n || repeat(' and so on', 50) FROM said
)
UPDATE chat_sessions SET leaf_message_id = (SELECT max(id) FROM said) WHERE id = :chat_id
"""


def test_a_message_sent_from_further_up_is_followed(chat, upstream):
    upstream.script(answer("Old.\n\n" * 40 + "End."), answer("New.\n\n" * 40 + "Last."))
    chat.ask("Hi", "End.")
    chat.page.evaluate(AT_REST)
    chat.messages.last.hover()
    chat.page.mouse.wheel(0, -5000)
    expect(chat.messages.first).to_be_in_viewport()
    chat.ask("Again", "Last.")
    expect(chat.answer.get_by_text("Last.")).to_be_in_viewport()


def test_what_one_reads_stays_in_sight_when_earlier_messages_come(app, chat, person, upstream):
    upstream.script(answer("Begun."))
    chat.ask("Begin", "Begun.")
    with app.database() as conn:
        conn.execute(text(_LENGTHEN), {"chat_id": chat.id})
    chat.page.reload()
    first = chat.messages.filter(has_text="number 18 ")
    expect(first).to_be_visible()
    chat.button("Show earlier messages").scroll_into_view_if_needed()
    before = first.bounding_box()["y"]
    chat.button("Show earlier messages").click()
    expect(chat.page.get_by_text("number 17 ")).to_have_count(1)
    expect(chat.button("Show earlier messages")).to_have_count(0)
    wait_until(lambda: abs(first.bounding_box()["y"] - before) < 100, "the first message where it was")


def test_an_answer_of_more_than_sixty_thousand_characters_lies_in_a_box_of_its_own(chat, upstream):
    upstream.script(answer(*("A paragraph of many. " * 240 + "\n\n" for _ in range(13)), "The very end."))
    chat.ask("Tell me everything", "The very end.")
    chat.page.reload()
    expect(chat.answer).to_contain_text("The very end.")
    chat.done()
    assert chat.answer.bounding_box()["height"] < 800
    assert chat.page.evaluate(TOO_WIDE) == []


def test_a_right_to_left_prompt_begins_on_the_right(chat, upstream):
    upstream.script(answer("Done."))
    chat.ask("\u05e9\u05dc\u05d5\u05dd world", "Done.")
    left_of_first_and_last = """text => [0, text.firstChild.length - 1].map(at => {
      const range = document.createRange(); range.setStart(text.firstChild, at); range.setEnd(text.firstChild, at + 1);
      return range.getBoundingClientRect().left })"""
    first, last = chat.messages.first.locator(".stText > span").evaluate(left_of_first_and_last)
    assert first > last


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_quiet_text_and_code_stand_out_from_their_ground(app, upstream, person, visitors, theme):
    chat = Chat(visitors.visit(person, color_scheme=theme), app.url).open()
    upstream.script(answer(CODE))
    chat.ask("Show code", "Done.")
    chat.page.reload()
    expect(chat.answer.locator(".token.keyword").first).to_be_visible()
    expect(chat.history.get_by_text("Today")).to_be_visible()
    assert (
        chat.page.evaluate(TOO_DIM, ".token:not(:empty), [data-testid=stCaptionContainer] p, .st-key-chat_new kbd")
        == []
    )
    assert chat.page.locator(".token").count() > 10


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_chosen_tab_and_segment_of_an_experiment_stand_out_from_their_ground(app, person, visitors, theme):
    page = visitors.visit(person, color_scheme=theme)
    page.goto(f"{app.url}/experiments")
    page.get_by_role("button", name="New experiment").click()
    expect(page.get_by_role("tab", name="Plan")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("radio", name="Table")).to_be_visible()
    assert page.evaluate(TOO_DIM, "[role=tab] p, [role=radio] p") == []


def test_the_browsers_tab_names_the_page(app, page):
    page.goto(f"{app.url}/account")
    expect(page).to_have_title("Account · Chat Playground")
    page.get_by_role("link", name="Playground").click()
    expect(page).to_have_title("Chat Playground")


def test_the_sign_in_form_fits_a_screen_of_380_pixels(app, visitors):
    page = visitors.visit(viewport=PHONE)
    page.goto(app.url)
    expect(page.get_by_role("textbox", name="Username")).to_be_visible()
    assert page.evaluate(TOO_WIDE) == []


def test_one_can_sign_in_send_and_stop_by_keyboard_alone(app, person, upstream, visitors):
    page = visitors.visit()
    page.goto(f"{app.url}/chat")
    expect(page.get_by_role("textbox", name="Username")).to_be_visible()
    keys = page.keyboard
    _tab_to(page, page.get_by_role("textbox", name="Username"))
    keys.type(person)
    _tab_to(page, page.get_by_role("textbox", name="Password"))
    keys.type(PASSWORD)
    keys.press("Enter")
    chat = Chat(page, app.url).ready()
    expect(chat.stop_button).to_be_hidden()
    _tab_to(page, chat.input)
    upstream.script(SCRIPTS["slow"], answer("Second."))
    keys.type("Hello")
    keys.press("Enter")
    expect(chat.answer).to_contain_text("w2")
    _tab_to(page, chat.stop_button)
    keys.press("Enter")
    expect(chat.answer).to_contain_text("You stopped this answer.")
    chat.done()
    keys.press("Alt+Shift+M")
    expect(chat.input).to_be_focused()
    keys.type("Again")
    keys.press("Enter")
    expect(chat.answer).to_contain_text("Second.")


def test_the_chat_begins_with_a_heading_for_screen_readers(chat):
    expect(chat.page.get_by_role("heading", level=1)).to_have_text("Playground")


def test_an_empty_chat_that_is_come_to_takes_what_is_typed(app, upstream, page):
    page.goto(app.url)
    page.get_by_role("button", name="Chat Playground").click()
    chat = Chat(page, app.url).ready()
    expect(chat.input).to_be_focused()


def test_a_new_chat_is_a_keystroke_away(chat, upstream):
    upstream.script(answer("Old."))
    chat.ask("Hi", "Old.")
    chat.page.keyboard.press("Alt+Shift+N")
    expect(chat.messages).to_have_count(0)
    expect(chat.input).to_be_focused()


def test_the_keyboard_is_where_one_types_next(chat, upstream):
    expect(chat.input).to_be_focused()
    upstream.script(answer("Old."), SCRIPTS["slow"], SCRIPTS["slow"])
    chat.ask("Hi", "Old.")
    chat.page.reload()
    expect(chat.input).to_be_focused()
    chat.send("Count")
    expect(chat.answer).to_contain_text("w2")
    chat.stop_button.click()
    chat.done()
    expect(chat.input).to_be_focused()
    chat.choose(chat.messages.nth(2), "Edit and resend")
    field = chat.page.get_by_role("textbox", name="Your message, worded anew")
    expect(field).to_be_focused()
    chat.page.keyboard.type(" on")
    chat.page.keyboard.press("Control+Enter")
    expect(chat.messages.nth(2)).to_contain_text("Count on")
    expect(chat.input).to_be_focused()


def test_the_keyboard_of_a_phone_stays_away_until_somebody_types(app, person, visitors):
    page = visitors.visit(person, viewport=PHONE, has_touch=True, is_mobile=True)
    chat = Chat(page, app.url).open()
    expect(page.locator("#chatplay-focus")).to_have_count(1)
    page.wait_for_timeout(500)
    expect(chat.input).not_to_be_focused()


def test_every_page_is_confined_and_nothing_of_ours_is_refused(app, upstream, visitors):
    page, errors = visitors.visit(app.add_person("administrator")), []
    page.on("console", lambda message: errors.append(message.text) if _is_error(message) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    for path in ("/", "/account", "/users", "/models", "/chat"):
        policy = page.goto(app.url + path).header_value("content-security-policy")
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        expect(page.get_by_role("main").get_by_role("heading").first).to_be_visible()
    chat = Chat(page, app.url).ready()
    upstream.script(answer("```python\nx = 1\n```\n\n| a |\n|---|\n| 1 |\n\nDone."))
    chat.ask("Show", "Done.")
    chat.choose(chat.answer, "Copy")
    chat.button("Clear chat").click()
    expect(chat.dialog("Clear this chat")).to_be_visible()
    assert errors == []


def _is_error(message):
    """Streamlit itself looks for its server below the page's own path first, and finds it at the next try."""
    return message.type == "error" and not re.search(r"/\w+/_stcore/(health|host-config)$", message.location["url"])


def _tab_to(page, target):
    """As a person without a mouse gets there."""
    for _ in range(60):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{target} is not reached by the Tab key")

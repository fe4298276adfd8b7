"""The chats on the left: found again, named, cleared and deleted."""

import pytest
from playwright.sync_api import expect

from tests.upstream import answer

FIRST_LETTER_IN_SIGHT = """button => {
  const box = button.getBoundingClientRect(), range = document.createRange();
  const text = document.createTreeWalker(button, NodeFilter.SHOW_TEXT).nextNode();
  range.setStart(text, 0); range.setEnd(text, 1);
  const letter = range.getBoundingClientRect();
  return letter.left >= box.left && letter.right <= box.right }"""


@pytest.fixture
def two(chat, upstream):
    """Two chats, the second one open."""
    upstream.script(answer("About bread."), answer("About ships."))
    chat.ask("Baking bread", "About bread.")
    chat.new_chat_button.click()
    expect(chat.messages).to_have_count(0)
    return chat.ask("Building ships", "About ships.")


def test_chats_are_listed_and_open_again(two):
    expect(two.history).to_contain_text("Today")
    two.history.get_by_role("button", name="Baking bread").click()
    expect(two.answer).to_contain_text("About bread.")
    expect(two.page).to_have_title("Baking bread · Chat Playground")
    two.new_chat_button.click()
    expect(two.page).to_have_title("Chat Playground")


def test_a_chat_stands_under_its_day_from_its_first_message_on(two):
    today = two.history.get_by_text("Today", exact=True)
    expect(today).to_have_count(1)
    newest = two.history.get_by_role("button", name="Building ships")
    assert today.bounding_box()["y"] < newest.bounding_box()["y"]


def test_search_finds_a_chat_by_its_title(two):
    two.page.get_by_placeholder("Search").fill("bread")
    expect(two.history.get_by_role("button", name="Building ships")).to_have_count(0)
    expect(two.history.get_by_role("button", name="Baking bread")).to_be_visible()
    expect(two.button("Clear All")).to_have_count(0)  # it would not clear what was found alone


def test_a_chat_is_renamed(two):
    two.choose_in_history("Baking bread", "Rename")
    two.page.get_by_role("textbox", name="Title").fill("Sourdough")
    two.button("Rename").click()
    expect(two.history.get_by_role("button", name="Sourdough")).to_be_visible()
    expect(two.history.get_by_role("button", name="Baking bread")).to_have_count(0)


def test_a_chat_is_renamed_by_typing_and_enter(two):
    two.choose_in_history("Baking bread", "Rename")
    expect(two.page.get_by_role("textbox", name="Title")).to_be_focused()
    two.page.keyboard.press("ControlOrMeta+a")
    two.page.keyboard.type("Rye")
    two.page.keyboard.press("Enter")
    expect(two.history.get_by_role("button", name="Rye")).to_be_visible()
    expect(two.page.get_by_role("dialog")).to_have_count(0)


def test_a_long_title_shows_how_it_begins_whichever_way_it_is_read(two):
    for title in ("A title that is far too long for the column " * 4, "عنوان طويل جدا لا يتسع له العمود " * 4):
        two.choose_in_history("", "Rename")
        two.page.get_by_role("textbox", name="Title").fill(title.strip())
        two.button("Rename").click()
        row = two.history.get_by_role("button", name=title[:20])
        expect(row).to_be_visible()
        assert row.evaluate(FIRST_LETTER_IN_SIGHT)


def test_delete_asks_first_and_removes_one_chat(two):
    two.choose_in_history("Building ships", "Delete")
    two.button("Cancel").click()
    expect(two.page.get_by_role("dialog")).to_have_count(0)
    expect(two.answer).to_contain_text("About ships.")
    two.choose_in_history("Building ships", "Delete")
    two.button("Delete chat").click()
    expect(two.history.get_by_role("button", name="Building ships")).to_have_count(0)
    expect(two.history.get_by_role("button", name="Baking bread")).to_be_visible()
    expect(two.messages).to_have_count(0)


def test_clear_chat_asks_first_and_keeps_the_chat_in_the_history(two):
    two.button("Clear chat").click()
    two.dialog("Clear this chat").get_by_role("button", name="Cancel").click()
    expect(two.page.get_by_role("dialog")).to_have_count(0)
    expect(two.answer).to_contain_text("About ships.")
    two.button("Clear chat").click()
    two.dialog("Clear this chat").get_by_role("button", name="Clear chat").click()
    expect(two.messages).to_have_count(0)
    two.history.get_by_role("button", name="Building ships").click()
    expect(two.answer).to_contain_text("About ships.")


def test_clear_all_asks_first_and_leaves_an_empty_history(two):
    two.button("Clear All").click()
    expect(two.dialog("Clear all chats")).to_contain_text("What the answers took stays in the metrics")
    two.button("Delete 2 chats").click()
    expect(two.history).to_contain_text("Your chats will be listed here.")
    expect(two.messages).to_have_count(0)

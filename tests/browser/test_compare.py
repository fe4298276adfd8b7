"""Comparing in a browser: panes that stream side by side, survive a reload, and become tabs on a narrow screen."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.app_process import wait_until
from tests.browser.chat_screen import Chat
from tests.browser.compare_screen import Compare
from tests.browser.scripts import held
from tests.upstream import SCRIPTS, answer

_GAPS = """answer => { const boxes = [...answer.querySelectorAll('p')].map(p => p.getBoundingClientRect());
  return boxes.slice(1).map((box, place) => Math.round(box.top - boxes[place].bottom)) }"""


@pytest.fixture
def board(app, upstream, page):
    """The first comparison, open."""
    return Compare(page, app.url).open()


def held_panes(upstream, gate, count):
    """Each of so many panes says its temperature, waits for the gate, and ends."""
    upstream.script(*(held(gate, f"Beginning {number},", f" end {number}.") for number in range(count)))


def ended_answers(app, board):
    """How many of its answers are over."""
    ended = """
        SELECT count(*) FROM comparison_answers a JOIN comparison_runs r ON r.id = a.run_id
        JOIN answers t ON t.generation_id = a.generation_id WHERE r.comparison_id = %(id)s AND t.status <> 'streaming'
    """
    with app.database() as conn:
        return conn.exec_driver_sql(ended, {"id": board.id}).scalar_one()


def test_three_panes_stream_side_by_side_and_each_tells_what_was_sent(board, upstream, gate):
    board.add_pane()
    held_panes(upstream, gate, 3)
    board.prompt.fill("Say something")
    board.prompt.press("ControlOrMeta+Enter")
    for number in (1, 2, 3):
        expect(board.answer(number)).to_contain_text(re.compile(r"Beginning \d,"))
    expect(board.run_all).to_be_disabled()
    gate.set()
    expect(board.question).to_be_visible()
    for number in (1, 2, 3):
        expect(board.answer(number)).to_contain_text(re.compile(r"Beginning (\d), end \1\."))
        expect(board.pane(number)).to_contain_text("Sent as shown")
    bodies = sorted(record.body["temperature"] for record in upstream.chats)
    assert bodies == [0.2, 1, 1]
    assert {record.body["messages"][-1]["content"] for record in upstream.chats} == {"Say something"}


def test_paragraphs_stand_equally_apart_while_they_come_and_afterwards(board, upstream, gate):
    paragraphs = "\n\n".join([f"{'word ' * 60}{number}." for number in range(4)] + ["The last"])
    upstream.script(held(gate, paragraphs, " one."), held(gate, paragraphs, " one."))
    board.run_all.click()
    expect(board.answer(1)).to_contain_text("The last")
    apart = board.answer(1).evaluate(_GAPS)
    gate.set()
    expect(board.question).to_be_visible()
    assert board.answer(1).evaluate(_GAPS) == apart
    board.page.reload()
    expect(board.answer(1)).to_contain_text("The last one.")
    assert board.answer(1).evaluate(_GAPS) == apart == [apart[0]] * 4


def test_reload_in_the_middle_of_the_answers_loses_nothing_and_repeats_nothing(board, upstream, gate):
    held_panes(upstream, gate, 2)
    board.run_all.click()
    expect(board.answer(1)).to_contain_text("Beginning")
    expect(board.answer(2)).to_contain_text("Beginning")
    board.page.reload()
    expect(board.answer(2)).to_contain_text("Beginning")
    gate.set()
    for number in (1, 2):
        expect(board.answer(number)).to_have_text(re.compile(r"^Beginning (\d), end \1\.$"))
    expect(board.question).to_be_visible()


def test_a_click_in_the_middle_of_the_answers_neither_stops_nor_repeats_them(board, upstream, gate):
    held_panes(upstream, gate, 2)
    board.run_all.click()
    expect(board.answer(2)).to_contain_text("Beginning")
    board.page.get_by_text("Blind", exact=True).click()
    gate.set()
    for number in (1, 2):
        expect(board.answer(number)).to_have_text(re.compile(r"^Beginning (\d), end \1\.$"))
    assert len(upstream.chats) == 2


def test_blind_answer_that_came_first_is_not_told_by_a_reload(board, app, upstream, gate):
    upstream.script(answer("Quick."), held(gate, "Slow,", " at last."))
    board.page.get_by_text("Blind", exact=True).click()
    board.run_all.click()
    expect(board.page.get_by_role("button", name="Stop", exact=True)).to_have_count(2)
    wait_until(lambda: ended_answers(app, board) == 1, "the quick answer was stored")
    board.page.reload()
    expect(board.page.get_by_role("button", name="Stop", exact=True)).to_have_count(2)
    expect(board.page.get_by_text("Quick.")).to_have_count(0)
    gate.set()
    expect(board.page.get_by_text("Quick.")).to_be_visible()
    expect(board.page.get_by_role("button", name="Answer A")).to_be_visible()
    board.page.keyboard.press("1")
    expect(board.page.get_by_text(re.compile("in your blind vote, as Answer A"))).to_be_visible()


def test_keys_vote_but_not_while_a_prompt_is_typed(board, upstream):
    upstream.script(answer("One."), answer("Two."))
    board.run_all.click()
    expect(board.question).to_be_visible()
    board.prompt.press_sequentially(" 1 2 t n")
    board.prompt.press("Tab")
    expect(board.page.get_by_text("This answers an earlier prompt.")).to_have_count(2)
    expect(board.question).to_be_visible()
    board.page.keyboard.press("t")
    expect(board.page.get_by_text("Your vote: Tie")).to_be_visible()
    expect(board.page.locator("[class*=st-key-compare_pane_]").get_by_text("Tie", exact=True)).to_have_count(2)


def test_double_click_on_an_answer_without_a_name_is_one_blind_vote(board, upstream):
    upstream.script(answer("One."), answer("Two."))
    board.page.get_by_text("Blind", exact=True).click()
    board.run_all.click()
    board.page.get_by_role("button", name="Answer B").dblclick(delay=100)
    expect(board.page.get_by_text("Best in your blind vote, as Answer B")).to_be_visible()
    expect(board.page.get_by_text("Your blind vote:")).to_be_visible()
    board.page.get_by_text("Show how often each setting won").click()
    expect(board.page.get_by_text("Too few to tell.")).to_be_visible()


def test_second_tab_follows_the_same_answers_and_stops_them(board, app, upstream, gate):
    held_panes(upstream, gate, 2)
    board.run_all.click()
    expect(board.answer(1)).to_contain_text("Beginning")
    other = Compare(board.page.context.new_page(), app.url).open(f"?comparison={board.id}")
    expect(other.answer(2)).to_contain_text("Beginning")
    other.stop_all.click()
    for tab in (board, other):
        expect(tab.page.get_by_text("You stopped this answer.")).to_have_count(2)


def test_setting_changed_in_a_pane_is_there_in_a_second_tab(board, app):
    board.set_temperature(1, 2)
    expect(board.pane(1)).to_contain_text("Temperature 0.3")
    other = Compare(board.page.context.new_page(), app.url).open(f"?comparison={board.id}")
    expect(other.pane(1)).to_contain_text("Temperature 0.3")


def wait_until_kept(app, board, prompt):
    def is_kept():
        with app.database() as conn:
            query = "SELECT prompt FROM comparisons WHERE id = %(id)s"
            return conn.exec_driver_sql(query, {"id": board.id}).scalar_one() == prompt

    wait_until(is_kept, f"the prompt is stored: {prompt}")


def test_prompt_is_kept_at_each_pause_in_typing_and_no_letter_is_taken_back(app, board):
    typed = board.prompt.input_value()
    board.prompt.press("End")
    for words in ("How is the rain", " in {{place}}", " today?"):
        board.prompt.press_sequentially(words, delay=20)
        wait_until_kept(app, board, typed + words)
        board.prompt.press_sequentially(", and", delay=20)  # while the page is drawn again
        typed += f"{words}, and"
    wait_until_kept(app, board, typed)
    expect(board.prompt).to_have_value(typed)
    expect(board.prompt).to_be_focused()
    expect(board.page.get_by_role("textbox", name="{{place}}")).to_be_visible()


def test_failed_pane_is_retried_alone(board, upstream):
    upstream.script(answer("Fine."), SCRIPTS["rate-limited"])
    board.run_all.click()
    expect(board.page.get_by_role("button", name="Retry")).to_have_count(1)
    upstream.script(answer("Fine now."))
    board.page.get_by_role("button", name="Retry").click()
    expect(board.page.get_by_role("button", name="Retry")).to_have_count(0)
    expect(board.page.get_by_text("Fine now.")).to_be_visible()
    expect(board.page.get_by_text("Fine.", exact=True)).to_be_visible()


def test_narrow_screen_shows_one_pane_at_a_time(app, upstream, visitors, person):
    upstream.script(answer("Same answer."), answer("Same answer."))
    board = Compare(visitors.visit(person, viewport={"width": 380, "height": 800}), app.url).open()
    board.run_all.click()
    expect(board.answer(1)).to_contain_text("Same answer.")
    expect(board.answer(2)).to_be_hidden()
    board.tabs.get_by_role("radio").nth(1).click()
    expect(board.answer(2)).to_contain_text("Same answer.")
    expect(board.answer(1)).to_be_hidden()
    wide = board.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 380


def test_two_panes_stand_side_by_side_next_to_the_sidebar(app, visitors, person):
    board = Compare(visitors.visit(person, viewport={"width": 800, "height": 800}), app.url).open()
    last = board.pane(2).bounding_box()
    assert last["x"] + last["width"] <= 800


def test_message_of_a_chat_is_compared_and_an_answer_goes_back_to_a_chat(chat, app, upstream):
    upstream.script(answer("One."), answer("Two."))
    chat.ask("First", "One.")
    chat.ask("Second", "Two.")
    chat.choose(chat.answer, "Compare from here")
    board = Compare(chat.page, app.url)
    expect(board.prompt).to_have_value("Second")
    expect(board.page.get_by_text("Begins with 2 messages of a chat")).to_be_visible()
    upstream.script(answer("Left or right."), answer("Left or right."))
    board.run_all.click()
    expect(board.question).to_be_visible()
    board.choose(2, "Continue this one as a chat")
    again = Chat(board.page, app.url).ready()
    expect(again.messages).to_have_count(4)
    expect(again.answer).to_contain_text("Left or right.")


def test_one_step_back_from_a_new_experiment_returns_to_the_comparison_and_makes_no_more(board, app):
    page, compared = board.page, board.id
    board.prompt.fill("What is rain?")
    page.get_by_role("button", name="Make it an experiment").click()
    expect(page.get_by_role("textbox", name="Prompt", exact=True)).to_have_value("What is rain?")
    expect(page.get_by_role("heading", name=re.compile("From compare"))).to_be_visible()
    page.go_back()
    expect(board.run_all).to_be_visible()
    expect(page).to_have_url(re.compile(f"/compare.*comparison={compared}"))
    page.go_back()
    expect(board.run_all).to_be_visible()
    page.goto(f"{app.url}/experiments")
    expect(page.locator("[class*=st-key-experiments_line_]")).to_have_count(1)

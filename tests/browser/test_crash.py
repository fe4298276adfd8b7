"""kill -9 of the app or of its database, in the middle of things: what was acknowledged is there afterwards."""

import re

import pytest
from playwright.sync_api import expect

from db.embedded import EmbeddedPostgres
from db.locks import FileLock
from tests.browser.app_process import App, wait_until
from tests.browser.conftest import environment_for
from tests.browser.scripts import held
from tests.upstream import SCRIPTS, answer


@pytest.fixture(scope="module")
def app(_upstream):
    with App(**environment_for(_upstream, HEARTBEAT_SEC="0.5", REAP_AFTER_SEC="2")) as app:
        yield app


def test_a_killed_app_loses_no_message_and_marks_the_answer_interrupted(app, chat, upstream):
    upstream.script(answer("An answer from before."), SCRIPTS["slow"])
    chat.ask("Before", "An answer from before.").send("Count")
    expect(chat.answer).to_contain_text("w9")
    app.kill()
    app.start()
    chat.page.reload()
    expect(chat.answer).to_contain_text(re.compile(r"w0 w1 w2 w3 w4.*The app was restarted", re.DOTALL))
    expect(chat.messages).to_have_count(4)
    for place, text in enumerate(("Before", "An answer from before.", "Count")):
        expect(chat.messages.nth(place)).to_contain_text(text)


def test_an_open_page_comes_back_by_itself_after_a_restart(app, chat, upstream):
    upstream.script(answer("One."), answer("Two."))
    chat.ask("First", "One.")
    app.kill()
    expect(chat.page.get_by_role("dialog")).to_contain_text("The app does not answer")
    app.start()
    expect(chat.page.get_by_role("dialog")).to_have_count(0)
    chat.send("Second")  # waits as long as the input is closed for want of a connection
    expect(chat.answer).to_contain_text("Two.")
    expect(chat.messages).to_have_count(4)


def test_an_open_page_shows_by_itself_what_became_of_its_answer_after_a_restart(app, chat, upstream):
    upstream.script(SCRIPTS["slow"])
    chat.send("Count")
    expect(chat.answer).to_contain_text("w9")
    app.kill()
    app.start()
    expect(chat.answer).to_contain_text("The app was restarted", timeout=20_000)


def test_an_answer_survives_the_death_of_the_database(app, chat, upstream, gate):
    upstream.script(held(gate, "Before the crash,", " after it."))
    chat.send("Hold on")
    expect(chat.answer).to_contain_text("Before the crash,")
    app.kill_database()
    wait_until(lambda: EmbeddedPostgres(app.data).running(), "the database to heal")
    gate.set()
    expect(chat.answer).to_contain_text("Before the crash, after it.")
    chat.done()
    chat.page.reload()
    expect(chat.answer).to_contain_text("Before the crash, after it.")


def test_a_message_sent_while_the_database_is_away_is_kept_and_sent_when_it_is_back(app, chat, upstream):
    upstream.script(answer("First."), answer("Second."))
    chat.ask("One", "First.")
    with FileLock(app.data / "postgres.setup.lock").exclusive(timeout_sec=10):  # nobody starts it meanwhile
        app.kill_database()
        chat.send("Two")
        expect(chat.page.get_by_text("The database cannot be reached right now.").first).to_be_visible()
        assert len(upstream.chats) == 1
    wait_until(lambda: EmbeddedPostgres(app.data).running(), "the database to heal")
    chat.button("Try again").click()
    expect(chat.input).to_have_value("Two")
    chat.input.press("Enter")
    expect(chat.answer).to_contain_text("Second.")
    expect(chat.messages).to_have_count(4)

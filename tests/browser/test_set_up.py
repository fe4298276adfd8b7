"""The first minutes of a fresh app: the set-up link, the Demo model, and the end by SIGTERM."""

import psutil
import pytest
from playwright.sync_api import expect

from tests.browser.app_process import PASSWORD, App, is_alive, wait_until
from tests.browser.chat_screen import Chat


@pytest.fixture(scope="module")
def app():
    """As a newcomer starts it: nobody exists, no model server is named."""
    with App() as app:
        yield app


def test_the_set_up_link_creates_the_first_administrator_and_then_is_dead(app, visitors):
    page, late = visitors.visit(), visitors.visit()
    page.goto(app.set_up_link())
    late.goto(app.set_up_link())
    for tab, name in ((page, "Ada Lovelace"), (late, "Mallory")):
        tab.get_by_role("textbox", name="Username").fill(name.split()[0].lower())
        tab.get_by_role("textbox", name="Your name, as others see it").fill(name)
        tab.get_by_role("textbox", name="Password", exact=True).fill(PASSWORD)
        tab.get_by_role("textbox", name="The same password again").fill(PASSWORD)
    page.get_by_role("button", name="Create administrator").click()
    expect(page.get_by_text("Welcome, Ada Lovelace.")).to_be_visible()
    late.get_by_role("button", name="Create administrator").click()
    expect(late.get_by_text("The set-up is done: an administrator exists.")).to_be_visible()
    late.goto(app.set_up_link())
    late.get_by_role("button", name="Go to sign-in").click()
    expect(late.get_by_role("textbox", name="Password")).to_be_visible()


def test_a_newcomer_chats_with_the_demo_model_without_a_key(app, page):
    chat = Chat(page, app.url).open()
    page.get_by_role("button", name="Compare a river and a street").click()
    expect(chat.input).to_have_value("Compare a river and a street in a table of four rows.")
    chat.input.press("Enter")
    chat.done()
    expect(chat.answer).to_contain_text("tok/s")


def test_terminate_ends_app_and_database_and_the_next_start_has_everything(app, page):
    chat = Chat(page, app.url).open()
    chat.send("Are you there tomorrow?").done()
    postmaster = psutil.Process(app.postmaster_pid())
    assert app.terminate() in (0, -15)
    wait_until(lambda: not is_alive(postmaster), "the database server to end")
    app.start()
    page.reload()
    expect(chat.messages.first).to_contain_text("Are you there tomorrow?")

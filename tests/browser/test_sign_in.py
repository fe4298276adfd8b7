"""Coming in, being kept out, and leaving."""

import pytest
from playwright.sync_api import expect

from tests.browser.app_process import PASSWORD
from tests.browser.chat_screen import Chat
from tests.browser.scripts import held
from tests.browser.sign_in_form import sign_in
from tests.browser.test_layout import TOO_DIM
from tests.upstream import answer


def test_sign_in_lands_on_the_deep_link_with_its_query(app, upstream, chat, person, visitors):
    upstream.script(answer("The linked answer."))
    chat.ask("Link me", "The linked answer.")
    page = visitors.visit()
    page.goto(f"{app.url}/chat?chat={chat.id}")
    sign_in(page, person)
    expect(page.get_by_text("The linked answer.")).to_be_visible()
    assert Chat(page, app.url).id == chat.id


def test_the_sign_in_form_serves_password_managers_and_is_ready_to_type(app, visitors):
    page = visitors.visit()
    page.goto(app.url)
    username, password = page.get_by_role("textbox", name="Username"), page.get_by_role("textbox", name="Password")
    expect(username).to_have_attribute("autocomplete", "username")
    expect(password).to_have_attribute("autocomplete", "current-password")
    expect(username).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_sign_in_button_is_readable_under_the_mouse(app, visitors, scheme):
    page = visitors.visit(color_scheme=scheme)
    page.goto(app.url)
    page.get_by_role("button", name="Sign in").hover()
    page.mouse.move(0, 0)  # and back: the colours have passed from one to the other
    page.get_by_role("button", name="Sign in").hover()
    expect(page.get_by_role("button", name="Sign in")).to_have_css("color", "rgb(255, 255, 255)")
    assert page.evaluate(TOO_DIM, "[class*=FormSubmitter] p") == []


def test_a_wrong_password_is_refused_and_then_locks_the_account(app, person, visitors):
    page = visitors.visit()
    page.goto(app.url)
    for _ in range(2):
        sign_in(page, person, "a wrong password")
        expect(page.get_by_role("alert")).to_contain_text("password")
        expect(page.get_by_role("alert")).not_to_contain_text("Too many")
        page.reload()
    sign_in(page, person, PASSWORD)
    expect(page.get_by_role("alert")).to_contain_text("Too many sign-in attempts failed. Wait 15 minutes")


def test_signing_out_in_one_tab_ends_the_other_in_mid_answer(app, chat, upstream, gate):
    upstream.script(held(gate, "Still coming"))
    chat.send("Go on")
    expect(chat.answer).to_contain_text("Still coming")
    other = chat.page.context.new_page()
    other.goto(app.url)
    other.get_by_role("button", name="Sign out").click()
    for page in (other, chat.page):
        expect(page.get_by_role("textbox", name="Username")).to_be_visible()
        expect(page.get_by_test_id("stSidebar")).to_have_count(0)
    expect(chat.messages).to_have_count(0)


def test_welcome_leads_to_the_playground(app, page):
    page.goto(app.url)
    page.get_by_role("button", name="Chat Playground").click()
    Chat(page, app.url).ready()
    assert page.url.startswith(f"{app.url}/chat")


def test_every_page_asks_for_a_sign_in_first(app, visitors):
    page = visitors.visit()
    for path in ("/", "/chat", "/account", "/users"):
        page.goto(app.url + path)
        expect(page.get_by_role("textbox", name="Username")).to_be_visible()
        expect(page.get_by_test_id("stSidebar")).to_have_count(0)


def test_a_new_person_is_given_a_password_once_and_chooses_another(app, visitors):
    admin = visitors.visit(app.add_person("administrator"))
    admin.goto(f"{app.url}/users")
    admin.get_by_role("button", name="Add a person").click()
    form = admin.get_by_role("dialog")
    form.get_by_role("textbox", name="Username").fill("newcomer")
    form.get_by_role("button", name="Add", exact=True).click()
    temporary = form.locator("code").inner_text()
    expect(form.get_by_role("textbox")).to_have_count(0)

    page = visitors.visit()
    page.goto(f"{app.url}/account")
    sign_in(page, "newcomer", temporary)
    page.get_by_role("textbox", name="Temporary password").fill(temporary)
    page.get_by_role("textbox", name="New password", exact=True).fill(PASSWORD)
    page.get_by_role("textbox", name="The new password again").fill(PASSWORD)
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("Signed in as newcomer")).to_be_visible()
    expect(page.get_by_role("textbox", name="Temporary password")).to_have_count(0)
    expect(page.get_by_role("textbox", name="New password", exact=True)).to_have_value("")


def test_a_password_that_was_changed_leaves_no_filled_form_behind(app, page):
    page.goto(f"{app.url}/account")
    new = "other unrelated words"
    page.get_by_role("textbox", name="Current password").fill(PASSWORD)
    page.get_by_role("textbox", name="New password", exact=True).fill(new)
    page.get_by_role("textbox", name="The new password again").fill(new)
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("The password is changed.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Current password")).to_have_count(0)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("textbox", name="Current password")).to_have_value("")

"""The sign-in form as a person fills it in."""

from playwright.sync_api import Page

from tests.browser.app_process import PASSWORD


def sign_in(page: Page, username: str, password: str = PASSWORD) -> None:
    page.get_by_role("textbox", name="Username").fill(username)
    page.get_by_role("textbox", name="Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()

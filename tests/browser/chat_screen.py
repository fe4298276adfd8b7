"""The chat page as a person uses it: what tests click and read, by role and label."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Locator, Page, expect


class Chat:
    """One open tab on the chat page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = url

    # ---- going there ---------------------------------------------------------------------------

    def open(self, query: str = "") -> Chat:
        self.page.goto(f"{self._url}/chat{query}")
        return self.ready()

    def ready(self) -> Chat:
        """Waits until the page may be used: the input stands, and the address names the chat."""
        expect(self.input).to_be_enabled()
        self.page.wait_for_url(re.compile(r"[?&]chat=[0-9a-f-]{36}"))
        return self

    @property
    def id(self) -> str:
        found = re.search(r"chat=([0-9a-f-]{36})", self.page.url)
        assert found, self.page.url
        return found[1]

    # ---- parts ---------------------------------------------------------------------------------

    @property
    def input(self) -> Locator:
        return self.page.get_by_placeholder("Type a message...")

    @property
    def messages(self) -> Locator:
        return self.page.get_by_test_id("stChatMessage")

    @property
    def answer(self) -> Locator:
        """The last message."""
        return self.messages.last

    @property
    def performance(self) -> Locator:
        return self.page.get_by_text(re.compile(r"^Performance: "))

    @property
    def stop_button(self) -> Locator:
        return self.page.get_by_role("button", name=re.compile(r"^Stop\b"))

    @property
    def history(self) -> Locator:
        return self.page.locator(".st-key-chat_history")

    @property
    def new_chat_button(self) -> Locator:
        return self.page.get_by_role("button", name=re.compile(r"^\+ New Chat\b"))

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def dialog(self, title: str) -> Locator:
        return self.page.get_by_role("dialog").filter(has_text=title)

    # ---- doing ---------------------------------------------------------------------------------

    def send(self, text: str) -> Chat:
        self.input.fill(text)
        self.input.press("Enter")
        return self

    def paste(self, text: str) -> Chat:
        """From the clipboard into the input."""
        self.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page.evaluate("text => navigator.clipboard.writeText(text)", text)
        self.input.press("ControlOrMeta+V")
        return self

    def put(self, text: str) -> Chat:
        """Into the input as a script would: also what no clipboard holds."""
        self.input.evaluate(
            """(input, text) => { Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set
               .call(input, JSON.parse(text)); input.dispatchEvent(new Event('input', {bubbles: true})) }""",
            json.dumps(text),
        )
        return self

    def ask(self, text: str, answer: str) -> Chat:
        """Sends, and waits for the end of the answer."""
        self.send(text)
        expect(self.answer).to_contain_text(answer)
        return self.done()

    def done(self) -> Chat:
        """Waits until the last message is an answer that is over: it has its own actions."""
        expect(self.answer.get_by_role("button", name="Message actions")).to_be_visible()
        return self

    def choose(self, message: Locator, action: str) -> Chat:
        """From the menu of a message."""
        message.get_by_role("button", name="Message actions").click()
        self.page.get_by_role("menuitem", name=action, exact=True).click()
        return self

    def choose_in_history(self, title: str, action: str) -> Chat:
        row = self.history.locator("[class*=st-key-chat_row_]").filter(has_text=title).last
        row.get_by_role("button", name="Rename or delete").click()
        self.page.get_by_role("menuitem", name=action, exact=True).click()
        return self

"""The compare page as a person uses it: what tests click and read, by role and label."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect


class Compare:
    """One open tab on the compare page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = url

    def open(self, query: str = "") -> Compare:
        self.page.goto(f"{self._url}/compare{query}")
        self.page.wait_for_url(re.compile(r"[?&]comparison=[0-9a-f-]{36}"))
        expect(self.prompt).to_be_visible()
        return self

    @property
    def id(self) -> str:
        found = re.search(r"comparison=([0-9a-f-]{36})", self.page.url)
        assert found, self.page.url
        return found[1]

    @property
    def prompt(self) -> Locator:
        return self.page.get_by_role("textbox", name="Prompt", exact=True)

    @property
    def run_all(self) -> Locator:
        return self.page.get_by_role("button", name=re.compile(r"^Run all\b"))

    @property
    def stop_all(self) -> Locator:
        return self.page.get_by_role("button", name=re.compile(r"^Stop all\b"))

    @property
    def tabs(self) -> Locator:
        return self.page.get_by_role("radiogroup", name="Pane on show")

    @property
    def question(self) -> Locator:
        return self.page.get_by_text("Which answer is best?")

    def pane(self, number: int) -> Locator:
        return self.page.locator(f".st-key-compare_pane_{number}")

    def answer(self, number: int) -> Locator:
        return self.page.locator(f".st-key-compare_answer_{number}")

    def add_pane(self) -> Compare:
        """Waits until it stands there."""
        panes = self.page.locator("[class*=st-key-compare_pane_]")
        count = panes.count()
        self.page.get_by_role("button", name="Add a pane").click()
        expect(panes).to_have_count(count + 1)
        return self

    def choose(self, number: int, action: str) -> Compare:
        """From the menu of a pane."""
        self.pane(number).get_by_role("button", name="Pane actions").click()
        self.page.get_by_role("menuitem", name=action, exact=True).click()
        return self

    def set_temperature(self, number: int, steps: int) -> Compare:
        """Moves the slider by keys, as many steps to the right."""
        self.pane(number).get_by_text("Settings", exact=True).click()
        slider = self.pane(number).get_by_role("slider", name="Temperature")
        for _ in range(abs(steps)):
            slider.press("ArrowRight" if steps > 0 else "ArrowLeft")
        return self

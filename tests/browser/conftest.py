"""One Chromium, one scripted upstream and one app for the browser tests; a person of their own for each test.

A module that needs an app of its own overrides the fixture `app`.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from chatplay.auth.tokens import SESSION_COOKIE
from tests.browser.app_process import PLANTED_KEY, ROOT, App, ignored
from tests.browser.chat_screen import Chat
from tests.ensure_chromium import ensure_chromium
from tests.upstream import Upstream

_FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"]
_RESULTS = ROOT / "test-results"
MODELS = ("mock-model", "mock-other")


def pytest_configure():
    expect.set_options(timeout=20_000)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Remember whether the test failed, and show what the app wrote."""
    report = yield
    if report.failed:
        item.failed_browser_test = True
        app = getattr(item, "funcargs", {}).get("app")
        if isinstance(app, App):
            with ignored():
                report.sections.append(("the app's terminal and logs", app.log_tail()))
    return report


@pytest.fixture(scope="session")
def browser():
    """A missing browser is a failure: `ensure_chromium` finds or installs one, or ends the run with the cure."""
    path = ensure_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def _upstream():
    models = [{"id": name, "object": "model", "owned_by": "vllm", "max_model_len": 32_768} for name in MODELS]
    with Upstream(models=models) as upstream:
        yield upstream


@pytest.fixture
def upstream(_upstream):
    """The scripted server, with nothing queued and nothing recorded."""
    _upstream._queue.clear()
    _upstream.requests.clear()
    return _upstream


@pytest.fixture
def gate():
    """Holds an answer back until the test sets it; always set in the end."""
    event = threading.Event()
    yield event
    event.set()


def environment_for(upstream: Upstream, **more: str) -> dict[str, str]:
    """Settings of an app that asks the scripted upstream."""
    return {
        "USE_OPENAI": "true",
        "OPENAI_CHAT_MODEL": MODELS[0],
        "OPENAI_API_KEY": PLANTED_KEY,
        "OPENAI_BASE_URL": upstream.base_url,
        "LOG_LEVEL": "DEBUG",
        "HEALTH_POLL_SEC": "3",
        "CB_FAILURE_THRESHOLD": "1000",  # faults are scripted in a row
        **more,
    }


@pytest.fixture(scope="session")
def shared_app(_upstream):
    with App(**environment_for(_upstream, SIGN_IN_MAX_FAILURES="2", MAX_PROMPT_CHARS="100000")) as app:
        app.add_person("administrator")
        yield app


@pytest.fixture
def app(shared_app):
    return shared_app


_USUAL = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"}


@pytest.fixture(scope="session")
def kept_contexts(browser):
    """The contexts of the first visitor of every test, of the second, and so on, made when they are needed: a new one
    reads all of Streamlit's scripts again, which is half of what opening a page takes.
    """
    contexts = []
    yield contexts
    for context in contexts:
        context.close()


class Visitors:
    """People with a browser each, for one test; what went wrong in their pages is kept."""

    def __init__(self, browser, kept_contexts, app) -> None:
        self._browser = browser
        self._kept = kept_contexts
        self._app = app
        self.contexts: list[BrowserContext] = []
        self.refused: list[str] = []
        self.errors: list[str] = []

    def visit(self, username: str | None = None, *, viewport=None, color_scheme=None, **device) -> Page:
        """A page in a browser as new, signed in as `username`; nothing is open in it yet. `device`: what a context must
        know from its beginning, as whether it has a screen to touch.
        """
        context = self._new_context(**device) if device else self._kept_context()
        context.set_default_timeout(20_000)
        context.on("console", self._note)
        context.on("weberror", self._note_error)
        self.contexts.append(context)
        if username is not None:
            token = self._app.sign_in(username)
            context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": self._app.url}])
        page = context.new_page()
        if viewport is not None:
            page.set_viewport_size(viewport)
        if color_scheme is not None:
            page.emulate_media(color_scheme=color_scheme)
        return page

    def _kept_context(self) -> BrowserContext:
        free = [context for context in self._kept if context not in self.contexts]
        if not free:
            free.append(self._new_context())
            self._kept.append(free[0])
        return free[0]

    def _new_context(self, **device) -> BrowserContext:
        return self._browser.new_context(**_USUAL, **device)

    def _note(self, message) -> None:
        if re.search("content security policy|refused to", message.text, re.IGNORECASE):
            self.refused.append(message.text)
        if message.type == "error":
            self.errors.append(message.text)

    def _note_error(self, error) -> None:
        self.errors.append(f"{error.error.message}\n{error.error.stack}")

    def close(self, failed_name: str | None) -> None:
        if failed_name is not None:
            print("Errors of the pages:", *self.errors, sep="\n")
        for number, context in enumerate(self.contexts):
            for tab, page in enumerate(context.pages):
                if failed_name is not None:
                    with ignored():
                        page.screenshot(path=_RESULTS / f"{failed_name}-{number}-{tab}.png")
            if context in self._kept:
                self._tidy(context)
            else:
                context.close()

    def _tidy(self, context: BrowserContext) -> None:
        """Leaves it as new but for the files it has read."""
        context.remove_listener("console", self._note)
        context.remove_listener("weberror", self._note_error)
        context.clear_cookies()
        context.clear_permissions()
        for page in context.pages:
            with ignored():  # one that has crashed
                storage = {"origin": self._app.url, "storageTypes": "local_storage"}
                context.new_cdp_session(page).send("Storage.clearDataForOrigin", storage)
            page.close()


@pytest.fixture
def visitors(browser, kept_contexts, app, request):
    visitors = Visitors(browser, kept_contexts, app)
    yield visitors
    failed = getattr(request.node, "failed_browser_test", False)
    name = re.sub(r"[^\w-]+", "-", f"{Path(request.node.fspath).stem}-{request.node.name}")
    visitors.close(name if failed else None)
    assert not visitors.refused, "the content security policy refused something"


@pytest.fixture
def person(app):
    """The username of somebody who has just joined."""
    return app.add_person()


@pytest.fixture
def page(visitors, person):
    """A page of `person`, signed in, not opened yet."""
    return visitors.visit(person)


@pytest.fixture
def chat(app, upstream, page):
    """An empty chat, open."""
    return Chat(page, app.url).open()

"""Takes the README's screenshots from the running app: `python docs/take_screenshots.py`."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

from chatplay.auth.tokens import SESSION_COOKIE  # noqa: E402
from db.embedded import EmbeddedPostgres  # noqa: E402
from db.engine import make_engine  # noqa: E402
from db.seed import demo_plan, seed  # noqa: E402
from tests.browser.app_process import App  # noqa: E402
from tests.browser.chat_screen import Chat  # noqa: E402
from tests.browser.compare_screen import Compare  # noqa: E402
from tests.ensure_chromium import ensure_chromium  # noqa: E402

SHOTS = ROOT / "docs" / "screenshots"
FLAGS = ["--no-sandbox", "--disable-background-networking"]
PROMPTS = ("Why does a higher temperature vary more?", "Give me three rules for comparing two settings.")
LAST = "And how many repeats do I need?"


def main() -> None:
    SHOTS.mkdir(exist_ok=True)
    expect.set_options(timeout=60_000)
    app = App()
    app.start()
    try:
        username = app.add_person("administrator")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=ensure_chromium(), args=FLAGS)
            take(browser, app, app.sign_in(username))
            browser.close()
    finally:
        app.close()


def take(browser: Browser, app: App, token: str) -> None:
    page = opened(browser, app, token)
    chat = Chat(page, app.url).open()
    for number, prompt in enumerate(PROMPTS, start=1):
        chat.send(prompt)
        expect(chat.messages).to_have_count(2 * number)
        chat.done()
    chat.send(LAST)
    expect(chat.messages).to_have_count(2 * len(PROMPTS) + 2)
    page.wait_for_timeout(1_500)
    page.screenshot(path=SHOTS / "chat.png")
    chat.done()
    take_comparison(page, app)
    take_results(page, app)
    seed_usage(app)
    page.goto(f"{app.url}/metrics?range=30d&who=all")
    expect(page.locator("[data-testid=stVegaLiteChart] svg.marks").nth(7)).to_be_visible()
    page.wait_for_timeout(3_000)
    page.screenshot(path=SHOTS / "metrics.png")


def take_comparison(page: Page, app: App) -> None:
    """Three temperatures of one prompt, answered."""
    compare = Compare(page, app.url).open()
    compare.prompt.fill(PROMPTS[0])
    compare.prompt.blur()
    compare.add_pane()
    for number, steps in ((1, -20), (2, -10)):
        compare.set_temperature(number, steps)
        compare.pane(number).get_by_text("Settings", exact=True).click()
    compare.run_all.click()
    expect(compare.question).to_be_visible()
    page.mouse.move(0, 0)
    page.wait_for_timeout(1_000)
    page.screenshot(path=SHOTS / "compare.png")


def take_results(page: Page, app: App) -> None:
    """The ready example, run to its end; the page stays as high as that of Metrics."""
    page.goto(f"{app.url}/experiments")
    page.get_by_role("button", name="Open a ready example").click()
    page.get_by_role("button", name=re.compile("^Start ")).click()
    page.get_by_role("button", name="See the results").click()
    page.set_viewport_size({"width": 1440, "height": 1400})
    page.wait_for_timeout(3_000)
    page.screenshot(path=SHOTS / "results.png")


def seed_usage(app: App) -> None:
    url = EmbeddedPostgres(app.data).url()
    assert url is not None
    engine = make_engine(url, pool_size=1)
    seed(engine, demo_plan(datetime.now(UTC)))
    engine.dispose()


def opened(browser: Browser, app: App, token: str) -> Page:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": app.url}])
    return context.new_page()


if __name__ == "__main__":
    main()

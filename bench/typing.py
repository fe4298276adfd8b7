"""How long frames take while somebody types in a draft of 100 KB, with the context line following.

python -m bench.typing [--keys 60] [--kb 100]

Prints, for a short draft and the long one: key strokes, the longest and the median gap between two frames, and what
the script of the context line took itself.
"""

from __future__ import annotations

import argparse
from statistics import median
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from bench.browser import FLAGS
from chatplay.auth.tokens import SESSION_COOKIE
from tests.browser.app_process import App
from tests.ensure_chromium import ensure_chromium
from tests.live import samples

_PROBE = """() => {
  window.gaps = []; window.own = []; let before = performance.now();
  const tick = () => { const now = performance.now(); window.gaps.push(now - before); before = now;
    requestAnimationFrame(tick) };
  const ask = window.requestAnimationFrame;
  window.requestAnimationFrame = work => ask(at => { const begun = performance.now(); work(at);
    if (work !== tick) window.own.push(performance.now() - begun) });
  tick() }"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--keys", type=int, default=60)
    parser.add_argument("--kb", type=int, default=100)
    asked = parser.parse_args()
    with App() as app, sync_playwright() as playwright:
        token = app.sign_in(app.add_person())
        browser = playwright.chromium.launch(executable_path=ensure_chromium(), args=FLAGS)
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": app.url}])
        for title, chars, follows in (
            ("short draft", 100, True),
            (f"{asked.kb} KB", asked.kb * 1000, True),
            (f"{asked.kb} KB, without the context line", asked.kb * 1000, False),
        ):
            page = context.new_page()
            page.goto(f"{app.url}/chat")
            print(f"{title}: {_typed(page, chars, asked.keys, follows=follows)}", flush=True)
            page.close()
        browser.close()


def _typed(page: Page, chars: int, keys: int, *, follows: bool) -> str:
    line = page.locator(".chat-count")
    field = page.get_by_placeholder("Type a message...")
    expect(field).to_be_enabled()
    text = (" ".join(samples.ENGLISH) + "\n").__mul__(chars // 2_000 + 1)[:chars]
    field.fill(text)
    page.wait_for_timeout(3_000)  # what the page does after its start and after a paste is another matter
    if not follows:
        page.evaluate("document.querySelector('.chat-context').removeAttribute('data-weights')")
    before = line.text_content()
    field.press("End")
    page.evaluate(_PROBE)
    for _ in range(keys):
        page.keyboard.type("word ", delay=30)
    gaps: list[float] = page.evaluate("window.gaps.slice(1)")
    own: list[Any] = page.evaluate("window.own") or [0.0]
    if follows and line.text_content() == before:
        raise SystemExit("the context line did not follow")
    longest, late = max(gaps), sum(gap > 50 for gap in gaps)
    return (
        f"{keys * 5} key strokes, frames: longest {longest:.1f} ms, median {median(gaps):.1f} ms, {late} over 50 ms; "
        f"the script itself at most {max(own):.2f} ms"
    )


if __name__ == "__main__":
    main()

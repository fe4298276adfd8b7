"""One person in Chromium: types a prompt, and a probe inside the page says when each part of the answer was painted."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from bench.ours import Visitor
from bench.programs import Program, get_json

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"]
SETTLE_MS = 1000
# Painted = the DOM changed, a frame was begun with that DOM, and the task after that frame runs.
# The text is read inside the frame callback, so that a later change is not taken for painted.
PROBE = """
(() => {
  const probe = {id: null, enter: null, first: null, last: null, frames: 0};
  window.__bench = probe;
  const now = () => performance.timeOrigin + performance.now();
  const answer = () => {
    const all = document.querySelectorAll('[data-testid="stChatMessage"]');
    return all.length ? all[all.length - 1].textContent : '';
  };
  const channel = new MessageChannel();
  let waiting = [], pending = false;
  channel.port1.onmessage = () => {
    const at = now();
    for (const name of waiting) probe[name] = at;
    waiting = [];
  };
  const frame = () => {
    pending = false;
    if (probe.id === null || probe.last !== null) return;
    probe.frames += 1;
    const text = answer();
    if (probe.first === null && text.includes('R' + probe.id)) waiting.push('first');
    if (text.includes('Z' + probe.id)) waiting.push('last');
    if (waiting.length) channel.port2.postMessage(null);
  };
  new MutationObserver(() => {
    if (!pending && probe.id !== null) { pending = true; requestAnimationFrame(frame); }
  }).observe(document, {childList: true, characterData: true, subtree: true});
  document.addEventListener('keydown', event => {
    if (event.key === 'Enter' && probe.id !== null && probe.enter === null) probe.enter = now();
  }, true);
  probe.arm = id => Object.assign(probe, {id, enter: null, first: null, last: null, frames: 0});
})();
"""


@dataclass(frozen=True)
class Turn:
    """One measured prompt. Lags in ms; bytes and CPU cover Enter until the page has settled."""

    request_ms: float
    first_ms: float
    last_ms: float
    bytes_down: int
    server_cpu_ms: float
    page_cpu_ms: float
    frames: int


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser: one of the system when there is one, else Playwright's own."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = _launch(playwright, found)
        try:
            yield browser
        finally:
            browser.close()


def _launch(playwright: Playwright, path: str | None) -> Browser:
    return playwright.chromium.launch(executable_path=path and Path(path), args=FLAGS)


@contextlib.contextmanager
def opened(browser: Browser, program: Program, visitor: Visitor) -> Iterator[Page]:
    """The chat page of one visitor, drawn and at rest."""
    context = browser.new_context(bypass_csp=True, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(30_000)
    context.add_cookies([{"name": n, "value": v, "url": program.base_url} for n, v in visitor.cookies])
    context.add_init_script(PROBE)
    page = context.new_page()
    page.goto(f"{program.base_url}/{visitor.path}?{visitor.query}")
    page.get_by_test_id("stChatInputTextArea").wait_for()
    page.wait_for_timeout(SETTLE_MS)
    try:
        yield page
    finally:
        context.close()


def take_turn(page: Page, program: Program, upstream_url: str, *, count: int, gap_ms: float, wait_ms: int = 0) -> Turn:
    """Send one prompt for `count` tokens `gap_ms` apart, the first after `wait_ms` (0: one gap); measure to its end."""
    answer_id = f"{time.monotonic_ns() // 1000 % 0xFFFFF:05x}"
    order = f"n={count} gap={gap_ms} id={answer_id}" + (f" wait={wait_ms}" if wait_ms else "")
    page.get_by_test_id("stChatInputTextArea").fill(f"Tell me about rivers, {order}")
    page.wait_for_timeout(SETTLE_MS / 2)
    metrics = page.context.new_cdp_session(page)
    metrics.send("Performance.enable")
    page.evaluate("id => window.__bench.arm(id)", answer_id)
    page.wait_for_function("true")  # reads Playwright's own script now, not in the 10 ms before the first token
    bytes_before, cpu_before, page_before = program.bytes_down(), program.usage().cpu_ms, _page_cpu_ms(metrics)
    page.keyboard.press("Enter")
    page.wait_for_function("window.__bench.last !== null", timeout=count * gap_ms + 60_000, polling=250)
    page.wait_for_timeout(SETTLE_MS)
    page_after, cpu_after, bytes_after = _page_cpu_ms(metrics), program.usage().cpu_ms, program.bytes_down()
    seen = page.evaluate("({...window.__bench})")
    metrics.detach()
    stamps = get_json(f"{upstream_url}/stamps")[answer_id]
    return Turn(
        request_ms=stamps["received_ns"] / 1e6 - seen["enter"],
        first_ms=seen["first"] - stamps["sent_ns"][0] / 1e6,
        last_ms=seen["last"] - stamps["sent_ns"][-1] / 1e6,
        bytes_down=bytes_after - bytes_before,
        server_cpu_ms=cpu_after - cpu_before,
        page_cpu_ms=page_after - page_before,
        frames=seen["frames"],
    )


def _page_cpu_ms(session) -> float:
    values = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    return float(values["ProcessTime"]) * 1000

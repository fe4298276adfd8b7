"""`python -m bench.compare`: six panes that answer at once, beside the same six answers as single chats.

Each pane and each chat gets the same number of tokens at the same pace from the mock upstream. Runs of the two
are interleaved, so that whatever else the machine does meets both alike.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from playwright.sync_api import Browser, Page

from bench import ours
from bench.browser import SETTLE_MS, chromium, opened, take_turn
from bench.chat import percentile
from bench.programs import APPS, Program, get_json, started, upstream
from chatplay import params as parameters
from chatplay.auth.sessions import Sessions
from chatplay.auth.tokens import SESSION_COOKIE
from chatplay.params import Params
from chatplay.settings import load_settings
from chatplay.store import Store
from db import compare
from db.compare import PaneRow
from db.embedded import EmbeddedPostgres
from db.engine import make_engine

PANES = 6
PROBE = """
(() => {
  const probe = {id: null, last: {}};
  window.__bench = probe;
  const channel = new MessageChannel();
  let waiting = [], pending = false;
  channel.port1.onmessage = () => {
    const at = performance.timeOrigin + performance.now();
    for (const pane of waiting) probe.last[pane] = at;
    waiting = [];
  };
  const frame = () => {
    pending = false;
    for (let pane = 1; pane <= PANES; pane++) {
      if (probe.last[pane] || waiting.includes(pane)) continue;
      const place = document.querySelector('.st-key-compare_answer_' + pane);
      if (place && place.textContent.includes('Z' + probe.id + 'p' + pane)) waiting.push(pane);
    }
    if (waiting.length) channel.port2.postMessage(null);
  };
  new MutationObserver(() => {
    if (!pending && probe.id !== null) { pending = true; requestAnimationFrame(frame); }
  }).observe(document, {childList: true, characterData: true, subtree: true});
})();
""".replace("PANES", str(PANES))


@dataclass(frozen=True)
class Sample:
    """One run. Lags from the last chunk sent to its paint; CPU of the server for all six answers; bytes likewise."""

    end_lags_ms: list[float]
    cpu_ms: float
    bytes_down: int


def six_panes(browser: Browser, program: Program, upstream_url: str, *, count: int, gap_ms: float) -> Sample:
    """All panes of one comparison, run together."""
    answer_id = f"{time.monotonic_ns() // 1000 % 0xFFFFF:05x}"
    cookie, comparison_id = _prepare(program, f"Tell me about rivers, n={count} gap={gap_ms} id={answer_id}")
    with _comparison(browser, program, cookie, comparison_id) as page:
        page.evaluate("id => { window.__bench.id = id }", answer_id)
        bytes_before, cpu_before = program.bytes_down(), program.usage().cpu_ms
        page.get_by_role("textbox", name="Prompt", exact=True).press("Control+Enter")
        done = f"Object.keys(window.__bench.last).length === {PANES}"
        page.wait_for_function(done, timeout=count * gap_ms + 60_000, polling=250)
        page.wait_for_timeout(SETTLE_MS)
        cpu_after, bytes_after = program.usage().cpu_ms, program.bytes_down()
        painted = page.evaluate("window.__bench.last")
    stamps = get_json(f"{upstream_url}/stamps")
    lags = [painted[str(pane)] - stamps[f"{answer_id}p{pane}"]["sent_ns"][-1] / 1e6 for pane in range(1, PANES + 1)]
    return Sample(lags, cpu_after - cpu_before, bytes_after - bytes_before)


def six_chats(browser: Browser, program: Program, upstream_url: str, *, count: int, gap_ms: float) -> Sample:
    """As many chats, one after the other."""
    turns = []
    for visitor in program.visitors(PANES):
        with opened(browser, program, visitor) as page:
            turns.append(take_turn(page, program, upstream_url, count=count, gap_ms=gap_ms))
    return Sample(
        [turn.last_ms for turn in turns],
        sum(turn.server_cpu_ms for turn in turns),
        sum(turn.bytes_down for turn in turns),
    )


def _prepare(program: Program, prompt: str) -> tuple[tuple[str, str], str]:
    """A new person's cookie, and the id of their comparison with six panes."""
    server = EmbeddedPostgres(program.data_dir)
    settings = load_settings(env_file=None, environ={"CHATPLAY_DATA_DIR": str(program.data_dir)})
    store = Store(make_engine(server.start(), pool_size=2))
    comparison_id = uuid4()
    try:
        person = ours.add_person(store)
        sessions = Sessions(store=store, settings=settings, clock=lambda: datetime.now(UTC))
        cookie = sessions.open(user_id=person, address=None, user_agent="bench")
        with store.transaction() as conn:
            compare.insert_comparison(
                conn, comparison_id=comparison_id, user_id=person, prompt=prompt, begun_at=compare.NOW
            )
            for place in range(PANES):
                params = parameters.to_json(Params(system_prompt=f"part={place + 1}"))
                pane = PaneRow(uuid4(), place, "bench", "openai", params)
                compare.insert_pane(conn, comparison_id=comparison_id, pane=pane)
    finally:
        store.engine.dispose()
        server.stop()
    return (SESSION_COOKIE, cookie), str(comparison_id)


@contextlib.contextmanager
def _comparison(browser: Browser, program: Program, cookie: tuple[str, str], comparison_id: str) -> Iterator[Page]:
    context = browser.new_context(bypass_csp=True, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(30_000)
    context.add_cookies([{"name": cookie[0], "value": cookie[1], "url": program.base_url}])
    context.add_init_script(PROBE)
    page = context.new_page()
    page.goto(f"{program.base_url}/compare?comparison={comparison_id}")
    page.locator(f".st-key-compare_pane_{PANES}").wait_for()
    page.wait_for_timeout(SETTLE_MS)
    try:
        yield page
    finally:
        context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=500)
    parser.add_argument("--gap-ms", type=float, default=20, help="20 is 50 tokens a second")
    args = parser.parse_args()
    panes: list[Sample] = []
    chats: list[Sample] = []
    with upstream() as upstream_url, chromium() as browser, started(APPS["ours"], upstream_url) as program:
        six_panes(browser, program, upstream_url, count=20, gap_ms=5)  # first imports are no part of any figure
        for _ in range(args.runs):
            panes.append(six_panes(browser, program, upstream_url, count=args.tokens, gap_ms=args.gap_ms))
            chats.append(six_chats(browser, program, upstream_url, count=args.tokens, gap_ms=args.gap_ms))
    _report(panes, chats)


def _report(panes: list[Sample], chats: list[Sample]) -> None:
    print("| | six panes | six single chats | ratio |\n|---|---|---|---|")
    for label, percent in (("end lag p50, ms", 50), ("end lag p95, ms", 95)):
        _row(label, *(percentile([lag for one in side for lag in one.end_lags_ms], percent) for side in (panes, chats)))
    _row(
        "server CPU for all six answers, ms", *(percentile([one.cpu_ms for one in side], 50) for side in (panes, chats))
    )
    _row("bytes to the browser", *(percentile([one.bytes_down for one in side], 50) for side in (panes, chats)))


def _row(label: str, ours_: float, theirs: float) -> None:
    print(f"| {label} | {ours_:,.0f} | {theirs:,.0f} | {ours_ / theirs:.2f} |")


if __name__ == "__main__":
    main()

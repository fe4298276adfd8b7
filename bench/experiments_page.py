"""How quickly the Results tab of a large experiment stands in the browser: from the click on it to its last card.

    python -m bench.experiments_page                      # 100,000 trials of 20 arms
    python -m bench.experiments_page --trials 10000 --runs 3

anew   a trial has ended since, so trials are read and every figure is computed
again  nothing has changed: what this process keeps is drawn
load   the address is opened, figures kept: sign-in, frame and tab
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

from playwright.sync_api import Browser, Page
from sqlalchemy import text

from bench import ours
from bench.browser import chromium
from bench.chat import percentile
from bench.experiments_run import FILL
from bench.programs import ROOT, App, Program, started, upstream
from chatplay import runtime
from chatplay.auth.sessions import Sessions
from chatplay.auth.tokens import SESSION_COOKIE
from chatplay.experiments.scoring import Contains
from chatplay.experiments.values import AxisText, CaseTable, ModelRef, Plan
from chatplay.settings import Settings
from db.embedded import EmbeddedPostgres

APP = App(
    name="ours",
    command=ours.command,
    folder=ROOT,
    visitors=ours.visitors,
    env=lambda data_dir, port: {**ours.env(data_dir, port), "EXPERIMENT_WORKER": "false"},
)
_CASES, _ARMS = 250, 20
_QUIET_MS = 1_500  # without a change inside the tab: it stands
_TOUCH = """
UPDATE experiment_trials SET score = random(), ended_at = clock_timestamp()
WHERE id = (SELECT min(id) FROM experiment_trials WHERE experiment_id = :id)
"""
# The last change inside the tab that can be seen, and the first moment at which it has a card, both painted by the next
# frame. Tables are drawn on a canvas; what they write into it for screen readers comes a fifth of a second later.
_PROBE = """
(() => {
  const probe = {from: null, first: null, last: null};
  window.__bench = probe;
  const look = () => requestAnimationFrame(() => {
    if (probe.from === null) return;
    const at = performance.now();
    probe.last = at;
    if (probe.first === null && document.querySelector('.st-key-experiments_card_arms canvas')) probe.first = at;
  });
  const unseen = change => change.target.parentElement?.closest('canvas') ||
    (change.type === 'childList' && change.target.closest('canvas'));
  new MutationObserver(changes => {
    const tab = document.querySelector('.st-key-experiments_results');
    if (tab && changes.some(change => tab.contains(change.target) && !unseen(change))) look();
  }).observe(document, {childList: true, characterData: true, attributes: true, subtree: true});
  document.addEventListener('click', () => { if (probe.from === null) probe.from = performance.now(); }, true);
  probe.arm = () => Object.assign(probe, {from: null, first: null, last: null});
  if (location.hash === '#load') probe.from = 0;
})();
"""


class House:
    """The services on the app's own database, beside the app, and one person."""

    def __init__(self, program: Program, url: str, upstream_url: str) -> None:
        settings = {
            "DATABASE_URL": url,
            "EXPERIMENT_WORKER": "false",
            "USE_OPENAI": "true",
            "OPENAI_BASE_URL": f"{upstream_url}/v1",
            "OPENAI_CHAT_MODEL": "bench",
            "OPENAI_ALLOWED_MODELS": "bench",
            "CHATPLAY_DATA_DIR": str(program.data_dir / "bench"),
        }
        self.running = runtime.start(Settings.model_validate(settings))
        store = self.running.store
        self.user_id = ours.add_person(store)
        sessions = Sessions(store=store, settings=self.running.settings, clock=lambda: datetime.now(UTC))
        self.cookie = sessions.open(user_id=self.user_id, address=None, user_agent="bench")

    def finish(self, trials: int) -> UUID:
        """An experiment of `trials` made-up trials: 20 arms of two settings, 250 cases, the rest repeats."""
        service = self.running.experiments
        plan = Plan(
            prompts=(service.save_prompt(user_id=self.user_id, name="order", prompt="Say {{word}}"),),
            models=(ModelRef("bench", "openai"),),
            axes=(AxisText("temperature", "0, 0.25, 0.5, 1"), AxisText("top_p", "0.2, 0.4, 0.6, 0.8, 1")),
            repeats=trials // _ARMS // _CASES,
            rules=(Contains("R"),),
        )
        cases = CaseTable(("word",), tuple((f"w{number}",) for number in range(_CASES)))
        draft = service.create(user_id=self.user_id, name="Bench", plan=plan, cases=cases)
        service.start(user_id=self.user_id, role="analyst", experiment_id=draft.id)
        with self.running.store.transaction() as conn:
            conn.execute(text(FILL), {"id": draft.id})
            conn.execute(text("UPDATE experiments SET state = 'done' WHERE id = :id"), {"id": draft.id})
            conn.execute(text("DELETE FROM procrastinate_jobs"))
            conn.execute(text("ANALYZE experiment_trials"))
        return draft.id

    def touch(self, experiment_id: UUID) -> None:
        with self.running.store.transaction() as conn:
            conn.execute(text(_TOUCH), {"id": experiment_id})


@contextlib.contextmanager
def housed(program: Program, upstream_url: str) -> Iterator[House]:
    server = EmbeddedPostgres(program.data_dir)
    house = House(program, server.start(), upstream_url)
    try:
        yield house
    finally:
        house.running.close()
        server.stop()


def click(page: Page, program: Program, experiment_id: UUID) -> tuple[float, float, float]:
    """Milliseconds from the click on Results, in an open experiment, to its first card and to its last change, and
    the server's CPU meanwhile.
    """
    page.goto(f"{program.own_url}/experiments?experiment={experiment_id}&tab=run")
    tab = page.get_by_role("tab", name="Results")
    tab.wait_for()
    page.wait_for_timeout(_QUIET_MS)
    page.evaluate("window.__bench.arm()")
    before = program.usage().cpu_ms
    tab.click()
    return _stands(page, program, before)


def load(page: Page, program: Program, experiment_id: UUID) -> tuple[float, float, float]:
    """The same from opening its address."""
    page.goto("about:blank")
    before = program.usage().cpu_ms
    page.goto(f"{program.own_url}/experiments?experiment={experiment_id}&tab=results#load")
    return _stands(page, program, before)


def _stands(page: Page, program: Program, before: float) -> tuple[float, float, float]:
    quiet = f"window.__bench.first !== null && performance.now() - window.__bench.last > {_QUIET_MS}"
    page.wait_for_function(quiet, polling=100, timeout=60_000)
    found = page.evaluate("[window.__bench.first - window.__bench.from, window.__bench.last - window.__bench.from]")
    return found[0], found[1], program.usage().cpu_ms - before


def measure(browser: Browser, program: Program, house: House, *, trials: int, runs: int) -> None:
    context = browser.new_context(bypass_csp=True, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    context.add_cookies([{"name": SESSION_COOKIE, "value": house.cookie, "url": program.own_url}])
    context.add_init_script(_PROBE)
    page = context.new_page()
    click(page, program, house.finish(_ARMS * _CASES))  # first imports are in no figure
    experiment_id = house.finish(trials)
    found: dict[str, list[tuple[float, float, float]]] = {"anew": [], "again": [], "load": []}
    for _ in range(runs):
        house.touch(experiment_id)
        for name, act in (("anew", click), ("again", click), ("load", load)):
            found[name].append(act(page, program, experiment_id))
    print(f"| Results of {trials:,} trials, p50 of {runs} | first card, ms | all of it, ms | server CPU, ms |")
    print("|---|---|---|---|")
    for name, rows in found.items():
        medians = (percentile(list(column), 50) for column in zip(*rows, strict=True))
        print(f"| {name} |", " | ".join(f"{median:,.0f}" for median in medians), "|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000, help="a multiple of 5,000")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        upstream_url, browser = stack.enter_context(upstream()), stack.enter_context(chromium())
        program = stack.enter_context(started(APP, upstream_url))
        house = stack.enter_context(housed(program, upstream_url))
        measure(browser, program, house, trials=args.trials, runs=args.runs)


if __name__ == "__main__":
    main()

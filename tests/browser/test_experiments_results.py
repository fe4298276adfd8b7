"""Results, cases and review of an experiment in a real browser: what only a browser can show."""

import contextlib
import json

import pytest
from playwright.sync_api import expect

from chatplay import runtime
from chatplay.settings import Settings
from db import accounts
from db.embedded import EmbeddedPostgres
from tests.browser.app_process import App
from tests.browser.conftest import environment_for
from tests.experiment_results_rig import finish


@pytest.fixture(scope="module")
def app(_upstream):
    """Without a worker, which would run what these tests write down."""
    with App(**environment_for(_upstream, EXPERIMENT_WORKER="false")) as app:
        app.add_person("administrator")
        yield app


@pytest.fixture
def services(app):
    """The services on the app's own database, beside the app."""
    url = EmbeddedPostgres(app.data).url()
    built = runtime.build(Settings(database_url=url, database_pool_size=2))
    built.generations.start()
    yield built
    built.close()


@pytest.fixture
def experiment(services, person):
    """One of `person` that has run."""
    with services.store.reading() as conn:
        user_id = accounts.find_credentials(conn, username=person).user_id
    return finish(services, user_id, axes="0, 0.5, 1")


def opened(page, app, experiment, tab):
    page.goto(f"{app.url}/experiments?experiment={experiment.id}&tab={tab}")
    expect(page.get_by_role("tab", name="Results")).to_be_visible()
    return page


def press_until(page, key, sign):
    """Presses `key` until `sign` is there: the page takes keys a moment after it is drawn."""
    for _ in range(20):
        page.keyboard.press(key)
        with contextlib.suppress(AssertionError):
            expect(sign).to_be_visible(timeout=1_000)
            return
    raise AssertionError(f"{key} did nothing")


def test_every_chart_of_the_results_is_drawn_under_the_content_policy(page, app, experiment):
    opened(page, app, experiment, "results")
    drawn = page.locator("[data-testid=stVegaLiteChart] :is(canvas, svg)")
    expect(drawn.nth(3)).to_be_attached()  # baseline, shares, effect, frontier
    expect(page.get_by_text("This page has a fault")).to_have_count(0)


def test_charts_that_were_kept_are_drawn_again(page, app, experiment):
    drawn = page.locator("[data-testid=stVegaLiteChart] :is(canvas, svg)")
    for _ in range(2):
        opened(page, app, experiment, "results")
        expect(drawn.nth(3)).to_be_attached()


def test_numbers_behind_a_chart_come_when_they_are_opened(page, app, experiment):
    opened(page, app, experiment, "results")
    card = page.locator(".st-key-experiments_card_baseline")
    summary = card.get_by_text("Numbers, and the words for every figure")
    expect(summary).to_be_visible()
    expect(card.get_by_test_id("stDataFrame")).to_have_count(0)
    summary.click()
    expect(card.get_by_test_id("stDataFrame")).to_have_count(2)
    expect(card.get_by_role("button", name="CSV")).to_be_visible()


def test_how_a_card_is_computed_opens_by_the_keyboard(page, app, experiment):
    opened(page, app, experiment, "results")
    card = page.locator(".st-key-experiments_card_baseline")
    expect(card.get_by_role("heading", name="Against the baseline")).to_be_visible()
    expect(card.get_by_text("Holm 1979")).to_be_hidden()
    card.get_by_text("How is this computed").press("Enter")
    expect(card.get_by_text("Holm 1979")).to_be_visible()


def test_answers_are_scored_with_notes_skipped_and_taken_back_by_keys_alone(page, app, services, experiment):
    opened(page, app, experiment, "review")
    expect(page.get_by_text("36 to score.")).to_be_visible()
    note = page.get_by_role("textbox", name="Note")
    press_until(page, "n", note)
    expect(note).to_be_focused()
    page.keyboard.press("Control+A")  # a key that came late may have been typed
    page.keyboard.type("5 of 5")  # digits are text here, no scores
    page.keyboard.press("Enter")
    expect(page.get_by_text("Note: 5 of 5")).to_be_visible()
    expect(note).to_have_count(0)  # else the digit is one more letter of it
    page.keyboard.press("4")
    expect(page.get_by_text("35 to score.")).to_be_visible()
    expect(page.get_by_role("button", name="Back")).to_be_enabled()
    page.keyboard.press("b")
    expect(page.get_by_text("You scored it Good.")).to_be_visible()


def test_a_vote_is_cast_by_a_key_right_after_the_click_that_turned_to_votes(page, app, services, experiment):
    opened(page, app, experiment, "review")
    page.get_by_text("Votes on pairs").click()
    expect(page.get_by_text("Which answer is better?")).to_be_visible()
    press_until(page, "1", page.get_by_role("button", name="Back").and_(page.locator(":enabled")))
    page.keyboard.press("b")
    expect(page.get_by_text("Your vote: Left is better.")).to_be_visible()


def test_an_opened_cell_survives_a_reload_and_keys_lead_to_the_next_case(page, app, experiment):
    opened(page, app, experiment, "cases&case=5&arm=2")
    expect(page.get_by_text("No idea 0.")).to_be_visible()
    last = page.get_by_text("Case 6", exact=True)
    press_until(page, "j", last)
    page.reload()
    expect(last).to_be_visible()


def test_a_downloaded_file_holds_every_trial(page, app, experiment):
    opened(page, app, experiment, "take-away")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="JSONL").click()
    rows = [json.loads(line) for line in waiting.value.path().read_text().splitlines()]
    assert len(rows) == 36

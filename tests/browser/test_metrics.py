"""The metrics page in a browser: every chart is drawn under our policy, and what is picked leads to its calls."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect

from db.embedded import EmbeddedPostgres
from db.engine import make_engine
from db.seed import Plan, seed
from tests.browser.app_process import App
from tests.browser.test_layout import PHONE, TOO_WIDE

SHOTS = Path("test-results/metrics")
TITLES = (
    "Latency and speed over time",
    "How it is spread over the calls",
    "TTFT against prompt tokens",
    "Speed against context length",
    "How calls ended",
    "Tokens and cost",
    "What settings change",
    "When calls are made",
)

# In how many columns the figures stand.
LEFT_EDGES = """() => new Set([...document.querySelectorAll('[data-testid=stMetric]')]
  .map(tile => Math.round(tile.getBoundingClientRect().left))).size"""


@pytest.fixture(scope="module")
def app():
    """An app with twelve days of made-up calls."""
    with App() as app:
        url = EmbeddedPostgres(app.data).url()
        engine = make_engine(url, pool_size=1)
        seed(engine, Plan(messages=2_000, days=12, people=5, until=datetime.now(UTC)), progress=lambda _line: None)
        engine.dispose()
        app.administrator = app.add_person("administrator")
        yield app


@pytest.fixture
def admin(app, visitors):
    return visitors.visit(app.administrator, viewport={"width": 1440, "height": 1000})


def opened(page, app, query="range=30d&who=all"):
    """With the last chart drawn."""
    page.goto(f"{app.url}/metrics?{query}")
    expect(chart(page, TITLES[-1])).to_be_visible()
    return page


def chart(page, title):
    """They stand in the order of TITLES."""
    return page.get_by_test_id("stMain").locator("[data-testid=stVegaLiteChart] svg.marks").nth(TITLES.index(title))


def test_every_chart_is_drawn_and_nothing_is_refused(app, admin, visitors):
    page = opened(admin, app)
    SHOTS.mkdir(parents=True, exist_ok=True)
    for title in TITLES:
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        drawn = chart(page, title)
        drawn.scroll_into_view_if_needed()
        assert drawn.bounding_box()["height"] > 100
        drawn.screenshot(path=SHOTS / f"{title}.png")
    assert visitors.refused == []


def test_cell_that_is_picked_leads_to_its_calls_and_a_call_to_its_flight_recorder(app, admin):
    page = opened(admin, app)
    cells = chart(page, "What settings change")
    cells.scroll_into_view_if_needed()
    box = cells.bounding_box()
    cells.click(position={"x": box["width"] * 0.4, "y": box["height"] * 0.4})
    expect(page.get_by_text("Picked:")).to_contain_text("temperature")
    page.get_by_role("button", name="Show all calls").click()
    expect(page.get_by_text("Picked:")).to_be_hidden()


def test_step_of_a_distribution_and_a_bar_lead_to_their_calls_and_those_to_a_file(app, admin):
    page = opened(admin, app)
    picked, link = page.get_by_text("Picked:"), page.get_by_role("link", name="Calls as CSV")
    everything = link.get_attribute("href")
    pick(chart(page, "How it is spread over the calls"), ".mark-symbol path")
    expect(picked).to_contain_text("TTFT, ms")
    expect(link).not_to_have_attribute("href", everything)
    step = link.get_attribute("href")
    pick(chart(page, "Tokens and cost"), ".mark-rect path")
    expect(picked).not_to_contain_text("TTFT, ms")
    expect(link).not_to_have_attribute("href", step)
    model = picked.inner_text().removeprefix("Picked: ")
    file = page.request.get(app.url + link.get_attribute("href"))
    assert "attachment" in file.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(file.body().decode("utf-8-sig"), newline="")))
    assert {row["model"] for row in rows} == {model}
    assert len(rows) == calls_of(app, model)


def pick(drawn, marks):
    """Clicks the first of the chart's marks; those of the distribution are not seen."""
    drawn.scroll_into_view_if_needed()
    drawn.locator(marks).first.click(force=True)


def calls_of(app, model):
    with app.database() as conn:
        query = "SELECT count(*) FROM usage WHERE model = %(model)s AND created_at >= now() - interval '30 days'"
        return conn.exec_driver_sql(query, {"model": model}).scalar()


def test_call_in_the_address_opens_and_closing_it_takes_it_out(app, admin):
    with app.database() as conn:
        call = conn.exec_driver_sql("SELECT generation_id FROM usage WHERE cardinality(gaps_ms) > 20 LIMIT 1").scalar()
    page = opened(admin, app, f"range=30d&who=all&call={call}")
    recorder = page.get_by_role("dialog")
    expect(recorder.get_by_text("Token timeline")).to_be_visible()
    expect(recorder.locator("svg.marks").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(recorder).to_be_hidden()
    page.wait_for_url(lambda url: "call=" not in url)


def test_filter_is_in_the_address_and_survives_a_reload(app, admin):
    page = opened(admin, app, "who=all")
    page.get_by_role("radio", name="24h").or_(page.get_by_role("button", name="24h")).first.click()
    page.wait_for_url("**range=24h**")
    page.reload()
    expect(page.get_by_role("heading", name="Metrics")).to_be_visible()
    assert "range=24h" in page.url


def test_nothing_is_wider_than_a_phone(app, visitors):
    page = opened(visitors.visit(app.administrator, viewport=PHONE), app)
    assert page.evaluate(TOO_WIDE) == []


def test_figures_stand_two_in_a_row_on_a_phone_and_say_of_how_many_calls(app, visitors):
    page = opened(visitors.visit(app.administrator, viewport=PHONE), app)
    tops = [tile.bounding_box()["y"] for tile in page.get_by_test_id("stMetric").all()[:4]]
    assert tops[0] == tops[1] < tops[2] == tops[3]
    of_how_many = page.get_by_test_id("stMetricDeltaDescription").first
    assert of_how_many.evaluate("box => box.scrollWidth <= box.clientWidth")


def test_usage_on_a_phone_sets_a_budget_and_keeps_its_days_in_the_address(app, visitors):
    page = visitors.visit(app.administrator, viewport=PHONE, color_scheme="dark")
    page.goto(f"{app.url}/usage?range=30d")
    expect(page.get_by_test_id("stMetric")).to_have_count(5)
    assert page.evaluate(LEFT_EDGES) == 2
    page.get_by_role("button", name="Set a budget").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox").click()
    page.get_by_role("option", name="Default (organisation)").click()
    dialog.get_by_role("spinbutton").fill("12.5")
    dialog.get_by_role("button", name="Set", exact=True).click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("Choose a row to change or remove its budget.")).to_be_visible()
    page.get_by_role("radio", name="Custom").or_(page.get_by_role("button", name="Custom")).first.click()
    page.wait_for_url("**from=*to=*")
    address = page.url
    page.reload()
    expect(page.get_by_role("group", name="Days, both included").or_(page.get_by_label("Days")).first).to_be_visible()
    assert page.url == address
    assert page.evaluate(TOO_WIDE) == []
    page.screenshot(path=SHOTS / "usage on a phone.png")

"""An experiment from plan to results in the browser, against the scripted server and the app's own worker."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.app_process import ignored, wait_until
from tests.browser.conftest import MODELS
from tests.browser.test_layout import PHONE, TOO_WIDE
from tests.upstream import answer, refuse

CASES = "word\texpected\nrain\twet\nsun\tdry\nsnow\tcold"


@pytest.fixture
def steady(upstream):
    """The server with one answer for everything; afterwards as it was."""
    before, upstream.default = upstream.default, answer("It is wet.")
    yield upstream
    upstream.default = before


@pytest.fixture
def plan(app, steady, page):
    """A new experiment, its plan open."""
    page.goto(f"{app.url}/experiments")
    page.get_by_role("button", name="New experiment").click()
    expect(field(page, "Prompt")).to_be_enabled()
    return page


def field(page, name):
    return page.get_by_role("textbox", name=name, exact=True)


def fill_in(page, *, temperature="0, 1"):
    """Three cases, one prompt, the model that is there; two arms, three repeats."""
    expect(page.locator(".st-key-experiments_editor")).to_contain_text(MODELS[0])
    field(page, "Prompt").fill("How is {{word}}?")
    field(page, "Temperature").fill(temperature)
    page.get_by_role("radio", name="Paste").click()
    field(page, "Pasted cases").fill(CASES)
    page.get_by_role("button", name="Use these cases").click()


def button(page, name):
    return page.get_by_role("button", name=name)


def test_plan_is_kept_as_it_is_typed_started_and_leads_to_results(upstream, plan):
    fill_in(plan)
    expect(button(plan, "Start 18 trials")).to_be_enabled()
    prompt = field(plan, "Prompt")
    prompt.press_sequentially(" Be {{tone}}.")  # and the field is never left
    expect(button(plan, "Add the column to the cases")).to_be_visible()
    plan.reload()
    expect(prompt).to_have_value("How is {{word}}? Be {{tone}}.")
    prompt.fill("How is {{word}}? Be brief.")
    button(plan, "Start 18 trials").click()
    expect(plan.get_by_text("18 of 18 trials")).to_be_visible(timeout=60_000)
    asked = {chat.body["messages"][-1]["content"] for chat in upstream.chats}
    assert asked == {f"How is {word}? Be brief." for word in ("rain", "sun", "snow")}
    button(plan, "See the results").click()
    results = plan.get_by_role("tab", name="Results")
    expect(results).to_have_attribute("aria-selected", "true")
    plan.reload()
    expect(results).to_have_attribute("aria-selected", "true")


def press_slowly(page, target):
    """As a hand does: what the press leaves behind is sent before the button comes up."""
    box = target.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.wait_for_timeout(100)
    page.mouse.up()


@pytest.mark.parametrize("way_out", ["tab", "clone", "list", "other page"])
def test_what_is_typed_last_is_kept_by_every_way_out_of_the_plan(app, plan, way_out):
    fill_in(plan)
    expect(button(plan, "Start 18 trials")).to_be_enabled()
    address = plan.url
    field(plan, "Prompt").press_sequentially(" Be brief.")
    if way_out == "tab":
        press_slowly(plan, plan.get_by_role("tab", name="Run"))
        expect(plan.get_by_text("Nothing runs yet.")).to_be_visible()
    elif way_out == "clone":
        button(plan, "Actions").click()
        plan.get_by_role("menuitem", name="Clone").click()
        expect(plan.get_by_text("Copy of")).to_be_visible()
        expect(field(plan, "Prompt")).to_have_value("How is {{word}}? Be brief.")
    elif way_out == "list":
        press_slowly(plan, button(plan, "All experiments"))
        expect(button(plan, "New experiment")).to_be_visible()
    else:
        press_slowly(plan, plan.get_by_role("link", name="Models"))
        expect(plan).to_have_url(re.compile("/models"))
        expect(plan.get_by_role("heading", name="Models")).to_be_visible()
    plan.goto(address.replace("tab=run", "tab=plan"))
    expect(field(plan, "Prompt")).to_have_value("How is {{word}}? Be brief.")


def type_into_first_cell(page, text):
    """The grid is drawn on a canvas: its cells are found by their place."""
    grid = page.locator(".st-key-experiments_editor").get_by_test_id("stDataFrame")
    cell = page.locator(".gdg-input")

    def opens():
        page.evaluate("document.activeElement.blur()")  # else Enter is for what was clicked before
        with ignored():  # it takes no click until it is drawn
            grid.click(position={"x": 150, "y": 52})
            page.keyboard.press("Enter")
            cell.wait_for(timeout=1_000)
        return cell.is_visible()

    wait_until(opens, "the cell to open")
    cell.fill(text)
    cell.press("Enter")


@pytest.mark.parametrize(("role", "away", "back"), [("tab", "Run", "Plan"), ("radio", "Paste", "Table")])
def test_cell_that_was_changed_stays_so_when_its_table_was_out_of_sight(plan, role, away, back):
    fill_in(plan)
    expect(button(plan, "Start 18 trials")).to_be_enabled()
    plan.get_by_text("What a model will read").click()
    expect(plan.get_by_text("How is rain?")).to_be_visible()
    type_into_first_cell(plan, "hail")
    expect(plan.get_by_text("How is hail?")).to_be_visible()
    plan.get_by_role(role, name=away).click()
    expect(plan.get_by_test_id("stDataFrame").locator("visible=true")).to_have_count(0 if role == "tab" else 1)
    plan.get_by_role(role, name=back).click()
    field(plan, "Temperature").fill("0, 0.5, 1")
    expect(button(plan, "Start 27 trials")).to_be_enabled()
    if role == "tab":
        plan.get_by_text("What a model will read").click()
    expect(plan.get_by_text("How is hail?")).to_be_visible()


def test_run_goes_on_while_nobody_looks_and_failures_are_mended(upstream, plan, app):
    upstream.default = refuse(400)
    fill_in(plan)
    button(plan, "Start 18 trials").click()
    expect(plan.get_by_text(re.compile("0 of 18|of 18 trials"))).to_be_visible()
    address = plan.url
    plan.goto(f"{app.url}/models")
    plan.goto(address)
    expect(plan.get_by_role("alert").filter(has_text="18 trials:")).to_be_visible(timeout=60_000)
    upstream.default = answer("It is wet.")
    button(plan, "Run 18 failed trials again").click()
    expect(plan.get_by_role("alert")).to_have_count(0)
    expect(plan.get_by_text("18 of 18 trials")).to_be_visible(timeout=60_000)


def test_extension_runs_only_what_is_missing(upstream, plan):
    fill_in(plan, temperature="0")
    button(plan, "Start 9 trials").click()
    expect(plan.get_by_text("9 of 9 trials")).to_be_visible(timeout=60_000)
    button(plan, "Extend").click()
    dialog = plan.get_by_role("dialog")
    dialog.get_by_role("spinbutton", name="Repeats").fill("5")
    dialog.get_by_role("spinbutton", name="Repeats").press("Enter")
    dialog.get_by_role("button", name="Run 6 new trials").click()
    expect(plan.get_by_text("15 of 15 trials")).to_be_visible(timeout=60_000)
    assert len(upstream.chats) == 15


def test_plan_run_and_cases_fit_a_phone(app, visitors, person):
    page = visitors.visit(person, viewport=PHONE)
    page.goto(f"{app.url}/experiments")
    button(page, "Open a ready example").click()
    expect(field(page, "Prompt")).to_be_enabled()
    assert page.evaluate(TOO_WIDE) == []
    actions = button(page, re.compile("^Actions"))
    place = actions.bounding_box()
    assert place["x"] + place["width"] == pytest.approx(PHONE["width"] - 11, abs=2)
    button(page, re.compile("Start 27")).click()
    expect(button(page, "Cancel")).to_be_visible()
    assert page.evaluate(TOO_WIDE) == []
    page.get_by_role("tab", name="Cases").click()
    expect(page.get_by_role("radio", name="Not scored")).to_be_in_viewport(ratio=1)
    assert actions.bounding_box() == place

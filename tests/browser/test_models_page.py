"""Model servers as people see them: added in the form, chosen in a chat, dying and coming back without a restart."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.app_process import PLANTED_KEY, App
from tests.browser.chat_screen import Chat
from tests.browser.test_layout import PHONE, TOO_WIDE
from tests.upstream import Upstream, answer

LAB = [{"id": "lab-model", "object": "model", "owned_by": "vllm", "max_model_len": 4096}]


@pytest.fixture(scope="module")
def app():
    """An app without any server of its own, that looks often."""
    with App(LOG_LEVEL="DEBUG", HEALTH_POLL_SEC="1", CB_FAILURE_THRESHOLD="1000") as app:
        app.administrator = app.add_person("administrator")
        yield app


@pytest.fixture
def lab():
    server = Upstream(models=LAB, default=answer("From the lab.")).start()
    yield server
    server.stop()  # a test may have done so before


@pytest.fixture
def admin(app, visitors):
    """The Models page of an administrator."""
    page = visitors.visit(app.administrator)
    page.goto(f"{app.url}/models")
    expect(page.get_by_role("button", name="Look again")).to_be_visible()
    return page


def add(page, name, base_url):
    """Through the form, with a key."""
    page.get_by_role("button", name="Add a model server").click()
    form = page.get_by_role("dialog")
    form.get_by_role("textbox", name="Name", exact=True).fill(name)
    form.get_by_role("textbox", name="Base URL").fill(base_url)
    form.get_by_role("textbox", name="API key").fill(PLANTED_KEY)
    return form


def card(page, name):
    return page.get_by_test_id("stColumn").filter(has=page.get_by_text(name, exact=True)).first


def options(chat):
    """What the selector offers."""
    chat.page.get_by_role("combobox", name=re.compile("Model Selector")).click()
    found = chat.page.get_by_role("option")
    expect(found.first).to_be_visible()
    texts = found.all_inner_texts()
    chat.page.keyboard.press("Escape")
    return texts


def test_a_server_is_added_serves_a_chat_dies_and_comes_back(app, admin, lab, visitors):
    form = add(admin, "lab", lab.base_url)
    form.get_by_role("button", name="Test connection").click()
    expect(form.get_by_text("vLLM, 1 model")).to_be_visible()
    form.get_by_role("button", name="Save").click()
    expect(form).to_have_count(0)
    expect(card(admin, "lab")).to_contain_text("Healthy")
    expect(card(admin, "lab")).to_contain_text("4,096 tokens")

    chat = Chat(visitors.visit(app.add_person()), app.url).open()
    chat.page.get_by_role("combobox", name=re.compile("Model Selector")).click()
    chat.page.get_by_role("option", name="lab-model").click()
    chat.ask("Hello", "From the lab.")
    assert lab.chats[-1].headers["authorization"] == f"Bearer {PLANTED_KEY}"

    port = lab.port
    lab.stop()
    expect(card(admin, "lab")).to_contain_text("Down")
    expect(card(admin, "lab")).to_contain_text("It cannot be reached")
    banner = chat.page.locator(".st-key-chat_model_down")
    expect(banner).to_contain_text("lab-model is down. It cannot be reached")
    banner.get_by_role("button", name="Continue in a new chat with another model").click()
    expect(chat.dialog("Continue with another model")).to_be_visible()
    chat.button("Cancel").click()
    expect(chat.answer).to_contain_text("From the lab.")
    other = Chat(visitors.visit(app.add_person()), app.url).open()
    assert not [name for name in options(other) if "lab-model" in name]

    with Upstream(port=port, models=LAB, default=answer("Back again.")):
        expect(card(admin, "lab")).to_contain_text("Healthy")
        expect(banner.get_by_role("alert")).to_have_count(0)
        chat.ask("Still there?", "Back again.")
        other.page.reload()
        assert [name for name in options(other.ready()) if "lab-model" in name]


def test_an_analyst_sees_the_server_and_neither_address_nor_form(app, admin, lab, visitors):
    add(admin, "secretplace", lab.base_url).get_by_role("button", name="Save").click()
    expect(card(admin, "secretplace")).to_contain_text("Healthy")
    frames, page = [], visitors.visit(app.add_person())
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(frame)))
    page.goto(f"{app.url}/models")
    expect(card(page, "secretplace")).to_contain_text("Healthy")
    for name in ("Add a model server", "Refresh", "Change"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    received = b"".join(frame if isinstance(frame, bytes) else frame.encode() for frame in frames)
    assert b"secretplace" in received
    assert f":{lab.port}".encode() not in received
    assert PLANTED_KEY.encode() not in received


def test_an_open_form_is_left_alone_while_the_page_brings_itself_up_to_date(app, admin, lab):
    add(admin, "draft", lab.base_url).get_by_role("button", name="Save").click()
    expect(card(admin, "draft")).to_contain_text("Healthy")
    admin.get_by_role("button", name="Add a model server").click()
    field = admin.get_by_role("dialog").get_by_role("textbox", name="Base URL")
    field.type("http://half")
    lab.stop()
    expect(card(admin, "draft")).to_contain_text("Down")
    expect(field).to_have_value("http://half")
    expect(field).to_be_focused()


def test_the_enter_key_tests_the_connection_and_loses_nothing(app, admin, lab):
    form = add(admin, "entered", lab.base_url)
    form.get_by_role("textbox", name="Base URL").press("Enter")
    expect(form.get_by_text("vLLM, 1 model")).to_be_visible()
    expect(form.get_by_role("textbox", name="Name", exact=True)).to_have_value("entered")
    form.get_by_role("button", name="Save").click()
    expect(card(admin, "entered")).to_contain_text("Healthy")


def test_a_cell_typed_into_the_table_of_single_models_is_stored(app, admin, lab):
    add(admin, "celled", lab.base_url).get_by_role("button", name="Save").click()
    expect(card(admin, "celled")).to_contain_text("Healthy")
    entry = admin.locator('[class*="st-key-models_entry_"]').filter(has_text="celled")
    entry.get_by_role("button", name="Change").click()
    admin.get_by_role("menuitem", name="Edit").click()
    form = admin.get_by_role("dialog")
    form.get_by_text("Settings of single models").click()
    table = form.get_by_test_id("stDataFrame")
    expect(table.locator("canvas td", has_text="lab-model")).to_be_attached()  # it is painted
    table.click(position={"x": 460, "y": 52})  # the cell Context
    admin.keyboard.press("Enter")
    admin.locator("#portal input").first.fill("777")
    form.get_by_role("button", name="Save").click()
    expect(card(admin, "celled")).to_contain_text("777 tokens")


def test_a_wrong_field_is_told_where_it_is_and_the_key_never_comes_back(app, admin):
    frames = []
    admin.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(frame)))
    admin.reload()
    form = add(admin, "metadata", "http://169.254.169.254/v1")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert").first).to_contain_text("is not allowed as a model server")
    expect(form.get_by_role("alert").last).to_contain_text("Base URL has to be corrected first")
    expect(form.get_by_role("textbox", name="Base URL")).to_have_value("http://169.254.169.254/v1")
    received = b"".join(frame if isinstance(frame, bytes) else frame.encode() for frame in frames)
    assert b"is not allowed" in received
    assert PLANTED_KEY.encode() not in received


def test_the_page_and_its_form_fit_a_screen_of_380_pixels(app, lab, visitors):
    page = visitors.visit(app.administrator, viewport=PHONE)
    page.goto(f"{app.url}/models")
    expect(page.get_by_role("button", name="Look again")).to_be_visible()
    assert page.evaluate(TOO_WIDE) == []
    page.get_by_role("button", name="Add a model server").click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Save")).to_be_visible()
    dialog = page.get_by_role("dialog").evaluate("box => box.scrollWidth - box.clientWidth")
    assert dialog <= 1

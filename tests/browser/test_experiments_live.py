"""Temperature x top-p against a real llama-server, in the browser: from the plan to the exported notebook, executed."""

import asyncio
import tempfile
import threading
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from playwright.sync_api import expect

from tests.browser.app_process import App
from tests.live import tiny_gguf
from tests.live.conftest import serving

CASES = "word\texpected\n" + "\n".join(f"w{number}\ta" for number in range(5))
CHECK = "assert len(arms) == 28 and sorted(heat['mean'].notna()) and len(variance) and len(comparisons) == 21"


@pytest.fixture(scope="module")
def app():
    """Asks llama-server, with a model of a few words."""
    with tempfile.TemporaryDirectory() as folder, serving(tiny_gguf.build(Path(folder) / "tiny.gguf")) as server:
        settings = {"USE_OPENAI": "true", "OPENAI_BASE_URL": server.base_url, "OPENAI_CHAT_MODEL": "tiny"}
        with App(**settings) as app:
            app.add_person("administrator")
            yield app


def plan(page, app):
    """Four arms, five cases, two repeats."""
    page.goto(f"{app.url}/experiments")
    page.get_by_role("button", name="New experiment").click()
    expect(page.locator(".st-key-experiments_editor")).to_contain_text("tiny")
    typed = {"Prompt": "Say {{word}}", "Temperature": "0, 1", "Top-p": "0.5, 1", "Max tokens": "256"}
    for name, text in typed.items():
        page.get_by_role("textbox", name=name, exact=True).fill(text)
    page.get_by_role("radio", name="Paste").click()
    page.get_by_role("textbox", name="Pasted cases", exact=True).fill(CASES)
    page.get_by_role("button", name="Use these cases").click()
    repeats = page.get_by_role("spinbutton", name="Repeats")
    repeats.fill("2")
    repeats.press("Enter")


def execute(packed: Path, folder: Path) -> None:
    """Runs all cells, and a last one that looks at what they made."""
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    notebook = nbformat.read(folder / "experiment.ipynb", as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(CHECK))
    faults = []

    def run():  # in a thread of its own: the browser's loop runs in this one
        try:
            client = NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(folder)}})
            asyncio.run(client.async_execute())  # its `execute` leaves a loop open
        except Exception as error:
            faults.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not faults, faults[0]


@pytest.mark.timeout(300)
def test_experiment_on_llama_server_goes_from_plan_to_an_executed_notebook(app, page, tmp_path):
    plan(page, app)
    page.get_by_role("button", name="Start 40 trials").click()
    expect(page.get_by_text("40 of 40 trials")).to_be_visible(timeout=120_000)
    page.get_by_role("button", name="See the results").click()
    expect(page.get_by_text("Two settings together")).to_be_visible()
    expect(page.get_by_text("This page has a fault")).to_have_count(0)
    page.get_by_role("tab", name="Take away").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Notebook").click()
    execute(waiting.value.path(), tmp_path)

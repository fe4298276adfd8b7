"""A model's server that is away, and comes back."""

import pytest
from playwright.sync_api import expect

from tests.browser.app_process import App
from tests.browser.conftest import MODELS, environment_for
from tests.upstream import Upstream, answer


@pytest.fixture(scope="module")
def _upstream():
    """One of this module's own, so that it may be switched off."""
    upstream = Upstream(models=[{"id": name, "object": "model"} for name in MODELS]).start()
    yield upstream
    upstream.stop()  # a test may have done so before


@pytest.fixture(scope="module")
def app(_upstream):
    with App(**environment_for(_upstream)) as app:
        yield app


def test_a_server_that_is_down_is_said_so_and_retry_works_once_it_is_back(chat, upstream):
    port = upstream.port
    upstream.stop()
    chat.send("Anybody?").done()
    expect(chat.answer.get_by_role("alert")).to_contain_text("nothing listens there (connection refused)")
    with Upstream(port=port, default=answer("I am back."), models=upstream.models):
        chat.button("Retry").click()
        expect(chat.answer).to_contain_text("I am back.")

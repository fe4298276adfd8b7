"""The route tier runs on fresh databases of one embedded server: one per test, or one per module for houses."""

import pytest

from tests.api.house import open_house
from tests.api.openai_rig import rig
from tests.databases import database_url, embedded_url, engine, fresh_database  # noqa: F401  (fixtures)


@pytest.fixture
def server_url(embedded_url):  # noqa: F811
    return embedded_url


@pytest.fixture(scope="module")
def own_house(embedded_url):  # noqa: F811
    """Our routes on a port, with people; one for all tests of a module."""
    with fresh_database(embedded_url) as url, open_house(url) as found:
        yield found


@pytest.fixture(scope="module")
def _openai_house(embedded_url):  # noqa: F811
    with fresh_database(embedded_url) as url, rig(url, silence_timeout_sec=2, first_token_timeout_sec=2) as found:
        yield found


@pytest.fixture
def openai_house(_openai_house):
    """The same for programs written for OpenAI; its model server has forgotten who asked before."""
    _openai_house.upstream.requests.clear()
    _openai_house.runtime.catalog.set_health({})
    return _openai_house

"""The route tier runs on fresh databases of one embedded server: one per test, or one per module for `house`."""

import pytest

from tests.api.house import open_house
from tests.databases import database_url, embedded_url, engine, fresh_database  # noqa: F401  (fixtures)


@pytest.fixture
def server_url(embedded_url):  # noqa: F811
    return embedded_url


@pytest.fixture(scope="module")
def own_house(embedded_url):  # noqa: F811
    """Our routes on a port, with people; one for all tests of a module."""
    with fresh_database(embedded_url) as url, open_house(url) as found:
        yield found

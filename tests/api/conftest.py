"""The route tier runs on one fresh database of the embedded server per test."""

import pytest

from tests.databases import database_url, embedded_url, engine  # noqa: F401  (fixtures)


@pytest.fixture
def server_url(embedded_url):  # noqa: F811
    return embedded_url

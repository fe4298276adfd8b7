"""The database tier runs every test on the embedded server and on one from outside."""

import pytest

from tests.databases import (  # noqa: F401  (fixtures)
    database_url,
    embedded_url,
    empty_database_url,
    engine,
    outside_url,
    server_url,
)
from tests.db.compare_rig import bench


@pytest.fixture
def desk(database_url):  # noqa: F811
    with bench(database_url) as found:
        yield found

"""A model server on a port, for whichever unit talks to one."""

import pytest

from tests import upstream as mock


@pytest.fixture
def upstream():
    with mock.Upstream(default=mock.answer("Hello")) as server:
        yield server

"""A model server on a port for whichever unit talks to one, and a schema that charts have no need to open."""

import altair as alt
import pytest

from tests import upstream as mock


@pytest.fixture
def upstream():
    with mock.Upstream(default=mock.answer("Hello")) as server:
        yield server


@pytest.fixture
def schema_stays_closed(monkeypatch):
    """A channel given as a text or a dict is looked for in all of Altair's schema, which takes 5 ms."""

    def refuse(found, **_):
        raise AssertionError(f"a channel had to be looked for: {found}")

    monkeypatch.setattr(alt.SchemaBase, "from_dict", refuse)

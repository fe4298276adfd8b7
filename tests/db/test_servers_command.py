"""`status` and `validate` know the model servers of administrators too, whose keys only the data folder opens."""

import pytest

from chatplay.cli.servers import check_servers
from chatplay.models.assembly import KEY_FILE, keybox_of
from chatplay.settings import load_settings
from chatplay.store import Store
from db import upstreams as rows
from db.engine import make_engine
from tests import upstream as mock

KEY = "sk-planted-77aa"


@pytest.fixture
def server():
    with mock.Upstream() as server:
        yield server


@pytest.fixture
def settings(tmp_path):
    return load_settings(env_file=None, environ={"CHATPLAY_DATA_DIR": str(tmp_path)})


def added(engine, settings, server):
    """One stored server with a stored key; gives the store."""
    store = Store(engine)
    encrypted = keybox_of(settings).lock(KEY, base_url=server.base_url)
    plain = {"allowed_models": [], "enabled": True, "settings": {}, "per_model": {}}
    with store.transaction() as conn:
        rows.add_upstream(conn, name="lab", base_url=server.base_url, api_key_encrypted=encrypted, **plain)
    return store


def test_server_of_an_administrator_is_asked_with_its_stored_key(engine, settings, server):
    store = added(engine, settings, server)
    (finding,) = check_servers(settings, store, environ={})
    assert (finding.grade, finding.text.split(",")[0]) == ("ok", "lab (administrator")
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"


def test_key_that_the_data_folder_cannot_open_is_told_and_no_new_file_made(engine, settings, server):
    store = added(engine, settings, server)
    (settings.data_dir / KEY_FILE).unlink()
    (finding,) = check_servers(settings, store, environ={})
    assert finding.grade == "fail"
    assert KEY_FILE in finding.text
    assert not (settings.data_dir / KEY_FILE).exists()


def test_database_without_tables_leaves_the_others_known(empty_database_url, settings):
    engine = make_engine(empty_database_url, pool_size=1)
    (finding,) = check_servers(settings, Store(engine), environ={})
    engine.dispose()
    assert (finding.grade, "administrators" in finding.text) == ("warn", True)

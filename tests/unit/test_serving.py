"""HOST and PORT hold under plain `streamlit run` too, unless Streamlit was told otherwise."""

from pathlib import Path

import pytest
from streamlit import config, net_util
from streamlit.web.server.server_util import is_url_from_allowed_origins

from chatplay.auth.setup import base_url
from chatplay.errors import ConfigError
from chatplay.settings import load_settings
from chatplay.ui.serving import know_the_public_address, listen_as_configured


@pytest.fixture
def listening(monkeypatch):
    """What Streamlit took before app.py was imported, and where it had that from."""

    def at(host, port, where="config.toml"):
        taken = {"server.address": host, "server.port": port}
        monkeypatch.setattr(config, "get_option", taken.__getitem__)
        monkeypatch.setattr(config, "get_where_defined", lambda _option: where)

    return at


def started_over(**environ):
    calls = []
    settings = load_settings(env_file=None, environ=environ)
    listen_as_configured(
        Path("app.py"), read_settings=lambda: settings, environ={}, execute=lambda *call: calls.append(call)
    )
    return calls


def test_serving_elsewhere_than_asked_starts_over_there(listening):
    listening("127.0.0.1", 8501)
    ((_, command, environment),) = started_over(PORT="9001")
    assert command[-3:] == ["streamlit", "run", "app.py"]
    assert (environment["STREAMLIT_SERVER_ADDRESS"], environment["STREAMLIT_SERVER_PORT"]) == ("127.0.0.1", "9001")


def test_serving_where_asked_goes_on(listening):
    listening("127.0.0.1", 8501)
    assert started_over() == []


@pytest.mark.parametrize("where", ["environment variable", "command-line argument or environment variable"])
def test_serving_as_streamlit_was_told_goes_on(listening, where):
    listening("0.0.0.0", 7000, where)
    assert started_over(PORT="9001") == []


def test_links_follow_what_streamlit_was_told(listening):
    listening("0.0.0.0", 7000, "command-line argument or environment variable")
    environ = {"PORT": "9001"}
    listen_as_configured(Path("app.py"), environ=environ, execute=pytest.fail)
    assert base_url(load_settings(env_file=None, environ=environ)) == "http://localhost:7000"


def test_serving_with_bad_settings_leaves_the_message_to_the_start(listening):
    listening("127.0.0.1", 8501)

    def broken():
        raise ConfigError("PORT is bad.")

    listen_as_configured(Path("app.py"), read_settings=broken, environ={}, execute=pytest.fail)


def test_pages_of_the_public_address_are_let_in_without_asking_the_internet(monkeypatch):
    for ask in ("get_internal_ip", "get_external_ip"):
        monkeypatch.setattr(net_util, ask, pytest.fail)
    settings = load_settings(env_file=None, environ={"PUBLIC_URL": "https://chat.example.org"})
    before = config.get_option("browser.serverAddress")
    try:
        know_the_public_address(lambda: settings)
        assert is_url_from_allowed_origins("https://chat.example.org")
    finally:
        config.set_option("browser.serverAddress", before)

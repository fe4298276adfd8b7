"""What the terminal says when the services cannot start with the server."""

from contextlib import ExitStack

from chatplay.api import server
from chatplay.errors import StoreUnavailable
from chatplay.settings import Settings


def test_start_without_its_database_says_how_to_find_out_why(monkeypatch, tmp_path, capsys):
    def away():
        raise StoreUnavailable("The database cannot be reached right now.", cure="What you typed is kept.")

    monkeypatch.setattr(server, "configure_logging", lambda _settings: None)
    monkeypatch.setattr(server.runtime, "get_settings", lambda: Settings(data_dir=tmp_path))
    monkeypatch.setattr(server.runtime, "get_runtime", away)
    monkeypatch.setattr(server.runtime, "stop", lambda: None)
    with ExitStack() as goodbye:
        server._start(goodbye)
    said = capsys.readouterr().err
    assert "`make validate` says why." in said
    assert "typed" not in said

"""Questions from the terminal to servers of this machine."""

from chatplay.cli import probes
from tests.upstream import Upstream


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Upstream() as server:
        assert probes.get(f"{server.base_url}/models").status == 200

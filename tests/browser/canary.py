"""A web server that must not be visited: it records every request."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Canary(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hits: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Canary

    def do_GET(self) -> None:
        self.server.hits.append(self.path)
        self.send_response(204)
        self.end_headers()

    do_HEAD = do_POST = do_OPTIONS = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@contextmanager
def alive() -> Iterator[Canary]:
    """A canary that has shown that it hears a visitor."""
    with Canary() as canary:
        thread = threading.Thread(target=canary.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            urllib.request.urlopen(f"{canary.url}/alive", timeout=5).close()
            assert canary.hits == ["/alive"]
            canary.hits.clear()
            yield canary
        finally:
            canary.shutdown()

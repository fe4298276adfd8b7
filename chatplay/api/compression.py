"""What is sent over a WebSocket is compressed with a longer memory than uvicorn gives it.

Two runs of a page say nearly the same, and an answer of 2,000 characters lies between them: with a memory of 32 KB
instead of 4 KB a turn takes a fifth fewer bytes, for 3 us of CPU a message and 110 KB of memory an open page
(bench/README.md).
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets import websockets_sansio_impl
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


class _Factory(ServerPerMessageDeflateFactory):
    def __init__(self, **asked: Any) -> None:
        super().__init__(**{**asked, "server_max_window_bits": None})


def remember_more() -> None:
    """For the connections to come. uvicorn has no setting for it; a test notices when it asks in another way."""
    websockets_sansio_impl.ServerPerMessageDeflateFactory = _Factory  # type: ignore[attr-defined, assignment]

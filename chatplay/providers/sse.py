"""Decodes server-sent events from bytes as they arrive, whatever the cuts between them."""

from __future__ import annotations

MAX_EVENT_BYTES = 8 * 1024 * 1024


class EventTooLong(Exception):
    """One event grew past MAX_EVENT_BYTES."""


class SseDecoder:
    """Feed it bytes, get the finished events' data.

    Follows the WHATWG event-stream rules for what model servers use: LF, CRLF and CR line ends, `data`
    with and without a blank, several data lines joined by LF, comments and other fields passed over.
    """

    def __init__(self) -> None:
        self._tail = bytearray()  # the line that has not ended
        self._half_end = b""
        self._data: list[bytes] = []
        self._size_bytes = 0

    def feed(self, received: bytes) -> list[bytes]:
        """The data of every event that `received` completes, in order."""
        lines = self._lines(received)
        found: list[bytes] = []
        for line in lines:
            if line[:5] == b"data:":
                self._keep(line[6:] if line[5:6] == b" " else line[5:])
            elif not line:
                self._finish(found)
            elif line == b"data":
                self._keep(b"")
        return found

    def flush(self) -> list[bytes]:
        """The event that was complete but for its blank line when the stream ended."""
        return self.feed(b"\n\n")

    def _lines(self, received: bytes) -> list[bytes]:
        """The lines that have ended. A long one that comes in many pieces is put together once."""
        first, *lines = self._with_line_feeds(received).split(b"\n")
        self._tail += first
        if lines:
            lines.insert(0, bytes(self._tail))
            self._tail = bytearray(lines.pop())
        if len(self._tail) > MAX_EVENT_BYTES:
            raise EventTooLong
        return lines

    def _with_line_feeds(self, received: bytes) -> bytes:
        """A CR at the very end may be half of a CRLF: it waits for the next bytes."""
        text = self._half_end + received
        if b"\r" not in text:
            return text
        self._half_end = b"\r" if text.endswith(b"\r") else b""
        return text.removesuffix(self._half_end).replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _keep(self, data: bytes) -> None:
        self._data.append(data)
        self._size_bytes += len(data) + 1  # empty ones take room, too
        if self._size_bytes > MAX_EVENT_BYTES:
            raise EventTooLong

    def _finish(self, found: list[bytes]) -> None:
        if self._data:
            found.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
            self._data.clear()
            self._size_bytes = 0

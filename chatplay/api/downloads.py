"""A file sent in pieces as they are made, none of them kept."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Any

from chatplay.api.seated import SeatedStream
from chatplay.api.services import Services
from chatplay.api.who import Seating

_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "zip": "application/zip",
}


def documented_files(*formats: str) -> dict[str, Any]:
    """What the OpenAPI document says of such an answer."""
    bare = {"schema": {"type": "string", "format": "binary"}}
    return {"content": {_TYPES[one].partition(";")[0]: bare for one in formats}, "description": "The file."}


class Download(SeatedStream):
    """A file whose `pieces` are made on threads of ours, one after another, while it is sent."""

    def __init__(
        self,
        pieces: Iterator[bytes],
        *,
        services: Services,
        name: str,
        format: str,
        slow_reader_sec: float,
        sit: Seating,
    ) -> None:
        super().__init__(
            _made(pieces, services),
            headers={"content-disposition": f'attachment; filename="{name}.{format}"'},
            media_type=_TYPES[format],
            slow_reader_sec=slow_reader_sec,
            sit=sit,
        )


async def _made(pieces: Iterator[bytes], services: Services) -> AsyncGenerator[bytes, None]:
    while (piece := await services.run(next, pieces, None)) is not None:
        yield piece

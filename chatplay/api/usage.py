"""`/v1/usage`: one's own calls, everybody's for administrators, as a file that is written while it is sent.

A page's filter shows whoever may not see more their own calls; who asks for everybody's by name is refused.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from chatplay.api.downloads import Download, documented_files
from chatplay.api.ranges import read_range
from chatplay.api.services import Rt, Threads
from chatplay.api.who import Reader, check_scope, seating
from chatplay.usage.filter_text import read_filter
from chatplay.usage.values import ExportFormat

router = APIRouter(prefix="/v1/usage", tags=["Usage"])


@router.get("/calls", response_class=Response, responses={200: documented_files("csv", "parquet")})
async def download_calls(
    request: Request,
    caller: Reader,
    rt: Rt,
    threads: Threads,
    format: ExportFormat = "csv",
    start: Annotated[datetime | None, Query(description="From then on; 30 days before `end` without it.")] = None,
    end: Annotated[datetime | None, Query(description="Up to then; now without it.")] = None,
    everybody: Annotated[bool, Query(description="Not only one's own calls; needs the scope `admin`.")] = False,
    filter: Annotated[
        str | None, Query(max_length=8_000, description="What a page shows, instead of all these.")
    ] = None,
) -> Response:
    """Every call of the range, oldest first: figures only, no prompt and no answer."""
    if everybody:
        check_scope(caller, "admin")
    wanted = read_range(start, end) if filter is None else read_filter(filter)
    if "admin" not in caller.scopes or (filter is None and not everybody):
        wanted = replace(wanted, user_id=caller.user_id, organisation_id=None)
    pieces = rt.usage.export(rt.usage.restrict(wanted, caller.person), format)
    first = await threads.run(next, pieces, None)  # what cannot be read is told before anything is sent
    name = f"calls-{wanted.start:%Y%m%d}-{wanted.end:%Y%m%d}"
    whole = pieces if first is None else itertools.chain((first,), pieces)
    slow_reader_sec = rt.settings.api_slow_reader_sec
    sit = seating(threads, rt, request, caller, "read")
    return Download(whole, services=threads, name=name, format=format, slow_reader_sec=slow_reader_sec, sit=sit)

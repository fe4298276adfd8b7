"""Streamlit's page under its addresses, with three changes: it bears our name, is told where its server is, and comes
back when it has gone blank.

Left to itself, a page opened at `/chat` asks for the server below `/chat` first, is answered 404, and waits 100 ms
before it asks at the root. And a fault that React does not catch takes everything down: a white page, on which nothing
says that all is still there. It loads again then, though not twice within half a minute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

_SCRIPT = (
    "<script>window.__streamlit={BACKEND_BASE_URL:location.origin};"
    "addEventListener('DOMContentLoaded',()=>{const root=document.getElementById('root');let stood=false;"
    "const look=()=>{if(root.childElementCount||Date.now()-(sessionStorage.chatplayBack||0)<30000)return;"
    "sessionStorage.chatplayBack=Date.now();location.reload()};"
    "new MutationObserver(()=>{if(root.childElementCount)stood=true;else if(stood)setTimeout(look,300)})"
    ".observe(root,{childList:true})})</script>"
)


def our_page(index_html: Path) -> str:
    """Streamlit's page as installed, and what we change in it."""
    page = index_html.read_text(encoding="utf-8")
    page = page.replace("<title>Streamlit</title>", "<title>Chat Playground</title>", 1)
    return page.replace("<script", f"{_SCRIPT}\n    <script", 1)


def page_routes(page: str, names: Iterable[str]) -> list[BaseRoute]:
    """The first page and those of these names. A browser keeps `page` and asks each time whether it has changed."""
    etag = f'"{hashlib.sha256(page.encode()).hexdigest()[:32]}"'
    headers = {"etag": etag, "cache-control": "no-cache"}

    async def answer(request: Request) -> Response:
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return HTMLResponse(page, headers=headers)

    return [Route(path, answer, methods=["GET"]) for path in ("/", *(f"/{name}" for name in names))]

"""The one FastAPI app behind /v1, /ws and /admin: its routes by their whole paths, its errors, its document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from chatplay.api import (
    admin,
    completions,
    docs,
    experiments,
    experiments_run,
    experiments_trials,
    generations,
    models,
    sessions,
    sockets,
    usage,
)
from chatplay.api.edge import Edge, Prefix
from chatplay.api.errors import EVERYWHERE, HANDLERS
from chatplay.api.examples import add_examples
from chatplay.api.services import Services
from chatplay.runtime import Runtime

_PARTS = (
    *(models, sessions, generations, sockets, completions),
    *(experiments, experiments_trials, experiments_run, usage, admin, docs),
)
PREFIXES = ("/v1", "/ws", "/admin")
_ABOUT = (
    "The same engine as the pages, for scripts and notebooks. Sign in with a personal access token "
    "(`Authorization: Bearer`) from the Account page. A chat's answers also come over a WebSocket at "
    "`/ws/chat/{session_id}/`: the first frame is a prompt with its parameters, as in "
    '`{"content": "Hi", "params": {"temperature": 0.2}}`.'
)


def build_app(get_runtime: Callable[[], Runtime], find_runtime: Callable[[], Runtime | None] = lambda: None) -> FastAPI:
    """The app; nothing is started. Tests ask it without a server. `find_runtime`: the services if they run."""
    app = FastAPI(
        title="Chat Playground",
        description=_ABOUT,
        version="1",
        openapi_url="/v1/openapi.json",
        docs_url=None,  # they load their scripts from elsewhere; `docs` draws the document itself
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=HANDLERS,
        responses=EVERYWHERE,
        generate_unique_id_function=_operation_id,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = Services(get_runtime, find_runtime)
    for part in _PARTS:
        app.include_router(part.router)
    bare = app.openapi
    app.openapi = lambda: add_examples(bare())  # type: ignore[method-assign]
    return app


def api_routes(
    get_runtime: Callable[[], Runtime],
    *,
    max_body_bytes: Callable[[], int],
    find_runtime: Callable[[], Runtime | None] = lambda: None,
) -> list[BaseRoute]:
    """To stand beside Streamlit's own routes."""
    edge = Edge(build_app(get_runtime, find_runtime), max_body_bytes=max_body_bytes)
    return [Prefix(path, edge) for path in PREFIXES]


def _operation_id(route: APIRoute | Any) -> str:
    return str(route.name)

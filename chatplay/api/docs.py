"""`/v1/docs`: the OpenAPI document as one plain page, drawn here: no script, nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

from chatplay.api.errors import EVERYWHERE

router = APIRouter(include_in_schema=False)
_METHODS = ("get", "post", "put", "patch", "delete")
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.35rem; margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
details { border: 1px solid var(--line); border-radius: .375rem; margin: .5rem 0; padding: .5rem .75rem; }
summary { cursor: pointer; overflow-wrap: anywhere; } summary code { font-weight: 600; }
code, pre { font-family: ui-monospace, monospace; font-size: .875rem; }
pre { background: var(--soft); border-radius: .375rem; padding: .75rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
td { border-top: 1px solid var(--line); padding: .25rem .5rem .25rem 0; vertical-align: top; overflow-wrap: anywhere; }
td:first-child { min-width: 3rem; }
"""


@router.get("/v1/docs")
async def show_docs(request: Request) -> HTMLResponse:
    """The page; the document itself is at /v1/openapi.json."""
    return HTMLResponse(page_of(request.app.openapi()))


def page_of(document: Mapping[str, Any]) -> str:
    """The whole page for an OpenAPI document."""
    tags: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if (operation := item.get(method)) is not None:
                tag = next(iter(operation.get("tags", ())), "Other")
                tags.setdefault(tag, []).append(_operation(document, path, method, operation))
    parts = "".join(f"<h2>{escape(tag)}</h2>{''.join(operations)}" for tag, operations in tags.items())
    title, about = escape(document["info"]["title"]), _text(document["info"].get("description"))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} API</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f'<body><h1>{title} API</h1><p>{about}</p><p>For programs: <a href="/v1/openapi.json">openapi.json</a>.</p>'
        f"{parts}<h2>Errors</h2><p>Of all addresses, beside those they list themselves; the body is "
        f'<code>{{"error": {{"type", "message", "param", "request_id", "cure"}}}}</code>.</p>'
        f"{_table('', _errors())}</body></html>"
    )


def _operation(document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> str:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    about, _, more = operation.get("description", "").partition("\n\n")
    return (
        f"<details><summary><code>{method.upper()} {escape(path)}</code> {_text(about)}</summary>"
        f"<p>{_text(more)}</p>"
        f"{_table('Parameters', _parameters(operation))}"
        f"{_table('Body', _fields(document, body['schema'])) if body else ''}"
        f"{_example(document, body) if body else ''}"
        f"{_table('Answers', _answers(document, operation))}{_shown_answer(operation)}</details>"
    )


def _parameters(operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for one in operation.get("parameters", ()):
        where = one["in"] + (", required" if one.get("required") else "")
        schema = one.get("schema", {})
        values = schema.get("enum") or schema.get("items", {}).get("enum") or ()
        choices = f" One of {', '.join(f'`{value}`' for value in values)}." if values else ""
        yield one["name"], f"{where}. {one.get('description', '')}{choices}"


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    found = _resolved(document, schema)
    for name, field in found.get("properties", {}).items():
        needed = "required. " if name in found.get("required", ()) else ""
        yield name, f"{_kind(field)}. {needed}{field.get('description', '')}"


def _answers(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for status, response in operation["responses"].items():
        if int(status) in EVERYWHERE:
            continue
        schema = response.get("content", {}).get("application/json", {}).get("schema")
        names = ", ".join(_resolved(document, schema).get("properties", {})) if schema and status < "300" else ""
        about = "" if response.get("description") == "Successful Response" else response.get("description", "")
        yield status, about + (f" Fields: {names}." if names else "")


def _errors() -> Iterator[tuple[str, str]]:
    for status, response in EVERYWHERE.items():
        yield str(status), response["description"]


def _example(document: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    properties = _resolved(document, body["schema"]).get("properties", {})
    example = body.get("example") or {
        name: field["examples"][0] for name, field in properties.items() if field.get("examples")
    }
    return _block(example) if example else ""


def _shown_answer(operation: Mapping[str, Any]) -> str:
    """Of each kind of success, in the order of their status codes."""
    found = []
    for status, response in operation["responses"].items():
        for kind, shown in response.get("content", {}).items() if status < "300" else ():
            if "example" in shown:
                found.append(f"<p><strong>{status}</strong> <code>{escape(kind)}</code></p>{_block(shown['example'])}")
    return "".join(found)


def _block(example: Any) -> str:
    text = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
    return f"<pre>{escape(text)}</pre>"


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema a reference stands for; of alternatives, the first that is one."""
    if "$ref" in schema:
        found: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return found
    for one in schema.get("anyOf", ()):
        if "$ref" in one:
            return _resolved(document, one)
    return schema


def _kind(field: Mapping[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_kind(one) for one in field["anyOf"])
    if "$ref" in field:
        return str(field["$ref"]).rsplit("/", 1)[1]
    kind = field.get("type", field.get("const", "any"))
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _table(title: str, rows: Iterator[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><td><code>{escape(name)}</code></td><td>{_text(text)}</td></tr>" for name, text in rows)
    head = f"<p><strong>{title}</strong></p>" if title else ""
    return f"{head}<table>{cells}</table>" if cells else ""


def _text(text: str | None) -> str:
    """Prose of docstrings, where `code` stands between backticks."""
    parts = escape(text or "").split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))

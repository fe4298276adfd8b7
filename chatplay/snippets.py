"""A call as a program that makes it again, in curl or Python; the key is read from an environment variable."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pprint import pformat
from typing import Any, Literal

from chatplay import params as parameters
from chatplay.errors import BadInput
from chatplay.models.catalog import ModelCatalog
from chatplay.params import Params
from chatplay.providers.base import Message

Language = Literal["curl", "python"]
_KEY = "OPENAI_API_KEY"
_TOKEN = "CHATPLAY_TOKEN"
_TOKEN_NOTE = f"# {_TOKEN}: an access token with the scope chat, made on the Account page\n"
_SDK_NAMES = {"model", "messages", "stream", "stream_options", "temperature", "top_p", "seed", "stop"} | {
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "frequency_penalty",
}
_SHOW_WHOLE = "print(answer.choices[0].message.content)\n"
_SHOW_STREAM = """for chunk in answer:
    if chunk.choices and chunk.choices[0].delta.content:
        print(chunk.choices[0].delta.content, end="", flush=True)
"""


@dataclass(frozen=True)
class _Place:
    """Where the program asks: the base address, the variable with the key, and what the model is called there."""

    address: str
    key: str
    model: str
    note: str = ""


def write_code(
    *,
    language: Language,
    catalog: ModelCatalog,
    role: str,
    app_url: str,
    upstream: str,
    sent: Mapping[str, Any],
    messages: Sequence[Message],
) -> str:
    """The program. `sent` is the request body without messages, as a usage row keeps it.

    It asks the model's server for an administrator, and this app at `app_url` for everybody else, who neither learn
    that server's address nor have its key; and for built-in models, which have no server.

    Raises BadInput for a model whose server is gone or that is not open to `role`, NotFound for one no longer served.
    """
    place = _place(catalog, role, app_url, upstream, sent["model"])
    said = [{"role": message.role, "content": message.content} for message in messages]
    body = {**sent, "model": place.model, "messages": said}
    return place.note + (_curl(place, body) if language == "curl" else _python(place, body))


def as_sent(model: str, params: Params) -> dict[str, Any]:
    """A request body for a call whose own is not kept; the system prompt is among the messages."""
    values = parameters.to_json(replace(params, system_prompt=""))
    return {"model": model, **{name: value for name, value in values.items() if value not in (None, [], "")}}


def _place(catalog: ModelCatalog, role: str, app_url: str, upstream: str, model: str) -> _Place:
    known = next((one for one in catalog.upstreams if one.name == upstream), None)
    if known is None:
        raise BadInput(
            f"The model server `{upstream}` is not there any more.",
            param="trial",
            cure="An administrator can add it again.",
        )
    if role == "administrator" and known.address:
        return _Place(known.address.rstrip("/"), known.api_key_env or _KEY, model)
    info = catalog.get(model, role=role, upstream=upstream)
    return _Place(f"{app_url}/v1", _TOKEN, catalog.id_of(info, role), _TOKEN_NOTE)


def _curl(place: _Place, body: Mapping[str, Any]) -> str:
    data = shlex.quote(json.dumps(body, ensure_ascii=False, indent=2))
    url = shlex.quote(f"{place.address}/chat/completions")
    return (
        f'curl --no-buffer {url} \\\n  -H "Authorization: Bearer ${place.key}" \\\n'
        f"  -H 'Content-Type: application/json' \\\n  --data-binary {data}\n"
    )


def _python(place: _Place, body: Mapping[str, Any]) -> str:
    known = {name: value for name, value in body.items() if name in _SDK_NAMES}
    if more := {name: value for name, value in body.items() if name not in _SDK_NAMES}:
        known["extra_body"] = more
    show = _SHOW_STREAM if body.get("stream") else _SHOW_WHOLE
    return (
        "import os\n\nfrom openai import OpenAI\n\n"
        f"client = OpenAI(base_url={place.address!r}, api_key=os.environ[{place.key!r}])\n"
        f"request = {pformat(known, sort_dicts=False, width=100)}\n"
        f"answer = client.chat.completions.create(**request)\n{show}"
    )

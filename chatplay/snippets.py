"""A call as a program that makes it again, in curl or Python; the key is read from an environment variable."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pprint import pformat
from typing import Any, Literal

from chatplay.errors import BadInput
from chatplay.models.catalog import ModelCatalog
from chatplay.providers.base import Message

Language = Literal["curl", "python"]
_KEY = "OPENAI_API_KEY"
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


def write_code(
    *, language: Language, catalog: ModelCatalog, upstream: str, sent: Mapping[str, Any], messages: Sequence[Message]
) -> str:
    """The program. `sent` is the request body without messages, as a usage row keeps it.

    Raises BadInput for a built-in model, which has no address, or one whose server is gone.
    """
    known = next((one for one in catalog.upstreams if one.name == upstream), None)
    if known is None:
        raise BadInput(
            f"The model server `{upstream}` is not there any more.",
            param="trial",
            cure="An administrator can add it again.",
        )
    if not known.address:
        raise BadInput(
            f"`{upstream}` is built into this app and has no server of its own.",
            param="trial",
            cure="Programs ask its models through this app: make an access token on the Account page, see /v1/docs.",
        )
    body = {**sent, "messages": [{"role": message.role, "content": message.content} for message in messages]}
    key = known.api_key_env or _KEY
    return _curl(known.address, body, key) if language == "curl" else _python(known.address, body, key)


def _curl(address: str, body: Mapping[str, Any], key: str) -> str:
    data = shlex.quote(json.dumps(body, ensure_ascii=False, indent=2))
    url = shlex.quote(f"{address.rstrip('/')}/chat/completions")
    return (
        f'curl --no-buffer {url} \\\n  -H "Authorization: Bearer ${key}" \\\n'
        f"  -H 'Content-Type: application/json' \\\n  --data-binary {data}\n"
    )


def _python(address: str, body: Mapping[str, Any], key: str) -> str:
    known = {name: value for name, value in body.items() if name in _SDK_NAMES}
    if more := {name: value for name, value in body.items() if name not in _SDK_NAMES}:
        known["extra_body"] = more
    show = _SHOW_STREAM if body.get("stream") else _SHOW_WHOLE
    return (
        "import os\n\nfrom openai import OpenAI\n\n"
        f"client = OpenAI(base_url={address!r}, api_key=os.environ[{key!r}])\n"
        f"request = {pformat(known, sort_dicts=False, width=100)}\n"
        f"answer = client.chat.completions.create(**request)\n{show}"
    )

"""What identifies a request: the hash of all that acts on its answer, the same before the call and on the wire.

The body as an OpenAI-compatible server receives it is brought into one form first: without what only says how the
answer travels, without what is not set, whatever the order of its keys and the name of its token limit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from chatplay import params as parameters
from chatplay.params import OFF_AT_ZERO, SAMPLING
from chatplay.providers.base import Request

_TRAVEL = ("stream", "stream_options")
_OTHER_NAMES = {"max_completion_tokens": "max_tokens"}


def fingerprint(body: Mapping[str, Any]) -> str:
    """SHA-256 of the body's one form as canonical JSON, 64 hexadecimal digits."""
    text = json.dumps(one_form(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def fingerprint_of(request: Request, *, without: Collection[str] = ()) -> str:
    """Of the body that `request` should become; `without` the parameters that its server takes none of."""
    return fingerprint(body_of(request, without=without))


def body_of(request: Request, *, without: Collection[str] = ()) -> dict[str, Any]:
    """What of `request` acts on the answer, in its one form."""
    values = parameters.to_json(request.params)
    kept = {name: values[name] for name in SAMPLING if name not in without}
    messages = [{"role": message.role, "content": message.content} for message in request.messages]
    return one_form({"model": request.model, "messages": messages, **kept})


def one_form(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body without what does not act on the answer."""
    named = {_OTHER_NAMES.get(name, name): value for name, value in body.items() if name not in _TRAVEL}
    return {name: _plain(value) for name, value in named.items() if not _is_unset(name, value)}


def differences(expected: Mapping[str, Any], sent: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the fields in which the two bodies differ, sorted."""
    before, after = one_form(expected), one_form(sent)
    return tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))


def _is_unset(name: str, value: Any) -> bool:
    return value is None or value in ([], ()) or (name in OFF_AT_ZERO and value == 0)


def _plain(value: Any) -> Any:
    """1.0 and 1 are one number, whatever a JSON writer makes of them."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return list(value) if isinstance(value, tuple) else value

"""Reads the body of a chat completion as OpenAI defines it: what is ours to check is checked, what is the model's
server's is passed on as it came, and what we do not do is refused by name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from chatplay import params as parameters
from chatplay.errors import BadInput
from chatplay.models.catalog import ModelInfo
from chatplay.params import NOTHING_SET, SAMPLING, Params
from chatplay.providers.base import Message, Relay, Role

_ROLES: Mapping[str, Role] = {  # as which role a message counts where only texts are known
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "user",
    "function": "user",
}
# Sent on as they came. The last row is not OpenAI's but of servers people run themselves.
RELAYED = (
    *("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "response_format"),
    *("logprobs", "top_logprobs", "logit_bias", "reasoning_effort", "verbosity", "prediction", "modalities"),
    *("user", "metadata", "safety_identifier", "service_tier", "web_search_options"),
    *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
    *("top_k", "min_p", "repeat_penalty", "repetition_penalty", "chat_template_kwargs"),
)
# What says who asks or how to serve it, not what to answer: a model that is no server may pass it over.
_ASIDE = ("user", "metadata", "safety_identifier", "service_tier", "parallel_tool_calls", "modalities")
_CHANGES_NOTHING: tuple[object, ...] = (False, [], {}, "auto", "none", {"type": "text"})
# Their answers hold more than texts, which only their own server can put together as it means them.
_SHAPING = {
    *("tools", "tool_choice", "functions", "function_call", "logprobs", "top_logprobs"),
    *("web_search_options", "prediction"),
}
UNSUPPORTED = {  # taken where they are null or false
    "audio": "Answers are text only.",
    "moderation": "Leave it out.",
    "store": "Answers of this endpoint are not kept; leave it out.",
}
_MAX_NAME_CHARS = 200


class UnknownField(BadInput):
    code = "unknown_parameter"


class UnsupportedField(BadInput):
    code = "unsupported_parameter"


class UnsupportedValue(BadInput):
    code = "unsupported_value"


class TooLong(BadInput):
    code = "string_above_max_length"


@dataclass(frozen=True)
class Asked:
    """One request as read. `given` are the sampling parameters it names, not yet held to a model's ranges;
    `limit_name` is how it called max tokens. `parts` names the first message part that is no text.
    """

    model: str
    messages: tuple[Message, ...]
    relay: Relay
    given: Mapping[str, Any]
    stream: bool
    include_usage: bool
    limit_name: str = "max_tokens"
    parts: str | None = None

    @property
    def streams_upstream(self) -> bool:
        """A whole text is gathered from a stream, too: that shows when a model has died, and servers stop at once
        when a stream is closed, where a whole answer is often computed to its end for nobody.
        """
        return self.stream or not _SHAPING.intersection(self.relay.extra)


def read(body: bytes, *, max_chars: int) -> Asked:
    """`max_chars`: of text in one message. Raises BadInput naming the field."""
    fields = _object(body)
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise BadInput("You must provide a model.", param="model", cure="GET /v1/models lists them.")
    _refuse_what_we_do_not_do(fields)
    messages = _messages(fields.get("messages"))
    read_messages = tuple(_message(f"messages[{place}]", item, max_chars) for place, item in enumerate(messages))
    stream = _flag(fields, "stream")
    limit_name, given = _given(fields)
    return Asked(
        model=model,
        messages=tuple(message for message, _ in read_messages),
        relay=Relay(tuple(messages), {name: fields[name] for name in RELAYED if fields.get(name) is not None}),
        given=given,
        stream=stream,
        include_usage=_include_usage(fields.get("stream_options"), stream),
        limit_name=limit_name,
        parts=next((part for _, part in read_messages if part is not None), None),
    )


def params_for(asked: Asked, model: ModelInfo) -> Params:
    """What was given, over the model's request defaults; what nobody gave is left to the server.

    Raises BadInput for a value outside the ranges a program is held to.
    """
    ranges = parameters.program_ranges(model.ranges)
    defaults = {name: value for name, value in (model.request_defaults or {}).items() if name in SAMPLING}
    defaults = {name: value for name, value in defaults.items() if name not in model.refused_params}
    try:
        return parameters.parse({**defaults, **asked.given}, overrides=ranges, base=NOTHING_SET)
    except BadInput as error:
        name = asked.limit_name if error.param == "max_tokens" else error.param
        raise BadInput(error.message, param=name, cure=error.cure) from None


def check_model_takes(asked: Asked, model: ModelInfo) -> None:
    """The built-in models know texts only. Raises BadInput naming what they would have to pass over."""
    if model.provider == "openai":
        return
    for name, value in asked.relay.extra.items():
        if name not in _ASIDE and value not in _CHANGES_NOTHING:
            raise UnsupportedField(
                f"`{name}` is not supported by the built-in model `{model.name}`.",
                param=name,
                cure="Leave it out, or choose a model of a model server.",
            )
    if asked.parts is not None:
        raise UnsupportedValue(
            f"The built-in model `{model.name}` reads texts only.",
            param=asked.parts,
            cure="Send text, or choose a model of a model server.",
        )


# ---- the body ----------------------------------------------------------------------------------


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadInput("We could not parse the JSON body of your request.", param="body", cure=_JSON_CURE) from None
    if not isinstance(fields, dict):
        raise BadInput("The body must be a JSON object.", param="body", cure=_JSON_CURE)
    try:  # as it is written down again for the model's server
        json.dumps(fields, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        raise BadInput(
            "The body holds half of a surrogate pair.", param="body", cure="Send whole characters."
        ) from None
    except ValueError:
        place = ascii(_infinite(fields))[1:-1][:_MAX_NAME_CHARS]
        raise BadInput(f"The number at '{place}' is too large.", param=place, cure="Send a smaller one.") from None
    return fields


_JSON_CURE = "Send a JSON object with `model` and `messages`, as UTF-8."


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _infinite(value: object, place: str = "") -> str | None:
    """Where the first number stands that was read as infinite, as in `messages[0].content`."""
    if isinstance(value, float) and math.isinf(value):
        return place
    inside: Iterable[tuple[str, object]] = ()
    if isinstance(value, dict):
        inside = ((f"{place}.{name}" if place else name, item) for name, item in value.items())
    elif isinstance(value, list):
        inside = ((f"{place}[{number}]", item) for number, item in enumerate(value))
    return next((found for there, item in inside if (found := _infinite(item, there)) is not None), None)


def _refuse_what_we_do_not_do(fields: Mapping[str, Any]) -> None:
    known = {"model", "messages", "stream", "stream_options", "n", "max_completion_tokens", *SAMPLING, *RELAYED}
    for name, value in fields.items():
        if name in UNSUPPORTED and value is not None and value is not False:
            raise UnsupportedField(f"Unsupported parameter: '{name}'.", param=name, cure=UNSUPPORTED[name])
        if name not in known and name not in UNSUPPORTED:
            shown = ascii(name[:80])
            raise UnknownField(f"Unknown parameter: {shown}.", param=shown[1:-1], cure="Leave it out.")
    if fields.get("n") not in (None, 1) or fields.get("n") is True:
        raise UnsupportedValue("Unsupported value: 'n' must be 1.", param="n", cure="Ask several times instead.")
    if fields.get("modalities") not in (None, ["text"]):
        raise UnsupportedValue("Unsupported value: 'modalities' must be [\"text\"].", param="modalities")


def _flag(fields: Mapping[str, Any], name: str, within: str = "") -> bool:
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadInput(f"Invalid type for '{within}{name}': expected true or false.", param=f"{within}{name}")
    return bool(value)


def _include_usage(options: object, stream: bool) -> bool:
    if options is None:
        return False
    if not isinstance(options, dict):
        raise BadInput("Invalid type for 'stream_options': expected an object.", param="stream_options")
    if not stream:
        raise BadInput("The 'stream_options' parameter is only allowed when 'stream' is true.", param="stream_options")
    for name in options:
        if name not in ("include_usage", "include_obfuscation"):
            raise UnknownField(f"Unknown parameter: {name[:80]!a}.", param=f"stream_options.{ascii(name[:80])[1:-1]}")
        _flag(options, name, "stream_options.")
    return bool(options.get("include_usage"))


def _given(fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """How the request called max tokens, and its sampling parameters."""
    given = {name: fields[name] for name in SAMPLING if fields.get(name) is not None}
    newer = fields.get("max_completion_tokens")
    if newer is None:
        return "max_tokens", given
    if given.setdefault("max_tokens", newer) != newer:
        raise BadInput(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            cure="Send one of them.",
        )
    return "max_completion_tokens", given


# ---- messages ----------------------------------------------------------------------------------


def _messages(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise BadInput("Invalid 'messages': expected an array with at least one message.", param="messages")
    return value


def _message(place: str, item: object, max_chars: int) -> tuple[Message, str | None]:
    """The message's text with its role, and the place of its first part that is no text."""
    if not isinstance(item, dict):
        raise BadInput(f"Invalid type for '{place}': expected an object.", param=place)
    role = item.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise BadInput(f"Invalid value for '{place}.role': expected one of {', '.join(_ROLES)}.", param=f"{place}.role")
    if role == "tool" and not isinstance(item.get("tool_call_id"), str):
        raise BadInput(f"Missing required parameter: '{place}.tool_call_id'.", param=f"{place}.tool_call_id")
    if item.get("content") is None and role != "assistant":
        raise BadInput(f"Missing required parameter: '{place}.content'.", param=f"{place}.content")
    text, other = _text(f"{place}.content", item.get("content"))
    if len(text) > max_chars:
        raise TooLong(
            f"Invalid '{place}.content': string too long. Expected at most {max_chars:,} characters, "
            f"but got {len(text):,} instead.",
            param=f"{place}.content",
            cure="Shorten it.",
        )
    return Message(_ROLES[role], text), other


def _text(place: str, content: object) -> tuple[str, str | None]:
    if content is None or isinstance(content, str):
        return content or "", None
    if not isinstance(content, list):
        raise BadInput(f"Invalid type for '{place}': expected a string or an array of parts.", param=place)
    texts, other = [], None
    for number, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise BadInput(
                f"Invalid type for '{place}[{number}]': expected a part with a type.", param=f"{place}[{number}]"
            )
        if isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif part["type"] == "text":
            raise BadInput(f"Missing required parameter: '{place}[{number}].text'.", param=f"{place}[{number}].text")
        else:
            other = other or f"{place}[{number}].type"
    return "".join(texts), other

"""The table of single models' own settings in the model server form: one row a model, an empty cell is as the server.

Pure: a frame out of the stored settings, and settings out of the edited frame. Errors name row and column.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from chatplay.errors import BadInput
from chatplay.params import number_text
from chatplay.providers.entries import read_settings, settings_table
from chatplay.providers.registry import ROLES, ModelSettings

MODEL, INPUT, CACHED, OUTPUT = "Model", "Input, $", "Cached, $", "Output, $"
CONTEXT, MAX_TOKENS = "Context, tokens", "Max tokens"
RANGES, DEFAULTS = "Ranges", "Begins with"
STREAMS, SYSTEM_PROMPT, WHO = "Streams", "System prompt", "For"
YES, NO = "yes", "no"
WHOM = tuple(f"{role}s" for role in ROLES)
_NUMBERS = (INPUT, CACHED, OUTPUT, CONTEXT, MAX_TOKENS)
COLUMNS = (MODEL, INPUT, CACHED, OUTPUT, CONTEXT, MAX_TOKENS, RANGES, DEFAULTS, STREAMS, SYSTEM_PROMPT, WHO)
_COLUMN_OF = {
    "price": OUTPUT,
    "ranges": RANGES,
    "request_defaults": DEFAULTS,
    "max_tokens_default": MAX_TOKENS,
    "context_tokens": CONTEXT,
    "streaming": STREAMS,
    "system_prompt": SYSTEM_PROMPT,
    "roles": WHO,
}


def frame_of(per_model: Mapping[str, ModelSettings], known_models: Iterable[str]) -> pd.DataFrame:
    """The models that have settings of their own, then the others that the server is known to have."""
    names = list(dict.fromkeys([*per_model, *known_models]))
    rows = [_row(name, per_model.get(name, ModelSettings())) for name in names]
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype(object)
    texts = [column for column in COLUMNS if column not in _NUMBERS]
    return frame.astype(dict.fromkeys(_NUMBERS, "Float64") | dict.fromkeys(texts, "string"))


def per_model_of(frame: pd.DataFrame) -> dict[str, ModelSettings]:
    """The settings in an edited frame; rows that change nothing are left out. Raises BadInput(param="model")."""
    found: dict[str, ModelSettings] = {}
    for number, row in enumerate(frame.to_dict("records"), start=1):
        cells = {str(column): _value(cell) for column, cell in row.items()}
        name = cells.pop(MODEL)
        if all(cell is None for cell in cells.values()):
            continue
        if name is None:
            raise _wrong(number, None, MODEL, "has settings and no name.", "Type the model's name or empty the row.")
        if name in found:
            raise _wrong(number, name, MODEL, "stands in the table twice.", "Put its settings into one row.")
        found[name] = _settings(number, name, cells)
    return found


def _row(name: str, settings: ModelSettings) -> list[Any]:
    price, table = settings.price, settings_table(settings)
    return [
        name,
        *((price.input_usd, price.cached_usd, price.output_usd) if price else (None, None, None)),
        settings.context_tokens,
        settings.max_tokens_default,
        _inline(table.get("ranges")),
        _inline(table.get("request_defaults")),
        _said(settings.supports_streaming),
        _said(settings.supports_system_prompt),
        None if settings.roles is None or set(settings.roles) == set(ROLES) else f"{settings.roles[0]}s",
    ]


def _said(flag: bool | None) -> str | None:
    return None if flag is None else YES if flag else NO


def _inline(table: Mapping[str, Any] | None) -> str | None:
    """`temperature = [0, 2], seed = 7`, as models.toml writes it."""
    return ", ".join(f"{name} = {_toml(value)}" for name, value in table.items()) if table else None


def _toml(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        plain = "".join(f"\\u{ord(char):04x}" if ord(char) < 32 or char in '"\\\x7f' else char for char in value)
        return f'"{plain}"'
    return number_text(value)


def _value(cell: Any) -> Any:
    """None for an empty cell of any kind."""
    if cell is None or cell is pd.NA or (isinstance(cell, float) and math.isnan(cell)):
        return None
    return cell.strip() or None if isinstance(cell, str) else cell


def _settings(number: int, name: str, cells: Mapping[str, Any]) -> ModelSettings:
    prices = {"input": cells[INPUT], "cached": cells[CACHED], "output": cells[OUTPUT]}
    given = {label: amount for label, amount in prices.items() if amount is not None}
    if given and not {"input", "output"} <= set(given):
        missing = INPUT if "input" not in given else OUTPUT
        raise _wrong(number, name, missing, "is empty.", "A price needs input and output; 0 is a price too.")
    table = {
        "price": given or None,
        "context_tokens": _whole(number, name, CONTEXT, cells),
        "max_tokens_default": _whole(number, name, MAX_TOKENS, cells),
        "ranges": _table(number, name, RANGES, cells, "temperature = [0, 2]"),
        "request_defaults": _table(number, name, DEFAULTS, cells, "temperature = 0.2"),
        "streaming": _flag(cells[STREAMS]),
        "system_prompt": _flag(cells[SYSTEM_PROMPT]),
        "roles": None if cells[WHO] is None else [cells[WHO].removesuffix("s")],
    }
    try:
        return read_settings({field: value for field, value in table.items() if value is not None})
    except BadInput as error:
        message = error.message.removeprefix(f"`{error.param}`").lstrip(": ")
        cure = "" if error.cure == f"Correct `{error.param}`." else error.cure
        raise _wrong(number, name, _COLUMN_OF.get(error.param, MODEL), message, cure) from None


def _whole(number: int, name: str, column: str, cells: Mapping[str, Any]) -> int | None:
    value = cells[column]
    if value is not None and value != int(value):
        raise _wrong(number, name, column, "must be a whole number.", "")
    return None if value is None else int(value)


def _table(number: int, name: str, column: str, cells: Mapping[str, Any], example: str) -> dict[str, Any] | None:
    text = cells[column]
    if text is None:
        return None
    try:
        return tomllib.loads(f"cell = {{ {text} }}")["cell"]  # type: ignore[no-any-return]
    except (tomllib.TOMLDecodeError, KeyError):
        raise _wrong(
            number, name, column, "cannot be read.", f"Write it like {example}, with commas between."
        ) from None


def _flag(cell: str | None) -> bool | None:
    return None if cell is None else cell == YES


def _wrong(number: int, name: str | None, column: str, what: str, cure: str) -> BadInput:
    who = f" (`{name}`)" if name else ""
    return BadInput(f"Row {number}{who}, column {column}: {what}", param="model", cure=cure)

"""One entry of the registry, as models.toml and the database write it: read and checked here, field by field.

name, base_url, api_key_env, engine, models, default_model, enabled, model (a table of models' own settings)
roles, price, ranges, request_defaults, max_tokens_default, context_tokens, streaming, system_prompt
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from chatplay import params as parameters
from chatplay.errors import BadInput
from chatplay.params import Range
from chatplay.prices import Price
from chatplay.providers.registry import (
    ENGINES,
    RESERVED_NAMES,
    ROLES,
    EngineType,
    ModelSettings,
    Source,
    Upstream,
)
from chatplay.providers.safety import AddressPolicy, check_base_url

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}(?<! )")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_SETTINGS = (
    "roles",
    "price",
    "ranges",
    "request_defaults",
    "max_tokens_default",
    "context_tokens",
    "streaming",
    "system_prompt",
)
_FIELDS = ("name", "base_url", "api_key_env", "engine", "models", "default_model", "enabled", "model", *_SETTINGS)
_MOST_TOKENS = 100_000_000
_MOST_USD = 1_000_000
_FARTHEST = 100.0  # from 0 that a range of fractions may reach; no server takes more
_EXACT_INT = 2**53 - 1  # a browser's numbers
Table = Mapping[str, Any]


def read_entry(table: Table, *, source: Source, policy: AddressPolicy) -> Upstream:
    """The upstream a table describes, without its key. Raises BadInput; `param` is the field."""
    _refuse_unknown(table, _FIELDS)
    own = read_settings({name: table[name] for name in _SETTINGS if name in table})
    return Upstream(
        name=_name(table.get("name")),
        kind="openai",
        base_url=check_base_url(_text(table, "base_url"), policy),
        api_key_env=_variable(table),
        allowed_models=_texts(table, "models"),
        default_model=_text(table, "default_model") if "default_model" in table else None,
        enabled=_flag(table, "enabled") is not False,
        engine_type=_engine(table),
        per_model=_per_model(table.get("model", {})),
        max_tokens_default=own.max_tokens_default,
        ranges=own.ranges or {},
        roles=ROLES if own.roles is None else own.roles,
        price=own.price,
        context_tokens=own.context_tokens,
        request_defaults=own.request_defaults,
        supports_streaming=own.supports_streaming,
        supports_system_prompt=own.supports_system_prompt,
        source=source,
    )


def read_settings(table: Table) -> ModelSettings:
    """The settings in a table; what is missing is None. Raises BadInput; `param` is the field."""
    _refuse_unknown(table, _SETTINGS)
    ranges = _ranges(table["ranges"]) if "ranges" in table else None
    return ModelSettings(
        roles=_roles(table) if "roles" in table else None,
        price=_price(table["price"]) if "price" in table else None,
        ranges=ranges,
        request_defaults=_defaults(table["request_defaults"], ranges) if "request_defaults" in table else None,
        max_tokens_default=_tokens(table, "max_tokens_default"),
        context_tokens=_tokens(table, "context_tokens"),
        supports_streaming=_flag(table, "streaming"),
        supports_system_prompt=_flag(table, "system_prompt"),
    )


def settings_table(settings: ModelSettings | Upstream) -> dict[str, Any]:
    """JSON-ready, the inverse of `read_settings`; what is None is left out."""
    price, ranges = settings.price, settings.ranges
    table = {
        "roles": None if settings.roles is None else list(settings.roles),
        "price": None if price is None else _price_table(price),
        "ranges": {name: [limits.low, limits.high] for name, limits in ranges.items()} if ranges else None,
        "request_defaults": dict(settings.request_defaults) if settings.request_defaults else None,
        "max_tokens_default": settings.max_tokens_default,
        "context_tokens": settings.context_tokens,
        "streaming": settings.supports_streaming,
        "system_prompt": settings.supports_system_prompt,
    }
    return {name: value for name, value in table.items() if value is not None}


def _price_table(price: Price) -> dict[str, float]:
    named = {"input": price.input_usd, "cached": price.cached_usd, "output": price.output_usd}
    return {name: value for name, value in named.items() if value is not None}


def _refuse_unknown(table: object, known: tuple[str, ...]) -> None:
    if not isinstance(table, Mapping):
        raise _bad("model", "must be a table of settings")
    for name in table:
        if name == "api_key":
            raise BadInput(
                "`api_key` does not belong here, where it can be read.",
                param="api_key",
                cure="Put the key into the environment or .env and name that variable in `api_key_env`.",
            )
        if name not in known:
            raise BadInput(f"There is no field `{name}`.", param=str(name), cure=f"The fields are {', '.join(known)}.")


def is_name(value: object) -> TypeGuard[str]:
    """Whether it can be the name of an upstream."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _name(value: object) -> str:
    if not is_name(value):
        raise _bad("name", "must be 1 to 40 letters, digits, blanks, dots, dashes or underscores, such as lab-gpu")
    if value.lower() in RESERVED_NAMES:
        raise BadInput(f"The name `{value}` is taken by a built-in one.", param="name", cure="Choose another name.")
    return value


def _variable(table: Table) -> str | None:
    if "api_key_env" not in table:
        return None
    name = _text(table, "api_key_env")
    if not _VARIABLE.fullmatch(name):
        # Not shown: it may be a key that was put into the wrong field.
        raise _bad("api_key_env", "must be the name of a variable, such as LAB_API_KEY")
    return name


def _engine(table: Table) -> EngineType | None:
    given = table.get("engine")
    if given is None:
        return None
    found = next((engine for engine in ENGINES if engine == given), None)
    if found is None:
        raise _bad("engine", f"must be one of {', '.join(ENGINES)}")
    return found


def _per_model(tables: object) -> dict[str, ModelSettings]:
    if not isinstance(tables, Mapping):
        raise _bad("model", 'must be tables like [upstream.model."name"]')
    found = {}
    for model, table in tables.items():
        try:
            found[str(model)] = read_settings(table)
        except BadInput as error:
            raise BadInput(f"Model `{model}`: {error.message}", param=error.param, cure=error.cure) from None
    return found


def _text(table: Table, name: str) -> str:
    value = table.get(name)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise _bad(name, "must be a text" if name in table else "is missing")
    return value.strip()


def _texts(table: Table, name: str) -> tuple[str, ...]:
    values = table.get(name, ())
    if not isinstance(values, (list, tuple)) or not all(
        isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable() for value in values
    ):
        raise _bad(name, 'must be a list of texts, such as ["one", "two"]')
    return tuple(dict.fromkeys(values))


def _roles(table: Table) -> tuple[str, ...]:
    roles = _texts(table, "roles")
    if not set(roles) <= set(ROLES):
        raise _bad("roles", f"may name {' and '.join(ROLES)} only")
    return roles


def _flag(table: Table, name: str) -> bool | None:
    value = table.get(name)
    if value is not None and not isinstance(value, bool):
        raise _bad(name, "must be true or false")
    return value


def _tokens(table: Table, name: str) -> int | None:
    value = table.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MOST_TOKENS:
        raise _bad(name, f"must be a whole number from 1 to {_MOST_TOKENS:,}")
    return value


def _price(table: object) -> Price:
    allowed = ("input", "output", "cached")
    if not isinstance(table, Mapping) or not {"input", "output"} <= set(table) <= set(allowed):
        raise _bad("price", "must be like { input = 0.15, cached = 0.075, output = 0.60 }, US dollars per million")
    for amount in table.values():
        if not _is_number(amount) or not 0 <= amount <= _MOST_USD:
            raise _bad("price", f"must be US dollars per million tokens, from 0 to {_MOST_USD:,}")
    cached = table.get("cached")
    return Price(float(table["input"]), float(table["output"]), None if cached is None else float(cached))


def _ranges(tables: object) -> dict[str, Range]:
    if not isinstance(tables, Mapping):
        raise _bad("ranges", "must be like { temperature = [0, 2] }")
    return {str(name): _range(str(name), limits) for name, limits in tables.items()}


def _range(name: str, limits: Any) -> Range:
    numeric = [spec for spec in parameters.SPECS if spec.range is not None]
    spec = next((spec for spec in numeric if spec.name == name), None)
    if spec is None:
        raise _bad("ranges", f"may name {', '.join(spec.name for spec in numeric)}, not `{name}`")
    low: Any
    high: Any
    low, high = limits if isinstance(limits, (list, tuple)) and len(limits) == 2 else (None, None)
    fits = _is_number(low) and _is_number(high) and low <= high
    if not fits or (spec.kind == "int" and (low != int(low) or high != int(high))):
        raise _bad("ranges", f"must give the lowest and highest `{name}`, such as [0, 2]")
    widest = _widest(spec)
    if not widest.low <= low <= high <= widest.high:
        raise _bad("ranges", f"must keep `{name}` within {widest.low:,.0f} and {widest.high:,.0f}")
    return Range(low, high)


def _widest(spec: parameters.Spec) -> Range:
    """What a range may reach; with more, sliders and requests would hold numbers that mean nothing."""
    if spec.name == "max_tokens":
        return Range(1, _MOST_TOKENS)
    return Range(-_EXACT_INT, _EXACT_INT) if spec.kind == "int" else Range(-_FARTHEST, _FARTHEST)


def _defaults(values: object, ranges: Mapping[str, Range] | None) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise _bad("request_defaults", "must be like { temperature = 0.2 }")
    try:
        checked = parameters.to_json(parameters.parse(values, overrides=ranges))
    except BadInput as error:
        raise BadInput(f"`request_defaults`: {error.message}", param="request_defaults", cure=error.cure) from None
    return {name: checked[name] for name in values}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _bad(name: str, what: str) -> BadInput:
    return BadInput(f"`{name}` {what}.", param=name, cure=f"Correct `{name}`.")

"""Between the fields of the model server form and the values the service takes. The key only ever goes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from chatplay.errors import BadInput, ChatplayError, Conflict
from chatplay.models.health import CheckResult
from chatplay.models.roster import Entry
from chatplay.models.upstreams import UpstreamDraft
from chatplay.params import SPECS, Range, Spec, number_text
from chatplay.prices import Price
from chatplay.providers.registry import ROLES, ModelSettings, Upstream
from chatplay.ui.models.table import frame_of

NUMERIC = tuple(spec for spec in SPECS if spec.range is not None)
USUAL_MAX_TOKENS = 512
Values = dict[str, Any]


@dataclass(eq=False)
class Form:
    """One opening of the form. `values` go into the fields when it is next drawn; `entry` is None for a new server.

    `result` is what a test found, `allowed` the models that were allowed then. `table` is what the table of single
    models begins with, `edited` what it holds. Its widget takes another frame only under another key, which
    `edition` makes.
    """

    entry: Entry | None
    values: Values | None
    error: ChatplayError | None = None
    result: CheckResult | None = None
    allowed: tuple[str, ...] = ()
    known_models: tuple[str, ...] = ()
    table: pd.DataFrame = field(default_factory=lambda: frame_of({}, ()))
    edited: pd.DataFrame | None = None
    edition: int = 0

    @property
    def error_at(self) -> str | None:
        """The field that the error is about; "" for none of them, None without an error."""
        if self.error is None:
            return None
        if isinstance(self.error, Conflict):
            return "name"
        return self.error.param if isinstance(self.error, BadInput) else ""


def key(name: str) -> str:
    """The widget key of a field."""
    return f"models_field_{name}"


def values_of(upstream: Upstream) -> Values:
    """What the fields show for `upstream`; its key is not among it."""
    price, defaults = upstream.price, upstream.request_defaults or {}
    values: Values = {
        "name": upstream.name,
        "base_url": upstream.base_url or "",
        "api_key_env": upstream.api_key_env or "",
        "forget_key": False,
        "engine": upstream.engine_type,
        "models": list(upstream.allowed_models),
        "default_model": upstream.default_model,
        "roles": list(upstream.roles),
        "price_input": price.input_usd if price else None,
        "price_output": price.output_usd if price else None,
        "price_cached": price.cached_usd if price else None,
        "max_tokens_default": upstream.max_tokens_default,
        "context_tokens": upstream.context_tokens,
        "streaming": upstream.supports_streaming is not False,
        "system_prompt": upstream.supports_system_prompt is not False,
    }
    for spec in NUMERIC:
        limits = upstream.ranges.get(spec.name)
        values[f"low_{spec.name}"] = _number(spec, limits.low) if limits else None
        values[f"high_{spec.name}"] = _number(spec, limits.high) if limits else None
    for spec in SPECS:
        empty: Any = [] if spec.kind == "list" else "" if spec.kind == "text" else None
        value = defaults.get(spec.name)
        values[f"default_{spec.name}"] = empty if value is None else _number(spec, value)
    return values


def draft_of(
    values: Values,
    *,
    api_key: str | None,
    entry: Entry | None,
    per_model: Mapping[str, ModelSettings] | None = None,
) -> UpstreamDraft:
    """What was typed, as the service takes it. Raises BadInput naming the field."""
    key = (api_key or "").strip()
    variable = (values["api_key_env"] or "").strip()
    if key and variable:
        raise BadInput("There are a key and a variable.", param="api_key_env", cure="Leave one of the two empty.")
    if not values["roles"]:
        raise BadInput("Nobody could use it.", param="roles", cure="Choose who may, or disable the server instead.")
    forget = "" if values.get("forget_key") else None
    return UpstreamDraft(
        name=values["name"] or "",
        base_url=values["base_url"] or "",
        api_key=key or forget,
        api_key_env=variable or None,
        engine_type=values["engine"],
        allowed_models=tuple(values["models"] or ()),
        default_model=values["default_model"] or None,
        enabled=entry.upstream.enabled if entry else True,
        settings=_settings(values),
        per_model=dict(per_model or {}),
    )


def stored_draft(upstream: Upstream) -> UpstreamDraft:
    """A stored server as it is, to be tested."""
    return draft_of({**values_of(upstream), "roles": list(ROLES)}, api_key=None, entry=None)


def _settings(values: Values) -> ModelSettings:
    ranges = {spec.name: found for spec in NUMERIC if (found := _range(spec, values)) is not None}
    given = {spec.name: values[f"default_{spec.name}"] for spec in SPECS}
    defaults = {name: value for name, value in given.items() if value not in (None, "", [])}
    return ModelSettings(
        roles=None if set(values["roles"]) == set(ROLES) else tuple(values["roles"]),
        price=_price(values),
        ranges=ranges or None,
        request_defaults=defaults or None,
        max_tokens_default=values["max_tokens_default"],
        context_tokens=values["context_tokens"],
        supports_streaming=None if values["streaming"] else False,
        supports_system_prompt=None if values["system_prompt"] else False,
    )


def _range(spec: Spec, values: Values) -> Range | None:
    """What was left empty stays at the usual end."""
    low, high = values[f"low_{spec.name}"], values[f"high_{spec.name}"]
    if spec.range is None or (low is None and high is None):
        return None
    found = Range(spec.range.low if low is None else low, spec.range.high if high is None else high)
    if found.low > found.high:
        raise BadInput(
            f"{spec.label} would begin at {number_text(found.low)} and end at {number_text(found.high)}.",
            param="ranges",
            cure="Give a lowest value that is below the highest.",
        )
    return found


def _price(values: Values) -> Price | None:
    paid, made, cached = values["price_input"], values["price_output"], values["price_cached"]
    if paid is None and made is None and cached is None:
        return None
    if paid is None or made is None:
        raise BadInput("A price needs input and output.", param="price", cure="Fill in both; 0 is a price too.")
    return Price(paid, made, cached)


def _number(spec: Spec, value: Any) -> Any:
    return int(value) if spec.kind == "int" else float(value) if spec.kind == "float" else value

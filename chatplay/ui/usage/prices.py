"""The part of the usage page about prices: what models cost, from when on, and which have no price at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from chatplay.errors import ChatplayError
from chatplay.models.view import ModelInfo
from chatplay.prices import Price
from chatplay.runtime import Runtime
from chatplay.ui import format as fmt
from chatplay.ui import gate, state
from chatplay.ui.markdown import message_markdown
from chatplay.ui.tables import choose_row
from chatplay.usage.values import ModelKey, PriceEntry

_RIGHT = st.column_config.TextColumn(alignment="right")
_AMOUNTS = tuple(f"{name}, $ per million tokens" for name in ("Input", "Cached input", "Output"))
_ALL_MODELS = ""
_MOST_NAMED = 6


def draw(runtime: Runtime, tz: ZoneInfo) -> None:
    st.subheader(
        "Prices",
        anchor=False,
        help="US dollars per million tokens. A call costs what was in force when it began; a later price changes no "
        "earlier call. Without a price set here, that of models.toml or of the server's entry counts; without any, "
        "the cost is unknown.",
    )
    entries, running = runtime.prices.list_prices(), runtime.catalog.list_running(state.person().role)
    if st.button("Set a price", icon=":material/add:", key=state.usage_key("price")):
        _set_price(runtime, tz)
    dated = runtime.prices.in_force([(model.upstream, model.name) for model in running])
    undated = [model for model in running if (model.upstream, model.name) not in dated]
    configured = [model for model in undated if model.price is not None]
    _draw_unknown([model for model in undated if model.price is None])
    if not entries and not configured:
        st.caption("No price is set yet, neither here nor in models.toml.")
        return
    rows: list[PriceEntry | ModelInfo] = [*entries, *configured]
    chosen = choose_row(
        _table(entries, configured, tz),
        rows,
        key=state.usage_key("prices"),
        ids=[*(entry.id for entry in entries), *((model.upstream, model.name) for model in configured)],
        column_config=dict.fromkeys(_AMOUNTS, _RIGHT),
    )
    if chosen is None:
        st.caption("Choose a row to change its price.")
    elif isinstance(chosen, PriceEntry):
        _draw_actions(runtime, tz, chosen)
    else:
        _draw_change(runtime, tz, ModelKey(chosen.upstream, chosen.name), chosen.price)


def _draw_unknown(models: Sequence[ModelInfo]) -> None:
    if not models:
        return
    named = ", ".join(model.name for model in models[:_MOST_NAMED])
    more = f" and {len(models) - _MOST_NAMED:,} more" if len(models) > _MOST_NAMED else ""
    st.caption(message_markdown(f"Without a price, so that what they cost is unknown: {named}{more}."))


def _table(entries: Sequence[PriceEntry], configured: Sequence[ModelInfo], tz: ZoneInfo) -> pd.DataFrame:
    """Dated prices, then those of the configuration that hold because no dated one does."""
    priced = [(model, model.price) for model in configured if model.price is not None]
    dated = [(entry.upstream, entry.model or "all others", entry.price) for entry in entries]
    rows = dated + [(model.upstream, model.name, price) for model, price in priced]
    return pd.DataFrame(
        {
            "Server": [upstream for upstream, _, _ in rows],
            "Model": [model for _, model, _ in rows],
            _AMOUNTS[0]: [fmt.cost(price.input_usd) for *_, price in rows],
            _AMOUNTS[1]: [_cached(price) for *_, price in rows],
            _AMOUNTS[2]: [fmt.cost(price.output_usd) for *_, price in rows],
            "From": [fmt.exact(entry.valid_from, tz=tz) for entry in entries] + ["as configured"] * len(priced),
            "In force": [entry.in_force for entry in entries] + [True] * len(priced),
            "Set by": [entry.set_by or fmt.UNKNOWN for entry in entries] + ["configuration"] * len(priced),
        }
    )


def _cached(price: Price) -> str:
    return "as input" if price.cached_usd is None else fmt.cost(price.cached_usd)


def _draw_actions(runtime: Runtime, tz: ZoneInfo, entry: PriceEntry) -> None:
    if entry.valid_from <= runtime.catalog.now():
        st.caption("A price that is or was in force stays, because calls were charged with it. A newer one takes over.")
        _draw_change(runtime, tz, ModelKey(entry.upstream, entry.model), entry.price)
        return
    if st.button("Take it back", icon=":material/undo:", key=state.usage_key("take_back")):
        try:
            gate.recheck()
            runtime.prices.remove_price(entry.id)
        except ChatplayError as error:
            st.error(message_markdown(str(error)))
            return
        st.rerun()


def _draw_change(runtime: Runtime, tz: ZoneInfo, key: ModelKey, price: Price | None) -> None:
    if st.button("Set a newer price", icon=":material/edit:", key=state.usage_key("newer_price")):
        _set_price(runtime, tz, key, price)


@st.dialog("Set a price")
def _set_price(runtime: Runtime, tz: ZoneInfo, key: ModelKey | None = None, known: Price | None = None) -> None:
    person = gate.recheck()
    models = runtime.catalog.list_running(person.role)
    upstreams = sorted({model.upstream for model in models} | ({key.upstream} if key else set()))
    names = [_ALL_MODELS, *sorted({model.name for model in models} | ({key.model} if key and key.model else set()))]
    with st.form("usage_price", border=False):
        upstream = st.selectbox(
            "Server",
            upstreams,
            index=upstreams.index(key.upstream) if key else None,
            accept_new_options=True,
            placeholder="Choose or type one",
        )
        model = st.selectbox(
            "Model",
            names,
            index=names.index(key.model) if key else 0,
            format_func=lambda name: name or "All others of this server",
            accept_new_options=True,
        )
        paid_input, cached, output = _ask_amounts(known)
        day = st.date_input("From", value=None, help="Empty: from now on. A day begins at midnight in your time zone.")
        if not st.form_submit_button("Set", type="primary"):
            return
    if not upstream or paid_input is None or output is None:
        st.error("Name the server, and what input and output cost.")
        return
    begin = datetime.combine(day, time(), tzinfo=tz) if day else None
    try:
        runtime.prices.set_price(
            upstream=upstream,
            model=model or _ALL_MODELS,
            price=Price(paid_input, output, cached),
            valid_from=begin,
            set_by=person.username,
        )
    except ChatplayError as error:
        st.error(message_markdown(str(error)))
        return
    st.rerun()


def _ask_amounts(known: Price | None) -> tuple[float | None, float | None, float | None]:
    st.caption("US dollars per million tokens. Empty cached input: as input.")
    values = (known.input_usd, known.cached_usd, known.output_usd) if known else (None, None, None)
    asked = [
        column.number_input(label, min_value=0.0, value=value, format="%.4f")
        for column, label, value in zip(st.columns(3), ("Input", "Cached input", "Output"), values, strict=True)
    ]
    return asked[0], asked[1], asked[2]

"""The fields of the model server form, each error under the field it is about."""

from __future__ import annotations

import streamlit as st

from chatplay.errors import ChatplayError
from chatplay.params import SPECS, Range, number_text
from chatplay.providers.registry import ENGINES, ROLES
from chatplay.ui import format as fmt
from chatplay.ui import state
from chatplay.ui.markdown import message_markdown
from chatplay.ui.models import table
from chatplay.ui.models.card import ENGINE_NAMES
from chatplay.ui.models.draft import NUMERIC, USUAL_MAX_TOKENS, Form, key

_IN_PRICES = ("price",)
_IN_PARAMETERS = ("ranges", "request_defaults", "max_tokens_default")
_IN_ABILITIES = ("context_tokens", "streaming", "system_prompt")
_PLACES = {
    "name": "Name",
    "base_url": "Base URL",
    "api_key": "API key",
    "api_key_env": "the environment variable",
    "engine": "Engine",
    "models": "Allowed models",
    "default_model": "Model to begin with",
    "roles": "Who may use it",
    "price": "Prices",
    **dict.fromkeys(_IN_PARAMETERS, "Parameters"),
    **dict.fromkeys(_IN_ABILITIES, "Context and abilities"),
    "model": "Settings of single models",
}


def draw(form: Form) -> None:
    """All of them, what is seldom needed folded away."""
    _draw_server(form)
    _draw_models(form)
    with st.expander("Prices", expanded=form.error_at in _IN_PRICES):
        _draw_prices(form)
    with st.expander("Parameters: ranges and defaults", expanded=form.error_at in _IN_PARAMETERS):
        _draw_parameters(form)
    with st.expander("Context and abilities", expanded=form.error_at in _IN_ABILITIES):
        _draw_abilities(form)
    with st.expander("Settings of single models", expanded=form.error_at == "model"):
        _draw_single_models(form)
    _draw_error(form, "")


def _draw_error(form: Form, *params: str) -> None:
    if form.error is not None and form.error_at in params:
        st.error(message_markdown(_words(form.error, form.error_at)))


def _words(error: ChatplayError, field: str | None) -> str:
    """Under its field the name of the field is not said again."""
    message = error.message.removeprefix(f"`{field}`: ").replace(f"`{field}` ", "It ") if field else error.message
    cure = "" if error.cure == f"Correct `{field}`." else error.cure
    return f"{message} {cure}".strip()


def draw_where_it_is_wrong(form: Form) -> None:
    """Beside the buttons, from where the field may be out of sight."""
    if form.error is None or not form.error_at:
        return
    place = _PLACES.get(form.error_at)
    said = f"Look above: what is in **{place}** has to be corrected first." if place else _words(form.error, None)
    st.error(said if place else message_markdown(said), icon=":material/arrow_upward:")


def _draw_server(form: Form) -> None:
    stored = form.entry is not None and form.entry.key == "stored"
    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.text_input("Name", key=key("name"), max_chars=40, placeholder="lab-gpu", autocomplete="off")
        _draw_error(form, "name")
    with right:
        st.text_input("Base URL", key=key("base_url"), placeholder="http://127.0.0.1:8080/v1", autocomplete="off")
        _draw_error(form, "base_url")
    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.text_input(
            "API key",
            key=key("api_key"),
            type="password",
            autocomplete="new-password",
            placeholder="Stored; leave empty to keep it" if stored else "None",
            help="Kept encrypted and never shown again. Another base URL forgets it.",
        )
        _draw_error(form, "api_key")
    with right:
        st.text_input(
            "or the environment variable that holds it",
            key=key("api_key_env"),
            placeholder="LAB_API_KEY",
            autocomplete="off",
            help="Set it in the environment of the app or in .env. Its name ends in _API_KEY.",
        )
        _draw_error(form, "api_key_env")
    if stored:
        st.checkbox("Forget the stored key", key=key("forget_key"))


def _draw_models(form: Form) -> None:
    left, right = st.columns([2, 3], gap="medium")
    known = list(form.known_models)
    with left:
        st.selectbox(
            "Engine",
            ENGINES,
            key=key("engine"),
            index=None,
            format_func=lambda engine: ENGINE_NAMES[engine],
            placeholder="Found out by asking",
        )
        _draw_error(form, "engine")
    with right:
        st.pills("Who may use it", ROLES, selection_mode="multi", key=key("roles"))
        _draw_error(form, "roles")
    st.multiselect(
        "Allowed models",
        list(dict.fromkeys([*known, *(state.widget_value(key("models")) or [])])),
        key=key("models"),
        accept_new_options=True,
        placeholder="All it offers",
        help="Test the connection to choose from its list, or type names.",
    )
    _draw_error(form, "models")
    begin_with = state.widget_value(key("default_model"))
    st.selectbox(
        "Model to begin with",
        list(dict.fromkeys([*known, *([begin_with] if begin_with else [])])),
        key=key("default_model"),
        index=None,
        accept_new_options=True,
        placeholder="The first it offers",
    )
    _draw_error(form, "default_model")


def _draw_prices(form: Form) -> None:
    st.caption("US dollars per million tokens. Empty is unknown, and costs are then n/a.")
    columns = st.columns(3, gap="medium")
    labels = {"price_input": "Input", "price_cached": "Input from the cache", "price_output": "Output"}
    for column, (name, label) in zip(columns, labels.items(), strict=True):
        column.number_input(label, key=key(name), value=None, step=0.01, format="%.4f")
    _draw_error(form, "price")


def _draw_parameters(form: Form) -> None:
    st.caption("Empty fields leave the usual ranges, and the usual setting a new chat begins with.")
    for spec in NUMERIC:
        usual = spec.range or Range(0, 0)
        fields = (
            ("low", "lowest", usual.low),
            ("high", "highest", usual.high),
            ("default", "begins with", spec.default),
        )
        for column, (part, label, shown) in zip(st.columns(3, gap="medium"), fields, strict=True):
            column.number_input(
                f"{spec.label}, {label}",
                key=key(f"{part}_{spec.name}"),
                value=None,
                step=1 if spec.kind == "int" else 0.05,
                placeholder=spec.unset_label or fmt.UNKNOWN if shown is None else number_text(shown),
            )
    _draw_error(form, "ranges")
    for spec in SPECS:
        if spec.kind == "list":
            options = list(state.widget_value(key(f"default_{spec.name}")) or [])
            st.multiselect(
                f"{spec.label}, begins with",
                options,
                key=key(f"default_{spec.name}"),
                accept_new_options=True,
                max_selections=spec.max_items,
                placeholder="None",
            )
        elif spec.kind == "text":
            st.text_area(
                f"{spec.label}, begins with", key=key(f"default_{spec.name}"), max_chars=spec.max_chars, height=80
            )
    _draw_error(form, "request_defaults")
    st.number_input(
        "Max tokens when a request names none",
        key=key("max_tokens_default"),
        value=None,
        step=64,
        placeholder=str(USUAL_MAX_TOKENS),
        help="New chats begin with it too, within the range above.",
    )
    _draw_error(form, "max_tokens_default")


def _draw_abilities(form: Form) -> None:
    st.number_input(
        "Context window, tokens",
        key=key("context_tokens"),
        value=None,
        step=1024,
        placeholder="As the server says",
        help="Only where the server does not say, or says too much.",
    )
    _draw_error(form, "context_tokens")
    st.toggle("It can stream its answers", key=key("streaming"))
    st.toggle("Its models take a system prompt", key=key("system_prompt"))
    _draw_error(form, "streaming", "system_prompt")


def _draw_single_models(form: Form) -> None:
    st.caption("An empty cell is as above. The last row adds a model.")
    config = st.column_config
    number, choice, text = config.NumberColumn, config.SelectboxColumn, config.TextColumn
    price = "US dollars per million tokens."
    form.edited = st.data_editor(
        form.table,
        key=f"models_table_{form.edition}",
        num_rows="dynamic",
        hide_index=True,
        placeholder="",
        height=min(400, 72 + 35 * max(len(form.table), 2)),
        column_config={
            table.MODEL: text(pinned=True, max_chars=200),
            table.INPUT: number(min_value=0.0, max_value=1e6, format="%.4f", help=price),
            table.CACHED: number(min_value=0.0, max_value=1e6, format="%.4f", help=f"{price} Input from the cache."),
            table.OUTPUT: number(min_value=0.0, max_value=1e6, format="%.4f", help=price),
            table.CONTEXT: number(min_value=1, step=1, format="%d"),
            table.MAX_TOKENS: number(min_value=1, step=1, format="%d", help="When a request names none."),
            table.RANGES: text(width="medium", help="Such as temperature = [0, 2], max_tokens = [1, 8192]"),
            table.DEFAULTS: text(width="medium", help='Such as temperature = 0.2, stop = ["END"]'),
            table.STREAMS: choice(options=(table.YES, table.NO)),
            table.SYSTEM_PROMPT: choice(options=(table.YES, table.NO)),
            table.WHO: choice(options=table.WHOM),
        },
    )
    _draw_error(form, "model")

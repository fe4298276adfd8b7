"""The form that describes a model server: drawn from a stored one, a found one or nothing; errors at their field.

Values are put into the fields once, when the form opens. The key is not among them: it only ever goes in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from chatplay.auth import gate
from chatplay.auth.person import Person
from chatplay.errors import BadInput, ChatplayError, Conflict
from chatplay.health import CheckResult
from chatplay.offers import Offer
from chatplay.params import SPECS, Range
from chatplay.providers.registry import ENGINES, ROLES, Upstream
from chatplay.roster import Entry
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui import state
from chatplay.ui.markdown import message_markdown
from chatplay.ui.models_card import ENGINE_NAMES
from chatplay.ui.models_draft import NUMERIC, USUAL_MAX_TOKENS, Values, draft_of, values_of
from chatplay.upstreams import UpstreamDraft

_IN_PRICES = ("price",)
_IN_PARAMETERS = ("ranges", "request_defaults", "max_tokens_default")
_IN_ABILITIES = ("context_tokens", "streaming", "system_prompt")


@dataclass
class Form:
    """One opening of the form. `values` go into the fields when it is next drawn; `entry` is None for a new server."""

    entry: Entry | None
    values: Values | None
    error: ChatplayError | None = None
    result: CheckResult | None = None
    known_models: tuple[str, ...] = ()

    @property
    def error_at(self) -> str | None:
        """The field that the error is about; "" for none of them, None without an error."""
        if self.error is None:
            return None
        if isinstance(self.error, Conflict):
            return "name"
        return self.error.param if isinstance(self.error, BadInput) else ""


def begin(entry: Entry | None, *, offer: Offer | None = None) -> Form:
    """A form to draw: filled from `entry`, from `offer`, or empty."""
    if entry is None:
        upstream = Upstream("", "openai", base_url="")
        if offer is not None:
            upstream = Upstream(offer.name, "openai", base_url=offer.base_url)
        return Form(None, values_of(upstream), known_models=offer.models if offer else ())
    status = get_runtime().catalog.find_status(entry.upstream.name)
    return Form(
        entry, values_of(entry.upstream), known_models=tuple(one.name for one in status.models) if status else ()
    )


# ---- drawing -----------------------------------------------------------------------------------


def key(name: str) -> str:
    """The widget key of a field."""
    return f"models_field_{name}"


def draw(form: Form, close: Callable[[], None]) -> None:
    """The fields, Test connection and Save. After each press the whole page is drawn anew, the form with what came."""
    actor = gate.recheck()
    for name, value in (form.values or {}).items():
        state.set_widget_value(key(name), value)
    form.values = None
    with st.form("models_form", border=False):
        _draw_fields(form)
        if form.result is not None:
            draw_result(form.result)
        place = st.container()
        with st.container(horizontal=True, horizontal_alignment="right"):
            cancelled = st.form_submit_button("Cancel")
            tested = st.form_submit_button("Test connection", icon=":material/network_check:")
            saved = st.form_submit_button("Save", type="primary")
    if tested:
        with place, st.spinner("Asking the server, 10 seconds at most", show_time=True):
            _attempt(form, lambda draft: _test(form, draft, actor))
    if cancelled or (saved and _attempt(form, lambda draft: _save(form, draft, actor))):
        close()
    if cancelled or tested or saved:
        st.rerun()


def _attempt(form: Form, act: Callable[[UpstreamDraft], None]) -> bool:
    """Acts on what was typed. It stays in the fields with the error, or with what a test has found."""
    form.error, form.result = None, None
    form.values = {name: state.widget_value(key(name)) for name in values_of(Upstream("", "openai"))}
    try:
        act(draft_of(form.values, api_key=state.widget_value(key("api_key")), entry=form.entry))
    except ChatplayError as error:
        form.error = error
        return False
    return True


def _test(form: Form, draft: UpstreamDraft, actor: Person) -> None:
    upstream_id = form.entry.upstream.id if form.entry else None
    form.result = get_runtime().upstreams.test_connection(actor=actor, draft=draft, upstream_id=upstream_id)
    form.known_models = tuple(model.name for model in form.result.models or ()) or form.known_models


def _save(form: Form, draft: UpstreamDraft, actor: Person) -> None:
    service, upstream_id = get_runtime().upstreams, form.entry.upstream.id if form.entry else None
    if upstream_id is None:
        service.add(actor=actor, draft=draft)
    else:
        service.edit(actor=actor, upstream_id=upstream_id, draft=draft)
    state.models().offers = None
    st.toast(f"Saved. {message_markdown(f'`{draft.name}`')} is asked now.", icon=":material/check:")


def _draw_fields(form: Form) -> None:
    _draw_server(form)
    _draw_models(form)
    with st.expander("Prices", expanded=form.error_at in _IN_PRICES):
        _draw_prices(form)
    with st.expander("Parameters: ranges and defaults", expanded=form.error_at in _IN_PARAMETERS):
        _draw_parameters(form)
    with st.expander("Context and abilities", expanded=form.error_at in _IN_ABILITIES):
        _draw_abilities(form)
    _draw_error(form, "", "model")


def draw_result(result: CheckResult) -> None:
    """What a test has found."""
    if result.problem is not None:
        st.error(
            f"**{message_markdown(result.problem.message)}** {message_markdown(result.problem.cure)}",
            icon=":material/error:",
        )
        return
    names = [model.name for model in result.models or ()]
    engine = ENGINE_NAMES[result.engine_type or "unknown"]
    shown = ", ".join(f"`{name}`" for name in names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
    st.success(
        f"**It answered in {fmt.duration(result.latency_ms)}: {engine}, {len(names):,} "
        f"{'model' if len(names) == 1 else 'models'}.** {message_markdown(shown)}",
        icon=":material/check_circle:",
    )


def _draw_error(form: Form, *params: str) -> None:
    error = form.error
    if error is None or form.error_at not in params:
        return
    # Under its field the name of the field is not said again.
    message = error.message.replace(f"`{form.error_at}` ", "It ") if form.error_at else error.message
    cure = "" if error.cure == f"Correct `{form.error_at}`." else error.cure
    st.error(message_markdown(f"{message} {cure}".strip()))


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
        column.number_input(label, key=key(name), value=None, min_value=0.0, step=0.01, format="%.4f")
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
                placeholder=spec.unset_label or fmt.UNKNOWN
                if shown is None
                else f"{shown:g}"
                if shown < 1e6
                else f"{shown:,}",
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
        min_value=1,
        step=64,
        placeholder=str(USUAL_MAX_TOKENS),
    )
    _draw_error(form, "max_tokens_default")


def _draw_abilities(form: Form) -> None:
    st.number_input(
        "Context window, tokens",
        key=key("context_tokens"),
        value=None,
        min_value=1,
        step=1024,
        placeholder="As the server says",
        help="Only where the server does not say, or says too much.",
    )
    _draw_error(form, "context_tokens")
    st.toggle("It can stream its answers", key=key("streaming"))
    st.toggle("Its models take a system prompt", key=key("system_prompt"))
    _draw_error(form, "streaming", "system_prompt")
    if form.entry is not None and form.entry.upstream.per_model:
        count = len(form.entry.upstream.per_model)
        st.caption(f"Own settings of {count:,} {'model stays' if count == 1 else 'models stay'} as they are.")

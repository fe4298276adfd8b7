"""The form that describes a model server: drawn from a stored one, a found one or nothing; errors at their field.

Values are put into the fields once, when the form opens. The key is not among them: it only ever goes in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import streamlit as st

from chatplay.auth.person import Person
from chatplay.errors import ChatplayError
from chatplay.models.health import CheckResult
from chatplay.models.offers import Offer
from chatplay.models.roster import Entry
from chatplay.models.upstreams import UpstreamDraft
from chatplay.providers.registry import Upstream
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui import gate, state
from chatplay.ui.markdown import message_markdown
from chatplay.ui.models import fields as models_fields
from chatplay.ui.models.card import ENGINE_NAMES
from chatplay.ui.models.draft import Form, draft_of, key, values_of
from chatplay.ui.models.table import frame_of, per_model_of

_NAMELESS = "new server"  # while it is only tested


def begin(entry: Entry | None, *, offer: Offer | None = None) -> Form:
    """A form to draw: filled from `entry`, from `offer`, or empty."""
    if entry is None:
        upstream = Upstream("", "openai", base_url="")
        if offer is not None:
            upstream = Upstream(offer.name, "openai", base_url=offer.base_url)
        models = offer.models if offer else ()
        return Form(None, values_of(upstream), known_models=models, table=frame_of({}, models))
    upstream = entry.upstream
    models = tuple(model.name for model in get_runtime().catalog.health_of(upstream.name).models or ())
    table = frame_of(upstream.per_model, models)
    return Form(entry, values_of(upstream), known_models=models, table=table)


# ---- drawing -----------------------------------------------------------------------------------


def draw(form: Form, close: Callable[[], None]) -> None:
    """The fields, Test connection and Save. After each press the whole page is drawn anew, the form with what came."""
    actor = gate.recheck()
    for name, value in (form.values or {}).items():
        state.set_widget_value(key(name), value)
    form.values = None
    with st.form("models_form", border=False):
        models_fields.draw(form)
        if form.result is not None:
            draw_result(form.result, form.allowed)
        models_fields.draw_where_it_is_wrong(form)
        place = st.container()
        with st.container(horizontal=True, horizontal_alignment="distribute"):
            # The Enter key presses the first button of a form: it must be the one that harms nothing.
            tested = st.form_submit_button("Test connection", icon=":material/network_check:")
            with st.container(horizontal=True, width="content"):
                cancelled = st.form_submit_button("Cancel")
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
    if form.edited is not None:
        form.table, form.edition = form.edited, form.edition + 1
    try:
        typed = state.widget_value(key("api_key"))
        act(draft_of(form.values, api_key=typed, entry=form.entry, per_model=per_model_of(form.table)))
    except ChatplayError as error:
        form.error = error
        return False
    return True


def _test(form: Form, draft: UpstreamDraft, actor: Person) -> None:
    upstream_id = form.entry.upstream.id if form.entry else None
    named = replace(draft, name=draft.name.strip() or _NAMELESS)
    form.result = get_runtime().upstreams.test_connection(actor=actor, draft=named, upstream_id=upstream_id)
    form.allowed = draft.allowed_models
    form.known_models = tuple(model.name for model in form.result.models or ()) or form.known_models
    form.table = frame_of(draft.per_model, form.known_models)


def _save(form: Form, draft: UpstreamDraft, actor: Person) -> None:
    service, upstream_id = get_runtime().upstreams, form.entry.upstream.id if form.entry else None
    if upstream_id is None:
        service.add(actor=actor, draft=draft)
    else:
        service.edit(actor=actor, upstream_id=upstream_id, draft=draft)
    state.models().offers = None
    name = message_markdown(f"`{draft.name.strip()}`")
    said, lost = f"{name} {'is asked now' if draft.enabled else 'stays disabled'}.", _loses_key(form, draft)
    if lost:
        said += " Its stored key was for the other address and is forgotten."
    st.toast(f"Saved. {said}", icon=":material/check:", duration="long" if lost else "short")


def _loses_key(form: Form, draft: UpstreamDraft) -> bool:
    if form.entry is None or form.entry.key != "stored" or draft.api_key is not None or draft.api_key_env:
        return False
    return draft.base_url.strip().rstrip("/") != form.entry.upstream.address


def draw_result(result: CheckResult, allowed: Collection[str] = ()) -> None:
    """What a test has found, and which of the `allowed` models are not there."""
    if result.problem is not None:
        st.error(
            f"**{message_markdown(result.problem.message)}** {message_markdown(result.problem.cure)}",
            icon=":material/error:",
        )
        return
    names = [model.name for model in result.models or ()]
    missing = [name for name in allowed if name not in names] if result.engine_type != "openai" else []
    engine = ENGINE_NAMES[result.engine_type or "unknown"]
    shown = ", ".join(f"`{name}`" for name in names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
    st.success(
        f"**It answered in {fmt.duration(result.latency_ms)}: {engine}, {len(names):,} "
        f"{'model' if len(names) == 1 else 'models'}.** {message_markdown(shown)}",
        icon=":material/check_circle:",
    )
    if not names:
        st.warning("It has no model loaded. Load one there, and it shows up here.")
    elif missing:
        listed = message_markdown(", ".join(f"`{name}`" for name in missing[:5]))
        st.warning(f"Among the allowed models, but not in its list and so not offered: {listed}")

"""The Administration part of the Models page: every configured server with its address, and what to do with it."""

from __future__ import annotations

from html import escape

import streamlit as st

from chatplay.auth.person import Person
from chatplay.errors import ChatplayError
from chatplay.models.offers import Offer
from chatplay.models.roster import Entry
from chatplay.providers.registry import ROLES, Upstream
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui import gate, state
from chatplay.ui.markdown import message_markdown
from chatplay.ui.models import board as models_board
from chatplay.ui.models import draft as models_draft
from chatplay.ui.models import form as models_form
from chatplay.ui.models.card import ENGINE_NAMES

_MENU = {"edit": "Edit", "test": "Test connection", "switch": "Disable or enable", "remove": "Remove"}
_KEYS = {
    "none": "no key",
    "stored": "key stored",
    "variable": "key from {variable}",
    "variable not set": "{variable} is not set",
    "stored but unreadable": "the stored key cannot be read: type it again",
}
_ELSEWHERE = {
    "environment": "from the OPENAI_ variables: change them and start the app again",
    "models.toml": "from models.toml: change it there and start the app again",
}


def draw() -> None:
    """Drawn in runs of the whole page only, so that nothing moves under an open form."""
    page, person = state.models(), state.person()
    refused = _switch(page)
    st.subheader("Administration", anchor=False)
    if st.button("Add a model server", type="primary", icon=":material/add:", key="models_add"):
        open_form(None)
    if refused is not None:
        st.error(message_markdown(str(refused)))
    try:
        entries = get_runtime().upstreams.list_upstreams(actor=person)
    except ChatplayError as error:
        st.error(message_markdown(str(error)), icon=":material/database_off:")
        return
    _draw_entries([entry for entry in entries if entry.upstream.source != "built in"])
    _draw_dialog(page, entries)
    _draw_offers(page, person)


def open_form(entry: Entry | None, *, offer: Offer | None = None) -> None:
    """The form in the next run, empty or filled from a stored server or one found on this machine."""
    page = state.models()
    page.form = models_form.begin(entry, offer=offer)
    page.dialog = ("form", entry.upstream.id if entry else None)


def close() -> None:
    """No dialog is open any more; what was typed is forgotten."""
    page = state.models()
    page.dialog, page.form = None, None


# ---- the list ----------------------------------------------------------------------------------


def _draw_entries(entries: list[Entry]) -> None:
    if not entries:
        st.info(
            "No model server is configured yet. Add one that speaks OpenAI's protocol: OpenAI itself, vLLM, llama.cpp, "
            "Ollama, LM Studio and others. People can choose its models at once, without a restart.",
            icon=":material/dns:",
        )
    search = models_board.searched()
    by_model = models_board.list_with_model(search) if search else frozenset()
    shown = [entry for entry in entries if entry.upstream.name in by_model or _fits(entry.upstream, search)]
    if len(shown) < len(entries):
        st.caption(f"{len(shown):,} of {len(entries):,} servers fit the search.")
    for entry in shown:
        _draw_entry(entry)


def _fits(upstream: Upstream, search: str) -> bool:
    return search in upstream.name.lower() or search in upstream.address.lower()


def _draw_entry(entry: Entry) -> None:
    upstream = entry.upstream
    with st.container(
        border=True, horizontal=True, vertical_alignment="center", gap="small", key=f"models_entry_{_slug(upstream)}"
    ):
        with st.container(gap="xsmall"):
            st.html(_described(entry))
            if entry.problem is not None:
                st.error(f"It cannot be used. {message_markdown(str(entry.problem))}")
        if upstream.id is not None:
            key = f"models_menu_{upstream.id}"
            labels = {**_MENU, "switch": "Disable" if upstream.enabled else "Enable"}
            st.menu_button(
                "Change",
                list(labels),
                key=key,
                format_func=lambda name: labels.get(name, name),
                on_click=_chosen,
                args=(upstream.id, key),
            )


def _slug(upstream: Upstream) -> str:
    return str(upstream.id) if upstream.id is not None else f"{upstream.source.replace('.', '_')}_{upstream.name}"


def _described(entry: Entry) -> str:
    upstream = entry.upstream
    count = len(upstream.allowed_models)
    models = f"{count:,} allowed {'model' if count == 1 else 'models'}" if count else "all its models"
    who = "everybody" if set(upstream.roles) == set(ROLES) else " and ".join(f"{role}s" for role in upstream.roles)
    facts = [
        ENGINE_NAMES[upstream.engine_type] if upstream.engine_type else "",
        _KEYS[entry.key].format(variable=upstream.api_key_env),
        models,
        f"for {who or 'nobody'}",
        _ELSEWHERE.get(upstream.source, f"changed by {entry.updated_by}" if entry.updated_by else ""),
        f"hidden: {upstream.shadowed_by} has one of this name" if upstream.shadowed_by else "",
    ]
    off = "" if upstream.enabled else ' <span class="models-off">disabled</span>'
    return (
        f'<div class="models-entry"><b>{escape(upstream.name)}</b>{off} <code>{escape(upstream.address)}</code></div>'
        f'<div class="models-facts">{escape(" · ".join(fact for fact in facts if fact))}</div>'
    )


def _chosen(upstream_id: int, key: str) -> None:
    """From a server's menu; acted on when the page is drawn."""
    page, choice = state.models(), state.widget_value(key)
    page.dialog, page.form = (str(choice), upstream_id), None


def _switch(page: state.ModelsState) -> ChatplayError | None:
    """Disables or enables at once: it can be undone by the same click."""
    if page.dialog is None or page.dialog[0] != "switch":
        return None
    (_, upstream_id), page.dialog = page.dialog, None
    try:
        done = _switched(upstream_id)
    except ChatplayError as error:
        return error
    if done:
        st.toast(done, icon=":material/check:")
        st.rerun()  # the cards above were drawn before
    return None


def _switched(upstream_id: int | None) -> str:
    """What was done, in words; "" when the server was removed meanwhile."""
    service, actor = get_runtime().upstreams, gate.recheck()
    entries = service.list_upstreams(actor=actor)
    upstream = next((one.upstream for one in entries if one.upstream.id == upstream_id), None)
    if upstream is None:
        return ""
    service.set_enabled(actor=actor, upstream_id=upstream_id or 0, enabled=not upstream.enabled)
    what = "is disabled; its models are offered to nobody" if upstream.enabled else "is enabled and asked now"
    return f"{message_markdown(f'`{upstream.name}`')} {what}."


# ---- dialogs -----------------------------------------------------------------------------------


def _draw_dialog(page: state.ModelsState, entries: list[Entry]) -> None:
    if page.dialog is None:
        return
    name, upstream_id = page.dialog
    entry = next((one for one in entries if upstream_id is not None and one.upstream.id == upstream_id), None)
    if entry is None and upstream_id is not None:
        close()
        st.warning("This model server was removed meanwhile.")
    elif name == "remove" and entry is not None:
        _remove(entry)
    elif name == "test" and entry is not None:
        _test(entry)
    else:
        if page.form is None:
            page.form = models_form.begin(entry)
        title = f"Edit {entry.upstream.name}" if entry else "Add a model server"
        st.dialog(title, width="large", on_dismiss=close)(models_form.draw)(page.form, close)


@st.dialog("Remove this model server", on_dismiss=close)
def _remove(entry: Entry) -> None:
    st.markdown(
        f"{message_markdown(f'`{entry.upstream.name}`')} is removed with its key. Chats with its models stay readable "
        "and can be continued with another model. Disable it instead to keep it for later."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="models_dialog_cancel"):
            close()
            st.rerun()
        if st.button("Remove", type="primary", key="models_dialog_destroy"):
            try:
                get_runtime().upstreams.remove(actor=gate.recheck(), upstream_id=entry.upstream.id or 0)
            except ChatplayError as error:
                st.error(message_markdown(str(error)))
                return
            close()
            st.rerun()


def _test(entry: Entry) -> None:
    st.dialog(f"Test {entry.upstream.name}", on_dismiss=close)(_draw_test)(entry)


def _draw_test(entry: Entry) -> None:
    upstream = entry.upstream
    try:
        with st.spinner(f"Asking {upstream.name}, 10 seconds at most", show_time=True):
            result = get_runtime().upstreams.test_connection(
                actor=gate.recheck(), draft=models_draft.stored_draft(upstream), upstream_id=upstream.id
            )
    except ChatplayError as error:
        st.error(message_markdown(str(error)))
    else:
        models_form.draw_result(result, upstream.allowed_models)
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Test again", key="models_test_again")
        if st.button("Close", key="models_dialog_cancel", type="primary"):
            close()
            st.rerun()


# ---- servers on this machine -------------------------------------------------------------------


def _draw_offers(page: state.ModelsState, person: Person) -> None:
    """Last on the page, because looking takes a moment."""
    if page.offers is None:
        try:
            with st.spinner("Looking for model servers on this machine"):
                page.offers = get_runtime().upstreams.list_offers(actor=person)
        except ChatplayError as error:
            st.caption(message_markdown(str(error)))
            return
    for offer in page.offers:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"models_offer_{offer.name}"):
            st.html(
                f'<div class="models-entry"><b>{escape(ENGINE_NAMES[offer.engine_type])}</b> runs on this machine '
                f'<code>{escape(offer.base_url)}</code></div><div class="models-facts">{_offered(offer)}, offered to '
                "nobody until you add it</div>"
            )
            if st.button("Add", key=f"models_take_{offer.name}", icon=":material/add:"):
                open_form(None, offer=offer)
                st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        found = "These were" if len(page.offers) > 1 else "This one was" if page.offers else "No other model server was"
        st.caption(f"{found} found on the usual ports of this machine.", width="content")
        if st.button("Look again", key="models_look_again", type="tertiary"):
            page.offers = None
            st.rerun()


def _offered(offer: Offer) -> str:
    if not offer.models:
        return "no model loaded"
    more = len(offer.models) - 3
    return escape(", ".join(offer.models[:3])) + (f" and {fmt.count(more)} more" if more > 0 else "")

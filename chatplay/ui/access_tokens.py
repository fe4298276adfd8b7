"""The access tokens on the Account page: what there is, a new one shown once, and Revoke."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from chatplay.auth.access_tokens import SCOPES, TokenRecord
from chatplay.auth.person import Person
from chatplay.errors import ChatplayError
from chatplay.runtime import get_runtime
from chatplay.ui.people import plain, viewer_zone, when

_LASTS: dict[str, int | None] = {"30 days": 30, "90 days": 90, "1 year": 365, "Until it is revoked": None}
_MEANS = {
    "read": "read: see models, chats and answers",
    "chat": "chat: send prompts, delete chats",
    "admin": "admin: usage and health checks",
}


def draw(person: Person) -> None:
    """The whole part of the page."""
    st.subheader("Access tokens", anchor=False)
    st.caption("For scripts and notebooks: a token is sent as `Authorization: Bearer`. [What the API offers](/v1/docs)")
    place = st.container()
    with st.expander("New access token", icon=":material/key:", key="token_new"):
        _draw_new(person)  # before the list, which has it then
    with place:
        try:
            tokens = get_runtime().access_tokens.list_own(actor=person)
        except ChatplayError as error:
            st.error(str(error))
            return
        for token in tokens:
            _draw_token(person, token)


def _draw_token(person: Person, token: TokenRecord) -> None:
    with st.container(horizontal=True, border=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(width="content", gap=None):
            st.text(f"{token.name} (…{token.ending})")
            st.caption(
                f"{', '.join(token.scopes)} · {_expiry(person, token)} · {_last_use(person, token)}",
                help=f"Times are in {viewer_zone(person).key}.",
            )
        with st.popover("Revoke", type="tertiary"):
            st.markdown(f"Scripts that use **{plain(token.name)}** are refused from then on. This cannot be undone.")
            if st.button("Revoke it", key=f"token_revoke_{token.id}", type="primary"):
                _revoke(person, token)


def _expiry(person: Person, token: TokenRecord) -> str:
    if token.expires_at is None:
        return "until it is revoked"
    day = token.expires_at.astimezone(viewer_zone(person)).date().isoformat()
    return f"expired on {day}" if token.expires_at <= datetime.now(UTC) else f"until {day}"


def _last_use(person: Person, token: TokenRecord) -> str:
    return f"last used {when(token.last_used_at, person)}" if token.last_used_at else "never used"


def _draw_new(person: Person) -> None:
    place = st.container()
    with st.form("new_token", border=False, clear_on_submit=True):
        name = st.text_input("Name", key="token_name", max_chars=80, placeholder="What it is for")
        scopes = st.pills(
            "It may",
            [scope for scope in SCOPES if scope != "admin" or person.is_administrator],
            key="token_scopes",
            selection_mode="multi",
            default=["read", "chat"],
            format_func=lambda scope: _MEANS[scope],
        )
        lasts = st.selectbox("It lasts", list(_LASTS), index=1, key="token_lasts")
        sent = st.form_submit_button("Create", type="primary")
    if not sent:
        return
    try:
        made = get_runtime().access_tokens.create(actor=person, name=name, scopes=scopes, days=_LASTS[lasts])
    except ChatplayError as error:
        place.error(str(error))
        return
    place.success(f"**{plain(made.record.name)}** works from now on. Copy it now: it is not shown again.")
    place.code(made.secret, language=None, wrap_lines=True)


def _revoke(person: Person, token: TokenRecord) -> None:
    try:
        get_runtime().access_tokens.revoke(actor=person, token_id=token.id)
    except ChatplayError as error:
        st.error(str(error))
        return
    st.rerun()

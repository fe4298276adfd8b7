"""Who may use the playground: administrators add people, change roles, reset passwords, keep people out."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from chatplay.auth.person import ROLES, Person
from chatplay.auth.rules import USERNAME_RULE
from chatplay.errors import ChatplayError
from chatplay.runtime import get_runtime
from chatplay.ui import gate, state
from chatplay.ui.files import draw_csv
from chatplay.ui.format import exact
from chatplay.ui.people import plain, viewer_zone
from chatplay.ui.tables import choose_row


def draw() -> None:
    person = state.person()
    st.title("Users", anchor=False)
    if not person.is_administrator:
        st.info("Only administrators see who uses the playground. Ask one of them for what you need.")
        return
    try:
        people = get_runtime().accounts.list_people(actor=person)
    except ChatplayError as error:
        st.error(str(error))
        return
    if st.button("Add a person", type="primary", icon=":material/person_add:"):
        draw_add()
    search = st.text_input("Search", placeholder="Name or username", icon=":material/search:", width=320)
    found = [one for one in people if search.lower() in f"{one.display_name} {one.username}".lower()]
    if not found:
        st.info("Nobody has such a name. A shorter search finds more.")
        return
    chosen = draw_table(person, found)
    if chosen is None:
        st.caption("Choose a row to change a role, reset a password or keep somebody out.")
    else:
        draw_actions(person, chosen)


def draw_table(viewer: Person, people: list[Person]) -> Person | None:
    """The table; the person whose row is chosen."""
    zone = viewer_zone(viewer)
    rows = pd.DataFrame(
        {
            "Name": [one.display_name for one in people],
            "Username": [one.username for one in people],
            "Role": [one.role for one in people],
            "Active": [one.is_active for one in people],
            "Last sign-in": [exact(one.last_sign_in_at, tz=zone) if one.last_sign_in_at else "never" for one in people],
            "Organisation": [one.organisation for one in people],
        }
    )
    chosen = choose_row(rows, people, key="people", ids=[one.id for one in people])
    draw_csv("people", rows)
    return chosen


def draw_actions(actor: Person, chosen: Person) -> None:
    with st.container(border=True, key="chosen_person"):
        st.markdown(f"**{plain(chosen.display_name)}** ({plain(chosen.username)})")
        if chosen.id == actor.id:
            st.caption("This is you. Your name and password are changed on the Account page.")
        with st.container(horizontal=True):
            if st.button("Change role", icon=":material/shield_person:"):
                draw_role(chosen)
            if st.button("Reset password", icon=":material/lock_reset:", disabled=chosen.id == actor.id):
                draw_reset(chosen)
            if chosen.is_active and st.button("Deactivate", icon=":material/person_off:"):
                draw_active(chosen)
            if not chosen.is_active and st.button("Activate", icon=":material/how_to_reg:"):
                draw_active(chosen)


@st.dialog("Add a person", on_dismiss="rerun")
def draw_add() -> None:
    actor = gate.recheck()
    accounts = get_runtime().accounts
    place = st.empty()
    with place.form("add_person", border=False):
        username = st.text_input("Username", max_chars=64, autocomplete="off", help=USERNAME_RULE)
        name = st.text_input("Name, as others see it", max_chars=80, autocomplete="off")
        role = st.segmented_control("Role", ROLES, default=ROLES[0], required=True)
        organisation = st.selectbox(
            "Organisation", accounts.list_organisations(actor=actor), accept_new_options=True, index=0
        )
        sent = st.form_submit_button("Add", type="primary")
    if sent:
        try:
            password = accounts.add_person(
                actor=actor, username=username, display_name=name, role=role, organisation=organisation or ""
            )
        except ChatplayError as error:
            st.error(str(error))
            return
        with place.container():
            draw_password_once(username.strip(), password)


@st.dialog("Reset password", on_dismiss="rerun")
def draw_reset(chosen: Person) -> None:
    actor = gate.recheck()
    place = st.empty()
    with place.container():
        st.markdown(
            f"{plain(chosen.display_name)} gets a temporary password and is signed out everywhere at once. "
            "A lock after too many attempts is lifted."
        )
        pressed = st.button("Reset password", type="primary", key="do_reset")
    if pressed:
        try:
            password = get_runtime().accounts.reset_password(actor=actor, user_id=chosen.id)
        except ChatplayError as error:
            st.error(str(error))
            return
        with place.container():
            draw_password_once(chosen.username, password)


@st.dialog("Change role")
def draw_role(chosen: Person) -> None:
    actor = gate.recheck()
    other = next(role for role in ROLES if role != chosen.role)
    rights = "may do everything, this page included" if other == "administrator" else "may chat, compare and measure"
    st.markdown(
        f"{plain(chosen.display_name)} becomes **{other}** and {rights}. They are signed out at once and sign in again."
    )
    if st.button(f"Make {other}", type="primary"):
        try:
            get_runtime().accounts.change_role(actor=actor, user_id=chosen.id, role=other)
        except ChatplayError as error:
            st.error(str(error))
            return
        st.rerun()


@st.dialog("Access")
def draw_active(chosen: Person) -> None:
    actor = gate.recheck()
    name = plain(chosen.display_name)
    if chosen.is_active:
        st.markdown(f"{name} is signed out at once and cannot sign in until activated again. Chats and numbers stay.")
    else:
        st.markdown(f"{name} can sign in again, with the password from before.")
    if st.button("Deactivate" if chosen.is_active else "Activate", type="primary", key="do_active"):
        try:
            get_runtime().accounts.set_active(actor=actor, user_id=chosen.id, is_active=not chosen.is_active)
        except ChatplayError as error:
            st.error(str(error))
            return
        st.rerun()


def draw_password_once(username: str, password: str) -> None:
    """A temporary password, shown now and never again."""
    st.success(f"Give this temporary password to {plain(username)}. It is shown only now.")
    st.code(password, language=None)
    st.caption("At the first sign-in it has to be changed.")


draw()

"""One's own account: name, password, how things are shown, where one is signed in, and access tokens."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import available_timezones

import streamlit as st

from chatplay.auth.person import Person
from chatplay.auth.sessions import Device
from chatplay.errors import ChatplayError
from chatplay.runtime import get_runtime
from chatplay.ui import access_tokens, gate, state
from chatplay.ui.people import browser_name, plain, viewer_zone, when


def draw() -> None:
    person = state.person()
    st.title("Account", anchor=False)
    st.caption(plain(f"Signed in as {person.username}, {person.role}, organisation {person.organisation}."))
    with st.container(width=640):
        draw_profile(person)
        draw_password(person)
        draw_devices(person)
        access_tokens.draw(person)


def draw_profile(person: Person) -> None:
    st.subheader("How things are shown", anchor=False)
    browser_zone = st.context.timezone or "UTC"
    zones = [None, *sorted(available_timezones())]
    chosen = person.preferences.time_zone
    with st.form("profile"):
        name = st.text_input("Your name, as others see it", person.display_name, max_chars=80)
        zone = st.selectbox(
            "Time zone of dates and times",
            zones,
            index=zones.index(chosen) if chosen in zones else 0,
            format_func=lambda item: item or f"As in this browser ({browser_zone})",
        )
        sent = st.form_submit_button("Save")
    st.caption("Light or dark follows your system. The menu at the top right, under Settings, sets it by hand.")
    if sent:
        try:
            accounts = get_runtime().accounts
            accounts.set_display_name(actor=person, display_name=name)
            accounts.set_preferences(actor=person, preferences=replace(person.preferences, time_zone=zone))
        except ChatplayError as error:
            st.error(str(error))
            return
        st.toast("Saved.")
        st.rerun()


def draw_password(person: Person) -> None:
    st.subheader("Password", anchor=False)
    if gate.draw_password_form(get_runtime(), person):
        st.success("The password is changed. Everywhere else you are signed out now.")


def draw_devices(person: Person) -> None:
    st.subheader("Where you are signed in", anchor=False)
    try:
        devices = get_runtime().sessions.list_devices(user_id=person.id, token=gate.session_token())
    except ChatplayError as error:
        st.error(str(error))
        return
    for device in devices:
        draw_device(person, device)
    with st.container(horizontal=True):
        if st.button("Sign out here", icon=":material/logout:"):
            gate.sign_out()
        if st.button("Sign out everywhere", icon=":material/devices_off:"):
            get_runtime().sessions.end_everywhere(user_id=person.id)
            gate.sign_out()


def draw_device(person: Person, device: Device) -> None:
    with st.container(horizontal=True, border=True, horizontal_alignment="distribute", vertical_alignment="center"):
        mark = ", this browser" if device.is_this_one else ""
        with st.container(width="content", gap=None):
            st.text(f"{browser_name(device.user_agent)}{mark}")
            st.caption(
                f"{device.address or 'unknown address'} · signed in {when(device.signed_in_at, person)} · "
                f"last used {when(device.last_seen_at, person)}",
                help=f"Times are in {viewer_zone(person).key}.",
            )
        if not device.is_this_one and st.button("Sign out", key=f"end_{device.id}", type="tertiary"):
            get_runtime().sessions.end_device(user_id=person.id, device_id=device.id)
            st.rerun()


draw()

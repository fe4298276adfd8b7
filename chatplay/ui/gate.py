"""Lets nobody past who is not signed in: every script run checks the sign-in, and an open page notices its end.

streamlit-authenticator draws the form here; its cookie, its counters and its credentials dictionary stay unused.
"""

from __future__ import annotations

from typing import cast
from urllib.parse import urlencode, urlsplit

import streamlit as st
import streamlit_authenticator as stauth
from streamlit.delta_generator import DeltaGenerator

from chatplay.auth.client import client_address
from chatplay.auth.handover import go_html
from chatplay.auth.person import Person
from chatplay.auth.rules import USERNAME_RULE
from chatplay.auth.tokens import BROWSER_COOKIE, SESSION_COOKIE
from chatplay.errors import ChatplayError, ConfigError, SignInRefused, StoreError
from chatplay.runtime import Runtime, get_runtime
from chatplay.ui.people import plain
from chatplay.ui.scripts import sign_in_html

PULSE_SEC = 5.0
_OWN_PARAMS = ("setup", "sign_in")
_LET_IN = "gate_let_in"
_PASSWORD_FIELD, _PASSWORD_FIELDS = "gate_password_", ("current", "new", "repeated")


def require_person() -> Person:
    """The signed-in person; anybody else gets the sign-in screen, and the script run ends here.

    A page already open stays as it is while the database is away: what was typed in it is not lost, and nothing
    can be read or sent anyway.
    """
    try:
        person = _let_in(get_runtime())
    except (StoreError, ConfigError) as error:
        if (known := st.session_state.get(_LET_IN)) is None:
            _draw_unavailable(error)
            st.stop()
        return cast(Person, known)
    st.session_state[_LET_IN] = person
    return person


def _let_in(runtime: Runtime) -> Person:
    person = runtime.sessions.find_person(session_token())
    if person is None:
        if st.session_state.pop(_LET_IN, None) is not None:
            _go(_here())  # the page was open: its navigation and all else around it goes, too
        _draw_signed_out(runtime)
        st.stop()
    if person.must_change_password:
        _draw_new_password(runtime, person)
        st.stop()
    for name in _OWN_PARAMS:  # they are for who is not signed in, and would stay in the address
        st.query_params.pop(name, None)
    return person


def recheck() -> Person:
    """For fragments and dialogs, whose runs do not pass `require_person`: the person, if still signed in.

    Otherwise the whole page starts over; while the database cannot say, its message is shown and the run ends.
    """
    try:
        person = get_runtime().sessions.find_person(session_token())
    except StoreError as error:
        st.error(str(error))
        st.stop()
    if person is None:
        st.rerun()
    return person


def still_signed_in() -> bool:
    """False once this page's sign-in has ended; True while the database cannot say."""
    try:
        return get_runtime().sessions.find_person(session_token()) is not None
    except StoreError:
        return True


@st.fragment(run_every=PULSE_SEC)
def watch() -> None:
    """Take an open page back to the sign-in screen soon after its sign-in has ended elsewhere."""
    if not still_signed_in():
        st.rerun()


def sign_out() -> None:
    """End this browser's sign-in and leave the page."""
    if (token := session_token()) is not None:
        get_runtime().sessions.end(token)
    _go("/auth/sign-out")


def session_token() -> str | None:
    """As the browser sent it when this page was opened."""
    return st.context.cookies.get(SESSION_COOKIE)


def address() -> str | None:
    """Of the person in front of this page."""
    peer = st.context.ip_address or "127.0.0.1"  # Streamlit says None for this machine
    return client_address(peer, st.context.headers.get("X-Forwarded-For"), get_runtime().settings.trusted_proxies)


# ---- screens -----------------------------------------------------------------------------------


def _draw_signed_out(runtime: Runtime) -> None:
    with _narrow(key="gate"):
        st.title("Chat Playground", anchor=False)
        if "setup" in st.query_params:
            _draw_set_up(runtime, st.query_params["setup"])
        elif runtime.set_up.is_needed():
            _draw_set_up_needed()
        else:
            _draw_sign_in(runtime)


def _draw_sign_in(runtime: Runtime) -> None:
    if st.query_params.get("sign_in") == "again":
        st.info("That sign-in took too long or came from another browser. Sign in again.")
    form = _SignInForm(runtime)
    try:
        form.login(
            key="sign_in",
            fields={"Form name": "Sign in", "Username": "Username", "Password": "Password", "Login": "Sign in"},
        )
    except SignInRefused as error:
        st.error(str(error))
    st.caption(
        "No account, or a forgotten password? An administrator helps.",
        help="The only administrator is helped by `make reset-password USERNAME=...` where the app is installed.",
    )
    st.html(sign_in_html(), unsafe_allow_javascript=True)


def _draw_set_up_needed() -> None:
    st.info(
        "Nobody can sign in yet. The first administrator is created with the set-up link that the terminal "
        "printed when the app started."
    )
    st.markdown("To print a new link, run this where the app is installed:")
    st.code("make setup-link", language="sh")


def _draw_set_up(runtime: Runtime, token: str) -> None:
    try:
        runtime.set_up.check(token)
    except ChatplayError as error:
        st.warning(str(error))
        if st.button("Go to sign-in", type="primary"):
            st.query_params.clear()
            st.rerun()
        return
    st.markdown("Create the first administrator. More people are added later, on the Users page.")
    with st.form("set_up", border=True):
        username = st.text_input("Username", autocomplete="username", max_chars=64, help=USERNAME_RULE)
        display_name = st.text_input("Your name, as others see it", autocomplete="name", max_chars=80)
        password = st.text_input("Password", type="password", autocomplete="new-password", help=PASSWORD_HELP)
        repeated = st.text_input("The same password again", type="password", autocomplete="new-password")
        sent = st.form_submit_button("Create administrator", type="primary")
    if sent:
        _create_administrator(runtime, token, username, display_name, password, repeated)


PASSWORD_HELP = "At least 10 characters. A few unrelated words make a good one."


def _create_administrator(
    runtime: Runtime, token: str, username: str, display_name: str, password: str, repeated: str
) -> None:
    try:
        browser = _browser()
        user_id = runtime.set_up.create_administrator(
            token=token,
            username=username,
            display_name=display_name or username,
            password=password,
            repeated=repeated,
        )
    except StoreError:
        raise
    except ChatplayError as error:
        st.error(str(error))
        return
    _hand_over(runtime, user_id=user_id, browser=browser, return_to="/")


def _draw_new_password(runtime: Runtime, person: Person) -> None:
    with _narrow():
        st.title("Choose your password", anchor=False)
        st.markdown(
            f"Welcome, {plain(person.display_name)}. The temporary password works only until you choose your own."
        )
        if draw_password_form(runtime, person, current_label="Temporary password"):
            st.success("Your password is set. The page opens.")
            _go(_here())  # and not st.rerun: before the first st.navigation every address counts as the first page
        if st.button("Sign out", type="tertiary"):
            sign_out()


def draw_password_form(runtime: Runtime, person: Person, *, current_label: str = "Current password") -> bool:
    """The form that changes one's own password; True in the run that changed it, which takes the form away."""
    place = st.empty()
    with place.form("change_password", border=True):
        current = _password_field(current_label, "current", autocomplete="current-password")
        password = _password_field("New password", "new", autocomplete="new-password", help=PASSWORD_HELP)
        repeated = _password_field("The new password again", "repeated", autocomplete="new-password")
        sent = st.form_submit_button("Change password", type="primary")
    if not sent:
        return False
    try:
        runtime.accounts.change_password(
            actor=person,
            current=current,
            password=password,
            repeated=repeated,
            keep_token=session_token(),
            address=address(),
        )
    except ChatplayError as error:
        st.error(str(error))
        return False
    place.empty()
    for name in _PASSWORD_FIELDS:  # when the form comes back it begins empty
        st.session_state.pop(f"{_PASSWORD_FIELD}{name}", None)
    return True


def _password_field(label: str, name: str, *, autocomplete: str, help: str | None = None) -> str:
    return st.text_input(label, key=f"{_PASSWORD_FIELD}{name}", type="password", autocomplete=autocomplete, help=help)


def _draw_unavailable(error: ChatplayError) -> None:
    with _narrow():  # maybe below half a screen that was being drawn
        st.error(f"**{error.message}**  \n{error.cure}")
        if st.button("Try again", type="primary"):
            _go(_here())


def _narrow(key: str | None = None) -> DeltaGenerator:
    """A column of reading width in the middle of the page, the whole page on a phone."""
    return st.container(horizontal_alignment="center").container(width=420, key=key)


# ---- hand-over ---------------------------------------------------------------------------------


def _browser() -> str:
    if (value := st.context.cookies.get(BROWSER_COOKIE)) is None:
        raise SignInRefused(
            "Your browser did not send the cookie that signing in needs.",
            cure="Allow cookies for this address, then reload the page.",
        )
    return value


def _hand_over(runtime: Runtime, *, user_id: int, browser: str, return_to: str) -> None:
    ticket = runtime.tickets.make(user_id=user_id, browser=browser, return_to=return_to)
    _go(f"/auth/accept?ticket={ticket}")


def _go(path: str) -> None:
    st.html(go_html(path), unsafe_allow_javascript=True)
    st.stop()


def _here() -> str:
    """Path and query of the page in the browser, without the parameters of the gate itself."""
    path = urlsplit(st.context.url or "/").path or "/"
    params = [(name, value) for name in st.query_params for value in st.query_params.get_all(name)]
    query = urlencode([pair for pair in params if pair[0] not in _OWN_PARAMS])
    return f"{path}?{query}" if query else path


# ---- streamlit-authenticator -------------------------------------------------------------------


class _NoCookies:
    """In place of its cookie, which JavaScript can read and nobody can revoke."""

    def get_cookie(self) -> None:
        return None

    def set_cookie(self) -> None:
        return None


class _Controller:
    """What the form calls with the two fields: our check, which asks PostgreSQL for the typed name only."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def login(self, username: str, password: str, *_limits: object, **_options: object) -> bool:
        browser = _browser()
        user_id = self._runtime.sign_in.check(username=username, password=password, address=address())
        _hand_over(self._runtime, user_id=user_id, browser=browser, return_to=_here())
        return True


class _SignInForm(stauth.Authenticate):  # type: ignore[misc]
    """Its `login` form without what its constructor sets up: the credentials of everybody and a cookie component."""

    def __init__(self, runtime: Runtime) -> None:
        self.path = None
        self.attrs = {"login_sleep_time": 0}
        self.cookie_controller = _NoCookies()
        self.authentication_controller = _Controller(runtime)

"""What people see on the way in, on the way out, and on the pages about themselves and each other."""

import re

import pytest
from streamlit.testing.v1 import AppTest

from chatplay.auth.tokens import BROWSER_COOKIE, SESSION_COOKIE
from chatplay.errors import StoreUnavailable
from chatplay.ui import gate
from tests.pages.screen import APP, notices
from tests.sign_in_rig import PASSWORD


def opened(**query):
    app = AppTest.from_file(APP, default_timeout=30)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def titles(app):
    return [item.value for item in app.title]


def labels(app):
    return [item.label for item in app.text_input]


def fill(app, button, **fields):
    """Type into the inputs whose label begins as given, then press the button."""
    for start, value in fields.items():
        item = next(one for one in app.text_input if one.label.lower().startswith(start.replace("_", " ")))
        item.set_value(value)
    return next(one for one in app.button if one.label == button).click().run()


def address_left_for(app):
    """Where the page's script leads to."""
    found = [re.search(r'data-to="([^"]*)"', item.proto.body) for item in app.get("html")]
    return next(match[1] for match in found if match)


@pytest.fixture
def ada(services):
    user_id = services.set_up.create_administrator(
        token=services.set_up.make_token(),
        username="ada",
        display_name="Ada *L*",
        password=PASSWORD,
        repeated=PASSWORD,
    )
    return services.sessions.find_person(services.sessions.open(user_id=user_id, address=None, user_agent=None))


# ---- the first start ----


def test_before_the_first_administrator_nobody_is_asked_for_a_password(services, cookies):
    app = opened()
    assert "set-up link" in notices(app)
    assert labels(app) == []
    assert app.code[0].value == "make setup-link"


def test_set_up_page_creates_the_administrator_and_signs_in(services, cookies):
    app = opened(setup=services.set_up.make_token())
    app = fill(app, "Create administrator", username="ada", your_name="Ada", password=PASSWORD, the_same=PASSWORD)
    ticket = address_left_for(app).removeprefix("/auth/accept?ticket=")
    accepted = services.tickets.accept(ticket, browser="my browser")
    token = services.sessions.open(user_id=accepted.user_id, address=None, user_agent=None)
    assert (services.sessions.find_person(token).role, accepted.return_to) == ("administrator", "/")


def test_refused_set_up_says_why_and_keeps_what_was_typed(services, cookies):
    app = opened(setup=services.set_up.make_token())
    app = fill(app, "Create administrator", username="ada", password="short", the_same="short")
    assert "too short" in notices(app)
    assert app.text_input[0].value == "ada"
    assert services.set_up.is_needed()


def test_temporary_password_is_asked_for_no_more_once_it_was_used(services, ada, sign_in_as):
    temporary = services.accounts.add_person(actor=ada, username="bob", display_name="Bob", role="analyst")
    bob = next(one for one in services.accounts.list_people(actor=ada) if one.username == "bob")
    sign_in_as(bob.id)
    new = "other unrelated words"
    app = fill(opened(), "Change password", temporary=temporary, new_password=new, the_new=new)
    assert (labels(app), "password is set" in notices(app)) == ([], True)
    assert address_left_for(app) == "/"


def test_dead_set_up_link_says_so_and_leads_to_sign_in(services, cookies, ada):
    app = opened(setup="old")
    assert "set-up is done" in notices(app)
    app = next(one for one in app.button if one.label == "Go to sign-in").click().run()
    assert labels(app) == ["Username", "Password"]


def test_set_up_link_leaves_the_address_of_who_is_signed_in(services, ada, sign_in_as):
    sign_in_as(ada.id)
    app = opened(setup="old", range="30d")
    assert dict(app.query_params) == {"range": "30d"}


# ---- sign-in ----


@pytest.mark.parametrize("page", [None, "pages/users.py", "pages/account.py"])
def test_every_page_asks_for_sign_in_first(services, cookies, ada, page):
    app = opened()
    if page is not None:
        app = app.switch_page(page).run()
    assert labels(app) == ["Username", "Password"]
    assert not app.dataframe


def test_right_password_leaves_for_a_ticket_with_the_way_back(services, cookies, ada):
    app = fill(opened(provider="echo", chat="a b"), "Sign in", username="ADA", password=PASSWORD)
    ticket = address_left_for(app).removeprefix("/auth/accept?ticket=")
    accepted = services.tickets.accept(ticket, browser="my browser")
    assert (accepted.user_id, accepted.return_to) == (ada.id, "/?provider=echo&chat=a+b")


def test_wrong_password_says_so_and_keeps_the_name(services, cookies, ada):
    app = fill(opened(), "Sign in", username="ada", password="wrong")
    assert "not right" in notices(app)
    assert app.text_input[0].value == "ada"
    assert not any("data-to" in item.proto.body for item in app.get("html"))


def test_lock_says_how_long(services, cookies, ada, clock):
    app = opened()
    for _ in range(5):
        app = fill(app, "Sign in", username="ada", password="wrong")
        clock.turn(seconds=10)
    app = fill(app, "Sign in", username="ada", password=PASSWORD)
    assert "Wait 15 minutes" in notices(app)


def test_browser_that_refuses_cookies_is_told(services, cookies, ada):
    del cookies[BROWSER_COOKIE]
    app = fill(opened(), "Sign in", username="ada", password=PASSWORD)
    assert "Allow cookies" in notices(app)


def test_only_the_typed_name_is_read_from_the_database(services, cookies, ada, monkeypatch):
    from db import accounts

    asked = []
    real = accounts.find_credentials
    monkeypatch.setattr(accounts, "find_credentials", lambda conn, **who: asked.append(who) or real(conn, **who))
    monkeypatch.setattr(accounts, "list_users", lambda conn: pytest.fail("everybody was read"))
    fill(opened(), "Sign in", username="ada", password="wrong")
    assert asked == [{"username": "ada"}]


def test_password_does_not_stay_in_the_session(services, cookies, ada):
    app = fill(opened(), "Sign in", username="ada", password=PASSWORD)
    assert "authentication_status" not in app.session_state
    assert "password_hint" not in app.session_state


def test_database_gone_is_a_message_with_a_cure(services, cookies, ada, monkeypatch):
    def gone():
        raise StoreUnavailable("The database cannot be reached right now.", cure="Try again in a moment.")

    monkeypatch.setattr(gate, "get_runtime", gone)
    app = opened()
    assert "cannot be reached" in notices(app)
    assert "Try again in a moment" in notices(app)
    assert not app.exception


def test_database_gone_while_the_form_is_sent_is_a_message_too(services, cookies, ada, monkeypatch):
    def gone(**_fields):
        raise StoreUnavailable("The database cannot be reached right now.", cure="Try again in a moment.")

    app = opened()
    monkeypatch.setattr(type(services.sign_in), "check", lambda _self, **fields: gone(**fields))
    app = fill(app, "Sign in", username="ada", password=PASSWORD)
    assert "cannot be reached" in notices(app)
    assert not app.exception


# ---- signed in ----


def test_signed_in_person_lands_on_welcome_with_the_way_to_the_chat(services, ada, sign_in_as):
    sign_in_as(ada.id)
    app = opened()
    assert titles(app) == ["Chat Playground"]
    assert "Chat Playground" in [one.label for one in app.button]
    assert "Connect one on the Models page" in [one.proto.label for one in app.get("page_link")]


def test_name_is_shown_as_written_and_not_as_markdown(services, ada, sign_in_as):
    sign_in_as(ada.id)
    assert r"Ada \*L\*" in opened().markdown[0].value


def test_revoked_sign_in_sends_an_open_page_to_the_form(services, ada, sign_in_as):
    token = sign_in_as(ada.id)
    app = opened()
    services.sessions.end(token)
    assert titles(app.run()) == []  # its address is opened anew, without the navigation
    assert labels(app.run()) == ["Username", "Password"]


def test_open_page_notices_by_itself_that_its_sign_in_ended(services, ada, sign_in_as, monkeypatch):
    token = sign_in_as(ada.id)
    reruns = []
    monkeypatch.setattr(gate.st, "rerun", lambda: reruns.append(True))
    watch = gate.watch.__wrapped__
    watch()
    assert reruns == []
    services.sessions.end(token)
    watch()
    assert reruns == [True]


def test_unreachable_database_signs_nobody_out(services, ada, sign_in_as, monkeypatch):
    sign_in_as(ada.id)

    def gone():
        raise StoreUnavailable("away")

    monkeypatch.setattr(gate, "get_runtime", gone)
    assert gate.still_signed_in()


def test_open_page_stays_while_the_database_is_away_and_leaves_when_it_says_so(services, ada, sign_in_as, monkeypatch):
    token = sign_in_as(ada.id)
    app = opened()
    real, away = services.sessions.find_person, StoreUnavailable("away")

    def gone(_token):
        raise away

    monkeypatch.setattr(services.sessions, "find_person", gone)
    assert titles(app.run()) == ["Chat Playground"]
    monkeypatch.setattr(services.sessions, "find_person", real)
    services.sessions.end(token)
    assert titles(app.run()) == []  # its address is opened anew, without the navigation
    assert labels(app.run()) == ["Username", "Password"]
    monkeypatch.setattr(services.sessions, "find_person", gone)
    assert "away" in notices(app.run())


def test_sign_out_button_ends_the_sign_in(services, ada, sign_in_as):
    token = sign_in_as(ada.id)
    app = opened()
    app = next(one for one in app.button if one.label == "Sign out").click().run()
    assert services.sessions.find_person(token) is None
    assert address_left_for(app) == "/auth/sign-out"


def test_temporary_password_must_be_changed_before_anything_else(services, ada, sign_in_as):
    temporary = services.accounts.add_person(actor=ada, username="bob", display_name="Bob", role="analyst")
    bob = services.sign_in.check(username="bob", password=temporary, address=None)
    sign_in_as(bob)
    app = opened(chat="7")
    assert titles(app) == ["Choose your password"]
    app = fill(app, "Change password", temporary=temporary, new=PASSWORD, the_new=PASSWORD)
    assert address_left_for(app) == "/?chat=7"
    assert titles(opened()) == ["Chat Playground"]


# ---- account ----


def test_account_changes_the_password_and_keeps_this_browser(services, ada, sign_in_as):
    here = sign_in_as(ada.id)
    there = services.sessions.open(user_id=ada.id, address=None, user_agent=None)
    app = opened().switch_page("pages/account.py").run()
    app = fill(app, "Change password", current=PASSWORD, new="another four words", the_new="another four words")
    assert "Everywhere else" in notices(app)
    assert services.sessions.find_person(here) is not None
    assert services.sessions.find_person(there) is None


def test_account_lists_browsers_and_ends_one(services, ada, sign_in_as):
    services.sessions.end_everywhere(user_id=ada.id)
    sign_in_as(ada.id)
    there = services.sessions.open(
        user_id=ada.id, address="192.0.2.9", user_agent="Mozilla/5.0 (Windows NT 10.0) Chrome/150 Safari/537"
    )
    app = opened().switch_page("pages/account.py").run()
    assert {"Firefox, this browser", "Chrome on Windows"} <= {item.value for item in app.text}
    app = next(one for one in app.button if one.key and one.key.startswith("end_")).click().run()
    assert services.sessions.find_person(there) is None


def test_account_saves_name_and_time_zone(services, ada, cookies, sign_in_as):
    sign_in_as(ada.id)
    app = opened().switch_page("pages/account.py").run()
    app.selectbox[0].set_value("Asia/Tokyo")
    fill(app, "Save", your_name="Ada King")
    person = services.sessions.find_person(cookies[SESSION_COOKIE])
    assert (person.display_name, person.preferences.time_zone) == ("Ada King", "Asia/Tokyo")


# ---- users ----


def test_users_page_lists_everybody_for_administrators(services, ada, sign_in_as):
    services.accounts.add_person(actor=ada, username="bob", display_name="Bob", role="analyst")
    sign_in_as(ada.id)
    app = opened().switch_page("pages/users.py").run()
    assert list(app.dataframe[0].value["Username"]) == ["ada", "bob"]
    assert app.dataframe[0].value["Last sign-in"].iloc[1] == "never"


def test_users_page_gives_the_list_as_a_file(services, ada, sign_in_as):
    sign_in_as(ada.id)
    app = opened().switch_page("pages/users.py").run()
    assert [one.proto.label for one in app.get("download_button")] == ["CSV"]


def test_users_page_search_without_a_match_says_how_to_widen_it(services, ada, sign_in_as):
    sign_in_as(ada.id)
    app = opened().switch_page("pages/users.py").run()
    app = app.text_input[0].set_value("zzz").run()
    assert "shorter search" in notices(app)


def test_users_page_tells_an_analyst_who_may_see_it(services, ada, sign_in_as):
    services.accounts.add_person(actor=ada, username="bob", display_name="Bob", role="analyst")
    bob = next(one for one in services.accounts.list_people(actor=ada) if one.username == "bob")
    with services.store.transaction() as conn:
        from db import accounts

        accounts.set_password(conn, user_id=bob.id, password_hash="x", must_change_password=False)
    sign_in_as(bob.id)
    app = opened().switch_page("pages/users.py").run()
    assert "Only administrators" in notices(app)
    assert not app.dataframe

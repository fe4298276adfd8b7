"""Who may do what to an account, and who is signed out by it."""

import threading

import pytest

from chatplay.auth.person import Preferences
from chatplay.errors import BadInput, Conflict, NotAllowed, NotFound, SignInRefused
from tests.sign_in_rig import PASSWORD, Rig


@pytest.fixture
def rig(engine):
    return Rig(engine)


@pytest.fixture
def ada(rig):
    return rig.administrator()


@pytest.fixture
def bob(rig, ada):
    return rig.add(ada, "bob")


def test_added_person_must_change_the_temporary_password(rig, ada):
    password = rig.accounts.add_person(actor=ada, username="Carl", display_name="", role="analyst")
    carl = rig.person(rig.try_password("carl", password))
    assert (carl.username, carl.display_name, carl.role, carl.must_change_password) == ("Carl", "Carl", "analyst", True)


def test_username_taken_in_another_spelling_is_refused(rig, ada, bob):
    with pytest.raises(Conflict, match="BOB"):
        rig.accounts.add_person(actor=ada, username="BOB", display_name="Other", role="analyst")


def test_organisation_named_twice_is_one(rig, ada):
    for name in ("carl", "dora"):
        rig.accounts.add_person(actor=ada, username=name, display_name=name, role="analyst", organisation="Lab")
    assert rig.accounts.list_organisations(actor=ada) == ["Default", "Lab"]


def test_unknown_role_is_refused(rig, ada, bob):
    with pytest.raises(BadInput, match="analyst or administrator"):
        rig.accounts.change_role(actor=ada, user_id=bob.id, role="root")


@pytest.mark.parametrize(
    "act",
    [
        lambda a, who: a.list_people(actor=who),
        lambda a, who: a.list_organisations(actor=who),
        lambda a, who: a.add_person(actor=who, username="eve", display_name="Eve", role="administrator"),
        lambda a, who: a.reset_password(actor=who, user_id=1),
        lambda a, who: a.change_role(actor=who, user_id=who.id, role="administrator"),
        lambda a, who: a.set_active(actor=who, user_id=1, is_active=False),
    ],
)
def test_analyst_may_not_administrate(rig, bob, act):
    with pytest.raises(NotAllowed):
        act(rig.accounts, bob)


def test_dialog_left_open_by_a_former_administrator_does_nothing(rig, ada, bob):
    rig.accounts.change_role(actor=ada, user_id=bob.id, role="administrator")
    former = rig.person(bob.id)
    rig.accounts.change_role(actor=ada, user_id=bob.id, role="analyst")
    for act in (
        lambda: rig.accounts.add_person(actor=former, username="eve", display_name="Eve", role="administrator"),
        lambda: rig.accounts.reset_password(actor=former, user_id=ada.id),
        lambda: rig.accounts.change_role(actor=former, user_id=bob.id, role="administrator"),
        lambda: rig.accounts.set_active(actor=former, user_id=ada.id, is_active=False),
        lambda: rig.accounts.list_people(actor=former),
    ):
        with pytest.raises(NotAllowed):
            act()


def test_role_change_ends_every_sign_in_of_the_person(rig, ada, bob):
    tokens = [rig.open(bob), rig.open(bob)]
    own = rig.open(ada)
    rig.accounts.change_role(actor=ada, user_id=bob.id, role="administrator")
    assert [rig.sessions.find_person(token) for token in tokens] == [None, None]
    assert rig.sessions.find_person(own).id == ada.id


def test_unchanged_role_signs_nobody_out(rig, ada, bob):
    token = rig.open(bob)
    rig.accounts.change_role(actor=ada, user_id=bob.id, role="analyst")
    assert rig.sessions.find_person(token) is not None


def test_deactivated_person_is_out_and_stays_out_until_activated(rig, ada, bob):
    token = rig.open(bob)
    rig.accounts.set_active(actor=ada, user_id=bob.id, is_active=False)
    assert rig.sessions.find_person(token) is None
    with pytest.raises(Exception, match="not right"):
        rig.try_password("bob", PASSWORD)
    rig.accounts.set_active(actor=ada, user_id=bob.id, is_active=True)
    assert rig.try_password("bob", PASSWORD) == bob.id


def test_ticket_made_before_deactivation_signs_nobody_in(rig, ada, bob):
    ticket = rig.tickets.make(user_id=bob.id, browser="b", return_to="/")
    rig.accounts.set_active(actor=ada, user_id=bob.id, is_active=False)
    assert rig.tickets.accept(ticket, browser="b") is None


def test_last_administrator_cannot_be_demoted_or_deactivated(rig, ada, bob):
    for act in (
        lambda: rig.accounts.change_role(actor=ada, user_id=ada.id, role="analyst"),
        lambda: rig.accounts.set_active(actor=ada, user_id=ada.id, is_active=False),
    ):
        with pytest.raises(Conflict, match="last active administrator"):
            act()
    assert rig.accounts.list_people(actor=ada)[0].is_administrator


def test_deactivated_administrator_does_not_count_as_the_remaining_one(rig, ada, bob):
    rig.accounts.change_role(actor=ada, user_id=bob.id, role="administrator")
    rig.accounts.set_active(actor=ada, user_id=bob.id, is_active=False)
    with pytest.raises(Conflict):
        rig.accounts.change_role(actor=ada, user_id=ada.id, role="analyst")


def test_two_administrators_demoting_each_other_at_once_leave_one(rig, ada, bob):
    rig.accounts.change_role(actor=ada, user_id=bob.id, role="administrator")
    bob = rig.person(bob.id)
    barrier, refused = threading.Barrier(2), []

    def demote(actor, other):
        barrier.wait(10)
        try:
            rig.accounts.change_role(actor=actor, user_id=other.id, role="analyst")
        except (Conflict, NotAllowed) as error:
            refused.append(error)

    threads = [threading.Thread(target=demote, args=pair) for pair in ((ada, bob), (bob, ada))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    left = [one for one in (rig.person(ada.id), rig.person(bob.id)) if one.is_administrator]
    assert (len(refused), len(left)) == (1, 1)


def test_reset_gives_a_new_password_and_ends_sign_ins_and_locks(rig, ada, bob):
    token = rig.open(bob)
    for _ in range(5):
        with pytest.raises(Exception, match="not right"):
            rig.try_password("bob", "wrong", address=None)
        rig.clock.turn(seconds=10)
    password = rig.accounts.reset_password(actor=ada, user_id=bob.id)
    assert rig.sessions.find_person(token) is None
    assert rig.try_password("bob", password) == bob.id
    assert rig.person(bob.id).must_change_password


def test_reset_of_ones_own_password_is_refused(rig, ada):
    with pytest.raises(BadInput, match="your own"):
        rig.accounts.reset_password(actor=ada, user_id=ada.id)


def test_person_who_does_not_exist_is_not_found(rig, ada):
    for act in (rig.accounts.reset_password, lambda **who: rig.accounts.set_active(**who, is_active=True)):
        with pytest.raises(NotFound):
            act(actor=ada, user_id=999_999)


def test_password_change_ends_the_other_sign_ins_only(rig, bob):
    here, there = rig.open(bob), rig.open(bob)
    _change(rig, bob, PASSWORD, "another four words", keep_token=here)
    assert rig.sessions.find_person(here) is not None
    assert rig.sessions.find_person(there) is None
    assert rig.try_password("bob", "another four words") == bob.id


@pytest.mark.parametrize(
    ("current", "new", "repeated", "param"),
    [
        ("wrong", "another four words", "another four words", "current"),
        (PASSWORD, PASSWORD, PASSWORD, "password"),
        (PASSWORD, "short", "short", "password"),
        (PASSWORD, "another four words", "another for words", "repeated"),
    ],
)
def test_password_change_refused_names_the_field_and_changes_nothing(rig, bob, current, new, repeated, param):
    with pytest.raises(BadInput) as refused:
        _change(rig, bob, current, new, repeated)
    assert refused.value.param == param
    rig.clock.turn(minutes=1)
    assert rig.try_password("bob", PASSWORD) == bob.id


def test_guessing_the_current_password_in_an_open_page_locks(rig, bob):
    for _ in range(5):
        with pytest.raises(BadInput):
            _change(rig, bob, "wrong", "another four words")
        rig.clock.turn(seconds=10)
    with pytest.raises(Exception, match="Too many"):
        _change(rig, bob, PASSWORD, "another four words")


def test_choosing_the_password_one_has_is_no_failed_attempt_however_often(rig, bob):
    for _ in range(6):
        with pytest.raises(BadInput, match="the password you have"):
            _change(rig, bob, PASSWORD, PASSWORD)
    assert rig.try_password("bob", PASSWORD) == bob.id


def test_preferences_keep_what_other_parts_stored(rig, bob):
    from db import accounts

    with rig.store.transaction() as conn:
        accounts.set_preferences(conn, user_id=bob.id, preferences={"palette": "wide"})
    rig.accounts.set_preferences(actor=bob, preferences=Preferences(time_zone="Europe/Berlin"))
    with rig.store.reading() as conn:
        stored = accounts.find_user(conn, user_id=bob.id).preferences
    assert stored == {"palette": "wide", "time_zone": "Europe/Berlin"}
    assert rig.person(bob.id).preferences.time_zone == "Europe/Berlin"


def test_unknown_time_zone_is_refused(rig, bob):
    with pytest.raises(BadInput, match="time zone"):
        rig.accounts.set_preferences(actor=bob, preferences=Preferences(time_zone="Mars/Olympus"))


def test_display_name_changes_without_signing_out(rig, bob):
    token = rig.open(bob)
    rig.accounts.set_display_name(actor=bob, display_name="  Bob   Ross ")
    assert rig.sessions.find_person(token).display_name == "Bob Ross"


def _change(rig, person, current, new, repeated=None, keep_token=None):
    rig.accounts.change_password(
        actor=person,
        current=current,
        password=new,
        repeated=new if repeated is None else repeated,
        keep_token=keep_token,
        address=None,
    )


def test_rescue_lets_a_locked_out_administrator_in_and_ends_what_was_open(rig, ada):
    token = rig.open(ada)
    for _ in range(5):
        rig.clock.turn(minutes=1)
        with pytest.raises(SignInRefused):
            rig.try_password("ada", "wrong guess")
    with pytest.raises(SignInRefused, match="Too many"):
        rig.try_password("ada", PASSWORD)
    password = rig.accounts.rescue(username=" ADA ")
    assert rig.sessions.find_person(token) is None
    assert rig.person(rig.try_password("ada", password)).must_change_password
    with pytest.raises(SignInRefused):
        rig.try_password("ada", PASSWORD)


def test_rescue_lifts_the_lock_of_the_address_too(rig, ada):
    for name in range(25):
        with pytest.raises(SignInRefused):
            rig.try_password(f"nobody{name}", "wrong guess")
    with pytest.raises(SignInRefused, match="Too many"):
        rig.try_password("ada", PASSWORD)
    assert rig.try_password("ada", rig.accounts.rescue(username="ada")) == ada.id


def test_reset_lifts_the_lock_of_the_address_too(rig, ada, bob):
    for name in range(25):
        with pytest.raises(SignInRefused):
            rig.try_password(f"nobody{name}", "wrong guess")
    assert rig.try_password("bob", rig.accounts.reset_password(actor=ada, user_id=bob.id)) == bob.id


def test_rescue_of_an_unknown_name_names_the_administrators(rig, ada, bob):
    with pytest.raises(NotFound, match=r"The administrators are ada\."):
        rig.accounts.rescue(username="adda")


def test_rescue_before_the_first_start_names_the_set_up_link(rig):
    with pytest.raises(NotFound, match="make setup-link"):
        rig.accounts.rescue(username="ada")


def test_rescue_of_a_deactivated_account_is_refused(rig, ada, bob):
    rig.accounts.set_active(actor=ada, user_id=bob.id, is_active=False)
    with pytest.raises(Conflict, match="deactivated"):
        rig.accounts.rescue(username="bob")

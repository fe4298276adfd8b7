"""Passwords checked, attempts counted, sign-ins opened and ended, tickets used once."""

import threading
from datetime import timedelta

import pytest

from chatplay.auth.tokens import TICKET_SEC
from chatplay.errors import SignInRefused
from tests.sign_in_rig import ADDRESS, PASSWORD, Rig


@pytest.fixture
def rig(engine):
    return Rig(engine)


@pytest.fixture
def ada(rig):
    return rig.administrator()


def fail(rig, username="ada", times=1, address=ADDRESS, pause_sec=30):
    for _ in range(times):
        with pytest.raises(SignInRefused) as refused:
            rig.try_password(username, "wrong", address)
        rig.clock.turn(seconds=pause_sec)
    return refused.value


# ---- the password ----


@pytest.mark.parametrize("username", ["ada", "ADA", " ada "])
def test_right_password_signs_in_whatever_the_spelling_of_the_name(rig, ada, username):
    assert rig.try_password(username, PASSWORD) == ada.id


def test_unknown_and_known_names_get_the_same_work_and_the_same_words(rig, ada):
    known, work_known = str(fail(rig, "ada")), rig.hasher.checks
    unknown, work_unknown = str(fail(rig, "nobody")), rig.hasher.checks - work_known
    assert (unknown, work_unknown) == (known, work_known)


@pytest.mark.parametrize("username", ["a\x00da", "\ud800", "ada'--", "x" * 10_000, "ädä"])
def test_strange_names_are_refused_like_unknown_ones(rig, ada, username):
    before = rig.hasher.checks
    assert "not right" in str(fail(rig, username))
    assert rig.hasher.checks == before + 1


@pytest.mark.parametrize("password", ["\x00", "\ud800", "x" * 1_000_000])
def test_strange_passwords_are_refused_like_wrong_ones(rig, ada, password):
    with pytest.raises(SignInRefused, match="not right"):
        rig.try_password("ada", password)


@pytest.mark.parametrize(("username", "password"), [("", PASSWORD), ("ada", ""), ("  ", "x")])
def test_empty_field_is_refused_without_counting(rig, ada, username, password):
    for _ in range(10):
        with pytest.raises(SignInRefused, match="needed"):
            rig.try_password(username, password)
    assert rig.try_password("ada", PASSWORD) == ada.id


# ---- the lock ----


def test_failures_are_slowed_down_before_they_lock(rig, ada):
    fail(rig, times=2, pause_sec=0)
    refused = fail(rig, pause_sec=0)
    assert "Wait 1 second" in str(refused)
    assert refused.retry_after_sec == 1
    rig.clock.turn(seconds=1)
    assert rig.try_password("ada", PASSWORD) == ada.id


def test_fifth_failure_locks_even_for_the_right_password(rig, ada):
    fail(rig, times=5, pause_sec=10)
    with pytest.raises(SignInRefused, match="Wait 15 minutes"):
        rig.try_password("ada", PASSWORD)
    rig.clock.turn(minutes=15)
    assert rig.try_password("ada", PASSWORD) == ada.id


def test_locked_answer_does_no_hashing_and_is_the_same_for_unknown_names(rig, ada):
    answers = []
    for name in ("ada", "nobody"):
        fail(rig, name, times=5, pause_sec=10)
        checks = rig.hasher.checks
        answers.append(str(fail(rig, name, pause_sec=0)))
        assert rig.hasher.checks == checks
    assert answers[0] == answers[1]


def test_lock_outlives_a_restart(rig, ada):
    fail(rig, times=5, pause_sec=10)
    with pytest.raises(SignInRefused, match="Too many"):
        rig.again().try_password("ada", PASSWORD)


def test_lock_doubles_while_guessing_goes_on(rig, ada):
    fail(rig, times=5, pause_sec=10)
    rig.clock.turn(minutes=15)
    fail(rig, pause_sec=0)
    with pytest.raises(SignInRefused, match="Wait 30 minutes"):
        rig.try_password("ada", PASSWORD)


def test_success_forgets_the_failures_of_the_account(rig, ada):
    fail(rig, times=4)
    rig.try_password("ada", PASSWORD)
    fail(rig, pause_sec=0)
    assert rig.try_password("ada", PASSWORD) == ada.id


def test_failures_of_yesterday_are_forgotten(rig, ada):
    fail(rig, times=4)
    rig.clock.turn(hours=25)
    fail(rig, pause_sec=0)
    assert rig.try_password("ada", PASSWORD) == ada.id


def test_address_that_tries_many_names_is_locked_for_all_of_them(rig, ada):
    for n in range(20):
        fail(rig, f"name{n}", pause_sec=0)
    with pytest.raises(SignInRefused, match="Too many"):
        rig.try_password("ada", PASSWORD)
    assert rig.try_password("ada", PASSWORD, address="192.0.2.8") == ada.id


def test_what_is_refused_because_its_account_has_to_wait_does_not_count_against_the_address(rig, ada):
    bob = rig.add(ada, "bob")
    fail(rig, times=5, pause_sec=10)
    checks = rig.hasher.checks
    fail(rig, times=30, pause_sec=0)
    assert rig.hasher.checks == checks
    assert rig.try_password("bob", PASSWORD) == bob.id


def test_what_is_refused_because_its_address_has_to_wait_does_not_count_against_the_account(rig, ada):
    for n in range(20):
        fail(rig, f"name{n}", pause_sec=0)
    fail(rig, times=10, pause_sec=0)
    assert rig.try_password("ada", PASSWORD, address="192.0.2.8") == ada.id


def test_address_that_has_to_wait_is_told_so_alike_for_all_names_and_passwords(rig, ada):
    for n in range(20):
        fail(rig, f"name{n}", pause_sec=0)
    checks, words = rig.hasher.checks, set()
    for name, password in (("ada", PASSWORD), ("ada", "wrong"), ("nobody", "wrong")):
        with pytest.raises(SignInRefused) as refused:
            rig.try_password(name, password)
        words.add(str(refused.value))
    assert rig.hasher.checks == checks
    assert len(words) == 1
    assert "network address" in min(words)
    assert "forgotten password" not in min(words)


def test_attempts_that_fail_and_succeed_at_once_never_lock_each_other_out(rig, ada):
    outcomes = []

    def take_turns(n):
        one = rig.again()
        for _ in range(20):
            try:
                outcomes.append(one.try_password("ada", PASSWORD if n % 2 else "wrong"))
            except SignInRefused:
                outcomes.append(None)

    threads = [threading.Thread(target=take_turns, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(outcomes) == 120  # none ended with another error


def test_successes_do_not_count_against_an_address(rig, ada):
    for _ in range(25):
        assert rig.try_password("ada", PASSWORD) == ada.id


def test_a_success_does_not_wipe_the_failures_of_its_address(rig, ada):
    for n in range(19):
        fail(rig, f"name{n}", pause_sec=0)
    rig.try_password("ada", PASSWORD)
    fail(rig, "name19", pause_sec=0)
    with pytest.raises(SignInRefused, match="Too many"):
        rig.try_password("ada", PASSWORD)


def test_guesses_sent_at_once_are_each_counted(rig, ada):
    barrier, checked = threading.Barrier(8), []

    def guess():
        barrier.wait(10)
        with pytest.raises(SignInRefused) as refused:
            rig.again().try_password("ada", "wrong", address=None)
        checked.append("not right" in str(refused.value))

    threads = [threading.Thread(target=guess) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(checked), sum(checked)) == (8, 2)  # the clock stands still: the second failure makes the rest wait


# ---- sign-ins ----


def test_token_is_stored_only_as_its_hash(rig, ada):
    from sqlalchemy import text

    token = rig.open(ada)
    with rig.store.reading() as conn:
        stored = conn.execute(text("SELECT auth_sessions::text FROM auth_sessions")).scalars().all()
    assert stored
    assert not any(token in row for row in stored)


def test_sign_in_ends_after_its_lifetime_even_when_used(rig, ada):
    token = rig.open(ada)
    for _ in range(13):
        rig.clock.turn(days=1)
        assert rig.sessions.find_person(token) is not None
    rig.clock.turn(days=1)
    assert rig.sessions.find_person(token) is None


def test_unused_sign_in_ends_after_the_idle_limit(rig, ada):
    token = rig.open(ada)
    rig.clock.turn(hours=71)
    assert rig.sessions.find_person(token) is not None
    rig.clock.turn(hours=72)
    assert rig.sessions.find_person(token) is None


def test_last_seen_is_written_once_a_minute(rig, ada):
    token = rig.open(ada)
    opened_at = rig.clock()
    seen = []
    for _ in range(3):
        rig.clock.turn(seconds=40)
        rig.sessions.find_person(token)
        seen.append(rig.sessions.list_devices(user_id=ada.id, token=token)[0].last_seen_at - opened_at)
    assert seen == [timedelta(seconds=0), timedelta(seconds=80), timedelta(seconds=80)]


@pytest.mark.parametrize("token", [None, "", "nonsense", "\ud800", "\x00"])
def test_token_that_is_none_finds_nobody(rig, ada, token):
    assert rig.sessions.find_person(token) is None


def test_new_sign_in_of_a_browser_ends_its_old_one(rig, ada):
    old = rig.open(ada)
    rig.sessions.open(user_id=ada.id, address=None, user_agent=None, replaces=old)
    assert rig.sessions.find_person(old) is None


def test_devices_list_marks_this_one_and_ends_another(rig, ada):
    here, there = rig.open(ada), rig.open(ada)
    devices = rig.sessions.list_devices(user_id=ada.id, token=here)
    assert sorted(device.is_this_one for device in devices) == [False, True]
    other = next(device for device in devices if not device.is_this_one)
    rig.sessions.end_device(user_id=ada.id, device_id=other.id)
    assert (rig.sessions.find_person(here) is None, rig.sessions.find_person(there) is None) == (False, True)


def test_device_of_somebody_else_cannot_be_ended(rig, ada):
    bob, token = rig.add(ada, "bob"), rig.open(ada)
    device = rig.sessions.list_devices(user_id=ada.id, token=token)[0]
    rig.sessions.end_device(user_id=bob.id, device_id=device.id)
    assert rig.sessions.find_person(token) is not None


def test_sign_out_everywhere_ends_all(rig, ada):
    tokens = [rig.open(ada) for _ in range(3)]
    assert rig.sessions.end_everywhere(user_id=ada.id) == 3
    assert [rig.sessions.find_person(token) for token in tokens] == [None] * 3


def test_strange_user_agent_is_stored_harmlessly(rig, ada):
    token = rig.sessions.open(user_id=ada.id, address=None, user_agent="a\x00b\udcff" + "x" * 1_000)
    stored = rig.sessions.list_devices(user_id=ada.id, token=token)[0].user_agent
    assert stored.startswith("ab?x")
    assert len(stored) == 300


def test_clean_up_removes_what_counts_for_nothing_and_keeps_the_rest(rig, ada):
    old = rig.open(ada)
    rig.tickets.make(user_id=ada.id, browser="b", return_to="/")
    fail(rig)
    rig.clock.turn(days=3)
    fresh = rig.open(ada)
    assert rig.sessions.clean_up() == 4  # a sign-in, a ticket, the attempts of an account and of an address
    assert (rig.sessions.find_person(old) is None, rig.sessions.find_person(fresh) is None) == (True, False)


# ---- tickets ----


def test_ticket_works_once(rig, ada):
    ticket = rig.tickets.make(user_id=ada.id, browser="b", return_to="/chat?provider=echo")
    accepted = rig.tickets.accept(ticket, browser="b")
    assert (accepted.user_id, accepted.return_to) == (ada.id, "/chat?provider=echo")
    assert rig.tickets.accept(ticket, browser="b") is None


def test_ticket_of_another_browser_is_refused_and_still_works_in_its_own(rig, ada):
    ticket = rig.tickets.make(user_id=ada.id, browser="mine", return_to="/")
    assert rig.tickets.accept(ticket, browser="yours") is None
    assert rig.tickets.accept(ticket, browser="mine") is not None


def test_ticket_expires(rig, ada):
    ticket = rig.tickets.make(user_id=ada.id, browser="b", return_to="/")
    rig.clock.turn(seconds=TICKET_SEC)
    assert rig.tickets.accept(ticket, browser="b") is None


def test_ticket_leads_nowhere_else(rig, ada):
    ticket = rig.tickets.make(user_id=ada.id, browser="b", return_to="//evil.example/")
    assert rig.tickets.accept(ticket, browser="b").return_to == "/"


def test_ticket_taken_twice_at_once_works_once(rig, ada):
    ticket = rig.tickets.make(user_id=ada.id, browser="b", return_to="/")
    barrier, results = threading.Barrier(4), []

    def take():
        barrier.wait(10)
        results.append(rig.tickets.accept(ticket, browser="b"))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(result is not None for result in results) == 1

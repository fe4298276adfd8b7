"""Sign-ins and locks under a clock that is put back or jumps ahead."""

import pytest

from chatplay.errors import SignInRefused
from tests.sign_in_rig import ADDRESS, PASSWORD, Rig


@pytest.fixture
def rig(engine):
    return Rig(engine, sign_in_days=14, sign_in_idle_hours=72)


@pytest.fixture
def ada(rig):
    return rig.administrator()


def fail(rig, times):
    for _ in range(times):
        with pytest.raises(SignInRefused):
            rig.try_password("ada", "wrong guess")
        rig.clock.turn(seconds=40)


def locked(rig):
    try:
        rig.try_password("ada", PASSWORD)
    except SignInRefused:
        return True
    return False


def test_clock_put_back_signs_nobody_out(rig, ada):
    token = rig.open(ada)
    rig.clock.turn(days=-400)
    assert rig.sessions.find_person(token) == ada


def test_sign_in_of_a_clock_that_was_ahead_ends_in_time_once_it_is_put_right(rig, ada):
    rig.clock.turn(days=400)
    token = rig.open(ada)
    rig.clock.turn(days=-400)
    assert rig.sessions.find_person(token) is not None
    for _ in range(13):
        rig.clock.turn(days=1)
        assert rig.sessions.find_person(token) is not None
    rig.clock.turn(days=1, minutes=1)
    assert rig.sessions.find_person(token) is None


def test_unused_sign_in_idles_out_after_the_clock_was_put_back(rig, ada):
    rig.clock.turn(days=400)
    token = rig.open(ada)
    rig.clock.turn(days=-400)
    rig.sessions.find_person(token)
    rig.clock.turn(hours=73)
    assert rig.sessions.find_person(token) is None


def test_clock_that_jumps_ahead_and_back_leaves_what_nobody_cleaned_up(rig, ada):
    token = rig.open(ada)
    rig.clock.turn(days=400)
    assert rig.sessions.find_person(token) is None
    rig.clock.turn(days=-400)
    assert rig.sessions.find_person(token) is not None


def test_a_little_difference_between_two_clocks_writes_nothing(rig, ada):
    token = rig.open(ada)
    rig.clock.turn(seconds=-20)
    rig.sessions.find_person(token)
    (device,) = [one for one in rig.sessions.list_devices(user_id=ada.id, token=token) if one.is_this_one]
    assert device.last_seen_at == device.signed_in_at


def test_lock_made_by_a_clock_that_was_ahead_does_not_last_until_then(rig, ada):
    rig.clock.turn(days=30)
    fail(rig, 5)
    assert locked(rig)
    rig.clock.turn(days=-30)
    assert not locked(rig)


def test_lock_holds_after_a_little_correction_and_failures_still_count(rig, ada):
    fail(rig, 5)
    rig.clock.turn(seconds=-70)
    assert locked(rig)
    rig.clock.turn(days=-30)
    fail(rig, 1)
    assert locked(rig)


def test_locks_of_addresses_follow_the_same_rule(rig, ada):
    rig.clock.turn(days=30)
    for number in range(25):
        with pytest.raises(SignInRefused):
            rig.try_password(f"nobody{number}", "wrong guess", ADDRESS)
    assert locked(rig)
    rig.clock.turn(days=-30)
    assert not locked(rig)

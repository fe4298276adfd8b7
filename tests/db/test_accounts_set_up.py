"""The first start: one link, one administrator, nobody else."""

import re
import threading
from types import SimpleNamespace

import pytest

from chatplay.api.server import print_set_up_link
from chatplay.auth.setup import make_link
from chatplay.errors import BadInput, Conflict, NotAllowed
from chatplay.settings import Settings
from tests.sign_in_rig import PASSWORD, Rig


@pytest.fixture
def rig(engine):
    return Rig(engine)


def create(rig, token, username="ada", password=PASSWORD):
    return rig.set_up.create_administrator(
        token=token, username=username, display_name="Ada", password=password, repeated=password
    )


def test_link_creates_an_active_administrator_once(rig):
    token = rig.set_up.make_token()
    person = rig.person(create(rig, token))
    assert (person.role, person.is_active, person.must_change_password) == ("administrator", True, False)
    with pytest.raises(Conflict, match="set-up is done"):
        create(rig, token, username="eve")


def test_set_up_is_needed_until_somebody_exists(rig):
    assert rig.set_up.is_needed()
    rig.administrator()
    assert not rig.set_up.is_needed()


def test_link_is_dead_once_people_exist(rig):
    token = rig.set_up.make_token()
    create(rig, token)
    with pytest.raises(Conflict):
        rig.set_up.check(token)
    with pytest.raises(Conflict):
        rig.set_up.make_token()


def test_newer_link_replaces_the_older(rig):
    older, newer = rig.set_up.make_token(), rig.set_up.make_token()
    with pytest.raises(NotAllowed):
        rig.set_up.check(older)
    with pytest.raises(NotAllowed):
        create(rig, older)
    rig.set_up.check(newer)


def test_second_app_leaves_the_link_in_the_terminal_of_the_first_as_it_is(rig, capsys):
    services = SimpleNamespace(set_up=rig.set_up, settings=rig.settings)
    for _ in range(2):
        print_set_up_link(services)
    first, second = re.findall(r"token=(\S+)", capsys.readouterr().out)
    for token in (first, second):
        rig.set_up.check(token)
    create(rig, first)
    with pytest.raises(Conflict, match="set-up is done"):
        create(rig, second, username="eve")
    print_set_up_link(services)
    assert capsys.readouterr().out == ""


def test_link_that_is_asked_for_replaces_all_before(rig):
    older = [rig.set_up.make_token(replaces=False) for _ in range(2)]
    newest = rig.set_up.make_token()
    for token in older:
        with pytest.raises(NotAllowed, match="does not work any more"):
            rig.set_up.check(token)
    rig.set_up.check(newest)


@pytest.mark.parametrize("token", ["", "guess", "\x00", "\ud800"])
def test_made_up_token_is_refused(rig, token):
    rig.set_up.make_token()
    with pytest.raises(NotAllowed):
        create(rig, token)


def test_link_expires(rig):
    token = rig.set_up.make_token()
    rig.clock.turn(days=8)
    with pytest.raises(NotAllowed, match="setup-link"):
        rig.set_up.check(token)


def test_refused_form_does_not_use_the_link_up(rig):
    token = rig.set_up.make_token()
    with pytest.raises(BadInput):
        create(rig, token, password="short")
    assert create(rig, token)


def test_two_people_at_set_up_at_once_make_one_administrator(rig):
    token, barrier, outcomes = rig.set_up.make_token(), threading.Barrier(4), []

    def attempt(name):
        barrier.wait(10)
        try:
            outcomes.append(create(rig, token, username=name))
        except Conflict:
            outcomes.append(None)

    threads = [threading.Thread(target=attempt, args=(f"user{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    winners = [outcome for outcome in outcomes if outcome is not None]
    assert (len(outcomes), len(winners)) == (4, 1)
    assert len(rig.accounts.list_people(actor=rig.person(winners[0]))) == 1


@pytest.mark.parametrize(
    ("settings", "start"),
    [
        (Settings(), "http://127.0.0.1:8501/auth/setup?token="),
        (Settings(host="0.0.0.0", port=80), "http://localhost:80/auth/setup?token="),
        (Settings(host="::1"), "http://[::1]:8501/auth/setup?token="),
        (Settings(public_url="https://chat.example.org/"), "https://chat.example.org/auth/setup?token="),
    ],
)
def test_link_is_one_a_person_can_open(rig, settings, start):
    link = make_link(rig.set_up, settings)
    assert link.startswith(start)
    rig.set_up.check(link.removeprefix(start))

"""Personal access tokens: what is stored of them, who may make which, how they end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event, text

from chatplay.auth.access_tokens import AccessTokens
from chatplay.errors import BadInput, Conflict, NotFound
from db.paces import Pace, Paces
from db.schema import access_tokens
from tests.sign_in_rig import Rig


@pytest.fixture
def rig(engine):
    return Rig(engine)


@pytest.fixture
def ada(rig):
    return rig.administrator()


@pytest.fixture
def ana(rig, ada):
    return rig.add(ada, "ana")


@pytest.fixture
def tokens(rig):
    return AccessTokens(store=rig.store, clock=rig.clock)


def create(tokens, person, **more):
    return tokens.create(**{"actor": person, "name": "notebook", "scopes": ["read", "chat"], "days": 30} | more)


def test_token_opens_the_door_for_its_person_with_its_scopes(tokens, ana):
    made = create(tokens, ana, scopes=["chat", "read", "chat"])
    person, record = tokens.find_person(made.secret)
    assert (person.username, record.scopes, record.name) == ("ana", ("read", "chat"), "notebook")


def test_nothing_stored_gives_the_token_away(rig, tokens, ana):
    made = create(tokens, ana)
    with rig.store.reading() as conn:
        row = conn.execute(access_tokens.select()).mappings().one()
    assert len(row["token_hash"]) == 32
    assert made.secret not in str(dict(row))
    assert len(made.secret) == len("cpat_") + 43  # 256 random bits


def test_list_tells_name_ending_expiry_and_last_use(rig, tokens, ana):
    made = create(tokens, ana)
    rig.clock.turn(hours=1)
    tokens.find_person(made.secret)
    listed = tokens.list_own(actor=ana)[0]
    assert (listed.name, made.secret.endswith(listed.ending)) == ("notebook", True)
    assert (listed.expires_at - listed.created_at, listed.last_used_at) == (timedelta(days=30), rig.clock())


def test_expired_token_opens_nothing_and_one_without_expiry_goes_on(rig, tokens, ana):
    short, lasting = create(tokens, ana), create(tokens, ana, days=None)
    rig.clock.turn(days=31)
    assert tokens.find_person(short.secret) is None
    assert tokens.find_person(lasting.secret) is not None


def test_who_asks_is_looked_up_and_counted_in_one_statement(engine, tokens, ana):
    paces, asked = Paces(Pace(60, 1), Pace(60, 2), "10.0.0.1"), []
    made = create(tokens, ana)
    tokens.find_person(made.secret)  # notes that it was used, once a minute
    event.listen(engine, "before_cursor_execute", lambda *_: asked.append(True))
    first, second, nobody, more = (tokens.admit(secret, paces) for secret in (made.secret, made.secret, "", ""))
    assert len(asked) == 4
    assert (first[0][0].username, first[1]) == ("ana", 0)
    assert second[0] is not None  # who it is, and that it came too early
    assert 0 < second[1] <= 60
    assert nobody[0] is more[0] is None
    assert more[1] > 0  # the address is counted whoever asks


def test_pace_forgets_what_was_counted_before_the_clock_was_set_back(engine, tokens, ana):
    paces, made = Paces(Pace(60, 2), Pace(60, 9), "10.0.0.1"), create(tokens, ana)
    tokens.admit(made.secret, paces)
    with engine.begin() as conn:
        conn.execute(text("UPDATE request_limits SET due_at = due_at + interval '1 day'"))
    early = [tokens.admit(made.secret, paces)[1] for _ in range(3)]
    assert early[:2] == [0, 0]
    assert 0 < early[2] <= 60


def test_revoked_token_opens_nothing(tokens, ana):
    made = create(tokens, ana)
    tokens.revoke(actor=ana, token_id=made.record.id)
    assert tokens.find_person(made.secret) is None


def test_token_of_somebody_else_cannot_be_revoked(tokens, ana, ada):
    made = create(tokens, ana)
    with pytest.raises(NotFound):
        tokens.revoke(actor=ada, token_id=made.record.id)
    assert tokens.find_person(made.secret) is not None


@pytest.mark.parametrize("what", ["role", "active"])
def test_tokens_end_with_the_rights_of_the_account_for_good(rig, tokens, ana, ada, what):
    made = create(tokens, ana)
    if what == "role":
        rig.accounts.change_role(actor=ada, user_id=ana.id, role="administrator")
    else:
        rig.accounts.set_active(actor=ada, user_id=ana.id, is_active=False)
        rig.accounts.set_active(actor=ada, user_id=ana.id, is_active=True)
    assert tokens.find_person(made.secret) is None


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["write"]}, "scopes"),
        ({"scopes": ["admin"]}, "scopes"),
        ({"name": " "}, "name"),
        ({"name": "a\nb\x00"}, "name"),
        ({"days": 0}, "days"),
        ({"days": 10_000}, "days"),
    ],
)
def test_token_that_cannot_be_is_refused_by_field(tokens, ana, asked, param):
    with pytest.raises(BadInput) as caught:
        create(tokens, ana, **asked)
    assert caught.value.param == param


def test_administrator_may_have_the_scope_admin(tokens, ada):
    assert create(tokens, ada, scopes=["admin"]).record.scopes == ("admin",)


def test_number_of_tokens_has_an_end(monkeypatch, tokens, ana):
    monkeypatch.setattr("chatplay.auth.access_tokens._MAX_TOKENS", 2)
    create(tokens, ana)
    create(tokens, ana)
    with pytest.raises(Conflict):
        create(tokens, ana)


@pytest.mark.parametrize("secret", ["", "cpat_", "guess", "\ud800", "\x00"])
def test_made_up_token_is_nobodys(tokens, ana, secret):
    create(tokens, ana)
    assert tokens.find_person(secret) is None

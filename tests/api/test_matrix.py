"""Every route by every credential and owner; a route that is not listed here fails."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import uuid4

import pytest
from fastapi.routing import APIRoute

from chatplay.api.app import build_app
from chatplay.api.who import Needs
from chatplay.auth.tokens import SESSION_COOKIE

EVIL = "https://evil.example"
OPENAI_WORDS = {"invalid_api_key": "not_signed_in", "insufficient_permissions": "not_allowed"}


@dataclass(frozen=True)
class Entry:
    """`scope` None: open to everybody. `owned`: the path names something of one person's. `status`: of success."""

    scope: str | None
    status: int = 200
    owned: bool = False
    body: dict | None = None


ASKED = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}
PLANNED = {
    "name": "Greetings",
    "prompts": [{"prompt": "Say {{word}}"}],
    "models": [{"name": "echo"}],
    "axes": {"temperature": "0, 0.5"},
    "cases": [{"word": "one"}, {"word": "two"}],
    "repeats": 2,
}
ROUTES = {
    "GET /v1/models/running": Entry("read"),
    "GET /v1/models/{name}/constraints": Entry("read"),
    "GET /v1/models": Entry("read"),
    "GET /v1/models/{model_id}": Entry("read"),
    "POST /v1/chat/completions": Entry("chat", body=ASKED),
    "GET /v1/chat/sessions": Entry("read"),
    "POST /v1/chat/sessions": Entry("chat", 201, body={"model_name": "echo"}),
    "DELETE /v1/chat/sessions": Entry("chat"),
    "GET /v1/chat/sessions/{session_id}": Entry("read", owned=True),
    "DELETE /v1/chat/sessions/{session_id}": Entry("chat", 204, owned=True),
    "POST /v1/chat/sessions/{session_id}/messages": Entry("chat", 201, owned=True, body={"content": "Hi"}),
    "POST /v1/chat/sessions/{session_id}/generate": Entry("chat", owned=True, body={"content": "Hi"}),
    "GET /v1/chat/generations/{generation_id}/events": Entry("read", owned=True),
    "POST /v1/chat/generations/{generation_id}/stop": Entry("chat", 202, owned=True),
    "GET /v1/usage/calls": Entry("read"),
    "GET /v1/experiments": Entry("read"),
    "POST /v1/experiments": Entry("chat", 201, body=PLANNED),
    "POST /v1/experiments/{experiment_id}/start": Entry("chat", owned=True),
    "POST /v1/experiments/{experiment_id}/pause": Entry("chat", owned=True),
    "POST /v1/experiments/{experiment_id}/resume": Entry("chat", owned=True),
    "POST /v1/experiments/{experiment_id}/cancel": Entry("chat", owned=True),
    "POST /v1/experiments/{experiment_id}/extend": Entry("chat", owned=True, body={"repeats": 3}),
    "GET /v1/experiments/{experiment_id}": Entry("read", owned=True),
    "GET /v1/experiments/{experiment_id}/trials": Entry("read", owned=True),
    "GET /v1/experiments/{experiment_id}/export": Entry("read", owned=True),
    "GET /admin/usage": Entry("admin"),
    "POST /admin/upstreams/refresh-health": Entry("admin"),
    "GET /v1/docs": Entry(None),
    "GET /v1/openapi.json": Entry(None),
}
ALL = sorted(ROUTES)
BEHIND_THE_DOOR = [name for name in ALL if ROUTES[name].scope]
OWNED = [name for name in ALL if ROUTES[name].owned]
CHANGING = [name for name in BEHIND_THE_DOOR if not name.startswith("GET")]


@pytest.fixture
def house(own_house):
    return own_house


def routes_of(app):
    """The routes of the app with what each of them needs, whatever included them."""
    for route in app.routes:
        found = getattr(route, "original_router", None)
        yield from routes_of(found) if found is not None else (route,)


def listed(route):
    path = re.sub(r":\w+}", "}", route.path)
    return {f"{method} {path}" for method in getattr(route, "methods", None) or () if method != "HEAD"}


def scopes(dependant):
    own = {dependant.call.scope} if isinstance(dependant.call, Needs) else set()
    return own.union(*(scopes(below) for below in dependant.dependencies)) if dependant.dependencies else own


def test_every_route_is_in_the_matrix():
    found = set()
    for route in routes_of(build_app(lambda: None)):
        found |= listed(route)
    assert found == set(ROUTES)


def test_every_route_needs_the_scope_that_is_listed():
    for route in routes_of(build_app(lambda: None)):
        if isinstance(route, APIRoute):
            for name in listed(route):
                assert scopes(route.dependant) == ({ROUTES[name].scope} - {None}), name


def ask(client, name, owner=None, **headers):
    method, path = name.split(" ", 1)
    places = {"name": "echo", "model_id": "echo", "session_id": uuid4(), "generation_id": uuid4()}
    places["experiment_id"] = uuid4()
    if owner is not None and "experiment_id" in path:
        places["experiment_id"] = owner.new_experiment()
    elif owner is not None:
        places["session_id"] = owner.new_session()
        if "generation_id" in path:
            places["generation_id"] = owner.ask(places["session_id"])["generation_id"]
    return client.request(method, path.format(**places), json=ROUTES[name].body, headers=headers)


def kind(answer):
    error = answer.json()["error"]
    told = error.get("code") or error["type"]
    return answer.status_code, OPENAI_WORDS.get(told, told)


# ---- nobody ----


@pytest.mark.parametrize("name", BEHIND_THE_DOOR)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer cpat_guess"},
        {"authorization": "Bearer"},
        {"authorization": "Basic YW5hOmFuYQ=="},
        {"cookie": f"{SESSION_COOKIE}=guess"},
        {"authorization": "Bearer \xff\xfe"},
    ],
)
def test_nobody_is_let_in(house, name, headers):
    with house.client() as client:
        answer = ask(client, name, **{name: value.encode("latin-1") for name, value in headers.items()})
    assert kind(answer) == (401, "not_signed_in")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("name", ["GET /v1/docs", "GET /v1/openapi.json"])
def test_document_is_open(house, name):
    with house.client() as client:
        assert ask(client, name).status_code == 200


@pytest.mark.parametrize("end", ["expired", "revoked", "deactivated", "role changed"])
def test_ended_token_lets_nobody_in(house, end):
    guest = house.add_guest(f"ended-{end.replace(' ', '-')}")
    tokens, accounts, actor = house.runtime.access_tokens, house.runtime.accounts, house.ada.person
    with guest.client() as client:
        assert client.get("/v1/chat/sessions").status_code == 200
        if end == "expired":
            house.clock.ahead += (tokens.list_own(actor=guest.person)[0].expires_at - house.clock()) * 1.001
        elif end == "revoked":
            tokens.revoke(actor=guest.person, token_id=tokens.list_own(actor=guest.person)[0].id)
        elif end == "deactivated":
            accounts.set_active(actor=actor, user_id=guest.person.id, is_active=False)
            accounts.set_active(actor=actor, user_id=guest.person.id, is_active=True)
        else:
            accounts.change_role(actor=actor, user_id=guest.person.id, role="administrator")
        answer = client.get("/v1/chat/sessions")
    house.clock.ahead *= 0
    assert kind(answer) == (401, "not_signed_in")


def test_person_with_a_temporary_password_has_to_choose_one_first(house):
    accounts = house.runtime.accounts
    accounts.add_person(actor=house.ada.person, username="fresh", display_name="Fresh", role="analyst")
    person = next(one for one in accounts.list_people(actor=house.ada.person) if one.username == "fresh")
    cookie = house.runtime.sessions.open(user_id=person.id, address=None, user_agent=None)
    with house.client(cookie=f"{SESSION_COOKIE}={cookie}") as client:
        assert kind(client.get("/v1/chat/sessions")) == (403, "not_allowed")


# ---- role and scope ----


@pytest.mark.parametrize("by", ["client", "browser"])
@pytest.mark.parametrize("role", ["ana", "ada"])
@pytest.mark.parametrize("name", BEHIND_THE_DOOR)
def test_role_decides(house, name, role, by):
    guest = house.guests[role]
    with getattr(guest, by)() as client:
        answer = ask(client, name, owner=guest if ROUTES[name].owned else None)
    if ROUTES[name].scope == "admin" and role == "ana":
        assert kind(answer) == (403, "not_allowed")
    else:
        assert answer.status_code == ROUTES[name].status, answer.text


@pytest.mark.parametrize("scope", ["read", "chat", "admin"])
@pytest.mark.parametrize("name", BEHIND_THE_DOOR)
def test_scope_of_the_token_decides(house, name, scope):
    made = house.runtime.access_tokens.create(actor=house.ada.person, name=scope, scopes=[scope], days=1)
    with house.client(authorization=f"Bearer {made.secret}") as client:
        answer = ask(client, name, owner=house.ada if ROUTES[name].owned else None)
    if ROUTES[name].scope == scope:
        assert answer.status_code == ROUTES[name].status, answer.text
    else:
        assert kind(answer) == (403, "not_allowed")
    house.runtime.access_tokens.revoke(actor=house.ada.person, token_id=made.record.id)


# ---- owner ----


@pytest.mark.parametrize("who", ["bob", "ada"])
@pytest.mark.parametrize("name", OWNED)
def test_what_is_somebody_elses_does_not_exist(house, name, who):
    with house.guests[who].client() as client:
        theirs, nobodys = ask(client, name, owner=house.ana), ask(client, name)
    assert kind(theirs) == kind(nobodys) == (404, "not_found")
    assert theirs.json()["error"]["message"] == nobodys.json()["error"]["message"]


@pytest.mark.parametrize("name", OWNED)
def test_what_is_no_id_is_as_missing_as_an_id_that_nothing_has(house, name):
    method, path = name.split(" ", 1)
    with house.ana.client() as client:
        nope = client.request(method, re.sub(r"{\w+}", "nope", path), json=ROUTES[name].body)
        nobodys = ask(client, name)
    assert kind(nope) == (404, "not_found")
    assert without_request_id(nope) == without_request_id(nobodys)


def without_request_id(answer):
    return {**answer.json()["error"], "request_id": None}


# ---- origin ----


@pytest.mark.parametrize("origin", [EVIL, "null", "http://127.0.0.1", None])
@pytest.mark.parametrize("name", CHANGING)
def test_other_sites_page_changes_nothing_with_the_cookie(house, name, origin):
    session_id = house.ada.new_session()
    headers = {"cookie": f"{SESSION_COOKIE}={house.ada.cookie}"} | ({"origin": origin} if origin else {})
    with house.client(**headers) as client:
        assert kind(ask(client, name)) == (403, "not_allowed")
    with house.ada.client() as client:
        assert client.get(f"/v1/chat/sessions/{session_id}").status_code == 200


@pytest.mark.parametrize("name", CHANGING)
def test_origin_does_not_matter_to_a_token(house, name):
    with house.ada.client(origin=EVIL) as client:
        answer = ask(client, name, owner=house.ada if ROUTES[name].owned else None)
    assert answer.status_code == ROUTES[name].status, answer.text
    assert not [header for header in answer.headers if header.startswith("access-control")]

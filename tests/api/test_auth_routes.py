"""The routes under /auth and the headers around everything, asked over HTTP."""

import ipaddress
import subprocess
import sys
from pathlib import Path

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from chatplay.api.auth_routes import auth_mount
from chatplay.api.middleware import HiddenPaths, SecurityHeaders, inline_script_hashes, policy_for
from chatplay.auth.handover import GO_SCRIPT_HASH
from chatplay.auth.tokens import BROWSER_COOKIE, SESSION_COOKIE, TICKET_SEC
from chatplay.errors import StoreUnavailable
from chatplay.settings import ROOT
from tests.sign_in_rig import PASSWORD, Rig


@pytest.fixture
def rig(engine):
    return Rig(engine)


@pytest.fixture
def ada(rig):
    return rig.administrator()


@pytest.fixture
def client(rig):
    return client_of(rig)


def client_of(rig, **settings):
    rig.settings = rig.settings.model_copy(update=settings)
    app = Starlette(routes=[auth_mount(lambda: rig)])
    client = TestClient(app, base_url="http://app.test", follow_redirects=False, client=("192.0.2.7", 50_000))
    client.cookies.set(BROWSER_COOKIE, "my browser")
    return client


def ticket(rig, person, return_to="/chat", browser="my browser"):
    return rig.tickets.make(user_id=person.id, browser=browser, return_to=return_to)


def accept(client, value, **headers):
    return client.get("/auth/accept", params={"ticket": value}, headers=headers)


def refused(response):
    return response.headers["location"] == "/?sign_in=again" and "set-cookie" not in response.headers


# ---- accept ----


def test_ticket_becomes_a_cookie_and_leads_back(rig, ada, client):
    response = accept(client, ticket(rig, ada, "/chat?chat=7&provider=echo"))
    assert (response.status_code, response.headers["location"]) == (303, "/chat?chat=7&provider=echo")
    assert rig.sessions.find_person(client.cookies[SESSION_COOKIE]).id == ada.id


def test_cookie_is_out_of_reach_for_scripts_and_other_sites(rig, ada, client):
    cookie = accept(client, ticket(rig, ada)).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=1209600"} <= set(cookie.split("; "))
    assert "Secure" not in cookie


@pytest.mark.parametrize(
    ("settings", "headers", "is_secure"),
    [
        ({"public_url": "https://chat.example.org"}, {}, True),
        ({"trusted_proxies": (ipaddress.ip_network("192.0.2.0/24"),)}, {"X-Forwarded-Proto": "https"}, True),
        ({}, {"X-Forwarded-Proto": "https"}, False),
    ],
)
def test_cookie_is_secure_behind_tls(rig, ada, settings, headers, is_secure):
    response = accept(client_of(rig, **settings), ticket(rig, ada), **headers)
    assert ("Secure" in response.headers["set-cookie"]) is is_secure


def test_replayed_ticket_is_refused(rig, ada, client):
    value = ticket(rig, ada)
    accept(client, value)
    assert refused(accept(client, value))


def test_expired_ticket_is_refused(rig, ada, client):
    value = ticket(rig, ada)
    rig.clock.turn(seconds=TICKET_SEC + 1)
    assert refused(accept(client, value))


@pytest.mark.parametrize("value", ["", "guess", "%00", "x" * 5_000])
def test_made_up_ticket_is_refused(rig, ada, client, value):
    assert refused(accept(client, value))


def test_ticket_sent_to_somebody_else_does_not_sign_them_in(rig, ada, client):
    assert refused(accept(client, ticket(rig, ada, browser="the attacker's")))


def test_browser_without_its_cookie_is_refused(rig, ada, client):
    client.cookies.clear()
    assert refused(accept(client, ticket(rig, ada)))


def test_link_on_another_site_does_not_sign_in(rig, ada, client):
    response = accept(client, ticket(rig, ada), **{"Sec-Fetch-Site": "cross-site"})
    assert (response.status_code, response.json()["error"]["type"]) == (403, "not_allowed")


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_accept_redirects_nowhere_else(rig, ada, client, target):
    assert accept(client, ticket(rig, ada, target)).headers["location"] == "/"


def test_sign_in_is_a_new_session_and_ends_the_browsers_old_one(rig, ada, client):
    accept(client, ticket(rig, ada))
    old = client.cookies[SESSION_COOKIE]
    accept(client, ticket(rig, ada))
    assert client.cookies[SESSION_COOKIE] != old
    assert rig.sessions.find_person(old) is None


def test_device_is_listed_with_the_address_behind_the_proxy(rig, ada):
    client = client_of(rig, trusted_proxies=(ipaddress.ip_network("192.0.2.7/32"),))
    accept(client, ticket(rig, ada), **{"X-Forwarded-For": "6.6.6.6, 198.51.100.9", "User-Agent": "Firefox"})
    device = rig.sessions.list_devices(user_id=ada.id, token=None)[0]
    assert (device.address, device.user_agent) == ("198.51.100.9", "Firefox")


# ---- sign out, whoami ----


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_sign_out_ends_the_session_and_takes_the_cookie(rig, ada, client, method):
    accept(client, ticket(rig, ada))
    token = client.cookies[SESSION_COOKIE]
    response = client.request(method, "/auth/sign-out")
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert (rig.sessions.find_person(token), SESSION_COOKIE in client.cookies) == (None, False)


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}],
)
def test_another_site_cannot_sign_somebody_out(rig, ada, client, headers):
    accept(client, ticket(rig, ada))
    assert client.post("/auth/sign-out", headers=headers).status_code == 403
    assert rig.sessions.find_person(client.cookies[SESSION_COOKIE]) is not None


def test_whoami_says_who_and_nothing_secret(rig, ada, client):
    accept(client, ticket(rig, ada))
    assert client.get("/auth/whoami").json() == {
        "id": ada.id,
        "username": "ada",
        "display_name": "Ada Lovelace",
        "role": "administrator",
        "organisation": "Default",
    }


@pytest.mark.parametrize("cookie", [None, "guess"])
def test_whoami_without_a_sign_in_is_401(rig, ada, client, cookie):
    if cookie is not None:
        client.cookies.set(SESSION_COOKIE, cookie)
    response = client.get("/auth/whoami")
    assert (response.status_code, response.json()["error"]["type"]) == (401, "not_signed_in")


# ---- set-up ----


def test_set_up_link_leads_to_its_page(rig, client):
    token = rig.set_up.make_token()
    response = client.get("/auth/setup", params={"token": token})
    assert (response.status_code, response.headers["location"]) == (303, f"/?setup={token}")


def test_dead_set_up_link_leads_to_the_page_that_says_what_to_do(rig, client):
    token = rig.set_up.make_token()
    rig.set_up.create_administrator(
        token=token, username="ada", display_name="Ada", password=PASSWORD, repeated=PASSWORD
    )
    for dead in (token, "guess"):
        response = client.get("/auth/setup", params={"token": dead})
        assert (response.status_code, response.headers["location"]) == (303, f"/?setup={dead}")


# ---- what else may be asked ----


@pytest.mark.parametrize("path", ["/auth/", "/auth/nothing", "/auth/accept/x", "/auth/whoami/"])
def test_unknown_path_is_404_as_json(client, path):
    response = client.get(path)
    assert (response.status_code, response.json()["error"]["type"]) == (404, "not_found")


def test_wrong_method_is_405_as_json(client):
    response = client.post("/auth/accept")
    assert (response.status_code, response.json()["error"]["type"]) == (405, "method_not_allowed")


def test_database_gone_is_503_with_the_cure():
    def gone():
        raise StoreUnavailable("The database cannot be reached right now.", cure="Try again in a moment.")

    response = TestClient(Starlette(routes=[auth_mount(gone)])).get("/auth/whoami")
    assert (response.status_code, response.json()["error"]["cure"]) == (503, "Try again in a moment.")


# ---- headers ----

INDEX = Path(streamlit.__file__).parent / "static" / "index.html"


def guarded(is_secure=False, content_type="text/html"):
    async def page(request):
        if "if-none-match" in request.headers:
            return Response(status_code=304)
        return HTMLResponse("<p>hi</p>", headers={"content-type": content_type})

    policy = policy_for(INDEX.read_text(encoding="utf-8"))
    middleware = [
        Middleware(SecurityHeaders, policy=policy, is_secure=lambda _request: is_secure),
        Middleware(HiddenPaths, prefixes=("/_stcore/metrics",)),
    ]
    return TestClient(Starlette(routes=[Route("/", page), Route("/_stcore/metrics", page)], middleware=middleware))


def test_every_response_is_confined():
    for path in ("/", "/missing", "/_stcore/metrics"):
        headers = guarded().get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "same-origin")


def test_policy_lets_no_inline_script_and_no_eval_run_but_ours_and_streamlits():
    policy = dict(part.split(" ", 1) for part in guarded().get("/").headers["content-security-policy"].split("; "))
    scripts = policy["script-src"].split()
    own = inline_script_hashes(INDEX.read_text(encoding="utf-8"))
    assert len(own) == 1
    assert {f"'{GO_SCRIPT_HASH}'", f"'{own[0]}'"} <= set(scripts)
    assert {word for word in scripts if not word.startswith("'sha256-")} == {"'self'", "'wasm-unsafe-eval'"}
    assert policy["img-src"] == "'self' data: blob:"


def test_page_names_the_browser_once():
    client = guarded()
    cookie = client.get("/").headers["set-cookie"]
    assert cookie.startswith(f"{BROWSER_COOKIE}=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "set-cookie" not in client.get("/").headers


def test_assets_and_json_name_no_browser():
    assert "set-cookie" not in guarded(content_type="text/css").get("/").headers


@pytest.mark.parametrize(("accept", "is_named"), [("text/html,*/*", True), ("text/css,*/*", False)])
def test_browser_that_kept_the_page_and_lost_its_cookies_is_named_again(accept, is_named):
    answer = guarded().get("/", headers={"if-none-match": "x", "accept": accept})
    assert (answer.status_code, "set-cookie" in answer.headers) == (304, is_named)


def test_tls_makes_the_cookie_secure_and_lasting():
    headers = guarded(is_secure=True).get("/").headers
    assert "; Secure" in headers["set-cookie"]
    assert headers["strict-transport-security"] == "max-age=31536000"


def test_hidden_path_is_404():
    assert guarded().get("/_stcore/metrics").status_code == 404


def test_server_never_runs_a_page_past_the_gate():
    script = (
        "import app\n"
        "from streamlit.runtime.pages_manager import PagesManager\n"
        "PagesManager('app.py')\n"
        "assert PagesManager.uses_pages_directory is False\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr

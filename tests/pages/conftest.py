"""The page tier: Streamlit's AppTest on the services of one fresh database of the embedded server per test."""

from dataclasses import replace

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.context import ContextProxy
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import app_test

from chatplay import runtime
from chatplay.auth.tokens import BROWSER_COOKIE, SESSION_COOKIE
from chatplay.providers import demo
from chatplay.settings import Settings
from chatplay.ui import frame
from chatplay.ui.experiments import sample as experiments_sample
from db import accounts
from tests.databases import database_url, embedded_url  # noqa: F401  (fixtures)
from tests.sign_in_rig import PASSWORD, Clock, CountingHasher


@pytest.fixture
def server_url(embedded_url):  # noqa: F811
    return embedded_url


class _PagesManager(PagesManager):
    """Takes AppTest's reset, so that Streamlit's own class keeps what app.py sets in a server."""


@pytest.fixture(autouse=True)
def _pages_only_through_the_frame(monkeypatch):
    """As app.py does it: otherwise each run but the first would execute a file of pages/ by itself."""
    monkeypatch.setattr(PagesManager, "uses_pages_directory", False)
    monkeypatch.setattr(app_test, "PagesManager", _PagesManager)


@pytest.fixture(autouse=True)
def _packages_are_not_searched_for_components(monkeypatch):
    """Each AppTest would read the metadata of every installed package, for longer than a page takes; we use none."""
    monkeypatch.setattr(manifest_scanner, "scan_component_manifests", list)


@pytest.fixture(autouse=True)
def _faults_fail_the_test(monkeypatch):
    """A page shows its own faults in calm words; here they are what they are."""

    def fail(error):
        raise error

    monkeypatch.setattr(frame, "_draw_fault", fail)


@pytest.fixture(autouse=True)
def _demo_models_are_in_a_hurry(monkeypatch):
    """Tests wait for whole answers; at its own pace one takes some seconds."""
    hurried = {
        name: replace(pace, token_sec=pace.token_sec / 20, first_token_sec=pace.first_token_sec / 20)
        for name, pace in demo._PACES.items()
    }
    monkeypatch.setattr(demo, "_PACES", hurried)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def services(database_url, clock, monkeypatch):  # noqa: F811
    """This process's Runtime, on the test's database."""
    settings = Settings(database_url=database_url, database_pool_size=5)
    built = runtime.build(settings, clock=clock, hasher=CountingHasher())
    monkeypatch.setattr(built.upstreams, "list_offers", lambda **_: [])  # no model server is found on this machine
    built.generations.start()
    monkeypatch.setattr(runtime, "_runtime", built)
    yield built
    built.close()


@pytest.fixture
def cookies(monkeypatch):
    """What the browser sends; AppTest has no cookies of its own."""
    sent = {BROWSER_COOKIE: "my browser"}
    monkeypatch.setattr(ContextProxy, "cookies", property(lambda _self: sent))
    return sent


@pytest.fixture
def sign_in_as(services, cookies):
    """Makes the browser send the cookie of a new sign-in of `person`; gives the token."""

    def sign_in(user_id):
        cookies[SESSION_COOKIE] = services.sessions.open(user_id=user_id, address=None, user_agent="Firefox")
        return cookies[SESSION_COOKIE]

    return sign_in


@pytest.fixture
def ada(services, sign_in_as):
    """An administrator, signed in."""
    user_id = services.set_up.create_administrator(
        token=services.set_up.make_token(), username="ada", display_name="Ada", password=PASSWORD, repeated=PASSWORD
    )
    return services.sessions.find_person(sign_in_as(user_id))


@pytest.fixture
def ana(services, ada):
    """An analyst with a password of her own; not signed in."""
    services.accounts.add_person(actor=ada, username="ana", display_name="Ana", role="analyst")
    found = next(one for one in services.accounts.list_people(actor=ada) if one.username == "ana")
    with services.store.transaction() as conn:
        accounts.set_password(conn, user_id=found.id, password_hash="x", must_change_password=False)
    return found


@pytest.fixture
def draft(services, ada):
    """The ready example, not started."""
    models = services.catalog.list_running(ada.role)
    return experiments_sample.create(services.experiments, models, user_id=ada.id)


@pytest.fixture
def running(services, ada, draft):
    """The same, started; nobody works on it."""
    return services.experiments.start(user_id=ada.id, role=ada.role, experiment_id=draft.id)

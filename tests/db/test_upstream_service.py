"""What administrators do with model servers, what others may not, and that a key never shows."""

import asyncio
import io
import logging
import pickle
import threading
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import text

from chatplay.errors import BadInput, ChatplayError, Conflict, NotAllowed, NotFound
from chatplay.models.upstreams import UpstreamDraft
from chatplay.prices import Price
from chatplay.providers.registry import ModelSettings
from db.engine import libpq_url
from tests import upstream as mock
from tests.db.model_rig import ADMIN, ANALYST, models_of, until

KEY = "sk-planted-5f2c9a7e1b"


@contextmanager
def loop():
    """An event loop on a thread of its own, as the hub has one; gives its `submit`."""
    running = asyncio.new_event_loop()
    thread = threading.Thread(target=running.run_forever, daemon=True)
    thread.start()
    try:
        yield lambda work: asyncio.run_coroutine_threadsafe(work, running)
    finally:
        running.call_soon_threadsafe(running.stop)
        thread.join(timeout=10)
        running.close()


class Rig:
    def __init__(self, watcher, submit):
        self.watcher, self._submit = watcher, submit
        self.service = watcher.models.service(submit)

    def run(self, work):
        return self._submit(work).result(timeout=15)

    def look(self):
        self.run(self.watcher.poller.watch_once())
        return self.watcher.catalog

    def key_in_use(self, name="lab"):
        self.look()
        return next((one.api_key for one in self.watcher.catalog.upstreams if one.name == name), None)

    def wait_until_healthy(self):
        self.run(until(lambda: self.watcher.standing("lab") == "healthy"))

    def entry(self, name="lab"):
        return next(one for one in self.service.list_upstreams(actor=ADMIN) if one.upstream.name == name)


@pytest.fixture
def rig(database_url, tmp_path):
    with loop() as submit:
        watcher = models_of(database_url, tmp_path)
        yield Rig(watcher, submit)
        submit(watcher.models.aclose()).result(timeout=10)
        watcher.poller.release()
        watcher.store.engine.dispose()


@pytest.fixture
def server():
    with mock.Upstream() as server:
        yield server


def draft(base_url="http://127.0.0.1:9/v1", **more):
    return UpstreamDraft(**{"name": "lab", "base_url": base_url, **more})


def test_added_server_is_asked_and_offered_without_a_restart(rig, server):
    assert rig.look().status("analyst").why == "nothing configured"
    rig.service.add(actor=ADMIN, draft=draft(server.base_url))
    status = rig.service.refresh_now(actor=ADMIN)
    assert [info.name for info in rig.watcher.catalog.list_running("analyst")] == ["mock-model"]
    assert (status.why, status.upstreams[0].source) == ("running", "administrator")


def test_added_and_enabled_servers_are_asked_without_waiting_for_a_round(rig, server):
    rig.look()
    upstream_id = rig.service.add(actor=ADMIN, draft=draft(server.base_url))
    rig.wait_until_healthy()
    rig.service.disable(actor=ADMIN, upstream_id=upstream_id)
    assert rig.watcher.standing("lab") == "gone"
    with rig.watcher.store.transaction() as conn:
        conn.execute(text("UPDATE upstream_health SET checked_at = checked_at - interval '1 hour'"))
    rig.service.set_enabled(actor=ADMIN, upstream_id=upstream_id, enabled=True)
    rig.wait_until_healthy()


def test_everything_an_administrator_types_comes_back(rig):
    settings = ModelSettings(
        roles=("administrator",), price=Price(1, 2, 0.5), context_tokens=4096, max_tokens_default=9
    )
    own = {"tiny": ModelSettings(supports_streaming=False, request_defaults={"temperature": 0.1})}
    wanted = draft(
        engine_type="vllm",
        allowed_models=("tiny",),
        default_model="tiny",
        settings=settings,
        per_model=own,
        enabled=False,
    )
    upstream_id = rig.service.add(actor=ADMIN, draft=wanted)
    entry = rig.entry()
    found = entry.upstream
    assert (found.id, found.enabled, found.engine_type, entry.updated_by) == (upstream_id, False, "vllm", "ada")
    assert (found.roles, found.price, found.context_tokens) == (("administrator",), Price(1, 2, 0.5), 4096)
    assert found.per_model == own


@pytest.mark.parametrize(
    "act", ["add", "edit", "set_enabled", "remove", "list_upstreams", "list_offers", "refresh_now"]
)
def test_nobody_but_administrators_may(rig, act):
    given = {"add": {"draft": draft()}, "edit": {"draft": draft(), "upstream_id": 1}}
    given |= {"set_enabled": {"upstream_id": 1, "enabled": True}, "remove": {"upstream_id": 1}}
    with pytest.raises(NotAllowed):
        getattr(rig.service, act)(actor=ANALYST, **given.get(act, {}))
    with pytest.raises(NotAllowed):
        rig.service.test_connection(actor=ANALYST, draft=draft())


def test_name_that_is_taken_is_a_conflict(rig):
    first = rig.service.add(actor=ADMIN, draft=draft())
    with pytest.raises(Conflict):
        rig.service.add(actor=ADMIN, draft=draft(name="LAB"))
    second = rig.service.add(actor=ADMIN, draft=draft(name="two"))
    with pytest.raises(Conflict):
        rig.service.edit(actor=ADMIN, upstream_id=second, draft=draft(name="Lab"))
    rig.service.edit(actor=ADMIN, upstream_id=first, draft=draft(name="Lab"))


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": "demo"}, "name"),
        ({"base_url": "http://169.254.169.254/v1"}, "base_url"),
        ({"base_url": "http://u:p@host/v1"}, "base_url"),
        ({"api_key": "sk-ключ"}, "api_key"),
        ({"api_key_env": "DATABASE_URL"}, "api_key_env"),
        ({"settings": ModelSettings(context_tokens=0)}, "context_tokens"),
        ({"settings": ModelSettings(roles=("root",))}, "roles"),
    ],
)
def test_field_that_cannot_be_used_is_named(rig, change, param):
    with pytest.raises(BadInput) as caught:
        rig.service.add(actor=ADMIN, draft=replace(draft(), **change))
    assert caught.value.param == param
    assert rig.service.list_upstreams(actor=ADMIN) == []


def test_disabled_server_is_gone_until_it_is_switched_on_again(rig, server):
    upstream_id = rig.service.add(actor=ADMIN, draft=draft(server.base_url, default_model="mock-model"))
    rig.service.disable(actor=ADMIN, upstream_id=upstream_id)
    assert rig.look().list_running("analyst") == ()
    rig.service.set_enabled(actor=ADMIN, upstream_id=upstream_id, enabled=True)
    assert len(rig.look().list_running("analyst")) == 1


def test_removed_server_is_gone_and_gone_twice_is_not_found(rig):
    upstream_id = rig.service.add(actor=ADMIN, draft=draft())
    rig.service.remove(actor=ADMIN, upstream_id=upstream_id)
    assert rig.look().find_info("mock-model", upstream="lab") is None
    with pytest.raises(NotFound):
        rig.service.remove(actor=ADMIN, upstream_id=upstream_id)


def test_connections_outlive_an_edit_they_do_not_depend_on_and_no_other(rig, server):
    upstream_id = rig.service.add(actor=ADMIN, draft=draft(server.base_url, api_key=KEY))
    rig.service.refresh_now(actor=ADMIN)
    for price in (Price(1, 2), Price(3, 4)):
        settings = ModelSettings(price=price)
        rig.service.edit(actor=ADMIN, upstream_id=upstream_id, draft=draft(server.base_url, settings=settings))
        rig.service.refresh_now(actor=ADMIN)
    assert (server.open_count, server.connection_count) == (1, 1)
    rig.service.edit(actor=ADMIN, upstream_id=upstream_id, draft=draft(server.base_url, api_key=f"{KEY}-new"))
    rig.service.refresh_now(actor=ADMIN)
    server.wait_until(lambda: (server.open_count, server.connection_count) == (1, 2))
    rig.service.remove(actor=ADMIN, upstream_id=upstream_id)
    server.wait_until(lambda: server.open_count == 0)


# ---- keys ----


def test_stored_key_is_sent_to_its_server(rig, server):
    rig.service.add(actor=ADMIN, draft=draft(server.base_url, api_key=KEY))
    rig.service.refresh_now(actor=ADMIN)
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    assert rig.entry().key == "stored"


def test_changed_address_forgets_the_key_and_the_same_address_keeps_it(rig):
    upstream_id = rig.service.add(actor=ADMIN, draft=draft(api_key=KEY))
    rig.service.edit(actor=ADMIN, upstream_id=upstream_id, draft=draft(default_model="m"))
    assert rig.key_in_use() == KEY
    rig.service.edit(actor=ADMIN, upstream_id=upstream_id, draft=draft("http://127.0.0.1:10/v1"))
    assert rig.key_in_use() is None
    rig.service.edit(actor=ADMIN, upstream_id=upstream_id, draft=draft())
    assert rig.key_in_use() is None, "going back brings the key back"


def test_address_changed_behind_our_back_gets_no_key(rig):
    upstream_id = rig.service.add(actor=ADMIN, draft=draft(api_key=KEY))
    with rig.watcher.store.transaction() as conn:
        conn.execute(text("UPDATE upstreams SET base_url = 'http://127.0.0.1:10/v1'"))
    rig.service.set_enabled(actor=ADMIN, upstream_id=upstream_id, enabled=True)  # has it read again
    assert rig.key_in_use() is None
    assert rig.entry().key == "stored but unreadable"


def test_key_may_be_forgotten_or_come_from_a_variable(rig):
    upstream_id = rig.service.add(actor=ADMIN, draft=draft(api_key=KEY))
    rig.service.edit(actor=ADMIN, upstream_id=upstream_id, draft=draft(api_key_env="LAB_API_KEY"))
    assert (rig.key_in_use(), rig.entry().key) == ("sk-from-variable", "variable")
    rig.service.edit(actor=ADMIN, upstream_id=upstream_id, draft=draft(api_key_env="OTHER_API_KEY"))
    assert (rig.key_in_use(), rig.entry().key) == (None, "variable not set")
    rig.service.edit(actor=ADMIN, upstream_id=upstream_id, draft=draft(api_key=""))
    assert rig.entry().key == "none"


def test_connection_test_uses_the_stored_key_at_its_own_address_only(rig, server):
    upstream_id = rig.service.add(actor=ADMIN, draft=draft(server.base_url, api_key=KEY))
    assert rig.service.test_connection(actor=ADMIN, draft=draft(server.base_url), upstream_id=upstream_id).healthy
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    with mock.Upstream() as attacker:
        rig.service.test_connection(actor=ADMIN, draft=draft(attacker.base_url), upstream_id=upstream_id)
        assert KEY not in str([request.headers for request in attacker.requests])


def test_connection_test_says_why_the_key_that_was_meant_is_not_sent(rig, server):
    server.routes["GET /v1/models"] = mock.refuse(401)
    upstream_id = rig.service.add(actor=ADMIN, draft=draft(api_key=KEY))

    def found(**more):
        return rig.service.test_connection(actor=ADMIN, draft=draft(server.base_url, **more.pop("d", {})), **more)

    assert "variable OTHER_API_KEY is not set" in found(d={"api_key_env": "OTHER_API_KEY"}).problem.message
    assert "stored one is for another address" in found(upstream_id=upstream_id).problem.message
    assert found().problem.cure == "Give it one."


def test_connection_test_says_engine_models_or_what_is_wrong(rig, server):
    server.models = [{"id": "qwen", "owned_by": "vllm", "max_model_len": 4096}]
    found = rig.service.test_connection(actor=ADMIN, draft=draft(server.base_url))
    assert (found.engine_type, found.models[0].context_tokens, found.problem) == ("vllm", 4096, None)
    refused = rig.service.test_connection(actor=ADMIN, draft=draft("http://127.0.0.1:9/v1"))
    assert "connection refused" in refused.problem.message
    assert rig.service.list_upstreams(actor=ADMIN) == []


@pytest.fixture
def everything_logged():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def test_key_is_in_no_log_error_value_or_dump(rig, server, database_url, everything_logged):
    said = []

    def note(act):
        try:
            said.append(act())
        except ChatplayError as error:
            said.extend([error, error.__cause__, error.__context__])

    server.routes["GET /v1/models"] = mock.refuse(401, {"message": f"Incorrect API key provided: {KEY}"})
    keyed = draft(server.base_url, api_key=KEY)
    note(lambda: keyed)
    note(lambda: rig.service.test_connection(actor=ADMIN, draft=keyed))
    note(lambda: rig.service.add(actor=ADMIN, draft=keyed))
    note(lambda: rig.service.add(actor=ADMIN, draft=keyed))
    note(lambda: rig.service.add(actor=ADMIN, draft=replace(keyed, name="x", api_key=f"{KEY} ")))
    note(lambda: rig.service.add(actor=ADMIN, draft=replace(keyed, name="y", api_key=f"{KEY} é")))
    note(lambda: rig.service.add(actor=ADMIN, draft=replace(keyed, name="z", api_key_env=KEY)))
    for address in (
        f"http://ada:{KEY}@gpu/v1",
        f"ada:{KEY}@gpu/v1",
        f"http:/ada:{KEY}@gpu/v1",
        f"http://gpu/v1?k={KEY}",
    ):
        note(lambda address=address: draft(address))
        note(lambda address=address: rig.service.add(actor=ADMIN, draft=draft(address, name="v")))
        note(lambda address=address: rig.service.test_connection(actor=ADMIN, draft=draft(address)))
    note(lambda: rig.service.refresh_now(actor=ADMIN))
    note(lambda: rig.service.list_upstreams(actor=ADMIN))
    note(lambda: rig.watcher.catalog.upstreams)
    note(lambda: rig.watcher.catalog.status("administrator"))
    note(lambda: rig.watcher.catalog.find_provider("lab"))
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}", "the key was never used"
    assert KEY not in f"{said!r} {[str(item) for item in said]}"
    assert KEY.encode() not in pickle.dumps(rig.service.list_upstreams(actor=ADMIN))
    assert KEY not in everything_logged.getvalue()
    assert "ada added model server lab" in everything_logged.getvalue()
    assert KEY not in dump(database_url)


def dump(database_url):
    """Every row of every table as text, binary columns as the bytes they are."""
    with psycopg.connect(libpq_url(database_url)) as conn:
        tables = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = [row for (name,) in tables for row in conn.execute(f'SELECT * FROM "{name}"').fetchall()]
    assert any(b"gAAAA" in field for row in rows for field in row if isinstance(field, bytes)), "no ciphertext is there"
    return str(rows)

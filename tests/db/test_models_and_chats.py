"""Models that come and go under running chats, in whole processes as `runtime.start` builds them."""

import threading
from uuid import uuid4

import pytest

from chatplay import runtime
from chatplay.errors import ProviderUnreachable
from chatplay.models.catalog import ModelCatalog
from chatplay.models.health import Breaker, Health
from chatplay.params import Params
from chatplay.providers.base import Chunk, End
from chatplay.settings import Settings
from tests import upstream as mock
from tests.db.chat_rig import Gate, add_person, eventually, read_to_end, rig


def opened(catalog: ModelCatalog) -> Health:
    breaker = Breaker(threshold=1).after_call(False, catalog.now())
    return Health(breaker=breaker)


@pytest.fixture
def chat(database_url):
    with rig(database_url) as chat:
        yield chat


def test_prompt_to_a_server_that_is_left_alone_is_refused_and_nothing_is_stored(chat):
    chat_id = chat.new_chat()
    catalog = chat.chats._catalog
    catalog.set_health({"scripted": opened(catalog)})
    with pytest.raises(ProviderUnreachable, match="Try again in 30 seconds"):
        chat.send(chat_id=chat_id)
    assert chat.view(chat_id).messages == ()
    assert chat.provider.requests == []


def test_answer_says_which_settings_had_no_effect(chat):
    chat.provider.script = ["Hello", Chunk(end=End(finish_reason="stop", ignored_params=("seed",)))]
    chat_id = chat.new_chat()
    chat.ask(chat_id=chat_id)
    stored = chat.view(chat_id).messages[-1]
    assert stored.metrics.ignored_params == ("seed",)


@pytest.mark.parametrize("failure", [None, ProviderUnreachable("no", provider="scripted", model="tiny")])
def test_end_of_a_call_is_told_as_evidence(chat, failure):
    heard = []
    chat.process.generations.hub._on_call = lambda name, error: heard.append((name, error))
    if failure is not None:
        chat.provider.script = [failure]
    chat.ask()
    assert heard == [("scripted", failure)]


def test_stopped_answer_is_no_evidence(chat):
    heard, gate = [], Gate()
    chat.process.generations.hub._on_call = lambda name, error: heard.append(name)
    chat.provider.script = ["Hello", gate]
    turn = chat.send()
    assert gate.reached.wait(10)
    chat.chats.stop(user_id=chat.user_id, generation_id=turn.generation_id)
    chat.finish(turn)
    assert heard == []


# ---- whole processes ----


@pytest.fixture
def server():
    with mock.Upstream(default=mock.answer("Hello")) as server:
        yield server


@pytest.fixture
def started(database_url, tmp_path, server):
    """Starts processes on one database whose model server is `server`; stops them at the end."""
    running = []

    def start(**settings):
        given = {"use_openai": True, "openai_base_url": server.base_url, "openai_chat_model": mock.MODEL}
        given |= {"health_poll_sec": 0.2, "health_check_ttl_sec": 2, "cb_cooldown_sec": 0.5, "demo_models": False}
        one = runtime.start(Settings(database_url=database_url, data_dir=tmp_path, **{**given, **settings}))
        running.append(one)
        return one

    yield start
    for one in running:
        one.close()


def names(process):
    return [info.name for info in process.catalog.list_running("analyst")]


def test_start_does_not_wait_for_a_server_that_hangs(started, server):
    gate = threading.Event()
    server.routes["GET /v1/models"] = mock.steps(mock.Gate(gate))
    process = started()
    assert names(process) == [mock.MODEL]
    assert process.catalog.find_status("openai").standing == "not checked yet"
    gate.set()


def test_server_that_dies_and_returns_under_a_chat(started, server):
    first, second = started(), started()
    person = add_person(first.store, "ana")
    eventually(lambda: second.catalog.find_status("openai").standing == "healthy")
    view = second.chats.new_chat(user_id=person, role="analyst")

    def ask():
        turn = second.chats.send(
            user_id=person, role="analyst", chat_id=view.chat.id, text="Hi", params=Params(), request_key=uuid4()
        )
        return read_to_end(second.chats, person, turn.generation_id)[1]

    assert ask().status == "complete"
    server.routes["GET /v1/models"] = server.default = mock.SCRIPTS["overloaded"]
    assert ask().status == "failed"
    eventually(lambda: names(first) == names(second) == [])
    seen = second.chats.open_chat(user_id=person, role="analyst", chat_id=view.chat.id)
    assert len(seen.messages) == 4
    assert second.catalog.find_info(mock.MODEL, upstream="openai") is not None
    assert "openai: It answered with an error (HTTP 503)" in second.catalog.status("analyst").message
    server.routes.clear()
    server.default = mock.answer("Back")
    eventually(lambda: names(first) == names(second) == [mock.MODEL])
    assert ask().content == "Back"


def test_process_that_ends_leaves_the_watch_to_the_other(started, server):
    first, second = started(), started()
    eventually(lambda: first.health.leads != second.health.leads)
    leader, other = (first, second) if first.health.leads else (second, first)
    leader.close()
    eventually(lambda: other.health.leads)
    server.models = [{"id": "newcomer", "owned_by": "vllm"}]
    eventually(lambda: names(other) == ["newcomer"])

"""What a model can take is read from where each engine says it; what nobody says stays unknown."""

import asyncio
import contextlib

import pytest

from chatplay.errors import ProviderBadAnswer
from chatplay.models.catalog import build_catalog
from chatplay.models.offers import Place, find_offers
from chatplay.params import Params
from chatplay.providers.base import Message, Request
from chatplay.providers.openai import Limits, OpenAIProvider
from chatplay.providers.registry import Upstream
from tests import upstream as mock


@pytest.fixture
def server():
    with mock.Upstream() as server:
        yield server


def catalog_of(server, **upstream):
    async def run():
        catalog = build_catalog(
            [Upstream("lab", "openai", base_url=server.base_url, **upstream)], Limits(connect_sec=1)
        )
        await catalog.refresh()
        await catalog.refresh()
        await catalog.aclose()
        return catalog

    return asyncio.run(run())


def windows(server, **upstream):
    """(name, the window it runs with, the one it was made for, max_model_len, context_size) of each model."""
    catalog = catalog_of(server, **upstream)
    found = []
    for info in catalog.list_running("analyst"):
        limits = catalog.constraints(info)
        sizes = (info.context_tokens, info.max_context_tokens, limits.max_model_len, limits.context_size)
        found.append((info.name, *sizes))
    return found


def test_vllm_says_it_in_its_list(server):
    server.models = [{"id": "qwen", "owned_by": "vllm", "max_model_len": 32768}]
    assert windows(server) == [("qwen", 32768, None, 32768, None)]


def test_llama_server_says_the_running_window_in_its_props(server):
    server.models = [{"id": "tiny", "owned_by": "llamacpp", "meta": {"n_ctx_train": 131072}}]
    server.routes["GET /props"] = mock.payload(200, {"default_generation_settings": {"n_ctx": 4096}})
    assert windows(server) == [("tiny", 4096, 131072, 4096, 4096)]


def test_ollama_says_it_when_shown_a_model_and_what_runs_in_its_process_list(server):
    server.models = [{"id": name, "owned_by": "library"} for name in ("chosen", "loaded", "plain")]

    def show(request):
        chosen = 'stop "<end>"\nnum_ctx      8192\n' if request.body["model"] == "chosen" else ""
        info = {"general.architecture": "llama", "llama.context_length": 131072}
        return mock.json_body(200, {"model_info": info, "parameters": chosen})

    server.routes["POST /api/show"] = show
    server.routes["GET /api/ps"] = mock.payload(200, {"models": [{"name": "loaded", "context_length": 16384}]})
    assert windows(server) == [
        ("chosen", 8192, 131072, 8192, 8192),
        ("loaded", 16384, 131072, 16384, 16384),
        ("plain", None, 131072, 131072, None),
    ]
    shown = [request for request in server.requests if request.path == "/api/show"]
    assert len(shown) == 3, "a known model is shown again at each check"


def test_awkward_half_megabyte_of_parameters_takes_linear_work(server):
    server.models = [{"id": "odd", "owned_by": "library"}]
    said = {"model_info": {"llama.context_length": 4096}, "parameters": "\n" * 500_000 + "stop"}
    server.routes["POST /api/show"] = mock.payload(200, said)
    assert windows(server) == [("odd", None, 4096, 4096, None)]


def test_lm_studio_says_it_in_its_own_list_and_embeddings_are_left_out(server):
    server.models = [{"id": name, "owned_by": "organization_owner"} for name in ("chat", "idle", "vectors")]
    rows = [
        {"id": "chat", "type": "llm", "loaded_context_length": 4096, "max_context_length": 32768},
        {"id": "idle", "type": "llm", "max_context_length": 8192},
        {"id": "vectors", "type": "embeddings"},
    ]
    server.routes["GET /api/v0/models"] = mock.payload(200, {"data": rows})
    assert windows(server) == [("chat", 4096, 32768, 4096, 4096), ("idle", None, 8192, 8192, None)]


@pytest.mark.parametrize("row", [{}, {"max_model_len": "many"}, {"max_model_len": -1}, {"meta": {"n_ctx_train": True}}])
def test_window_nobody_says_is_unknown(server, row):
    server.models = [{"id": "secretive", **row}]
    assert windows(server) == [("secretive", None, None, None, None)]


def test_configured_window_and_engine_win_over_what_the_server_says(server):
    server.models = [{"id": "qwen", "owned_by": "vllm", "max_model_len": 32768}]
    assert windows(server, context_tokens=2048, engine_type="llama.cpp") == [("qwen", 2048, None, 2048, 2048)]


def test_request_defaults_are_among_the_constraints(server):
    catalog = catalog_of(server, request_defaults={"temperature": 0.2})
    assert catalog.constraints(catalog.default("analyst")).request_defaults == {"temperature": 0.2}


def test_ollama_without_a_model_is_well(server):
    server.routes["GET /v1/models"] = mock.payload(200, {"object": "list", "data": None})
    assert catalog_of(server).find_status("lab").standing == "healthy"


# ---- servers found on this machine ----


def offers(*places, known=()):
    return asyncio.run(find_offers(known=known, places=places))


def test_local_server_is_offered_with_engine_and_models(server):
    server.models = [{"id": "tiny", "owned_by": "llamacpp"}]
    (offer,) = offers(Place(server.port, "vllm", "vllm"), Place(1, "ollama", "ollama"))
    assert (offer.name, offer.base_url) == ("vllm", f"http://127.0.0.1:{server.port}/v1")
    assert (offer.engine_type, offer.models) == ("llama.cpp", ("tiny",))


def test_local_server_that_was_added_is_not_offered_again(server):
    added = Upstream("lab", "openai", base_url=f"http://localhost:{server.port}/v1")
    assert offers(Place(server.port, "vllm", "vllm"), known=[added]) == []
    assert server.requests == []


@pytest.mark.parametrize("script", ["html", "unauthorized", "redirect", "no-model"])
def test_local_page_that_is_no_model_server_is_not_offered(server, script):
    server.routes["GET /v1/models"] = mock.SCRIPTS[script]
    assert offers(Place(server.port, "vllm", "vllm")) == []


def test_offered_name_is_a_free_one(server):
    taken = Upstream("VLLM", "openai", base_url="http://10.0.0.5/v1")
    assert offers(Place(server.port, "vllm", "vllm"), known=[taken])[0].name == "vllm-2"


# ---- lists that are not honest ----


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_endless_list_is_not_read_to_its_end(server, kind):
    piece = mock.Body(b'{"id": "x"},' * 100_000)
    head = mock.Head(200, (("content-type", kind),))
    server.routes["GET /v1/models"] = mock.steps(head, *[piece] * 40, mock.Hang())
    catalog = catalog_of(server)
    assert "something other than a model list" in catalog.problem("lab")
    server.wait_until(lambda: server.requests[-1].disconnected_at is not None)


def test_names_that_would_forge_lines_or_turn_writing_around_are_left_out(server):
    server.models = [{"id": name} for name in ("good", "two\nlines", "\u202eturned", "esc\x1b[31m", "nul\0")]
    assert [name for name, *_ in windows(server)] == ["good"]


def test_owner_and_sizes_that_cannot_be_stored_are_made_storable(server):
    server.models = [{"id": "m", "owned_by": "a\0b", "max_model_len": 10**30}]
    assert windows(server) == [("m", None, None, None, None)]
    (model,) = catalog_of(server).health_of("lab").models
    assert model.owned_by == "a\ufffdb"


def test_long_list_is_cut_but_not_what_is_allowed(server):
    server.models = [{"id": f"m{number}"} for number in range(900)]
    assert len(windows(server)) == 500
    assert [name for name, *_ in windows(server, allowed_models=("m899",))] == ["m899"]
    assert "m899" in {model.name for model in catalog_of(server, allowed_models=("m899",)).health_of("lab").models}


def test_endless_error_of_an_answer_is_not_read_to_its_end(server):
    head = mock.Head(500, (("content-type", "application/json"),))
    server.script(mock.steps(head, *[mock.Body(b"x" * 1_000_000)] * 40, mock.Hang()))

    async def ask():
        provider = OpenAIProvider("lab", base_url=server.base_url)
        request = Request(mock.MODEL, (Message("user", "Hi"),), Params())
        async with contextlib.aclosing(provider), contextlib.aclosing(provider.stream(request)) as chunks:
            return [chunk async for chunk in chunks]

    with pytest.raises(ProviderBadAnswer, match="more than 16 MB"):
        asyncio.run(ask())

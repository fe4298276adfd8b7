"""The catalog: who is offered what, what servers say of themselves, and what happens when they do not answer."""

import asyncio
from dataclasses import replace

import pytest

from chatplay.errors import BadInput, ConfigError, NotFound
from chatplay.models.catalog import ModelCatalog, build_catalog
from chatplay.params import Range
from chatplay.prices import Price
from chatplay.providers.echo import EchoProvider
from chatplay.providers.openai import Limits
from chatplay.providers.registry import Upstream, upstreams_from
from tests import upstream as mock

ROLE = "analyst"
LIMITS = Limits(connect_sec=0.2)


@pytest.fixture
def upstream():
    with mock.Upstream() as server:
        yield server


def discovered(upstreams):
    async def run():
        catalog = build_catalog(upstreams, LIMITS)
        await catalog.refresh()
        await catalog.aclose()
        return catalog

    return asyncio.run(run())


def from_server(server, **settings):
    return discovered(upstreams_from(use_openai=True, openai_base_url=server.base_url, **settings))


def names(catalog, role=ROLE):
    return [info.name for info in catalog.list_running(role)]


def test_catalog_without_openai_offers_demo_first_and_echo():
    catalog = build_catalog(upstreams_from(), LIMITS)
    assert names(catalog) == ["demo-small", "demo-large", "echo"]
    assert catalog.default(ROLE).name == "demo-small"


def test_catalog_with_openai_begins_with_the_chat_model():
    settings = {"openai_chat_model": "gpt-4o-mini", "openai_allowed_models": ("gpt-4o", "gpt-4o-mini")}
    catalog = build_catalog(upstreams_from(use_openai=True, openai_api_key="sk-x", **settings), LIMITS)
    assert names(catalog)[:2] == ["gpt-4o-mini", "gpt-4o"]
    assert catalog.default(ROLE).context_tokens == 128_000
    assert catalog.default(ROLE).engine_type == "openai"


def test_allowed_list_hides_what_the_server_has_besides(upstream):
    upstream.models = [{"id": "small", "owned_by": "vllm"}, {"id": "secret", "owned_by": "vllm"}]
    catalog = from_server(upstream, openai_chat_model="small", openai_allowed_models=("small",))
    assert "secret" not in names(catalog)
    with pytest.raises(NotFound):
        catalog.get("secret", role=ROLE)


def test_discovered_models_carry_engine_and_window(upstream):
    upstream.models = [{"id": "qwen", "owned_by": "vllm", "max_model_len": 32768}]
    info = from_server(upstream, openai_chat_model="gpt-4o-mini").default(ROLE)
    assert (info.name, info.engine_type, info.context_tokens) == ("qwen", "vllm", 32768)


def test_llama_server_window_is_the_running_one(upstream):
    upstream.models = [{"id": "tiny", "owned_by": "llamacpp", "meta": {"n_ctx_train": 131072}}]
    upstream.routes["GET /props"] = mock.payload(200, {"default_generation_settings": {"n_ctx": 4096}})
    assert from_server(upstream).default(ROLE).context_tokens == 4096


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("unauthorized", "asks for an API key"),
        ("forbidden", "HTTP 403"),
        ("no-model", "no model list"),
        ("redirect", "redirects"),
        ("html", "web page"),
        ("hang-before-headers", "did not answer"),
        ("server-error", "HTTP 500"),
    ],
)
def test_server_that_is_not_well_is_not_offered_and_says_why(upstream, script, words):
    upstream.routes["GET /v1/models"] = mock.SCRIPTS[script]
    catalog = from_server(upstream, openai_chat_model="mine")
    assert "mine" not in names(catalog)
    assert words in catalog.problem("openai")
    assert catalog.problem("demo") is None
    assert catalog.find_info("mine", upstream="openai").name == "mine"


def test_configured_model_is_offered_before_the_first_check():
    settings = {"openai_chat_model": "mine", "openai_base_url": "http://127.0.0.1:9/v1"}
    catalog = build_catalog(upstreams_from(use_openai=True, **settings), LIMITS)
    assert catalog.default(ROLE).name == "mine"
    assert catalog.find_status("openai").standing == "not checked yet"


def test_model_of_another_role_is_refused_and_unlisted():
    upstreams = [Upstream("lab", "echo", allowed_models=("big",), roles=("administrator",))]
    catalog = ModelCatalog(upstreams, {"lab": EchoProvider()})
    assert names(catalog) == []
    assert names(catalog, "administrator") == ["big"]
    with pytest.raises(BadInput) as caught:
        catalog.get("big", role=ROLE)
    assert caught.value.param == "model"


def test_catalog_without_models_for_a_role_says_so():
    with pytest.raises(NotFound):
        ModelCatalog([], {}).default(ROLE)


def test_override_needs_the_development_switch_and_a_registered_name():
    catalog = build_catalog(upstreams_from(), LIMITS)
    assert catalog.override("echo", dev=False, role=ROLE) is None
    assert catalog.override(None, dev=True, role=ROLE) is None
    assert catalog.override("echo", dev=True, role=ROLE).name == "echo"
    with pytest.raises(BadInput):
        catalog.override("nobody", dev=True, role=ROLE)


def test_constraints_have_all_fields_nulls_kept(upstream):
    upstream.models = [{"id": "Qwen-2-7B-Instruct", "owned_by": "vllm", "max_model_len": 32768}]
    catalog = from_server(upstream)
    assert vars(catalog.constraints(catalog.default(ROLE))) == {
        "served_model_name": "Qwen-2-7B-Instruct",
        "engine_type": "vllm",
        "task": "generate",
        "context_size": None,
        "max_model_len": 32768,
        "max_tokens_default": 512,
        "request_defaults": None,
        "supports_streaming": True,
        "supports_system_prompt": True,
    }


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (512, None)),
        ({"max_tokens_default": 2048}, (2048, {"max_tokens": 2048})),
        ({"max_tokens_default": 2048, "ranges": {"max_tokens": Range(1, 256)}}, (256, {"max_tokens": 256})),
        ({"max_tokens_default": 64, "request_defaults": {"max_tokens": 300}}, (64, {"max_tokens": 300})),
        ({"ranges": {"max_tokens": Range(1, 256)}}, (256, None)),
    ],
)
def test_configured_max_tokens_are_what_requests_begin_with_within_the_range(settings, expected):
    upstreams = [Upstream("lab", "echo", allowed_models=("m",), **settings)]
    info = ModelCatalog(upstreams, {"lab": EchoProvider()}).default(ROLE)
    assert (info.max_tokens_default, info.request_defaults) == expected


def test_provider_is_found_for_each_model():
    catalog = build_catalog(upstreams_from(), LIMITS)
    assert catalog.provider_for(catalog.get("echo", role=ROLE)).name == "echo"


def test_address_that_is_none_is_a_config_error():
    with pytest.raises(ConfigError):
        build_catalog(upstreams_from(use_openai=True, openai_base_url="ftp://somewhere"), LIMITS)


def test_openai_list_is_cut_to_chat_models(upstream, monkeypatch):
    upstream.models = [{"id": name, "owned_by": "system"} for name in ("gpt-4o", "tts-1", "text-embedding-3-small")]
    monkeypatch.setattr("chatplay.providers.engines.detect_engine", lambda base_url, models: "openai")
    assert names(from_server(upstream))[0] == "gpt-4o"
    assert not {"tts-1", "text-embedding-3-small"} & set(names(from_server(upstream)))


def test_server_that_comes_back_is_offered_again(upstream):
    async def run():
        catalog = build_catalog(upstreams_from(use_openai=True, openai_base_url=upstream.base_url), LIMITS)
        await catalog.refresh()
        while_away = names(catalog)
        upstream.routes.clear()
        await catalog.refresh()
        await catalog.aclose()
        return while_away, catalog

    upstream.routes["GET /v1/models"] = mock.SCRIPTS["server-error"]
    while_away, catalog = asyncio.run(run())
    assert mock.MODEL not in while_away
    assert catalog.problem("openai") is None
    assert catalog.default(ROLE).name == mock.MODEL


def changed(upstream, **change):
    """The providers before and after a change of the one upstream; its server was asked before it."""

    async def run():
        lab = Upstream("lab", "openai", base_url=upstream.base_url, api_key="sk-one")
        catalog = build_catalog([lab], LIMITS)
        await catalog.refresh()
        before = catalog.find_provider("lab")
        catalog.set_upstreams([replace(lab, **change)])
        await catalog.close_retired()
        open_count = 1 if catalog.find_provider("lab") is before else 0
        await asyncio.to_thread(upstream.wait_until, lambda: upstream.open_count == open_count)
        await catalog.refresh()
        await catalog.aclose()
        await asyncio.to_thread(upstream.wait_until, lambda: upstream.open_count == 0)
        return before, catalog.find_provider("lab")

    return asyncio.run(run())


@pytest.mark.parametrize(
    "change",
    [{"price": Price(1, 2)}, {"allowed_models": ("x",)}, {"roles": ("analyst",)}, {"engine_type": "vllm"}, {"id": 7}],
)
def test_provider_keeps_its_connections_when_nothing_they_depend_on_changes(upstream, change):
    before, after = changed(upstream, **change)
    assert after is before
    assert upstream.connection_count == 1


@pytest.mark.parametrize("change", [{"api_key": "sk-two"}, {"base_url": "http://127.0.0.1:9/v1"}, {"enabled": False}])
def test_provider_that_is_replaced_closes_its_connections(upstream, change):
    before, after = changed(upstream, **change)
    assert after is not before


def test_model_names_that_cannot_be_stored_are_left_out(upstream):
    upstream.models = [{"id": "fine"}, {"id": "nul\0"}, {"id": "x" * 500}, {"id": 7}, "no row"]
    assert names(from_server(upstream))[:1] == ["fine"]
    assert len(names(from_server(upstream))) == 4


def test_round_leaves_room_to_keep_what_came_before_its_limit(upstream):
    upstream.routes["GET /v1/models"] = mock.SCRIPTS["hang-before-headers"]

    async def problem():
        catalog = build_catalog(upstreams_from(use_openai=True, openai_base_url=upstream.base_url), LIMITS)
        await catalog.refresh(0.3)
        await catalog.aclose()
        return catalog.problem("openai")

    assert "within 0.25 seconds" in asyncio.run(problem())

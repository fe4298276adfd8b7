"""What everybody sees on the Models page in each of its states, and of models in a chat; servers are scripted."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from chatplay.errors import ProviderSilent, StoreUnavailable
from chatplay.generation.values import AnswerMetrics
from chatplay.models.health import Breaker, CheckResult, Health, explain
from chatplay.prices import Price
from chatplay.providers.registry import ModelSettings
from chatplay.ui.chat import transcript
from chatplay.ui.chat.model_banner import why_not
from tests.pages.model_servers import ADDRESS, add, down, serve, server, well
from tests.pages.screen import figures, opened, ran, said


@pytest.fixture
def analyst(services, ana, sign_in_as):
    """Signed in instead of the administrator."""
    return services.sessions.find_person(sign_in_as(ana.id))


# ---- what everyone sees ----


def test_first_visit_shows_the_built_in_models_and_what_is_configured(services, ada):
    app = opened("models")
    assert figures(app)["Models running"] == "3 of 3"
    assert "built in, needs no server and no key" in said(app)
    assert "No model server is configured yet" in said(app)


def test_card_of_a_well_server_shows_engine_models_context_and_latency(services, ada):
    serve(services, server())
    services.catalog.set_health({"lab": well(services, "qwen")})
    app = opened("models")
    assert {"Healthy", "vLLM", "qwen", "4,096 tokens"} <= {found for found in PARTS if found in said(app)}
    assert figures(app)["Latency of a check, last hour"] == "12 ms"
    assert figures(app)["Uptime, last day"] == "n/a"


PARTS = ("Healthy", "vLLM", "qwen", "4,096 tokens")


def test_card_shows_the_price_that_calls_are_charged_now(services, ada):
    serve(services, server(price=Price(1.0, 2.0)))
    services.catalog.set_health({"lab": well(services, "qwen", "llama")})
    assert "$1.00 in, $2.00 out per million tokens" in said(opened("models"))
    services.prices.set_price(upstream="lab", model="qwen", price=Price(3.0, 4.0), set_by="ada")
    shown = said(opened("models"))
    assert "$3.00 in, $4.00 out per million tokens" in shown
    assert "$1.00 in, $2.00 out per million tokens" in shown


def test_uptime_and_sparkline_come_from_the_stored_checks(services, ada):
    from db import health

    serve(services, server())
    services.catalog.set_health({"lab": well(services, "qwen")})
    with services.store.transaction() as conn:
        for healthy in (True, True, True, False):
            health.add_check(conn, upstream="lab", healthy=healthy, latency_ms=10.0 if healthy else None)
    app = opened("models")
    assert figures(app)["Uptime, last day"] == "75.0 %"
    latency = next(item for item in app.metric if item.label.startswith("Latency"))
    assert list(latency.proto.chart_data) == [10.0, 10.0, 10.0]


def test_card_of_a_server_that_is_down_says_why_and_what_to_do(services, ada):
    serve(services, server(), demo=True)
    services.catalog.set_health({"lab": down(services)})
    app = opened("models")
    assert "Down" in said(app)
    assert "nothing listens there" in app.error[0].value
    assert "Check that it runs" in app.error[0].value
    assert figures(app)["Servers healthy"] == "2 of 3"


def test_server_that_was_not_asked_yet_counts_as_no_healthy_one(services, ada):
    serve(services, server(), demo=True)
    app = opened("models")
    assert "Not checked yet" in said(app)
    assert figures(app)["Servers healthy"] == "2 of 3"


def test_server_left_alone_by_the_breaker_says_for_how_long(services, ada):
    serve(services, server(), demo=True)
    services.catalog.set_health({"lab": down(services, failures=3)})
    assert re.search(r"Paused, next try in \d+ s", said(opened("models")))


def test_server_that_was_not_asked_yet_is_not_called_down(services, ada):
    serve(services, server())
    app = opened("models")
    assert "Not checked yet" in said(app)
    assert not app.error


def test_server_nobody_has_asked_lately_is_not_called_down(services, ada):
    serve(services, server(), demo=True)
    long_ago = services.catalog.now() - timedelta(minutes=5)
    services.catalog._view = replace(
        services.catalog._view, since={"lab": long_ago, "demo": long_ago, "echo": long_ago}
    )
    services.catalog.set_health({"lab": replace(well(services, "qwen"), checked_at=long_ago)})
    services.catalog._clock = lambda: long_ago + timedelta(minutes=5)
    app = opened("models")
    assert "Not checked lately" in said(app)
    assert "checked 5 min ago" in said(app)


def test_hostile_names_of_models_are_shown_as_text(services, ada):
    serve(services, server())
    services.catalog.set_health({"lab": well(services, "<img src=x onerror=alert(1)>")})
    app = opened("models")
    assert "&lt;img src=x" in said(app)
    assert "<img" not in said(app)


@pytest.fixture
def many(services):
    serve_many(services)


def serve_many(services):
    """Twenty servers with ten models each; the last one is down."""
    names = [f"gpu-{number}" for number in range(20)]
    serve(services, *(server(name) for name in names))
    services.catalog.set_health({name: well(services, *(f"{name}-m{k}" for k in range(10))) for name in names})
    services.catalog.set_health({"gpu-19": down(services)})


def shown_cards(app):
    return [item.value.strip("*").replace("\\", "") for item in app.markdown if item.value.startswith("**gpu")]


def test_twenty_servers_with_two_hundred_models_fold_them_and_show_trouble_first(services, ada, many):
    app = opened("models")
    assert figures(app)["Models running"] == "190 of 190"
    assert said(app).count("<summary>10 models</summary>") == 19
    assert shown_cards(app)[:2] == ["gpu-19", "gpu-0"]


def test_search_finds_servers_and_single_models(services, ada, many):
    app = opened("models")
    app.text_input[0].set_value("GPU-7-M3")
    app = ran(app)
    assert shown_cards(app) == ["gpu-7"]
    assert "<summary>1 model</summary>" in said(app)
    app.text_input[0].set_value("no such")
    assert "A shorter search finds more" in said(ran(app))


def test_search_for_a_model_unfolds_it_and_shows_where_its_server_is_changed(services, ada):
    add(services, ada, "gpu-7")
    serve_many(services)
    app = opened("models")
    app.text_input[0].set_value("gpu-7-m3")
    app = ran(app)
    assert "<details open>" in said(app)
    assert ADDRESS in said(app)
    app.text_input[0].set_value("gpu-8-m3")
    assert ADDRESS not in said(ran(app))


# ---- nothing runs ----


def test_nothing_configured_is_the_reason_when_nothing_is(services, ada):
    serve(services)
    app = opened("models")
    assert "No models running" in said(app)
    assert "No model server is configured." in app.info[0].value.replace("\\", "")


def test_nothing_well_leads_to_the_cards_that_say_why(services, ada):
    serve(services, server("a"), server("b"))
    services.catalog.set_health({"a": down(services), "b": down(services)})
    app = opened("models")
    assert "No models running" in said(app)
    assert "All 2 model servers are not ready" in app.error[0].value
    assert len([item for item in app.error if "nothing listens there" in item.value]) == 2


def test_database_unreachable_is_not_taken_for_servers_that_are_down(services, ada, monkeypatch):
    serve(services, server())
    services.catalog.set_health({"lab": down(services)})
    services.catalog.set_polled(None, database=False)
    away = StoreUnavailable("The database cannot be reached.", cure="Try again.")

    def gone(**_):
        raise away

    monkeypatch.setattr(services.upstreams, "list_upstreams", gone)
    app = opened("models")
    assert "nobody knows which models run" in app.error[0].value
    assert "nothing listens there" not in said(app)
    assert figures(app)["Models running"] == "n/a"


def test_nothing_open_to_ones_role_is_said_to_an_analyst(services, analyst):
    serve(services, server(roles=("administrator",)))
    services.catalog.set_health({"lab": well(services, "qwen")})
    app = opened("models")
    assert "No model is open to you" in app.info[0].value
    assert "lab" not in said(app)


@pytest.mark.parametrize(
    ("models", "more", "words"),
    [
        ((), {}, "is well and has no model loaded"),
        (("qwen",), {"allowed_models": ("qwne",)}, "lists none of its allowed models"),
        (("qwen",), {"per_model": {"qwen": ModelSettings(roles=("administrator",))}}, "none of its models is open to"),
    ],
    ids=["none loaded", "none allowed", "none open"],
)
def test_well_server_without_a_model_says_why_there_is_none(services, analyst, models, more, words):
    serve(services, server(**more))
    services.catalog.set_health({"lab": well(services, *models)})
    app = opened("models")
    assert words in app.warning[0].value
    assert "For an administrator:" in app.warning[0].value


def test_trouble_that_passes_with_time_is_told_everybody_alike(services, analyst):
    serve(services, server())
    error = ProviderSilent("quiet", provider="lab", model="")
    silent = CheckResult(None, None, None, explain(error, has_key=False, limit_sec=2.0))
    services.catalog.set_health({"lab": Health().after_check(silent, services.catalog.now())})
    app = opened("models")
    assert "It may be starting or overloaded" in said(app)
    assert "For an administrator" not in said(app)


# ---- who does not administer ----


def test_analyst_sees_cards_and_neither_address_nor_form(services, ada, analyst):
    add(services, ada)
    serve(services, server())
    services.catalog.set_health({"lab": down(services)})
    app = opened("models")
    assert "nothing listens there" in said(app)
    assert "For an administrator: Check that it runs" in said(app)
    assert ADDRESS not in said(app)
    assert not {"Refresh", "Add a model server"} & {item.label for item in app.button}


# ---- in a chat ----


def test_empty_chat_whose_model_is_away_begins_with_one_that_runs(services, ada):
    serve(services, server(), demo=True)
    services.catalog.set_health({"lab": well(services, "qwen")})
    view = services.chats.new_chat(user_id=ada.id, role=ada.role)
    assert view.chat.model_name == "qwen"
    services.catalog.set_health({"lab": down(services, before=well(services, "qwen"))})
    app = opened("chat")
    assert "qwen does not run at the moment." in said(app)
    assert not [name for name in app.selectbox[0].options if "qwen" in name]


@pytest.mark.parametrize(
    ("failures", "words"), [(1, "is down. It cannot be reached"), (3, "is left alone for")], ids=["down", "left alone"]
)
def test_banner_says_why_a_model_does_not_answer(services, ada, failures, words):
    serve(services, server(), demo=True)
    health = replace(well(services, "qwen"), breaker=Breaker(threshold=3))
    services.catalog.set_health({"lab": down(services, failures=failures, before=health)})
    assert words in why_not(services.catalog, "qwen", "lab")
    assert "was removed or disabled" in why_not(services.catalog, "qwen", "elsewhere")


def test_settings_without_effect_are_named_under_the_answer():
    metrics = AnswerMetrics(provider="lab", model="qwen", ignored_params=("seed", "top_p"))
    assert transcript._without_effect(metrics) == "Seed and Top-p had no effect: the server takes none for `qwen`."

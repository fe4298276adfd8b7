"""What the Models page shows in each of its states, on real services; servers and their checks are scripted."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from chatplay.auth.person import Person
from chatplay.errors import ProviderSilent, StoreUnavailable
from chatplay.generation.values import AnswerMetrics
from chatplay.models.health import Breaker, CheckResult, Health, Problem, explain
from chatplay.models.offers import Offer
from chatplay.models.upstreams import UpstreamDraft
from chatplay.params import Range
from chatplay.prices import Price
from chatplay.providers.openai import ListedModel
from chatplay.providers.registry import ModelSettings, Upstream
from chatplay.ui.chat import transcript
from chatplay.ui.chat.model_banner import why_not
from chatplay.ui.models import form as models_form
from tests.sign_in_rig import PASSWORD

APP = str(Path(__file__).resolve().parents[2] / "app.py")
ADDRESS = "http://127.0.0.1:9/v1"
OFF = '<span class="models-off">disabled'
DOWN = Problem("unreachable", "It cannot be reached: nothing listens there.", "Check that it runs.")


@pytest.fixture
def ada(services, sign_in_as, monkeypatch):
    """An administrator, signed in; nothing is found on this machine."""
    monkeypatch.setattr(services.upstreams, "list_offers", lambda **_: [])
    user_id = services.set_up.create_administrator(
        token=services.set_up.make_token(), username="ada", display_name="Ada", password=PASSWORD, repeated=PASSWORD
    )
    return services.sessions.find_person(sign_in_as(user_id))


@pytest.fixture
def analyst(services, ada, sign_in_as) -> Person:
    from db import accounts

    services.accounts.add_person(actor=ada, username="ana", display_name="Ana", role="analyst")
    ana = next(one for one in services.accounts.list_people(actor=ada) if one.username == "ana")
    with services.store.transaction() as conn:
        accounts.set_password(conn, user_id=ana.id, password_hash="x", must_change_password=False)
    return services.sessions.find_person(sign_in_as(ana.id))


def opened():
    return ran(AppTest.from_file(APP, default_timeout=60).run().switch_page("pages/models.py"))


def ran(app):
    """Run, and nothing was raised on the page."""
    app.run()
    assert not app.exception
    return app


def press(app, label):
    next(one for one in app.button if one.label == label).click()
    return ran(app)


def choose(app, choice, upstream_id):
    """As the menu of a server does it."""
    app.session_state["models_state"].dialog = (choice, upstream_id)
    return ran(app)


def fill(app, **fields):
    for name, value in fields.items():
        items = [*app.text_input, *app.number_input, *app.multiselect, *app.selectbox, *app.toggle, *app.checkbox]
        next(one for one in items if one.key == models_form.key(name)).set_value(value)
    return app


def said(app):
    kinds = (app.error, app.warning, app.info, app.success, app.markdown, app.caption, app.subheader)
    texts = [item.value for kind in kinds for item in kind]
    bodies = [item.proto.body for kind in ("badge", "html") for item in app.get(kind)]
    texts += [body for body in bodies if not body.startswith("<style>")]
    return "\n".join(texts).replace("\\", "").replace(":color[:]", ":")


def figures(app):
    return {item.label: item.value for item in app.metric}


def add(services, ada, name="lab", **more):
    return services.upstreams.add(actor=ada, draft=UpstreamDraft(name, ADDRESS, **more))


def serve(services, *upstreams, demo=False):
    """The catalog as if the poller had just read `upstreams`."""
    built_in = [one for one in services.catalog.upstreams if one.source == "built in"] if demo else []
    services.catalog.set_upstreams([*upstreams, *built_in])


def server(name="lab", **more):
    return Upstream(name, "openai", base_url=ADDRESS, source="administrator", **more)


def well(services, *models, latency_ms=12.0):
    listed = tuple(ListedModel(name, "vllm", 4096) for name in models)
    return Health().after_check(CheckResult("vllm", listed, latency_ms), services.catalog.now())


def down(services, *, failures=1, before=None):
    health = before or Health(breaker=Breaker(threshold=3, cooldown_sec=30.0))
    for _ in range(failures):
        health = health.after_check(CheckResult(None, None, None, DOWN), services.catalog.now())
    return health


# ---- what everyone sees ----


def test_first_visit_shows_the_built_in_models_and_what_is_configured(services, ada):
    app = opened()
    assert figures(app)["Models running"] == "3 of 3"
    assert "built in, needs no server and no key" in said(app)
    assert "No model server is configured yet" in said(app)


def test_card_of_a_well_server_shows_engine_models_context_and_latency(services, ada):
    serve(services, server())
    services.catalog.set_health({"lab": well(services, "qwen")})
    app = opened()
    assert {"Healthy", "vLLM", "qwen", "4,096 tokens"} <= {found for found in PARTS if found in said(app)}
    assert figures(app)["Latency of a check, last hour"] == "12 ms"
    assert figures(app)["Uptime, last day"] == "n/a"


PARTS = ("Healthy", "vLLM", "qwen", "4,096 tokens")


def test_uptime_and_sparkline_come_from_the_stored_checks(services, ada):
    from db import health

    serve(services, server())
    services.catalog.set_health({"lab": well(services, "qwen")})
    with services.store.transaction() as conn:
        for healthy in (True, True, True, False):
            health.add_check(conn, upstream="lab", healthy=healthy, latency_ms=10.0 if healthy else None)
    app = opened()
    assert figures(app)["Uptime, last day"] == "75.0 %"
    latency = next(item for item in app.metric if item.label.startswith("Latency"))
    assert list(latency.proto.chart_data) == [10.0, 10.0, 10.0]


def test_card_of_a_server_that_is_down_says_why_and_what_to_do(services, ada):
    serve(services, server(), demo=True)
    services.catalog.set_health({"lab": down(services)})
    app = opened()
    assert "Down" in said(app)
    assert "nothing listens there" in app.error[0].value
    assert "Check that it runs" in app.error[0].value
    assert figures(app)["Servers healthy"] == "2 of 3"


def test_server_left_alone_by_the_breaker_says_for_how_long(services, ada):
    serve(services, server(), demo=True)
    services.catalog.set_health({"lab": down(services, failures=3)})
    assert re.search(r"Left alone, \d+ s", said(opened()))


def test_server_that_was_not_asked_yet_is_not_called_down(services, ada):
    serve(services, server())
    app = opened()
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
    app = opened()
    assert "Not checked lately" in said(app)
    assert "checked 5 min ago" in said(app)


def test_hostile_names_of_models_are_shown_as_text(services, ada):
    serve(services, server())
    services.catalog.set_health({"lab": well(services, "<img src=x onerror=alert(1)>")})
    app = opened()
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
    app = opened()
    assert figures(app)["Models running"] == "190 of 190"
    assert said(app).count("<summary>10 models</summary>") == 19
    assert shown_cards(app)[:2] == ["gpu-19", "gpu-0"]


def test_search_finds_servers_and_single_models(services, ada, many):
    app = opened()
    app.text_input[0].set_value("GPU-7-M3")
    app = ran(app)
    assert shown_cards(app) == ["gpu-7"]
    assert "<summary>1 model</summary>" in said(app)
    app.text_input[0].set_value("no such")
    assert "A shorter search finds more" in said(ran(app))


def test_search_for_a_model_unfolds_it_and_shows_where_its_server_is_changed(services, ada):
    add(services, ada, "gpu-7")
    serve_many(services)
    app = opened()
    app.text_input[0].set_value("gpu-7-m3")
    app = ran(app)
    assert "<details open>" in said(app)
    assert ADDRESS in said(app)
    app.text_input[0].set_value("gpu-8-m3")
    assert ADDRESS not in said(ran(app))


# ---- nothing runs ----


def test_nothing_configured_is_the_reason_when_nothing_is(services, ada):
    serve(services)
    app = opened()
    assert "No models running" in said(app)
    assert "No model server is configured." in app.info[0].value.replace("\\", "")


def test_nothing_well_leads_to_the_cards_that_say_why(services, ada):
    serve(services, server("a"), server("b"))
    services.catalog.set_health({"a": down(services), "b": down(services)})
    app = opened()
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
    app = opened()
    assert "nobody knows which models run" in app.error[0].value
    assert "nothing listens there" not in said(app)
    assert figures(app)["Models running"] == "n/a"


def test_nothing_open_to_ones_role_is_said_to_an_analyst(services, analyst):
    serve(services, server(roles=("administrator",)))
    services.catalog.set_health({"lab": well(services, "qwen")})
    app = opened()
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
    app = opened()
    assert words in app.warning[0].value
    assert "For an administrator:" in app.warning[0].value


def test_trouble_that_passes_with_time_is_told_everybody_alike(services, analyst):
    serve(services, server())
    error = ProviderSilent("quiet", provider="lab", model="")
    silent = CheckResult(None, None, None, explain(error, has_key=False, limit_sec=2.0))
    services.catalog.set_health({"lab": Health().after_check(silent, services.catalog.now())})
    app = opened()
    assert "It may be starting or overloaded" in said(app)
    assert "For an administrator" not in said(app)


# ---- administrators and others ----


def test_analyst_sees_cards_and_neither_address_nor_form(services, ada, analyst):
    add(services, ada)
    serve(services, server())
    services.catalog.set_health({"lab": down(services)})
    app = opened()
    assert "nothing listens there" in said(app)
    assert "For an administrator: Check that it runs" in said(app)
    assert ADDRESS not in said(app)
    assert not {"Refresh", "Add a model server"} & {item.label for item in app.button}


def test_administrator_adds_a_server_with_everything_the_form_has(services, ada):
    app = press(opened(), "Add a model server")
    fill(app, name="lab", base_url=ADDRESS, api_key="sk-planted", engine="vllm", models=["qwen"], context_tokens=2048)
    fill(app, price_input=0.15, price_output=0.6, low_temperature=0.0, high_temperature=2.0, default_temperature=0.2)
    app = press(fill(app, streaming=False), "Save")
    entry = next(one for one in services.upstreams.list_upstreams(actor=ada) if one.upstream.name == "lab")
    found = entry.upstream
    assert (entry.key, found.engine_type, found.allowed_models, found.context_tokens) == (
        "stored",
        "vllm",
        ("qwen",),
        2048,
    )
    assert (found.price, found.ranges) == (Price(0.15, 0.6), {"temperature": Range(0.0, 2.0)})
    assert (found.request_defaults, found.supports_streaming) == ({"temperature": 0.2}, False)
    assert ADDRESS in said(app)
    assert "sk-planted" not in said(app)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "must be 1 to 40"),
        ({"base_url": "ftp://x"}, "not an http or https address"),
        ({"api_key_env": "HOME"}, "must end in _API_KEY"),
        ({"api_key": "sk-1", "api_key_env": "LAB_API_KEY"}, "a key and a variable"),
        ({"price_input": 1.0}, "input and output"),
        ({"price_input": 1e300, "price_output": 1.0}, "from 0 to 1,000,000"),
        ({"price_input": -1.0, "price_output": 1.0}, "from 0 to 1,000,000"),
        ({"low_temperature": 3.0}, "begin at 3 and end at 1"),
        ({"high_temperature": 1e9}, "within -100 and 100"),
        ({"high_max_tokens": 10**15}, "within 1 and 100,000,000"),
        ({"default_temperature": 7.0}, "Temperature is 7, outside 0 to 1"),
        ({"context_tokens": 0}, "from 1 to 100,000,000"),
        ({"name": "taken"}, "already"),
    ],
)
def test_wrong_field_is_told_and_what_was_typed_stays(services, ada, fields, message):
    add(services, ada, "taken")
    app = press(opened(), "Add a model server")
    app = press(fill(app, **{"name": "lab", "base_url": ADDRESS, **fields}), "Save")
    at_the_field, at_the_buttons = app.error
    assert message in at_the_field.value.replace("\\", "")
    assert "has to be corrected first" in at_the_buttons.value
    kept = next(one for one in app.text_input if one.key == models_form.key("base_url"))
    assert kept.value == fields.get("base_url", ADDRESS)
    assert len(services.upstreams.list_upstreams(actor=ada)) == 3


def test_edit_shows_everything_but_the_key_and_keeps_what_is_not_changed(services, ada):
    own = {"qwen": ModelSettings(context_tokens=9)}
    settings = ModelSettings(price=Price(1, 2), ranges={"max_tokens": Range(1, 8192)}, roles=("administrator",))
    upstream_id = add(services, ada, api_key="sk-planted", settings=settings, per_model=own)
    app = choose(opened(), "edit", upstream_id)
    assert "sk-planted" not in "".join(f"{item.value} {item.proto}" for item in app.text_input)
    app = press(fill(app, name="lab-2"), "Save")
    entry = next(one for one in services.upstreams.list_upstreams(actor=ada) if one.upstream.id == upstream_id)
    found = entry.upstream
    assert (found.name, entry.key, found.roles) == ("lab-2", "stored", ("administrator",))
    assert (found.price, found.ranges, found.per_model) == (Price(1, 2), {"max_tokens": Range(1, 8192)}, own)


def editing(monkeypatch, **cells):
    """The person types `cells` into the first row of the table of single models; gives the names it showed."""
    shown = []

    def edited(frame, **_):
        shown[:] = frame["Model"].tolist()
        frame = frame.copy()
        for column, value in cells.items():
            frame.loc[0, next(name for name in frame.columns if name.startswith(column))] = value
        return frame

    monkeypatch.setattr("chatplay.ui.models.fields.st.data_editor", edited)
    return shown


def test_settings_of_a_single_model_are_edited_in_the_table(services, ada, monkeypatch):
    upstream_id = add(services, ada, per_model={"old": ModelSettings(context_tokens=9)})
    serve(services, server())
    services.catalog.set_health({"lab": well(services, "qwen")})
    shown = editing(monkeypatch, Context=77, Begins="temperature = 0.5")
    press(choose(opened(), "edit", upstream_id), "Save")
    found = next(e.upstream for e in services.upstreams.list_upstreams(actor=ada) if e.upstream.id == upstream_id)
    assert shown == ["old", "qwen"]
    assert found.per_model == {"old": ModelSettings(context_tokens=77, request_defaults={"temperature": 0.5})}


def test_wrong_cell_of_the_table_is_told_and_nothing_is_stored(services, ada, monkeypatch):
    upstream_id = add(services, ada, per_model={"old": ModelSettings(context_tokens=9)})
    editing(monkeypatch, Ranges="temperature = [2, 0]")
    app = press(choose(opened(), "edit", upstream_id), "Save")
    assert "Row 1 (`old`), column Ranges: must give the lowest" in said(app)
    found = next(e.upstream for e in services.upstreams.list_upstreams(actor=ada) if e.upstream.id == upstream_id)
    assert found.per_model == {"old": ModelSettings(context_tokens=9)}


def test_stored_key_can_be_forgotten(services, ada):
    upstream_id = add(services, ada, api_key="sk-planted")
    app = choose(opened(), "edit", upstream_id)
    press(fill(app, forget_key=True), "Save")
    assert next(e for e in services.upstreams.list_upstreams(actor=ada) if e.upstream.id == upstream_id).key == "none"


def test_connection_test_shows_what_was_found_and_offers_its_models(services, ada, monkeypatch):
    found = CheckResult("vllm", (ListedModel("qwen", "vllm", None), ListedModel("phi", "vllm", None)), 12.0)
    monkeypatch.setattr(services.upstreams, "test_connection", lambda **_: found)
    app = press(opened(), "Add a model server")
    app = press(fill(app, name="lab", base_url=ADDRESS), "Test connection")
    assert "It answered in 12 ms: vLLM, 2 models." in app.success[0].value.replace("\\", "")
    assert app.multiselect[0].options == ["qwen", "phi"]
    assert app.text_input[0].value == "lab"


def test_connection_test_needs_no_name_and_the_enter_key_presses_it(services, ada, monkeypatch):
    monkeypatch.setattr(services.upstreams, "test_connection", lambda **_: CheckResult("vllm", (), 12.0))
    app = press(opened(), "Add a model server")
    first = next(one for one in app.button if one.proto.is_form_submitter)
    assert first.label == "Test connection"
    app = press(fill(app, base_url=ADDRESS), first.label)
    assert "vLLM, 0 models" in app.success[0].value
    assert "It has no model loaded" in app.warning[0].value


def test_connection_test_names_allowed_models_that_are_not_there(services, ada, monkeypatch):
    found = CheckResult("vllm", (ListedModel("qwen", "vllm", None),), 12.0)
    monkeypatch.setattr(services.upstreams, "test_connection", lambda **_: found)
    app = press(opened(), "Add a model server")
    app = press(fill(app, base_url=ADDRESS, models=["qwen", "qwne"]), "Test connection")
    assert app.warning[0].value.endswith("so not offered: `qwne`")


def test_saving_another_address_says_that_the_key_is_forgotten(services, ada):
    app = choose(opened(), "edit", add(services, ada, api_key="sk-planted"))
    app = press(fill(app, base_url="http://127.0.0.1:10/v1"), "Save")
    assert "stored key was for the other address and is forgotten" in app.toast[0].value


def test_connection_test_that_fails_says_why(services, ada):
    app = press(opened(), "Add a model server")
    app = press(fill(app, name="lab", base_url=ADDRESS), "Test connection")
    assert "connection refused" in said(app)
    assert len(services.upstreams.list_upstreams(actor=ada)) == 2


def test_stored_server_is_tested_from_its_menu(services, ada):
    app = choose(opened(), "test", add(services, ada))
    assert "connection refused" in said(app)
    app = press(app, "Close")
    assert "connection refused" not in said(app)


def test_remove_asks_first(services, ada):
    upstream_id = add(services, ada)
    app = choose(opened(), "remove", upstream_id)
    assert "stay readable" in said(app)
    assert len(services.upstreams.list_upstreams(actor=ada)) == 3
    app = press(app, "Remove")
    assert len(services.upstreams.list_upstreams(actor=ada)) == 2
    assert ADDRESS not in said(app)


def test_server_is_disabled_and_enabled_again(services, ada):
    upstream_id = add(services, ada)
    app = choose(opened(), "switch", upstream_id)
    assert OFF in said(app)
    app = choose(app, "switch", upstream_id)
    assert OFF not in said(app)


def test_server_of_a_file_is_shown_read_only_with_where_it_comes_from(services, ada, monkeypatch):
    configured = replace(server(), source="models.toml", api_key_env="LAB_API_KEY")
    monkeypatch.setattr(services.upstreams._roster, "_configured", (configured,))
    app = opened()
    assert "from models.toml: change it there and start the app again" in said(app)
    assert "LAB_API_KEY is not set" in said(app)
    assert not app.get("menu_button")


def test_server_found_on_this_machine_fills_the_form(services, ada, monkeypatch):
    offer = Offer("ollama", "http://127.0.0.1:11434/v1", "ollama", ("llama3",))
    monkeypatch.setattr(services.upstreams, "list_offers", lambda **_: [offer])
    app = press(opened(), "Add")
    assert [item.value for item in app.text_input[:2]] == ["ollama", "http://127.0.0.1:11434/v1"]
    press(app, "Save")
    assert "ollama" in [one.upstream.name for one in services.upstreams.list_upstreams(actor=ada)]


def test_refresh_has_every_server_asked_now(services, ada):
    add(services, ada)
    app = press(opened(), "Refresh")
    assert "connection refused" in said(app)
    assert "just now" in said(app)


# ---- in a chat ----


def test_empty_chat_whose_model_is_away_begins_with_one_that_runs(services, ada):
    serve(services, server(), demo=True)
    services.catalog.set_health({"lab": well(services, "qwen")})
    view = services.chats.new_chat(user_id=ada.id, role=ada.role)
    assert view.chat.model_name == "qwen"
    services.catalog.set_health({"lab": down(services, before=well(services, "qwen"))})
    app = ran(AppTest.from_file(APP, default_timeout=60).run().switch_page("pages/chat.py"))
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

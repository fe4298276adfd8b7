"""What administrators do with model servers on the Models page: the form, the connection test, the menu, the offers."""

from dataclasses import replace

import pytest

from chatplay.models.health import CheckResult
from chatplay.models.offers import Offer
from chatplay.params import Range
from chatplay.prices import Price
from chatplay.providers.openai import ListedModel
from chatplay.providers.registry import ModelSettings
from chatplay.ui.models import form as models_form
from tests.pages.model_servers import ADDRESS, add, serve, server, well
from tests.pages.screen import opened, press, ran, said

OFF = '<span class="models-off">disabled'


def choose(app, choice, upstream_id):
    """As the menu of a server does it."""
    app.session_state["models_state"].dialog = (choice, upstream_id)
    return ran(app)


def fill(app, **fields):
    for name, value in fields.items():
        items = [*app.text_input, *app.number_input, *app.multiselect, *app.selectbox, *app.toggle, *app.checkbox]
        next(one for one in items if one.key == models_form.key(name)).set_value(value)
    return app


def test_administrator_adds_a_server_with_everything_the_form_has(services, ada):
    app = press(opened("models"), "Add a model server")
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
    app = press(opened("models"), "Add a model server")
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
    app = choose(opened("models"), "edit", upstream_id)
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
    press(choose(opened("models"), "edit", upstream_id), "Save")
    found = next(e.upstream for e in services.upstreams.list_upstreams(actor=ada) if e.upstream.id == upstream_id)
    assert shown == ["old", "qwen"]
    assert found.per_model == {"old": ModelSettings(context_tokens=77, request_defaults={"temperature": 0.5})}


def test_wrong_cell_of_the_table_is_told_and_nothing_is_stored(services, ada, monkeypatch):
    upstream_id = add(services, ada, per_model={"old": ModelSettings(context_tokens=9)})
    editing(monkeypatch, Ranges="temperature = [2, 0]")
    app = press(choose(opened("models"), "edit", upstream_id), "Save")
    assert "Row 1 (`old`), column Ranges: must give the lowest" in said(app)
    found = next(e.upstream for e in services.upstreams.list_upstreams(actor=ada) if e.upstream.id == upstream_id)
    assert found.per_model == {"old": ModelSettings(context_tokens=9)}


def test_stored_key_can_be_forgotten(services, ada):
    upstream_id = add(services, ada, api_key="sk-planted")
    app = choose(opened("models"), "edit", upstream_id)
    press(fill(app, forget_key=True), "Save")
    assert next(e for e in services.upstreams.list_upstreams(actor=ada) if e.upstream.id == upstream_id).key == "none"


def test_connection_test_shows_what_was_found_and_offers_its_models(services, ada, monkeypatch):
    found = CheckResult("vllm", (ListedModel("qwen", "vllm", None), ListedModel("phi", "vllm", None)), 12.0)
    monkeypatch.setattr(services.upstreams, "test_connection", lambda **_: found)
    app = press(opened("models"), "Add a model server")
    app = press(fill(app, name="lab", base_url=ADDRESS), "Test connection")
    assert "It answered in 12 ms: vLLM, 2 models." in app.success[0].value.replace("\\", "")
    assert app.multiselect[0].options == ["qwen", "phi"]
    assert app.text_input[0].value == "lab"


def test_connection_test_needs_no_name_and_the_enter_key_presses_it(services, ada, monkeypatch):
    monkeypatch.setattr(services.upstreams, "test_connection", lambda **_: CheckResult("vllm", (), 12.0))
    app = press(opened("models"), "Add a model server")
    first = next(one for one in app.button if one.proto.is_form_submitter)
    assert first.label == "Test connection"
    app = press(fill(app, base_url=ADDRESS), first.label)
    assert "vLLM, 0 models" in app.success[0].value
    assert "It has no model loaded" in app.warning[0].value


def test_connection_test_names_allowed_models_that_are_not_there(services, ada, monkeypatch):
    found = CheckResult("vllm", (ListedModel("qwen", "vllm", None),), 12.0)
    monkeypatch.setattr(services.upstreams, "test_connection", lambda **_: found)
    app = press(opened("models"), "Add a model server")
    app = press(fill(app, base_url=ADDRESS, models=["qwen", "qwne"]), "Test connection")
    assert app.warning[0].value.endswith("so not offered: `qwne`")


def test_saving_another_address_says_that_the_key_is_forgotten(services, ada):
    app = choose(opened("models"), "edit", add(services, ada, api_key="sk-planted"))
    app = press(fill(app, base_url="http://127.0.0.1:10/v1"), "Save")
    assert "stored key was for the other address and is forgotten" in app.toast[0].value


def test_connection_test_that_fails_says_why(services, ada):
    app = press(opened("models"), "Add a model server")
    app = press(fill(app, name="lab", base_url=ADDRESS), "Test connection")
    assert "connection refused" in said(app)
    assert len(services.upstreams.list_upstreams(actor=ada)) == 2


def test_stored_server_is_tested_from_its_menu(services, ada):
    app = choose(opened("models"), "test", add(services, ada))
    assert "connection refused" in said(app)
    app = press(app, "Close")
    assert "connection refused" not in said(app)


def test_remove_asks_first(services, ada):
    upstream_id = add(services, ada)
    app = choose(opened("models"), "remove", upstream_id)
    assert "stay readable" in said(app)
    assert len(services.upstreams.list_upstreams(actor=ada)) == 3
    app = press(app, "Remove")
    assert len(services.upstreams.list_upstreams(actor=ada)) == 2
    assert ADDRESS not in said(app)


def test_server_is_disabled_and_enabled_again(services, ada):
    upstream_id = add(services, ada)
    app = choose(opened("models"), "switch", upstream_id)
    assert OFF in said(app)
    app = choose(app, "switch", upstream_id)
    assert OFF not in said(app)


def test_server_of_a_file_is_shown_read_only_with_where_it_comes_from(services, ada, monkeypatch):
    configured = replace(server(), source="models.toml", api_key_env="LAB_API_KEY", missing_key="variable not set")
    monkeypatch.setattr(services.upstreams._roster, "_configured", (configured,))
    app = opened("models")
    assert "from models.toml: change it there and start the app again" in said(app)
    assert "LAB_API_KEY is not set" in said(app)
    assert not app.get("menu_button")


def test_server_found_on_this_machine_fills_the_form(services, ada, monkeypatch):
    offer = Offer("ollama", "http://127.0.0.1:11434/v1", "ollama", ("llama3",))
    monkeypatch.setattr(services.upstreams, "list_offers", lambda **_: [offer])
    app = press(opened("models"), "Add")
    assert [item.value for item in app.text_input[:2]] == ["ollama", "http://127.0.0.1:11434/v1"]
    press(app, "Save")
    assert "ollama" in [one.upstream.name for one in services.upstreams.list_upstreams(actor=ada)]


def test_refresh_has_every_server_asked_now(services, ada):
    add(services, ada)
    app = press(opened("models"), "Refresh")
    assert "connection refused" in said(app)
    assert "just now" in said(app)

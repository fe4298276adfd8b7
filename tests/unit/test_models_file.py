"""models.toml: what it may say, and that an error names the line, the upstream, the field and the cure."""

import re

import pytest

from chatplay.errors import ConfigError
from chatplay.params import Range
from chatplay.prices import Price
from chatplay.providers.models_file import read_models_file
from chatplay.providers.registry import Upstream, list_effective, upstreams_from
from chatplay.providers.safety import AddressPolicy
from chatplay.settings import ROOT, load_settings

ENTRY = '[[upstream]]\nname = "lab"\nbase_url = "http://10.0.0.5:8000/v1"\n'


def read(folder, text, environ=None):
    path = folder / "models.toml"
    path.write_text(text)
    return read_models_file(path, environ=environ or {}, policy=AddressPolicy())


def test_shortest_entry_takes_everything_else_by_default(tmp_path):
    (lab,) = read(tmp_path, ENTRY)
    assert (lab.name, lab.address, lab.source) == ("lab", "http://10.0.0.5:8000/v1", "models.toml")
    assert (lab.enabled, lab.roles, lab.engine_type) == (True, ("analyst", "administrator"), None)


def test_example_with_its_comments_taken_away_holds_every_field(tmp_path):
    example = (ROOT / "models.example.toml").read_text()
    assert read(tmp_path, example) == ()
    text = re.sub(r"^# (?=\[|[a-z_]+ = )", "", example, flags=re.MULTILINE)
    gpu, ollama = read(tmp_path, text, {"LAB_API_KEY": " sk-lab "})
    assert (gpu.api_key, gpu.engine_type, gpu.default_model) == ("sk-lab", "vllm", "Qwen/Qwen2-7B-Instruct")
    assert (gpu.price, gpu.context_tokens, gpu.supports_streaming) == (Price(0.15, 0.6, 0.075), 32768, True)
    assert gpu.ranges["temperature"] == Range(0, 2)
    assert gpu.request_defaults == {"temperature": 0.2}
    own = gpu.per_model["Qwen/Qwen2-7B-Instruct"]
    assert (own.context_tokens, own.roles, own.price) == (16384, ("administrator",), None)
    assert ollama.price == Price(0, 0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("base_url = ", "line 4"),
        ('engine = "vlm"', "line 4: upstream `lab`: `engine` must be one of"),
        ("colour = 1", "line 4: upstream `lab`: There is no field `colour`"),
        ('api_key = "sk-secret"', "line 4: upstream `lab`: `api_key` does not belong here"),
        ('api_key_env = "sk-secret"', "line 4: upstream `lab`: `api_key_env` must be the name"),
        ('roles = ["root"]', "line 4: upstream `lab`: `roles`"),
        ('models = "one"', "line 4: upstream `lab`: `models` must be a list"),
        ("enabled = 1", "line 4: upstream `lab`: `enabled` must be true or false"),
        ("price = { input = 1 }", "line 4: upstream `lab`: `price`"),
        ("price = { input = -1, output = 1 }", "line 4: upstream `lab`: `price`"),
        ("ranges = { temperature = [2, 0] }", "line 4: upstream `lab`: `ranges`"),
        ("ranges = { colour = [0, 2] }", "line 4: upstream `lab`: `ranges` may name temperature"),
        ("ranges.max_tokens = [0, 2]", "line 4: upstream `lab`: `ranges`"),
        ("request_defaults = { temperature = 7 }", "line 4: upstream `lab`: `request_defaults`: Temperature is 7"),
        ("context_tokens = 0", "line 4: upstream `lab`: `context_tokens`"),
        ("[upstream.model.tiny]\ncolour = 1", "upstream `lab`: Model `tiny`: There is no field `colour`"),
        ("[[upstreams]]", "line 4: there is no `upstreams`"),
        (ENTRY, "line 5: upstream `lab`: The name is used twice"),
        ('[[upstream]]\nname = "demo"\nbase_url = "http://h/v1"', "line 5: upstream `demo`: The name `demo` is taken"),
        ('[[upstream]]\nname = "two"', "line 4: upstream `two`: `base_url` is missing"),
        ('[[upstream]]\nbase_url = "http://h/v1"', "line 4: upstream 2: `name`"),
        ('[[upstream]]\nname = "two"\nbase_url = "http://169.254.169.254/v1"', "line 6: upstream `two`"),
    ],
)
def test_error_names_line_upstream_field_and_cure(tmp_path, line, words):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"{ENTRY}{line}\n")
    assert words in caught.value.message
    assert caught.value.message.startswith("models.toml")
    assert caught.value.cure
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        'base_url = "http://bob:geheim@gpu/v1"',
        'base_url = "bob:geheim@gpu/v1"',
        'base_url = "http:/bob:geheim@gpu/v1"',
        'base_url = "http://bob:ge/heim@gpu/v1"',
        'base_url = "http://gpu/v1?key=geheim"',
        'base_url = "http://gpu/v1", "geheim"',
        'name = "http://bob:geheim@gpu/v1"',
        'api_key_env = "geheim geheim"',
        'api_key = "geheim"',
        'engine = "geheim"',
        'enabled = "geheim"',
    ],
)
def test_error_shows_no_value_that_may_be_a_secret(tmp_path, line):
    fields = {"name": '"lab"', "base_url": '"http://gpu/v1"'} | dict([line.split(" = ", 1)])
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "[[upstream]]\n" + "".join(f"{name} = {value}\n" for name, value in fields.items()))
    assert "heim" not in str(caught.value)


def test_upstream_shows_neither_key_nor_login_as_text():
    upstream = Upstream("lab", "openai", base_url="http://bob:geheim@gpu/v1", api_key="sk-geheim")
    assert "geheim" not in f"{upstream} {upstream.address}"


def test_file_that_is_named_and_missing_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError):
        read_models_file(tmp_path / "none.toml", environ={}, policy=AddressPolicy())


def test_models_toml_is_read_where_there_is_one(tmp_path):
    assert load_settings(env_file=None, environ={}, root=tmp_path).models_file is None
    (tmp_path / "models.toml").write_text("")
    assert load_settings(env_file=None, environ={}, root=tmp_path).models_file == tmp_path / "models.toml"
    named = load_settings(env_file=None, environ={"CHATPLAY_MODELS_FILE": "lab.toml"}, root=tmp_path)
    assert named.models_file == tmp_path / "lab.toml"


def test_environment_wins_over_the_file_and_the_file_over_administrators():
    others = tuple(
        Upstream(name, "openai", base_url="http://h/v1", source=source)
        for name, source in [("OpenAI", "models.toml"), ("lab", "models.toml"), ("Lab", "administrator")]
    )
    effective = list_effective(upstreams_from(use_openai=True, others=others))
    assert [(one.name, one.source) for one in effective[:2]] == [("openai", "environment"), ("lab", "models.toml")]
    assert [one.name for one in effective[2:]] == ["demo", "echo"]


def test_disabled_upstream_is_not_asked_and_keeps_its_name():
    others = (
        Upstream("lab", "openai", base_url="http://h/v1", enabled=False),
        Upstream("lab", "openai", base_url="http://x/v1"),
    )
    assert list_effective(upstreams_from(others=others, demo_models=False)) == ()


@pytest.mark.parametrize("text", ["upstream = [1]", 'upstream = ["lab"]', "upstream = [[1]]", "upstream = 5"])
def test_entries_that_are_no_tables_are_told_with_the_example(tmp_path, text):
    (tmp_path / "models.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"models\.toml, line 1: `upstream` is no list of tables"):
        read_models_file(tmp_path / "models.toml", environ={}, policy=AddressPolicy())

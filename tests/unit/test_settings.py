"""Settings come from the environment over `.env` over defaults; a bad one is named with its cure."""

import ipaddress

import pytest

from chatplay.errors import ConfigError
from chatplay.settings import load_settings, serving_environment


def load(**environ):
    return load_settings(env_file=None, environ=environ)


def test_settings_of_an_empty_environment_are_the_defaults():
    settings = load()
    assert (settings.host, settings.port, settings.use_openai) == ("127.0.0.1", 8501, False)
    assert settings.warnings() == ()


def test_settings_environment_wins_over_env_file_and_empty_counts_as_unset(tmp_path):
    (tmp_path / ".env").write_text("PORT=9001\nHOST=0.0.0.0\nOPENAI_CHAT_MODEL='quoted'\n")
    settings = load_settings(env_file=tmp_path / ".env", environ={"PORT": "9002", "HOST": ""})
    assert (settings.port, settings.openai_chat_model) == (9002, "quoted")
    assert settings.host == "127.0.0.1"


def test_settings_relative_data_folder_is_taken_from_the_project(tmp_path):
    settings = load_settings(env_file=None, environ={"CHATPLAY_DATA_DIR": "elsewhere"}, root=tmp_path)
    assert settings.data_dir == tmp_path / "elsewhere"


def test_settings_lists_are_split_and_networks_parsed():
    settings = load(OPENAI_ALLOWED_MODELS="a, b,,c", TRUSTED_PROXIES="10.0.0.1/8, ::1")
    assert settings.openai_allowed_models == ("a", "b", "c")
    assert settings.trusted_proxies == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("USE_OPENAI", "maybe"),
        ("OPENAI_BASE_URL", "localhost:8080"),
        ("OPENAI_API_KEY", "sk-ключ"),
        ("DATABASE_URL", "mysql://u:geheim@h/d"),
        ("TRUSTED_PROXIES", "proxy"),
        ("LOG_LEVEL", "LOUD"),
        ("SILENCE_TIMEOUT_SEC", "0"),
        ("HEARTBEAT_SEC", "nan"),
    ],
)
def test_settings_bad_value_is_refused_by_name_with_the_cure(name, value):
    with pytest.raises(ConfigError) as caught:
        load(**{name: value})
    assert name in caught.value.message
    assert caught.value.cure == f"Correct {name} in the environment or in .env."


def test_settings_error_keeps_words_in_capitals():
    with pytest.raises(ConfigError, match=r"OPENAI_BASE_URL: URL scheme should"):
        load(OPENAI_BASE_URL="ftp://x")


def test_settings_every_bad_value_is_named_at_once():
    with pytest.raises(ConfigError, match=r"PORT \('x'\).*LOG_LEVEL"):
        load(PORT="x", LOG_LEVEL="y")


def test_settings_secrets_are_in_no_text():
    settings = load(
        OPENAI_API_KEY="sk-geheim",
        DATABASE_URL="postgresql://u:geheim@h/d",
        OPENAI_BASE_URL="http://bob:geheim@gpu:8000/v1",
        METRICS_TOKEN="geheim-geheim-geheim",
    )
    assert "geheim" not in f"{settings} {settings!r}"
    with pytest.raises(ConfigError) as caught:
        load(DATABASE_URL="mysql://u:geheim@h/d", OPENAI_API_KEY="sk-geheim-é")
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "bob:geheim@gpu:8000/v1",
        "http:/bob:geheim@gpu/v1",
        "http:bob:geheim@gpu/v1",
        "http:///bob:geheim@gpu/v1",
        "http:\\\\bob:geheim@gpu/v1",
        "http://bob:ge/heim@gpu/v1",
        "http://bob:8/geheim@gpu/v1",
        "http://bob:ge?geheim@gpu/v1",
        "http://bob:geheim\u2100@gpu/v1",
        "http://gpu/v1?key=geheim",
        "http://gpu/v1#geheim",
        "ftp://bob:geheim@gpu/v1",
    ],
)
@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "PUBLIC_URL", "TRUSTED_PROXIES", "HEALTH_CHECK_PATH"])
def test_settings_bad_address_is_refused_without_the_password_in_it(name, value):
    with pytest.raises(ConfigError) as caught:
        load(**{name: value})
    assert name in caught.value.message
    assert "heim" not in str(caught.value)


def test_settings_login_belongs_to_model_servers_alone():
    assert load(OPENAI_BASE_URL="http://bob:geheim@gpu:8000/v1/").openai_base_url == "http://bob:geheim@gpu:8000/v1"
    with pytest.raises(ConfigError, match="PUBLIC_URL: it holds a user name or password"):
        load(PUBLIC_URL="https://bob:geheim@chat.example.org")


def test_settings_unreadable_env_file_is_a_config_error(tmp_path):
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe")
    with pytest.raises(ConfigError, match=r"\.env"):
        load_settings(env_file=tmp_path / ".env", environ={})


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        load().port = 1


@pytest.mark.parametrize(
    ("environ", "warned"),
    [
        ({"HEALTH_CHECK_TTL_SEC": "15"}, "HEALTH_CHECK_TTL_SEC"),
        ({"REAP_AFTER_SEC": "3"}, "REAP_AFTER_SEC"),
        ({"USE_OPENAI": "1"}, "OPENAI_API_KEY"),
        ({"HOST": "0.0.0.0"}, "TLS"),
        ({"HOST": "my-machine"}, "HOST is my-machine, set in the environment or in .env, and lets other machines in"),
    ],
)
def test_settings_that_will_disappoint_are_warned_about(environ, warned):
    assert any(warned in warning for warning in load(**environ).warnings())


def test_settings_cookie_is_secure_only_behind_https():
    assert load(PUBLIC_URL="https://chat.example.org/").cookie_secure
    assert not load(PUBLIC_URL="http://chat.example.org").cookie_secure


def test_serving_environment_tells_streamlit_host_and_port():
    told = serving_environment(load(HOST="127.0.0.2", PORT="9001"), {"HOME": "/h"})
    assert (told["STREAMLIT_SERVER_ADDRESS"], told["STREAMLIT_SERVER_PORT"], told["HOME"]) == (
        "127.0.0.2",
        "9001",
        "/h",
    )

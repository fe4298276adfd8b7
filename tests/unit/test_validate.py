"""`validate` grades each part and tells the cure; probes never raise."""

import pytest

from chatplay.__main__ import main
from chatplay.cli import watch
from chatplay.cli.probes import Answer, get
from chatplay.cli.servers import check_servers
from chatplay.cli.validate import check_cookie, check_proxy, check_settings
from chatplay.presence import RunningApp
from chatplay.settings import load_settings
from tests import upstream as mock


def load(**environ):
    return load_settings(env_file=None, environ=environ)


def openai_at(server, **environ):
    return load(USE_OPENAI="1", OPENAI_BASE_URL=server.base_url, **{"OPENAI_CHAT_MODEL": "mock-model", **environ})


def of_the_environment(settings):
    """What is said about the one server of the OPENAI_ variables."""
    return check_servers(settings, None, environ={})[0]


@pytest.mark.parametrize(
    ("script", "model", "grade", "words"),
    [
        (None, "mock-model", "ok", "with 1 model"),
        (None, "other", "fail", "Set OPENAI_CHAT_MODEL to one of: mock-model"),
        (mock.html(200), "mock-model", "fail", "usually ends in /v1"),
        (mock.refuse(401), "mock-model", "fail", "Set OPENAI_API_KEY in the environment or in .env"),
        (mock.refuse(500), "mock-model", "fail", "HTTP 500"),
    ],
)
def test_model_server_answer_is_graded_with_the_cure(script, model, grade, words):
    with mock.Upstream() as server:
        server.routes.update({"GET /v1/models": script} if script else {})
        finding = of_the_environment(openai_at(server, OPENAI_CHAT_MODEL=model))
    assert finding.grade == grade
    assert words in finding.text


def test_model_server_that_is_away_is_a_fail_not_an_exception():
    finding = of_the_environment(load(USE_OPENAI="1", OPENAI_BASE_URL="http://127.0.0.1:9/v1"))
    assert finding.grade == "fail"
    assert "nothing listens there" in finding.text


def test_password_in_an_address_is_not_printed():
    finding = of_the_environment(load(USE_OPENAI="1", OPENAI_BASE_URL="http://ada:geheim@127.0.0.1:9/v1"))
    assert "127.0.0.1:9" in finding.text
    assert "geheim" not in finding.text


@pytest.mark.parametrize("command", ["validate", "status", "run"])
def test_no_command_prints_the_password_of_an_address_it_cannot_read(monkeypatch, capsys, command):
    monkeypatch.setenv("OPENAI_BASE_URL", "ada:geheim@gpu:8000/v1")
    assert main([command]) == 1
    said = capsys.readouterr()
    assert "Correct OPENAI_BASE_URL" in said.err
    assert "geheim" not in said.out + said.err


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_address_that_is_not_of_this_machine_is_told_with_how_to_unset_it(monkeypatch, capsys, host):
    monkeypatch.setenv("HOST", host)
    assert main(["run"]) == 1
    said = capsys.readouterr().err
    assert f"HOST is {host}, which is no address of this machine." in said
    assert "`unset HOST`" in said
    assert "choose another port" not in said


def test_servers_of_models_toml_are_asked_with_their_own_cures(tmp_path):
    with mock.Upstream() as server:
        server.routes["GET /v1/models"] = mock.refuse(401)
        (tmp_path / "m.toml").write_text(
            f'[[upstream]]\nname = "lab"\nbase_url = "{server.base_url}"\napi_key_env = "LAB_API_KEY"\n'
            '[[upstream]]\nname = "old"\nbase_url = "http://127.0.0.1:9/v1"\nenabled = false\n'
        )
        found = check_servers(load(CHATPLAY_MODELS_FILE=str(tmp_path / "m.toml")), None, environ={})
    assert [(one.grade, one.text.split()[0]) for one in found[:2]] == [("fail", "lab"), ("ok", "old")]
    assert "Set LAB_API_KEY" in found[0].text
    assert "switched off" in found[1].text


def test_models_toml_that_cannot_be_read_is_a_finding_with_its_line(tmp_path):
    (tmp_path / "m.toml").write_text("[[upstream]]\nname = 7\n")
    found = check_servers(load(CHATPLAY_MODELS_FILE=str(tmp_path / "m.toml")), None, environ={})
    assert found[0].grade == "fail"
    assert "m.toml, line 2" in found[0].text


@pytest.mark.parametrize(("status", "up"), [(200, True), (None, False)])
def test_status_counts_an_app_only_while_it_answers(monkeypatch, status, up):
    monkeypatch.setattr(watch, "list_running", lambda _: [RunningApp(1, "127.0.0.1", 9, 0.0)])
    monkeypatch.setattr(watch, "get", lambda _: Answer(status))
    assert watch._show_apps(load()) is up


def test_probe_of_nonsense_answers_with_the_problem():
    assert get("http://[broken").status is None


@pytest.mark.parametrize(
    ("environ", "grade"),
    [
        ({}, "ok"),
        ({"PUBLIC_URL": "https://x.org"}, "ok"),
        ({"PUBLIC_URL": "http://x.org"}, "warn"),
        ({"HOST": "0.0.0.0"}, "warn"),
    ],
)
def test_cookie_is_ok_only_when_it_cannot_travel_readable(environ, grade):
    assert check_cookie(load(**environ)).grade == grade


@pytest.mark.parametrize(
    ("environ", "grade"),
    [
        ({}, "ok"),
        ({"PUBLIC_URL": "https://x.org"}, "warn"),
        ({"PUBLIC_URL": "https://x.org", "TRUSTED_PROXIES": "10.0.0.1"}, "ok"),
        ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "fail"),
    ],
)
def test_proxy_headers_are_graded(environ, grade):
    assert check_proxy(load(**environ)).grade == grade


def test_settings_warnings_are_findings():
    assert [finding.grade for finding in check_settings(load(HEALTH_CHECK_TTL_SEC="1"))] == ["warn"]

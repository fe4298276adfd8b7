"""Programs against the OpenAI-compatible routes, each as people call it: `llm`, curl, and the code we hand out."""

import json
import os
import subprocess
import sys
from uuid import uuid4

import pytest

from chatplay.params import Params
from tests.api.openai_rig import MODEL, rig
from tests.databases import fresh_database
from tests.upstream import answer

MODELS = """
- model_id: house
  model_name: {model}
  api_base: {url}/v1
  api_key_name: house
"""


@pytest.fixture(scope="module")
def shared_house(embedded_url):
    with fresh_database(embedded_url) as url, rig(url) as house:
        yield house


@pytest.fixture
def house(shared_house):
    shared_house.upstream.requests.clear()
    return shared_house


@pytest.fixture
def llm(house, tmp_path):
    """Runs the command line with our app as its one extra model."""
    (tmp_path / "extra-openai-models.yaml").write_text(MODELS.format(model=MODEL, url=house.url))

    def run(*arguments):
        command = [sys.executable, "-m", "llm", "-m", "house", "--key", house.token, *arguments]
        environment = os.environ | {"LLM_USER_PATH": str(tmp_path)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.mark.parametrize("how", [(), ("--no-stream",)])
def test_llm_command_line_prints_the_answer(house, llm, how):
    house.upstream.script(answer("Hello", " there"))
    done = llm("Hi", *how, "-o", "temperature", "0.4")
    assert (done.stdout.strip(), done.returncode) == ("Hello there", 0), done.stderr
    assert house.sent()["temperature"] == 0.4


def test_llm_command_line_says_what_is_wrong(house, llm):
    done = llm("Hi", "-o", "temperature", "1.9", "-o", "max_tokens", "99999999999")
    assert done.returncode == 1
    assert "outside 1 to" in done.stderr


def curl(house, path, *arguments):
    command = ["curl", "-sS", "-N", "-H", f"Authorization: Bearer {house.token}", *arguments, f"{house.url}{path}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_curl_gets_an_answer_and_a_stream(house):
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}
    whole = json.loads(curl(house, "/v1/chat/completions", "--json", json.dumps(body)))
    assert whole["choices"][0]["message"]["content"] == "You said: Hi"
    lines = curl(house, "/v1/chat/completions", "--json", json.dumps(body | {"stream": True})).splitlines()
    pieces = [json.loads(line[6:])["choices"][0]["delta"] for line in lines if line.startswith("data: {")]
    assert "".join(piece.get("content", "") for piece in pieces) == "You said: Hi"
    assert lines[-2:] == ["data: [DONE]", ""]


def test_curl_lists_the_models(house):
    assert MODEL in [model["id"] for model in json.loads(curl(house, "/v1/models"))["data"]]


@pytest.mark.parametrize("language", ["curl", "python"])
def test_code_of_an_answer_asks_for_it_again_through_this_app(house, language):
    house.upstream.script(answer("Hello"), answer("Again"))
    who = {"user_id": house.person.id, "role": house.person.role}
    chat_id = house.runtime.chats.new_chat(**who).chat.id
    params = Params(temperature=0.4, stop=("it's",), seed=7)
    turn = house.runtime.chats.send(**who, chat_id=chat_id, text="Don't $HOME", params=params, request_key=uuid4())
    assert house.usage_row()["generation_id"] == turn.generation_id  # its end is stored
    code = house.runtime.chats.get_code(
        **who, app_url=house.url, chat_id=chat_id, message_id=turn.assistant_message.id, language=language
    )
    command = ["sh", "-eu", "-c", code] if language == "curl" else [sys.executable, "-c", code]
    environment = os.environ | {"CHATPLAY_TOKEN": house.token, "NO_PROXY": "*"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "Again" in done.stdout, done.stderr
    assert house.sent(2) == house.sent(1)
    assert house.usage_row()["source"] == "completions"

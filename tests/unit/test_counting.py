"""Which way of counting tokens is taken, and that none of them makes anybody wait."""

import asyncio
import socket
import threading

import pytest

from chatplay.errors import ProviderUnreachable
from chatplay.models.catalog import ModelCatalog, ModelInfo
from chatplay.providers.base import Message
from chatplay.providers.openai import OpenAIProvider
from chatplay.providers.registry import Upstream
from chatplay.tokens import ranks as tokens
from chatplay.tokens.calibrations import Known
from chatplay.tokens.counting import ServerCounts, TokenCounter
from chatplay.tokens.ranks import RankLoader
from tests.unit.test_tokens import TwoLetters

PROMPT = (Message("user", "How deep is the river?"),)


class Untaught:
    def get(self, upstream, model):
        return Known()


class Server(OpenAIProvider):
    """A model server that says what the test wants it to."""

    def __init__(self, answers):
        super().__init__("gpu", base_url="http://127.0.0.1:9/v1")
        self.answers, self.asked = answers, []

    async def find_object(self, path, body=None):
        self.asked.append((path, body))
        await asyncio.sleep(self.answers.get("delay_sec", 0))
        return self.answers.get(path, {})


class Desk:
    """Server counts whose work runs when the test says so."""

    def __init__(self, answers, engine="llama.cpp", limit_sec=2.0):
        self.server, self.work, self.learned = Server(answers), [], []
        self.model = ModelInfo("tiny", "gpu", "openai", engine)
        catalog = ModelCatalog((Upstream("gpu", "openai", base_url="http://127.0.0.1:9/v1"),), {"gpu": self.server})
        self.counts = ServerCounts(
            catalog=catalog, submit=self.work.append, on_counted=self.learned.append, limit_sec=limit_sec
        )

    def find(self, message_id=1, messages=PROMPT):
        return self.counts.find(self.model, message_id, messages)

    def do(self):
        while self.work:
            asyncio.run(self.work.pop())


LLAMA = {"apply-template": {"prompt": "user: hi"}, "tokenize": {"tokens": [1] * 17}}


def test_llama_server_counts_in_the_background_and_is_asked_once():
    desk = Desk(LLAMA)
    assert desk.find() is None
    assert desk.find() is None
    desk.do()
    assert desk.find() == 17
    assert [path for path, _ in desk.server.asked] == ["apply-template", "tokenize"]


def test_vllm_counts_with_its_chat_template():
    desk = Desk({"tokenize": {"count": 23}}, engine="vllm")
    desk.find()
    desk.do()
    assert desk.find() == 23
    assert desk.server.asked[0][1]["messages"] == [{"role": "user", "content": PROMPT[0].content}]


def test_counts_of_the_server_also_teach_the_estimate():
    desk = Desk(LLAMA)
    desk.find()
    desk.do()
    assert [(sample.model, sample.tokens) for sample in desk.learned] == [("tiny", 17)]


def test_another_system_prompt_is_another_count():
    desk = Desk(LLAMA)
    desk.find()
    desk.do()
    assert desk.find(messages=(Message("system", "Be brief."), *PROMPT)) is None
    desk.do()
    assert len(desk.server.asked) == 4


@pytest.mark.parametrize("answers", [{}, {"tokenize": {"count": "many"}}, {"delay_sec": 30}], ids=str)
def test_server_that_cannot_say_is_left_alone_for_a_while(answers):
    desk = Desk(answers, engine="vllm", limit_sec=0.05)
    desk.find()
    desk.do()
    assert desk.find(message_id=2) is None
    assert not desk.work


def test_servers_without_a_tokenizer_are_not_asked():
    desk = Desk(LLAMA, engine="ollama")
    assert desk.find() is None
    assert not desk.work


def counter(desk=None, ranks=None):
    return TokenCounter(calibrations=Untaught(), server=desk.counts if desk else None, ranks=ranks)


def test_ranks_that_are_loaded_come_before_the_estimate(monkeypatch):
    monkeypatch.setattr(tokens, "_loaded", {"o200k_base": TwoLetters()})
    gpt, other = ModelInfo("gpt-4o", "a", "openai", "openai"), ModelInfo("qwen", "a", "openai", "vllm")
    assert (counter().count(["abcdef"], gpt).method, counter().count(["abcdef"], gpt).tokens) == ("tiktoken", 7)
    assert counter().count(["abcdef"], other).method == "estimate"


def test_nothing_to_count_is_nothing():
    assert counter().count([], None).tokens == 0


def test_loading_ranks_that_never_come_makes_nobody_wait(tmp_path):
    never, begun = threading.Event(), threading.Event()

    def load(encoding, **_):
        begun.set()
        never.wait(20)

    loader = RankLoader(tmp_path, load=load)
    count = counter(ranks=loader).count(["some text"], ModelInfo("gpt-4o", "a", "openai", "openai"))
    assert count.method == "estimate"
    assert begun.wait(5)
    never.set()


def test_ranks_that_failed_are_tried_again_later_only(tmp_path):
    tries, now = [], [0.0]
    loader = RankLoader(tmp_path, load=lambda encoding, **_: tries.append(encoding), clock=lambda: now[0])
    for moment in (0.0, 1.0, 700.0):
        now[0] = moment
        loader.want("gpt-4o")
    loader.want("qwen")
    for thread in threading.enumerate():
        if thread.name.startswith("ranks-"):
            thread.join(5)
    assert tries == ["o200k_base"] * 2


def test_network_that_swallows_everything_ends_within_the_limit():
    with socket.create_server(("127.0.0.1", 0)) as hole:
        address = f"http://127.0.0.1:{hole.getsockname()[1]}/o200k_base.tiktoken"
        with pytest.raises(OSError, match="timed out"):
            tokens._read_in_time(address, limit_sec=0.2)


def test_ranks_are_not_loaded_through_a_closed_network(monkeypatch, tmp_path):
    def closed(address, *, limit_sec):
        raise ProviderUnreachable("closed", provider="x", model="y")

    monkeypatch.setattr(tokens, "_read_in_time", closed)
    monkeypatch.setattr(tokens, "_loaded", {})
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert tokens.load_ranks("o200k_base", folder=tmp_path, limit_sec=0.2) is False
    assert tokens.count_tokens("abcd", "gpt-4o").estimated

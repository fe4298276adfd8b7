"""The context line follows each key stroke without a run of the page; what does not fit is held back or cut."""

import json
import math
import re

import pytest
from playwright.sync_api import expect
from streamlit.proto.BackMsg_pb2 import BackMsg

from chatplay.tokens.estimate import estimate, shape_of
from tests.browser.app_process import App
from tests.browser.conftest import MODELS, environment_for
from tests.browser.scripts import held
from tests.live import samples
from tests.upstream import DONE, SCRIPTS, Body, Upstream, answer, delta, event, raw, usage_chunk

WINDOW, KEPT = 4_096, 512
ODD = "für 12 Öfen  x += f(y);\n\n日本語。 да 👍 don't\tstop ... ==> {'a': [1, 2.50]}"


@pytest.fixture(scope="module")
def _own_upstream():
    models = [{"id": name, "object": "model", "owned_by": "vllm", "max_model_len": WINDOW} for name in MODELS]
    with Upstream(models=models) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def own_app(_own_upstream):
    with App(**environment_for(_own_upstream)) as app:
        yield app


@pytest.fixture
def app(own_app):
    return own_app


@pytest.fixture
def upstream(_own_upstream):
    _own_upstream._queue.clear()
    _own_upstream.requests.clear()
    return _own_upstream


def taking(prompt_tokens, text="Understood."):
    """An answer whose server counted so many tokens."""
    return raw(
        before=(text,), then=(Body(event(delta(finish="stop"))), Body(event(usage_chunk(prompt_tokens, 4))), Body(DONE))
    )


def tokens_of(chat, text):
    """By the weights on the page, which the answers of other tests may have changed."""
    weights = tuple(json.loads(line(chat).get_attribute("data-weights")))
    return math.ceil(estimate(shape_of(text), weights))


def words(tokens):
    """A text of about so many tokens."""
    return "river " * math.ceil(tokens / estimate(shape_of("river " * 1_000)) * 1_000)


def line(chat):
    return chat.page.locator(".chat-context")


def expect_tokens(chat, tokens):
    expect(chat.page.locator(".chat-count")).to_have_text(re.compile(rf"^Context: ~?{tokens:,} / {WINDOW:,} tokens$"))


def expect_level(chat, level):
    expect(line(chat)).to_have_class(re.compile(rf"chat-{level}\b"))


def held_ways(chat):
    return chat.page.get_by_role("button", name="Leave out the oldest turns", exact=True)


@pytest.mark.parametrize(
    "text", [ODD, *(samples.texts(kind)[1] for kind in samples.KINDS)], ids=["odd", *samples.KINDS]
)
def test_number_follows_typing_as_the_server_would_count_and_no_script_runs(chat, text):
    expect_tokens(chat, KEPT)
    chat.page.evaluate(
        """() => { window.sent = []; const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function(data) { window.sent.push([...data]); return send.call(this, data) } }"""
    )
    chat.put(text)
    expect_tokens(chat, KEPT + tokens_of(chat, text))
    chat.input.press("End")
    chat.input.press_sequentially(" ab")
    expect_tokens(chat, KEPT + tokens_of(chat, text + " ab"))
    sent = [BackMsg.FromString(bytes(frame)) for frame in chat.page.evaluate("window.sent")]
    assert all(message.rerun_script.is_auto_rerun for message in sent)  # the page's timers go on


def test_line_grows_with_the_answer_while_it_comes(chat, upstream, gate):
    upstream.script(held(gate, "The river runs. " * 40))
    chat.send("Tell me")
    expect(chat.performance).to_have_attribute("data-live", re.compile("^[1-9]"))
    kept = chat.page.locator(".chat-count")
    expect(kept).not_to_have_attribute("title", re.compile(f" {KEPT} kept for the answer"))
    used, left = (int(n.replace(",", "")) for n in re.findall(r"([\d,]+) (?:for|kept)", kept.get_attribute("title")))
    assert used > KEPT - left > 0
    expect_tokens(chat, used + left)
    gate.set()
    expect(chat.performance).to_have_attribute("data-live", "0")


def test_line_turns_amber_at_80_percent_and_tells_how_it_was_counted(chat):
    expect_level(chat, "free")
    chat.put(words(WINDOW * 0.82 - KEPT))
    expect_level(chat, "nearly")
    expect(chat.page.locator(".chat-count")).to_have_attribute(
        "title", re.compile("512 kept for the answer.*Estimated")
    )
    chat.put("short")
    expect_level(chat, "free")


@pytest.mark.parametrize("way", ["Enter", "button"])
def test_message_over_the_window_is_held_back_in_the_browser_with_its_text(chat, upstream, way):
    text = words(WINDOW)
    chat.put(text)
    expect_level(chat, "held")
    says = chat.page.get_by_text("Shorten the message or lower Max tokens.")
    expect(says).to_be_visible()
    expect(held_ways(chat)).to_be_hidden()  # no turn that is left out would make room
    if way == "Enter":
        chat.input.press("Enter")
    else:
        chat.page.get_by_test_id("stChatInputSubmitButton").click(force=True)
    chat.input.press("End")
    expect(chat.input).to_have_value(text)
    expect(chat.messages).to_have_count(0)
    assert not upstream.chats
    chat.put("shorter")
    expect(says).to_be_hidden()
    chat.ask("shorter", "w19")


def test_fewer_tokens_kept_for_the_answer_make_room_at_once(chat):
    chat.put(words(WINDOW - KEPT + 120))
    expect_level(chat, "held")
    slider = chat.page.get_by_role("slider", name="Max tokens")
    slider.focus()
    for _ in range(4):
        slider.press("ArrowLeft")
    expect_level(chat, "nearly")


def test_service_holds_back_too_and_gives_the_text_back(chat, upstream):
    text = words(WINDOW)
    chat.put(text)
    chat.page.evaluate("document.querySelector('.chat-context').removeAttribute('data-weights')")
    chat.input.press("Enter")
    expect(chat.page.get_by_role("alert").filter(has_text="does not fit the context window")).to_be_visible()
    expect(chat.input).to_have_value(text)
    assert not upstream.chats


def test_number_after_an_answer_is_what_the_server_reported(chat, upstream):
    upstream.script(taking(1_230))
    chat.ask("Hi", "Understood.")
    expect_tokens(chat, 1_234 + KEPT)
    expect(chat.page.locator(".chat-count")).to_have_text("Context: 1,746 / 4,096 tokens")


def test_server_that_lies_about_its_usage_does_not_close_the_chat(chat, upstream):
    upstream.script(SCRIPTS["usage-lies"], answer("Still here."))
    chat.ask("Hi", "Hello there")
    expect_level(chat, "free")
    chat.ask("And now?", "Still here.")


def test_oldest_turns_are_left_out_when_the_chat_says_so_and_the_thread_shows_it(chat, upstream):
    for taken, first in ((900, "first"), (1_800, "second"), (2_700, "third")):
        upstream.script(taking(taken, f"Answer to the {first}."))
        chat.ask(f"{first} {words(880)}", f"Answer to the {first}.")
    chat.put(f"fourth {words(1_200)}")
    expect_level(chat, "held")
    expect(held_ways(chat)).to_be_visible()
    held_ways(chat).click()
    expect_level(chat, "dropping")
    upstream.script(taking(3_000, "Shortened."))
    chat.input.press("Enter")
    expect(chat.answer).to_contain_text("Shortened.")
    expect(chat.page.get_by_text("The oldest 2 messages were, about")).to_be_visible()
    sent = [
        message["content"].split()[0] for message in upstream.chats[-1].body["messages"] if message["role"] == "user"
    ]
    assert sent == ["second", "third", "fourth"]
    chat.page.reload()
    chat.ready()
    expect(chat.page.get_by_text("What stands above was left out of the last prompt")).to_be_visible()

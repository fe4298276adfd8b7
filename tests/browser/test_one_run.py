"""A message and its answer are one run of one fragment: the rest of the page stays as it was, and can be used."""

import json

import pytest
from playwright.sync_api import expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.chat_screen import Chat
from tests.browser.scripts import held, silent_until
from tests.upstream import SCRIPTS, answer

_WATCH_FADING = """() => { window.faded = new Set(); setInterval(() => {
  for (const one of document.querySelectorAll('[data-stale=true]'))
    if (one.textContent && getComputedStyle(one).opacity < 0.9) window.faded.add(one.textContent) }, 40) }"""


@pytest.fixture
def begun_runs(page):
    """The fragments of each run that the page hears of, but for those that come by a timer."""
    runs, timers = [], set()

    def note(frame):
        message = ForwardMsg.FromString(frame)
        if message.WhichOneof("type") == "auto_rerun":
            timers.add(message.auto_rerun.fragment_id)
        elif message.WhichOneof("type") == "new_session":
            ids = set(message.metadata.run.fragment_ids)
            if not ids or ids - timers:  # none: the whole page
                runs.append(ids - timers)

    page.on("websocket", lambda socket: socket.on("framereceived", note))
    return runs


def test_a_message_is_sent_drawn_and_answered_in_one_run(begun_runs, chat, upstream):
    for text in ("First", "Second"):
        upstream.script(answer(f"A reply to the {text.lower()} message."))
        begun_runs.clear()
        chat.ask(text, f"A reply to the {text.lower()} message.")
        assert len(begun_runs) == 1
        assert len(begun_runs[0]) == 1


def test_a_page_that_is_run_again_by_its_key_is_itself_again_afterwards(begun_runs, chat):
    chat.page.evaluate("document.activeElement.blur()")
    begun_runs.clear()
    chat.page.keyboard.press("r")
    for _ in range(100):
        chat.page.wait_for_timeout(100)
        if begun_runs:
            break
    assert begun_runs == [set()]
    expect(chat.page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


@pytest.mark.parametrize("says", ["The beginning,", ""])
def test_what_stands_on_the_page_does_not_fade_while_a_later_answer_comes(chat, upstream, gate, says):
    chat.ask("First", "w19")
    upstream.script(held(gate, says) if says else silent_until(gate, "Late."))
    chat.page.evaluate(_WATCH_FADING)
    chat.send("Second")
    expect(chat.messages).to_have_count(4)
    chat.page.wait_for_timeout(2_500)
    assert chat.page.evaluate("[...window.faded]") == []
    expect(chat.performance).to_be_visible()
    expect(chat.history.get_by_role("button", name="First", exact=True)).to_be_visible()


_BLOCKS = (
    "# Head\n\nA first paragraph.\n\n```python\n" + "wide = " + "1 + " * 80 + "1\n```\n\n- one\n- two\n\nThe last."
)
_WATCH = """() => { window.seen = new Set(); setInterval(() => {
  const one = document.querySelectorAll('[data-testid=stChatMessage]')[1], code = one.querySelector('pre');
  window.seen.add(JSON.stringify([one.offsetHeight, String(getSelection()), code ? code.scrollLeft : 0])) }, 30) }"""


@pytest.mark.parametrize("first", [answer(_BLOCKS), SCRIPTS["rate-limited"]], ids=["blocks", "failed"])
def test_an_earlier_answer_stays_as_it_is_while_the_next_one_comes(chat, upstream, gate, first):
    upstream.script(first)
    chat.send("First").done()
    upstream.script(held(gate, "The beginning,", " the end."))
    chat.send("Second")
    chat.messages.nth(1).evaluate(
        """one => { const code = one.querySelector('pre'); if (code) code.scrollLeft = 120;
        getSelection().selectAllChildren(one.querySelector('p')) }"""
    )
    chat.page.evaluate(_WATCH)
    expect(chat.answer).to_contain_text("The beginning,")
    chat.page.wait_for_timeout(1_500)
    gate.set()
    expect(chat.answer).to_contain_text("The beginning, the end.")
    chat.done()
    [(_, selected, _)] = map(json.loads, chat.page.evaluate("[...window.seen]"))  # the same all the time
    assert selected


def test_an_earlier_answer_can_be_copied_while_the_next_one_comes(chat, upstream, gate):
    chat.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    chat.ask("First", "w19")
    upstream.script(held(gate, "The beginning,", " the end."))
    chat.send("Second")
    expect(chat.answer).to_contain_text("The beginning,")
    chat.choose(chat.messages.nth(1), "Copy")
    expect(chat.page.get_by_text("Copied.")).to_be_visible()
    assert "w19" in chat.page.evaluate("navigator.clipboard.readText()")
    gate.set()
    expect(chat.answer).to_contain_text("The beginning, the end.")
    expect(chat.messages).to_have_count(4)


def test_many_messages_in_a_row_stand_once_and_in_order_with_their_figures(app, chat, upstream, page):
    numbers = range(1, 8)  # more than are drawn before the page is drawn as a whole
    for number in numbers:
        upstream.script(answer(f"Answer {number}."))
        chat.ask(f"Question {number}", f"Answer {number}.")
    texts = [text.strip() for text in chat.messages.all_inner_texts()]
    assert len(texts) == 2 * len(numbers)
    for number, (question, reply) in enumerate(zip(texts[::2], texts[1::2], strict=True), start=1):
        assert f"Question {number}" in question
        assert f"Answer {number}." in reply
    expect(page.get_by_role("button", name="Message actions")).to_have_count(len(texts))
    expect(Chat(page, app.url).open(f"?chat={chat.id}").answer).to_contain_text("Answer 7.")


def test_a_prompt_keeps_its_lines_when_its_menu_comes(chat, upstream, gate):
    chat.page.set_viewport_size({"width": 380, "height": 800})
    upstream.script(silent_until(gate, "Late."))
    chat.page.evaluate(
        """() => { window.widths = new Set(); setInterval(() => {
             const said = document.querySelector('.stChatMessage .stText');
             if (said) window.widths.add(said.getBoundingClientRect().width) }, 20) }"""
    )
    chat.send("A prompt that nearly fills its line")
    expect(chat.messages.first.get_by_role("button")).to_be_visible()
    assert len(chat.page.evaluate("[...window.widths]")) == 1

"""A page on which React has taken everything down loads again by itself: what was on it is kept elsewhere."""

from playwright.sync_api import expect

from tests.browser.scripts import held

# What an uncaught fault leaves of the page.
_TAKE_DOWN = "document.getElementById('root').replaceChildren()"


def test_a_page_gone_blank_in_mid_answer_comes_back_with_the_answer(chat, upstream, gate):
    upstream.script(held(gate, "Before the fault,", " after it."))
    chat.send("Hold on")
    expect(chat.answer).to_contain_text("Before the fault,")
    chat.page.evaluate(_TAKE_DOWN)
    expect(chat.answer).to_contain_text("Before the fault,")
    gate.set()
    expect(chat.answer).to_contain_text("Before the fault, after it.")
    expect(chat.messages).to_have_count(2)


def test_a_page_that_goes_blank_at_once_again_is_not_loaded_for_ever(chat):
    chat.page.evaluate(_TAKE_DOWN)
    expect(chat.input).to_be_visible()
    chat.page.evaluate("window.stillThis = true")
    chat.page.evaluate(_TAKE_DOWN)
    chat.page.wait_for_timeout(1_500)
    assert chat.page.evaluate("window.stillThis && document.getElementById('root').childElementCount === 0")

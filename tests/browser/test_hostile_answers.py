"""A model's answer may say anything: nothing of it is loaded, run, coloured or set as a formula."""

import pytest
from playwright.sync_api import expect

from tests.browser.canary import alive
from tests.browser.scripts import held
from tests.upstream import answer

FORMS = {
    "inline": "![leak]({url}/inline.png)",
    "inline with a title": '![leak](<{url}/title.png> "title")',
    "reference": "![leak][ref]\n\n[ref]: {url}/reference.png",
    "HTML": '<img src="{url}/html.png">',
    "HTML in a paragraph": 'Look: <img src={url}/p.png onerror="fetch(`{url}/onerror`)"> here',
    "table": "| a | b |\n|---|---|\n| ![leak]({url}/table.png) | <img src='{url}/cell.png'> |",
    "list and quote": "> - ![leak]({url}/quote.png)",
    "link in an image's text": "[![leak]({url}/nested.png)]({url}/target)",
    "frames and styles": '<iframe src="{url}/frame"></iframe><style>@import "{url}/style.css";</style>',
    "link and script": '<link rel=stylesheet href="{url}/l.css"><script src="{url}/s.js"></script>',
    "svg": '<svg><image href="{url}/svg.png"/></svg>',
    "fence of diagrams": "```mermaid\ngraph TD; A[<img src='{url}/mermaid.png'>]\n```",
    "entities": "&#33;[leak]({url}/entity.png)",
    "directive": ":red[![leak]({url}/directive.png)]",
}


@pytest.fixture
def canary():
    with alive() as canary:
        yield canary


def test_no_form_of_remote_content_is_loaded(chat, upstream, canary):
    for form in FORMS.values():
        upstream.script(answer(*_in_pieces(form.format(url=canary.url)), "\n\nThat was all."))
        chat.ask("Show", "That was all.")
    chat.page.reload()
    expect(chat.answer).to_contain_text("That was all.")
    expect(chat.messages.locator("img, iframe, svg image, link, script")).to_have_count(0)
    assert canary.hits == []


@pytest.mark.parametrize(
    "half", ["![leak]({url}/half.png", "![leak]({url}/whole.png)", "<img src='{url}/half.png'", "![leak][ref]"]
)
def test_what_is_half_written_loads_nothing_while_it_streams(chat, upstream, canary, gate, half):
    after = f"?more)'> \n\n[ref]: {canary.url}/late.png\n\nOver."
    upstream.script(held(gate, "Some text before.\n\n" + half.format(url=canary.url), after))
    chat.send("Show")
    expect(chat.answer).to_contain_text("Some text before.")
    gate.set()
    expect(chat.answer).to_contain_text("Over.")
    chat.done()
    assert canary.hits == []


@pytest.mark.parametrize(
    "text",
    ["$5 and $7", ":red[x]", ":material/home: and :smile:", "$$x^2$$ and $y$", ":rainbow-background[z]", "a -> b"],
)
def test_what_streamlit_would_interpret_is_shown_letter_by_letter(chat, upstream, text):
    upstream.script(answer("It costs ", *_in_pieces(text), " today."))
    chat.ask("Say", f"It costs {text} today.")
    chat.page.reload()
    expect(chat.answer).to_contain_text(f"It costs {text} today.")
    expect(chat.answer.locator(".katex")).to_have_count(0)


def test_markdown_that_is_harmless_is_drawn(chat, upstream):
    text = "# Title\n\nSome **bold** text.\n\n```python\nprint(1)\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nThe end."
    upstream.script(answer(*_in_pieces(text)))
    chat.ask("Show", "The end.")
    expect(chat.answer.locator("strong").filter(has_text="bold")).to_be_visible()
    expect(chat.answer.locator("pre code")).to_contain_text("print(1)")
    expect(chat.answer.get_by_role("cell", name="2")).to_be_visible()


def test_an_address_in_a_title_becomes_no_link(chat, upstream):
    upstream.script(answer("Seen."))
    chat.ask("www.x.test https://x.test a@x.test", "Seen.")
    chat.page.reload()
    row = chat.history.get_by_role("button", name="www.x.test https://x.test a@x.test")
    expect(row).to_be_visible()
    expect(chat.history.locator("a")).to_have_count(0)


def test_an_address_with_a_dollar_sign_is_a_whole_link(chat, upstream):
    upstream.script(answer("See http://x.test/$a and [this](http://x.test/$b) for $5."))
    chat.ask("Where?", "See http://x.test/$a and this for $5.")
    addresses = [link.get_attribute("href") for link in chat.answer.get_by_role("link").all()]
    assert addresses == ["http://x.test/%24a", "http://x.test/%24b"]


def _in_pieces(text, size=5):
    return [text[start : start + size] for start in range(0, len(text), size)]

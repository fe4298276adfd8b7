"""A model's answer as Markdown: what it may show, and what it may never do."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chatplay.ui import markdown, markdown_line
from chatplay.ui.markdown import plain_markdown, safe_markdown, stable_part

# A stricter reader than the browser's: HTML and references on, as an attacker would wish.
ATTACKED = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def tokens_of(text):
    for token in ATTACKED.parse(text):
        yield token
        yield from token.children or ()


def acting(text):
    """What in `text` would load, run or lead somewhere it must not."""
    for token in tokens_of(text):
        if token.type in ("image", "html_block", "html_inline"):
            yield token.type
        href = str(token.attrGet("href") or "")
        if href and not re.match(r"(https?://|mailto:)", href, re.IGNORECASE):
            yield href
        if token.type == "text" and re.search(r":material_\w+:|:streamlit:", token.content):
            yield token.content
        if token.type == "fence" and "mermaid" in token.info:
            yield token.info


ATTACKS = [
    "!![a](http://evil.test/x.png)",
    "!!![a](http://evil.test/x.png)",
    "!http://evil.test/x.png?$",
    "!www.evil.test/x.png?$",
    "http://ok.test/![a](http://evil.test/x.png)",
    "www.ok.test![a](http://evil.test/x.png)",
    "http://ok.test/!![a](http://evil.test/x.png)",
    "&#58;(javascript:x)",
    "\\:(javascript:x)",
    "![a](http://evil.test/x.png)",
    "!\\[a](http://evil.test/x.png)",
    "\\![a](http://evil.test/x.png)",
    "![a][1]\n\n[1]: http://evil.test/x.png",
    "![1]\n\n[1]: http://evil.test/x.png",
    "[![a](http://evil.test/x.png)](http://ok.test)",
    "![a [b] c](http://evil.test/x.png)",
    "![a\nb](http://evil.test/x.png)",
    "![a](\nhttp://evil.test/x.png)",
    "![a](<http://evil.test/x y.png>)",
    '![a](http://evil.test/x.png "title")',
    "![`a](http://evil.test/x.png) `",
    "`![a](http://evil.test/x.png)",
    "`` ` ![a](http://evil.test/x.png)",
    "`a\n\n![b](http://evil.test/x.png)`",
    "| a | b |\n|---|---|\n| `x | ![a](http://evil.test/x.png)` |",
    "a `x | ![a](http://evil.test/x.png)`\n---|---",
    "| a |\n|---|\n    ![a](http://evil.test/x.png)",
    "- a\n\n      ok\n   ![a](http://evil.test/x.png)",
    "> ```\n![a](http://evil.test/x.png)\n```",
    "<pre>\n```\n![a](http://evil.test/x.png)\n```",
    "<img src=http://evil.test/x.png>",
    "<script>alert(1)</script>",
    "<!-- --><svg onload=alert(1)>",
    "<div\n>![a](http://evil.test/x.png)",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](&#106;avascript:alert(1))",
    "[a](data:text/html,x)",
    "[a](/auth/sign-out)",
    "[a][b]\n\n[b]: javascript:alert(1)",
    "<javascript:alert(1)>",
    "<data:text/html,x>",
    ":material/home: :material_home: &#58;material_home: :streamlit:",
    "\\:material_home: &colon;streamlit&colon;",
    "```mermaid\nflowchart\n```",
    "~~~ Mermaid {x}\nflowchart\n~~~",
    "~~~ language--language-mermaid\nflowchart\n~~~",
    "```&#109;ermaid\nflowchart\n```",
    "- ```mermaid\n  flowchart\n  ```",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_does_nothing(attack):
    assert list(acting(safe_markdown(attack))) == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_does_nothing_at_any_moment_of_the_stream(attack):
    for end in range(len(attack)):
        assert list(acting(safe_markdown(attack[:end]))) == []


FRAGMENTS = st.sampled_from(
    [
        *"!![[]]()()<>`\\|:$&;{}*_#-+~\n\n ",
        "    ",
        "```",
        "~~~",
        "a",
        "x",
        "mermaid",
        "http://e.test/i.png",
        "![a](http://e.t)",
        "www.e.t$",
        "](http://e.t)",
        "javascript:x",
        "<img src=x>",
        "[1]: http://e.t\n",
        "|---|---|\n",
        "&#58;",
        ":material_x:",
        "> ",
        "- ",
        "1. ",
        "\t",
    ]
)


@given(st.lists(FRAGMENTS, max_size=40).map("".join))
def test_no_mix_of_fragments_acts(text):
    assert list(acting(safe_markdown(text))) == []


@given(st.lists(FRAGMENTS, max_size=30).map("".join))
def test_no_dollar_or_directive_is_left_outside_code(text):
    bare = (
        t.content
        for t in MarkdownIt("commonmark", {"html": False}).enable("table").parse(safe_markdown(text))
        if t.type == "inline"
    )
    for content in bare:
        outside = re.sub(r"(?<!\\)(`+)(?!`).*?(?<!`)\1(?!`)", "", content, flags=re.DOTALL)
        outside = re.sub(r"\\[!-/:-@\[-`{-~]", "·", outside.replace(":color[", "·["))
        assert "$" not in outside
        assert not re.search(r":[a-zA-Z][\w-]*[\[{]", outside)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nprint('![a](http://e.test) $5 :red[x] <b>')\n```",
        "~~~\n$x$ `y`\n~~~",
        "Use `![a](b) $x$ :red[y] <b>` here.",
        "Use `` a`b $ `` here.",
        "- item\n\n  ```js\n  const x = `${y}`;\n  ```",
        "Text\n\n    indented $code$ <b>",
        "| a | b |\n|:--|--:|\n| `x\\|$y$` | **2** |",
        "**bold** _it_ ~~gone~~\n\n---\n\n> quote\n\n1. one\n2. two\n\n# Title\n\nTitle\n=====",
        "[docs](https://example.org/a_(b)?c=d&e=f#g) and <https://example.org:8080/x>",
        "See https://en.wikipedia.org/wiki/Talk:Foo_bar and write to a@b.org",
        "- [ ] open\n- [x] done",
        "First line  \nsecond \\\nthird",
    ],
)
def test_what_is_harmless_stays_letter_for_letter(text):
    assert safe_markdown(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("It costs $5 and $7", "It costs $5 and $7"),
        ("a <b> & {c} [d] \\* 10:30", "a <b> & {c} [d] * 10:30"),
        ("x >= 5 -> y -- z", "x >= 5 -> y -- z"),
        (":red[x] and :smile:", ":red[x] and :smile:"),
        ("[^1] and [a][b]", "[^1] and [a][b]"),
    ],
)
def test_what_is_escaped_reads_as_typed(text, shown):
    rendered = "".join(t.content for t in tokens_of(safe_markdown(text)) if t.type.startswith("text"))
    assert re.sub(r":color\[(.)\]", r"\1", rendered) == shown


def test_image_becomes_a_link_that_says_so():
    assert safe_markdown("See ![a cat](http://e.test/cat.png).") == "See [image: a cat](http://e.test/cat.png)."


def test_link_title_is_dropped_and_its_address_stays():
    assert safe_markdown('[a](https://e.test/x "hover me")') == "[a](https://e.test/x)"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "`" * 200_001 + " `a` ",
        "![a](http://x " * 20_000,
        ":a" * 200_000,
        "[\\``" * 150_000,
        " " * 500_000 + "x-",
        "1 " + ">= " * 200_000 + "[",
    ],
)
def test_awkward_half_megabyte_takes_linear_work(text):
    assert len(safe_markdown(text)) >= len(text)


@pytest.mark.parametrize("text", ["[x](" + "(aaaaaa" * 30 + ")) more", "![x](" + "(" * 250 + " more"])
def test_awkward_parentheses_take_linear_work_while_they_come(text):
    assert stable_part(text) == text


@pytest.mark.parametrize("text", ["a\n" + " " * 500_000 + "x", "*" * 500_000 + "x"])
def test_last_line_takes_linear_work_however_long_it_is_waited_for(text, monkeypatch):
    for module in (markdown, markdown_line):
        monkeypatch.setattr(module, "PATIENCE_CHARS", len(text))
    assert len(stable_part(text)) == len(text)


@pytest.mark.parametrize(
    ("text", "stable"),
    [
        ("See [the do", "See "),
        ("See [x](http://e.te/a_(b", "See "),
        ("See [x](http://e.te/a_(b)c_(d) (tit", "See "),
        ("See ![x](http://e.te", "See "),
        ("Use `x", "Use "),
        ("Done. [a](https://e.test) and", "Done. [a](https://e.test) and"),
        ("A title\n--", "A title\n"),
        ("```python\nx = `", "```python\nx = `"),
        ("Text [" + "x" * 400, "Text [" + "x" * 400),
        ("| a | b |", ""),
        ("| a | b |\n|---|---|\n| 1 |", "| a | b |\n|---|---|\n"),
    ],
)
def test_half_written_piece_waits_for_its_end(text, stable):
    assert stable_part(text) == stable


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("[a](http://x.test/$b)", "[a](http://x.test/%24b)"),
        ("see http://x.test/a$b and $5", "see [http://x.test/a\\$b](http://x.test/a%24b) and \\$5"),
        ("<http://x.test/$a>", "\\<[http://x.test/\\$a](http://x.test/%24a)>"),
        ("www.x.test/$a", "www.x.test/\\$a"),
    ],
)
def test_address_with_a_dollar_sign_stays_whole_and_opens_no_formula(text, safe):
    assert safe_markdown(text) == safe


@pytest.mark.parametrize("text", ["www.x.test", "WWW.x.test", "a@x.test", "https://x.test"])
def test_address_in_plain_text_is_parted_so_that_it_becomes_no_link(text):
    shown = plain_markdown(text)
    assert ":color[" in shown
    assert re.sub(r":color\[(.+?)\]", r"\1", shown).replace("\\", "") == text

"""Prompt templates: which names they use, what they become, and what is said of a missing value."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatplay import templates
from chatplay.errors import BadInput

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)
TEXTS = st.lists(st.sampled_from(["{", "}", "{{", "}}", "\\", "{{a}}", "{{ b c }}", "word", " ", "\n"])).map("".join)


def test_variables_used_twice_are_named_once_in_the_order_of_use():
    assert templates.variables("{{b}} and {{ a }}", "{{b}}, {{max tokens}}") == ("b", "a", "max tokens")


def test_fill_replaces_every_use():
    assert templates.fill("{{ who }} met {{who}}.", {"who": "Ada"}) == "Ada met Ada."


def test_braces_in_a_value_stay_as_they_are():
    assert templates.fill("{{a}}{{b}}", {"a": "{{b}}", "b": r"\1"}) == r"{{b}}\1"


def test_escaped_braces_are_text():
    assert templates.fill(r"\{{a}} is {{a}}, \\{{a}}", {"a": "1"}) == r"{{a}} is 1, \1"


@pytest.mark.parametrize(
    "text", ['{"a": {"b": {}}}', "{{}}", "{{ 1 }}", "{{a\nb}}", "{% if x %}", "{{a|upper}}", "{{a"]
)
def test_braces_around_no_name_are_text(text):
    assert templates.variables(text) == ()
    assert templates.fill(text, {}) == text


def test_long_row_of_backslashes_is_read_once():
    row = "\\" * 400_000
    assert templates.variables(row) == ()
    assert templates.variables(row + "{{a}}") == ("a",)


def test_template_that_would_fill_the_memory_is_refused():
    with pytest.raises(BadInput, match="more than 10,000,000 characters"):
        templates.fill("{{a}}" * 101, {"a": "x" * 100_000})


def test_missing_values_are_all_named_with_the_first_as_the_param():
    with pytest.raises(BadInput, match=r"system prompt uses `\{\{a\}\}`, `\{\{c\}\}`, which have no value") as caught:
        templates.fill("{{a}} {{b}} {{c}}", {"b": ""}, where="system prompt")
    assert caught.value.param == "a"


@given(TEXTS)
@example("\\{{a}}")
@example("\\\\{{a}}")
def test_escape_then_fill_gives_the_text_again(text):
    assert templates.fill(templates.escape(text), {}) == text


@given(st.dictionaries(NAMES, st.text(max_size=20), max_size=5))
def test_values_of_all_names_come_out_as_given(values):
    template = "|".join(f"{{{{{name}}}}}" for name in values)
    assert templates.variables(template) == tuple(values)
    assert templates.fill(template, values) == "|".join(values.values())

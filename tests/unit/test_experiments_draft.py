"""How a plan is typed: texts to settings and back, edits of the case table, comparisons made into plans."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from chatplay.compare.values import Pane
from chatplay.errors import BadInput
from chatplay.experiments.values import AxisText, CaseTable, Plan, PromptVersion
from chatplay.params import Params, get_spec
from chatplay.ui.experiments import words
from chatplay.ui.experiments.from_compare import plan_from
from chatplay.ui.experiments.plan.draft import (
    edited_rows,
    hashes_of,
    reading,
    settings_of,
    texts_of,
    unused_name,
    with_chosen,
)
from chatplay.ui.experiments.state import read

TEMPERATURE = get_spec("temperature")
TABLE = CaseTable(("word", "expected"), (("a", "1"), ("b", "2"), ("c", "3")))


def test_one_value_is_a_setting_and_several_are_an_axis():
    base, axes = settings_of({"temperature": "0, 1", "max_tokens": "256"}, Params())
    assert (base.max_tokens, axes) == (256, (AxisText("temperature", "0, 1"),))


def test_an_emptied_field_is_the_default_again():
    base, axes = settings_of({"max_tokens": " "}, Params(max_tokens=256))
    assert (base.max_tokens, axes) == (512, ())


def test_what_cannot_be_read_is_kept_as_it_was_typed():
    _, axes = settings_of({"temperature": "warm"}, Params())
    assert axes == (AxisText("temperature", "warm"),)


@pytest.mark.parametrize(
    "params",
    [Params(), Params(temperature=0.1234567, stop=("END", "a, b"), presence_penalty=None), Params(max_tokens=1000)],
)
def test_settings_survive_being_shown_as_texts(params):
    assert settings_of(texts_of(Plan(base=params)), Params())[0] == params


def test_reading_says_how_a_field_is_understood():
    assert reading(TEMPERATURE, "0:1:0.25") == "5 values: 0, 0.25, 0.5, 0.75, 1"
    assert reading(TEMPERATURE, "") == "0.7, the default"
    assert reading(TEMPERATURE, "0.2") == "0.2 for all"
    with pytest.raises(BadInput, match="`warm` is not a number"):
        reading(TEMPERATURE, "warm")


def test_many_values_are_read_out_shortened():
    assert reading(TEMPERATURE, "0:1:0.05").startswith("21 values: 0, 0.05")
    assert reading(TEMPERATURE, "0:1:0.05").endswith("..., 1")


def test_edits_of_the_table_change_add_and_remove_rows():
    delta = {
        "edited_rows": {0: {"word": "A"}},
        "deleted_rows": [1],
        "added_rows": [{"word": "d", "expected": None}, {"word": " "}],
    }
    assert edited_rows(TABLE, delta).rows == (("A", "1"), ("c", "3"), ("d", ""))


def test_a_row_that_was_blank_before_stays_and_one_made_blank_goes():
    one_blank = CaseTable(("word", "expected"), (("", ""), ("b", "2")))
    assert edited_rows(one_blank, {}) == one_blank
    assert edited_rows(one_blank, {"edited_rows": {1: {"word": "", "expected": None}}}).rows == (("", ""),)
    assert edited_rows(one_blank, {"deleted_rows": [0]}).rows == (("b", "2"),)


def test_a_new_template_gets_a_name_that_is_free():
    assert unused_name(set()) == "Prompt"
    assert unused_name({"Prompt", "Prompt 2"}) == "Prompt 3"


def version(number=1, **texts):
    return PromptVersion(number, "greeting", number, "Say {{word}}", texts.get("system_prompt", ""), datetime.now(UTC))


def pane(**params):
    return Pane(uuid4(), 0, "tiny", "lab", Params(**params))


def test_panes_of_a_comparison_are_the_chosen_arms():
    panes = [pane(temperature=0.0, top_p=0.5), pane(temperature=1.0, top_p=1.0)]
    plan = plan_from(panes, {"": version()})
    assert plan.axes == (AxisText("temperature", "0, 1"), AxisText("top_p", "0.5, 1"))
    assert plan.chosen is not None
    assert len(plan.chosen) == 2


def test_panes_that_fill_the_grid_choose_all_of_it():
    plan = plan_from([pane(temperature=0.0), pane(temperature=1.0)], {"": version()})
    assert plan.chosen is None


def test_arm_that_is_left_out_stays_out_while_the_grid_grows():
    plan = plan_from([pane(temperature=0.0), pane(temperature=1.0)], {"": version()})
    left_out = {sorted(hashes_of(plan))[0]}
    grown = replace(plan, axes=(AxisText("temperature", "0, 0.5, 1"),))
    assert with_chosen(grown, left_out).chosen == hashes_of(grown) - left_out
    assert len(hashes_of(grown)) == 3


def test_grid_that_cannot_be_read_keeps_its_choice():
    plan = Plan(axes=(AxisText("temperature", "warm"),), chosen=frozenset({"a"}))
    assert with_chosen(plan, {"b"}).chosen == {"a"}


def test_system_prompts_of_panes_become_versions():
    systems = {text: version(number, system_prompt=text) for number, text in enumerate(("", "Be brief."), start=1)}
    plan = plan_from([pane(), pane(system_prompt="Be brief.")], systems)
    assert [one.system_prompt for one in plan.prompts] == ["", "Be brief."]
    assert plan.base.system_prompt == ""


def test_stop_texts_of_panes_are_an_axis_of_lists():
    plan = plan_from([pane(), pane(stop=("END",))], {"": version()})
    assert plan.axes == (AxisText("stop", '[[], ["END"]]'),)


def test_a_broken_address_leads_to_the_list():
    assert read({"experiment": "nonsense", "tab": "nowhere"}).is_list
    assert read({"experiment": "nonsense", "tab": "nowhere"}).tab is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(8, "8 s"), (240, "4 min"), (4800, "80 min"), (6000, "1 h 40 min"), (864000, "10.0 days")]
)
def test_spans_are_told_as_exactly_as_they_can_be_known(seconds, text):
    assert words.span(seconds) == text

"""From a plan to arms, and from arms, cases and repeats to trials in order."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatplay.errors import BadInput
from chatplay.experiments.axes import parse_axis
from chatplay.experiments.blocks import Place, list_missing, order_trials, seed_for
from chatplay.experiments.plan import lay_out_arms, merge_arms, plan_from_json, plan_to_json
from chatplay.experiments.problems import list_problems, list_warnings
from chatplay.experiments.scoring import Answer, Contains, FitsSchema, score_answer
from chatplay.experiments.values import AxisText, Caps, CaseTable, ModelRef, Pace, Plan, PromptVersion
from chatplay.models.catalog import ModelInfo
from chatplay.params import SPECS, Params, Range
from chatplay.ui.experiments.words import arm_names

PROMPT = PromptVersion(1, "greeting", 1, "Say {{word}}", "", datetime(2026, 1, 1, tzinfo=UTC))
MODEL = ModelRef("tiny", "lab")
PLAN = Plan(prompts=(PROMPT,), models=(MODEL,), axes=(AxisText("temperature", "0, 0.5"),))


def info(**more):
    return ModelInfo(**({"name": "tiny", "upstream": "lab", "provider": "lab", "engine_type": "unknown"} | more))


def problems(plan, *, columns=("word",), cases=3, model=None):
    return list_problems(plan, columns=columns, cases=cases, models={MODEL: model or info()})


# ---- axes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("param", "text", "values"),
    [
        ("temperature", "0, 0.5, 1", (0.0, 0.5, 1.0)),
        ("temperature", "0:1:0.25", (0.0, 0.25, 0.5, 0.75, 1.0)),
        ("temperature", "0:1:0.1", tuple(step / 10 for step in range(11))),
        ("temperature", "1:0:-0.5", (1.0, 0.5, 0.0)),
        ("temperature", "unset, 0.3:0.5:0.1\n1", (None, 0.3, 0.4, 0.5, 1.0)),
        ("temperature", "0.1234567, 0.1234568", (0.1234567, 0.1234568)),
        ("max_tokens", "256:1024:256", (256, 512, 768, 1024)),
        ("stop", "none, END", ((), ("END",))),
        ("stop", '"a,b", c\nsay "hi"', (("a,b",), ("c",), ('say "hi"',))),
        ("stop", '[[], ["a", "b"], "c"]', ((), ("a", "b"), ("c",))),
        ("system_prompt", "Be brief.\n\nBe kind.", ("Be brief.", "Be kind.")),
    ],
)
def test_axis_text_names_its_levels(param, text, values):
    found = parse_axis(param, text)
    assert found.values == values
    assert len(set(found.labels)) == len(values)


LEVELS_OF = {"list": ("none, END", ((), ("END",))), "text": ("Be brief.\nBe kind.", ("Be brief.", "Be kind."))}


def ways_to_vary(spec):
    """Texts of an axis with the values they name: for numbers a list and a range."""
    if spec.range is None:
        return [LEVELS_OF[spec.kind]]
    low, step = Decimal(str(spec.range.low)), Decimal(str(spec.step))
    values = tuple(float(low + place * step) for place in range(3))
    return [(", ".join(map(str, values)), values), (f"{low}:{low + 2 * step}:{step}", values)]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_any_parameter_varies_from_arm_to_arm_however_its_values_are_written(spec):
    for text, values in ways_to_vary(spec):
        plan = replace(PLAN, prompts=(replace(PROMPT, system_prompt=""),), axes=(AxisText(spec.name, text),))
        arms = lay_out_arms(replace(plan, seed_policy="none"))
        assert tuple(getattr(arm.params, spec.name) for arm in arms) == values
        assert {tuple(arm.levels) for arm in arms} == {(spec.name,)}


@pytest.mark.parametrize(
    ("param", "text", "says"),
    [
        ("temperature", "", "no value"),
        ("temperature", "warm", "`warm` is not a number"),
        ("temperature", "0:1", "start:stop:step"),
        ("temperature", "0:1:0", "never gets"),
        ("temperature", "0:1:-1", "never gets"),
        ("temperature", "0:1:0.001", "more than 50"),
        ("temperature", "0, 1, 0", "there twice"),
        ("temperature", "1e999", "not a number"),
        ("temperature", "0:1:1e-999999", "not a number"),  # a range of so many steps is not counted in an hour
        ("temperature", "0:1:1e-9999999999", "not a number"),
        ("temperature", "nan", "not a number"),
        ("max_tokens", "300.5", "whole number"),
        ("stop", "[1]", "text"),
        ("stop", "[", "not a JSON list"),
        ("stop", '"a, b', "quotation mark is not closed"),
        ("stop", "[" * 100_000, "not a JSON list"),
        ("top_k", "1", "no parameter called"),
    ],
)
def test_axis_text_that_can_not_be_is_refused_with_its_parameter(param, text, says):
    with pytest.raises(BadInput, match=says) as refused:
        parse_axis(param, text)
    assert refused.value.param == param


# ---- arms --------------------------------------------------------------------------------------


def test_grid_has_every_combination_and_labels_only_what_varies():
    plan = replace(PLAN, axes=(AxisText("temperature", "0, 1"), AxisText("top_p", "0.5, 1")))
    arms = lay_out_arms(plan)
    assert [arm.label for arm in arms] == [
        f"temperature {temperature}, top_p {top_p}" for temperature in ("0", "1") for top_p in ("0.5", "1")
    ]
    assert [arm.number for arm in arms] == [0, 1, 2, 3]


def test_arms_are_called_as_settings_are_on_the_pages_and_keep_their_names_for_programs():
    plan = replace(PLAN, axes=(AxisText("top_p", "0.5"), AxisText("max_tokens", "256, 512")))
    arms = lay_out_arms(replace(plan, models=(*plan.models, ModelRef("other", "local"))))
    assert arm_names(arms)[0] == f"{PLAN.models[0].name}, Max tokens 256"
    assert arms[0].label == f"{PLAN.models[0].name}, max_tokens 256"
    assert arm_names(lay_out_arms(replace(PLAN, axes=(AxisText("top_p", "0.5, 1"),)))) == ["Top-p 0.5", "Top-p 1"]
    assert arm_names([arms[0], arms[0]])[1] == f"{PLAN.models[0].name}, Max tokens 256 (arm 2)"


def test_arm_is_the_same_whatever_its_template_is_called():
    renamed = replace(PLAN, prompts=(replace(PROMPT, id=7, name="other", number=3),))
    assert [arm.hash for arm in lay_out_arms(renamed)] == [arm.hash for arm in lay_out_arms(PLAN)]


@pytest.mark.parametrize(
    "change",
    [
        {"prompts": (replace(PROMPT, prompt="Shout {{word}}"),)},
        {"prompts": (replace(PROMPT, system_prompt="Be loud."),)},
        {"models": (ModelRef("tiny", "other"),)},
        {"base": Params(max_tokens=300)},
        {"seed_policy": "none"},
        {"seed": 2},
    ],
)
def test_arm_is_another_with_any_other_setting(change):
    assert not {arm.hash for arm in lay_out_arms(replace(PLAN, **change))} & {arm.hash for arm in lay_out_arms(PLAN)}


def test_models_of_the_same_name_are_told_apart_by_their_upstream():
    arms = lay_out_arms(replace(PLAN, models=(MODEL, ModelRef("tiny", "other")), axes=()))
    assert [arm.label for arm in arms] == ["tiny @ lab", "tiny @ other"]


def test_merged_arms_keep_their_places_and_learn_what_varies_now():
    known = lay_out_arms(replace(PLAN, axes=()))
    more = lay_out_arms(replace(PLAN, axes=(AxisText("temperature", "0.7, 1"),)))
    merged = merge_arms(known, more)
    assert [arm.levels for arm in merged] == [{"temperature": "0.7"}, {"temperature": "1"}]
    assert merged[0].hash == known[0].hash


def test_seed_axis_needs_the_policy_none():
    with pytest.raises(BadInput, match="policy"):
        lay_out_arms(replace(PLAN, axes=(AxisText("seed", "1, 2"),)))


def test_grid_that_is_too_large_is_refused_before_it_is_built():
    axes = tuple(AxisText(name, "0:0.49:0.01") for name in ("temperature", "top_p", "presence_penalty"))
    with pytest.raises(BadInput, match="125,000 arms"):
        lay_out_arms(replace(PLAN, axes=axes))


# ---- problems ----------------------------------------------------------------------------------


def test_plan_without_problems_has_none():
    assert problems(PLAN) == []


@pytest.mark.parametrize(
    ("change", "more", "field"),
    [
        ({"prompts": ()}, {}, "prompts"),
        ({"models": ()}, {}, "models"),
        ({"repeats": 0}, {}, "repeats"),
        ({"axes": (AxisText("temperature", "0, 1.5"),)}, {}, "temperature"),
        ({"chosen": frozenset({"nothing"})}, {}, "chosen"),
        ({"rules": (Contains("{{expected}}"),)}, {}, "rules"),
        ({"caps": Caps(max_cost_usd=1.0)}, {}, "max_cost_usd"),
        ({"caps": Caps(max_calls=0)}, {}, "max_calls"),
        ({"caps": Caps(max_calls=10**30)}, {}, "max_calls"),
        ({"pace": Pace(calls_at_once=10**30)}, {}, "calls_at_once"),
        ({"pace": Pace(calls_per_minute=-1)}, {}, "calls_per_minute"),
        ({"pace": Pace(calls_per_minute=1e-12)}, {}, "calls_per_minute"),  # later than any clock can tell
        ({}, {"cases": 0}, "cases"),
        ({}, {"columns": ("other",)}, "cases"),
        ({"repeats": 1000}, {"cases": 1000}, "repeats"),
    ],
)
def test_problem_of_a_plan_names_its_field(change, more, field):
    assert field in {problem.field for problem in problems(replace(PLAN, **change), **more)}


def test_variable_that_some_cases_have_nothing_for_is_a_warning_and_no_problem():
    arms = lay_out_arms(replace(PLAN, prompts=(replace(PROMPT, system_prompt="Be {{tone}}."),)))
    table = CaseTable(("word", "tone", "expected"), (("rain", "", ""), ("sun", " ", ""), ("snow", "calm", "")))
    warning = list_warnings(arms, table, {MODEL: info()})[0]
    assert (warning.field, warning.message) == (
        "cases",
        "The column `tone` is empty in 2 of 3 cases: nothing is sent for it there.",
    )
    assert len(list_warnings(arms, table, {MODEL: info()})) == 1


def test_system_prompt_of_a_model_that_takes_none_is_a_warning_and_no_problem():
    deaf, table = info(supports_system_prompt=False), CaseTable(("word",), (("rain",),))
    plan = replace(PLAN, prompts=(replace(PROMPT, system_prompt="Be loud."),))
    assert problems(plan, model=deaf) == []
    (warning,) = list_warnings(lay_out_arms(plan), table, {MODEL: deaf})
    assert (warning.field, warning.message) == (
        "models",
        "`tiny` at `lab` takes no system prompt: it is asked without, whatever the arm.",
    )
    assert list_warnings(lay_out_arms(plan), table, {MODEL: info()}) == []
    assert list_warnings(lay_out_arms(PLAN), table, {MODEL: deaf}) == []


def test_range_of_the_model_counts_not_the_tables():
    plan = replace(PLAN, axes=(AxisText("temperature", "0, 2"),))
    assert problems(plan, model=info(ranges={"temperature": Range(0.0, 2.0)})) == []
    assert "tiny" in problems(plan)[0].message


# ---- trials ------------------------------------------------------------------------------------


@given(arms=st.integers(1, 90), cases=st.integers(1, 12), repeats=st.integers(1, 4), seed=st.integers(0, 99))
def test_order_has_every_place_once_in_whole_blocks(arms, cases, repeats, seed):
    places = list_missing(range(arms), cases=cases, repeats=repeats)
    planned = order_trials(places, seed=seed)
    assert sorted(map(repr, places)) == sorted(repr(one.place) for one in planned)
    assert [one.position for one in planned] == list(range(len(places)))
    for start in range(0, len(planned), arms):
        assert len({(one.place.case, one.place.repeat) for one in planned[start : start + arms]}) == 1


def test_order_is_the_same_for_the_same_seed_alone():
    places = list_missing(range(3), cases=10, repeats=2)
    assert order_trials(places, seed=1) == order_trials(places, seed=1) != order_trials(places, seed=2)


def test_missing_places_leave_out_what_is_there():
    have = {Place(0, 0, 0), Place(1, 1, 1)}
    missing = list_missing(range(2), cases=2, repeats=2, have=have)
    assert len(missing) == 6
    assert not have & set(missing)


def test_varied_seeds_differ_by_case_and_repeat():
    seeds = {seed_for("varied", None, 1, case, repeat) for case in range(20) for repeat in range(5)}
    assert len(seeds) == 100
    assert seed_for("fixed", 5, 1, 0, 0) == 5
    assert seed_for("none", None, 1, 0, 0) is None


def test_plan_comes_back_from_json_as_it_was():
    plan = replace(PLAN, chosen=frozenset({"a"}), rules=(Contains("x"),), base=Params(stop=("END",)), caps=Caps(5, 1.5))
    assert plan_from_json(plan_to_json(plan), {1: PROMPT}) == plan


def test_stored_plan_opens_with_a_rule_that_would_be_refused_now():
    rule = FitsSchema('{"multipleOf": 1e999}')
    plan = replace(PLAN, rules=(rule,))
    assert plan_from_json(plan_to_json(plan), {1: PROMPT}).rules == (rule,)
    assert "out of range" in score_answer(rule, Answer("1"), columns={}).reason

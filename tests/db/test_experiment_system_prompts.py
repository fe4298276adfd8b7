"""Experiments with a model that takes no system prompt: what is sent, shown, forecast and judged goes without."""

from dataclasses import replace

import pytest

from chatplay.experiments.values import JudgePlan, Plan
from tests.db.experiment_rig import MODEL, words
from tests.db.experiment_rig import house as make_house


@pytest.fixture
def house(database_url):
    with make_house(database_url, supports_system_prompt=False) as found:
        yield found


def draft(house):
    version = house.experiments.save_prompt(
        user_id=house.user_id, name="greeting", prompt="Say {{word}}", system_prompt="Be as brief as {{word}} is."
    )
    plan = Plan(prompts=(version,), models=(MODEL,), repeats=1)
    return house.experiments.create(user_id=house.user_id, name="Greetings", plan=plan, cases=words(1))


def ended(house):
    experiment_id = draft(house).id
    house.call("start", experiment_id, role="analyst")
    house.work()
    house.finish(experiment_id)
    return experiment_id


def take_system_prompts(house, takes):
    catalog = house.process.catalog
    models = tuple(replace(one, supports_system_prompt=takes) for one in catalog._view.models)
    catalog._view = replace(catalog._view, models=models)


def shown(house, experiment_id):
    """The system prompt on the page of the only cell, and the program that makes its call again."""
    cell = house.call("get_cell", experiment_id, arm=0, case=0)
    code = house.call(
        "get_code",
        experiment_id,
        trial_id=cell.trials[0].id,
        role="analyst",
        app_url="https://chat.example",
        language="python",
    )
    assert "Say w0" in code
    return cell.system_prompt, "Be as brief as w0 is." in code


def roles(house):
    return [message.role for message in house.answerer.requests[-1].messages]


def test_system_prompt_is_neither_sent_nor_shown_nor_in_the_code(house):
    experiment_id = draft(house).id
    house.call("start", experiment_id, role="analyst")
    assert shown(house, experiment_id) == ("", False)  # as it will be sent
    house.work()
    house.finish(experiment_id)
    assert roles(house) == ["user"]
    assert shown(house, experiment_id) == ("", False)


def test_answer_is_shown_with_what_it_was_asked_with_whatever_the_model_takes_now(house):
    experiment_id = ended(house)
    take_system_prompts(house, True)
    assert shown(house, experiment_id) == ("", False)
    house.call("rerun_cell", experiment_id, arm=0, case=0)
    house.finish(experiment_id)
    assert roles(house) == ["system", "user"]
    take_system_prompts(house, False)
    assert shown(house, experiment_id) == ("Be as brief as w0 is.", True)


def test_preview_warns_and_counts_the_prompt_alone(house):
    planned = draft(house)
    without = house.call("preview", planned.id, role="analyst")
    take_system_prompts(house, True)
    both = house.call("preview", planned.id, role="analyst")
    assert without.problems == both.problems == ()
    assert ([one.field for one in without.warnings], both.warnings) == (["models"], ())
    assert without.forecast.prompt_tokens.value < both.forecast.prompt_tokens.value


def test_judge_gets_its_task_above_the_material(house):
    experiment_id = ended(house)
    house.answerer.answer = lambda request: '{"score": 0.5}'
    number = house.call("run_judge", experiment_id, role="analyst", plan=JudgePlan(MODEL, "Is it brief?"))
    house.finish(experiment_id)
    assert roles(house) == ["user"]
    asked = house.answerer.requests[-1].messages[0].content
    assert asked.index("You judge one answer") < asked.index("Is it brief?") < asked.index("Say w0")
    assert house.call("get_results", experiment_id, scored_by=f"judge:{number}").table.score.tolist() == [0.5]

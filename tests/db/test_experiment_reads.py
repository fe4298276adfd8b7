"""Reading an experiment: previews, progress, results as arrays, the case table."""

from dataclasses import replace

import pytest
from sqlalchemy import event, text

from chatplay.api.experiments_trials import TrialList
from chatplay.errors import BadInput, ModelUnknown, StoreError
from chatplay.experiments.scoring import Contains
from chatplay.experiments.values import AxisText, CaseTable, JudgePlan
from chatplay.providers.base import Usage
from db import experiments, judgements, trial_figures, trial_reads, trials
from tests.db.experiment_rig import MODEL, words
from tests.db.experiment_rig import house as make_house


@pytest.fixture
def house(database_url):
    with make_house(database_url) as found:
        yield found


def test_preview_counts_what_would_run_and_names_every_problem(house):
    draft = house.draft()
    found = house.call("preview", draft.id, role="analyst")
    assert (len(found.arms), found.cases, found.trials, found.new_trials) == (2, 3, 12, 12)
    assert found.problems == ()
    broken = replace(draft.plan, axes=(AxisText("temperature", "warm"),), repeats=0)
    fields = {problem.field for problem in house.call("preview", draft.id, role="analyst", plan=broken).problems}
    assert fields == {"temperature", "repeats"}


def test_preview_forecasts_from_calls_that_are_stored(house):
    experiment_id = house.run()
    plan = house.call("get", experiment_id).plan
    found = house.call("preview", experiment_id, role="analyst", plan=replace(plan, repeats=4))
    assert (found.new_trials, found.forecast.calls) == (12, 12)
    assert found.forecast.completion_tokens.value == 60
    assert found.forecast.cost_usd is None
    assert found.forecast.models[0].measured_calls == 12


def test_preview_of_an_extension_counts_only_new_cases(house):
    experiment_id = house.run()
    assert house.call("preview", experiment_id, role="analyst", cases=words(2)).new_trials == 2 * 2 * 2


_OF_ONE_EXPERIMENT = {
    "states": lambda conn, id: trials.count_states(conn, experiment_id=id, window_sec=60),
    "over": lambda conn, id: trials.finish_if_over(conn, experiment_id=id),
    "places": lambda conn, id: trials.next_places(conn, experiment_id=id),
    "revived": lambda conn, id: trials.revive_cancelled(conn, experiment_id=id),
    "cell": lambda conn, id: trials.reset_cell(conn, experiment_id=id, arm=0, case_no=0),
    "judgements": lambda conn, id: judgements.count_judgements(conn, experiment_id=id),
    "trials": lambda conn, id: trial_reads.list_trials(
        conn, experiment_id=id, arms=(), cases=(), states=("failed",), after=(0, 1, 0), limit=10
    ),
    "judge": lambda conn, id: judgements.list_judge_votes(conn, experiment_id=id, judge=1),
    "deleted": lambda conn, id: experiments.delete_experiment(conn, experiment_id=id),
}


@pytest.mark.parametrize("ask", _OF_ONE_EXPERIMENT.values(), ids=_OF_ONE_EXPERIMENT)
def test_what_is_asked_of_one_experiment_looks_through_no_others_trials(house, engine, ask):
    experiment_id = house.run()
    scans = text(
        "SELECT sum(seq_scan) FROM pg_stat_xact_user_tables WHERE relname IN ('experiment_trials', 'experiment_votes')"
    )
    with engine.begin() as conn:
        conn.execute(text("SET LOCAL enable_seqscan = off"))  # so few rows would be read whole, index or not
        conn.execute(text("UPDATE experiments SET state = 'running'"))
        ask(conn, experiment_id)
        assert conn.scalar(scans) == 0


def test_chosen_arms_alone_run(house):
    draft = house.draft()
    chosen = house.call("preview", draft.id, role="analyst").arms[1].hash
    house.call("save_plan", draft.id, plan=replace(draft.plan, chosen=frozenset({chosen})))
    house.call("start", draft.id, role="analyst")
    assert [arm.hash for arm in house.call("get", draft.id).arms] == [chosen]
    assert house.progress(draft.id).waiting == 6


def test_progress_tells_counts_and_time_left(house):
    experiment_id = house.start_held(cases=20)
    before = house.progress(experiment_id)
    assert (before.waiting, before.done, before.trials, before.left_sec) == (76, 0, 80, None)
    house.answerer.hold.set()
    house.finish(experiment_id)
    after = house.progress(experiment_id)
    assert (after.done, after.calls, after.unknown_costs) == (80, 80, 80)


def test_results_of_a_draft_are_empty(house):
    found = house.call("get_results", house.draft().id)
    assert (len(found.table), found.arms, found.axes) == (0, (), ())


def test_results_read_no_text_of_a_case(house):
    experiment_id, asked = house.start(), []

    def note(_conn, _cursor, statement, *_more):
        asked.append(statement)

    event.listen(house.process.store.engine, "before_cursor_execute", note)
    table = house.call("get_results", experiment_id).table
    event.remove(house.process.store.engine, "before_cursor_execute", note)
    assert table.cases == 3
    assert not [statement for statement in asked if "cells" in statement]


def test_trials_are_listed_with_answers_figures_and_scores(house):
    house.answerer.usage = lambda request: Usage(10, 5, reasoning_tokens=2)
    experiment_id = house.run(rules=(Contains("w1"),))
    page = house.call("list_trials", experiment_id, cases=[1], arms=[1], states=["done"], limit=1)
    house.call("add_hand_score", experiment_id, trial_id=page.trials[0].id, score=0.5, note="So so.")
    page = house.call("list_trials", experiment_id, cases=[1], arms=[1], states=["done"], limit=1)
    (shown,) = TrialList.of(page).data
    assert page.has_more
    assert (shown.case, shown.arm, shown.repeat, shown.values["word"]) == (1, 1, 0, "w1")
    assert (shown.answer, shown.finish_reason, shown.attempts) == ("Say w1 at 0.5", "stop", 1)
    assert (shown.usage.completion_tokens, shown.usage.reasoning_tokens) == (5, 2)
    assert (shown.passed, [rule.passed for rule in shown.rule_scores]) == (True, [True])
    assert [hand.score for hand in shown.hand_scores] == [0.5]
    assert shown.timings.duration_ms is not None


def test_failed_trial_is_listed_with_its_error(house):
    house.answerer.failures = [ModelUnknown("No such model.", provider="scripted", model="tiny")]
    experiment_id = house.run(axes="0", cases=2, repeats=1)
    (failed,) = house.call("list_trials", experiment_id, states=["failed"]).trials
    assert "No such model." in failed.error
    assert failed.answer is None


def test_results_hold_failed_trials_without_values(house):
    house.answerer.failures = [ModelUnknown("No such model.", provider="scripted", model="tiny")]
    table = house.call("get_results", house.run(axes="0", cases=2, repeats=1)).table
    assert len(table) == 2
    assert sorted(table.answer.tolist())[0] == -1
    assert sum(value != value for value in table.duration_ms.tolist()) == 1


def test_results_hold_every_number_as_it_is_stored(house):
    experiment_id = house.run(rules=(Contains("w1"),))
    with house.process.store.transaction() as conn:
        conn.execute(
            text("UPDATE experiment_trials SET score = sqrt(id), cost_usd = 1.0 / id, answer_hash = :most - id"),
            {"most": 2**63 - 1},
        )
        rows = conn.execute(
            text("SELECT arm, case_no, repeat, score, passed, cost_usd, answer_hash FROM experiment_trials")
        ).all()
    table = house.call("get_results", experiment_id).table
    columns = (table.arm, table.case, table.repeat, table.score, table.passed, table.cost_usd, table.answer)
    assert sorted(zip(*(column.tolist() for column in columns), strict=True)) == sorted(map(tuple, rows))


def test_columns_asked_wrongly_raise_an_error_of_the_store(house):
    with pytest.raises(StoreError), house.process.store.reading() as conn:
        trial_figures.read_columns(conn, experiment_id="no uuid")


def test_marks_change_with_an_end_and_a_score_and_stay_otherwise(house):
    experiment_id = house.run()
    marks = [house.call("get_standing", experiment_id).marks for _ in range(2)]
    item = house.call("next_for_review", experiment_id)
    house.call("add_hand_score", experiment_id, trial_id=item.trial_id, score=0.5)
    marks.append(house.call("get_standing", experiment_id).marks)
    house.call("rerun_cell", experiment_id, arm=0, case=0)
    marks.append(house.call("get_standing", experiment_id).marks)
    assert marks[0] == marks[1]
    assert len(set(marks)) == 3
    assert house.call("get_standing", experiment_id).progress.waiting == 2


def test_results_have_an_axis_for_each_thing_that_varies(house):
    version = house.experiments.save_prompt(user_id=house.user_id, name="other", prompt="Shout {{word}}")
    draft = house.draft()
    plan = replace(draft.plan, prompts=(*draft.plan.prompts, version))
    house.call("save_plan", draft.id, plan=plan)
    house.call("start", draft.id, role="analyst")
    axes = house.call("get_results", draft.id).axes
    assert [(axis.name, axis.levels) for axis in axes] == [
        ("prompt", ("greeting v1", "other v1")),
        ("temperature", ("0", "0.5")),
    ]
    assert axes[1].level_of_arm == (0, 1, 0, 1)


def test_unknown_scores_are_refused(house):
    with pytest.raises(BadInput, match="no scores"):
        house.call("get_results", house.start(), scored_by="judge:x")


# ---- the case table ----------------------------------------------------------------------------


@pytest.fixture
def scored(house):
    """Case w1 is answered right by one arm only; w2 gets another answer each time."""
    seen = iter(range(1000))

    def answer(request):
        word = request.messages[-1].content.split()[-1]
        if word == "w1":
            return "right" if request.params.temperature == 0 else "wrong"
        return f"right {next(seen)}" if word == "w2" else "right"

    house.answerer.answer = answer
    return house.run(rules=(Contains("right"),))


def shown(house, experiment_id, **arguments):
    return [line.case.values["word"] for line in house.call("list_cells", experiment_id, **arguments).lines]


def test_case_table_filters_where_arms_or_repeats_differ(house, scored):
    assert shown(house, scored) == ["w0", "w1", "w2"]
    assert shown(house, scored, only="arms_differ") == ["w1"]
    assert shown(house, scored, only="repeats_differ") == ["w2"]
    assert shown(house, scored, only="failed") == []
    assert shown(house, scored, search="W2") == ["w2"]


def test_case_table_shows_and_filters_by_scores_of_people_and_judges(house, scored):
    for arm, score in ((0, 1.0), (1, 0.5)):
        for trial in house.call("get_cell", scored, arm=arm, case=2).trials:
            house.call("add_hand_score", scored, trial_id=trial.id, score=score)
    house.answerer.answer = lambda request: '{"score": %s}' % (0.5 if "w0" in request.messages[-1].content else 0.25)
    house.call("run_judge", scored, role="analyst", plan=JudgePlan(MODEL, "Good?"))
    house.finish(scored)
    assert shown(house, scored, only="arms_differ", scored_by="hand") == [
        "w1",
        "w2",
    ]  # w1 without scores, by its answers
    assert shown(house, scored, only="scored", scored_by="hand") == ["w2"]
    assert shown(house, scored, only="not_scored", scored_by="hand") == ["w0", "w1"]
    assert shown(house, scored, only="arms_differ", scored_by="judge:1") == []
    by_hand = house.call("list_cells", scored, scored_by="hand").lines[2].cells
    by_judge = house.call("list_cells", scored, scored_by="judge:1").lines[0].cells
    assert ([cell.score for cell in by_hand], [cell.trials for cell in by_hand]) == ([1.0, 0.5], [2, 2])
    assert [cell.score for cell in by_judge] == [0.5, 0.5]
    with pytest.raises(BadInput, match="no scores `everyone`"):
        house.call("list_cells", scored, scored_by="everyone")


def test_case_table_pages_and_counts(house, scored):
    page = house.call("list_cells", scored, offset=1, limit=1)
    assert (page.total, page.offset, len(page.lines)) == (3, 1, 1)
    first, second = page.lines[0].cells
    assert (first.score, second.score, first.trials, first.distinct_answers) == (1.0, 0.0, 2, 1)
    assert (first.text, second.text) == ("right", "wrong")


def test_cases_with_unknown_columns_are_kept_by_name_when_extended(house):
    experiment_id = house.run(axes="0", cases=1, repeats=1)
    plan = house.call("get", experiment_id).plan
    house.call(
        "extend", experiment_id, role="analyst", plan=plan, cases=CaseTable(("expected", "word"), (("x", "w9"),))
    )
    assert house.call("get_cases", experiment_id).rows[-1] == ("w9", "x")

"""Judge models: set one to work on all answers, watch it, and see how far it agrees with scores by hand."""

from __future__ import annotations

import streamlit as st

from chatplay.errors import ChatplayError
from chatplay.experiments.values import EXPECTED, Experiment, Judge, JudgePlan, ModelRef
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui import gate, state
from chatplay.ui.experiments import state as experiments_state
from chatplay.ui.experiments import words as experiments_words
from chatplay.ui.experiments.plan.settings import model_label
from chatplay.ui.experiments.results import data as figures
from chatplay.ui.experiments.results import scores
from chatplay.ui.experiments.results.data import Board
from chatplay.ui.markdown import message_markdown

_TICK_SEC = 2.0
_KINDS = ("Scores", "Pairs")
_RUBRIC = "Is the answer right, complete and to the point?"
_WITH_EXPECTED = f"{_RUBRIC}\nThe expected answer: {{{{{EXPECTED}}}}}"


def draw(experiment: Experiment) -> None:
    service, whose = get_runtime().experiments, figures.about(experiment, None)
    progress = service.get_progress(**whose)
    judges = service.list_judges(**whose)
    with st.container(key="experiments_judges"):
        moves = progress.judgements_left > 0 and progress.state == "running"
        st.fragment(_draw_judges, run_every=_TICK_SEC if moves else None)(experiment, moves)
    _draw_form(experiment, judges, progress.done)


# ---- those at work -----------------------------------------------------------------------------


def _draw_judges(experiment: Experiment, moves: bool) -> None:
    gate.recheck()
    try:
        with st.spinner("Reading the trials"):
            board = figures.load(experiment, figures.about(experiment, None), "hand")
        judges = board.judges()
        if moves and not board.progress.judgements_left:
            st.rerun()
        for start in range(0, len(judges), 2):
            for column, judge in zip(st.columns(2), judges[start : start + 2], strict=False):
                with column:
                    _draw_judge(board, judge)
    except ChatplayError as error:
        st.error(message_markdown(str(error)), icon=":material/database_off:")


def _draw_judge(board: Board, judge: Judge) -> None:
    with st.container(border=True, key=f"experiments_judge_{judge.number}"):
        _draw_progress(judge, paused=board.progress.state == "paused")
        scores.draw_judge(board, judge)
        if judge.is_withdrawn:
            given = fmt.many(judge.verdicts, "verdict")
            st.caption(f"Withdrawn: {given} kept in the exports and beside the answers, counted in no figure.")
        with st.expander("Rubric"):
            st.text(judge.plan.rubric)
        _draw_way_out(board.experiment, judge)


def _draw_way_out(experiment: Experiment, judge: Judge) -> None:
    label, icon, help_text = _way_out(judge)
    way = "readmit" if judge.is_withdrawn else "withdraw"
    st.button(
        label,
        icon=f":material/{icon}:",
        type="tertiary",
        help=help_text,
        on_click=_take_way_out,
        args=(experiment, judge),
        key=_key(f"{way}_{experiment.id}_{judge.number}"),
    )


def _way_out(judge: Judge) -> tuple[str, str, str]:
    """Label, icon and what comes of it."""
    if judge.is_withdrawn:
        return "Count its verdicts again", "undo", "They count on the Results tab as before."
    if not judge.verdicts:
        return "Remove", "delete", "It has given no verdict. Calls that run are stopped."
    kept = f"Its {fmt.many(judge.verdicts, 'verdict')} no longer count on the Results tab. They stay in"
    more = " What it has not judged yet is not judged." if judge.done < judge.total else ""
    return "Withdraw", "block", f"{kept} the exports and beside the answers.{more}"


def _take_way_out(experiment: Experiment, judge: Judge) -> None:
    service = get_runtime().experiments
    act = service.readmit_judge if judge.is_withdrawn else service.remove_judge
    user_id = state.person().id
    experiments_state.act(lambda: act(user_id=user_id, experiment_id=experiment.id, judge=judge.number))
    st.rerun()


def _draw_progress(judge: Judge, *, paused: bool) -> None:
    if judge.done < judge.total:
        text = f"{judge.done:,} of {fmt.many(judge.total, 'call')}"
        st.progress(judge.done / judge.total, text=f"{text}, paused" if paused else text)


# ---- a new one ---------------------------------------------------------------------------------


def _draw_form(experiment: Experiment, judges: list[Judge], done: int) -> None:
    running = [ModelRef(model.name, model.upstream) for model in _list_models()]
    with st.expander("Ask a judge model", expanded=not judges, icon=":material/gavel:"):
        if not running:
            st.caption(
                "No model that could judge is running. The Models page shows why. Echo only repeats what it reads."
            )
            return
        model = st.selectbox(
            "Model",
            running,
            format_func=lambda one: model_label(one, running),
            key=_key("model"),
            help="A larger model than those it judges, and of another maker, is fairer.",
        )
        if model is not None:
            scores.draw_honesty(model)
        kind = st.segmented_control("Judges", list(_KINDS), default=_KINDS[0], required=True, key=_key("kind"))
        labels = experiments_words.arm_names(experiment.arms)
        if kind == "Pairs":
            st.selectbox(
                "Baseline",
                range(len(labels)),
                format_func=lambda arm: labels[arm],
                key=_key(f"baseline_{experiment.id}"),
                help="Each arm's answers meet those of the baseline, every pair in both orders.",
            )
        st.text_area(
            "Rubric",
            _WITH_EXPECTED if EXPECTED in experiment.case_columns else _RUBRIC,
            key=_key(f"rubric_{experiment.id}"),
            help=f"Columns of the cases may be used: {_columns(experiment)}.",
        )
        st.button(
            _button_label(done, len(labels), kind),
            type="primary",
            disabled=not done or (kind == "Pairs" and len(labels) < 2),
            on_click=experiments_state.act,
            args=(_run, experiment),
            key=_key("run"),
        )
        st.caption("Its calls run as trials do, under the same caps, and appear on the Metrics page.")


def _list_models() -> list[ModelRef]:
    """Those that can give a verdict: Echo repeats the question."""
    running = get_runtime().catalog.list_running(state.person().role)
    return [ModelRef(model.name, model.upstream) for model in running if model.provider != "echo"]


def _columns(experiment: Experiment) -> str:
    return ", ".join(f"`{{{{{name}}}}}`" for name in experiment.case_columns) or "there are none"


def _button_label(done: int, arms: int, kind: str) -> str:
    """With how many calls that is; of pairs about, since some answers may have no counterpart."""
    if kind == "Scores":
        return f"Judge {fmt.many(done, 'answer')}"
    return f"Judge pairs, about {fmt.many(2 * done * (arms - 1) // max(arms, 1), 'call')}"


def _run(experiment: Experiment) -> None:
    """With what the fields hold now: what was typed last may come together with the click."""
    plan = JudgePlan(
        model=state.widget_value(_key("model")),
        rubric=state.widget_value(_key(f"rubric_{experiment.id}")) or "",
        pairs=state.widget_value(_key("kind")) == "Pairs",
        baseline=state.widget_value(_key(f"baseline_{experiment.id}")) or 0,
    )
    person = state.person()
    get_runtime().experiments.run_judge(user_id=person.id, role=person.role, experiment_id=experiment.id, plan=plan)
    experiments_state.tell_if_paused(experiment)


def _key(name: str) -> str:
    return state.experiments_key(f"judge_{name}")

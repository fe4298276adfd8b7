"""The Run tab: how far an experiment is, what it costs, what fails, and what can be done about it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from chatplay.errors import ChatplayError
from chatplay.experiments.values import ArmFigures, ErrorGroup, Experiment, Progress, Standstill
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui import gate, state
from chatplay.ui.experiments import extend as experiments_extend
from chatplay.ui.experiments import state as experiments_state
from chatplay.ui.experiments import words
from chatplay.ui.experiments.results import ahead as results_ahead
from chatplay.ui.experiments.state import act
from chatplay.ui.markdown import message_markdown
from chatplay.ui.tables import table_height

_TICK_SEC = 1.5


def draw(experiment: Experiment, token: str | None) -> None:
    """Refreshes itself while something runs; stands still otherwise."""
    if experiment.state == "draft":
        st.info("Nothing runs yet. The Start button is on the Plan tab.", icon=":material/science:")
        return
    place = st.container(key="experiments_run")  # the fragment's own place, whatever is drawn after it
    with place:
        moves = _moves(_progress(experiment, token))
        st.fragment(_draw_live, run_every=_TICK_SEC if moves else None)(experiment, token, moves)
    if experiment.is_mine:
        experiments_extend.draw_asked(experiment)
    results_ahead.begin(experiment, token)


def _moves(progress: Progress) -> bool:
    """Whether there is anything to wait for: also calls that end after a pause, and a judge at work."""
    return progress.state == "running" or bool(progress.running)


def _progress(experiment: Experiment, token: str | None) -> Progress:
    return get_runtime().experiments.get_progress(user_id=state.person().id, experiment_id=experiment.id, token=token)


def _draw_live(experiment: Experiment, token: str | None, moves: bool) -> None:
    gate.recheck()
    service, user_id = get_runtime().experiments, state.person().id
    about: dict[str, Any] = {"user_id": user_id, "experiment_id": experiment.id, "token": token}
    try:
        progress = _progress(experiment, token)
        arms = service.list_arm_figures(**about)
        errors = service.list_errors(**about) if progress.failed else []
        left = progress.waiting or progress.judgements_left
        standstill = service.find_standstill(**about) if left and not progress.running else None
    except ChatplayError as error:
        st.error(f"{message_markdown(str(error))} What runs goes on by itself.", icon=":material/database_off:")
        return
    if progress.state != experiment.state or _moves(progress) != moves:
        st.rerun()  # the head shows the state, too, and what stands still needs no ticks
    _draw_progress(progress)
    if standstill is not None:
        st.warning(_say_standstill(standstill), icon=":material/hourglass_disabled:")
    if experiment.is_mine:
        _draw_buttons(experiment, progress)
    _draw_figures(experiment, progress)
    _draw_errors(experiment, progress, errors)
    _draw_arms(experiment, arms, is_over=progress.is_over)


# ---- how far -----------------------------------------------------------------------------------


def _draw_progress(progress: Progress) -> None:
    ended = progress.done + progress.failed
    st.progress(ended / progress.trials if progress.trials else 0.0, text=_headline(progress, ended))
    if progress.paused_because:
        st.warning(message_markdown(progress.paused_because), icon=":material/pause:")
    if progress.judgements_left or progress.judgements_done:
        total = progress.judgements_left + progress.judgements_done
        st.caption(f"Judging: {progress.judgements_done:,} of {fmt.many(total, 'call')} ended.")


def _say_standstill(found: Standstill) -> str:
    if not found.has_workers:
        return (
            "No worker is running, so no call begins. `EXPERIMENT_WORKER=true` has the app make them, and "
            "`python -m chatplay worker` starts one on any machine."
        )
    names = ", ".join(f"`{name}`" for name in found.upstreams)
    return message_markdown(
        f"No worker takes the calls to {names}: those that run lack the server, its key or, for the built-in models, "
        "DEMO_MODELS. Their logs say which. Start one with the same settings as the app has; nothing is lost meanwhile."
    )


def _headline(progress: Progress, ended: int) -> str:
    text = f"{ended:,} of {fmt.many(progress.trials, 'trial')}"
    if progress.cancelled:
        text += f", {progress.cancelled:,} cancelled"
    if progress.state != "running":
        return text
    if progress.left_sec is None:
        return f"{text}, time left not known yet"
    return f"{text}, about {words.span(progress.left_sec)} left"


def _draw_figures(experiment: Experiment, progress: Progress) -> None:
    caps = experiment.plan.caps
    unknown = (
        f"{fmt.many(progress.unknown_costs, 'call')} of unknown cost not counted." if progress.unknown_costs else None
    )
    figures = [
        ("Done", f"{progress.done:,}", None),
        ("Running", f"{progress.running:,}", None),
        ("Waiting", f"{progress.waiting:,}", None),
        ("Failed", f"{progress.failed:,}", "After the last attempt. Failed trials have no figures."),
        ("Cancelled", f"{progress.cancelled:,}", None),
        ("Trials per second", _speed(progress), "Of the last 30 s."),
        ("Calls", _of_cap(f"{progress.calls:,}", caps.max_calls and f"{caps.max_calls:,}"), None),
        ("Retries", f"{progress.retries:,}", "Calls made again after a failure. They never mix into latency."),
        (
            "Cost" if progress.is_over else "Cost so far",
            _of_cap(_cost(progress), caps.max_cost_usd and fmt.cost(caps.max_cost_usd)),
            unknown,
        ),
    ]
    hidden = set() if progress.cancelled else {"Cancelled"}
    if progress.state != "running":
        hidden.add("Trials per second")
    shown = [one for one in figures if one[0] not in hidden]
    with st.container(horizontal=True, gap="medium", key="experiments_figures"):
        for label, value, help_text in shown:
            st.metric(label, value, help=help_text, width="content")


def _speed(progress: Progress) -> str:
    if progress.trials_per_sec is None:
        return fmt.UNKNOWN
    rate = progress.trials_per_sec
    return f"{rate:,.1f}" if rate >= 1 else f"{rate:.2g}"


def _cost(progress: Progress) -> str:
    if progress.calls and progress.unknown_costs >= progress.calls:
        return fmt.UNKNOWN
    return fmt.cost(progress.cost_usd)


def _of_cap(value: str, cap: str | int | float | None) -> str:
    return f"{value} of {cap}" if cap else value


# ---- what can be done --------------------------------------------------------------------------


def _draw_buttons(experiment: Experiment, progress: Progress) -> None:
    with st.container(horizontal=True, gap="small", key="experiments_buttons"):
        if progress.state == "running":
            _button("Pause", "pause", "pause", experiment, help="Calls that run end and count; no more are begun.")
        if progress.state == "paused":
            _button("Resume", "resume", "play_arrow", experiment, type="primary")
        if progress.state in ("running", "paused"):
            _ask("Cancel", "cancel", "close", experiment)
            _ask("Change limits", "limits", "speed", experiment)
        _ask("Extend", "extend", "add", experiment)
        if progress.is_over and progress.done:
            st.button(
                "See the results",
                type="primary",
                icon=":material/bar_chart:",
                key=state.experiments_key("to_results"),
                on_click=_go,
                args=(experiment, "results"),
            )


def _button(label: str, verb: str, icon: str, experiment: Experiment, **look: Any) -> None:
    key = state.experiments_key(verb)
    st.button(label, key=key, icon=f":material/{icon}:", on_click=_do, args=(verb, experiment), **look)


def _ask(label: str, dialog: str, icon: str, experiment: Experiment) -> None:
    """A button that opens a dialog, in a run of the whole page: a tick would close one of the fragment."""
    key = state.experiments_key(f"ask_{dialog}")
    if st.button(label, key=key, icon=f":material/{icon}:"):
        experiments_extend.open_dialog(dialog, experiment)
        st.rerun()


def _do(verb: str, experiment: Experiment) -> None:
    service = get_runtime().experiments
    act(lambda: getattr(service, verb)(user_id=state.person().id, experiment_id=experiment.id))
    st.rerun()


def _rerun_failed(experiment: Experiment) -> None:
    act(_run_failed_again, experiment)
    st.rerun()


def _run_failed_again(experiment: Experiment) -> None:
    get_runtime().experiments.rerun_failed(user_id=state.person().id, experiment_id=experiment.id)
    experiments_state.tell_if_paused(experiment)


def _go(experiment: Experiment, tab: str) -> None:
    experiments_state.go(experiment.id, tab)
    st.rerun()


# ---- what fails --------------------------------------------------------------------------------


def _draw_errors(experiment: Experiment, progress: Progress, errors: list[ErrorGroup]) -> None:
    for group in errors:
        where = "" if len(group.arms) == len(experiment.arms) else f" Arms: {_arm_names(experiment, group)}."
        st.error(
            f"**{fmt.many(group.trials, 'trial')}:** {message_markdown(f'{group.message} {group.cure}'.strip())}"
            f"{message_markdown(where)}",
            icon=":material/error:",
        )
    if errors and experiment.is_mine:
        st.button(
            f"Run {fmt.many(progress.failed, 'failed trial')} again",
            key=state.experiments_key("rerun_failed"),
            icon=":material/replay:",
            on_click=_rerun_failed,
            args=(experiment,),
        )


def _arm_names(experiment: Experiment, group: ErrorGroup) -> str:
    names = words.arm_names(experiment.arms)
    labels = [names[arm] for arm in group.arms[:3] if arm < len(names)]
    more = len(group.arms) - len(labels)
    return "; ".join(labels) + (f" and {more:,} more" if more else "")


# ---- results as they come ----------------------------------------------------------------------


def _draw_arms(experiment: Experiment, arms: list[ArmFigures], *, is_over: bool) -> None:
    st.subheader("Result" if is_over else "So far", anchor=False)
    if not arms:
        st.caption("Every trial was cancelled before it ran.")
        return
    text = st.column_config.TextColumn
    names = words.arm_names(experiment.arms)
    frame = pd.DataFrame([_row(names, one) for one in arms])
    st.dataframe(
        frame,
        hide_index=True,
        height=table_height(len(frame)),
        column_config={
            "Done": st.column_config.ProgressColumn(format="%d %%", min_value=0, max_value=100),
            **{name: text(alignment="right") for name in frame.columns if name not in ("Arm", "Done")},
        },
    )
    st.caption("Means of the trials that are done. Which differences are real, the Results tab says.")


def _row(names: list[str], one: ArmFigures) -> dict[str, Any]:
    label = names[one.arm] if one.arm < len(names) else f"Arm {one.arm + 1}"
    return {
        "Arm": label,
        "Done": round(100 * one.done / one.trials) if one.trials else 0,
        "n": f"{one.done:,}",
        "Failed": f"{one.failed:,}",
        "Score": fmt.UNKNOWN if one.score is None else f"{one.score:.2f}",
        "Passed": fmt.UNKNOWN if one.passed is None else f"{100 * one.passed:.0f} %",
        "TTFT": fmt.duration(one.ttft_ms),
        "Duration": fmt.duration(one.duration_ms),
        "Speed": fmt.speed(one.tokens_per_second),
        "Answer tokens": fmt.count(None if one.completion_tokens is None else round(one.completion_tokens)),
        "Cost a call": fmt.cost(one.cost_usd),
    }

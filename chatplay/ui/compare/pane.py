"""One pane: which model with which settings, its answer, how it went, and what can be done with it."""

from __future__ import annotations

import streamlit as st

from chatplay.compare.values import MAX_PANES, MIN_PANES, ComparisonView, Pane, PaneAnswer, differing, ended
from chatplay.generation.values import AnswerMetrics, GenerationEnd
from chatplay.models.catalog import ModelInfo
from chatplay.params import SPECS
from chatplay.runtime import get_runtime
from chatplay.ui import params_panel, state
from chatplay.ui.answer_words import failed_twice, unfinished, without_figures
from chatplay.ui.compare import actions as compare_actions
from chatplay.ui.compare import figures as compare_figures
from chatplay.ui.compare.live import AnswerPlace, LivePlace, Place, draw_answer
from chatplay.ui.markdown import message_markdown, plain_markdown
from chatplay.ui.model_menu import model_id

_WAITING = '<span class="chat-dots"><i></i><i></i><i></i></span>'


def draw(view: ComparisonView, place: int, models: tuple[ModelInfo, ...]) -> LivePlace:
    """The pane at this place of the page; returns what changes while its answer comes."""
    pane = view.places[place]
    answer = view.answers.get(pane.id)
    # Without names, answers come all together: which was quicker would tell the models apart.
    is_coming = answer is not None and (answer.is_coming or (view.is_veiled and view.is_running))
    with st.container(key=f"compare_pane_{place + 1}", border=True, gap="small"):
        head, veil = st.empty(), st.empty()  # one takes the place of the other at once, not at the end of the run
        if view.is_veiled:
            veil.markdown(f"**{compare_figures.name_of(view, place)}**")
        else:
            with head.container(gap="xsmall"):
                _draw_head(view, pane, models)
        answer_place = AnswerPlace(st.container(key=f"compare_answer_{place + 1}"), place)
        if answer is not None and not (view.is_veiled and is_coming):
            draw_answer(answer_place, answer)
        figures, outcome = st.empty(), st.empty()
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key=f"compare_foot_{place + 1}"):
            foot = (st.empty(), st.empty())
        if answer is None:
            figures.caption("No answer yet.")
        elif is_coming:
            figures.html(_WAITING)
        else:
            with outcome.container(gap="xsmall"):
                _draw_outcome(view, pane, answer)
        _draw_foot(foot, view, pane, answer, is_coming=is_coming)

    def finish(end: GenerationEnd) -> None:
        if answer is not None:
            figures.empty()
            over = ended(answer, view.comparison.history, end)
            with outcome.container(gap="xsmall"):
                _draw_outcome(view, pane, over)
            _draw_foot(foot, view, pane, over, is_coming=False)

    window = get_runtime().compare.find_window(view, answer) if answer is not None and answer.is_coming else None
    return LivePlace(answer_place, figures, finish, window)


# ---- head --------------------------------------------------------------------------------------


def _draw_head(view: ComparisonView, pane: Pane, models: tuple[ModelInfo, ...]) -> None:
    comparison_id = view.comparison.id
    ids = [model_id(info) for info in models]
    chosen = f"{pane.model_name} · {pane.upstream}"
    info = get_runtime().catalog.find_info(pane.model_name, upstream=pane.upstream)
    key = state.synced(state.compare_key("model", pane.id), chosen)
    st.selectbox(
        f"Model of pane {pane.position + 1}",
        ids if chosen in ids else [chosen, *ids],
        key=key,
        label_visibility="collapsed",
        on_change=compare_actions.set_model,
        args=(pane, comparison_id, key),
    )
    number = view.places.index(pane) + 1
    settings_line = compare_figures.settings_line(pane, differing(view.panes), [one.params for one in view.panes])
    mark = compare_figures.mark_of(view, pane)
    if view.vote and view.vote.is_blind:  # all panes have one: which answer theirs was
        st.caption(f"{number} · {settings_line}" + (f"  \n{mark}" if mark else ""))
    else:  # only the best one has one: in a line of its own it would shift that pane alone
        st.caption(" · ".join(part for part in (str(number), mark, settings_line) if part))
    # Filled only while open: the browser walks all that is in the page at each word that comes.
    settings = st.expander(
        "Settings", icon=":material/tune:", key=state.compare_key("settings", pane.id), on_change="rerun"
    )
    if settings.open:
        with settings:
            _draw_settings(pane, view, info)
    warning = st.empty()
    if chosen not in ids:
        warning.warning(
            f"{message_markdown(f'`{pane.model_name}`')} does not run at the moment. Choose another model, or run "
            "this pane when it is back.",
            icon=":material/cloud_off:",
        )


def _draw_settings(pane: Pane, view: ComparisonView, info: ModelInfo | None) -> None:
    ranges = info.ranges if info else {}
    values = params_panel.shown(pane.params, ranges)
    for spec in SPECS:
        key = state.synced(state.compare_key("param", pane.id, spec.name), values[spec.name])
        refused = spec.name == "system_prompt" and info is not None and not info.supports_system_prompt
        params_panel.draw(
            spec,
            ranges,
            disabled=refused,
            key=key,
            on_change=compare_actions.set_param,
            args=(pane, view.comparison.id, spec.name, key),
        )


# ---- under the answer --------------------------------------------------------------------------


def _draw_outcome(view: ComparisonView, pane: Pane, answer: PaneAnswer) -> None:
    if answer.check.state == "different" and not view.is_veiled:
        st.error(compare_figures.mismatch_text(answer.check), icon=":material/gpp_bad:")
    if answer.status == "failed":
        _draw_failure(view, pane, answer)
    elif words := unfinished(answer.status, answer.content):
        st.caption(words)
    elif not answer.content.strip():
        st.caption("The model sent an empty answer.")
    if answer.prompt != view.asks_now:
        st.caption(":material/history: This answers an earlier prompt.")
    if view.is_veiled:
        return
    if changed := compare_figures.changed_since(pane, answer):
        st.caption(f":material/history: Changed since this answer: {plain_markdown(', '.join(changed))}.")
    if answer.metrics is not None:
        _draw_figures(answer, answer.metrics)
    if line := compare_figures.fingerprint_line(answer):
        has_digits = answer.check.state != "unknown"
        st.caption(line, help=compare_figures.FINGERPRINT if has_digits else None)


def _draw_failure(view: ComparisonView, pane: Pane, answer: PaneAnswer) -> None:
    metrics, problem = answer.metrics, answer.problem
    if view.is_veiled:
        st.error("This answer could not be had. Why is said after the vote.", icon=":material/error:")
    else:
        what = problem.message if problem else (metrics and metrics.error_message) or "The answer could not be had."
        cure = problem.cure if problem else (metrics and metrics.error_cure) or ""
        kept = "  \nWhat had come is kept above." if answer.content.strip() else ""
        again = f" {words}" if metrics and (words := failed_twice(metrics)) else ""
        st.error(f"**{message_markdown(what)}**{again} {message_markdown(cure)}{kept}", icon=":material/error:")
    st.button(
        "Retry",
        key=state.compare_key("retry", pane.id),
        icon=":material/refresh:",
        on_click=compare_actions.run,
        args=(view, pane),
    )


def _draw_figures(answer: PaneAnswer, metrics: AnswerMetrics) -> None:
    info = get_runtime().catalog.find_info(answer.model_name, upstream=answer.upstream)
    with st.popover(
        without_figures(answer.status, metrics) or compare_figures.figures_line(metrics),
        type="tertiary",
        key=f"chat_figures_{answer.id}",
        help="Tokens were estimated: the server reported none." if metrics.tokens_estimated else None,
    ):
        st.html(compare_figures.details(answer, metrics, info.context_tokens if info else None))


def _draw_foot(
    foot: tuple[Place, Place], view: ComparisonView, pane: Pane, answer: PaneAnswer | None, *, is_coming: bool
) -> None:
    press, menu = foot
    if not is_coming and answer is not None and answer.status == "failed":
        press.empty()  # Retry does it
    else:
        press.button(
            "Stop" if is_coming else "Run",
            key=state.compare_key("stop" if is_coming else "run", pane.id),
            type="tertiary",
            icon=":material/stop:" if is_coming else ":material/play_arrow:",
            on_click=compare_actions.stop if is_coming else compare_actions.run,
            args=(view.comparison.id, pane) if is_coming else (view, pane),
        )
    if is_coming or not (options := menu_of(view, pane, answer)):
        return
    key = f"chat_icon_pane_{pane.id}"
    menu.menu_button(
        "Pane actions",
        list(options),
        key=key,
        type="tertiary",
        icon=":material/more_horiz:",
        format_func=lambda name: options.get(name, name),
        on_click=compare_actions.from_menu,
        args=(view, pane, key),
    )


def menu_of(view: ComparisonView, pane: Pane, answer: PaneAnswer | None) -> dict[str, str]:
    """What may be done now: panes keep their places while answers come and while names are hidden."""
    options = {}
    if answer is not None and answer.content and not answer.is_coming:
        options["copy"] = "Copy the answer"
        if not view.is_veiled:
            options["chat"] = "Continue this one as a chat"
    if view.is_running or view.is_veiled:
        return options
    if pane.position:
        options["left"] = "Move left"
    if pane.position < len(view.panes) - 1:
        options["right"] = "Move right"
    if len(view.panes) < MAX_PANES:
        options["duplicate"] = "Duplicate"
    if len(view.panes) > MIN_PANES:
        options["remove"] = "Remove"
    return options

"""Under the answers of Compare: how often each combination of settings won, and all runs with the vote on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from chatplay.compare.tally import (
    LEAST_PROMPTS,
    LEAST_REPEATED_PROMPTS,
    Kind,
    PastRun,
    Setup,
    Standing,
    Tally,
    setup_of,
    setup_of_pane,
    tally,
)
from chatplay.compare.values import ComparisonView
from chatplay.runtime import get_runtime
from chatplay.ui import files, format, state
from chatplay.ui.compare import figures as compare_figures
from chatplay.ui.compare.past import draw_past, frame_of_answers
from chatplay.ui.markdown import plain_markdown
from chatplay.ui.people import viewer_zone
from chatplay.ui.tables import choose_row, table_height
from db.compare_runs import RunCounts

_KINDS: dict[Kind, str] = {"all": "All votes", "blind": "Blind", "open": "With names"}
_HOW = (
    "The chance to win a vote that is no tie against settings of average strength, with its 95 % interval: Luce 1959 "
    "with ties after Davidson (Firth, Kosmidis & Turner 2019), half a win and half a loss added to each; votes on the "
    "same prompt are taken as alike. None is good counts as a tie."
)


def draw(view: ComparisonView) -> None:
    """A switch, and what it opens; it stays open while one prompt after another is voted on."""
    counts = get_runtime().compare.count_runs(**_which(view))
    if counts.runs < 2 and not counts.votes:
        return
    with st.container(key="compare_tally", gap="small"):
        if not st.toggle(_switch(counts), key="compare_show_votes"):
            return
        runs = get_runtime().compare.list_runs(**_which(view))
        labels = label_setups(runs)
        if counts.votes:
            _draw_tally(view, runs, labels)
        _draw_runs(view, runs, labels)


def _which(view: ComparisonView) -> dict[str, Any]:
    return {"user_id": state.person().id, "comparison_id": view.comparison.id}


def _switch(counts: RunCounts) -> str:
    if not counts.votes:
        return f"Show all {counts.runs:,} runs"
    return f"Show how often each setting won ({format.many(counts.runs, 'run')}, {format.many(counts.votes, 'vote')})"


# ---- how settings are called -------------------------------------------------------------------


def label_setups(runs: Sequence[PastRun]) -> dict[Setup, str]:
    """What tells each apart from the others of these runs; no two are called the same."""
    setups = list(dict.fromkeys(setup_of(answer) for run in runs for answer in run.answers))
    several = [setup.params for setup in setups]
    names = compare_figures.differing_names(several)
    models = {(setup.model_name, setup.upstream) for setup in setups}
    labels: dict[Setup, str] = {}
    for setup in setups:
        parts = [compare_figures.setting_text(setup.params, name, several) for name in names]
        if len(models) > 1 or not parts:
            alike = [name for name, _ in models].count(setup.model_name)
            parts.insert(0, setup.model_name if alike == 1 else f"{setup.model_name} @ {setup.upstream}")
        label = " · ".join(parts)
        labels[setup] = label if label not in labels.values() else f"{label} ({len(labels) + 1})"
    return labels


# ---- the tally ---------------------------------------------------------------------------------


def _draw_tally(view: ComparisonView, runs: Sequence[PastRun], labels: Mapping[Setup, str]) -> None:
    found = tally(runs, _choose_kind(runs))
    st.markdown(_verdict(found, labels))
    if caveats := _caveats(found):
        st.caption(caveats)
    if not found.standings:
        return
    panes: dict[Setup, list[str]] = {}
    for place, pane in enumerate(view.places):
        panes.setdefault(setup_of_pane(pane, view.answers.get(pane.id)), []).append(str(place + 1))
    frame = pd.DataFrame([_row(one, labels, panes, found) for one in found.standings])
    st.dataframe(
        frame,
        hide_index=True,
        height=table_height(len(frame)),
        key="compare_table_tally",
        column_config={
            "Settings": st.column_config.TextColumn(pinned=True),
            "Chance to win": st.column_config.NumberColumn(format="%.0f %%", help=_HOW),
        },
    )
    files.draw_csv("compare-votes", lambda: pd.DataFrame([_csv_row(one, labels) for one in found.standings]))


def _choose_kind(runs: Sequence[PastRun]) -> Kind:
    blind = [run.vote.is_blind for run in runs if run.vote]
    if len(set(blind)) < 2:
        return "all"
    counts = {"all": len(blind), "blind": sum(blind), "open": len(blind) - sum(blind)}
    chosen: Kind = st.segmented_control(
        "Which votes",
        list(_KINDS),
        format_func=lambda kind: f"{_KINDS[kind]} {counts[kind]:,}",
        default="all",
        required=True,
        key="compare_votes_kind",
        label_visibility="collapsed",
    )
    return chosen


def _verdict(found: Tally, labels: Mapping[Setup, str]) -> str:
    """In one sentence of Markdown: what can be said, and what cannot."""
    votes = f"{format.many(found.votes, 'vote')} on {format.many(found.prompts, 'prompt')}"
    if not found.standings:
        return "No vote counts yet."
    if not found.is_enough:
        return (
            f"**Too few to tell.** {votes}: an interval takes {LEAST_PROMPTS} prompts, or {LEAST_REPEATED_PROMPTS} "
            "where a prompt was voted on more than once."
        )
    if found.leader is not None:
        return f"**{plain_markdown(labels[found.leader.setup])}** wins more often than all others, by {votes}."
    return f"**Can't tell yet** which wins most often: by {votes}, the intervals overlap."


def _caveats(found: Tally) -> str:
    said = []
    if any(one.group for one in found.standings):
        said.append(
            "Some settings never stood beside the others: a chance compares only those of the same group, and which is "
            "best of all cannot be told."
        )
    if found.uncounted:
        said.append(
            f"{format.many(found.uncounted, 'vote')} not counted: fewer than two different settings had an answer, or "
            "a server was sent something else than its pane showed."
        )
    return " ".join(said)


def _row(
    one: Standing, labels: Mapping[Setup, str], panes: Mapping[Setup, Sequence[str]], found: Tally
) -> dict[str, object]:
    row: dict[str, object] = {
        "Settings": labels[one.setup],
        "Pane": ", ".join(panes.get(one.setup, [])) or "not here now",
        "Won": one.won,
        "Tie": one.tied,
        "None good": one.rejected,
        "Lost": one.lost,
        "Votes": one.votes,
    }
    if any(other.group for other in found.standings):
        row["Group"] = one.group + 1
    if one.chance is not None:
        row["Chance to win"] = 100 * one.chance.value
        row["95 % interval"] = f"[{100 * one.chance.low:.0f}, {100 * one.chance.high:.0f}] %"
    return row


def _csv_row(one: Standing, labels: Mapping[Setup, str]) -> dict[str, object]:
    chance = one.chance
    return {
        "settings": labels[one.setup],
        **compare_figures.setup_columns(one.setup.model_name, one.setup.upstream, one.setup.params),
        "votes": one.votes,
        "won": one.won,
        "tied": one.tied,
        "none_good": one.rejected,
        "lost": one.lost,
        "group": one.group + 1,
        "win_chance": chance and chance.value,
        "win_chance_low": chance and chance.low,
        "win_chance_high": chance and chance.high,
    }


# ---- the runs ----------------------------------------------------------------------------------


def _draw_runs(view: ComparisonView, runs: Sequence[PastRun], labels: Mapping[Setup, str]) -> None:
    tz, now = viewer_zone(state.person()), format.now_utc()
    frame = pd.DataFrame(
        {
            "When": [format.ago(run.run.created_at, now=now, tz=tz) for run in runs],
            "Prompt": [" ".join(run.run.prompt.split()) for run in runs],
            "Best": [_best(run, labels) for run in runs],
            "Vote": [("Blind" if run.vote.is_blind else "With names") if run.vote else "" for run in runs],
            "Answers": [sum(bool(answer.content) for answer in run.answers) for run in runs],
        }
    )
    chosen = choose_row(
        frame, runs, key="compare_runs", ids=[run.run.id for run in runs], height=table_height(len(frame), most=8)
    )
    service, which = get_runtime().compare, _which(view)
    files.draw_csv("compare-runs", lambda: frame_of_answers(service.list_runs(**which, with_texts=True), labels))
    if chosen is None:
        st.caption("Choose a run to read its answers again.")
        return
    for past in service.list_runs(**which, run_id=chosen.run.id, with_texts=True):
        draw_past(past, labels)


def _best(run: PastRun, labels: Mapping[Setup, str]) -> str:
    if run.vote is None:
        return "no vote"
    if run.vote.choice != "best":
        return "Tie" if run.vote.choice == "tie" else "None is good"
    winner = next((answer for answer in run.answers if run.outcome_of(answer) == "won"), None)
    return labels[setup_of(winner)] if winner is not None else format.UNKNOWN

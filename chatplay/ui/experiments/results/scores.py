"""The cards of the Results tab that come from people and judges: votes, and how far each judge can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from chatplay.experiments.values import Judge, ModelRef
from chatplay.ui import chart_style as style
from chatplay.ui import files, state
from chatplay.ui import format as fmt
from chatplay.ui.experiments import charts
from chatplay.ui.experiments import words as experiments_words
from chatplay.ui.experiments.charts import Mark
from chatplay.ui.experiments.results import table as tables
from chatplay.ui.experiments.results import words
from chatplay.ui.experiments.results.data import Board
from chatplay.ui.experiments.results.parts import card, draw_behind, draw_caveats, draw_empty, rows_px
from chatplay.ui.experiments.results.table import Cell, Shown
from chatplay.ui.markdown import message_markdown, plain_markdown

if TYPE_CHECKING:
    from chatplay.experiments.stats.values import Ranking, Strength

_PEOPLE = 0
_DEMO = "demo"  # no other server may be called so


def draw_votes(board: Board, judges: list[Judge]) -> None:
    with card("Votes", "votes"):
        voter = _choose_voter([one for one in judges if one.plan.pairs])
        found = board.ranking(voter or None)
        if not found.strengths:
            draw_empty("No votes yet. Two answers at a time are shown on the Review tab, without the names of arms.")
            return
        board.draw_kept(f"chart votes {voter}", lambda: _draw_chances(board, found))
        draw_caveats(board, found.caveats)
        draw_behind(board, "votes", lambda: _draw_numbers(board, found))


def _draw_chances(board: Board, found: Ranking) -> None:
    marks = [_mark(board, one, found.groups) for one in found.strengths]
    chart = charts.intervals(marks, title="Chance to win a vote", reference=0.5, names=board.labels, fmt=".0%")
    style.draw(chart, key="experiments_chart_votes", height=rows_px(len(marks)))


def _draw_numbers(board: Board, found: Ranking) -> None:
    tables.draw_table("votes", [_row(board, one, found.groups) for one in found.strengths])
    frame = pd.DataFrame([vars(one) | {"arm": board.columns[one.arm]} for one in found.strengths])
    files.draw_csv("experiment-votes", lambda: frame)


def _choose_voter(judges: list[Judge]) -> int:
    if not judges:
        return _PEOPLE
    names = {_PEOPLE: "People"} | {one.number: f"Judge {one.number}, {one.plan.model.name}" for one in judges}
    chosen: int = st.segmented_control(
        "Votes of",
        list(names),
        format_func=lambda number: plain_markdown(names.get(number, str(number))),
        default=_PEOPLE,
        required=True,
        key=state.experiments_key("voter"),
        label_visibility="collapsed",
    )
    return chosen


def _mark(board: Board, one: Strength, groups: int) -> Mark:
    text = f"{100 * one.win_chance:.0f} % [{100 * one.low:.0f}, {100 * one.high:.0f}]"
    note = text if groups == 1 else f"{text}, group {one.group + 1}"
    away = one.low > 0.5 or one.high < 0.5
    return Mark(board.labels[one.arm], one.win_chance, one.low, one.high, note, text, one.votes, away)


def _row(board: Board, one: Strength, groups: int) -> dict[str, Cell]:
    row: dict[str, Cell] = {
        "Arm": board.labels[one.arm],
        "Rank": Shown(one.rank, str(one.rank)),
        "Chance to win": Shown(
            one.win_chance, f"{100 * one.win_chance:.1f} % [{100 * one.low:.1f}, {100 * one.high:.1f}]"
        ),
    }
    counts = {"Votes": one.votes, "Won": one.wins, "Tied": one.ties, "Lost": one.losses}
    row |= {name: Shown(count, f"{count:,}") for name, count in counts.items()}
    return row if groups == 1 else row | {"Group": Shown(one.group + 1, str(one.group + 1))}


def draw_judges(board: Board, judges: list[Judge]) -> None:
    """Nothing where no judge was asked."""
    if not judges:
        return
    with card("Judges", "judges"):
        for start in range(0, len(judges), 2):
            for column, judge in zip(st.columns(2, gap="large"), judges[start : start + 2], strict=False):
                with column:
                    draw_judge(board, judge)


def draw_judge(board: Board, judge: Judge) -> None:
    st.markdown(f"**{message_markdown(_name(judge))}**")
    facts, caveats = _pair_facts(board, judge) if judge.plan.pairs else _score_facts(board, judge)
    st.html(experiments_words.facts_html([*_progress_facts(judge), *facts]))
    draw_caveats(board, caveats)
    draw_honesty(judge.plan.model)


def draw_honesty(model: ModelRef) -> None:
    """What the verdicts of a model are worth, where that is known."""
    if model.upstream == _DEMO:
        st.caption(
            ":material/info: The Demo model shows what a judge does: it counts words and understands nothing. Ask a "
            "real model before you believe a verdict."
        )


def _name(judge: Judge) -> str:
    kind = "pairs" if judge.plan.pairs else "scores"
    return f"Judge {judge.number}, `{judge.plan.model.name}`, {kind}"


def _progress_facts(judge: Judge) -> list[tuple[str, str]]:
    facts = [("Calls", f"{judge.done:,} of {judge.total:,}")]
    if judge.unreadable:
        facts.append(("Without a verdict", fmt.rate_with_counts(judge.unreadable, judge.done)))
    return facts


def _score_facts(board: Board, judge: Judge) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    found = board.agreement(judge.number)
    if not found.pairs:
        return [("Beside scores by hand", "no answer has both")], ()
    kappa = "Kappa, weighted" if found.weighted else "Kappa"
    facts = [
        ("Answers with both scores", f"{found.pairs:,}"),
        ("Same score", words.share(found.same_share)),
        (kappa, words.plain(found.kappa)),
        ("Rank correlation", words.plain(found.correlation)),
        ("Judge minus hand", words.difference("score", found.bias)),
    ]
    return facts, found.caveats


def _pair_facts(board: Board, judge: Judge) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    found = board.swaps(judge.number)
    if not found.pairs:
        return [("Asked in both orders", "no pair yet")], ()
    facts = [
        ("Pairs asked in both orders", f"{found.pairs:,}"),
        ("Changed its verdict when swapped", words.share(found.inconsistent_share)),
        ("Of those, for whichever stood first", words.share(found.first_place_share)),
    ]
    return facts, found.caveats

"""Tables of results: figures written as everywhere that sort as the numbers they are, with a CSV of them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from chatplay.ui import chart_style as style
from chatplay.ui import files, state
from chatplay.ui import format as fmt
from chatplay.ui.experiments.results import words
from chatplay.ui.experiments.results.data import Board
from chatplay.ui.tables import table_height

if TYPE_CHECKING:
    from chatplay.experiments.stats.values import ArmSummary, Estimate

_SWATCH = "■"
_FAILED = "Failed"
_LEFT_OUT_AT_ZERO = (_FAILED, words.TITLES["cost_usd"])


@dataclass(frozen=True)
class Shown:
    """A number and how it is written; None sorts last."""

    value: float | None
    text: str


Cell = Shown | str


def draw_table(
    name: str,
    rows: Sequence[Mapping[str, Cell]],
    *,
    colours: Sequence[str] = (),
    helps: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """`colours`: one for each row, drawn as a swatch beside its name. `helps`: what some columns mean."""
    titles = list(rows[0]) if rows else []
    frame = pd.DataFrame([{title: _plain(row[title]) for title in titles} for row in rows], columns=titles)
    config: dict[str, Any] = {titles[0]: st.column_config.TextColumn(pinned=True)} if titles else {}
    config |= {title: st.column_config.Column(help=text) for title, text in helps.items()}
    if colours:
        frame.insert(1, " ", _SWATCH)
        config[" "] = st.column_config.TextColumn(width=36)
    st.dataframe(
        _styled(frame, rows, colours),
        hide_index=True,
        height=table_height(len(rows)),
        key=state.experiments_key(f"table_{name}"),
        placeholder=fmt.UNKNOWN,  # of what is missing the browser would write "None", whatever the styler says
        column_config=config,
    )


def _styled(frame: pd.DataFrame, rows: Sequence[Mapping[str, Cell]], colours: Sequence[str]) -> Any:
    """Streamlit shows what a styler writes and sorts by what is under it."""
    styler = frame.style
    for title in frame.columns:
        cells = [row.get(title) for row in rows]
        shown = [(place, cell) for place, cell in enumerate(cells) if isinstance(cell, Shown)]
        if shown:
            styler = _written(styler, title, shown)
    if colours:
        styler = styler.apply(lambda _: [f"color: {colour}" for colour in colours], subset=[" "])
    return styler


def _written(styler: Any, title: str, shown: Sequence[tuple[int, Shown]]) -> Any:
    """A whole column at once is quick; equal numbers that are written differently are told one by one."""
    texts = {cell.value: cell.text for _, cell in shown}
    unknown = texts.pop(None, fmt.UNKNOWN)
    styler = styler.format(lambda value: texts.get(value, unknown), subset=[title], na_rep=unknown)
    for place, cell in shown:
        if cell.value is not None and texts[cell.value] != cell.text:
            styler = styler.format(_writer(cell.text), subset=pd.IndexSlice[[place], [title]])
    return styler


def _writer(text: str) -> Any:
    return lambda _: text


def _plain(cell: Cell) -> float | str | None:
    return cell.value if isinstance(cell, Shown) else cell


def columns_of(title: str, value: Estimate) -> dict[str, Any]:
    """An estimate as the columns of a CSV."""
    return {
        title: value.value,
        f"{title}_low": value.low,
        f"{title}_high": value.high,
        f"{title}_trials": value.trials,
        f"{title}_cases": value.cases,
    }


# ---- the table of arms -------------------------------------------------------------------------


def draw_arms(board: Board) -> None:
    """A row for each arm with everything that is known of it."""
    summaries = board.summaries()
    looks = style.colours(board.labels)
    rows = _without_nothing([_arm_row(board, one) for one in summaries])
    k = _most_repeats(board)
    draw_table(
        "arms",
        rows,
        colours=[looks[board.labels[one.arm]] for one in summaries],
        helps={
            f"pass@{k}": f"The chance that at least one of {k} repeats of a case passes.",
            f"pass^{k}": f"The chance that all {k} repeats of a case pass.",
        },
    )


def _without_nothing(rows: Sequence[Mapping[str, Cell]]) -> list[dict[str, Cell]]:
    """Without counts and costs that are 0 in every row."""
    empty = {title for title in _LEFT_OUT_AT_ZERO if all(_is_nothing(row.get(title)) for row in rows)}
    return [{title: cell for title, cell in row.items() if title not in empty} for row in rows]


def draw_arms_csv(board: Board) -> None:
    files.draw_csv("experiment-arms", lambda: pd.DataFrame([_arm_columns(board, one) for one in board.summaries()]))


def _arm_row(board: Board, one: ArmSummary) -> dict[str, Cell]:
    row: dict[str, Cell] = {
        "Arm": board.labels[one.arm],
        "n": _whole(one.trials),
        _FAILED: _whole(one.agreement.same_share.unknown),
        "Cases": _whole(one.cases),
    }
    for metric in sorted(board.metrics, key=list(words.TITLES).index):
        found = one.estimate(metric)
        row[words.TITLES[metric]] = Shown(found.value, words.estimate(metric, found))
    k = _most_repeats(board)
    if "passed" in board.metrics and k > 1:
        at = next((found for found in one.pass_at if found.k == k), None)
        row[f"pass@{k}"] = _share(at.at_least_one if at else None)
        row[f"pass^{k}"] = _share(at.all_of_them if at else None)
    if any(other.agreement.repeats_mean for other in board.summaries()):
        row["Repeats agree"] = _share(one.agreement.same_share)
    return row


def _is_nothing(cell: Cell | None) -> bool:
    return isinstance(cell, Shown) and cell.value == 0


def _most_repeats(board: Board) -> int:
    return max((found.k for one in board.summaries() for found in one.pass_at), default=0)


def _whole(value: int) -> Shown:
    return Shown(value, f"{value:,}")


def _share(value: Estimate | None) -> Shown:
    return Shown(None, fmt.UNKNOWN) if value is None else Shown(value.value, words.share(value))


def _arm_columns(board: Board, one: ArmSummary) -> dict[str, Any]:
    columns: dict[str, Any] = {"arm": board.columns[one.arm], **board.results.arms[one.arm].levels}
    columns |= {"trials": one.trials, "cases": one.cases}
    for metric in board.metrics:
        columns |= columns_of(metric, one.estimate(metric))
    for at in one.pass_at:
        columns |= columns_of(f"pass@{at.k}", at.at_least_one) | columns_of(f"pass^{at.k}", at.all_of_them)
    agreement = one.agreement
    columns |= columns_of("repeats_agree", agreement.same_share)
    return columns | {"distinct_answers_mean": agreement.distinct_mean, "all_same_cases": agreement.all_same_cases}

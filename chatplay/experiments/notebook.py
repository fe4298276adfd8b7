"""A Jupyter notebook that computes every figure again from the exported data, each formula written out."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chatplay.experiments.notebook_cells import CELLS
from chatplay.experiments.values import Experiment

if TYPE_CHECKING:
    from chatplay.experiments.stats.values import Vote


def pack(experiment: Experiment, trials_csv: bytes, votes: Sequence[Vote]) -> bytes:
    """A ZIP of `experiment.ipynb`, `trials.csv` and `votes.csv`."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("experiment.ipynb", json.dumps(build(experiment), ensure_ascii=False, indent=1))
        archive.writestr("trials.csv", trials_csv)
        archive.writestr("votes.csv", _votes_csv(votes))
    return packed.getvalue()


def build(experiment: Experiment) -> dict[str, Any]:
    """The notebook as nbformat 4.5 has it."""
    axes = list(experiment.arms[0].levels) if experiment.arms else []
    head = (
        f"# {experiment.name}\n\nEvery figure of the experiment, computed again from `trials.csv` and `votes.csv` with "
        "numpy, pandas, scipy and statsmodels alone. Put the three files into one folder and run all cells."
    )
    settings = (
        f"AXES = {json.dumps({name: [arm.levels[name] for arm in experiment.arms] for name in axes}, indent=1)}\n"
        f"ARMS = {json.dumps([arm.label for arm in experiment.arms], indent=1)}\n"
        f"CASES = {experiment.cases}\nBASELINE = 0"
    )
    cells = [_cell("markdown", head), _cell("code", settings), *(_cell(kind, text) for kind, text in CELLS)]
    return {
        "cells": [{**cell, "id": f"cell-{place}"} for place, cell in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(kind: str, text: str) -> dict[str, Any]:
    source = text.strip("\n").splitlines(keepends=True)
    if kind == "markdown":
        return {"cell_type": "markdown", "metadata": {}, "source": source}
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None}


def _votes_csv(votes: Sequence[Vote]) -> str:
    rows = [f"{vote.left},{vote.right},{vote.winner},{'' if vote.case is None else vote.case}" for vote in votes]
    return "\n".join(["left,right,winner,case", *rows]) + "\n"

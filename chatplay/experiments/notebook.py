"""A Jupyter notebook that computes every figure again from the exported data, each formula written out.

Its cells say the formulas of `stats` once more, in plain steps and alone, outside this app; a test runs them and holds
the figures against those of the app.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chatplay.experiments import notebook_arms, notebook_people, notebook_settings
from chatplay.experiments.values import Experiment
from chatplay.sheets import Sink

if TYPE_CHECKING:
    from chatplay.experiments.stats.values import Vote, Winner

CELLS = [*notebook_arms.CELLS, *notebook_settings.CELLS, *notebook_people.CELLS]
PEOPLE = "people"


def pack(
    experiment: Experiment,
    trials_csv: Iterable[bytes],
    votes: Mapping[str, Sequence[Vote]],
    swaps: Mapping[int, Sequence[tuple[Winner, Winner]]],
    withdrawn: Sequence[int] = (),
) -> Iterator[bytes]:
    """A ZIP of the notebook and its data, piece by piece as `trials_csv` comes. `votes` by voter, `PEOPLE` or a judge's
    number; `swaps` by judge of pairs. Of judges that are `withdrawn` it has the data and computes no figure.
    """
    sink = Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("experiment.ipynb", json.dumps(build(experiment, withdrawn), ensure_ascii=False, indent=1))
        archive.writestr("votes.csv", _votes_csv(votes))
        archive.writestr("swaps.csv", _swaps_csv(swaps))
        with archive.open("trials.csv", "w", force_zip64=True) as file:  # how long it gets is not known yet
            for piece in trials_csv:
                file.write(piece)
                if ready := sink.take():
                    yield ready
    yield sink.take()


def build(experiment: Experiment, withdrawn: Sequence[int] = ()) -> dict[str, Any]:
    """The notebook as nbformat 4.5 has it."""
    axes = list(experiment.arms[0].levels) if experiment.arms else []
    head = (
        f"# {experiment.name}\n\nEvery figure of the experiment, computed again from `trials.csv`, `votes.csv` and "
        "`swaps.csv` with numpy, pandas, scipy and statsmodels alone. Put the four files into one folder and run all "
        "cells. `SCORED_BY` and `BASELINE` are the two choices at the head of the Results tab."
    )
    settings = (
        f"AXES = {json.dumps({name: [arm.levels[name] for arm in experiment.arms] for name in axes}, indent=1)}\n"
        f"ARMS = {json.dumps([arm.label for arm in experiment.arms], indent=1)}\n"
        f"CASES = {experiment.cases}\nBASELINE = 0\n"
        'SCORED_BY = "rules"  # "hand", or "judge_1" for the scores of judge 1\n'
        f"WITHDRAWN = {list(withdrawn)}  # judges whose verdicts are in the data and count in no figure"
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


def _votes_csv(votes: Mapping[str, Sequence[Vote]]) -> str:
    rows = [
        f"{voter},{vote.left},{vote.right},{vote.winner},{'' if vote.case is None else vote.case}"
        for voter, mine in votes.items()
        for vote in mine
    ]
    return "\n".join(["voter,left,right,winner,case", *rows]) + "\n"


def _swaps_csv(swaps: Mapping[int, Sequence[tuple[Winner, Winner]]]) -> str:
    rows = [f"{judge},{first},{swapped}" for judge, mine in swaps.items() for first, swapped in mine]
    return "\n".join(["judge,first,swapped", *rows]) + "\n"

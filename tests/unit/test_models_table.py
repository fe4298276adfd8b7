"""The table of single models: what is stored comes back out of it, and a wrong cell is told by row and column."""

import pandas as pd
import pytest

from chatplay.errors import BadInput
from chatplay.params import Range
from chatplay.prices import Price
from chatplay.providers.registry import ModelSettings
from chatplay.ui.models.table import COLUMNS, frame_of, per_model_of

OWN = {
    "qwen/7b": ModelSettings(
        price=Price(0.15, 0.6, 0.075),
        ranges={"temperature": Range(0.0, 2.0), "max_tokens": Range(1, 8192)},
        request_defaults={"temperature": 0.25, "seed": 7, "stop": ["\n\n", 'say "x"'], "system_prompt": "Kurz: äöü\\"},
        context_tokens=16_384,
        max_tokens_default=300,
        supports_streaming=False,
        supports_system_prompt=True,
        roles=("administrator",),
    ),
    "free": ModelSettings(price=Price(0.0, 0.0)),
}


def edited(**cells):
    """A table whose second row was given `cells`; the names of columns begin as given."""
    frame = frame_of({}, ["first", "second"])
    for start, value in cells.items():
        column = next(column for column in COLUMNS if column.lower().startswith(start.replace("_", " ")))
        frame.loc[1, column] = value
    return frame


def test_what_is_stored_comes_back():
    assert per_model_of(frame_of(OWN, ["other"])) == OWN


def test_rows_that_change_nothing_are_left_out():
    assert per_model_of(frame_of({}, ["a", "b"])) == {}


def test_model_is_added_in_the_last_row():
    frame = pd.concat([frame_of({}, ["a"]), pd.DataFrame([{"Model": " new ", "Context, tokens": 99}])])
    assert per_model_of(frame) == {"new": ModelSettings(context_tokens=99)}


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"input": 1.0}, "Row 2 (`second`), column Output, $: is empty. A price needs input and output"),
        ({"output": 1.0}, "column Input, $: is empty."),
        ({"context": 0}, "column Context, tokens: must be a whole number from 1 to 100,000,000"),
        ({"context": 1.5}, "column Context, tokens: must be a whole number"),
        ({"ranges": "temperature 0 to 2"}, "column Ranges: cannot be read. Write it like temperature = [0, 2]"),
        ({"ranges": "temperature = [2, 0]"}, "column Ranges: must give the lowest and highest `temperature`"),
        ({"ranges": "heat = [0, 2]"}, "column Ranges: may name temperature"),
        ({"begins": "temperature = 9"}, "column Begins with: Temperature is 9, outside 0 to 1."),
        ({"begins": "x = 1 }\n[y"}, "column Begins with: cannot be read."),
        ({"model": None, "context": 5}, "Row 2, column Model: has settings and no name."),
        ({"model": "first", "context": 5}, None),
    ],
)
def test_wrong_cell_is_told_by_row_and_column(cells, words):
    frame = edited(**cells)
    if words is None:
        frame.loc[0, "Context, tokens"] = 4
        words = "Row 2 (`first`), column Model: stands in the table twice."
    with pytest.raises(BadInput) as caught:
        per_model_of(frame)
    assert caught.value.param == "model"
    assert words in str(caught.value)

"""The table and the file under a chart of the metrics page."""

from zoneinfo import ZoneInfo

import pandas as pd
import pytest
import streamlit as st

from chatplay.sheets import BOM
from chatplay.ui.metrics import parts
from chatplay.usage.values import ModelKey


@pytest.mark.parametrize("name", ["=cmd()", "+A1", "@sum", "－1"])
def test_name_that_looks_like_a_formula_is_guarded_in_the_file(monkeypatch, name):
    files = []
    monkeypatch.setattr(st, "download_button", lambda label, data, **more: files.append(data().decode()))
    parts.draw_table("people", pd.DataFrame({"Of": [name], "Calls": [3], "p50": [-1.5]}), ZoneInfo("UTC"))
    assert files == [f"{BOM}Of,Calls,p50\r\n'{name},3,-1.5\r\n"]


def test_model_and_its_server_have_a_column_each(monkeypatch):
    files = []
    monkeypatch.setattr(st, "download_button", lambda label, data, **more: files.append(data().decode()))
    rows = pd.DataFrame({"Model": [ModelKey("box", "tiny"), ModelKey("cloud", "tiny")], "Calls": [3, 4]})
    parts.draw_table("models", rows, ZoneInfo("UTC"))
    assert files == [f"{BOM}Model,Server,Calls\r\ntiny,box,3\r\ntiny,cloud,4\r\n"]

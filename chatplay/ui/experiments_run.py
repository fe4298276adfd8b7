"""The Run tab: how far an experiment is, and what can be done about it."""

from __future__ import annotations

import streamlit as st

from chatplay.experiments.values import Experiment


def draw(experiment: Experiment, token: str | None) -> None:
    st.caption(f"{len(experiment.arms)} arms, {experiment.cases} cases")

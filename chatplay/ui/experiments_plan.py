"""The Plan tab: what to ask whom, with which settings; kept as it is typed."""

from __future__ import annotations

import streamlit as st

from chatplay.experiments.values import Experiment


def draw(experiment: Experiment, token: str | None) -> None:
    st.caption(f"{len(experiment.plan.models)} models, {experiment.cases} cases")

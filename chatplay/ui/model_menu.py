"""What chat and compare share of choosing a model: how a menu names one, and what stands there without any."""

from __future__ import annotations

import streamlit as st

from chatplay.chats.values import ChatRecord
from chatplay.models.catalog import CatalogStatus, ModelInfo
from chatplay.ui import state
from chatplay.ui.markdown import message_markdown


def model_id(model: ModelInfo) -> str:
    """Name and upstream: two upstreams may serve the same name."""
    return f"{model.name} · {model.upstream}"


def model_id_of(chat: ChatRecord) -> str:
    """Likewise, of a chat whose model may not be running."""
    return f"{chat.model_name} · {chat.upstream}"


def draw_no_models(status: CatalogStatus) -> None:
    """Nothing to talk to: says so, why, and where to go."""
    st.subheader("No models running", anchor=False)
    st.markdown(f"{message_markdown(status.message)} {message_markdown(status.cure)}")
    with st.container(horizontal=True):
        st.button("Look again", type="primary", key="chat_look_again")
        st.button(
            "Open the Models page",
            key="chat_models",
            icon=":material/dns:",
            on_click=state.go_to,
            args=("pages/models.py",),
        )

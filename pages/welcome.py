"""What this is, the way into the chat, and three things to try without a key."""

from __future__ import annotations

import streamlit as st

from chatplay.runtime import get_runtime
from chatplay.ui import state
from chatplay.ui.people import plain

BUILT_IN = ("demo", "echo")
TO_TRY = (
    (
        ":material/send: Send a first message",
        "Ask the Demo model anything. It needs no key and no network, and knows little: what it says is made up. "
        "Its speed, its time to the first token and its tokens stand below the answer as it comes.",
        None,
    ),
    (
        ":material/thermostat: Raise the temperature",
        "Move Temperature above the chat up to 1.0, then choose Regenerate in the menu ⋯ under the answer. The "
        "earlier answer stays: the arrows 1/2 beside the menu lead back.",
        None,
    ),
    (
        ":material/compare: Compare 0.2 with 1.0",
        "The Compare page asks the same prompt at both temperatures at once. See what differs word by word, and vote "
        "for the better answer. A seed makes either of them repeatable.",
        "pages/compare.py",
    ),
)


def draw() -> None:
    person = state.person()
    st.title("Chat Playground", anchor=False)
    st.markdown(
        f"Welcome, {plain(person.display_name)}. Here you try prompts and settings on the models your team runs, "
        "and see each answer arrive token by token with its speed, length and cost. Every chat and every "
        "measurement is kept, so that settings are compared by numbers and not by memory."
    )
    if st.button("Chat Playground", type="primary", icon=":material/chat:", key="open_chat"):
        st.switch_page("pages/chat.py")
    models = get_runtime().catalog.list_running(person.role)
    if all(model.provider in BUILT_IN for model in models):
        draw_connect(is_administrator=person.is_administrator)
    st.subheader("Three things to try", anchor=False)
    for column, (title, text, page) in zip(st.columns(3), TO_TRY, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{title}**")
            st.markdown(text)
            if page:
                st.page_link(page, label="Open Compare", icon=":material/splitscreen_left:")


def draw_connect(*, is_administrator: bool) -> None:
    """How a real model comes in, while there is none."""
    with st.container(border=True):
        st.markdown(
            ":material/cable: **Only the built-in Demo and Echo models are here.** Any server that speaks OpenAI's "
            "protocol can join them: OpenAI itself, vLLM, llama.cpp, Ollama and others."
        )
        if is_administrator:
            st.page_link("pages/models.py", label="Connect one on the Models page", icon=":material/dns:")
        else:
            st.markdown("An administrator can connect one.")


with st.container(width=1100):
    draw()

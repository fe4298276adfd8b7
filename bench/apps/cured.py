"""The tutorial app with the known cures: a cached client, 25 updates a second, finished paragraphs kept as they are.

The rest of the cures are settings on its command line: no watcher, no gc after runs, WebSocket compression.
"""

import os
import time

import streamlit as st
from openai import OpenAI

UPDATE_SEC = 1 / 25


@st.cache_resource
def get_client():
    return OpenAI()


def stream_answer(stream):
    """Draw the answer block by block; return the whole text."""
    done, block, slot, drawn_at = [], "", st.empty(), 0.0
    for chunk in stream:
        if not chunk.choices or not chunk.choices[0].delta.content:
            continue
        block += chunk.choices[0].delta.content
        if "\n\n" in block and block.count("```") % 2 == 0:
            finished, block = block.rsplit("\n\n", 1)
            slot.markdown(finished)
            done.append(finished)
            slot = st.empty()
        if block and time.monotonic() - drawn_at >= UPDATE_SEC:
            slot.markdown(block)
            drawn_at = time.monotonic()
    slot.markdown(block)
    return "\n\n".join([*done, block])


st.title("ChatGPT-like clone")

if "messages" not in st.session_state:
    from history import messages

    st.session_state.messages = messages(int(st.query_params.get("history", 0)))

for message in st.session_state.messages:
    with st.chat_message(message["role"]):
        st.markdown(message["content"])

if prompt := st.chat_input("What is up?"):
    st.session_state.messages.append({"role": "user", "content": prompt})
    with st.chat_message("user"):
        st.markdown(prompt)

    with st.chat_message("assistant"):
        stream = get_client().chat.completions.create(
            model=os.environ["OPENAI_CHAT_MODEL"],
            messages=[{"role": m["role"], "content": m["content"]} for m in st.session_state.messages],
            stream=True,
        )
        response = stream_answer(stream)
    st.session_state.messages.append({"role": "assistant", "content": response})

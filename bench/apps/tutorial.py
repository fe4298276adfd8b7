"""The chat app of Streamlit's own tutorial; only the pre-filled history (`?history=100`) is added for the bench."""

import os

import streamlit as st
from openai import OpenAI

st.title("ChatGPT-like clone")

client = OpenAI()

if "openai_model" not in st.session_state:
    st.session_state["openai_model"] = os.environ["OPENAI_CHAT_MODEL"]

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
        stream = client.chat.completions.create(
            model=st.session_state["openai_model"],
            messages=[{"role": m["role"], "content": m["content"]} for m in st.session_state.messages],
            stream=True,
        )
        response = st.write_stream(stream)
    st.session_state.messages.append({"role": "assistant", "content": response})

"""Above the input of a chat: its model does not answer just now, why, and the way on. The chat stays readable.

What comes and goes by itself is looked for here, and so is what became of the chat in another tab or browser, and
whether settings were moved.
"""

from __future__ import annotations

import streamlit as st

from chatplay.chats.values import ChatView
from chatplay.errors import NotFound, StoreError
from chatplay.models.catalog import ModelCatalog, ModelInfo, UpstreamStatus
from chatplay.runtime import get_runtime
from chatplay.ui import state
from chatplay.ui.chat import actions as chat_actions
from chatplay.ui.chat.callbacks import remember_params
from chatplay.ui.markdown import message_markdown
from chatplay.ui.state import ChatState

REFRESH_SEC = 5.0


@st.fragment(run_every=REFRESH_SEC)
def draw(view: ChatView) -> None:
    """It comes and goes by itself."""
    remember_params(state.chat())
    if _went_on_elsewhere(state.chat()):
        st.rerun()
    catalog, role = get_runtime().catalog, state.person().role
    model, upstream = view.chat.model_name, view.chat.upstream
    running = catalog.list_running(role)
    if not state.chat().is_asking and state.chat().stood_in_for in [(info.name, info.upstream) for info in running]:
        st.rerun()
    with st.container(key="chat_model_down", gap="xsmall"):  # also while empty: it keeps the fragment's place
        if not running or any((info.name, info.upstream) == (model, upstream) for info in running):
            return
        st.warning(message_markdown(why_not(catalog, model, upstream)), icon=":material/cloud_off:")
        if view.chat.locked_at is not None or state.chat().turns:
            st.button(
                "Continue in a new chat with another model",
                key="chat_down_other_model",
                on_click=chat_actions.ask,
                args=("other_model",),
            )


def _went_on_elsewhere(page: ChatState) -> bool:
    """Whether the chat has another end or another title than the one on show, or is gone. Nothing a person has begun
    is cut short.
    """
    was_fresh, page.is_fresh = page.is_fresh, False
    if was_fresh or page.chat_id is None or page.is_asking or page.editing is not None:
        return False
    try:
        chat = get_runtime().chat_log.get_chat(user_id=state.person().id, chat_id=page.chat_id)
    except NotFound:
        return True
    except StoreError:
        return False
    was_renamed = chat.title_is_custom and page.view is not None and chat.title != page.view.chat.title
    return was_renamed or chat.leaf_message_id != page.end_id


def why_not(catalog: ModelCatalog, model: str, upstream: str) -> str:
    """Why nothing can be had from a chat's model now, and when it may be tried again."""
    status = catalog.find_status(upstream)
    if status is None:
        return f"`{model}` is not there any more: its model server `{upstream}` was removed or disabled."
    info = catalog.find_info(model, upstream=upstream)
    return f"`{model}` {_reason(status, info)} This chat stays as it is."


def _reason(status: UpstreamStatus, info: ModelInfo | None) -> str:
    said = f" {status.problem.message}" if status.problem else ""
    if status.breaker == "open":
        wait = max(status.wait_sec, 1)
        return (
            f"is left alone for {wait:.0f} s and then tried again: its server `{status.name}` failed several times "
            f"in a row.{said}"
        )
    if status.standing == "unhealthy":
        return f"is down.{said or f' Its server `{status.name}` is not well.'} It may be tried all the same."
    if status.standing == "stale":
        return f"was not checked lately, so nobody knows whether `{status.name}` is well. It may be tried all the same."
    if info is None or not info.roles:
        return "is not open to you any more."
    return f"is not listed by its server `{status.name}`: it is not loaded there, or not open to you."

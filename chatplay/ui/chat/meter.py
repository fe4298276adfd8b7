"""The context line: `Context: 1,234 / 32,768 tokens` over a thin bar, amber from 80 %, red when it does not fit.

What is drawn here is the line without what is being typed and without what has come of an answer that is still
coming; `meter_script` adds both in the browser.
"""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape

from chatplay.chats.values import ChatView, ContextUse
from chatplay.errors import BadInput
from chatplay.params import Params
from chatplay.runtime import get_runtime
from chatplay.tokens.estimate import REMEMBERED_ANSWERS, estimate_message
from chatplay.ui import format, state
from chatplay.ui.chat import callbacks

_FULL, _NEARLY_FULL = 1.0, 0.8
_WAYS = {
    "reported": "As the last answer's usage says.",
    "server": "Counted by the model's own server.",
    "tiktoken": "Counted with the model's own vocabulary.",
}


def current_use(view: ChatView) -> ContextUse:
    """What the next message would take, with the answers that came since the page was drawn as a whole."""
    return get_runtime().chats.context_use(_on_show(view), draft="", params=_params(view), role=state.person().role)


def context_html(use: ContextUse, *, status: str = "") -> str:
    """The line. `status` is read out politely, and means that an answer comes."""
    weights = tuple(round(weight, 4) for weight in use.weights)
    used, kept = use.used_tokens, use.reserved_tokens
    data = {
        "used": used,
        "limit": use.reserved_tokens,
        "window": use.window_tokens or 0,
        "system": use.system_tokens,
        "system-guess": estimate_message(use.system_prompt, weights) if use.system_tokens else 0,
        "weights": json.dumps(weights),
        "policy": use.policy,
        "estimated": int(use.estimated),
        "running": "1" if status else "",
        "how": _WAYS.get(use.method, ""),
        "guess": how_estimated(use),
    }
    attributes = " ".join(f'data-{name}="{escape(str(value))}"' for name, value in data.items())
    label = format.context(used + kept, use.window_tokens, estimated=use.estimated)
    return (
        f'<div class="chat-context chat-{_level(use)}{" chat-running" if status else ""}" {attributes}>'
        f'<span class="chat-unseen" role="status">{escape(status)}</span>'
        f'<span class="chat-count" title="{escape(how_estimated(use))}">{label}</span>'
        f'<div class="chat-bar" role="meter" aria-label="Context used" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{min(use.share, 1) * 100:.0f}">{_bar(used, kept, use.window_tokens)}</div></div>'
    )


def how_estimated(use: ContextUse) -> str:
    """`Estimated, ±6 % over the last 200 answers.`"""
    if use.error_share is None:
        return "Estimated at about 4 characters a token; it gets better with each answer of this model."
    answers = min(use.error_answers, REMEMBERED_ANSWERS)
    return f"Estimated, ±{max(round(use.error_share * 100), 1)} % over the last {answers} answers."


def _params(view: ChatView) -> Params:
    try:
        return callbacks.current_params(state.chat())
    except BadInput:  # told when it is sent
        return view.chat.params


def _on_show(view: ChatView) -> ChatView:
    """The view with the turns begun since, as far as they are."""
    page = state.chat()
    messages = {message.id: message for message in view.messages}
    for turn in page.turns:
        answer = turn.assistant_message
        messages[turn.user_message.id] = turn.user_message
        messages[answer.id] = page.answers[answer.id].message if answer.id in page.answers else answer
    return replace(view, messages=tuple(messages.values()))


def _level(use: ContextUse) -> str:
    if use.share > _FULL and use.policy == "hold_back":
        return "full chat-held"
    return "nearly" if use.share >= _NEARLY_FULL else "free"


def _bar(used: int, kept: int, window: int | None) -> str:
    scale = max(used + kept, window) if window else 0
    parts = [part / scale * 100 if scale else 0.0 for part in (used, kept)]
    return f'<i style="width:{parts[0]:.1f}%"></i><b style="width:{parts[1]:.1f}%"></b>'

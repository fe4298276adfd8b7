"""Every st.session_state key the pages use, in one place, behind typed accessors.

Keys of widgets are made here too, so that a callback and the widget it belongs to cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, cast
from uuid import UUID, uuid4

import streamlit as st

from chatplay.auth.person import Person
from chatplay.chats.values import ChatView, MessageRecord, Turn
from chatplay.errors import ChatplayError, GenerationRunning
from chatplay.models.offers import Offer
from chatplay.params import Params

COMPOSER = "chat_composer"
SEARCH = "chat_search"
MODEL = "chat_model"
_PERSON = "person"
_CHAT = "chat_state"
_MODELS = "models_state"
_COMPARE = "compare_state"
_DESTINATION = "destination"
_METRICS = "metrics_state"
_EXPERIMENTS = "experiments_state"


@dataclass(frozen=True)
class Notice:
    """Something to tell at the input: what happened, and what to do. `kind`: "error", "warning" or "info"."""

    text: str
    cure: str = ""
    code: str = ""
    kind: str = "error"

    @classmethod
    def of(cls, error: ChatplayError) -> Notice:
        return cls(error.message, error.cure, error.code, "info" if isinstance(error, GenerationRunning) else "error")

    @property
    def passes(self) -> bool:
        """What it says is over with the answer that is coming."""
        return self.code == GenerationRunning.code


@dataclass(frozen=True)
class DrawnAnswer:
    """An answer that ended on the page, with the Markdown of each block it was drawn in while it came, escaped."""

    message: MessageRecord
    blocks: tuple[str, ...]


@dataclass
class ChatState:
    """What one browser tab knows of its chat page between two runs."""

    chat_id: UUID | None = None
    address: str | None = None  # the ?chat= last acted on
    view: ChatView | None = None
    turns: list[Turn] = field(default_factory=list)  # begun since the page was last drawn as a whole
    answers: dict[int, DrawnAnswer] = field(default_factory=dict)  # finished ones of `turns`, by message id
    older: list[MessageRecord] = field(default_factory=list)  # loaded on demand, oldest first
    has_older: bool = False
    whole_from: int | None = None  # the first of `older` drawn with all that can be done with it; None: the last ones
    more_chats: int = 1
    request_key: UUID = field(default_factory=uuid4)
    editing: int | None = None
    dialog: tuple[str, Any] | None = None
    copy: str | None = None
    focus: Literal["", "gently", "now"] = ""  # on the input, in the next run
    focus_field: str | None = None  # a widget that takes the keyboard instead
    took_input: bool = False  # the input's callback ran for the text it returns in this run
    notice: Notice | None = None
    stopped: UUID | None = None  # the generation that this tab stopped
    stood_in_for: tuple[str, str] | None = None  # the model of an empty chat, while another one is on show instead
    give_back: str | None = None
    params_of: tuple[UUID, str, str] | None = None
    seen_params: tuple[Any, Params] | None = None  # whose (`params_of`) and which settings, when last looked at
    is_fresh: bool = False  # `view` was read in this very run
    is_asking: bool = False  # a dialog is open

    @property
    def end_id(self) -> int | None:
        """The last message on show; None in a chat without one."""
        if self.turns:
            return self.turns[-1].assistant_message.id
        return self.view.messages[-1].id if self.view and self.view.messages else None

    def open(self, chat_id: UUID | None) -> None:
        """Turns to another chat; what belonged to the one before is forgotten."""
        self.chat_id = chat_id
        self.view, self.editing, self.stood_in_for = None, None, None
        self.turns, self.answers, self.older, self.has_older, self.whole_from = [], {}, [], False, None
        self.request_key = uuid4()


@dataclass
class ModelsState:
    """What one browser tab knows of its Models page between two runs.

    `dialog` stays until it is closed, so that a run of the whole page draws it again: its name, and the server's id.
    """

    dialog: tuple[str, int | None] | None = None
    form: Any = None  # of the dialog that is open
    offers: list[Offer] | None = None  # None: not looked for yet


def go_to(page: str, **query: str) -> None:
    """The next run shows this page, a file of `pages/`, with `query` in its address. For callbacks, which cannot turn
    to another page themselves.
    """
    st.session_state[_DESTINATION] = (page, query)


def take_destination() -> tuple[str, dict[str, str]] | None:
    """The page that a callback asked for, and the query of its address, once."""
    return cast("tuple[str, dict[str, str]] | None", st.session_state.pop(_DESTINATION, None))


def set_person(person: Person) -> None:
    """Called by the frame in every full run, once the gate has let `person` in."""
    st.session_state[_PERSON] = person


def person() -> Person:
    """The signed-in person of this page."""
    return cast(Person, st.session_state[_PERSON])


def me() -> dict[str, Any]:
    """Who asks, as services take it."""
    return {"user_id": person().id, "role": person().role}


def chat() -> ChatState:
    """The chat page's state of this tab."""
    if _CHAT not in st.session_state:
        st.session_state[_CHAT] = ChatState()
    return cast(ChatState, st.session_state[_CHAT])


def models() -> ModelsState:
    """The Models page's state of this tab."""
    if _MODELS not in st.session_state:
        st.session_state[_MODELS] = ModelsState()
    return cast(ModelsState, st.session_state[_MODELS])


@dataclass
class MetricsState:
    """What one browser tab knows of its metrics page between two runs, beside what its address says.

    `drill` narrows the list of calls to what was picked in a chart, `drill_title` names it; `picked` is the last
    selection acted on, by chart, so that it is acted on once. `after` are the pages of the list before this one.
    """

    drill: Any = None
    drill_title: str = ""
    picked: dict[str, Any] = field(default_factory=dict)
    after: list[str] = field(default_factory=list)


def metrics() -> MetricsState:
    """The metrics page's state of this tab."""
    if _METRICS not in st.session_state:
        st.session_state[_METRICS] = MetricsState()
    return cast(MetricsState, st.session_state[_METRICS])


@dataclass
class CompareState:
    """What one browser tab knows of its compare page between two runs.

    `seen` is what the database held when a widget was last filled from it, by key. `feeds` are the answers of the
    page that were drawn while they came, by generation; `drawn` the most elements an answer took at each place.
    """

    comparison_id: UUID | None = None
    address: str | None = None  # the ?comparison= last acted on
    request_key: UUID = field(default_factory=uuid4)
    notice: Notice | None = None
    refused: str | None = None  # the field whose text `notice` is about
    dialog: tuple[str, Any] | None = None
    copy: str | None = None
    revote: UUID | None = None  # the run whose vote is being changed
    shape: Any = None  # of the panes as last drawn
    more: int = 1
    seen: dict[str, Any] = field(default_factory=dict)
    feeds: dict[UUID, Any] = field(default_factory=dict)
    drawn: dict[int, int] = field(default_factory=dict)

    def open(self, comparison_id: UUID | None) -> None:
        """Turns to another comparison; what belonged to the one before is forgotten."""
        self.comparison_id, self.notice = comparison_id, None
        self.seen, self.feeds = {}, {}
        self.request_key = uuid4()


def compare() -> CompareState:
    """The compare page's state of this tab."""
    if _COMPARE not in st.session_state:
        st.session_state[_COMPARE] = CompareState()
    return cast(CompareState, st.session_state[_COMPARE])


def compare_key(name: str, *ids: object) -> str:
    """The widget key of a control of the compare page."""
    return "_".join(("compare", name, *map(str, ids)))


def synced(key: str, stored: Any) -> str:
    """`key`, its widget holding what the database does: also when another tab changed that."""
    seen = compare().seen
    if key not in st.session_state or key not in seen or seen[key] != stored:
        st.session_state[key] = seen[key] = stored
    return key


def note_stored(key: str, value: Any) -> None:
    """What a widget of `synced` holds is stored now, so a run leaves the widget (somebody may be typing)."""
    compare().seen[key] = value


def metrics_key(name: str) -> str:
    """The widget key of a control of the metrics page."""
    return f"metrics_{name}"


@dataclass
class ExperimentsState:
    """What one browser tab knows of its experiments page between two runs.

    `draft` is the plan being edited, `extension` the one in the Extend dialog; `dialog` stays until it is closed;
    `notice` is what an action came to. `reviews` are the queues of answers and of pairs, by name; `link` is a read-only
    link just made, which is told once.
    """

    draft: Any = None
    extension: Any = None
    reviews: dict[str, Any] = field(default_factory=dict)
    link: Any = None
    dialog: str | None = None
    notice: Notice | None = None


def experiments() -> ExperimentsState:
    """The experiments page's state of this tab."""
    if _EXPERIMENTS not in st.session_state:
        st.session_state[_EXPERIMENTS] = ExperimentsState()
    return cast(ExperimentsState, st.session_state[_EXPERIMENTS])


def experiments_key(name: str) -> str:
    """The widget key of a control of the experiments page."""
    return f"experiments_{name}"


def usage_key(name: str) -> str:
    """The widget key of a control of the usage page."""
    return f"usage_{name}"


def param_key(name: str) -> str:
    """The widget key of a sampling parameter."""
    return f"chat_param_{name}"


def widget_value(key: str) -> Any:
    """The value of a widget, None before it was drawn."""
    return st.session_state.get(key)


def set_widget_value(key: str, value: Any) -> None:
    """Only before the widget is drawn in this run, or in a callback."""
    st.session_state[key] = value

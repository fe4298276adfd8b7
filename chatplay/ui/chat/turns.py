"""The input, and the turns begun since the page was last drawn as a whole: one fragment.

Sending runs it and nothing else, and that run follows the answer: each run that begins and ends has the browser walk
all of the page. Only clicks outside a fragment interrupt a running one by themselves, so Stop and the history stand
outside; those inside, and messages, are looked for (`clicks`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

import streamlit as st
from streamlit.errors import StreamlitInvalidLayoutContextError

from chatplay.chats.values import ChatView, MessageRecord, Turn
from chatplay.errors import ChatplayError, NotFound
from chatplay.generation.values import GenerationEnd, Update
from chatplay.models.catalog import ModelInfo
from chatplay.runtime import get_runtime
from chatplay.ui import gate, state, together
from chatplay.ui.chat import actions as chat_actions
from chatplay.ui.chat import clicks, composer, header, history, transcript
from chatplay.ui.chat.later import Figures, Later, draw_rest
from chatplay.ui.chat.live import Crowd, draw_blocks, write_answer
from chatplay.ui.markdown import message_markdown

_EXAMPLES = (
    "Explain what the temperature setting does, in three sentences.",
    "Write a Python function that finds the median of a list, with a test.",
    "Compare a river and a street in a table of four rows.",
)
_EMPTY = "The answer streams in here with its figures. Choose the model and the settings above first."
_DEMO = " The Demo model has read only a few pages: what it says is made up, but its settings really act."
_UPDATE_SEC = 1 / 14  # what a page costs grows with its updates; fourteen a second still look like a flow
_BEGUN_SEC = 0.1
_EARLIER_SEC = 0.2  # the browser fades, after half a second, what a running fragment has not drawn again
_ACTIONS_SEC = 0.5
_LOOK_SEC = 1.0
_LOOKS = 8
_crowd = Crowd()


@dataclass
class Places:
    """Where the page shows what changes while an answer comes. `are_drawn`: in the run of the whole page."""

    head: header.Head
    top: history.Top
    context: header.Place
    thread: header.Place
    view: ChatView
    are_drawn: bool = False

    @property
    def begins(self) -> bool:
        """Whether the page was drawn without a message."""
        return not self.view.messages

    def draw(self) -> None:
        """Both lines with the figures of the last answer that is over."""
        self.draw_performance()
        composer.draw_context(self.context, self.view)

    def draw_performance(self) -> None:
        header.draw_performance(self.head.performance, *header.last_figures(_answers(self.view)))

    def draw_begun(self) -> None:
        """What a chat's first message changes elsewhere, before it and after: the model is locked by it, and the chat
        stands in the history.
        """
        header.draw_lock_words(self.head.lock, self.view)
        header.draw_selector(self.head, self.view)
        self.top.draw()

    def draw_running(self) -> None:
        """The foot says that an answer is coming, and offers to stop it."""
        composer.draw_context(self.context, self.view, status="The answer is coming")


def _answers(view: ChatView) -> tuple[MessageRecord, ...]:
    return (*view.messages, *(answer.message for answer in state.chat().answers.values()))


def running_turn(view: ChatView) -> Turn | None:
    """The turn whose answer is still coming, when the chat is opened meanwhile."""
    if view.running is None or len(view.messages) < 2:
        return None
    prompt, answer = view.messages[-2:]
    return Turn(prompt, answer, view.running)


def draw(places: Places | None, *, follow: bool = True, disabled: bool = False) -> None:
    """The input and the turns; without `places`, the input alone. `follow=False` draws what there is of an answer and
    does not wait for more.
    """
    with st.bottom:
        _draw_live(places, follow, disabled)


@st.fragment(key="chat_live")
def _draw_live(places: Places | None, follow: bool, disabled: bool) -> None:
    composer.draw_input(disabled)  # first: what follows lasts as long as an answer comes
    if places is None:
        return
    is_first = len(state.chat().turns) <= 1
    later = [Later(_BEGUN_SEC if is_first else _EARLIER_SEC, places.draw_begun)] if places.begins else []
    try:
        slots = _draw_slots(places, later)
    except StreamlitInvalidLayoutContextError:
        st.rerun()  # a run of the whole page was cut short by the message whose turn is now drawn
    if slots:
        _draw_turns(places, slots, later, follow=follow)


def _draw_slots(places: Places, later: list[Later]) -> list[header.Place]:
    """The place of each turn. A fragment may write only where it wrote in the run of the whole page: then everything
    is drawn that changes with a turn.
    """
    page = state.chat()
    is_coming = bool(page.turns) and page.turns[-1].assistant_message.id not in page.answers
    if not places.are_drawn or not is_coming:
        places.draw()
        draw_rest(later)
        if is_coming:
            places.draw_running()
    else:
        later.append(Later(_EARLIER_SEC, places.draw_performance))
    with places.thread:
        if places.begins and not page.turns:
            draw_empty(places.head.model)
        else:
            st.empty()  # an element in the place of the examples; a container would keep them until the run ends
        slots = [st.container() for _ in page.turns]
    places.are_drawn = True
    return slots


def _draw_turns(places: Places, slots: list[header.Place], later: list[Later], *, follow: bool) -> None:
    *earlier, last = zip(state.chat().turns, slots, strict=True)
    # What was drawn before stays until then.
    later += [Later(_EARLIER_SEC, partial(_draw_finished, turn, slot)) for turn, slot in earlier]
    turn, slot = last
    if turn.assistant_message.id in state.chat().answers:
        _draw_finished(turn, slot)
    else:
        with slot:
            _draw_last(turn, places, later, follow=follow)
    draw_rest(later)


def _draw_last(turn: Turn, places: Places, later: list[Later], *, follow: bool) -> None:
    with transcript.bubble("user"):
        later += _draw_prompt(turn.user_message)
    with transcript.bubble("assistant"), _crowd.joined():
        _draw_coming(turn, places, later, follow=follow)


def _draw_finished(turn: Turn, slot: header.Place) -> None:
    """In the very shape in which it was drawn while it came: what another shape has less would stay until the run ends,
    and what is selected would not.
    """
    answer = state.chat().answers[turn.assistant_message.id]
    with slot:
        with transcript.bubble("user"):
            draw_rest(_draw_prompt(turn.user_message))
        with transcript.bubble("assistant"):
            st.empty()  # where the waiting sign was
            draw_blocks(answer.blocks)
            transcript.draw_outcome(answer.message, turn.user_message)


def _draw_prompt(message: MessageRecord) -> list[Later]:
    """Without its actions, which are drawn later; while it is worded anew, it has none."""
    if state.chat().editing == message.id:
        transcript.draw_prompt(message)
        return []
    place = transcript.draw_prompt_text(message)
    return [Later(_ACTIONS_SEC, lambda: transcript.draw_prompt_actions(message, place))]


def _draw_coming(turn: Turn, places: Places, later: list[Later], *, follow: bool) -> None:
    figures = Figures(st.empty(), places.head.performance, later, _crowd)
    if not get_runtime().chats.has_begun(user_id=state.person().id, generation_id=turn.generation_id):
        figures.begin_waiting()
        together.send()
    running = Later(_BEGUN_SEC, places.draw_running)
    later.append(running)
    try:
        updates = get_runtime().chats.follow(
            user_id=state.person().id,
            generation_id=turn.generation_id,
            interval_sec=_UPDATE_SEC,
            patience=figures.patience,
        )
        end, blocks = write_answer(_watched(updates, follow=follow), on_news=figures)
    except ChatplayError as error:
        running.drop()
        figures.end_waiting()
        st.error(message_markdown(str(error)))
        places.draw()
        return
    if end is None:
        if follow:
            st.rerun()
        return
    running.drop()
    figures.end_waiting()
    together.send()
    time.sleep(_crowd.paint_sec)
    _finish(turn, end, blocks, places)


def _finish(turn: Turn, end: GenerationEnd, blocks: tuple[str, ...], places: Places) -> None:
    page = state.chat()
    if page.notice is not None and page.notice.passes:
        page.notice = None
        st.rerun()
    if end.status == "stopped" and page.stopped != turn.generation_id and _is_deleted(places.view.chat.id):
        st.rerun()  # the page says so
    together.hold()
    answer = finished(turn.assistant_message, end)
    page.answers[answer.id] = state.DrawnAnswer(answer, blocks)
    transcript.draw_outcome(answer, turn.user_message)
    places.draw()


def _is_deleted(chat_id: UUID) -> bool:
    """Elsewhere: there its answer is stopped first, and a moment later the chat is gone."""
    me = state.me()
    for _ in range(_LOOKS):
        try:
            get_runtime().chats.open_chat(**me, chat_id=chat_id, limit=1)
        except NotFound:
            return True
        time.sleep(_LOOK_SEC / _LOOKS)
    return False


def finished(message: MessageRecord, end: GenerationEnd) -> MessageRecord:
    """The message as it is now stored."""
    return replace(message, content=end.content, status=end.status, metrics=end.metrics)


def draw_empty(model: ModelInfo | None) -> None:
    """A chat without a message: what to do first."""
    is_demo = model is not None and model.provider == "demo"
    with st.container(key="chat_empty"):
        st.subheader("Ask the model something", anchor=False)
        st.markdown(_EMPTY + (_DEMO if is_demo else ""))
        for number, example in enumerate(_EXAMPLES):
            st.button(example, key=f"chat_example_{number}", on_click=chat_actions.use_example, args=(example,))


def _watched(updates: Iterator[Update], *, follow: bool) -> Iterator[Update]:
    """`updates`, as long as the person is signed in; with `follow=False` only what is there already.

    A click on what the fragment drew, on a menu of an earlier turn or the new row of the history, is acted on at once.
    """
    looked_sec = time.monotonic()
    for update in updates:
        yield update
        together.send()  # what `Figures` held back for the text that is drawn by now
        if not follow:
            return
        if clicks.is_waiting():
            st.rerun()
        now = time.monotonic()
        if now - looked_sec >= _LOOK_SEC:
            looked_sec = now
            if not gate.still_signed_in():
                st.rerun()

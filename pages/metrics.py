"""How fast, how reliable, how much: figures and charts over one's own calls, or everybody's for administrators."""

from __future__ import annotations

import streamlit as st

from chatplay.errors import StoreError
from chatplay.runtime import get_runtime
from chatplay.ui import flight_recorder, state, usage_range
from chatplay.ui.away import draw_away
from chatplay.ui.chart_models import Cast
from chatplay.ui.format import now_utc
from chatplay.ui.metrics import calls as metrics_calls
from chatplay.ui.metrics import cards as metrics_cards
from chatplay.ui.metrics import filters as metrics_filters
from chatplay.ui.metrics import foreseen as metrics_foreseen
from chatplay.ui.metrics import tiles as metrics_tiles
from chatplay.ui.people import viewer_zone


def draw() -> None:
    st.title("Metrics", anchor=False)
    try:
        draw_view()
    except StoreError as error:
        draw_away(error, key="metrics_try_again")


def draw_view() -> None:
    runtime, person, now = get_runtime(), state.person(), now_utc()
    usage, tz, view = runtime.usage, viewer_zone(person), usage_range.current()
    everybody = view.everybody and person.is_administrator
    asked = usage.restrict(view.filter(user_id=None if everybody else person.id, now=now, tz=tz), person)
    with runtime.ahead.view() as answers:
        metrics_foreseen.expect(answers, usage, asked, tz.key)
        answers.begin()
        choices = usage.list_choices(asked)
        metrics_filters.draw(view, choices, now=now, tz=tz, may_see_all=person.is_administrator)
        tiles = answers.get(usage.tiles, asked, tz.key)
        if not tiles.calls.n and not choices.models:
            draw_nothing_yet(everybody)
            return
        metrics_tiles.draw(tiles)
        if not tiles.calls.n:
            st.info("No call in this range passes the filters. A longer range or fewer filters show more.")
        else:
            cast = Cast(choices.models, asked.models)
            metrics_cards.draw(metrics_cards.Board(usage, answers, asked, tz, everybody, cast))
        metrics_calls.draw(answers, usage, asked, tz=tz, known=choices.models, shows_people=everybody)
    flight_recorder.draw_if_asked(usage, user_id=None if person.is_administrator else person.id, tz=tz)


def draw_nothing_yet(everybody: bool) -> None:
    whose = "Nobody has made a model call" if everybody else "You have made no model call"
    st.info(
        f"{whose} in this range yet. Each answer, from any page or route, is measured: time to first token, speed, "
        "tokens and cost. They are charted here."
    )
    with st.container(horizontal=True):
        st.page_link("pages/chat.py", label="Send a first message", icon=":material/chat:")


draw()

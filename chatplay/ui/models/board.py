"""The upper part of the Models page, for everyone: counts, why nothing runs if nothing does, a card per server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import streamlit as st

from chatplay.auth.person import Person
from chatplay.errors import ChatplayError, StoreError
from chatplay.models.catalog import CatalogStatus, UpstreamStatus
from chatplay.models.upstreams import UpstreamService
from chatplay.prices import Price
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui import gate, state
from chatplay.ui.markdown import message_markdown
from chatplay.ui.models import card as models_card
from chatplay.ui.people import viewer_zone
from chatplay.usage.price_table import PriceTable, at_price_in_force
from db.health import Day

REFRESH_SEC = 5.0
MANY = 6  # servers; more get smaller cards, those in trouble first, and a search
_COLUMNS, _COLUMNS_OF_MANY = 2, 3
_SEARCH = "models_search"


def draw_search() -> None:
    """Above everything, in runs of the whole page; only where there is much to look through."""
    if len(get_runtime().catalog.status(state.person().role).upstreams) > MANY:
        st.text_input(
            "Find a server or a model",
            key=_SEARCH,
            placeholder="Find a server or a model",
            icon=":material/search:",
            label_visibility="collapsed",
            width=360,
        )


def searched() -> str:
    """What is looked for, in small letters; "" for everything."""
    return str(state.widget_value(_SEARCH) or "").strip().lower()


@st.fragment(run_every=REFRESH_SEC, key="models_board")
def draw() -> None:
    """Draws itself anew every few seconds, and nothing else of the page."""
    person, runtime = state.person(), get_runtime()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        figures = st.container(horizontal=True, gap="medium", width="content")
        refused = _refresh() if person.is_administrator else None
    status = runtime.catalog.status(person.role)
    _draw_counts(figures, status, person)
    if refused is not None:
        st.error(message_markdown(str(refused)), icon=":material/error:")
    if status.why != "running":
        draw_nothing_runs(status)
    if status.why != "database unreachable":
        status = replace(status, upstreams=_at_prices_in_force(runtime.prices, status))
        _draw_cards(status, _days(runtime.upstreams, status.polled_at), person)


def _refresh() -> ChatplayError | None:
    """The button, and the wait until every server was asked; the error of an attempt that failed."""
    if not st.button("Refresh", icon=":material/refresh:", key="models_refresh", help="Asks every server now."):
        return None
    try:
        with st.spinner("Asking every model server, 10 seconds at most", show_time=True):
            get_runtime().upstreams.refresh_now(actor=gate.recheck())
    except ChatplayError as error:
        return error
    return None


def _draw_counts(place: st.delta_generator.DeltaGenerator, status: CatalogStatus, person: Person) -> None:
    known = status.why != "database unreachable"
    running = [one for one in status.upstreams if one.runs and known]
    healthy = sum(one.runs and one.standing == "healthy" for one in status.upstreams)
    models = sum(len(one.models) for one in status.upstreams)
    now, tz = get_runtime().catalog.now(), viewer_zone(person)
    with place:
        for label, value in (
            ("Models running", f"{sum(len(one.models) for one in running)} of {models}" if known else fmt.UNKNOWN),
            ("Servers healthy", f"{healthy} of {len(status.upstreams)}" if known else fmt.UNKNOWN),
        ):
            st.metric(label, value, width="content")
        st.metric(
            "Last check of all",
            fmt.ago(status.polled_at, now=now, tz=tz),
            help=fmt.exact(status.polled_at, tz=tz) if status.polled_at else None,
            width="content",
        )


def draw_nothing_runs(status: CatalogStatus) -> None:
    """ "No models running" with the one reason that holds, and what to do."""
    message, cure = status.message, status.cure
    if status.why == "all unhealthy":  # the cards below name each one's reason
        count = len(status.upstreams)
        message = f"{'The one model server is' if count == 1 else f'All {count} model servers are'} not ready."
        cure = "Each card says why and what to do. A model that was just started shows up within 15 to 30 seconds."
    box, icon = (st.error, ":material/error:")
    if status.why == "all unhealthy" and all(one.standing == "not checked yet" for one in status.upstreams):
        box, icon = (st.info, ":material/hourglass_empty:")
        message, cure = (
            "The model servers are being asked for the first time.",
            "This page shows what they say at once.",
        )
    elif status.why in ("nothing configured", "nothing for you"):
        box, icon = (st.info, ":material/info:")
    elif status.why == "database unreachable":
        icon = ":material/database_off:"
    st.subheader("No models running", anchor=False)
    box(f"**{message_markdown(message)}** {message_markdown(cure)}", icon=icon)


def _draw_cards(status: CatalogStatus, days: Mapping[str, Day], person: Person) -> None:
    now, tz = get_runtime().catalog.now(), viewer_zone(person)
    many, search = len(status.upstreams) > MANY, searched()
    shown = arranged(status.upstreams, search) if many else status.upstreams
    if not shown:
        st.caption("No server and no model is called like that. A shorter search finds more.")
    width = _COLUMNS_OF_MANY if many else _COLUMNS
    for start in range(0, len(shown), width):
        for column, upstream in zip(st.columns(width), shown[start : start + width], strict=False):
            with column:
                by_model = many and search not in upstream.name.lower()
                day = days.get(upstream.name)
                models_card.draw(upstream, day, person, now=now, tz=tz, small=many, searched=by_model)


def arranged(upstreams: tuple[UpstreamStatus, ...], search: str) -> tuple[UpstreamStatus, ...]:
    """Those that fit the search, by their name with all models or by the models that do; the ones in trouble first."""
    found = []
    for one in upstreams:
        models = tuple(model for model in one.models if search in model.name.lower())
        if search in one.name.lower():
            found.append(one)
        elif models:
            found.append(replace(one, models=models))
    return tuple(sorted(found, key=lambda one: one.standing == "healthy" and one.breaker != "open"))


def list_with_model(search: str) -> frozenset[str]:
    """The servers that have a model whose name fits the search."""
    upstreams = get_runtime().catalog.status(state.person().role).upstreams
    return frozenset(one.name for one in upstreams if any(search in model.name.lower() for model in one.models))


def _days(service: UpstreamService, polled_at: datetime | None) -> Mapping[str, Day]:
    """By upstream; empty while nobody can say. Read once after each round of checks, for all viewers."""
    try:
        return _read_days(service) if polled_at is None else _days_after(service, polled_at)
    except StoreError:
        return {}


@st.cache_data(max_entries=4, ttl=60, show_spinner=False)
def _days_after(_service: UpstreamService, polled_at: datetime) -> dict[str, Day]:
    return _read_days(_service)


def _at_prices_in_force(prices: PriceTable, status: CatalogStatus) -> tuple[UpstreamStatus, ...]:
    """With what calls are charged now, where administrators have set it; as configured while nobody can say."""
    asked = tuple((model.upstream, model.name) for one in status.upstreams for model in one.models)
    try:
        dated = prices.in_force(asked) if status.polled_at is None else _prices_after(prices, asked, status.polled_at)
    except StoreError:
        return status.upstreams
    return tuple(
        replace(one, models=tuple(at_price_in_force(model, dated) for model in one.models)) for one in status.upstreams
    )


@st.cache_data(max_entries=4, ttl=60, show_spinner=False)
def _prices_after(
    _prices: PriceTable, asked: tuple[tuple[str, str], ...], polled_at: datetime
) -> Mapping[tuple[str, str], Price]:
    return _prices.in_force(asked)


def _read_days(service: UpstreamService) -> dict[str, Day]:
    return {day.upstream: day for day in service.list_days()}

"""The frame around every page: the gate first, then navigation, then the page."""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import streamlit as st

from chatplay.auth.person import Person
from chatplay.runtime import get_runtime
from chatplay.ui import budget_note, gate, state
from chatplay.ui.scripts import ahead_html, away_html, sidebar_html, whole_characters_html

_log = logging.getLogger(__name__)
_NAME = "Chat Playground"
_NAMELESS = ("Welcome", "Playground")  # in the browser's tab these go by the name of the whole
_ANSWERING = ("Playground", "Compare")  # where answers come: these have no room for a title in sight
_AHEAD = {  # what a page is about to need, read while nobody waits for it
    **dict.fromkeys(_ANSWERING, ("code",)),
    "Experiments": ("tables", "charts"),
}
_PAGES = Path(__file__).resolve().parents[2] / "pages"
_ICON = str(Path(__file__).with_name("favicon.png"))  # a :material/ icon would be fetched from another site
_STYLE = Path(__file__).with_name("style.css")
# section -> (file, title, icon, for administrators only); a page appears once its file exists
_SECTIONS = {
    "Platform": (
        ("welcome", "Welcome", ":material/home:", False),
        ("models", "Models", ":material/dns:", False),
    ),
    "Chat": (
        ("chat", "Playground", ":material/chat:", False),
        ("compare", "Compare", ":material/splitscreen_left:", False),
        ("experiments", "Experiments", ":material/science:", False),
        ("metrics", "Metrics", ":material/monitoring:", False),
    ),
    "Administration": (
        ("usage", "Usage", ":material/bar_chart:", True),
        ("users", "Users", ":material/group:", True),
    ),
    "You": (("account", "Account", ":material/person:", False),),
}


def draw() -> None:
    """One run of the app for one person."""
    st.set_page_config(page_title=_NAME, page_icon=_ICON, layout="wide")
    st.html(_STYLE)
    person = gate.require_person()
    state.set_person(person)
    with get_runtime().generations.hub.precedence.take():
        _draw_page(person)


def _draw_page(person: Person) -> None:
    pages = pages_for(person)
    page = st.navigation(_with_unknown(pages), position="hidden")
    _draw_links(pages)
    # One element for all: what a page costs grows with its elements.
    scripts = whole_characters_html() + sidebar_html() + away_html() + ahead_html(*_AHEAD.get(page.title, ()))
    st.html(_unseen_title(page.title) + scripts, unsafe_allow_javascript=True)
    if page.title not in _NAMELESS:
        name_tab(page.title)
    _draw_sign_out(person)
    budget_note.draw(person)
    gate.watch()
    if destination := state.take_destination():
        page_file, query = destination
        st.switch_page(page_file, query_params=query)
    try:
        page.run()
    except Exception as error:  # a fault of ours: said in our words, found again by its number
        _draw_fault(error)


def name_tab(name: str) -> None:
    """What the browser's tab is called."""
    st.set_page_config(page_title=f"{name} · {_NAME}")


def _unseen_title(name: str) -> str:
    """Screen readers go from heading to heading, and every page begins with one."""
    return f'<h1 class="chat-unseen">{name}</h1>' if name in _ANSWERING else ""


def _draw_fault(error: Exception) -> None:
    number = uuid4().hex[:8]
    _log.exception("fault %s on a page", number, exc_info=error)
    st.error(
        f"**This page has a fault, number {number}.** It is not your doing, and nothing that was saved is lost. Reload "
        f"the page; if it comes again, an administrator finds the number in `make logs`.",
        icon=":material/error:",
    )


def pages_for(person: Person) -> dict[str, list[st.Page]]:
    """The navigation this person sees, section by section; a section without pages is left out."""
    sections = {
        section: [
            _page(name, title, icon, is_shown=person.is_administrator or not administrators_only)
            for name, title, icon, administrators_only in entries
            if (_PAGES / f"{name}.py").exists()
        ]
        for section, entries in _SECTIONS.items()
    }
    return {section: pages for section, pages in sections.items() if pages}


def _with_unknown(pages: dict[str, list[st.Page]]) -> dict[str, list[st.Page]]:
    """With a page of ours at an address that is none of theirs: Streamlit's own words for that lead nowhere."""
    name = unquote(urlsplit(st.context.url or "").path).strip("/")
    known = {page.url_path for links in pages.values() for page in links}
    if not name or "/" in name or name in known:
        return pages
    unknown = st.Page(_draw_unknown, title="No such page", url_path=name, visibility="hidden")
    return {**pages, "": [unknown]}


def _draw_unknown() -> None:
    st.title("No such page", anchor=False)
    st.markdown("There is nothing at this address. Nothing is lost: choose a page on the left, or begin anew.")
    st.page_link("pages/welcome.py", label="Welcome", icon=":material/home:")


def _draw_links(pages: dict[str, list[st.Page]]) -> None:
    """As elements of the page: Streamlit's own menu is worked out anew in the browser at each piece of an answer."""
    with st.sidebar, st.container(key="frame_pages", gap=None):
        for section, links in pages.items():
            if shown := [page for page in links if page.visibility == "visible"]:
                st.caption(section)
                with st.container(key=f"frame_links_{section}", horizontal=True, gap=None):
                    for page in shown:
                        st.page_link(page, width="stretch")


def _page(name: str, title: str, icon: str, *, is_shown: bool) -> st.Page:
    """A hidden page still answers at its address, to say who may see it."""
    return st.Page(
        _PAGES / f"{name}.py",
        title=title,
        icon=icon,
        url_path=name,
        default=name == "welcome",
        visibility="visible" if is_shown else "hidden",
    )


def _draw_sign_out(person: Person) -> None:
    with st.sidebar.container(key="frame_sign_out", horizontal=True, vertical_alignment="center"):
        st.text(person.display_name)
        if st.button("Sign out", type="tertiary", icon=":material/logout:"):
            gate.sign_out()

"""The fixed scripts of our pages; their text never varies, so that the content policy can name them by hash.

What varies travels in data attributes. To add one, add it to `SCRIPTS`.
"""

from __future__ import annotations

import base64
import hashlib
import html
from functools import cache
from pathlib import Path
from uuid import uuid4

import streamlit as st

from chatplay.ui.chat.draft_script import DRAFT
from chatplay.ui.chat.meter_script import METER
from chatplay.ui.chat.place_script import PLACE

_COPY = (
    "(()=>{const e=document.getElementById('chatplay-copy'),t=e.dataset.text;"
    "const old=()=>{const a=document.createElement('textarea');a.value=t;a.style.position='fixed';a.style.opacity='0';"
    "document.body.appendChild(a);a.select();document.execCommand('copy');a.remove()};"
    "navigator.clipboard?navigator.clipboard.writeText(t).catch(old):old()})()"
)
# Gently: not where somebody types or is asked something, nor where a keyboard would come over the page.
_FOCUS = (
    "(()=>{const gently=document.getElementById('chatplay-focus').dataset.text;let n=0;const t=setInterval(()=>{"
    "const f=document.querySelector('[data-testid=stChatInputTextArea]');"
    "if(f||++n>60)clearInterval(t);"
    "if(gently&&(!matchMedia('(hover: hover)').matches||document.querySelector('[role=dialog]')"
    "||document.activeElement?.matches('input,textarea')))return;"
    "f?.focus({preventScroll:true})},50)})()"
)
# Half a surrogate pair in a field would make the server drop the whole message, text and all.
_WHOLE_CHARACTERS = (
    "(()=>{if(window.chatplayWhole)return;window.chatplayWhole=1;"
    "const mend=()=>{const f=document.activeElement,t=f&&f.value;"
    "if(typeof t!=='string'||!t.isWellFormed||t.isWellFormed())return;"
    "Object.getOwnPropertyDescriptor(Object.getPrototypeOf(f),'value').set.call(f,t.toWellFormed());"
    "f.dispatchEvent(new Event('input',{bubbles:true}))};"
    "document.addEventListener('keydown',e=>{if(e.key==='Enter')mend()},true);"
    "document.addEventListener('pointerdown',mend,true)})()"
)
# On a narrow screen the sidebar lies over the page: once something is chosen in it, it is in the way.
_SIDEBAR = (
    "(()=>{if(window.chatplaySidebar)return;window.chatplaySidebar=1;"
    "document.addEventListener('click',e=>{"
    "if(innerWidth<=768&&e.target.closest("
    '\'[class*="st-key-chat_open_"],.st-key-chat_new,[class*="st-key-compare_open_"],.st-key-compare_new,'
    '[class*="st-key-frame_links_"] a\'))'
    "document.querySelector('[data-testid=stSidebarCollapseButton] button')?.click()})})()"
)
# Streamlit sends a text area's text when it is left. What is kept as it is typed goes at each pause, by the events of
# leaving and coming back; Ctrl+Enter sends it, too, but is the key of a button on some pages. Not while answers come in
# Compare, which it would draw anew.
_KEEP = (
    "(()=>{if(window.chatplayKeep)return;window.chatplayKeep=1;const waits=new WeakMap();"
    "const send=f=>{if(!f.isConnected||document.activeElement!==f)return;"
    "if(document.querySelector('.st-key-compare_stop button:enabled'))return waits.set(f,setTimeout(send,800,f));"
    "for(const name of['focusout','focusin'])f.dispatchEvent(new FocusEvent(name,{bubbles:true}))};"
    "document.addEventListener('input',e=>{const f=e.target;"
    "if(f.tagName!=='TEXTAREA'||!f.closest('.st-key-experiments_editor,.st-key-compare_ask,.st-key-compare_panes'))return;"
    "clearTimeout(waits.get(f));waits.set(f,setTimeout(send,800,f))})})()"
)
# A field of a kind that the page shows for the first time takes a while to come.
_FOCUS_FIELD = (
    "(()=>{const k=document.getElementById('chatplay-focus-field').dataset.text;let n=0;const t=setInterval(()=>{"
    "const f=document.querySelector('.st-key-'+k+' :is(input,textarea)');f?.focus();"
    "if(f||++n>60)clearInterval(t)},50)})()"
)
# streamlit-authenticator fixes both fields to autocomplete=off; with these words a password manager knows them.
_SIGN_IN = (
    "(()=>{let n=0;const t=setInterval(()=>{const [u,p]=document.querySelectorAll('.st-key-gate .stForm input');"
    "if(p){u.autocomplete='username';p.autocomplete='current-password';"
    "if(document.activeElement===document.body)u.focus()}if(p||++n>60)clearInterval(t)},50)})()"
)
# While the app is away Streamlit speaks of its own server, and of the internet, which most have no need of.
_AWAY = (
    "(()=>{if(window.chatplayAway)return;window.chatplayAway=1;setInterval(()=>{"
    "const d=document.querySelector('[role=dialog]');if(!d?.textContent.includes('Streamlit server'))return;"
    "const w=document.createTreeWalker(d,NodeFilter.SHOW_TEXT);while(w.nextNode())"
    "if(w.currentNode.data.startsWith('Streamlit server'))w.currentNode.data="
    "'The app does not answer: it may be starting again, or this device is not connected to it. Nothing that was sent "
    "is lost, and the page comes back by itself.'},300)})()"
)
# The browser reads the code highlighter at the first code block: half a second in the middle of an answer. What draws
# charts it reads at the first chart, when the page waits for nothing else.
_AHEAD = (
    "(()=>{const e=document.getElementById('chatplay-ahead'),known=window.chatplayAhead||=new Set;"
    "for(const a of(e?.dataset.text||'').split(' ')){if(!a||known.has(a))continue;known.add(a);"
    "const load=()=>import(a).catch(()=>{});"
    "setTimeout(()=>window.requestIdleCallback?requestIdleCallback(load):load(),300)}})()"
)
_MODULES = {
    "code": ("StreamlitSyntaxHighlighter.*.js",),
    "tables": ("DataFrame.*.js",),
    "charts": ("ArrowVegaLiteChart.*.js", "embed.*.js", "vega-interpreter.*.js"),
}
SCRIPTS = (
    _COPY,
    _FOCUS,
    _WHOLE_CHARACTERS,
    METER,
    PLACE,
    DRAFT,
    _SIDEBAR,
    _KEEP,
    _FOCUS_FIELD,
    _SIGN_IN,
    _AWAY,
    _AHEAD,
)


def script_hashes() -> list[str]:
    """Of every script here, as a content security policy names them."""
    digests = (hashlib.sha256(script.encode()).digest() for script in SCRIPTS)
    return ["sha256-" + base64.b64encode(digest).decode() for digest in digests]


def copy_html(text: str) -> str:
    """For `st.html(..., unsafe_allow_javascript=True)`: puts `text` on the clipboard."""
    return _with_data("chatplay-copy", _COPY, text)


def focus_html(*, gently: bool) -> str:
    """Likewise: moves the keyboard to the message input; `gently`, only where that takes it from nobody."""
    return _with_data("chatplay-focus", _FOCUS, "gently" if gently else "")


def focus_field_html(key: str) -> str:
    """Likewise: moves the keyboard to the text field of the widget `key`."""
    return _with_data("chatplay-focus-field", _FOCUS_FIELD, key)


def whole_characters_html() -> str:
    """Likewise: what is sent from a text field holds no half characters; each becomes U+FFFD."""
    return f"<script>{_WHOLE_CHARACTERS}</script>"


def sidebar_html() -> str:
    """Likewise: choosing a page, a chat or a comparison on a narrow screen puts the sidebar away."""
    return f"<script>{_SIDEBAR}</script>"


def away_html() -> str:
    """Likewise: says in our words that the app does not answer."""
    return f"<script>{_AWAY}</script>"


def sign_in_html() -> str:
    """Likewise: password managers fill in the sign-in form, and one may type at once."""
    return f"<script>{_SIGN_IN}</script>"


def meter_html() -> str:
    """Likewise: the context line follows typing, and a message that does not fit is not sent."""
    return f"<script>{METER}</script>"


def place_html() -> str:
    """Likewise: the page stays where it is when a part of it opens, and goes to its end with a message."""
    return f"<script>{PLACE}</script>"


def draft_html() -> str:
    """Likewise: what is typed outlives a reload, and signing in again."""
    return f"<script>{DRAFT}</script>"


def keep_html() -> str:
    """Likewise: texts of a plan and of a comparison are sent at each pause in typing."""
    return f"<script>{_KEEP}</script>"


def ahead_html(*what: str) -> str:
    """Likewise: once the page is at rest, reads what the first "code", "tables" or "charts" on it need."""
    paths = [path for name in what for path in module_paths(name)]
    return _data("chatplay-ahead", " ".join(paths)) + f"<script>{_AHEAD}</script>"


@cache
def module_paths(name: str) -> tuple[str, ...]:
    """The addresses of Streamlit's modules that draw these; without those that are no files of their own."""
    folder = Path(st.__file__).parent / "static" / "static" / "js"
    found = (next(folder.glob(pattern), None) for pattern in _MODULES[name])
    return tuple(f"/static/js/{file.name}" for file in found if file)


def _with_data(name: str, script: str, text: str) -> str:
    # The fresh number makes the page see a new element each time, so that the script runs again.
    return _data(name, text, f'data-run="{uuid4().hex}"') + f"<script>{script}</script>"


def _data(name: str, text: str, more: str = "") -> str:
    return f'<span id="{name}" hidden {more} data-text="{html.escape(text)}"></span>'

"""The prompts of a plan: templates with their variables, versions, and what differs between them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import streamlit as st

from chatplay import templates
from chatplay.errors import BadInput
from chatplay.experiments.values import PromptVersion
from chatplay.runtime import get_runtime
from chatplay.ui import format as fmt
from chatplay.ui import state, text_diff
from chatplay.ui.experiments.plan import cases as plan_cases
from chatplay.ui.experiments.plan.draft import Draft, PromptText
from chatplay.ui.experiments.plan.fields import draw_error, draw_errors
from chatplay.ui.markdown import plain_markdown
from chatplay.ui.people import viewer_zone

_JUST_NOW = timedelta(seconds=20)
_FIELDS = ("name", "prompt", "system_prompt")


def collect(draft: Draft) -> None:
    """Takes over what was typed and stores each changed text as a version."""
    for one in draft.prompts:
        for name in _FIELDS:
            typed = state.widget_value(_key(draft, one, name))
            if typed is not None:
                setattr(one, name, typed)
        if not one.is_empty and not one.is_stored:
            _store(draft, one)


def _store(draft: Draft, one: PromptText) -> None:
    """In the version that was made here, so that not every pause makes one; else in a new one."""
    service, user_id, version = get_runtime().experiments, state.person().id, one.version
    shared = any(other.version == version for other in draft.prompts if other is not one)
    one.error = ""
    try:
        if version is not None and one.is_mine and version.name == one.name and not shared:
            one.version = service.revise_prompt(
                user_id=user_id,
                experiment_id=draft.experiment_id,
                version=version,
                prompt=one.prompt,
                system_prompt=one.system_prompt,
            )
            return
        one.version = service.save_prompt(
            user_id=user_id, name=one.name, prompt=one.prompt, system_prompt=one.system_prompt
        )
        one.is_mine = fmt.now_utc() - one.version.created_at < _JUST_NOW  # not one that had the same texts before
    except BadInput as error:
        one.error = str(error)


def draw(draft: Draft) -> None:
    st.subheader("Prompt" if len(draft.prompts) == 1 else "Prompts", anchor=False)
    _draw_blocks(draft, draft.prompts)
    if any(not one.is_empty for one in draft.prompts):
        draw_errors(draft, "prompts")
    _draw_adding(draft)


def draw_more(draft: Draft, *, known: int) -> None:
    """For an extension: the first `known` prompts have run and stay as they are, as do the columns of the cases."""
    _draw_blocks(draft, draft.prompts[known:], columns_stay=True)
    _draw_adding(draft)


def _draw_blocks(draft: Draft, prompts: Sequence[PromptText], *, columns_stay: bool = False) -> None:
    first = draft.prompts[0]
    for one in prompts:
        with st.container(border=True, gap="small", key=draft.key(f"block_{one.number}")):
            _draw_one(draft, one, first=None if one is first else first, columns_stay=columns_stay)


def _draw_adding(draft: Draft) -> None:
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Add another version",
            key=draft.key("add_version"),
            icon=":material/add:",
            on_click=_add_copy,
            args=(draft,),
            help="A copy of the last prompt to change. Every version is an arm of its own.",
        )
        _draw_templates(draft)


def _draw_one(draft: Draft, one: PromptText, *, first: PromptText | None, columns_stay: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.text_input("Template", one.name, key=_key(draft, one, "name"), max_chars=200, width=260)
        st.caption(f"v{one.version.number}" if one.version and one.is_stored else "", width="content")
        st.space("stretch")
        if one.version is not None:
            _draw_versions(draft, one)
        if len(draft.prompts) > 1:
            st.button(
                "Remove",
                key=_key(draft, one, "remove"),
                icon=":material/delete:",
                type="tertiary",
                on_click=_remove,
                args=(draft, one),
            )
    st.text_area(
        "Prompt",
        one.prompt,
        key=_key(draft, one, "prompt"),
        height="content",
        placeholder="Summarise in one sentence: {{text}}",
        help="Names in double braces are filled from the columns of your cases.",
    )
    st.text_area("System prompt", one.system_prompt, key=_key(draft, one, "system_prompt"), height="content")
    draw_error(one.error)
    _draw_variables(draft, one, columns_stay=columns_stay)
    if first is not None:
        _draw_difference(draft, one, first)


def _draw_variables(draft: Draft, one: PromptText, *, columns_stay: bool) -> None:
    names = templates.variables(one.prompt, one.system_prompt)
    if not names:
        return
    missing = [name for name in names if name not in draft.cases.columns]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for name in names:
            colour, icon = ("red", "close") if name in missing else ("green", "check")
            what = "No column of the cases is called so." if name in missing else "Filled from the cases."
            st.badge(f"{{{{{plain_markdown(name)}}}}}", icon=f":material/{icon}:", color=colour, help=what)  # type: ignore[arg-type]
        if missing and not columns_stay:
            st.button(
                f"Add the {'column' if len(missing) == 1 else 'columns'} to the cases",
                key=_key(draft, one, "add_columns"),
                type="tertiary",
                icon=":material/add:",
                on_click=plan_cases.add_columns,
                args=(draft, missing),
            )


def _draw_difference(draft: Draft, one: PromptText, first: PromptText) -> None:
    if (one.prompt, one.system_prompt) == (first.prompt, first.system_prompt):
        st.caption("The same as the first prompt: change it to compare the two.")
        return
    with st.expander("Differences to the first prompt", key=_key(draft, one, "difference"), on_change="rerun") as place:
        if place.open:
            _draw_diffs((first.prompt, first.system_prompt), (one.prompt, one.system_prompt))


def _draw_diffs(before: tuple[str, str], after: tuple[str, str]) -> None:
    for label, left, right in zip(("Prompt", "System prompt"), before, after, strict=True):
        if left != right:
            st.caption(label)
            text_diff.draw(left, right)


def _draw_versions(draft: Draft, one: PromptText) -> None:
    with st.popover(
        "Versions", icon=":material/history:", key=_key(draft, one, "versions"), on_change="rerun"
    ) as place:
        if not place.open:
            return
        person = state.person()
        versions = get_runtime().experiments.list_prompt_versions(user_id=person.id, name=one.name)
        others = [version for version in versions if one.version is None or version.id != one.version.id]
        if not others:
            st.caption("This is the only version so far. A changed text becomes another once this one was used.")
            return
        _draw_choice(draft, one, others)


def _draw_choice(draft: Draft, one: PromptText, versions: Sequence[PromptVersion]) -> None:
    zone = viewer_zone(state.person())
    chosen = st.selectbox(
        "Version",
        versions,
        format_func=lambda version: f"v{version.number}, {fmt.ago(version.created_at, now=fmt.now_utc(), tz=zone)}",
        key=_key(draft, one, "version"),
    )
    st.caption("From that version to the text here:")
    _draw_diffs((chosen.prompt, chosen.system_prompt), (one.prompt, one.system_prompt))
    st.button("Use this version", key=_key(draft, one, "use"), type="primary", on_click=_use, args=(draft, one, chosen))


def _draw_templates(draft: Draft) -> None:
    with st.popover(
        "From your templates", icon=":material/bookmarks:", key=draft.key("templates"), on_change="rerun"
    ) as place:
        if not place.open:
            return
        found = get_runtime().experiments.list_prompts(user_id=state.person().id)
        used = {one.version.id for one in draft.prompts if one.version}
        offered = [version for version in found if version.id not in used]
        if not offered:
            st.caption("Every prompt you write in an experiment can be chosen here afterwards.")
            return
        chosen = st.selectbox("Template", offered, format_func=lambda version: version.label, key=draft.key("template"))
        st.code(chosen.prompt or " ", language=None, wrap_lines=True)
        st.button("Add it", key=draft.key("add_template"), type="primary", on_click=_add, args=(draft, chosen))


# ---- what the buttons do -----------------------------------------------------------------------


def _add_copy(draft: Draft) -> None:
    collect(draft)
    last = draft.prompts[-1]
    draft.prompts.append(PromptText(last.name, last.prompt, last.system_prompt, last.version))


def _add(draft: Draft, version: PromptVersion) -> None:
    collect(draft)
    added = PromptText(version.name, version.prompt, version.system_prompt, version)
    draft.prompts = [one for one in draft.prompts if not one.is_empty] + [added]


def _remove(draft: Draft, one: PromptText) -> None:
    draft.prompts.remove(one)


def _use(draft: Draft, one: PromptText, version: PromptVersion) -> None:
    """In a block of its own number, so that no widget holds the text from before."""
    place = draft.prompts.index(one)
    draft.prompts[place] = PromptText(version.name, version.prompt, version.system_prompt, version)


def _key(draft: Draft, one: PromptText, name: str) -> str:
    return draft.key(f"{name}_{one.number}")

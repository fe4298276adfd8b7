"""The words and figures of a pane: how it is called, with which settings, how quick it was, what was really sent."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from html import escape
from itertools import takewhile

from chatplay.compare.values import Check, ComparisonView, Outcome, Pane, PaneAnswer, Window
from chatplay.generation.values import AnswerMetrics, LiveMetrics
from chatplay.params import SPECS, Params, get_spec, number_text
from chatplay.ui import format
from chatplay.ui.markdown import plain_markdown

_LETTERS = "ABCDEF"
_SHORT_CHARS = 40
_NAMING_SETTINGS = 2
_SHOWN_DIGITS = 12
FINGERPRINT = (
    "The fingerprint of all that acts on an answer, model, messages and settings: computed from what this pane shows, "
    "and again from the request as it was sent. The same digits are the same request."
)
_MARKS: dict[Outcome, str] = {
    "won": ":material/trophy: **Best**",
    "tied": ":material/balance: **Tie**",
    "rejected": ":material/thumb_down: **Not good**",
}


def name_of(view: ComparisonView, place: int) -> str:
    """What the pane would ask now: `1 · demo-small`, among panes of one model `1 · Temperature 0.2`; `Answer A` while
    names are hidden.
    """
    return _veiled_name(view, place) or _name(place, view.places[place], view.places)


def answer_name_of(view: ComparisonView, place: int) -> str:
    """As `name_of`, by what the pane's answer was asked with."""
    there = [answer for pane in view.places if (answer := view.answers.get(pane.id)) is not None]
    mine = view.answers.get(view.places[place].id)
    return _veiled_name(view, place) or (name_of(view, place) if mine is None else _name(place, mine, there))


def _veiled_name(view: ComparisonView, place: int) -> str:
    return f"Answer {_LETTERS[place]}" if view.is_veiled else ""


def _name(place: int, mine: Pane | PaneAnswer, among: Sequence[Pane | PaneAnswer]) -> str:
    several = [one.params for one in among]
    settings = [setting_text(mine.params, name, several) for name in differing_names(several)][:_NAMING_SETTINGS]
    models = {(one.model_name, one.upstream) for one in among}
    return f"{place + 1} · {' · '.join(settings) if settings and len(models) == 1 else mine.model_name}"


def tab_name(view: ComparisonView, place: int) -> str:
    """As Markdown; with the mark of the answer that was voted best."""
    won = view.outcome_of(view.places[place]) == "won"
    return plain_markdown(name_of(view, place)) + (" :material/trophy:" if won else "")


def mark_of(view: ComparisonView, pane: Pane) -> str:
    """What the vote says of the pane's answer, and which it was without names, as Markdown; "" for nothing."""
    outcome, place = view.outcome_of(pane), view.veiled_place_of(pane)
    if outcome is None or view.vote is None:
        return ""
    letter = "" if place is None else f"Answer {_LETTERS[place]}"
    if outcome == "lost":
        return f"{letter} in your blind vote" if letter else ""
    as_asked = not changed_since(pane, view.answers[pane.id])
    before = "" if as_asked else ", before its settings were changed"
    return f"{outcome_text(outcome)}{f' in your blind vote, as {letter}' if letter else ''}{before}"


def outcome_text(outcome: Outcome | None) -> str:
    """The mark of an answer that was voted on, as Markdown; "" for one that was not, or lost."""
    return "" if outcome is None or outcome == "lost" else _MARKS[outcome]


def value_text(params: Params, name: str, among: Sequence[Params] = ()) -> str:
    """A setting as it is read: `0.2`, `random`, `none`. Of a long text that begins as others `among` these do, the part
    in which it differs.
    """
    value, spec = getattr(params, name), get_spec(name)
    if value is None:
        return spec.unset_label or "the server's own"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if isinstance(value, float):
        return number_text(value)
    text = " ".join(str(value).split())
    start = _parting(text, [" ".join(str(getattr(other, name)).split()) for other in among])
    end = start + _SHORT_CHARS
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}" or "none"


def _parting(text: str, others: Sequence[str]) -> int:
    """Where to begin to show what is different in `text`: some words before it, or 0 when it is seen from there."""
    shared = max((_alike(text, other) for other in others if other != text), default=0)
    return 0 if shared < _SHORT_CHARS else text.rfind(" ", 0, shared - _SHORT_CHARS // 3) + 1


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def settings_line(pane: Pane, different: Collection[str], among: Sequence[Params] = ()) -> str:
    """All settings as Markdown; those in which the panes differ are bold and stand first. `among`: of all panes."""
    names = [spec.name for spec in SPECS if spec.name in different]
    rest = [
        spec.name for spec in SPECS if spec.name not in different and getattr(pane.params, spec.name) != spec.default
    ]
    basic = [spec.name for spec in SPECS if spec.tier == "basic" and spec.name not in (*names, *rest)]
    bold = [f"**{_setting(pane.params, name, among)}**" for name in names]
    return " · ".join([*bold, *(_setting(pane.params, name) for name in (*basic, *rest))])


def _setting(params: Params, name: str, among: Sequence[Params] = ()) -> str:
    return plain_markdown(setting_text(params, name, among))


def setting_text(params: Params, name: str, among: Sequence[Params] = ()) -> str:
    """`Temperature 0.2`."""
    return f"{get_spec(name).label} {value_text(params, name, among)}"


def differing_names(several: Sequence[Params]) -> list[str]:
    """Names of the settings in which they are not all the same, in the order of the sliders."""
    return [spec.name for spec in SPECS if len({getattr(params, spec.name) for params in several}) > 1]


def setup_columns(model: str, upstream: str, params: Params) -> dict[str, object]:
    """A model and its settings as columns of a file, unrounded; what is left to the server is empty."""
    values = {spec.name: getattr(params, spec.name) for spec in SPECS}
    told = {name: json.dumps(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {"model": model, "server": upstream, **told}


def changed_since(pane: Pane, answer: PaneAnswer) -> list[str]:
    """Labels of what was set differently when the pane was asked."""
    labels = [spec.label for spec in SPECS if getattr(pane.params, spec.name) != getattr(answer.params, spec.name)]
    same_model = (pane.model_name, pane.upstream) == (answer.model_name, answer.upstream)
    return labels if same_model else ["Model", *labels]


def live_line(live: LiveMetrics, window: Window | None) -> str:
    """While the answer comes; tokens are an estimate until the server reports its count."""
    if live.ttft_ms is None:
        return f"Waiting for the first token, {format.duration(live.elapsed_ms)}{_context(0, window)}"
    tokens = format.tokens(live.completion_tokens, estimated=True) + _context(live.completion_tokens, window)
    return f"TTFT {format.duration(live.ttft_ms)} · {format.speed(live.tokens_per_second)} · {tokens}"


def _context(answer_tokens: int, window: Window | None) -> str:
    if window is None:
        return ""
    return f" · {format.context(window.prompt_tokens + answer_tokens, window.window_tokens, estimated=True)}"


def figures_line(metrics: AnswerMetrics) -> str:
    """As Markdown, once the answer is over."""
    parts = [
        f"TTFT {format.duration(metrics.ttft_ms)}",
        format.speed(metrics.tokens_per_second),
        format.tokens(metrics.completion_tokens, estimated=metrics.tokens_estimated),
        "cut off" if metrics.is_cut_off else "",
        format.cost(metrics.cost_usd) if metrics.cost_usd else "",
    ]
    return plain_markdown(" · ".join(part for part in parts if part))


def details(answer: PaneAnswer, metrics: AnswerMetrics, window_tokens: int | None) -> str:
    """All figures as HTML."""
    estimated = metrics.tokens_estimated
    used = None if metrics.prompt_tokens is None else metrics.prompt_tokens + (metrics.completion_tokens or 0)
    rows = [
        ("Model used", metrics.model_used or metrics.model),
        ("Server", metrics.provider),
        ("Ended", f"{answer.status}, {metrics.finish_reason or format.UNKNOWN}"),
        ("Reasoning", format.reasoning(metrics.reasoning_ms, metrics.reasoning_tokens)),
        ("Time to first token", format.duration(metrics.ttft_ms)),
        (
            "Time between tokens, p50 / p95",
            f"{format.duration(metrics.itl_p50_ms)} / {format.duration(metrics.itl_p95_ms)}",
        ),
        ("Speed", format.speed(metrics.tokens_per_second)),
        ("Duration", format.duration(metrics.duration_ms)),
        ("Prompt tokens", format.count(metrics.prompt_tokens, estimated=estimated)),
        ("Answer tokens", format.count(metrics.completion_tokens, estimated=estimated)),
        ("Context", format.context(used, window_tokens, estimated=bool(estimated)).removeprefix("Context: ")),
        ("Cost", format.cost(metrics.cost_usd)),
        ("Attempt", str(answer.attempt)),
        ("Fingerprint", _digits(metrics.fingerprint)),
    ]
    rows += [(spec.label, value_text(answer.params, spec.name)) for spec in SPECS]
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows if value)
    return f'<dl class="chat-details">{items}</dl>'


def fingerprint_line(answer: PaneAnswer) -> str:
    """What the fingerprint says, as Markdown; "" when there is none yet or never, and of a mismatch, which is told
    louder.
    """
    digits = plain_markdown(_digits(answer.metrics.fingerprint if answer.metrics else None))
    if answer.check.state == "same":
        return f":material/verified: Sent as shown · {digits}"
    if answer.check.state == "without":
        left_out = plain_markdown(_labels(answer.check.fields))
        return f":material/rule: Sent without {left_out}, which this model does not take; the rest as shown · {digits}"
    if answer.check.state == "unknown":
        return ":material/help: What was sent could not be confirmed: no part of an answer came."
    return ""


def mismatch_text(check: Check) -> str:
    """For a pane whose upstream was sent something else."""
    where = f" It differs in {plain_markdown(_labels(check.fields))}." if check.fields else ""
    return (
        f"**This answer is not to what this pane shows.** The server was sent another request.{where} "
        "Do not compare with it; run the pane again, and tell an administrator if it stays."
    )


def _labels(names: Iterable[str]) -> str:
    known = {spec.name: spec.label for spec in SPECS}
    return ", ".join(known.get(name, name) for name in names)


def _digits(fingerprint: str | None) -> str:
    return fingerprint[:_SHOWN_DIGITS] if fingerprint else format.UNKNOWN

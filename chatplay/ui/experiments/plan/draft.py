"""A plan as it is being typed, beside the plan it makes: nothing that was typed is lost because it is not right yet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any
from uuid import UUID

from chatplay.errors import BadInput
from chatplay.experiments.axes import Levels, label_of, parse_axis
from chatplay.experiments.plan import lay_out_arms
from chatplay.experiments.values import AxisText, CaseTable, Experiment, Plan, Preview, PromptVersion
from chatplay.params import SPECS, Params, Spec

_numbers = count(1)


@dataclass
class PromptText:
    """One prompt of the plan as it is typed. `version` is what was stored of it last, `number` tells widgets apart.

    `is_mine` once that version was made here: until somebody else names it, it follows the typing.
    """

    name: str
    prompt: str = ""
    system_prompt: str = ""
    version: PromptVersion | None = None
    error: str = ""
    is_mine: bool = False
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def is_empty(self) -> bool:
        return not self.prompt.strip() and not self.system_prompt.strip()

    @property
    def is_stored(self) -> bool:
        stored = self.version
        return stored is not None and (stored.name, stored.prompt, stored.system_prompt) == (
            self.name,
            self.prompt,
            self.system_prompt,
        )


@dataclass
class Draft:
    """What the Plan tab edits. `texts` are the settings as typed, by parameter; `stored` and `stored_cases` what the
    database holds of `plan` and `cases`.

    `revision` is the experiment's as this copy of it was last read or saved; `overtaken` once another plan was saved
    since, `is_started` once it runs: nothing is saved over it until the person has chosen.
    `left_out` are hashes of arms that are not to run; an arm that is new in the grid is.
    `table` is what the case editor began with; `edition` counts how often that, `grid` how often the choice of arms
    was replaced other than by hand.
    """

    experiment_id: UUID
    plan: Plan
    cases: CaseTable
    prompts: list[PromptText]
    texts: dict[str, str]
    table: CaseTable
    stored: Plan
    stored_cases: CaseTable
    revision: int
    overtaken: bool = False
    is_started: bool = False
    number: int = field(default_factory=lambda: next(_numbers))
    left_out: set[str] = field(default_factory=set)
    edition: int = 0
    grid: int = 0
    cases_error: str = ""
    rule_error: str = ""
    error: str = ""
    preview: Preview | None = None
    previewed: tuple[Plan, CaseTable] | None = None

    @property
    def is_saved(self) -> bool:
        """Whether the database has all of it."""
        return self.plan == self.stored and self.cases == self.stored_cases

    def key(self, name: str) -> str:
        """The widget key of a field of this draft."""
        return f"experiments_{self.number}_{name}"

    def tick(self, grid: Set[str], ticked: Set[str]) -> None:
        """Of the arms in `grid` only the ticked ones are to run; what was said of other arms stays said."""
        self.left_out = (self.left_out - grid) | (grid - ticked)

    def replace_cases(self, table: CaseTable) -> None:
        """Other cases, in an editor that forgets what was typed into the one before."""
        self.cases = self.table = table
        self.cases_error = ""
        self.edition += 1


def begin(experiment: Experiment, cases: CaseTable) -> Draft:
    """The draft as it was left."""
    plan = experiment.plan
    prompts = [PromptText(one.name, one.prompt, one.system_prompt, one) for one in plan.prompts]
    draft = Draft(experiment.id, plan, cases, prompts, texts_of(plan), cases, plan, cases, experiment.revision)
    if plan.chosen is not None:
        draft.left_out = hashes_of(plan) - plan.chosen
    return draft


# ---- settings as texts -------------------------------------------------------------------------


def varied_specs(plan: Plan) -> tuple[Spec, ...]:
    """The parameters that have a field: those of the sampler, and others that the plan varies already."""
    axes = {axis.param for axis in plan.axes}
    return tuple(spec for spec in SPECS if spec.sampling or spec.name in axes)


def texts_of(plan: Plan) -> dict[str, str]:
    """Each setting as a person would type it; empty where it is the default."""
    texts = {}
    for spec in SPECS:
        value = getattr(plan.base, spec.name)
        texts[spec.name] = "" if value == spec.default else text_of(value)
    return texts | {axis.param: axis.text for axis in plan.axes}


def text_of(value: Any) -> str:
    """One value as `parse_axis` reads it."""
    if isinstance(value, tuple):
        return json.dumps([list(value)], ensure_ascii=False)
    return label_of(value)


def settings_of(texts: Mapping[str, str], base: Params) -> tuple[Params, tuple[AxisText, ...]]:
    """One value is a fixed setting, several are an axis. What can't be read stays an axis, as it was typed."""
    axes = []
    for spec in SPECS:
        text = texts.get(spec.name, "").strip()
        levels = find_levels(spec, text) if text else Levels(spec.name, (spec.default,), ("",))
        if levels is None or len(levels.values) > 1:
            axes.append(AxisText(spec.name, text))
        value = levels.values[0] if levels is not None and len(levels.values) == 1 else spec.default
        base = replace(base, **{spec.name: value})
    return base, tuple(axes)


def find_levels(spec: Spec, text: str) -> Levels | None:
    """The values that a text names; None when it can't be read."""
    try:
        return parse_axis(spec.name, text)
    except BadInput:
        return None


def reading(spec: Spec, text: str) -> str:
    """How a field is understood: `5 values: 0, 0.25, 0.5, 0.75, 1`. Raises BadInput when it is not."""
    if not text.strip():
        return f"{_value_words(spec, spec.default)}, the default"
    levels = parse_axis(spec.name, text)
    if len(levels.values) == 1:
        return f"{_value_words(spec, levels.values[0])} for all"
    shown = levels.labels if len(levels.labels) <= 12 else (*levels.labels[:10], "...", levels.labels[-1])
    return f"{len(levels.values)} values: {', '.join(shown)}"


def _value_words(spec: Spec, value: Any) -> str:
    if value is None:
        return spec.unset_label or "Left to the server"
    return label_of(value)


# ---- the plan that it makes --------------------------------------------------------------------


def plan_of(draft: Draft, **changes: Any) -> Plan:
    """The plan with what was typed since. `changes` are fields of `Plan` that other widgets hold."""
    base, axes = settings_of(draft.texts, draft.plan.base)
    if changes.get("seed_policy", draft.plan.seed_policy) != "none":
        axes = tuple(axis for axis in axes if axis.param != "seed")
    versions = {prompt.version.id: prompt.version for prompt in draft.prompts if prompt.version and not prompt.is_empty}
    return replace(draft.plan, prompts=tuple(versions.values()), base=base, axes=axes, **changes)


def hashes_of(plan: Plan) -> set[str]:
    """Of all arms of the grid; none while an axis can't be read."""
    try:
        return {arm.hash for arm in lay_out_arms(plan)}
    except BadInput:
        return set()


def with_chosen(plan: Plan, left_out: Set[str]) -> Plan:
    """The plan without the arms that are left out. An unreadable grid keeps its choice until it can be read."""
    if not left_out:
        return replace(plan, chosen=None)
    if not (grid := hashes_of(plan)):
        return plan
    return replace(plan, chosen=frozenset(grid - left_out) if grid & left_out else None)


def unused_name(known: set[str]) -> str:
    """A name for a new template: `Prompt`, `Prompt 2`, ..."""
    return next(name for number in count(1) if (name := f"Prompt {number}" if number > 1 else "Prompt") not in known)


def errors_of(preview: Preview | None) -> Mapping[str, list[str]]:
    """What keeps the plan from starting, by field."""
    found: dict[str, list[str]] = {}
    for problem in preview.problems if preview else ():
        found.setdefault(problem.field, []).append(f"{problem.message} {problem.cure}".strip())
    return found


def edited_rows(table: CaseTable, delta: Mapping[str, Any]) -> CaseTable:
    """`table` with what st.data_editor keeps of edits: changed cells, added and deleted rows.

    Rows that were made blank go. One that was blank before stays: it is the case of a prompt without variables.
    """
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    changes = {int(place): cells for place, cells in delta.get("edited_rows", {}).items()}
    for place, cells in changes.items():
        if place < len(rows):
            rows[place].update(cells)
    untouched = set(range(len(rows))) - changes.keys()
    deleted = set(delta.get("deleted_rows", ()))
    rows += [dict(row) for row in delta.get("added_rows", ())]
    texts = [tuple("" if row.get(name) is None else str(row[name]) for name in table.columns) for row in rows]
    kept = [place for place, row in enumerate(texts) if place in untouched or not is_blank(row)]
    return CaseTable(table.columns, tuple(texts[place] for place in kept if place not in deleted))


def is_blank(row: Iterable[str]) -> bool:
    return not any(cell.strip() for cell in row)

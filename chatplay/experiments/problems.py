"""Everything that keeps a plan from starting, said field by field. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from chatplay import params as parameters
from chatplay import templates
from chatplay.errors import BadInput
from chatplay.experiments.blocks import MAX_REPEATS, MAX_TRIALS
from chatplay.experiments.plan import chosen_of, lay_out_arms, plan_to_json
from chatplay.experiments.values import EXPECTED, Arm, CaseTable, ModelRef, Plan, Problem
from chatplay.models.catalog import ModelInfo
from chatplay.models.view import takes_system_prompt

_MOST_CAP = 1_000_000_000
_MOST_AT_ONCE = 10_000
_SLOWEST, _FASTEST = 0.01, 1_000_000.0  # calls per minute: the time of the next call must be one a clock can tell


def list_problems(
    plan: Plan,
    *,
    columns: Sequence[str],
    cases: int,
    models: Mapping[ModelRef, ModelInfo | None],
    before: Plan | None = None,
) -> list[Problem]:
    """Everything that keeps the plan from starting; `models` has what the catalog knows, None for one that is gone.

    `before` is the plan of the started experiment that it extends.
    """
    found = [*_empty(plan, cases), *_unsendable(plan)]
    found += [*_models_gone(models), *_unpriced(plan, models), *_no_expected(plan, columns)]
    if before is not None and plan.repeats < before.repeats:
        text = f"There are {before.repeats:,} repeats already, and an extension takes none away."
        found.append(Problem("repeats", text, f"Write {before.repeats:,} or more."))
    try:
        arms = lay_out_arms(plan)
    except BadInput as error:
        return [*found, Problem(error.param, error.message, error.cure)]
    running = chosen_of(plan, arms)
    if arms and not running:
        found.append(Problem("chosen", "No arm of the grid is chosen.", "Choose at least one."))
    if (trials := len(running) * cases * plan.repeats) > MAX_TRIALS:
        found.append(
            Problem(
                "repeats", f"These are {trials:,} trials; the limit is {MAX_TRIALS:,}.", "Take fewer repeats or arms."
            )
        )
    return [*found, *_bad_settings(running, models), *_missing_columns(running, columns)]


def list_foreign_columns(known: CaseTable, more: CaseTable | None) -> list[Problem]:
    """Columns of cases to add that a started experiment does not have: they would be lost, and the cases empty."""
    columns = ", ".join(f"`{name}`" for name in known.columns)
    cure = f"Rename it; there are {columns}." if columns else "Leave it out; there are none."
    return [
        Problem("cases", f"The experiment has no column `{name}`; its columns stay as they are.", cure)
        for name in (more.columns if more else ())
        if name not in known.columns
    ]


def list_warnings(arms: Sequence[Arm], table: CaseTable, models: Mapping[ModelRef, ModelInfo | None]) -> list[Problem]:
    """What is likely a slip in a plan that can start: system prompts that their models are not sent, and variables
    that some cases have nothing for.
    """
    found = list(_left_out(arms, models))
    texts = dict.fromkeys(text for arm in arms for text in (arm.params.system_prompt, arm.prompt.prompt))
    for name in (name for name in templates.variables(*texts) if name in table.columns):
        place = table.columns.index(name)
        if empty := sum(not row[place].strip() for row in table.rows):
            text = f"The column `{name}` is empty in {empty:,} of {len(table):,} cases: nothing is sent for it there."
            found.append(Problem("cases", text, "Fill it in, unless that is meant."))
    return found


def _left_out(arms: Iterable[Arm], models: Mapping[ModelRef, ModelInfo | None]) -> Iterator[Problem]:
    for model in dict.fromkeys(arm.model for arm in arms if arm.params.system_prompt.strip()):
        if not takes_system_prompt(models.get(model)):
            text = (
                f"`{model.name}` at `{model.upstream}` takes no system prompt: it is asked without, whatever the arm."
            )
            yield Problem("models", text, "Write it into the prompt, unless that is meant.")


def check_storable(plan: Plan) -> None:
    """Raises BadInput for what could not even be kept to be mended later: a limit that is no number, a text with a
    character that the database does not take.
    """
    for field, value in (("max_cost_usd", plan.caps.max_cost_usd), ("calls_per_minute", plan.pace.calls_per_minute)):
        if value is not None and not math.isfinite(value):
            raise BadInput("This limit is no number.", param=field, cure="Write one, or leave it empty for no limit.")
    for problem in _unsendable(plan):
        raise BadInput(problem.message, param=problem.field, cure=problem.cure)


def _empty(plan: Plan, cases: int) -> Iterator[Problem]:
    if not plan.prompts:
        yield Problem("prompts", "There is no prompt.", "Write one, or choose one of your templates.")
    for version in plan.prompts:
        if not version.prompt.strip():
            yield Problem("prompts", f"The prompt of `{version.label}` is empty.", "Write one.")
    if not plan.models:
        yield Problem("models", "There is no model.", "Choose at least one.")
    if not cases:
        yield Problem("cases", "There are no cases.", "Paste or upload some.")
    if not 1 <= plan.repeats <= MAX_REPEATS:
        yield Problem("repeats", f"Repeats must be from 1 to {MAX_REPEATS:,}, not {plan.repeats}.")
    yield from _bad_limits(plan)


def _bad_limits(plan: Plan) -> Iterator[Problem]:
    caps, pace = plan.caps, plan.pace
    for field, value in (("max_calls", caps.max_calls), ("max_cost_usd", caps.max_cost_usd)):
        if value is not None and not 0 < value <= _MOST_CAP:
            yield Problem(field, f"A cap must be above 0 and at most {_MOST_CAP:,}.", "Leave it empty for no cap.")
    if pace.calls_at_once is not None and not 1 <= pace.calls_at_once <= _MOST_AT_ONCE:
        yield Problem("calls_at_once", f"This must be from 1 to {_MOST_AT_ONCE:,}.", "Leave it empty for no limit.")
    if pace.calls_per_minute is not None and not _SLOWEST <= pace.calls_per_minute <= _FASTEST:
        yield Problem(
            "calls_per_minute", f"This must be from {_SLOWEST:g} to {_FASTEST:,.0f}.", "Leave it empty for no limit."
        )
    if not 1 <= pace.max_attempts <= 10:
        yield Problem("max_attempts", "Attempts must be from 1 to 10.")


def _unsendable(plan: Plan) -> Iterator[Problem]:
    for field, stored in plan_to_json(plan).items():
        for text in _texts(stored):
            if bad := parameters.unsendable_character(text):
                message = f"A text of the plan's {field} holds {bad}, which cannot be stored or sent."
                yield Problem(field, message, "Remove it.")


def _texts(stored: object) -> Iterator[str]:
    if isinstance(stored, str):
        yield stored
    elif isinstance(stored, (list, dict)):
        for item in stored.values() if isinstance(stored, dict) else stored:
            yield from _texts(item)


def _models_gone(models: Mapping[ModelRef, ModelInfo | None]) -> Iterator[Problem]:
    for model, info in models.items():
        if info is None:
            yield Problem(
                "models", f"`{model.name}` at `{model.upstream}` is not there, or not open to you.", "Choose another."
            )


def _unpriced(plan: Plan, models: Mapping[ModelRef, ModelInfo | None]) -> Iterator[Problem]:
    for model, info in models.items():
        if plan.caps.max_cost_usd is not None and info is not None and info.price is None:
            yield Problem(
                "max_cost_usd",
                f"The price of `{model.name}` is not known, so a cap on cost can't hold.",
                "Set a cap on calls instead, or let an administrator enter the price.",
            )


def _no_expected(plan: Plan, columns: Sequence[str]) -> Iterator[Problem]:
    for rule in plan.rules:
        for name in templates.variables(getattr(rule, "value", ""), getattr(rule, "pattern", "")):
            if name not in columns:
                hint = "Add it to your cases." if name == EXPECTED else "Correct its name."
                yield Problem("rules", f"A rule uses the column `{name}`, which the cases do not have.", hint)


def _bad_settings(arms: Iterable[Arm], models: Mapping[ModelRef, ModelInfo | None]) -> Iterator[Problem]:
    said: set[str] = set()
    for arm in arms:
        info = models.get(arm.model)
        try:
            parameters.validate(arm.params, overrides=info.ranges if info else None)
        except BadInput as error:
            text = f"{arm.model.name}: {error.message}"
            if text not in said:
                said.add(text)
                yield Problem(error.param, text, error.cure)


def _missing_columns(arms: Iterable[Arm], columns: Sequence[str]) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    for arm in arms:
        texts = (arm.prompt.prompt, arm.params.system_prompt)
        if texts in seen:
            continue
        seen.add(texts)
        for name in templates.missing(texts, dict.fromkeys(columns, "")):
            yield Problem(
                "cases",
                f"`{arm.prompt.label}` uses {{{{{name}}}}}, but the cases have no column `{name}`.",
                "Add the column, or correct the name in the prompt.",
            )

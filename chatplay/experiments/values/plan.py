"""What an experiment is to run: prompts, models, axes, limits, cases; and the arms they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from chatplay.experiments.scoring import Rule
from chatplay.params import Params

SeedPolicy = Literal["fixed", "varied", "none"]
EXPECTED = "expected"  # the column that rules compare with


@dataclass(frozen=True)
class ModelRef:
    """A model at an upstream, as the catalog names them."""

    name: str
    upstream: str


@dataclass(frozen=True)
class PromptVersion:
    """One immutable version of a template pair. `number` counts from 1 within `name`."""

    id: int
    name: str
    number: int
    prompt: str
    system_prompt: str
    created_at: datetime

    @property
    def label(self) -> str:
        """How it is called in arms and axes."""
        return f"{self.name} v{self.number}"


@dataclass(frozen=True)
class AxisText:
    """A parameter that varies, as it was typed: `0, 0.5, 1`, `0:1:0.25`, `unset`; see `axes.parse_axis`."""

    param: str
    text: str


@dataclass(frozen=True)
class Caps:
    """Where an experiment pauses by itself; None: no cap. Retries and judgements count, too."""

    max_calls: int | None = None
    max_cost_usd: float | None = None


@dataclass(frozen=True)
class Pace:
    """How hard each upstream is asked, by all workers together. None: the administrator's limit, no rate."""

    calls_at_once: int | None = None
    calls_per_minute: float | None = None
    max_attempts: int = 3


@dataclass(frozen=True)
class Plan:
    """What to run: prompts x models x axes are the grid of arms, times cases, times repeats.

    `base` holds the settings that do not vary (its seed and system prompt do not count: see `seed_policy`, prompts).
    Seeds: `fixed` sends `seed` every time, `varied` another for each case and repeat but the same to every arm,
    `none` leaves it to the server. `chosen` are hashes of arms to run; None: the whole grid.
    """

    prompts: tuple[PromptVersion, ...] = ()
    models: tuple[ModelRef, ...] = ()
    base: Params = field(default_factory=Params)
    axes: tuple[AxisText, ...] = ()
    repeats: int = 3
    seed_policy: SeedPolicy = "varied"
    seed: int = 1
    chosen: frozenset[str] | None = None
    rules: tuple[Rule, ...] = ()
    caps: Caps = field(default_factory=Caps)
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True)
class CaseTable:
    """Cases as pasted or uploaded: column names, and rows of texts of the same length."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def values(self, row: int) -> Mapping[str, str]:
        """The columns of row `row` (0-based) by name."""
        return dict(zip(self.columns, self.rows[row], strict=True))


@dataclass(frozen=True)
class Arm:
    """One combination of settings; `number` is its place in the plan (0-based), `hash` identifies its settings.

    `levels` has the label of each thing that varies by name ("prompt", "model", parameters), in the plan's order;
    `label` joins them, parameters by the names that programs use. `params.system_prompt` is the filled-in-later
    template.
    """

    number: int
    hash: str
    prompt: PromptVersion
    model: ModelRef
    params: Params
    levels: Mapping[str, str]
    label: str


@dataclass(frozen=True)
class Case:
    """One row of inputs; `number` is its place (0-based)."""

    number: int
    values: Mapping[str, str]

"""What the page is about to ask, in the order it asks: told ahead, from what is chosen on its cards.

A question that is missing here, or told otherwise than it is asked, costs time and nothing else.
"""

from __future__ import annotations

from typing import Any

from chatplay.ui import state
from chatplay.ui.metrics import calls
from chatplay.usage.ahead import Answers
from chatplay.usage.service import Usage
from chatplay.usage.values import UsageFilter

_DEFAULTS = {
    "over_time": "ttft_ms",
    "distribution": "ttft_ms",
    "amounts_by": "model",
    "map_x": "temperature",
    "map_y": "top_p",
    "map_metric": "ttft_ms",
}


def expect(answers: Answers, usage: Usage, filter: UsageFilter, tz: str) -> None:
    """Everything below the filters."""
    answers.expect(usage.tiles, filter, tz)
    answers.expect(usage.percentiles_over_time, filter, _chosen("over_time"), tz)
    answers.expect(usage.distribution, filter, _chosen("distribution"))
    answers.expect(usage.ttft_by_prompt_tokens, filter)
    answers.expect(usage.speed_by_context, filter)
    answers.expect(usage.outcomes_over_time, filter, tz)
    answers.expect(usage.usage_table, filter, _chosen("amounts_by"), tz, percentiles=False)
    if _chosen("map_x") != _chosen("map_y"):
        answers.expect(usage.settings_map, filter, _chosen("map_x"), _chosen("map_y"), _chosen("map_metric"))
    answers.expect(usage.hour_of_week, filter, tz)
    calls.expect(answers, usage, filter)


def _chosen(name: str) -> Any:
    return state.widget_value(state.metrics_key(name)) or _DEFAULTS[name]

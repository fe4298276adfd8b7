"""How each number on the metrics and usage pages is defined: one sentence each, shown on hover and in the docs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "calls": "Model calls that began in the range and have ended, whoever made them: page, route or experiment.",
        "people": "Everybody with a call that began in the range and has ended; those deleted since count too.",
        "prompt_tokens": "Tokens of all prompts, as reported by the server; counted by us and marked ~ where it "
        "reports none. Calls that failed before anything was exchanged have none.",
        "completion_tokens": "Tokens of all answers, as reported by the server; counted by us and marked ~ where it "
        "reports none.",
        "cost_usd": "Tokens times the price in force when the call began. Calls without a known price or token count "
        "are left out and said beside it.",
        "ttft_p50_ms": "Half of the calls had their first non-empty delta within this time after the request was sent.",
        "ttft_p95_ms": "19 of 20 calls had their first non-empty delta within this time after the request was sent.",
        "ttft_ms": "Time to first token: request sent to the first non-empty delta of the text, which follows any "
        "reasoning.",
        "tokens_per_second": "Speed: (answer tokens - 1) / (last delta - first delta), of a model that "
        "reasons for its text alone; where its reasoning tokens are not reported, for both together from the first "
        "piece of reasoning on.",
        "duration_ms": "Request sent to the end of the answer.",
        "itl_p95_ms": "Time between tokens: of each call, the time between two deltas that 19 of 20 stay below.",
        "error_rate": "Failed and interrupted calls of all that ended. Stopped ones are no errors.",
        "fallback_rate": "Calls that were answered, or tried, without streaming, of all that ended.",
        "prompts_per_chat": "Completed answers per chat, over the chats whose first call is in the range; each counts "
        "with all its answers, later ones included. With a filter on parameters, status or experiment: completed "
        "answers in the range per chat with a call in it.",
        "percentiles": "Percentiles interpolate between neighbours (type 7, as numpy's). They are computed from "
        "histograms with narrow bins and are off by at most 1 %.",
        "settings_map": "The mean over the calls made with this pair of settings; n of them have the figure.",
        "hour_of_week": "Calls begun in this hour of the week, divided by how many such hours the range holds.",
        "chats": "Chats whose first call is in the range.",
        "budget": "Known cost of the calls since the first of the month (UTC). Calls without a known price count "
        "nothing.",
    }
)

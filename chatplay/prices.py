"""What a call cost: usage times a price per million tokens; None whenever one of the two is not known."""

from __future__ import annotations

from dataclasses import dataclass

from chatplay.providers.base import Usage

_PER = 1_000_000


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens. Without `cached_usd`, cached prompt tokens cost as much as others."""

    input_usd: float
    output_usd: float
    cached_usd: float | None = None


FREE = Price(0.0, 0.0)


def cost_usd(usage: Usage | None, price: Price | None) -> float | None:
    """The cost in US dollars; None when usage or price is unknown."""
    if usage is None or price is None:
        return None
    cached = min(usage.cached_tokens or 0, usage.prompt_tokens)
    cached_price = price.input_usd if price.cached_usd is None else price.cached_usd
    prompt_cost = (usage.prompt_tokens - cached) * price.input_usd + cached * cached_price
    return (prompt_cost + usage.completion_tokens * price.output_usd) / _PER

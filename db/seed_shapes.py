"""How made-up usage looks: models with their speed, price and faults, the rhythm of a week, how people set things."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ModelShape:
    """A model's habits. ttft = base + per_1k a thousand prompt tokens, spread by `spread` (sigma of a log-normal)."""

    upstream: str
    model: str
    weight: float
    ttft_ms: float
    ttft_per_1k_ms: float
    spread: float
    tokens_per_second: float
    error_rate: float
    fallback_rate: float
    input_usd: float | None
    output_usd: float | None


MODELS = (
    ModelShape("demo-cloud", "large-3", 0.20, 520, 90, 0.45, 62, 0.008, 0.01, 2.50, 10.0),
    ModelShape("demo-cloud", "small-3", 0.26, 240, 30, 0.40, 118, 0.006, 0.01, 0.15, 0.60),
    ModelShape("demo-cloud", "reasoner-1", 0.06, 2600, 160, 0.60, 74, 0.015, 0.02, 1.10, 4.40),
    ModelShape("demo-gpu-box", "qwen2-7b-instruct", 0.18, 130, 110, 0.35, 88, 0.012, 0.04, 0.05, 0.08),
    ModelShape("demo-gpu-box", "llama-3.1-8b", 0.14, 145, 120, 0.35, 82, 0.010, 0.03, 0.05, 0.08),
    ModelShape("demo-gpu-box", "mixtral-8x7b", 0.07, 380, 240, 0.50, 41, 0.020, 0.06, 0.24, 0.24),
    ModelShape("demo-laptop", "phi-3-mini", 0.06, 310, 680, 0.55, 23, 0.030, 0.12, 0.0, 0.0),
    ModelShape("demo-laptop", "gemma-2-2b", 0.03, 260, 520, 0.50, 29, 0.025, 0.10, None, None),
)
# share, how often the call is one of a chat, error classes with their share
SOURCES = (("chat", 0.52), ("compare", 0.16), ("experiment", 0.20), ("rest", 0.05), ("websocket", 0.04))
LAST_SOURCE = "completions"
ERRORS = (
    ("rate_limited", 0.34, "The server asks to slow down."),
    ("provider_unreachable", 0.22, "The server could not be reached."),
    ("provider_silent", 0.16, "The server did not answer in time."),
    ("stream_cut", 0.14, "The stream broke off."),
    ("context_overflow", 0.08, "Prompt and max tokens do not fit the context window."),
    ("provider_bad_answer", 0.06, "The server answered with an error."),
)
TEMPERATURES = np.array([0.0, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0])
TEMPERATURE_SHARES = np.array([0.12, 0.16, 0.06, 0.08, 0.44, 0.05, 0.09])
TOP_PS = np.array([0.5, 0.8, 0.9, 0.95, 1.0])
TOP_P_SHARES = np.array([0.03, 0.06, 0.11, 0.10, 0.70])
MAX_TOKENS = np.array([256, 512, 768, 1024])
MAX_TOKENS_SHARES = np.array([0.12, 0.66, 0.07, 0.15])
_WORKDAY = np.array(
    [1, 1, 1, 1, 1, 2, 6, 20, 48, 78, 92, 88, 56, 66, 90, 94, 82, 58, 30, 16, 10, 7, 4, 2], dtype=np.float64
)


def hour_weights(weekday: int) -> Floats:
    """How much of the load falls on each UTC hour of a day; 0 is Monday. Weekends are quiet, Fridays end early."""
    if weekday >= 5:
        return _WORKDAY * 0.09 + 1.2
    if weekday == 4:
        return _WORKDAY * np.where(np.arange(24) >= 14, 0.6, 1.0)
    return _WORKDAY * (1.0, 1.08, 1.1, 1.04)[weekday]


def pick(rng: np.random.Generator, shares: Floats, size: int) -> Ints:
    """Indexes drawn by share; the shares need not add up to 1."""
    steps = np.cumsum(shares) / shares.sum()
    return np.minimum(np.searchsorted(steps, rng.random(size), side="right"), len(shares) - 1).astype(np.int64)

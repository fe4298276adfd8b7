"""The pace of the health checks."""

import asyncio
from types import SimpleNamespace

import pytest

from chatplay.models.polling import HealthPoller, Pace


def waits_between_rounds(monkeypatch, draws):
    """How long a poller that leads waits after each round; a round itself takes no time."""
    waited, left = [], iter(draws)

    async def sleep(seconds):
        waited.append(seconds)
        if len(waited) == len(draws):
            raise asyncio.CancelledError

    async def round_of_checks(_poller):
        return None

    monkeypatch.setattr(HealthPoller, "poll_once", round_of_checks)
    book = SimpleNamespace(release=lambda: None)
    poller = HealthPoller(
        catalog=SimpleNamespace(), book=book, pace=Pace(poll_sec=100.0), sleep=sleep, draw=lambda: next(left)
    )
    poller._leads.set()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(poller._poll_forever())
    poller.release()
    return waited


def test_rounds_keep_no_exact_step_so_that_many_playgrounds_do_not_ask_at_once(monkeypatch):
    early, even, late = waits_between_rounds(monkeypatch, (0.0, 0.5, 1.0))
    assert even == pytest.approx(100, abs=1)
    assert early < 95 < 105 < late
    assert late - even == pytest.approx(even - early, abs=1)

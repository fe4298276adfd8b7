"""Waiting for a server's next sign of life: how long it may take, and who ended the wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from chatplay.providers.patience import Patience


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(test())

    run.__name__ = test.__name__
    return run


async def nothing() -> None:
    await asyncio.Event().wait()


@on_a_loop
async def test_wait_returns_what_comes_in_time():
    assert await Patience(5.0).wait(asyncio.sleep(0.01, "here")) == "here"


@on_a_loop
async def test_wait_for_what_never_comes_is_a_timeout_and_leaves_the_task_alone():
    patience = Patience(0.02)
    with pytest.raises(TimeoutError):
        await patience.wait(nothing())
    assert asyncio.current_task().cancelling() == 0


@on_a_loop
async def test_signs_of_life_move_the_deadline_of_the_timer_that_runs():
    patience = Patience(0.2)
    for _ in range(5):
        await patience.wait(asyncio.sleep(0.06))
        patience.restart(0.2)
    with pytest.raises(TimeoutError):
        await patience.wait(nothing())


@on_a_loop
async def test_waits_without_a_sign_of_life_share_one_limit():
    patience = Patience(0.1)
    await patience.wait(asyncio.sleep(0.06))
    with pytest.raises(TimeoutError):
        await patience.wait(asyncio.sleep(30))


@on_a_loop
async def test_time_in_which_nobody_waits_does_not_count():
    patience = Patience(0.2)
    await patience.wait(asyncio.sleep(0))
    await asyncio.sleep(0.3)
    assert await patience.wait(asyncio.sleep(0.01, "here")) == "here"


@on_a_loop
async def test_shorter_limit_counts_though_a_longer_timer_is_set():
    patience = Patience(60.0)
    await patience.wait(asyncio.sleep(0))
    patience.restart(0.02)
    with pytest.raises(TimeoutError):
        await patience.wait(asyncio.sleep(30))


@on_a_loop
async def test_cancelled_wait_is_cancelled_and_not_a_timeout():
    waiting = asyncio.create_task(Patience(60.0).wait(nothing()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@on_a_loop
async def test_wait_that_somebody_else_ends_together_with_patience_is_cancelled():
    patience = Patience(60.0)
    waiting = asyncio.create_task(patience.wait(nothing()))
    await asyncio.sleep(0)
    waiting.cancel()
    patience._until_sec = 0.0
    patience._look(asyncio.get_running_loop())
    with pytest.raises(asyncio.CancelledError):
        await waiting


@on_a_loop
async def test_ended_patience_leaves_no_timer_behind():
    patience = Patience(60.0)
    await patience.wait(asyncio.sleep(0))
    timer = patience._timer
    patience.end()
    assert timer.cancelled()
    assert patience._timer is None

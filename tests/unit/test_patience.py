"""Waiting for a server's next sign of life: how long it may take, and who ended the wait.

On a loop whose clock leaps to the next thing that is due: a second is a second however busy the machine is.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from chatplay.providers.patience import Patience


class _Leaping(selectors.DefaultSelector):
    """Where a loop would sleep, the time is over at once."""

    now_sec = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None:
            self.now_sec += max(timeout, 0)
        return super().select(None if timeout is None else 0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now_sec


def now_sec() -> float:
    return asyncio.get_running_loop().time()


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(test())

    run.__name__ = test.__name__
    return run


async def nothing() -> None:
    await asyncio.Event().wait()


@on_a_loop
async def test_wait_returns_what_comes_in_time():
    assert await Patience(5.0).wait(asyncio.sleep(0.01, "here")) == "here"


@on_a_loop
async def test_wait_for_what_never_comes_is_a_timeout_and_leaves_the_task_alone():
    patience = Patience(0.5)
    with pytest.raises(TimeoutError):
        await patience.wait(nothing())
    assert now_sec() == pytest.approx(0.5)
    assert asyncio.current_task().cancelling() == 0


@on_a_loop
async def test_signs_of_life_move_the_deadline_of_the_timer_that_runs():
    patience = Patience(2.0)
    for _ in range(5):
        await patience.wait(asyncio.sleep(1.5))
        patience.restart(2.0)
    with pytest.raises(TimeoutError):
        await patience.wait(nothing())
    assert now_sec() == pytest.approx(5 * 1.5 + 2)


@on_a_loop
async def test_waits_without_a_sign_of_life_share_one_limit():
    patience = Patience(1.0)
    await patience.wait(asyncio.sleep(0.6))
    with pytest.raises(TimeoutError):
        await patience.wait(asyncio.sleep(30))
    assert now_sec() == pytest.approx(1.0)


@on_a_loop
async def test_time_in_which_nobody_waits_does_not_count():
    patience = Patience(2.0)
    await patience.wait(asyncio.sleep(0))
    await asyncio.sleep(3)
    assert await patience.wait(asyncio.sleep(1.9, "here")) == "here"


@on_a_loop
async def test_shorter_limit_counts_though_a_longer_timer_is_set():
    patience = Patience(60.0)
    await patience.wait(asyncio.sleep(0))
    patience.restart(0.5)
    with pytest.raises(TimeoutError):
        await patience.wait(asyncio.sleep(30))
    assert now_sec() == pytest.approx(0.5)


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

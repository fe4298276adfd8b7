"""The questions of one view asked side by side: helpers ask ahead while the page is drawn.

An answer is what it would be if it were asked for where it is needed, and so is its error. Nobody waits for a helper
that has not begun, so a busy process or a small pool costs speed only.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_HELPERS = 2  # beside the one who draws: the database answers three questions at once


class Ahead:
    """See the module. One per process: `most` questions are asked ahead at once, whoever's view they are of."""

    def __init__(self, most: int) -> None:
        self._places = threading.BoundedSemaphore(most)

    @contextmanager
    def view(self) -> Iterator[Answers]:
        """The answers of one view; what nobody has begun to ask at its end is not asked any more."""
        answers = Answers(self._places)
        try:
            yield answers
        finally:
            answers.close()


class Answers:
    """What is asked in one view. `expect`, `begin` and `get` are for the one thread that draws it."""

    def __init__(self, places: threading.BoundedSemaphore) -> None:
        self._places = places
        self._expected: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._known: dict[Hashable, Future[Any]] = {}

    def expect(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None:
        """That `get` will be called with just this, so that a helper may ask before. All of it must be hashable."""
        future: Future[Any] = Future()
        self._known[_key(question, args, kwargs)] = future
        self._expected.append((future, lambda: question(*args, **kwargs)))

    def begin(self) -> None:
        """Has helpers ask what is expected, in that order."""
        for _ in range(min(_HELPERS, len(self._expected))):
            threading.Thread(target=self._help, name="usage-ahead", daemon=True).start()

    def get(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer, or the error, of `question(*args, **kwargs)`."""
        future = self._known.get(_key(question, args, kwargs))
        if future is None or future.cancel():  # nobody has begun: here and now is fastest
            return question(*args, **kwargs)
        answer: T = future.result()
        return answer

    def close(self) -> None:
        self._expected.clear()

    def _help(self) -> None:
        while self._expected and self._places.acquire(blocking=False):
            try:
                self._ask_next()
            finally:
                self._places.release()

    def _ask_next(self) -> None:
        try:
            future, ask = self._expected.popleft()
        except IndexError:  # another helper was faster
            return
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(ask())
        except BaseException as error:
            future.set_exception(error)


def _key(question: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
    return (question, args, tuple(sorted(kwargs.items())))

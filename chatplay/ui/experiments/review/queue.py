"""What one browser tab has reviewed: the items in the order seen, so that a person can go back and think again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast
from uuid import UUID

import streamlit as st

from chatplay.experiments.values import Experiment, PairItem, ReviewItem
from chatplay.runtime import get_runtime
from chatplay.ui import state
from chatplay.ui.experiments import state as experiments_state

Item = TypeVar("Item")
_MOST_SEEN = 200


@dataclass
class Queue(Generic[Item]):
    """`place` is the one on show among `seen`; past the end a new one is fetched. `given` are verdicts by item's key.

    `notes` likewise; `skipped` keys are not offered again until `unskip`.
    """

    experiment_id: UUID
    fetch: Callable[[list[Any]], Item | None]
    key_of: Callable[[Item], Any]
    seen: list[Item] = field(default_factory=list)
    place: int = 0
    skipped: list[Any] = field(default_factory=list)
    given: dict[Any, str] = field(default_factory=dict)
    notes: dict[Any, str] = field(default_factory=dict)
    noting: Any = None  # the item whose note is being written

    def current(self) -> Item | None:
        """The item on show; None when there is no more."""
        if self.place >= len(self.seen):
            found = self.fetch(self.skipped)
            if found is None:
                return None
            seen: list[Item] = [*self.seen, found]
            self.seen = seen[-_MOST_SEEN:]
            self.place = len(self.seen) - 1
        return self.seen[self.place]

    def verdict(self, item: Item) -> str | None:
        """What this tab said of it."""
        return self.given.get(self.key_of(item))

    def give(self, item: Item, verdict: str) -> None:
        """Notes it and goes on."""
        key = self.key_of(item)
        self.given[key] = verdict
        if key in self.skipped:
            self.skipped.remove(key)
        self.place += 1

    def skip(self, item: Item) -> None:
        key = self.key_of(item)
        if key not in self.given and key not in self.skipped:
            self.skipped.append(key)
        self.place += 1

    def back(self) -> None:
        self.place = max(self.place - 1, 0)

    def unskip(self) -> None:
        """Offers the skipped ones again."""
        self.skipped, self.seen, self.place = [], [], 0


def scores(experiment: Experiment) -> Queue[ReviewItem]:
    """Answers to score by hand."""

    def fetch(skip: list[int]) -> ReviewItem | None:
        service, user_id = get_runtime().experiments, state.person().id
        return service.next_for_review(user_id=user_id, experiment_id=experiment.id, skip=skip)

    return _kept("scores", experiment, lambda: Queue(experiment.id, fetch, lambda item: item.trial_id))


def votes(experiment: Experiment) -> Queue[PairItem]:
    """Pairs of answers to choose from."""

    def fetch(skip: list[tuple[int, int]]) -> PairItem | None:
        service, user_id = get_runtime().experiments, state.person().id
        return service.next_pair(user_id=user_id, experiment_id=experiment.id, skip=skip)

    return _kept(
        "votes", experiment, lambda: Queue(experiment.id, fetch, lambda item: (item.left_trial_id, item.right_trial_id))
    )


def act(do: Callable[..., object], *args: Any) -> None:
    """For callbacks of the review: an error is shown at the head of the page, which takes a run of the whole of it."""
    experiments_state.act(do, *args)
    if state.experiments().notice is not None:
        st.rerun()


def _kept(name: str, experiment: Experiment, make: Callable[[], Queue[Item]]) -> Queue[Item]:
    queues = state.experiments().reviews
    if name not in queues or queues[name].experiment_id != experiment.id:
        queues[name] = make()
    return cast("Queue[Item]", queues[name])

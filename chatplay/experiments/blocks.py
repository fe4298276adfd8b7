"""From arms, cases and repeats to trials in randomised, interleaved order. Pure."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from chatplay.experiments.values import SeedPolicy

MAX_REPEATS = 1_000
MAX_TRIALS = 200_000
LOT_TRIALS = 16  # the least a job takes on; whole blocks, so that a case meets all arms in one job
MAX_LOT_TRIALS = 64
_SEEDS = 2**31


@dataclass(frozen=True)
class Place:
    """Where a trial stands in the table of arm x case x repeat, all 0-based."""

    arm: int
    case: int
    repeat: int


@dataclass(frozen=True)
class Planned:
    """A trial in the randomised order; trials of one `lot` are one job."""

    place: Place
    lot: int
    position: int


def list_missing(arms: Iterable[int], *, cases: int, repeats: int, have: Collection[Place] = ()) -> list[Place]:
    """All places of the table that no trial stands at yet."""
    wanted = (Place(arm, case, repeat) for case in range(cases) for repeat in range(repeats) for arm in arms)
    return [place for place in wanted if place not in have] if have else list(wanted)


def order_trials(places: Iterable[Place], *, seed: int, first_lot: int = 0, first_position: int = 0) -> list[Planned]:
    """Blocks of one case and repeat with all their arms, shuffled inside and among each other, cut into lots.

    A drift of a server in time meets all arms alike: a randomised block design.
    """
    draw = random.Random(seed)
    blocks: dict[tuple[int, int], list[Place]] = {}
    for place in places:
        blocks.setdefault((place.case, place.repeat), []).append(place)
    order = list(blocks.values())
    draw.shuffle(order)
    planned: list[Planned] = []
    for lot, members in enumerate(_lots(order, draw), start=first_lot):
        start = first_position + len(planned)
        planned += [Planned(place, lot, position) for position, place in enumerate(members, start=start)]
    return planned


def _lots(blocks: Iterable[list[Place]], draw: random.Random) -> Iterator[list[Place]]:
    lot: list[Place] = []
    for block in blocks:
        draw.shuffle(block)
        lot += block
        while len(lot) > MAX_LOT_TRIALS:
            yield lot[:MAX_LOT_TRIALS]
            lot = lot[MAX_LOT_TRIALS:]
        if len(lot) >= LOT_TRIALS:
            yield lot
            lot = []
    if lot:
        yield lot


def seed_for(policy: SeedPolicy, arm_seed: int | None, plan_seed: int, case: int, repeat: int) -> int | None:
    """The seed of one trial. `varied`: the same for all arms at this case and repeat, so that they compare like
    with like (common random numbers).
    """
    if policy != "varied":
        return arm_seed
    digest = hashlib.sha256(f"{plan_seed}:{case}:{repeat}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % _SEEDS

"""The experiment service: what pages and routes may ask. What is not the person's own does not exist for them.

Its parts, each in a file: `drafts` plans, `runs` runs, `overview` tells how it goes, `reads` reads, `judges` scores,
`takeaway` hands out.
"""

from __future__ import annotations

from chatplay.experiments.desk import Desk
from chatplay.experiments.overview import Overview
from chatplay.experiments.takeaway import TakeAway


class ExperimentService(Overview, TakeAway):
    """See the module. Methods that take `token` also read through a read-only link; all raise NotFound for what is
    neither the person's own nor linked.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

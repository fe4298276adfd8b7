"""Figures of an ended experiment, read while its Run tab is on show: who has seen it end looks at Results next."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from chatplay.errors import ChatplayError
from chatplay.experiments.values import Experiment
from chatplay.ui.experiments.results import data as figures

_log = logging.getLogger(__name__)
_place = threading.BoundedSemaphore()  # one reading at a time in a process: it takes a second of it at most


def begin(experiment: Experiment, token: str | None) -> None:
    """Returns at once. Does nothing while another reading is under way, which costs speed only."""
    if not experiment.is_over or not _place.acquire(blocking=False):
        return
    whose = figures.about(experiment, token)
    threading.Thread(target=_read, args=(experiment, whose), name="results-ahead", daemon=True).start()


def _read(experiment: Experiment, whose: Mapping[str, Any]) -> None:
    try:
        scored_by = next(iter(figures.scores_of(experiment, ())))
        figures.load(experiment, whose, scored_by).work_out()
    except ChatplayError:  # said by the tab when it is opened
        pass
    except Exception:
        _log.exception("results ahead of their tab")
    finally:
        _place.release()

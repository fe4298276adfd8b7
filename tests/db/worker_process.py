"""A worker of experiments in a process of its own, to be killed: `python worker_process.py URL hold|run`."""

import sys
import threading

from tests.db.chat_rig import process
from tests.db.experiment_rig import QUICK, Answerer, make_worker


def main(url: str, how: str) -> None:
    with process(url) as one:
        answerer = Answerer()
        answerer.hold = threading.Event() if how == "hold" else None
        one.catalog._view.providers["scripted"] = answerer
        make_worker(one, url, QUICK).start()
        print("working", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])

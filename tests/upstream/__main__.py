"""Runs the upstream alone; see the package."""

from __future__ import annotations

import argparse
import contextlib
import threading

from tests.upstream import SCRIPTS, Upstream, words


def main() -> None:
    parser = argparse.ArgumentParser(description="A scriptable OpenAI-compatible server for tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", choices=sorted(SCRIPTS), default="answer")
    parser.add_argument("--tokens", type=int, help="with --script answer: how many words")
    parser.add_argument("--delay-ms", type=float, default=20.0, help="with --tokens: pause between words")
    args = parser.parse_args()
    script = words(args.tokens, delay_sec=args.delay_ms / 1000) if args.tokens else SCRIPTS[args.script]
    with Upstream(port=args.port, default=script) as upstream, contextlib.suppress(KeyboardInterrupt):
        print(upstream.base_url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()

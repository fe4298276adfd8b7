"""What a request looks like on the wire, and what each server has taught us about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from chatplay.params import OFF_AT_ZERO, SAMPLING
from chatplay.providers.base import Request
from chatplay.providers.openai_answer import storable
from chatplay.providers.refusals import Refusal, parameter_named

_WANTS_COMPLETION_TOKENS = re.compile(r"^(?:openai/)?(?:o\d|gpt-[5-9])")
# max_tokens is not among them: an answer without a limit is not what was asked for.
DROPPABLE = tuple(name for name in SAMPLING if name != "max_tokens")
_TAKES_NONE = re.compile(
    r"unsupported|(not|n't) (support|accept|permit|allow|available)|unrecogni[sz]ed|unknown|unexpected|only the default"
    r"|fixed at|extra (inputs|fields)",
    re.IGNORECASE,
)
_OUT_OF_BOUNDS = re.compile(r"less than|greater than|at most|at least|between|maximum|minimum|range|above|below", re.I)


@dataclass(frozen=True)
class Dialect:
    """What this server's body looks like for one model. `refused`: parameters it takes none of."""

    limit_name: str = "max_tokens"
    asks_usage: bool = True
    refused: frozenset[str] = frozenset()

    def learn(self, refusal: Refusal, body: dict[str, Any]) -> Dialect | None:
        """The dialect to try next after a refusal of `body`; None when another try can't help."""
        words = f"{refusal.param} {refusal.message}"
        other = "max_tokens" if self.limit_name == "max_completion_tokens" else "max_completion_tokens"
        if refusal.status not in (400, 422):
            return None
        if self.asks_usage and "stream_options" in words:
            return replace(self, asks_usage=False)
        if self.limit_name == "max_tokens" and re.search(rf"\b{other}\b.*instead|instead.*\b{other}\b", words):
            return replace(self, limit_name=other)
        param = parameter_named(refusal)
        if param in DROPPABLE and param in body and _takes_none(refusal):
            return replace(self, refused=self.refused | {param})
        return None

    def body(self, request: Request) -> dict[str, Any]:
        """The request body without messages; what is None, a penalty of 0, or refused is left out.

        A program's own request is left as it is: it hears from the server what that does not take.
        """
        refused = self.refused if request.relay is None else ()
        return {name: value for name, value in self._whole(request).items() if name not in refused}

    def ignored(self, request: Request) -> tuple[str, ...]:
        """The parameters that were set and not sent, in the table's order."""
        if request.relay is not None:
            return ()
        return tuple(name for name in self._whole(request) if name in self.refused)

    def _whole(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {"model": request.model}
        for name in SAMPLING:
            value = getattr(request.params, name)
            if value not in (None, ()) and not (value == 0 and name in OFF_AT_ZERO):
                sent = self.limit_name if name == "max_tokens" else name
                body[sent] = list(value) if isinstance(value, tuple) else value
        body["stream"] = request.stream
        if request.stream and self.asks_usage:
            body["stream_options"] = {"include_usage": True}
        return body


def dialect_of(model: str, refused: Iterable[str] = ()) -> Dialect:
    """What is known of a model before it was asked."""
    limit_name = "max_completion_tokens" if _WANTS_COMPLETION_TOKENS.match(model) else "max_tokens"
    return Dialect(limit_name, refused=frozenset(refused) & frozenset(DROPPABLE))


def messages_of(request: Request) -> dict[str, object]:
    """The part of the body that says something: the messages; of a program's own request all that is no parameter."""
    if request.relay is not None:
        return {**request.relay.extra, "messages": request.relay.messages}
    texts = [{"role": message.role, "content": storable(message.content)} for message in request.messages]
    return {"messages": texts}


def shown_of(request: Request) -> dict[str, object]:
    """The relayed fields as a usage row may keep them: texts and schemas can hold what a prompt says."""
    extra = request.relay.extra if request.relay is not None else {}
    return {name: value if isinstance(value, (bool, int, float)) else "(sent)" for name, value in extra.items()}


def _takes_none(refusal: Refusal) -> bool:
    """True when the parameter itself is not taken, not just this value of it."""
    if refusal.code in ("unsupported_parameter", "unsupported_value"):
        return True
    return _TAKES_NONE.search(refusal.message) is not None and _OUT_OF_BOUNDS.search(refusal.message) is None

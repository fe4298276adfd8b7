"""One-time tickets that carry a checked password from the page to the route that may set a cookie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from chatplay.auth.return_to import safe_return_to
from chatplay.auth.tokens import TICKET_SEC, new_token, token_hash
from chatplay.store import Store
from db import sign_ins


@dataclass(frozen=True)
class Accepted:
    user_id: int
    return_to: str


class Tickets:
    """A ticket works once, for 90 s, in the browser it was made for."""

    def __init__(self, *, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def make(self, *, user_id: int, browser: str, return_to: str) -> str:
        """The ticket's text. `browser`: the value of its browser cookie; `return_to`: path and query to land on."""
        ticket = new_token()
        with self._store.transaction() as conn:
            sign_ins.add_ticket(
                conn,
                token_hash=token_hash(ticket),
                purpose="sign_in",
                expires_at=self._clock() + timedelta(seconds=TICKET_SEC),
                user_id=user_id,
                browser_hash=token_hash(browser),
                return_to=safe_return_to(return_to),
            )
        return ticket

    def accept(self, ticket: str, *, browser: str) -> Accepted | None:
        """Uses the ticket up; None when it is unknown, used, too old or another browser's."""
        with self._store.transaction() as conn:
            found = sign_ins.take_ticket(
                conn,
                token_hash=token_hash(ticket),
                purpose="sign_in",
                now=self._clock(),
                browser_hash=token_hash(browser),
            )
        if found is None or found.user_id is None:
            return None
        return Accepted(user_id=found.user_id, return_to=safe_return_to(found.return_to))

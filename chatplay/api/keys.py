"""What a client's Idempotency-Key stands for: sent again, it gives what it gave the first time."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID, uuid4, uuid5

from fastapi import Header

from chatplay.api.who import Caller

_NAMESPACE = UUID("6d0f1d0e-3c86-4d52-9f0c-5f6a3f1c6f55")
IdempotencyKey = Annotated[
    str | None,
    Header(max_length=255, description="The same key again makes nothing new and gives the same answer."),
]


def request_key(caller: Caller, work: str, key: str | None, *, about: UUID | None = None) -> UUID:
    """The id of this piece of `work` (`about` a chat) under the client's key; a fresh one without a key."""
    return uuid5(_NAMESPACE, f"{caller.user_id}:{about}:{work}:{key}") if key else uuid4()

"""What can go wrong below the services, in words a person can act on.

DatabaseError
├── EmbeddedError      the embedded server could not be set up, started or stopped
├── UnsuitableServer   a server answers, but not one we can use
└── MigrationError     its tables cannot be brought to what this code expects
"""

from __future__ import annotations


class DatabaseError(Exception):
    """`message` says what happened, `cure` what to do about it."""

    def __init__(self, message: str, *, cure: str = "") -> None:
        super().__init__(f"{message} {cure}".strip())
        self.message = message
        self.cure = cure


class EmbeddedError(DatabaseError):
    pass


class UnsuitableServer(DatabaseError):
    pass


class MigrationError(DatabaseError):
    pass

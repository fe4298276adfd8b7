"""The one door to PostgreSQL: transactions in, and what can go wrong out as `StoreError`s."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chatplay.errors import StoreConflict, StoreError, StoreFull, StoreUnavailable

__all__ = ["Connection", "Store", "translate"]  # services name the connection they pass on to `db`
_DISK_FULL = "53100"  # SQLSTATE class 53, insufficient resources: disk_full
_MET_ANOTHER = ("40001", "40P01")  # class 40, transaction rollback: serialization_failure, deadlock_detected


class Store:
    """Hands out connections of one engine; services hold one of these, never an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction that commits at the end. Raises only StoreErrors for SQL's own."""
        try:
            with self.engine.begin() as conn:
                yield conn
        except SQLAlchemyError as error:
            raise translate(error) from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection in autocommit, for reads and for what is one statement: no round trip at either end."""
        try:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
                yield conn
        except SQLAlchemyError as error:
            raise translate(error) from error


def translate(error: SQLAlchemyError) -> StoreError:
    """The member of our tree for one of SQLAlchemy's; the original text goes to the log, not to people."""
    sqlstate = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
    if sqlstate in _MET_ANOTHER:  # not done again here: the work stands in the caller's `with` block
        return StoreConflict("Something else changed the same at this moment, so nothing was done.", cure="Try again.")
    if sqlstate == _DISK_FULL:
        return StoreFull("The database's disk is full.", cure="Free some space on it; nothing stored so far is lost.")
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeout)) or _disconnected(error):
        return StoreUnavailable(
            "The database cannot be reached right now.",
            cure="What you typed is kept. Try again in a moment; an administrator can look with `make status`.",
        )
    return StoreError("The database refused the work.", cure="An administrator finds the details in `make logs`.")


def _disconnected(error: SQLAlchemyError) -> bool:
    return isinstance(error, DBAPIError) and error.connection_invalidated

"""What all tables share: the metadata, how constraints are called, the words that columns are held to."""

from __future__ import annotations

from sqlalchemy import DateTime, MetaData, func

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Now = func.now()
Stamp = DateTime(timezone=True)

ROLES = ("analyst", "administrator")
MESSAGE_ROLES = ("user", "assistant", "system")
STATUSES = ("streaming", "complete", "stopped", "failed", "interrupted")
SOURCES = ("chat", "compare", "experiment", "rest", "websocket", "completions")
OVERFLOW_POLICIES = ("hold_back", "drop_oldest")


def one_of(column: str, allowed: tuple[str, ...]) -> str:
    """The SQL of a check constraint."""
    return f"{column} IN ({', '.join(repr(value) for value in allowed)})"


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """For Alembic: False for the job queue's tables, which its library owns."""
    return kind != "table" or not (name or "").startswith("procrastinate_")

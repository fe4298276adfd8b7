"""Queries on what the answers of each model taught about its tokens."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from db.schema import token_calibrations

_COLUMNS = tuple(column for column in token_calibrations.c if column.name != "updated_at")


@dataclass(frozen=True)
class CalibrationRow:
    """Of one model at one upstream; `chatplay.tokens.estimate` says what the numbers mean."""

    upstream: str
    model: str
    answers: int
    error_share: float
    gram: tuple[float, ...]
    moment: tuple[float, ...]


def find_calibration(conn: Connection, *, upstream: str, model: str, for_update: bool = False) -> CalibrationRow | None:
    """The model's row. With `for_update` nobody else changes it, or adds it, before this transaction ends."""
    mine = (token_calibrations.c.upstream == upstream, token_calibrations.c.model == model)
    if for_update:
        # A row that is not there yet can't be locked; a lock on its name can be had.
        conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"calibration/{upstream}/{model}", 0))))
    row = conn.execute(select(*_COLUMNS).where(*mine)).one_or_none()
    if row is None:
        return None
    return CalibrationRow(row.upstream, row.model, row.answers, row.error_share, tuple(row.gram), tuple(row.moment))


def save_calibration(conn: Connection, *, row: CalibrationRow) -> None:
    """Adds or replaces it."""
    values = {**asdict(row), "gram": list(row.gram), "moment": list(row.moment)}
    query = upsert(token_calibrations).values(**values)
    conn.execute(
        query.on_conflict_do_update(
            index_elements=["upstream", "model"],
            set_={
                **{name: query.excluded[name] for name in ("answers", "error_share", "gram", "moment")},
                "updated_at": func.now(),
            },
        )
    )


def forget_calibrations(conn: Connection, *, upstream: str) -> None:
    """Everything learned of the models at this upstream: its address leads to another server now."""
    conn.execute(token_calibrations.delete().where(token_calibrations.c.upstream == upstream))

"""Budgets and what is spent of them this UTC month: counted days plus the calls that still wait to be counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, delete, exists, func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from db.schema import budgets, organisations, users

Scope = Literal["person", "organisation"]
_PENDING_HOURS = 2  # older ones are the backlog of an upgrade: not looked through at each call


@dataclass(frozen=True)
class BudgetRow:
    """`spent_usd` is of known costs; `unknown_calls` have none. `resets_at`: the next month's first moment."""

    scope: Scope
    subject_id: int
    subject: str
    monthly_usd: float
    spent_usd: float
    unknown_calls: int
    resets_at: datetime


_STATES = f"""
WITH month AS (SELECT date_trunc('month', now(), 'UTC') AS begins,
                      (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC' AS ends)
SELECT b.scope, b.subject_id, coalesce(p.display_name, o.name, ''), b.monthly_usd,
       coalesce(counted.usd, 0) + coalesce(waiting.usd, 0),
       CAST(coalesce(counted.unknown, 0) + coalesce(waiting.unknown, 0) AS bigint), month.ends
FROM month CROSS JOIN budgets b
LEFT JOIN users p ON b.scope = 'person' AND p.id = b.subject_id
LEFT JOIN organisations o ON b.scope = 'organisation' AND o.id = b.subject_id
LEFT JOIN LATERAL (
    SELECT sum(cost_usd) AS usd, sum(cost_unknown) AS unknown FROM usage_rollups r
    WHERE r.level = 1 AND r.shape = 0 AND r.scope = CASE b.scope WHEN 'person' THEN 2 ELSE 1 END
      AND r.scope_id = b.subject_id AND r.at >= month.begins AND r.at < month.ends) AS counted ON true
LEFT JOIN LATERAL (
    SELECT sum(u.cost_usd) AS usd, count(*) FILTER (WHERE u.cost_usd IS NULL) AS unknown
    FROM usage_pending w JOIN usage u USING (generation_id)
    WHERE w.created_at >= greatest(month.begins, now() - interval '{_PENDING_HOURS} hours')
      AND CASE b.scope WHEN 'person' THEN u.user_id ELSE u.organisation_id END = b.subject_id) AS waiting ON true
"""
_OF_PERSON = """
WHERE (b.scope = 'person' AND b.subject_id = :user_id)
   OR (b.scope = 'organisation' AND b.subject_id = (SELECT organisation_id FROM users WHERE id = :user_id))
"""


def list_states(conn: Connection) -> list[BudgetRow]:
    return [BudgetRow(*row) for row in conn.execute(text(_STATES))]


def list_states_of(conn: Connection, *, user_id: int) -> list[BudgetRow]:
    """The budgets that hold for the person: their own and their organisation's."""
    return [BudgetRow(*row) for row in conn.execute(text(_STATES + _OF_PERSON), {"user_id": user_id})]


def has_subject(conn: Connection, *, scope: Scope, subject_id: int) -> bool:
    table = users if scope == "person" else organisations
    return bool(conn.execute(select(exists().where(table.c.id == subject_id))).scalar_one())


def save_budget(conn: Connection, *, scope: Scope, subject_id: int, monthly_usd: float, set_by: str) -> None:
    """Sets the budget or changes it."""
    values = {"monthly_usd": monthly_usd, "set_by": set_by, "updated_at": func.now()}
    made = upsert(budgets).values(scope=scope, subject_id=subject_id, **values)
    conn.execute(made.on_conflict_do_update(index_elements=["scope", "subject_id"], set_=values))


def delete_budget(conn: Connection, *, scope: Scope, subject_id: int) -> None:
    conn.execute(delete(budgets).where(budgets.c.scope == scope, budgets.c.subject_id == subject_id))

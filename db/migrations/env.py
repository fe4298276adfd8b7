"""Run by Alembic: `db.engine.migrate` passes its connection; without one, DATABASE_URL is used (new revisions)."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection

from db.engine import make_engine
from db.schema import metadata
from db.schema.base import is_ours


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        compare_server_default=True,
        include_name=is_ours,
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with make_engine(os.environ["DATABASE_URL"], pool_size=1).connect() as connection:
        run(connection)
        connection.commit()

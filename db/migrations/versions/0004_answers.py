"""Answers that are no message of a chat, and what a usage row keeps of the request.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SOURCES = "source IN ('chat', 'compare', 'experiment', 'rest', 'websocket', 'completions')"
_STATUSES = "status IN ('streaming', 'complete', 'stopped', 'failed', 'interrupted')"


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column("content", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Text(), server_default="streaming", nullable=False),
        sa.Column("metrics_json", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint(_STATUSES, name=op.f("ck_answers_status")),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generations.id"], name=op.f("fk_answers_generation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("generation_id", name=op.f("pk_answers")),
    )
    op.add_column("generations", sa.Column("delta_chars", sa.ARRAY(sa.Integer())))
    op.add_column("usage", sa.Column("sent", JSONB()))
    op.add_column("usage", sa.Column("fingerprint", sa.Text()))
    op.add_column("usage", sa.Column("experiment_id", sa.Uuid()))
    op.drop_constraint(op.f("ck_usage_source"), "usage")
    op.execute("UPDATE usage SET source = 'rest' WHERE source = 'api'")
    op.create_check_constraint(op.f("ck_usage_source"), "usage", _SOURCES)


def downgrade() -> None:
    raise NotImplementedError("Going back is done with `make restore` from a backup.")

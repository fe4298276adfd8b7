"""How far token estimates of each model are off, and what a chat does when its context is full.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "token_calibrations",
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("answers", sa.BigInteger(), nullable=False),
        sa.Column("error_share", sa.Double(), nullable=False),
        sa.Column("gram", sa.ARRAY(sa.Double()), nullable=False),
        sa.Column("moment", sa.ARRAY(sa.Double()), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("upstream", "model", name=op.f("pk_token_calibrations")),
    )
    op.add_column("chat_sessions", sa.Column("overflow_policy", sa.Text(), server_default="hold_back", nullable=False))
    op.create_check_constraint(
        op.f("ck_chat_sessions_overflow_policy"), "chat_sessions", "overflow_policy IN ('hold_back', 'drop_oldest')"
    )


def downgrade() -> None:
    raise NotImplementedError("Going back is done with `make restore` from a backup.")

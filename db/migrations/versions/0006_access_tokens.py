"""Personal access tokens and request limits shared by all processes.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_STAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "access_tokens",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("ending", sa.Text(), nullable=False),
        sa.Column("created_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", _STAMP),
        sa.Column("last_used_at", _STAMP),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_access_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_access_tokens_token_hash")),
    )
    op.create_index(op.f("ix_access_tokens_user_id"), "access_tokens", ["user_id"])
    op.create_table(
        "request_limits",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("due_at", _STAMP, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_request_limits")),
        prefixes=["UNLOGGED"],
    )


def downgrade() -> None:
    raise NotImplementedError("Going back is done with `make restore` from a backup.")

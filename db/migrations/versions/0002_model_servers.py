"""Model servers: those added by administrators, how each is, and what models refuse.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    stamp = sa.DateTime(timezone=True)
    op.create_table(
        "upstreams",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("api_key_env", sa.Text(), nullable=True),
        sa.Column("api_key_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("engine_type", sa.Text(), nullable=True),
        sa.Column("allowed_models", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("default_model", sa.Text(), nullable=True),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("settings", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("per_model", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=True),
        sa.Column("created_at", stamp, server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", stamp, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upstreams")),
    )
    op.create_index("uq_upstreams_name_lower", "upstreams", [sa.literal_column("lower(name)")], unique=True)
    op.create_table(
        "upstream_health",
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("checked_at", stamp, nullable=True),
        sa.Column("healthy", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("engine_type", sa.Text(), nullable=True),
        sa.Column("models", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=True),
        sa.Column("problem_code", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("cure", sa.Text(), nullable=True),
        sa.Column("failed_checks", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed_calls", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("opened_at", stamp, nullable=True),
        sa.Column("healthy_at", stamp, nullable=True),
        sa.PrimaryKeyConstraint("upstream", name=op.f("pk_upstream_health")),
    )
    op.create_table(
        "upstream_checks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("checked_at", stamp, server_default=sa.text("now()"), nullable=False),
        sa.Column("healthy", sa.Boolean(), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upstream_checks")),
    )
    op.create_index("ix_upstream_checks_upstream", "upstream_checks", ["upstream", "checked_at"], unique=False)
    op.create_index("ix_upstream_checks_checked_at", "upstream_checks", ["checked_at"], unique=False)
    op.create_table(
        "refused_params",
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("param", sa.Text(), nullable=False),
        sa.Column("learned_at", stamp, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("base_url", "model", "param", name=op.f("pk_refused_params")),
    )
    op.create_table(
        "catalog_state",
        sa.Column("id", sa.SmallInteger(), server_default=sa.text("1"), autoincrement=False, nullable=False),
        sa.Column("registry_revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("health_revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("poller", sa.Uuid(), nullable=True),
        sa.Column("poller_until", stamp, nullable=True),
        sa.Column("polled_at", stamp, nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_catalog_state_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_state")),
    )
    op.execute("INSERT INTO catalog_state (id) VALUES (1)")


def downgrade() -> None:
    raise NotImplementedError("Going back is done with `make restore` from a backup.")

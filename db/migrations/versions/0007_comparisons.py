"""Comparisons: panes, their runs, votes.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_STAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "comparisons",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("title_is_custom", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("prompt", sa.Text(), server_default="", nullable=False),
        sa.Column("variables", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("history", JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("is_blind", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("begun_at", _STAMP, nullable=True),
        sa.Column("created_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_comparisons_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparisons")),
    )
    op.create_index(
        "ix_comparisons_user_newest",
        "comparisons",
        ["user_id", sa.literal_column("updated_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "uq_comparisons_one_fresh",
        "comparisons",
        ["user_id"],
        unique=True,
        postgresql_where=sa.text("begun_at IS NULL"),
    )
    op.create_table(
        "comparison_panes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("comparison_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("params", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("removed_at", _STAMP, nullable=True),
        sa.ForeignKeyConstraint(
            ["comparison_id"], ["comparisons.id"], name=op.f("fk_comparison_panes_comparison_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparison_panes")),
    )
    op.create_index("ix_comparison_panes_comparison_id", "comparison_panes", ["comparison_id"], unique=False)
    op.create_table(
        "comparison_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("comparison_id", sa.Uuid(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("is_blind", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["comparison_id"], ["comparisons.id"], name=op.f("fk_comparison_runs_comparison_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparison_runs")),
    )
    op.create_index(
        "ix_comparison_runs_comparison_id", "comparison_runs", ["comparison_id", "created_at"], unique=False
    )
    op.create_table(
        "comparison_answers",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("pane_id", sa.Uuid(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=True),
        sa.Column("request_key", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("params", JSONB(), nullable=False),
        sa.Column("system_prompt_sent", sa.Text(), server_default="", nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("problem", JSONB(), nullable=True),
        sa.Column("created_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generations.id"], name=op.f("fk_comparison_answers_generation_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["pane_id"], ["comparison_panes.id"], name=op.f("fk_comparison_answers_pane_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["comparison_runs.id"], name=op.f("fk_comparison_answers_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparison_answers")),
        sa.UniqueConstraint("pane_id", "request_key", name="uq_comparison_answers_request_key"),
    )
    op.create_index("ix_comparison_answers_generation_id", "comparison_answers", ["generation_id"], unique=True)
    op.create_index("ix_comparison_answers_pane_id", "comparison_answers", ["pane_id", "id"], unique=False)
    op.create_index("ix_comparison_answers_run_id", "comparison_answers", ["run_id"], unique=False)
    op.create_table(
        "comparison_votes",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("choice", sa.Text(), nullable=False),
        sa.Column("answer_id", sa.BigInteger(), nullable=True),
        sa.Column("is_blind", sa.Boolean(), nullable=False),
        sa.Column("created_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(choice = 'best') = (answer_id IS NOT NULL)", name=op.f("ck_comparison_votes_best_names_an_answer")
        ),
        sa.CheckConstraint("choice IN ('best', 'tie', 'none')", name=op.f("ck_comparison_votes_choice")),
        sa.ForeignKeyConstraint(
            ["answer_id"], ["comparison_answers.id"], name=op.f("fk_comparison_votes_answer_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["comparison_runs.id"], name=op.f("fk_comparison_votes_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_comparison_votes_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "user_id", name=op.f("pk_comparison_votes")),
    )


def downgrade() -> None:
    raise NotImplementedError("Going back is done with `make restore` from a backup.")

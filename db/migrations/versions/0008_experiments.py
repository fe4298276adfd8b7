"""Experiments: templates, cases, arms, trials, scores, and the job queue of `procrastinate`.

Revision ID: 0008
Revises: 0007
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_STAMP = sa.DateTime(timezone=True)
# The library's own schema as version 3.10.0 brings it, kept here: a newer library must not change an old migration.
_QUEUE = Path(__file__).parent.parent / "procrastinate-3.10.0.sql"


def upgrade() -> None:
    # To the driver itself: SQLAlchemy would take the percent signs in it for parameters.
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    driver.execute(_QUEUE.read_text(encoding="utf-8"))
    op.create_table(
        "upstream_paces",
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("next_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("upstream", name=op.f("pk_upstream_paces")),
    )
    op.create_table(
        "experiments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="draft", nullable=False),
        sa.Column("plan", JSONB(), nullable=False),
        sa.Column("case_columns", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("revision", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("order_seed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("paused_because", sa.Text(), nullable=True),
        sa.Column("calls", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("retries", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost_usd", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("reserved_usd", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("unknown_costs", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_calls", sa.BigInteger(), nullable=True),
        sa.Column("max_cost_usd", sa.Double(), nullable=True),
        sa.Column("calls_at_once", sa.Integer(), nullable=True),
        sa.Column("calls_per_minute", sa.Double(), nullable=True),
        sa.Column("max_attempts", sa.SmallInteger(), server_default=sa.text("3"), nullable=False),
        sa.Column("created_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", _STAMP, nullable=True),
        sa.Column("ended_at", _STAMP, nullable=True),
        sa.CheckConstraint(
            "state IN ('draft', 'running', 'paused', 'done', 'cancelled')", name=op.f("ck_experiments_state")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_experiments_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
    )
    op.create_index(
        "ix_experiments_running", "experiments", ["id"], unique=False, postgresql_where=sa.text("state = 'running'")
    )
    op.create_index(
        "ix_experiments_user_newest", "experiments", ["user_id", sa.literal_column("updated_at DESC")], unique=False
    )
    op.create_table(
        "prompt_versions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("system_prompt", sa.Text(), nullable=False),
        sa.Column("created_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_prompt_versions_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_versions")),
        sa.UniqueConstraint("user_id", "name", "number", name="uq_prompt_versions_number"),
    )
    op.create_table(
        "experiment_arms",
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("prompt_version_id", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("params", JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_experiment_arms_experiment_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["prompt_version_id"], ["prompt_versions.id"], name=op.f("fk_experiment_arms_prompt_version_id")
        ),
        sa.PrimaryKeyConstraint("experiment_id", "number", name=op.f("pk_experiment_arms")),
        sa.UniqueConstraint("experiment_id", "hash", name="uq_experiment_arms_hash"),
    )
    op.create_table(
        "experiment_cases",
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("cells", sa.ARRAY(sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_experiment_cases_experiment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("experiment_id", "number", name=op.f("pk_experiment_cases")),
    )
    op.create_table(
        "experiment_judges",
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("plan", JSONB(), nullable=False),
        sa.Column("created_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_experiment_judges_experiment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("experiment_id", "number", name=op.f("pk_experiment_judges")),
    )
    op.create_table(
        "experiment_links",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_experiment_links_experiment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiment_links")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_experiment_links_token_hash")),
    )
    op.create_index(op.f("ix_experiment_links_experiment_id"), "experiment_links", ["experiment_id"], unique=False)
    op.create_table(
        "experiment_trials",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("judge", sa.SmallInteger(), nullable=True),
        sa.Column("arm", sa.Integer(), nullable=False),
        sa.Column("case_no", sa.Integer(), nullable=False),
        sa.Column("repeat", sa.Integer(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=True),
        sa.Column("against_id", sa.BigInteger(), nullable=True),
        sa.Column("swapped", sa.Boolean(), nullable=True),
        sa.Column("lot", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempt", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=True),
        sa.Column("started_at", _STAMP, nullable=True),
        sa.Column("ended_at", _STAMP, nullable=True),
        sa.Column("reserved_usd", sa.Double(), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("passed", sa.Boolean(), nullable=True),
        sa.Column("winner", sa.Text(), nullable=True),
        sa.Column("rule_scores", JSONB(), nullable=True),
        sa.Column("ttft_ms", sa.Double(), nullable=True),
        sa.Column("tokens_per_second", sa.Double(), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        sa.Column("cost_usd", sa.Double(), nullable=True),
        sa.Column("duration_ms", sa.Double(), nullable=True),
        sa.Column("answer_hash", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed', 'cancelled')", name=op.f("ck_experiment_trials_state")
        ),
        sa.CheckConstraint("winner IN ('left', 'right', 'tie', 'neither')", name=op.f("ck_experiment_trials_winner")),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_experiment_trials_experiment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiment_trials")),
    )
    op.create_index("ix_experiment_trials_generation_id", "experiment_trials", ["generation_id"], unique=False)
    op.create_index(
        "ix_experiment_trials_judged",
        "experiment_trials",
        ["subject_id"],
        unique=False,
        postgresql_where=sa.text("judge IS NOT NULL"),
    )
    op.create_index(
        "ix_experiment_trials_running",
        "experiment_trials",
        ["upstream"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_experiment_trials_waiting",
        "experiment_trials",
        ["experiment_id", "lot"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "uq_experiment_trials_place",
        "experiment_trials",
        ["experiment_id", "case_no", "arm", "repeat"],
        unique=True,
        postgresql_where=sa.text("judge IS NULL"),
    )
    op.create_table(
        "experiment_hand_scores",
        sa.Column("trial_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["experiment_trials.id"], name=op.f("fk_experiment_hand_scores_trial_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_experiment_hand_scores_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trial_id", "user_id", name=op.f("pk_experiment_hand_scores")),
    )
    op.create_table(
        "experiment_votes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("left_trial_id", sa.BigInteger(), nullable=False),
        sa.Column("right_trial_id", sa.BigInteger(), nullable=False),
        sa.Column("left_generation_id", sa.Uuid(), nullable=False),
        sa.Column("right_generation_id", sa.Uuid(), nullable=False),
        sa.Column("winner", sa.Text(), nullable=False),
        sa.Column("created_at", _STAMP, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("winner IN ('left', 'right', 'tie', 'neither')", name=op.f("ck_experiment_votes_winner")),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_experiment_votes_experiment_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["left_trial_id"],
            ["experiment_trials.id"],
            name=op.f("fk_experiment_votes_left_trial_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["right_trial_id"],
            ["experiment_trials.id"],
            name=op.f("fk_experiment_votes_right_trial_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_experiment_votes_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiment_votes")),
    )
    op.create_index(
        "uq_experiment_votes_pair",
        "experiment_votes",
        [
            "experiment_id",
            "user_id",
            sa.literal_column("least(left_trial_id, right_trial_id)"),
            sa.literal_column("greatest(left_trial_id, right_trial_id)"),
        ],
        unique=True,
    )


def downgrade() -> None:
    raise NotImplementedError("Going back is done with `make restore` from a backup.")

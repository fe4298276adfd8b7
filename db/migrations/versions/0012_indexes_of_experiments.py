"""Indexes by experiment, by model, and for foreign keys: what others have stored is no longer looked through.

Revision ID: 0012
Revises: 0011
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_experiment_trials_experiment_id", "experiment_trials", ["experiment_id"])
    op.create_index("ix_experiment_votes_left_trial_id", "experiment_votes", ["left_trial_id"])
    op.create_index("ix_experiment_votes_right_trial_id", "experiment_votes", ["right_trial_id"])
    op.create_index("ix_experiment_arms_prompt_version_id", "experiment_arms", ["prompt_version_id"])
    op.create_index("ix_comparison_votes_answer_id", "comparison_votes", ["answer_id"])
    op.execute("CREATE INDEX ix_usage_model ON usage (upstream, model, created_at) WHERE status = 'complete'")


def downgrade() -> None:
    raise NotImplementedError("Going back is done with `make restore` from a backup.")

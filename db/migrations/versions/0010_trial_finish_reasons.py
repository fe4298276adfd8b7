"""Why the answer of each trial ended, beside its other figures. Those that ended before have it with their answer.

Revision ID: 0010
Revises: 0009
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE experiment_trials ADD COLUMN finish_reason text")

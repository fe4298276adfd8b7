"""Why the answer of each trial ended, beside its other figures.

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
    op.execute(
        "UPDATE experiment_trials t SET finish_reason = u.finish_reason FROM usage u "
        "WHERE u.generation_id = t.generation_id AND t.state = 'done' AND u.finish_reason IS NOT NULL"
    )

"""How many of a call's tokens went into reasoning, beside its other figures; those stored with answers are taken over.

Revision ID: 0013
Revises: 0012
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_KEPT = "CAST({kept}.metrics_json ->> 'reasoning_tokens' AS int)"


def upgrade() -> None:
    op.execute("ALTER TABLE usage ADD COLUMN reasoning_tokens integer")
    op.execute(
        f"UPDATE usage u SET reasoning_tokens = {_KEPT.format(kept='a')} FROM answers a "
        "WHERE a.generation_id = u.generation_id AND a.metrics_json ? 'reasoning_tokens'"
    )
    op.execute(
        f"UPDATE usage u SET reasoning_tokens = {_KEPT.format(kept='m')} FROM generations g "
        "JOIN chat_messages m ON m.id = g.message_id "
        "WHERE g.id = u.generation_id AND m.metrics_json ? 'reasoning_tokens'"
    )


def downgrade() -> None:
    raise NotImplementedError("Going back is done with `make restore` from a backup.")

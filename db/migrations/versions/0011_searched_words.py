"""Messages are searched by words that punctuation parts.

The index is built anew, which takes about a minute for 100,000 messages; nothing is written to messages meanwhile.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_BREAKS = (
    r"!-/:-@\[-`{-~\u00a0-\u00bf\u00d7\u00f7\u2000-\u2bff\u3000-\u303f"
    r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\U0001f000-\U0001faff"
)
_WORDS = f"to_tsvector('simple'::regconfig, regexp_replace(left(content, 100000), '[{_BREAKS}]+', ' ', 'g'))"


def upgrade() -> None:
    op.drop_index("ix_chat_messages_search", table_name="chat_messages")
    op.create_index(
        "ix_chat_messages_search",
        "chat_messages",
        [sa.literal_column(_WORDS)],
        unique=False,
        postgresql_using="gin",
    )


def downgrade() -> None:
    raise NotImplementedError("Going back is done with `make restore` from a backup.")

"""Comparisons: panes, what was asked in them, what was answered, which answer was found best."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.schema.base import Now, Stamp, metadata, one_of

VOTES = ("best", "tie", "none")

comparisons = Table(
    "comparisons",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False, server_default=""),
    Column("title_is_custom", Boolean, nullable=False, server_default=text("false")),
    Column("prompt", Text, nullable=False, server_default=""),
    Column("variables", JSONB, nullable=False, server_default=text("'{}'")),  # name to value
    Column("history", JSONB, nullable=False, server_default=text("'[]'")),  # messages that all panes begin with
    Column("is_blind", Boolean, nullable=False, server_default=text("false")),
    Column("begun_at", Stamp),  # set with the first change: from then on it is listed
    Column("created_at", Stamp, nullable=False, server_default=Now),
    Column("updated_at", Stamp, nullable=False, server_default=Now),
)
Index("ix_comparisons_user_newest", comparisons.c.user_id, comparisons.c.updated_at.desc(), comparisons.c.id.desc())
# One untouched comparison per person, whatever the number of tabs that ask for one at the same moment.
Index("uq_comparisons_one_fresh", comparisons.c.user_id, unique=True, postgresql_where=text("begun_at IS NULL"))

comparison_panes = Table(
    "comparison_panes",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("comparison_id", ForeignKey("comparisons.id", ondelete="CASCADE"), nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("upstream", Text, nullable=False),
    Column("params", JSONB, nullable=False, server_default=text("'{}'")),  # with the system prompt
    Column("removed_at", Stamp),  # its answers and votes stay
)
Index("ix_comparison_panes_comparison_id", comparison_panes.c.comparison_id)

comparison_runs = Table(
    "comparison_runs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("comparison_id", ForeignKey("comparisons.id", ondelete="CASCADE"), nullable=False),
    Column("prompt", Text, nullable=False),  # as it was sent, the variables filled
    Column("is_blind", Boolean, nullable=False, server_default=text("false")),  # names are hidden until the vote
    Column("created_at", Stamp, nullable=False, server_default=Now),
)
Index("ix_comparison_runs_comparison_id", comparison_runs.c.comparison_id, comparison_runs.c.created_at)

# What one pane was asked with in one run; asked again, another row. The text is in `answers`.
comparison_answers = Table(
    "comparison_answers",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("run_id", ForeignKey("comparison_runs.id", ondelete="CASCADE"), nullable=False),
    Column("pane_id", ForeignKey("comparison_panes.id", ondelete="CASCADE"), nullable=False),
    Column("generation_id", ForeignKey("generations.id", ondelete="SET NULL")),
    Column("request_key", Uuid, nullable=False),  # idempotency: the same click, sent twice, asks once
    Column("attempt", SmallInteger, nullable=False, server_default=text("1")),
    Column("model_name", Text, nullable=False),
    Column("upstream", Text, nullable=False),
    Column("params", JSONB, nullable=False),
    Column("system_prompt_sent", Text, nullable=False, server_default=""),  # the variables filled
    Column("fingerprint", Text),  # of the request as it was to be sent
    Column("problem", JSONB),  # why the model was not asked
    Column("created_at", Stamp, nullable=False, server_default=Now),
    UniqueConstraint("pane_id", "request_key", name="uq_comparison_answers_request_key"),
)
Index("ix_comparison_answers_run_id", comparison_answers.c.run_id)
Index("ix_comparison_answers_generation_id", comparison_answers.c.generation_id, unique=True)
Index("ix_comparison_answers_pane_id", comparison_answers.c.pane_id, comparison_answers.c.id)

comparison_votes = Table(
    "comparison_votes",
    metadata,
    Column("run_id", ForeignKey("comparison_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("choice", Text, nullable=False),
    Column("answer_id", ForeignKey("comparison_answers.id", ondelete="CASCADE"), index=True),  # the best one
    Column("is_blind", Boolean, nullable=False),
    Column("created_at", Stamp, nullable=False, server_default=Now),
    CheckConstraint(one_of("choice", VOTES), name="choice"),
    CheckConstraint("(choice = 'best') = (answer_id IS NOT NULL)", name="best_names_an_answer"),
)

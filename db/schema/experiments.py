"""Experiments: prompt versions, plans, arms, cases, trials, scores, and what paces the calls of all workers.

The tables named `procrastinate_*` are not here: their library owns them (`db.jobs`).
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.schema.base import Now, Stamp, metadata, one_of

EXPERIMENT_STATES = ("draft", "running", "paused", "done", "cancelled")
TRIAL_STATES = ("waiting", "running", "done", "failed", "cancelled")
WINNERS = ("left", "right", "tie", "neither")

prompt_versions = Table(
    "prompt_versions",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("system_prompt", Text, nullable=False),
    Column("created_at", Stamp, nullable=False, server_default=Now),
    UniqueConstraint("user_id", "name", "number", name="uq_prompt_versions_number"),
)

experiments = Table(
    "experiments",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="draft"),
    Column("plan", JSONB, nullable=False),
    Column("case_columns", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("revision", Integer, nullable=False, server_default=text("0")),  # moves when workers must read anew
    Column("order_seed", BigInteger, nullable=False, server_default=text("0")),
    Column("paused_because", Text),
    # What the caps are held against, counted under this row's lock, so that they hold for all workers together.
    Column("calls", BigInteger, nullable=False, server_default=text("0")),
    Column("retries", BigInteger, nullable=False, server_default=text("0")),
    Column("cost_usd", Double, nullable=False, server_default=text("0")),
    Column("reserved_usd", Double, nullable=False, server_default=text("0")),  # the most that running calls can cost
    Column("unknown_costs", BigInteger, nullable=False, server_default=text("0")),
    Column("max_calls", BigInteger),
    Column("max_cost_usd", Double),
    Column("calls_at_once", Integer),
    Column("calls_per_minute", Double),
    Column("max_attempts", SmallInteger, nullable=False, server_default=text("3")),
    Column("created_at", Stamp, nullable=False, server_default=Now),
    Column("updated_at", Stamp, nullable=False, server_default=Now),
    Column("started_at", Stamp),
    Column("ended_at", Stamp),
    CheckConstraint(one_of("state", EXPERIMENT_STATES), name="state"),
)
Index("ix_experiments_user_newest", experiments.c.user_id, experiments.c.updated_at.desc())
Index("ix_experiments_running", experiments.c.id, postgresql_where=text("state = 'running'"))

experiment_cases = Table(
    "experiment_cases",
    metadata,
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("cells", ARRAY(Text), nullable=False),  # in the order of the experiment's case_columns
)

experiment_arms = Table(
    "experiment_arms",
    metadata,
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("prompt_version_id", ForeignKey("prompt_versions.id"), nullable=False, index=True),
    Column("model", Text, nullable=False),
    Column("upstream", Text, nullable=False),
    Column("params", JSONB, nullable=False),
    UniqueConstraint("experiment_id", "hash", name="uq_experiment_arms_hash"),
)

# Every model call an experiment needs: trials, and judgements of trials (`judge` is set). The row is what is claimed.
experiment_trials = Table(
    "experiment_trials",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), nullable=False),
    Column("judge", SmallInteger),
    Column("arm", Integer, nullable=False),
    Column("case_no", Integer, nullable=False),
    Column("repeat", Integer, nullable=False),
    Column("subject_id", BigInteger),  # of a judgement: the trial, and the one it is compared with
    Column("against_id", BigInteger),
    Column("swapped", Boolean),
    Column("lot", Integer, nullable=False),  # the trials of one job
    Column("position", Integer, nullable=False),  # in the randomised order
    Column("upstream", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempt", SmallInteger, nullable=False, server_default=text("0")),
    Column("generation_id", Uuid),  # of the newest attempt; set with its opening, in one transaction
    Column("started_at", Stamp),
    Column("ended_at", Stamp),
    Column("reserved_usd", Double),
    # Figures of the attempt that ended the trial, copied here so that 100,000 are read from one table.
    Column("score", Double),
    Column("passed", Boolean),
    Column("winner", Text),
    Column("rule_scores", JSONB(none_as_null=True)),
    Column("ttft_ms", Double),
    Column("tokens_per_second", Double),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("cost_usd", Double),
    Column("duration_ms", Double),
    Column("answer_hash", BigInteger),
    Column("finish_reason", Text),
    Column("error", Text),
    CheckConstraint(one_of("state", TRIAL_STATES), name="state"),
    CheckConstraint(one_of("winner", WINNERS), name="winner"),
)
Index(
    "uq_experiment_trials_place",
    experiment_trials.c.experiment_id,
    experiment_trials.c.case_no,
    experiment_trials.c.arm,
    experiment_trials.c.repeat,
    unique=True,
    postgresql_where=text("judge IS NULL"),
)
Index("ix_experiment_trials_experiment_id", experiment_trials.c.experiment_id)
Index(
    "ix_experiment_trials_waiting",
    experiment_trials.c.experiment_id,
    experiment_trials.c.lot,
    postgresql_where=text("state = 'waiting'"),
)
Index("ix_experiment_trials_running", experiment_trials.c.upstream, postgresql_where=text("state = 'running'"))
Index(
    "ix_experiment_trials_judged",
    experiment_trials.c.subject_id,
    postgresql_where=text("judge IS NOT NULL"),
)
Index("ix_experiment_trials_generation_id", experiment_trials.c.generation_id)

# A score counts for the answer it was given to: a trial that is run again is not scored by it.
experiment_hand_scores = Table(
    "experiment_hand_scores",
    metadata,
    Column("trial_id", ForeignKey("experiment_trials.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("generation_id", Uuid, nullable=False),
    Column("score", Double, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("created_at", Stamp, nullable=False, server_default=Now),
)

experiment_votes = Table(
    "experiment_votes",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("left_trial_id", ForeignKey("experiment_trials.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("right_trial_id", ForeignKey("experiment_trials.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("left_generation_id", Uuid, nullable=False),
    Column("right_generation_id", Uuid, nullable=False),
    Column("winner", Text, nullable=False),
    Column("created_at", Stamp, nullable=False, server_default=Now),
    CheckConstraint(one_of("winner", WINNERS), name="winner"),
)
Index(
    "uq_experiment_votes_pair",
    experiment_votes.c.experiment_id,
    experiment_votes.c.user_id,
    func.least(experiment_votes.c.left_trial_id, experiment_votes.c.right_trial_id),
    func.greatest(experiment_votes.c.left_trial_id, experiment_votes.c.right_trial_id),
    unique=True,
)

experiment_judges = Table(
    "experiment_judges",
    metadata,
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("number", SmallInteger, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("plan", JSONB, nullable=False),
    Column("created_at", Stamp, nullable=False, server_default=Now),
)

experiment_links = Table(
    "experiment_links",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", Stamp, nullable=False, server_default=Now),
)

# One row per upstream: its lock makes the workers take turns, `next_at` spaces the calls where a rate is set.
upstream_paces = Table(
    "upstream_paces",
    metadata,
    Column("upstream", Text, primary_key=True),
    Column("next_at", Stamp, nullable=False, server_default=Now),
)

"""Every table, once, a file per room. Alembic's version files bring a database to this; a test compares the two."""

from db.schema.access import access_tokens, request_limits
from db.schema.base import metadata
from db.schema.chats import chat_messages, chat_sessions
from db.schema.compare import comparison_answers, comparison_panes, comparison_runs, comparison_votes, comparisons
from db.schema.experiments import (
    experiment_arms,
    experiment_cases,
    experiment_hand_scores,
    experiment_judges,
    experiment_links,
    experiment_trials,
    experiment_votes,
    experiments,
    prompt_versions,
    upstream_paces,
)
from db.schema.generations import answers, generation_events, generations, usage
from db.schema.models import (
    catalog_state,
    refused_params,
    token_calibrations,
    upstream_checks,
    upstream_health,
    upstreams,
)
from db.schema.people import auth_attempts, auth_sessions, auth_tickets, organisations, users
from db.schema.rollups import budgets, prices, usage_chats, usage_pending, usage_rollups, usage_settings

__all__ = [
    "access_tokens",
    "answers",
    "auth_attempts",
    "auth_sessions",
    "auth_tickets",
    "budgets",
    "catalog_state",
    "chat_messages",
    "chat_sessions",
    "comparison_answers",
    "comparison_panes",
    "comparison_runs",
    "comparison_votes",
    "comparisons",
    "experiment_arms",
    "experiment_cases",
    "experiment_hand_scores",
    "experiment_judges",
    "experiment_links",
    "experiment_trials",
    "experiment_votes",
    "experiments",
    "generation_events",
    "generations",
    "metadata",
    "organisations",
    "prices",
    "prompt_versions",
    "refused_params",
    "request_limits",
    "token_calibrations",
    "upstream_checks",
    "upstream_health",
    "upstream_paces",
    "upstreams",
    "usage",
    "usage_chats",
    "usage_pending",
    "usage_rollups",
    "usage_settings",
    "users",
]

"""Every table, once, a file per room. Alembic's version files bring a database to this; a test compares the two."""

from db.schema.base import metadata
from db.schema.chats import chat_messages, chat_sessions
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

__all__ = [
    "answers",
    "auth_attempts",
    "auth_sessions",
    "auth_tickets",
    "catalog_state",
    "chat_messages",
    "chat_sessions",
    "generation_events",
    "generations",
    "metadata",
    "organisations",
    "refused_params",
    "token_calibrations",
    "upstream_checks",
    "upstream_health",
    "upstreams",
    "usage",
    "users",
]

"""The database tier runs every test on the embedded server and on one from outside."""

from tests.databases import (  # noqa: F401  (fixtures)
    database_url,
    embedded_url,
    empty_database_url,
    engine,
    outside_url,
    server_url,
)

"""The database tier runs on the embedded server and on one from outside: each test on one of the two in turn, so that
what stands together in a module is tried on both, and on both where servers differ. EVERY_SERVER=1 runs all on both.
"""

import os
from collections import Counter

import pytest

from tests.databases import (  # noqa: F401  (fixtures)
    database_url,
    embedded_url,
    empty_database_url,
    engine,
    outside_url,
    server_url,
)
from tests.db.chat_rig import rig
from tests.db.compare_rig import bench

SERVERS = ("embedded", "outside")
SERVERS_DIFFER = {"test_backup", "test_chat_search", "test_engine", "test_lock_order"}


def pytest_collection_modifyitems(config, items):
    """What is asked for on one server only stays as it is."""
    if os.environ.get("EVERY_SERVER"):
        return
    by_test = {}
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        if params.get("server_url") in SERVERS and item.path.stem not in SERVERS_DIFFER:
            name = item.nodeid.replace(f"[{params['server_url']}", "[", 1)
            by_test.setdefault(name, {})[params["server_url"]] = item
    turns, left_out = Counter(), set()
    for on_server in (one for one in by_test.values() if len(one) == len(SERVERS)):
        module = on_server["embedded"].path
        left_out.add(on_server[SERVERS[1 - turns[module] % 2]])
        turns[module] += 1
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=list(left_out))


@pytest.fixture
def desk(database_url):  # noqa: F811
    with bench(database_url) as found:
        yield found


@pytest.fixture
def house(database_url):  # noqa: F811
    """Chats on a scripted provider; some modules have a house of their own."""
    with rig(database_url) as house:
        yield house

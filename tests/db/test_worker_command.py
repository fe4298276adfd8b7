"""`python -m chatplay worker`: takes part in experiments from a process of its own, and ends when it is told to."""

import os
import signal
import subprocess
import sys

import pytest

from tests.db.chat_rig import eventually
from tests.db.experiment_rig import house as make_house
from tests.db.processes import ROOT
from tests.upstream import Upstream


@pytest.fixture
def house(database_url):
    with make_house(database_url) as found:
        yield found


def environment(house, upstream, folder):
    return os.environ | {
        "DATABASE_URL": house.url,
        "CHATPLAY_DATA_DIR": str(folder),
        "USE_OPENAI": "true",
        "OPENAI_BASE_URL": upstream.base_url,
        "OPENAI_ALLOWED_MODELS": "tiny",
        "OPENAI_CHAT_MODEL": "tiny",
        "PYTHONPATH": str(ROOT),
    }


def test_worker_command_runs_trials_and_ends_on_sigterm(house, tmp_path):
    experiment_id = house.start()
    with house.process.store.transaction() as conn:
        conn.exec_driver_sql("UPDATE experiment_arms SET upstream = 'openai'")
        conn.exec_driver_sql("UPDATE experiment_trials SET upstream = 'openai'")
    with Upstream() as upstream, (tmp_path / "imports").open("w") as imports:
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", "chatplay", "worker"],
            env=environment(house, upstream, tmp_path / "data"),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=imports,
            text=True,
        )
        try:
            eventually(lambda: house.progress(experiment_id).state == "done", tries=12_000)
            assert house.progress(experiment_id).done == 12
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=40)[0]
        finally:
            process.kill()
    assert process.returncode == 0
    assert "Working on experiments" in said
    assert "Stopped" in said
    loaded = {line.rpartition("|")[2].strip() for line in (tmp_path / "imports").read_text().splitlines()}
    assert "chatplay.experiments.worker" in loaded
    assert not {"streamlit", "pandas", "altair"} & loaded  # a hundred megabytes and two seconds for nothing

"""Other app processes on a data folder, and a query from outside the code under test."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import psycopg

from db.engine import libpq_url

ROOT = Path(__file__).resolve().parents[2]


def query(url, sql):
    with psycopg.connect(libpq_url(url), autocommit=True) as conn:
        done = conn.execute(sql)
        return done.fetchall() if done.description else None


@contextmanager
def another_process(folder, *more, cwd=ROOT):
    """An app process on `folder`; gives (process, its URL) once it has joined."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "db" / "other_process.py"), str(folder), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=cwd,
    )
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate(timeout=30)


def leave(process):
    answer, errors = process.communicate(timeout=60)
    return answer.strip() or errors

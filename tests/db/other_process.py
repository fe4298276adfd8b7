"""Another app process on a data folder: prints the server's URL, leaves when its standard input ends.

`python other_process.py FOLDER [UID]`; with UID it becomes that user after its imports.
"""

import os
import sys
from pathlib import Path

import psycopg

from db.embedded import EmbeddedPostgres
from db.errors import EmbeddedError


def main(folder: str, uid: str | None = None) -> None:
    if uid is not None:
        os.setgroups([])
        os.setgid(int(uid))
        os.setuid(int(uid))
    server = EmbeddedPostgres(Path(folder))
    try:
        url = server.start()
    except EmbeddedError as error:
        sys.exit(f"refused: {error}")
    with psycopg.connect(url.replace("+psycopg", "")) as conn:
        conn.execute("SELECT 1")
    print(url, flush=True)
    sys.stdin.read()
    print("stopped" if server.stop() else "left", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

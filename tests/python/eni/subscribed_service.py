"""A service that gets the events of subscriptions, and a receiver that fails on demand."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from simulated_cloud import wait_for

RULE = """
when = 'name == "NetworkInterface:NetworkInterfaceOperateCompleted"'
then = '''
send("events", #{ id: event.id, operation: event.content.operation, eni: event.content.eniId });
'''
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """`reflexarc serve` with one rule, whose target is a file."""

    def __init__(self, program: Path, folder: Path):
        self.folder = folder
        self.port = free_port()
        (folder / "rules").mkdir(parents=True)
        (folder / "rules/operations.toml").write_text(RULE, encoding="utf-8")
        (folder / "reflexarc.toml").write_text(
            f'[http]\nlisten = "127.0.0.1:{self.port}"\n'
            '[targets.events]\ntype = "file"\npath = "sent.ndjson"\n',
            encoding="utf-8",
        )
        self.log = (folder / "serve.log").open("wb")
        self.process = subprocess.Popen(
            [str(program), "serve"],
            cwd=folder,
            stderr=self.log,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "NO_COLOR": "1"},
        )
        wait_for(self.is_ready)

    @property
    def events(self) -> str:
        """The address for events."""
        return f"http://127.0.0.1:{self.port}/events"

    def is_ready(self) -> bool:
        assert self.process.poll() is None, (self.folder / "serve.log").read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=60):
                return True
        except OSError:
            return False

    def sent(self) -> list[dict]:
        """What the rule has sent to its target."""
        file = self.folder / "sent.ndjson"
        if not file.exists():
            return []
        lines = file.read_text(encoding="utf-8").splitlines()
        documents = [json.loads(line) for line in lines]
        return [document["send"] for document in documents]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)
        self.log.close()


class Receiver:
    """Keeps requests, and answers the first ones with an error."""

    def __init__(self, failures: int = 0):
        self.requests: list[tuple[str, str, dict]] = []
        remaining = [failures]
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                requests.append((self.command, body.decode(), dict(self.headers)))
                remaining[0] -= 1
                self.send_response(500 if remaining[0] >= 0 else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

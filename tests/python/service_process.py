"""A running `reflexarc serve` with its own folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "crates/service/tests/fixtures"

RULE = """
when = 'content.result == "failed"'
level = "critical"
then = '''
notify("mail", #{ title: `${event.content.operation} failed`, text: `for ${event.content.eniId}
region ${event.regionId}` });
'''
"""


def program() -> Path:
    """The program: $REFLEXARC, or the newer build in target/debug and target/release."""
    if named := os.environ.get("REFLEXARC"):
        return Path(named)
    built = [
        path
        for kind in ("debug", "release")
        if (path := ROOT / "target" / kind / "reflexarc").exists()
    ]
    if not built:
        subprocess.run(
            ["cargo", "build", "--quiet", "--all-features", "--package", "reflexarc-cli"],
            cwd=ROOT,
            check=True,
        )
        built = [ROOT / "target/debug/reflexarc"]
    return max(built, key=lambda path: path.stat().st_mtime)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def event(number: object, eni: str = "eni-1", **content: str) -> dict:
    """A notification of a failed attach."""
    return {
        "id": str(number),
        "product": "ECS",
        "resourceId": f"acs:ecs:cn-hangzhou:1:eni/{eni}",
        "level": "WARN",
        "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
        "userId": "1",
        "eventTime": "20190409T121826.922+0800",
        "regionId": "cn-hangzhou",
        "content": {
            "eniId": eni,
            "operation": "AttachNetworkInterface",
            "result": "failed",
            **content,
        },
    }


def eventually(poll, seconds: float = 60):
    """Poll until the result is true and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := poll():
            return result
        time.sleep(0.05)
    raise AssertionError("timed out")


class Service:
    """A service process with its own folder."""

    def __init__(self, folder: Path, targets: str, rule: str | None = RULE, **environment: str):
        self.folder = folder
        self.port = free_port()
        if rule is not None:
            (folder / "rules").mkdir()
            (folder / "rules/failed.toml").write_text(rule)
        (folder / "reflexarc.toml").write_text(
            f'[http]\nlisten = "127.0.0.1:{self.port}"\n{targets}'
        )
        self.log = (folder / "serve.log").open("wb")
        self.environment = os.environ | environment
        self.start()

    def start(self) -> None:
        """Start the program, also again after `stop`."""
        self.spawn()
        eventually(self.ready)

    def spawn(self) -> None:
        """Start the program, and do not wait until it is ready."""
        self.process = subprocess.Popen(
            [program(), "serve"],
            cwd=self.folder,
            stderr=self.log,
            stdout=subprocess.DEVNULL,
            env=self.environment,
        )

    def ready(self) -> bool:
        assert self.process.poll() is None, (self.folder / "serve.log").read_text()
        try:
            return self.call("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        token: str | None = None,
        seconds: float = 60,
    ) -> tuple[int, str]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method, data=body
        )
        request.add_header("content-type", "application/json")
        if token is not None:
            request.add_header("authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def post(self, *events: dict) -> None:
        status, answer = self.call("POST", "/events", json.dumps(events).encode())
        assert status == 200, answer

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program(), *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=60,
        )

    def deliveries(self, number: object) -> list[dict]:
        """The deliveries of an event with their attempts."""
        traced = self.run("trace", str(number), "--format", "json")
        return json.loads(traced.stdout)[0]["deliveries"] if traced.returncode == 0 else []

    def settled(self, number: object, status: str) -> list[dict]:
        """Wait until every delivery of an event has this status."""

        def all_so():
            found = self.deliveries(number)
            return (
                found if found and all(delivery["status"] == status for delivery in found) else None
            )

        return eventually(all_so)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()

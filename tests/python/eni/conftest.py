"""Fixtures: simulated clouds on free ports."""

import os
import subprocess
from pathlib import Path

import pytest
from simulated_cloud import Cloud
from subscribed_service import Service

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def reflexarc() -> Path:
    """The debug build of the command line, built now if there is none."""
    binary = ROOT / "target" / "debug" / "reflexarc"
    if not binary.exists():
        subprocess.run(
            ["cargo", "build", "--quiet", "--package", "reflexarc-cli"], cwd=ROOT, check=True
        )
    return binary


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Disable proxies: all connections are local."""
    for name in (
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def start_cloud(reflexarc, tmp_path):
    """Start simulated clouds, which stop with the test."""
    running = []

    def start(*args: str, listen: str = "127.0.0.1:0", keep_output: bool = False) -> Cloud:
        command = [
            str(reflexarc),
            "simulate",
            "--listen",
            listen,
            "--out",
            str(tmp_path / "out"),
            *args,
        ]
        environment = {**os.environ, "NO_COLOR": "1"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        running.append(process)
        return Cloud(process, tmp_path / "out", keep_output)

    yield start
    for process in running:
        process.terminate()
        process.wait(timeout=60)
        process.stdout.close()


@pytest.fixture
def cloud(start_cloud) -> Cloud:
    """A cloud with the built-in world: `tenant`, `neighbour` without the preview, `service`."""
    return start_cloud()


@pytest.fixture
def service(reflexarc, tmp_path):
    """A service that gets the events of subscriptions."""
    service = Service(reflexarc, tmp_path / "service")
    yield service
    service.close()

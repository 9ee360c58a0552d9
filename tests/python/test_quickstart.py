"""docs/quickstart.md: every command of the page, in a fresh folder and with an empty home."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_process import eventually, free_port, program

# Compiling takes minutes, and other tests use what these commands install.
INSTALL = ["cargo install --path crates/cli", "pip install ."]
SUBJECT = "Subject: [CRITICAL] eni-bp1d8f3h6j9l2n4p could not be attached"


class Terminals:
    """Runs command lines, some of them in the background."""

    def __init__(self, folder: Path):
        self.folder = folder
        home, programs = folder / "home", folder / "bin"
        home.mkdir()
        programs.mkdir()
        (programs / "reflexarc").symlink_to(program().resolve())
        path = [programs, Path(sys.executable).parent, *os.environ["PATH"].split(os.pathsep)]
        self.environment = {
            "HOME": str(home),
            "PATH": os.pathsep.join(map(str, path)),
            # What is printed is read from a file.
            "PYTHONUNBUFFERED": "1",
        }
        self.running: list[tuple[subprocess.Popen[bytes], Path]] = []

    def run(self, line: str) -> str:
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, line: str) -> Path:
        """Start a command that does not end, and return the file with what it prints."""
        log = self.folder.parent / f"terminal-{len(self.running)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["sh", "-c", f"exec {line}"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.running.append((process, log))
        return log

    def close(self) -> None:
        for process, _ in self.running:
            process.send_signal(signal.SIGINT)
        for process, log in self.running:
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(f"did not stop:\n{log.read_text()}") from None


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    folder = tmp_path / "fresh"
    folder.mkdir()
    opened = Terminals(folder)
    yield opened
    opened.close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_every_command_of_the_quickstart_works(root: Path, terminals: Terminals) -> None:
    page = (root / "docs" / "quickstart.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    assert lines[:2] == INSTALL
    # Other ports than those of the page, which may be in use.
    ports = {"1025": str(free_port()), "8321": str(free_port())}
    printed: dict[str, str] = {}
    mails = Path()
    for number, line in enumerate(lines[2:]):
        if line == "reflexarc test" and "reflexarc trace" in lines[number + 1]:
            edit_rule(terminals.folder)
        if line.startswith("cd "):
            terminals.folder /= line.removeprefix("cd ")
            config = terminals.folder / "reflexarc.toml"
            text = config.read_text()
            for port, other in ports.items():
                assert port in text
                text = re.sub(rf"\b{port}\b", other, text)
            config.write_text(text)
        elif line.startswith("python -m aiosmtpd"):
            mails = terminals.start(line.replace("1025", ports["1025"]))
            eventually(lambda: listens(int(ports["1025"])))
        elif line == "reflexarc serve":
            terminals.start(line)
            eventually(lambda: listens(int(ports["8321"])))
        else:
            printed[line] = terminals.run(line)
        if line.startswith("reflexarc send"):
            eventually(lambda: SUBJECT in mails.read_text())
    sent = mails.read_text()
    assert "From: reflexarc <reflexarc@example.com>" in sent
    assert "request 59701483-A8F2-3375-B0B9-D90000000003 in cn-hangzhou" in sent
    assert "created alerts/reflexarc.toml" in printed["reflexarc init alerts"]
    assert "could not be attached" in printed["reflexarc run rules events.ndjson"]
    until_end = printed["reflexarc run rules events.ndjson --until end"]
    assert "has been detaching for 30 minutes" in until_end
    assert "5 passed, 0 failed" in printed["reflexarc test"]
    traced = next(text for line, text in printed.items() if line.startswith("reflexarc trace"))
    assert "failed-attach" in traced
    assert "delivered" in traced
    # `$HOME` is where nothing was.
    assert list((terminals.folder.parent / "home").glob("reflexarc*")) == []


def edit_rule(folder: Path) -> None:
    """What step 7 of the page says."""
    rule = folder / "rules" / "failed-attach.toml"
    line = 'and content.operation == "AttachNetworkInterface"\n'
    text = rule.read_text()
    assert line in text
    rule.write_text(text.replace(line, "", 1))

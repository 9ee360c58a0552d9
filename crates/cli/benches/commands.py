#!/usr/bin/env python3
"""Measures every command of a first day: how long it takes, and what it was about.

    cargo build --release -p reflexarc-cli
    python -m venv venv && venv/bin/pip install aiosmtpd
    venv/bin/python crates/cli/benches/commands.py target/release/reflexarc

Medians of `--turns` runs of each command, from its start to its end, in a folder that
`reflexarc init` made, or in the repository with its fifteen rules. The service runs in that folder
and sends to a mail server of this process. The ports 8321 and 1025 must be free, as in the
quickstart.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

ROOT = Path(__file__).resolve().parents[3]
FAILED = 'content.result == "failed"'
EVENTS = "examples/eni-events.ndjson"

# In the folder of `init`.
IN_FOLDER = (
    "test",
    "run rules events.ndjson",
    "run rules events.ndjson --until end",
    "config check",
    "schema rule",
    "schema config",
    "completions bash",
    "man man",
    "help rule",
)
# In the repository.
IN_REPOSITORY: tuple[tuple[str, ...], ...] = (
    ("check", "rules"),
    ("check", "rules", "--deny-warnings"),
    ("fmt", "rules", "--check"),
    ("test", "rules"),
    ("test", "rules", "--coverage"),
    ("run", "rules", EVENTS),
    ("match", FAILED, EVENTS),
    ("explain", "rules/leaked-eni.toml", EVENTS),
    ("convert", FAILED),
    ("simulate", "examples/scenarios/leak.toml", "rules/leaked-eni.toml"),
)
# While the service runs in the folder of `init`, which has got the events.
AT_SERVICE = (
    "status",
    "target list",
    "trace 2256A983-0B26-4E2B-820A-8B0000000003",
    "replay --from 24h",
    "pending list",
    "dlq list",
    "reload",
    "backup copy",
)


class Mails:
    """A mail server, and when it got a mail."""

    def __init__(self) -> None:
        self.got = threading.Event()

    async def handle_DATA(self, *_: Any) -> str:
        self.got.set()
        return "250 OK"


class Commands:
    """The program, and how often each command runs."""

    def __init__(self, program: str, turns: int):
        self.program, self.turns = str(Path(program).resolve()), turns
        self.environment = {**os.environ, "NO_COLOR": "1"}

    def run(self, arguments: tuple[str, ...] | list[str], folder: Path) -> float:
        """Run a command; the milliseconds that it takes."""
        begun = time.perf_counter()
        done = subprocess.run(
            [self.program, *arguments],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            check=False,
        )
        taken = (time.perf_counter() - begun) * 1000
        # 1 is a negative result, such as that an event does not match.
        if done.returncode not in (0, 1):
            sys.exit(f"{' '.join(arguments)}: {done.returncode}\n{done.stderr.decode()}")
        return taken

    def measure(self, arguments: tuple[str, ...] | list[str], folder: Path) -> None:
        """Run a command several times, and print the median."""
        show(shlex.join(arguments), [self.run(arguments, folder) for _ in range(self.turns)])


def show(name: str, milliseconds: list[float]) -> None:
    """Print a row of the table."""
    print(f"| `{name}` | {statistics.median(milliseconds):,.0f} |", flush=True)


def until(poll: Callable[[], object]) -> float:
    """Poll until the result is true; the milliseconds that it took."""
    begun = time.perf_counter()
    while not poll():
        if time.perf_counter() - begun > 60:
            sys.exit("timed out")
        time.sleep(0.002)
    return (time.perf_counter() - begun) * 1000


def is_ready() -> bool:
    """Whether the service accepts events."""
    try:
        with urllib.request.urlopen("http://127.0.0.1:8321/readyz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def measure_service(commands: Commands, folders: list[Path]) -> None:
    """The service in new folders: its start, the first events and their mail."""
    starts, sends, mails_after = [], [], []
    for number, folder in enumerate(folders):
        mails = Mails()
        server = Controller(mails, hostname="127.0.0.1", port=1025)
        server.start()
        service = subprocess.Popen(
            [commands.program, "serve"],
            cwd=folder,
            env=commands.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            starts.append(until(is_ready))
            begun = time.perf_counter()
            sends.append(commands.run(["send", "events.ndjson"], folder))
            if not mails.got.wait(60):
                sys.exit("no mail")
            mails_after.append((time.perf_counter() - begun) * 1000)
            if number == len(folders) - 1:
                show("serve, until it is ready", starts)
                show("send events.ndjson", sends)
                show("send events.ndjson, until the mail", mails_after)
                for line in AT_SERVICE:
                    (folder / "copy").unlink(missing_ok=True)
                    turns = commands.turns if line != "backup copy" else 1
                    show(line, [commands.run(line.split(), folder) for _ in range(turns)])
        finally:
            service.terminate()
            service.wait(60)
            server.stop()


def main() -> None:
    """Read the arguments and measure."""
    usage = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usage.add_argument("program", metavar="PROGRAM")
    usage.add_argument("--turns", type=int, default=5, help="runs of each command")
    given = usage.parse_args()
    commands = Commands(given.program, given.turns)
    print("| command | ms |\n|---|---|")
    with tempfile.TemporaryDirectory(prefix="reflexarc-commands-") as made:
        folders = [Path(made, f"alerts-{number}") for number in range(given.turns)]
        show("init alerts", [commands.run(["init", str(folder)], Path(made)) for folder in folders])
        for line in IN_FOLDER:
            commands.measure(line.split(), folders[0])
        for arguments in IN_REPOSITORY:
            commands.measure(arguments, ROOT)
        measure_service(commands, folders)


if __name__ == "__main__":
    main()

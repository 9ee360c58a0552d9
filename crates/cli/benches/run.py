#!/usr/bin/env python3
"""Compares programs at `reflexarc run`: processor time, time, memory and output.

    crates/cli/benches/run.py target/release/reflexarc                    # one program
    crates/cli/benches/run.py OLD NEW --turns 5 -- --jobs 2               # two, in turns
    crates/cli/benches/run.py NEW --memory --events 4000000               # memory over time

The events are operations on 20,000 ENIs, one a second, of which 3 % failed; the rules are those of
`rules/`. Events are generated as they are read, so that 4 million of them need no disk. Only turns
on an idle machine can be compared by time; the processor time of two programs in turns always can.
"""

import argparse
import datetime
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
STATUS_AFTER = {
    "CreateNetworkInterface": "Available",
    "AttachNetworkInterface": "InUse",
    "DetachNetworkInterface": "Available",
    "DeleteNetworkInterface": "Deleted",
}
START = datetime.datetime(2024, 5, 14, 8, tzinfo=datetime.timezone(datetime.timedelta(hours=8)))


class Turn(NamedTuple):
    """What one run used."""

    processor: float
    wall: float
    resident_mib: float


def events(count: int) -> Iterator[bytes]:
    """Completions of operations, the same for each call."""
    draw = random.Random(5)
    for i in range(count):
        operation = draw.choice(list(STATUS_AFTER))
        succeeded = draw.random() < 0.97
        eni = f"eni-bp1{draw.randrange(20_000):016d}"
        at = (START + datetime.timedelta(seconds=i)).strftime("%Y%m%dT%H%M%S.")
        event = {
            "id": f"2256A988-0B26-4E2B-820A-{i:012X}",
            "product": "ECS",
            "resourceId": f"acs:ecs:cn-hangzhou:1690700000000030:eni/{eni}",
            "level": "INFO" if succeeded else "WARN",
            "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
            "userId": "1690700000000030",
            "eventTime": f"{at}{i % 1000:03d}+0800",
            "regionId": "cn-hangzhou",
            "content": {
                "eniId": eni,
                "operation": operation,
                "eniStatus": STATUS_AFTER[operation],
                "result": "success" if succeeded else "failed",
                "requestId": f"59701492-A8F2-3375-B0B9-{i:012X}",
                "primaryPrivateIp": f"192.168.10.{i % 250}",
                "secondaryPrivateIps": ["192.168.10.8", "192.168.10.9"],
                "ipv4Prefixes": ["192.168.16.0/28"],
                "ipv6s": ["2001:db8:1234:23:8:800:200c:417a"],
                "ipv6Prefixes": ["2001:db8::/80"],
            },
        }
        yield json.dumps(event, separators=(",", ":")).encode() + b"\n"


def command(program: str, options: list[str], file: str) -> list[str]:
    """The command line of a run."""
    return [program, "run", str(ROOT / "rules"), file, "--format", "ndjson", *options]


def measure(program: str, options: list[str], file: str) -> Turn:
    """Runs a program over a file of events; its output is dropped."""
    begun = time.monotonic()
    with subprocess.Popen(
        command(program, options, file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Turn(usage.ru_utime + usage.ru_stime, time.monotonic() - begun, usage.ru_maxrss / 1024)


def digest(program: str, options: list[str], file: str) -> str:
    """A short hash of what a run prints."""
    with subprocess.Popen(
        command(program, options, file), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        hashed = hashlib.sha256()
        while block := process.stdout.read(1 << 16):
            hashed.update(block)
        return hashed.hexdigest()[:8]


def compare(programs: list[str], options: list[str], count: int, turns: int) -> None:
    """Prints the medians of runs in turns."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "events.ndjson"
        with file.open("wb") as out:
            out.writelines(events(count))
        outputs = [digest(program, options, str(file)) for program in programs]
        turns_of = [
            [measure(program, options, str(file)) for program in programs] for _ in range(turns)
        ]
    print("| program | processor s | s | events/s | MiB | output |\n|---|---|---|---|---|---|")
    for program, output, done in zip(programs, outputs, zip(*turns_of, strict=True), strict=True):
        processor = statistics.median(turn.processor for turn in done)
        wall = statistics.median(turn.wall for turn in done)
        resident = max(turn.resident_mib for turn in done)
        print(
            f"| {program} | {processor:.2f} | {wall:.2f} | {count / wall:,.0f} "
            f"| {resident:.0f} | {output} |"
        )


def watch_memory(program: str, options: list[str], count: int) -> None:
    """Prints the resident memory of a run over generated events, at each tenth of them."""
    with subprocess.Popen(
        command(program, options, "-"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        status = Path(f"/proc/{process.pid}/status")
        for i, event in enumerate(events(count)):
            process.stdin.write(event)
            if (i + 1) % max(count // 10, 1) == 0:
                lines = status.read_text().splitlines()
                resident = next(line.split()[1] for line in lines if line.startswith("VmRSS"))
                print(f"{i + 1:>10,} events: {int(resident) / 1024:.0f} MiB", flush=True)
        process.stdin.close()
        process.wait()


def main() -> None:
    """Reads the arguments."""
    usage = argparse.ArgumentParser(description=__doc__)
    usage.add_argument("programs", nargs="+", metavar="PROGRAM")
    usage.add_argument("--events", type=int, default=100_000)
    usage.add_argument("--turns", type=int, default=5)
    usage.add_argument("--memory", action="store_true", help="watch the memory of one run")
    arguments, options = sys.argv[1:], list[str]()
    if "--" in arguments:
        end = arguments.index("--")
        arguments, options = arguments[:end], arguments[end + 1 :]
    given = usage.parse_args(arguments)
    if given.memory:
        watch_memory(given.programs[0], options, given.events)
    else:
        compare(given.programs, options, given.events, given.turns)


if __name__ == "__main__":
    main()

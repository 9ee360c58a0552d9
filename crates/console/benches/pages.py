#!/usr/bin/env python3
"""Measures the console of a large store: its pages, a bulk redrive, and what open pages cost.

    cargo build --release -p reflexarc-cli
    crates/console/benches/pages.py target/release/reflexarc
    crates/console/benches/pages.py PROGRAM --events 100000 --dead-letters 10000 --folder /data

It starts the program in a new folder, sends events of which a part becomes dead letters at once
(the receiver's port is closed), and then measures

- each page, requested one after another on one connection: the time to the whole response;
- the redrive of all dead letters in the background, while events are accepted beside it;
- the events accepted a second, in turns without and with ten pages open whose live streams are
  read.

Clients, readers and service share the machine, so that the figures are lower bounds.
"""

from __future__ import annotations

import argparse
import html
import http.client
import json
import re
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

BATCH = 500
STREAMS = 10

RULES = {
    "failed": """
when = 'content.result == "failed"'
then = 'send("refused", #{ id: event.id, eni: event.content.eniId });'
""",
    "seen": """
when = 'content.operation == "DeleteNetworkInterface"'
then = 'log(event.content.eniId);'
""",
}

# Pages, each with what it is measured for.
PAGES = {
    "/": "Now",
    "/events": "Events, the newest",
    "/events?rule=failed": "Events of a rule",
    "/events?source=acs.ecs&name=NetworkInterface:NetworkInterfaceOperateCompleted": "by name",
    "/events?id=event-000000000077": "Events by id, an old one",
    "/events?id=none": "Events by id, without a result",
    "{event}": "One event",
    "/dead-letters": "Dead letters",
    "/dead-letters?target=refused&rule=failed": "Dead letters of a target and rule",
    "/dead-letters?reason=nothing": "Dead letters by reason, without a result",
    "/confirm?operation=redrive_matching&target=refused": "Confirm: redrive all",
    "{delivery}": "Delivery",
    "/targets": "Targets",
    "/targets/refused": "One target",
    "/pending": "Pending and incidents",
    "/silences": "Silences",
    "/rules": "Rules",
    "/rules/failed": "One rule",
    "/audit": "Audit",
}


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def batches(first: int, count: int, failed_of: int) -> Iterator[bytes]:
    """Bodies of events, of which one in `failed_of` failed; none if that is 0."""
    operations = ("AttachNetworkInterface", "DetachNetworkInterface", "DeleteNetworkInterface")
    for start in range(first, first + count, BATCH):
        events = [
            {
                "id": f"event-{i:012}",
                "product": "ECS",
                "resourceId": f"acs:ecs:cn-hangzhou:1690700000000030:eni/eni-bp1{i % 20_000:016}",
                "level": "INFO",
                "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
                "userId": "1690700000000030",
                "eventTime": "20240514T093519.250+0800",
                "regionId": "cn-hangzhou",
                "content": {
                    "eniId": f"eni-bp1{i % 20_000:016}",
                    "operation": operations[i % len(operations)],
                    "result": "failed" if failed_of and i % failed_of == 0 else "success",
                    "requestId": f"59701492-A8F2-3375-B0B9-{i:012X}",
                    "primaryPrivateIp": f"192.168.10.{i % 250}",
                    "secondaryPrivateIps": ["192.168.10.8", "192.168.10.9"],
                },
            }
            for i in range(start, min(start + BATCH, first + count))
        ]
        yield json.dumps(events, separators=(",", ":")).encode()


class Running:
    """The program with a configuration of its own."""

    def __init__(self, program: str, folder: Path):
        self.program, self.folder = str(Path(program).resolve()), folder
        self.port, self.console = free_port(), free_port()
        (folder / "rules").mkdir()
        for name, rule in RULES.items():
            (folder / f"rules/{name}.toml").write_text(rule)
        (folder / "reflexarc.toml").write_text(
            f'log = "error"\n[http]\nlisten = "127.0.0.1:{self.port}"\n'
            f'[console]\nlisten = "127.0.0.1:{self.console}"\n'
            f'[targets.refused]\ntype = "webhook"\nurl = "http://127.0.0.1:{free_port()}/"\n'
            'allow = ["127.0.0.0/8"]\nretry = []\nconcurrency = 8\nbreaker = { failures = 0 }\n'
            # Without the time that a rule may use, so that all events are evaluated.
            '[budgets]\ntime = "1000s"\ntime_burst = "1000s"\nbytes = 1_000_000_000\n'
            "bytes_burst = 1_000_000_000\n"
        )
        self.process = subprocess.Popen(
            [self.program, "serve"], cwd=folder, stdout=subprocess.DEVNULL
        )
        wait_for(self.answers)

    def answers(self) -> bool:
        """Whether it is ready."""
        assert self.process.poll() is None, "the service has ended"
        try:
            return self.request("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """A request to the API."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(method, path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        status, read = answer.status, answer.read()
        connection.close()
        return status, read

    def dead_letters(self) -> int:
        """How many there are."""
        status = json.loads(self.request("GET", "/status")[1])
        return int(status["dead_letters"]["count"])

    def memory(self) -> float:
        """Resident MiB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        resident = next(line.split()[1] for line in lines if line.startswith("VmRSS"))
        return int(resident) / 1024

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(60)


def wait_for(poll: Callable[[], object], seconds: float = 1_800) -> None:
    """Poll until the result is true."""
    end = time.monotonic() + seconds
    while not poll():
        if time.monotonic() > end:
            sys.exit("timed out")
        time.sleep(0.1)


def send(service: Running, bodies: list[bytes], connections: int = 2) -> float:
    """Send batches and return the seconds that it took."""
    waiting = iter(bodies)
    lock = threading.Lock()
    faults: list[str] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=120)
        while True:
            with lock:
                body = next(waiting, None)
            if body is None or faults:
                return
            while True:
                connection.request("POST", "/events", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                if answer.status in (429, 503):
                    time.sleep(0.05)
                    continue
                if answer.status != 200:
                    faults.append(f"{answer.status}: {text[:300]!r}")
                break

    begun = time.monotonic()
    clients = [threading.Thread(target=client) for _ in range(connections)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    if faults:
        sys.exit(faults[0])
    return time.monotonic() - begun


class Pages:
    """A browser's connection to the console."""

    def __init__(self, service: Running):
        self.connection = http.client.HTTPConnection("127.0.0.1", service.console, timeout=120)

    def get(self, path: str) -> tuple[int, str]:
        """The status and text of a page."""
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()

    def post(self, path: str, fields: dict[str, str]) -> int:
        """The status of a form."""
        origin = f"http://127.0.0.1:{self.connection.port}"
        headers = {"content-type": "application/x-www-form-urlencoded", "origin": origin}
        self.connection.request("POST", path, urllib.parse.urlencode(fields), headers)
        answer = self.connection.getresponse()
        answer.read()
        return answer.status


def measure_pages(pages: Pages, rounds: int) -> None:
    """Print the time of each page."""
    links = {}
    for kind, path in (("event", "/events"), ("delivery", "/dead-letters")):
        start = {"event": "/events/", "delivery": "/deliveries/"}[kind]
        found = re.search(rf'href="({start}[^"?#]+)"', pages.get(path)[1])
        if found is None:
            sys.exit(f"{path} has no link to {start}")
        links[kind] = found.group(1)
    print("\n| page | | median ms | longest ms | KiB |\n|---|---|---|---|---|")
    for page, meaning in PAGES.items():
        path = page.format(**links)
        taken, size = [], 0
        for _ in range(rounds):
            begun = time.perf_counter()
            status, text = pages.get(path)
            taken.append((time.perf_counter() - begun) * 1_000)
            size = len(text.encode())
            if status != 200:
                sys.exit(f"{path}: {status}")
        print(
            f"| `{page}` | {meaning} | {statistics.median(taken):.1f} | {max(taken):.1f} "
            f"| {size / 1024:.0f} |",
            flush=True,
        )


def hidden_fields(text: str) -> dict[str, str]:
    """The hidden inputs of the form that performs an operation."""
    start = text.index('action="/perform"')
    form = text[text.rindex("<form", 0, start) : text.index("</form>", start)]
    fields = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and value and 'type="hidden"' in tag:
            fields[html.unescape(name.group(1))] = html.unescape(value.group(1))
    return fields


def measure_redrive(service: Running, pages: Pages, first: int) -> None:
    """Print how long a redrive of all dead letters takes, and what it costs meanwhile."""
    # The target is paused, so that nothing becomes a dead letter again meanwhile.
    assert service.request("POST", "/targets/refused/pause?reason=bench")[0] == 200
    before = service.dead_letters()
    text = pages.get("/confirm?operation=redrive_matching&target=refused")[1]
    begun = time.monotonic()
    status = pages.post("/perform", hidden_fields(text))
    answered = time.monotonic() - begun
    assert status in (200, 303), status
    bodies = list(batches(first, 20_000, 0))
    beside = 20_000 / send(service, bodies)
    wait_for(lambda: service.dead_letters() == 0)
    took = time.monotonic() - begun
    print(
        f"\nRedrive of {before:,} dead letters: the form answered after {answered * 1000:.0f} ms; "
        f"all done after {took:.1f} s; meanwhile {beside:,.0f} events/s were accepted"
    )


class Streams:
    """Live streams that are read and dropped, as open pages do."""

    def __init__(self, service: Running, count: int):
        self.sockets = []
        self.selector = selectors.DefaultSelector()
        self.bytes = 0
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", service.console))
            one.sendall(
                f"GET /live HTTP/1.1\r\nhost: 127.0.0.1:{service.console}\r\n"
                "accept: text/event-stream\r\n\r\n".encode()
            )
            head = one.recv(4096)
            assert head.startswith(b"HTTP/1.1 200"), head
            one.setblocking(False)
            self.selector.register(one, selectors.EVENT_READ)
            self.sockets.append(one)
        self.is_open = True
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        """Read until the end."""
        while self.is_open:
            for key, _ in self.selector.select(0.2):
                self.bytes += len(key.fileobj.recv(1 << 18))
            time.sleep(0.01)

    def close(self) -> None:
        """Close the pages."""
        self.is_open = False
        self.reader.join()
        for one in self.sockets:
            one.close()


def measure_streams(service: Running, first: int, count: int, turns: int) -> None:
    """Print the events accepted a second without and with open pages, in turns."""
    rates: dict[int, list[float]] = {0: [], STREAMS: []}
    read = 0
    for turn in range(2 * turns):
        # 0, 10, 10, 0, so that what grows with the store is the same for both.
        open_pages = (0, STREAMS, STREAMS, 0)[turn % 4]
        bodies = list(batches(first + turn * count, count, 0))
        streams = Streams(service, open_pages) if open_pages else None
        time.sleep(1)
        rates[open_pages].append(count / send(service, bodies))
        if streams:
            streams.close()
            read += streams.bytes
    print("\n| pages open | events/s (median) | of each turn |\n|---|---|---|")
    for pages, of in rates.items():
        each = ", ".join(f"{rate:,.0f}" for rate in of)
        print(f"| {pages} | {statistics.median(of):,.0f} | {each} |")
    change = statistics.median(rates[STREAMS]) / statistics.median(rates[0]) - 1
    print(f"\nWith {STREAMS} pages open: {change:+.1%}; they read {read / (1 << 20):,.0f} MiB")


def main() -> None:
    """Read the arguments and measure."""
    usage = argparse.ArgumentParser(description=__doc__)
    usage.add_argument("program", metavar="PROGRAM")
    usage.add_argument("--events", type=int, default=1_000_000)
    usage.add_argument("--dead-letters", type=int, default=100_000)
    usage.add_argument("--rounds", type=int, default=20, help="requests of each page")
    usage.add_argument("--turns", type=int, default=4, help="turns with and without open pages")
    usage.add_argument("--turn-events", type=int, default=100_000)
    usage.add_argument("--folder", type=Path, help="where the store is made")
    given = usage.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="reflexarc-pages-", dir=given.folder))
    service = Running(given.program, folder)
    try:
        failed_of = max(given.events // max(given.dead_letters, 1), 1)
        took = 0.0
        for first in range(0, given.events, 50_000):
            count = min(50_000, given.events - first)
            took += send(service, list(batches(first, count, failed_of)))
        wait_for(lambda: service.dead_letters() >= given.events // failed_of)
        store = sum(path.stat().st_size for path in folder.glob("reflexarc.db*"))
        print(
            f"{given.events:,} events sent in {took:.0f} s, {service.dead_letters():,} dead "
            f"letters; store {store / (1 << 20):,.0f} MiB, resident {service.memory():.0f} MiB"
        )
        measure_pages(Pages(service), given.rounds)
        next_event = given.events
        measure_streams(service, next_event, given.turn_events, given.turns)
        next_event += 2 * given.turns * given.turn_events
        measure_redrive(service, Pages(service), next_event)
        print(f"resident at the end: {service.memory():.0f} MiB")
    finally:
        service.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

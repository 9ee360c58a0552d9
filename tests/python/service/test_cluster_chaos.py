"""Three nodes, their database and three NATS servers under load.

One of them is killed or stopped every few seconds: what was accepted is there once, and everything
was sent.

REFLEXARC_CHAOS_SECONDS  how long it goes on, 45 s by default
REFLEXARC_CHAOS_SEED     the same kills in the same order
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

import nats
from cluster import Cluster, Node, PostgresServer, Recorder
from nats_servers import NatsServer
from service_process import event, eventually, free_port

SECONDS = float(os.environ.get("REFLEXARC_CHAOS_SECONDS", "45"))
SEED = int(os.environ.get("REFLEXARC_CHAOS_SEED", str(random.randrange(1_000_000))))
NODES = 3
RESOURCES = 20
ROBOT_LIMIT = 20

COUNTED = """
when = 'content.result == "failed" and content.operation != "Timed"'
then = '''
let n = add(event.content.eniId, 1);
send("out", #{ eni: event.content.eniId, n: n, id: event.id });
'''
"""
TIMED = """
when = 'content.operation == "Timed"'
by = "content.eniId"
not_followed_by = { when = 'content.result == "never"', within = "5s" }
then = 'send("timers", #{ n: event.content.eniId });'
"""
ROBOT = """
when = 'content.robot == "yes"'
then = 'notify("robot", event.id);'
"""


class NatsCluster:
    """Three servers with one stream, of which each message is on all of them."""

    def __init__(self, folder: Path):
        routes = [free_port() for _ in range(3)]
        urls = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
        self.servers = [
            NatsServer(
                folder / f"nats-{number}",
                f'server_name: "n{number}"\n'
                f'cluster {{ name: "c", listen: "127.0.0.1:{port}", routes: [{urls}] }}\n',
            )
            for number, port in enumerate(routes)
        ]
        for server in self.servers:
            server.start()

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self.servers]

    async def connect(self):
        return await nats.connect(
            self.urls,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.2,
            error_cb=ignore,
        )

    def add_stream(self) -> None:
        async def add() -> None:
            connection = await self.connect()
            context = connection.jetstream()
            end = time.monotonic() + 60
            while True:
                try:
                    await context.add_stream(name="EVENTS", subjects=["events.>"], num_replicas=3)
                    break
                except Exception:
                    assert time.monotonic() < end
                    await asyncio.sleep(0.3)
            await connection.close()

        asyncio.run(add())

    def left(self) -> int:
        async def look() -> int:
            connection = await self.connect()
            try:
                info = await connection.jetstream().consumer_info("EVENTS", "reflexarc")
            finally:
                await connection.close()
            return info.num_pending + info.num_ack_pending

        try:
            return asyncio.run(look())
        except Exception:
            return -1

    def close(self) -> None:
        for server in self.servers:
            server.kill()


async def ignore(_: Exception) -> None:
    """Servers are killed on purpose."""


class Load:
    """Sends events by HTTP and through the stream until it is stopped."""

    def __init__(self, nodes: list[Node], streams: NatsCluster):
        self.nodes = nodes
        self.streams = streams
        self.accepted: set[str] = set()
        self.published: set[str] = set()
        self.timed: set[str] = set()
        self.robot: set[str] = set()
        self.refused = 0
        self.stopping = threading.Event()
        self.threads = [
            threading.Thread(target=self.post, args=(number,), daemon=True) for number in range(3)
        ]
        publish = threading.Thread(target=lambda: asyncio.run(self.publish()), daemon=True)
        self.threads.append(publish)
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def make(self, name: str, number: int) -> dict:
        identity = f"{name}-{number}"
        if number % 40 == 7:
            self.timed.add(identity)
            made = event(identity, identity, operation="Timed")
        elif number % 10 == 9:
            self.robot.add(identity)
            made = event(identity, f"eni-{number % RESOURCES}", robot="yes")
        else:
            made = event(identity, f"eni-{number % RESOURCES}")
        return made

    def post(self, thread: int) -> None:
        choose = random.Random(thread)
        number = 0
        while not self.stopping.is_set():
            batch = [self.make(f"http{thread}", number + place) for place in range(5)]
            number += 5
            # As a sender does: again, to any node, until it is accepted.
            while not self.try_to_post(choose.choice(self.nodes), batch):
                self.refused += 1
                time.sleep(0.2)
                if self.stopping.is_set():
                    return
            self.accepted |= {one["id"] for one in batch}
            time.sleep(0.05)

    def try_to_post(self, node: Node, batch: list[dict]) -> bool:
        try:
            code, _ = node.call("POST", "/events", json.dumps(batch).encode(), seconds=2)
        except OSError:
            return False
        return code == 200

    async def publish(self) -> None:
        connection = await self.streams.connect()
        context = connection.jetstream(timeout=3)
        number = 0
        while not self.stopping.is_set():
            made = self.make("nats", number)
            number += 1
            while True:
                try:
                    await context.publish(
                        f"events.{made['content']['eniId']}",
                        json.dumps(made).encode(),
                        headers={"Nats-Msg-Id": made["id"]},
                    )
                    break
                except Exception:
                    await asyncio.sleep(0.2)
            self.published.add(made["id"])
            await asyncio.sleep(0.02)
        await connection.close()


class Chaos:
    """Kills and stops, one after another."""

    def __init__(self, nodes: list[Node], database: PostgresServer, streams: NatsCluster):
        self.nodes = nodes
        self.database = database
        self.streams = streams
        self.choose = random.Random(SEED)
        self.frozen: dict[Node, float] = {}
        self.rounds: Counter[str] = Counter()

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        actions = [self.kill_node, self.freeze_node, self.kill_database, self.kill_nats]
        while time.monotonic() < end:
            action = self.choose.choice(actions)
            action()
            self.rounds[action.__name__] += 1
            pause = time.monotonic() + self.choose.uniform(3, 10)
            while time.monotonic() < pause:
                self.thaw(20)
                self.supervise()
                time.sleep(0.2)
        self.thaw(0)

    def supervise(self) -> None:
        """Start nodes again that have ended, as an operating system does.

        Without its database no node starts.
        """
        for node in self.nodes:
            if node.process.poll() is not None:
                node.spawn()

    def thaw(self, seconds: float) -> None:
        for node, since in list(self.frozen.items()):
            if time.monotonic() - since >= seconds:
                node.thaw()
                del self.frozen[node]

    def kill_node(self) -> None:
        node = self.choose.choice(self.nodes)
        self.frozen.pop(node, None)
        node.kill()
        node.spawn()

    def freeze_node(self) -> None:
        node = self.choose.choice(self.nodes)
        if node not in self.frozen:
            node.freeze()
            self.frozen[node] = time.monotonic()

    def kill_database(self) -> None:
        self.database.kill()
        time.sleep(self.choose.uniform(0, 2))
        self.database.start()

    def kill_nats(self) -> None:
        server = self.choose.choice(self.streams.servers)
        server.kill()
        time.sleep(self.choose.uniform(0, 2))
        server.start()


def configuration(out: Recorder, timers: Recorder, robot: Recorder, streams: NatsCluster) -> str:
    urls = json.dumps(streams.urls)
    return f"""
[sources.events]
type = "jetstream"
url = {urls}
stream = "EVENTS"
ack_wait = "10s"

[targets.out]
type = "webhook"
url = "{out.url}"
allow = ["127.0.0.0/8"]

[targets.timers]
type = "webhook"
url = "{timers.url}"
allow = ["127.0.0.0/8"]

[targets.robot]
type = "dingtalk"
endpoint = "{robot.url}robot/send"
token = {{ env = "TOKEN" }}
calls_per_minute = {ROBOT_LIMIT}
"""


def test_nothing_is_lost_while_nodes_and_servers_are_killed(tmp_path, recorder, capsys):
    out, timers = recorder(), recorder()
    robot = recorder(answer='{"errcode":0,"errmsg":"ok"}')
    database, streams = PostgresServer(), NatsCluster(tmp_path)
    cluster = Cluster(tmp_path, database.url, "public")
    try:
        streams.add_stream()
        config = configuration(out, timers, robot, streams)
        rules = {"counted": COUNTED, "timed": TIMED, "robot": ROBOT}
        nodes = [cluster.start(config, rules, TOKEN="t") for _ in range(NODES)]
        load, chaos = Load(nodes, streams), Chaos(nodes, database, streams)
        try:
            chaos.run(SECONDS)
        finally:
            load.stop()
        with capsys.disabled():
            print(
                f"\nchaos, seed {SEED}: {dict(chaos.rounds)}; {len(load.accepted)} events by HTTP, "
                f"{len(load.published)} by JetStream; {load.refused} requests repeated"
            )

        def are_ready() -> bool:
            chaos.supervise()
            return all(node.ready() for node in nodes)

        eventually(are_ready, 300)
        eventually(lambda: streams.left() == 0, 300)
        archived = check_archive(cluster, load)
        # Some were sent at the end, and it is not known whether they were accepted.
        timed = load.timed & archived
        eventually(lambda: len({call.id for call in timers.calls}) >= len(timed), 300)
        waiting = "SELECT count(*) FROM delivery WHERE status = 0 AND target <> 'robot'"
        eventually(lambda: cluster.query(waiting) == [["0"]], 300)
        check_deliveries(cluster, out)
        check_timers(timers, timed)
        check_robot(robot, chaos.rounds["freeze_node"])
        assert cluster.query("SELECT count(*) FROM delivery WHERE status = 2") == [["0"]]
    finally:
        cluster.close()
        streams.close()
        database.close()


def check_archive(cluster: Cluster, load: Load) -> set[str]:
    """Everything that a sender knows to be accepted is there, and nothing twice: all ids."""
    found = Counter(row[0] for row in cluster.query("SELECT id FROM archive WHERE entry = 0"))
    lost = (load.accepted | load.published) - set(found)
    assert not lost, sorted(lost)[:10]
    twice = {identity: count for identity, count in found.items() if count > 1}
    assert not twice, twice
    return set(found)


def check_deliveries(cluster: Cluster, out: Recorder) -> None:
    """Each delivery came under one id, those of a resource in order, and the counters are right."""
    ids: dict[tuple[str, int], set[str]] = defaultdict(set)
    first: dict[str, list[int]] = defaultdict(list)
    for call in out.calls:
        eni, number = call.body["data"]["eni"], call.body["data"]["n"]
        if (eni, number) not in ids:
            first[eni].append(number)
        ids[eni, number].add(call.id)
    assert all(len(found) == 1 for found in ids.values())
    events = cluster.query(
        "SELECT resource, count(*) FROM archive WHERE entry = 0 AND id IN "
        "(SELECT event FROM delivery WHERE target = 'out') GROUP BY resource"
    )
    expected = {resource.rsplit("/", 1)[-1]: int(count) for resource, count in events}
    for eni, numbers in first.items():
        assert numbers == list(range(1, expected[eni] + 1)), eni
    state = cluster.query("SELECT key, value FROM state WHERE rule = 'counted'")
    assert {key: int(value) for key, value in state} == expected
    sent = cluster.query("SELECT count(*) FROM delivery WHERE target = 'out' AND status = 1")
    assert int(sent[0][0]) == len(ids)


def check_timers(timers: Recorder, timed: set[str]) -> None:
    """Each deadline fired once."""
    fired: dict[str, set[str]] = defaultdict(set)
    for call in timers.calls:
        fired[call.body["data"]["n"]].add(call.id)
    assert set(fired) == timed
    assert all(len(ids) == 1 for ids in fired.values())


def check_robot(robot: Recorder, stops: int) -> None:
    """No minute has more calls than are allowed; a node that was stopped may make one more."""
    calls = [call.at for call in robot.calls]
    most = ROBOT_LIMIT + stops
    for place in range(len(calls) - most):
        assert calls[place + most] - calls[place] >= 60
    assert calls

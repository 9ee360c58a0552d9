"""Several nodes on one PostgreSQL database: what they see of each other, and who does what."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

from cluster import Cluster, Node, PostgresServer
from service_process import event, eventually

RULE = """
when = 'content.result == "failed"'
then = 'send("out", #{ n: event.id });'
"""
ROBOT_LIMIT = 6


def webhook(url: str, more: str = "") -> str:
    return f"""
[targets.out]
type = "webhook"
url = "{url}"
allow = ["127.0.0.0/8"]
{more}
"""


def api(url: str) -> str:
    return f"""
[targets.api]
type = "http"
url = "{url}"
networks = ["127.0.0.0/8"]
"""


def robot(url: str) -> str:
    return f"""
[targets.out]
type = "dingtalk"
endpoint = "{url}robot/send"
token = {{ env = "TOKEN" }}
calls_per_minute = {ROBOT_LIMIT}
"""


def state_of(node: Node, other: Node) -> str | None:
    return node.nodes().get(str(other.port))


def test_nodes_see_each_other_come_and_go(cluster, recorder):
    config = webhook(recorder().url)
    first, second = cluster.start(config, RULE), cluster.start(config, RULE)
    nodes = first.status()["nodes"]
    assert [node["own"] for node in nodes] == [True, False]
    assert [node["first"] for node in nodes] == [True, False]
    assert {node["state"] for node in nodes} == {"live"}
    assert len({node["rules"] for node in nodes}) == 1
    assert all(node["version"] and node["joined"] <= node["seen"] for node in nodes)
    # One that ends is not missed.
    assert second.stop() == 0
    eventually(lambda: state_of(first, second) in (None, "left"))
    second.start()
    eventually(lambda: state_of(first, second) == "live")
    # One that is killed is.
    killed = time.monotonic()
    second.kill()
    eventually(lambda: state_of(first, second) == "lost")
    assert 8 < time.monotonic() - killed < 60
    assert len(first.problems("node_lost")) == 1
    second.start()
    eventually(lambda: state_of(first, second) == "live")


def test_what_a_killed_node_was_sending_is_sent_by_another(cluster, recorder):
    # The receiver holds every call.
    out = recorder(delay=60)
    config = webhook(out.url, 'timeout = "90s"\nconcurrency = 8')
    first = cluster.start(config, RULE)
    for number in range(4):
        first.post(event(number, f"eni-{number}"))
    eventually(lambda: len(out.calls) == 4)
    second = cluster.start(config, RULE)
    out.delay = 0
    first.kill()
    killed = time.monotonic()
    eventually(lambda: len(out.calls) == 8)
    assert sorted(out.numbers()) == sorted(list("0123") * 2)
    assert len({call.id for call in out.calls}) == 4, "under the same ids"
    # 15 s, on a machine that has time.
    assert max(call.at for call in out.calls) - killed < 60
    for number in range(4):
        second.settled(number, "delivered")


def test_a_node_that_was_stopped_does_no_harm(cluster, recorder):
    slow, fast = recorder(delay=0.2), recorder()
    first = cluster.start(webhook(slow.url, "concurrency = 1"), RULE)
    events = 60
    first.post(*(event(number, f"eni-{number}") for number in range(events)))
    eventually(lambda: len(slow.calls) > 3)
    first.freeze()
    second = cluster.start(webhook(fast.url), RULE)
    eventually(lambda: len(slow.calls) + len(fast.calls) >= events)
    eventually(lambda: pending(second) == 0)
    before = len(slow.calls)
    first.thaw()
    # It notices what has happened, and joins again.
    eventually(lambda: state_of(second, first) == "live" and pending(first) == 0)
    time.sleep(2)
    # What it was sending when it was stopped, at most.
    assert len(slow.calls) - before <= 1
    numbers = slow.numbers() + fast.numbers()
    assert set(numbers) == {str(number) for number in range(events)}
    # And before that, what it had sent and not recorded yet.
    assert len(numbers) <= events + 3
    # And it is a node as any other.
    first.post(event("again"))
    second.settled("again", "delivered")


def pending(node: Node) -> int:
    listed = node.run("outbox", "list", "--format", "ndjson")
    assert listed.returncode in (0, 1), listed.stderr
    return len(listed.stdout.splitlines())


def test_one_node_at_a_time_sends_to_a_robot(cluster, recorder):
    out = recorder(answer='{"errcode":0,"errmsg":"ok"}')
    rule = """
when = 'content.result == "failed"'
then = 'notify("out", event.content.eniId);'
"""
    nodes = [cluster.start(robot(out.url), rule, TOKEN="t") for _ in range(3)]
    began = time.monotonic()

    def post_to(node: Node, number: int) -> None:
        node.post(event(f"{number}-{node.port}", f"eni-{number}-{node.port}"))

    for number in range(2):
        for node in nodes:
            post_to(node, number)
    eventually(lambda: len(out.calls) >= 2)
    (holder,) = cluster.query("SELECT node FROM sender WHERE target = 'out'")[0]
    holding = next(
        node
        for node in nodes
        for listed in node.status()["nodes"]
        if listed["own"] and listed["number"] == int(holder)
    )
    holding.kill()
    others = [node for node in nodes if node is not holding]
    number = 10

    def is_taken_over() -> bool:
        nonlocal number
        number += 1
        for node in others:
            post_to(node, number)
        time.sleep(1)
        return cluster.query("SELECT node FROM sender WHERE target = 'out'") != [[holder]]

    eventually(is_taken_over, 120)
    # Within the limit of a minute, which the other node has used in part.
    while time.monotonic() - began < 40:
        assert is_taken_over()
    calls = [call.at for call in out.calls]
    assert len(calls) >= 3
    for first in range(len(calls) - ROBOT_LIMIT):
        assert calls[first + ROBOT_LIMIT] - calls[first] > 59


def test_an_event_for_a_robot_reaches_the_node_that_sends(cluster, recorder):
    out = recorder(answer='{"errcode":0,"errmsg":"ok"}')
    rule = """
when = 'content.result == "failed"'
then = 'notify("out", event.content.eniId);'
"""
    first = cluster.start(robot(out.url), rule, TOKEN="t")
    first.post(event(1))
    eventually(lambda: len(out.calls) == 1)
    second = cluster.start(robot(out.url), rule, TOKEN="t")
    second.post(event(2))
    eventually(lambda: len(out.calls) == 2)
    second.settled(2, "delivered")
    (holder,) = cluster.query("SELECT node FROM sender WHERE target = 'out'")[0]
    own = [node["number"] for node in first.status()["nodes"] if node["own"]]
    assert [int(holder)] == own


def test_what_operators_do_at_one_node_is_done_at_all(cluster, recorder):
    out = recorder()
    config = webhook(out.url)
    first, second = cluster.start(config, RULE), cluster.start(config, RULE)
    assert first.call("POST", "/targets/out/pause", b'{"reason": "test"}')[0] == 200

    def states() -> list[str | None]:
        return [node.status()["target_states"][0].get("paused_by") for node in (first, second)]

    eventually(lambda: all(states()))
    second.post(event(1))
    time.sleep(2)
    assert out.calls == []
    assert second.call("POST", "/targets/out/resume")[0] == 200
    eventually(lambda: len(out.calls) == 1)
    eventually(lambda: not any(states()))


def waiting_rule(within: str) -> str:
    """Sends a key after which no success comes in time."""
    return f"""
when = 'content.result == "failed"'
by = "content.eniId"
not_followed_by = {{ when = 'content.result == "success"', within = "{within}" }}
then = 'send("out", #{{ n: event.content.eniId }});'
"""


def test_matches_survive_a_rolling_restart_and_fire_once(cluster, recorder):
    out = recorder()
    config = webhook(out.url)
    rule = waiting_rule("40s")
    nodes = [cluster.start(config, rule) for _ in range(3)]
    waiting = [f"eni-{number}" for number in range(9)]
    for number, eni in enumerate(waiting):
        nodes[number % 3].post(event(number, eni))
    posted = time.monotonic()
    for node in nodes:
        assert node.stop() == 0
        node.start()
        if node is nodes[0]:
            # One of them is what was expected.
            node.post(
                event("expected", "eni-4") | {"content": {"eniId": "eni-4", "result": "success"}}
            )
    assert cluster.query("SELECT count(*) FROM match_rule WHERE closed = 1") == [["0"]]
    eventually(lambda: len(out.calls) >= 8, 120)
    time.sleep(3)
    fired = sorted(out.numbers())
    assert fired == [eni for eni in waiting if eni != "eni-4"]
    assert time.monotonic() - posted > 40


def test_nodes_with_other_rules_keep_what_theirs_wait_for(cluster, recorder):
    out = recorder()
    config = webhook(out.url)

    old = cluster.start(config, waiting_rule("10s"))
    old.post(event(1, "eni-old"))
    new = cluster.start(config, waiting_rule("2h"))
    assert old.nodes() == new.nodes()
    eventually(lambda: old.problems("nodes_differ") and new.problems("nodes_differ"))
    # The rule of the new node does not close it, and it fires at the old one.
    eventually(lambda: out.numbers() == ["eni-old"])
    old.post(event(2, "eni-closed"))
    assert old.stop() == 0
    # No node has these rules now.
    eventually(
        lambda: (
            cluster.query("SELECT count(*) FROM match_rule WHERE closed = 1") == [["1"]]
            or cluster.query("SELECT count(*) FROM match_rule") == [["0"]]
        )
    )
    eventually(lambda: not new.problems("nodes_differ"))
    assert out.numbers() == ["eni-old"]


CALLS = """
when = 'content.result == "failed"'
then = 'call("api", "GET /look/{n}", #{ n: event.id }, #{ after: "1h" })'
answered = 'send("out", #{ n: call.parameters.n, code: answer.code });'
"""


def test_answers_of_withdrawn_calls_are_left_to_a_node_with_the_rule(cluster, recorder):
    out = recorder()
    config = webhook(out.url) + api(recorder().url)
    old = cluster.start(config, CALLS)
    old.post(*(event(number, f"eni-{number}") for number in range(6)))
    new = cluster.start(config, {"other": RULE})
    eventually(lambda: old.problems("nodes_differ") and new.problems("nodes_differ"))
    assert pending(new) == 6
    # Either node may be the first that knows of it.
    for number in range(6):
        done = new.run("outbox", "cancel", "--event", str(number), "--all")
        assert done.returncode == 0, done.stderr
        eventually(lambda expected=number + 1: len(out.calls) == expected)
    assert {call.body["data"]["code"] for call in out.calls} == {"Cancelled"}
    assert out.numbers() == [str(number) for number in range(6)]


def test_a_command_delivers_beside_a_node(cluster, recorder):
    # It takes longer than a node may be silent.
    out = recorder(delay=1.5)
    node = cluster.start(webhook(out.url, "concurrency = 1"), RULE)
    lines = [json.dumps(event(number, f"eni-{number}")) for number in range(16)]
    (node.folder / "events.ndjson").write_text("\n".join(lines))
    done = node.run("run", "rules", "events.ndjson", "--deliver")
    assert done.returncode == 0, done.stderr
    eventually(lambda: pending(node) == 0)
    assert sorted(out.numbers(), key=int) == [str(number) for number in range(16)]
    assert not node.problems("node_lost") and not node.problems("nodes_differ")
    eventually(lambda: list(node.nodes().values()).count("live") == 1)


def test_a_rolling_restart_sends_nothing_twice(cluster, recorder):
    # Whenever a node begins, the others are sending, and have claimed what they send next.
    out = recorder(delay=0.2)
    nodes = [cluster.start(webhook(out.url), RULE) for _ in range(3)]
    posted = 0
    with ThreadPoolExecutor() as pool:
        for node in nodes * 2:
            restarted = pool.submit(lambda node=node: (node.stop(), node.start()))
            while not restarted.done():
                for other in nodes:
                    if other is not node:
                        other.post(event(posted, f"eni-{posted}"))
                        posted += 1
            assert restarted.result() == (0, None)
    eventually(lambda: pending(nodes[0]) == 0)
    assert sorted(out.numbers(), key=int) == [str(number) for number in range(posted)]


def test_without_its_database_a_node_refuses_and_goes_on_later(tmp_path, recorder):
    out = recorder()
    server = PostgresServer()
    nodes = Cluster(tmp_path, server.url, "public")
    try:
        node = nodes.start(webhook(out.url), RULE)
        node.post(event(1))
        eventually(lambda: len(out.calls) == 1)
        server.kill()
        eventually(lambda: node.call("GET", "/readyz")[0] == 503)
        code, answer = node.call("POST", "/events", json.dumps([event(2)]).encode())
        assert code == 503, answer
        assert node.call("GET", "/healthz")[0] == 200
        server.start()
        eventually(node.ready)
        node.post(event(3))
        eventually(lambda: "3" in out.numbers())
        assert out.numbers().count("1") == 1
    finally:
        nodes.close()
        server.close()

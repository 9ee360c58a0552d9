"""Sources of type jetstream, with real servers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time

import pytest
from nats_servers import NatsServer, Proxy
from service_process import FIXTURES, Service, event, eventually, program

RULE = """
when = 'content.result == "failed"'
then = 'send("log", #{ id: event.id });'
"""
# Takes tens of milliseconds for each event.
SLOW = """
when = 'content.result == "failed"'
then = '''
let n = 0;
while n < 20000 { n += 1 }
add("n", 1);
'''
"""
BUDGET = '[budgets]\ntime = "1h"\ntime_burst = "1h"\n'
LOG = '[targets.log]\ntype = "file"\npath = "log.ndjson"\n'
TICK = b'{"type": "tick", "content": {"result": "failed"}}'


def source(server: NatsServer, more: str = "", port: int | None = None) -> str:
    return f"""
[sources.events]
type = "jetstream"
url = "nats://127.0.0.1:{port or server.port}"
stream = "EVENTS"
{more}
{LOG}"""


def start(serve, server: NatsServer, more: str = "", **options) -> Service:
    return serve(source(server, more), rule=RULE, **options)


def status(service: Service) -> dict:
    return json.loads(service.call("GET", "/status")[1])


def problems(service: Service, kind: str) -> dict[str, str]:
    """The details of a kind of problem, by subject."""
    found = [problem for problem in status(service)["problems"] if problem["problem"] == kind]
    return {problem["subject"]: problem["detail"] for problem in found}


def metric(service: Service, name: str) -> float:
    text = service.call("GET", "/metrics")[1]
    found = re.search(rf"^{re.escape(name)} (.+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def outcomes(service: Service, outcome: str) -> float:
    label = f'{{source="events",outcome="{outcome}"}}'
    return metric(service, f"reflexarc_source_messages_total{label}")


def delivered(service: Service) -> list[str]:
    """The ids of the events whose documents were written."""
    path = service.folder / "log.ndjson"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["send"]["id"] for line in lines]


def bodies(*numbers: object) -> list[bytes]:
    return [json.dumps(event(number, f"eni-{number}")).encode() for number in numbers]


def test_events_of_every_form_are_accepted_and_acknowledged(serve, nats_server):
    server = nats_server()
    server.add_stream("EVENTS", "events.>")
    service = start(serve, server, 'subjects = ["events.eni", "events.other"]')
    native = event("native")
    structured = {
        "specversion": "1.0",
        "id": "structured",
        "source": "acs.ecs",
        "type": "ecs:NetworkInterface:NetworkInterfaceOperateCompleted",
        "subject": native["resourceId"],
        "data": {"content": native["content"]},
    }
    server.publish("events.eni", *bodies("native"))
    kind = {"Content-Type": "application/cloudevents+json"}
    server.publish("events.eni", json.dumps(structured).encode(), headers=kind)
    binary = {
        "ce-specversion": "1.0",
        "ce-id": "binary",
        "ce-source": "acs.ecs",
        "ce-type": structured["type"],
        "ce-subject": "gr%C3%B6%C3%9Fe",
        "ce-datacontenttype": "application/json",
    }
    data = json.dumps(structured["data"]).encode()
    server.publish("events.other", data, headers=binary)
    server.publish("events.eni", json.dumps([event("list-1"), event("list-2")]).encode())
    server.publish("events.eni", TICK, headers={"Nats-Msg-Id": "tick-7"})
    server.publish("events.eni", b"[]")
    # Not one of `subjects`.
    server.publish("events.unwanted", *bodies("unwanted"))
    eventually(lambda: server.has_nothing_left("EVENTS"))
    eventually(lambda: len(delivered(service)) == 4)
    assert set(delivered(service)) == {"native", "list-1", "list-2", None}
    assert metric(service, "reflexarc_events_accepted_total") == 6
    archived = {
        id: service.run("trace", id, "--format", "json").stdout
        for id in ("native", "structured", "binary", "list-1", "list-2", "tick-7")
    }
    assert all(len(json.loads(text)) == 1 for text in archived.values())
    assert "größe" in archived["binary"]
    assert outcomes(service, "accepted") == 6
    assert metric(service, 'reflexarc_source_connected{source="events"}') == 1
    (state,) = eventually(
        lambda: [one for one in status(service)["sources"] if one["pending"] == 0]
    )
    assert state["connected"] and state["error"] is None and state["last_message"]
    assert "source" in service.run("status").stdout
    assert service.stop() == 0


def test_a_crash_between_commit_and_acknowledgement_makes_no_copy(serve, nats_server):
    server = nats_server()
    server.add_stream("EVENTS", "events")
    proxy = Proxy(server.port, b"tick")
    service = serve(source(server, 'ack_wait = "2s"', proxy.port), rule=RULE)
    # Without an id of its own, and without `Nats-Msg-Id`: it is known by its place in the stream.
    server.publish("events", TICK)
    # Delivered, and that is recorded: what a crash interrupts is delivered once more.
    eventually(lambda: len(delivered(service)) == 1)
    eventually(lambda: service.run("outbox", "list").returncode == 1)
    info = server.consumer("EVENTS")
    assert info.num_ack_pending == 1 and info.ack_floor.stream_seq == 0
    service.process.kill()
    service.process.wait()
    proxy.marker = b"no such bytes"
    proxy.is_closed.clear()
    service.start()
    eventually(lambda: server.has_nothing_left("EVENTS"))
    assert metric(service, 'reflexarc_source_redelivered_total{source="events"}') == 1
    assert metric(service, "reflexarc_events_duplicate_total") == 1
    assert metric(service, "reflexarc_events_accepted_total") == 0
    assert len(delivered(service)) == 1
    proxy.close()


def test_messages_that_are_no_events_are_published_with_the_reason(serve, nats_server):
    server = nats_server()
    server.add_stream("EVENTS", "events.>")
    service = start(
        serve, server, 'ack_wait = "2s"\nreject_subject = "rejects"\n[limits]\nbody_bytes = 65536'
    )
    own = {"X-Team": "network", "Nats-Msg-Id": "bad-1"}
    server.publish("events.a", b"{ no json", headers=own)
    server.publish("events.b", b"x" * 70_000)
    # One of them is no event: none is accepted.
    server.publish("events.c", b'[{"id": "good"}, 7]')
    # Nothing listens on the subject yet: the messages stay in the stream.
    detail = eventually(lambda: problems(service, "source_failing").get("events: reject_subject"))
    assert "no stream listens on `rejects`" in detail
    assert server.consumer("EVENTS").num_ack_pending == 3
    server.add_stream("REJECTS", "rejects")
    eventually(lambda: len(server.stored("REJECTS")) == 3)
    eventually(lambda: server.has_nothing_left("EVENTS"))
    found = {one.headers["Reflexarc-Subject"]: one for one in server.stored("REJECTS")}
    bad = found["events.a"]
    assert bad.data == b"{ no json"
    assert bad.headers["X-Team"] == "network"
    assert bad.headers["Reflexarc-Original-Msg-Id"] == "bad-1"
    assert bad.headers["Nats-Msg-Id"].startswith("reject-EVENTS-1-")
    assert bad.headers["Reflexarc-Stream"] == "EVENTS"
    assert bad.headers["Reflexarc-Sequence"] == "1"
    assert bad.headers["Reflexarc-Source"] == "events"
    assert bad.headers["Reflexarc-Code"].startswith("RA")
    assert bad.headers["Reflexarc-Reason"]
    large = found["events.b"]
    assert large.headers["Reflexarc-Code"] == "too_large"
    assert large.headers["Reflexarc-Reason"] == "the message has 70000 bytes; 65536 are allowed"
    assert large.data == b"x" * 70_000
    assert "element 1: " in found["events.c"].headers["Reflexarc-Reason"]
    assert outcomes(service, "rejected") == 3
    assert metric(service, "reflexarc_events_accepted_total") == 0
    assert "events" in problems(service, "messages_rejected")
    eventually(lambda: not problems(service, "source_failing"))
    assert "rejected a message of a source" in (service.folder / "serve.log").read_text()


def test_a_payload_that_does_not_fit_with_its_headers_is_cut(serve, nats_server):
    server = nats_server()
    server.add_stream("EVENTS", "events")
    server.add_stream("REJECTS", "rejects")
    service = start(serve, server, 'reject_subject = "rejects"')
    # As large as the server allows.
    server.publish("events", b"x" * 1_048_576)
    eventually(lambda: len(server.stored("REJECTS")) == 1)
    (cut,) = server.stored("REJECTS")
    assert cut.headers["Reflexarc-Truncated-From"] == "1048576"
    assert cut.data == b"x" * len(cut.data) and len(cut.data) > 1_000_000
    eventually(lambda: outcomes(service, "rejected") == 1)


def test_without_a_subject_for_rejects_the_log_has_the_reason(serve, nats_server):
    server = nats_server()
    server.add_stream("EVENTS", "events")
    service = start(serve, server)
    server.publish("events", b"<event/>", *bodies(1))
    eventually(lambda: delivered(service) == ["1"])
    eventually(lambda: server.has_nothing_left("EVENTS"))
    detail = problems(service, "messages_rejected")["events"]
    assert detail == "expected JSON, found XML: convert it to JSON"
    assert detail in (service.folder / "serve.log").read_text()


def test_a_server_that_is_away_is_a_problem_and_not_an_end(serve, nats_server):
    server = nats_server(start=False)
    service = start(serve, server)
    detail = eventually(lambda: problems(service, "source_failing").get("events"))
    assert "cannot connect to 127.0.0.1" in detail
    assert service.run("status").returncode == 1
    server.start()
    # The stream is missing until it is created.
    eventually(lambda: "does not exist" in problems(service, "source_failing").get("events", ""))
    server.add_stream("EVENTS", "events")
    server.publish("events", *bodies(1))
    eventually(lambda: delivered(service) == ["1"])
    eventually(lambda: not problems(service, "source_failing"))
    # It dies, and comes back with what it has stored.
    server.kill()
    eventually(lambda: not status(service)["sources"][0]["connected"])
    eventually(lambda: problems(service, "source_failing"))
    assert service.ready()
    server.start()
    server.publish("events", *bodies(2))
    eventually(lambda: delivered(service) == ["1", "2"])
    eventually(lambda: not problems(service, "source_failing"))


def test_a_consumer_that_was_removed_is_made_again(serve, nats_server):
    server = nats_server()
    server.add_stream("EVENTS", "events")
    service = start(serve, server)
    server.publish("events", *bodies(1))
    eventually(lambda: delivered(service) == ["1"])
    server.use(lambda stream: stream.delete_consumer("EVENTS", "reflexarc"))
    server.publish("events", *bodies(2))
    # The new consumer begins with the first message, which is recognised.
    eventually(lambda: delivered(service) == ["1", "2"])
    assert metric(service, "reflexarc_events_duplicate_total") == 1


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_a_stop_under_load_loses_nothing_and_makes_no_copies(serve, nats_server, stop):
    server = nats_server()
    server.add_stream("EVENTS", "events")
    wait = "2s" if stop == signal.SIGKILL else "2m"
    service = start(serve, server, f'ack_wait = "{wait}"\nbatch = 50')
    count = 1_000
    server.publish("events", *bodies(*range(count)))
    eventually(lambda: len(delivered(service)) > 50)
    service.process.send_signal(stop)
    code = service.process.wait(30)
    if stop == signal.SIGTERM:
        assert code == 0
    service.start()
    # What was in flight was acknowledged, and what was on its way was given back: nothing waits for
    # the two minutes.
    eventually(lambda: server.has_nothing_left("EVENTS"), seconds=300)
    eventually(lambda: len(set(delivered(service))) == count)
    if stop == signal.SIGTERM:
        assert metric(service, "reflexarc_events_duplicate_total") == 0
        assert len(delivered(service)) == count


def test_nodes_share_a_consumer(serve, nats_server):
    server = nats_server()
    server.add_stream("EVENTS", "events")
    services = [start(serve, server, "batch = 10\nmax_ack_pending = 15") for _ in range(2)]
    server.publish("events", *bodies(*range(300)))
    eventually(lambda: server.has_nothing_left("EVENTS"))
    eventually(lambda: sum(len(delivered(service)) for service in services) == 300)
    found = [set(delivered(service)) for service in services]
    assert all(found) and not found[0] & found[1]
    assert server.consumer("EVENTS").config.max_ack_pending == 15


def test_messages_without_room_wait_for_it(serve, nats_server):
    server = nats_server()
    server.add_stream("EVENTS", "events")
    service = start(serve, server, "[limits]\nqueue_events = 100\nbatch_events = 60")
    messages = [
        json.dumps([event(f"{batch}-{n}", f"eni-{n}") for n in range(60)]).encode()
        for batch in range(10)
    ]
    server.publish("events", *messages)
    eventually(lambda: server.has_nothing_left("EVENTS"))
    eventually(lambda: len(delivered(service)) == 600)
    assert outcomes(service, "accepted") == 10
    # They have waited for room, in their order.
    assert outcomes(service, "postponed") == 0
    first = [id for id in delivered(service) if id.endswith("-7")]
    assert first == [f"{batch}-7" for batch in range(10)]


def test_messages_that_wait_too_long_come_again(serve, nats_server):
    server = nats_server()
    server.add_stream("EVENTS", "events")
    limits = "[limits]\nqueue_events = 100\nbatch_events = 60\n"
    service = serve(source(server, 'ack_wait = "2s"') + limits + BUDGET, rule=SLOW)
    messages = [
        json.dumps([event(f"{batch}-{n}", f"eni-{n}") for n in range(60)]).encode()
        for batch in range(5)
    ]
    server.publish("events", *messages)
    eventually(lambda: server.has_nothing_left("EVENTS"), seconds=600)
    assert metric(service, "reflexarc_events_accepted_total") == 300
    assert outcomes(service, "postponed") >= 1
    assert "source events" in problems(service, "intake_full")


def test_a_message_that_takes_long_is_not_sent_to_another_node(serve, nats_server):
    server = nats_server()
    server.add_stream("EVENTS", "events")
    service = serve(source(server, 'ack_wait = "6s"') + BUDGET, rule=SLOW)
    many = [event(number, f"eni-{number}") for number in range(2_000)]
    began = time.monotonic()
    server.publish("events", json.dumps(many).encode())
    eventually(lambda: server.consumer("EVENTS").delivered.stream_seq == 1)
    eventually(lambda: server.has_nothing_left("EVENTS"), seconds=600)
    assert time.monotonic() - began > 6
    assert metric(service, "reflexarc_events_accepted_total") == 2_000
    assert metric(service, "reflexarc_events_duplicate_total") == 0
    assert metric(service, 'reflexarc_source_redelivered_total{source="events"}') == 0


def test_a_consumer_of_other_settings_is_compared(serve, nats_server):
    server = nats_server()
    server.add_stream("EVENTS", "events")
    server.use(
        lambda stream: stream.add_consumer(
            "EVENTS", durable_name="reflexarc", ack_policy="explicit", max_deliver=3, ack_wait=5
        )
    )
    service = start(serve, server)
    detail = eventually(lambda: problems(service, "source_failing").get("events"))
    assert "max_deliver" in detail and "nats consumer edit" in detail
    # What loses no messages is reported, and used.
    server.use(
        lambda stream: stream.add_consumer(
            "EVENTS", durable_name="reflexarc", ack_policy="explicit", max_deliver=-1, ack_wait=5
        )
    )
    server.publish("events", *bodies(1))
    eventually(lambda: delivered(service) == ["1"])
    differences = status(service)["sources"][0]["differences"]
    assert differences == ["ack_wait is 5s instead of 30s"]


def test_the_login_is_by_a_secret(serve, nats_server):
    server = nats_server("authorization { token: canary-token }", token="canary-token")
    server.add_stream("EVENTS", "events")
    token = 'token = { env = "NATS_TOKEN" }'
    wrong = start(serve, server, token, NATS_TOKEN="canary-wrong")
    detail = eventually(lambda: problems(wrong, "source_failing").get("events"))
    assert "authorization violation" in detail
    service = start(serve, server, token, NATS_TOKEN="canary-token")
    server.publish("events", *bodies(1))
    eventually(lambda: delivered(service) == ["1"])
    for one in (wrong, service):
        assert "canary" not in (one.folder / "serve.log").read_text()
        assert "canary" not in one.call("GET", "/status")[1]


def test_the_server_is_known_by_its_certificate(serve, nats_server):
    import ssl

    context = ssl.create_default_context(cafile=str(FIXTURES / "localhost.pem"))
    context.check_hostname = False
    server = nats_server(
        f'tls {{ cert_file: "{FIXTURES}/localhost.pem", key_file: "{FIXTURES}/localhost.key" }}',
        tls=context,
    )
    server.add_stream("EVENTS", "events")
    secure = source(server).replace("nats://127.0.0.1", "tls://localhost")
    trusting = secure.replace("stream =", f'authorities = "{FIXTURES}/localhost.pem"\nstream =')
    unknown = serve(secure, rule=RULE)
    detail = eventually(lambda: problems(unknown, "source_failing").get("events"))
    assert "certificate" in detail
    service = serve(trusting, rule=RULE)
    server.publish("events", *bodies(1))
    eventually(lambda: delivered(service) == ["1"])


def test_the_configuration_says_what_is_wrong(tmp_path):
    (tmp_path / "reflexarc.toml").write_text("""
[sources.a]
type = "jetstream"
url = "http://nats.example.com"
stream = "has spaces"
subjects = ["events.>"]
reject_subject = "events.rejects"
ack_wait = "1ms"
token = "in the clear"
""")
    checked = subprocess.run(
        [program(), "config", "check"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=60,
    )
    text = checked.stdout + checked.stderr
    assert checked.returncode == 3
    for part in (
        "expected nats://host:port",
        "invalid name `has spaces`",
        "`reject_subject` `events.rejects` is one of `subjects`",
        "`ack_wait` is out of range",
    ):
        assert part in text, text
    assert "in the clear" not in text


def test_requests_that_are_not_permitted_are_a_problem(serve, nats_server):
    users = """
authorization {
  users: [
    { user: admin, password: secret }
    { user: reader, password: secret
      permissions: { publish: { deny: ["$JS.API.CONSUMER.MSG.NEXT.>"] } } }
  ]
}
"""
    server = nats_server(users, user="admin", password="secret")
    server.add_stream("EVENTS", "events")
    login = 'user = "reader"\npassword = { env = "NATS_PASSWORD" }'
    service = start(serve, server, login, NATS_PASSWORD="secret")
    detail = eventually(lambda: problems(service, "source_failing").get("events"))
    assert "Permissions Violation" in detail and "MSG.NEXT" in detail, detail
    assert "Permissions Violation" in status(service)["sources"][0]["error"]
    # Each request for messages fails, and the problem lasts.
    time.sleep(6)
    assert problems(service, "source_failing")

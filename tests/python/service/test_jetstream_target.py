"""Targets of type jetstream, with real servers."""

from __future__ import annotations

import json

from nats_servers import NatsServer
from service_process import Service, event, eventually

RULE = """
when = 'content.result == "failed"'
then = '''
notify("stream", #{ title: "attach failed", text: event.content.operation });
'''
"""


def start(serve, server: NatsServer, more: str = "", rule: str = RULE) -> Service:
    target = f"""
[targets.stream]
type = "jetstream"
url = "{server.url}"
subject = "alerts.reflexarc"
retry = ["100ms", "200ms", "500ms", "500ms", "500ms", "500ms", "500ms", "500ms", "500ms", "1s"]
breaker = {{ failures = 0 }}
{more}"""
    return serve(target, rule=rule)


def test_deliveries_are_published_under_their_ids(serve, nats_server):
    server = nats_server()
    server.add_stream("ALERTS", "alerts.>")
    service = start(serve, server, 'stream = "ALERTS"\nheaders = { X-Team = "network" }')
    service.post(event("e1"), event("e2", "eni-2"))
    deliveries = [service.settled(number, "delivered")[0] for number in ("e1", "e2")]
    stored = {one.headers["Nats-Msg-Id"]: one for one in server.stored("ALERTS")}
    assert set(stored) == {delivery["id"] for delivery in deliveries}
    first = stored[deliveries[0]["id"]]
    assert first.subject == "alerts.reflexarc"
    assert first.headers["Content-Type"] == "application/cloudevents+json"
    assert first.headers["X-Team"] == "network"
    cloudevent = json.loads(first.data)
    assert cloudevent["id"] == deliveries[0]["id"] and cloudevent["eventid"] == "e1"
    assert cloudevent["data"]["title"] == "attach failed"
    answers = [delivery["attempts"][0]["answer"] for delivery in deliveries]
    assert sorted(answers) == ["stored in ALERTS as 1", "stored in ALERTS as 2"]


def test_bodies_may_come_from_a_template(serve, nats_server):
    server = nats_server()
    server.add_stream("ALERTS", "alerts.>")
    service = start(serve, server, "body = '{\"summary\": {{ title }}}'")
    service.post(event("e1"))
    service.settled("e1", "delivered")
    (stored,) = server.stored("ALERTS")
    assert json.loads(stored.data) == {"summary": "attach failed"}
    assert stored.headers["Content-Type"] == "application/json"


def test_a_stream_or_server_that_is_away_is_tried_again(serve, nats_server):
    server = nats_server()
    service = start(serve, server)
    service.post(event("e1"))

    def attempts(number: str) -> list[dict]:
        found = service.deliveries(number)
        return found[0]["attempts"] if found else []

    first = eventually(lambda: attempts("e1"))[0]
    assert first["outcome"] == "failed"
    assert first["answer"] == "no stream listens on `alerts.reflexarc`"
    server.add_stream("ALERTS", "alerts.>")
    service.settled("e1", "delivered")
    server.kill()
    service.post(event("e2"))
    assert eventually(lambda: attempts("e2"))[0]["outcome"] == "failed"
    server.start()
    service.settled("e2", "delivered")
    ids = [json.loads(one.data)["eventid"] for one in server.stored("ALERTS")]
    assert ids == ["e1", "e2"]


def test_what_no_retry_helps_is_a_dead_letter(serve, nats_server):
    server = nats_server()
    server.add_stream("SMALL", "alerts.>", max_msg_size=2_000)
    service = start(serve, server)
    service.post(event("e1", operation="x" * 3_000))
    (delivery,) = service.settled("e1", "dead")
    assert len(delivery["attempts"]) == 1
    assert delivery["attempts"][0]["outcome"] == "refused"
    assert "10054" in delivery["attempts"][0]["answer"]
    other = start(serve, server, 'stream = "OTHER"')
    other.post(event("e2"))
    (delivery,) = other.settled("e2", "dead")
    assert delivery["attempts"][0]["outcome"] == "misconfigured"
    # The target's own rule for an error code of JetStream.
    third = start(serve, server, 'stream = "OTHER"\nretry_statuses = [10060]')
    third.post(event("e3"))
    found = eventually(lambda: third.deliveries("e3") and third.deliveries("e3")[0]["attempts"])
    assert found[0]["outcome"] == "failed"


def test_a_test_message_can_be_sent(serve, nats_server):
    server = nats_server()
    server.add_stream("ALERTS", "alerts.>")
    service = start(serve, server)
    tested = service.run("target", "test", "stream")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert len(server.stored("ALERTS")) == 1

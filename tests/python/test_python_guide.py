"""docs/python.md: the tutorial runs line by line, the recipes with the official clients."""

from __future__ import annotations

import asyncio
import doctest
import json
import re
import socket
import subprocess
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import moto
import nats
import pytest
import reflexarc as ra
from confluent_kafka import Consumer, Producer, TopicPartition

RULE = """
when = 'n exists'
then = 'send("out", event.n)'
"""


@pytest.fixture
def guide(root: Path) -> str:
    return (root / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a rule and a target."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "send.toml").write_text(RULE)
    config = 'rules = "rules"\n[targets.out]\ntype = "file"\npath = "out.ndjson"\n'
    (tmp_path / "reflexarc.toml").write_text(config)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def recipe(guide: str, folder: Path) -> Callable[[str], dict[str, Any]]:
    """The names that the code of a recipe defines."""

    def run(name: str) -> dict[str, Any]:
        found = re.search(rf"<!-- recipe: {name} -->\n```python\n(.*?)```", guide, re.DOTALL)
        assert found is not None
        names: dict[str, Any] = {}
        # The longest time that a queue waits, which a test has to wait at its end.
        code = (
            found[1].replace("WaitTimeSeconds=20", "WaitTimeSeconds=1").replace("16, 20", "16, 1")
        )
        exec(compile(code, f"docs/python.md, {name}", "exec"), names)
        return names

    return run


def delivered(folder: Path) -> list[int]:
    """The numbers that were delivered."""
    file = folder / "out.ndjson"
    text = file.read_text() if file.exists() else ""
    # The last line may be half written.
    lines = text.split("\n")[:-1]
    return [json.loads(line)["send"] for line in lines]


def stopped_when(
    app_class: Any, monkeypatch: pytest.MonkeyPatch, is_done: Callable[[], bool]
) -> None:
    """Have every automation stop when `is_done`."""
    begin = app_class._begin_run

    def begin_run(self: ra.Automation, until: Any) -> Any:
        def watch() -> None:
            end = time.monotonic() + 60
            while not is_done() and time.monotonic() < end:
                time.sleep(0.02)
            self.stop()

        threading.Thread(target=watch, daemon=True).start()
        return begin(self, until)

    monkeypatch.setattr(app_class, "_begin_run", begin_run)


def test_the_tutorial_runs(guide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tutorial = guide.partition("## Recipes")[0]
    test = doctest.DocTestParser().get_doctest(tutorial, {}, "python.md", "docs/python.md", 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert len(test.examples) > 40 and runner.run(test).failed == 0


def test_a_function_processes_each_event(recipe: Any, folder: Path) -> None:
    handler = recipe("function")["handler"]
    handler(b'{"n": 1}', None)
    record = {"messageId": "m", "receiptHandle": "r", "eventSource": "aws:sqs"}
    handler({"Records": [{**record, "body": '{"n": 2}'}]}, None)
    handler({"Records": [{"n": 3}, {"n": 4}]}, None)
    assert delivered(folder) == [1, 2, 3, 4]


def test_sqs(recipe: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "cn-north-1")
    with moto.mock_aws():
        client = boto3.client("sqs")
        url = client.create_queue(QueueName="events")["QueueUrl"]
        for number in range(25):
            client.send_message(QueueUrl=url, MessageBody=json.dumps({"n": number}))
        stopped_when(ra.Automation, monkeypatch, lambda: len(delivered(folder)) == 25)
        summary = recipe("sqs")["main"](url)
        left = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert summary.stopped and summary.events == 25
    assert sorted(delivered(folder)) == list(range(25))
    assert left["ApproximateNumberOfMessages"] == "0"
    assert left["ApproximateNumberOfMessagesNotVisible"] == "0"


class Mns:
    """A queue of the HTTP API of MNS: receive, delete, change the visibility."""

    def __init__(self, bodies: list[str]) -> None:
        self.waiting = dict(enumerate(bodies))
        self.received: set[int] = set()
        queue = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = [each for each in queue.waiting if each not in queue.received][:16]
                if not found:
                    time.sleep(0.05)
                    error = "<Code>MessageNotExist</Code><Message>Message not exist.</Message>"
                    error += "<RequestId>R</RequestId><HostId>http://127.0.0.1</HostId>"
                    return self.respond(404, f"<Error>{error}</Error>")
                queue.received.update(found)
                messages = "".join(
                    f"<Message><MessageId>{n}</MessageId><ReceiptHandle>{n}</ReceiptHandle>"
                    f"<MessageBody>{queue.waiting[n]}</MessageBody><MessageBodyMD5>0</MessageBodyMD5>"
                    "<EnqueueTime>1</EnqueueTime><NextVisibleTime>2</NextVisibleTime>"
                    "<FirstDequeueTime>1</FirstDequeueTime><DequeueCount>1</DequeueCount>"
                    "<Priority>8</Priority></Message>"
                    for n in found
                )
                self.respond(200, f"<Messages>{messages}</Messages>")

            def do_DELETE(self) -> None:
                (number,) = map(int, parse_qs(urlsplit(self.path).query)["ReceiptHandle"])
                del queue.waiting[number]
                self.respond(204, "")

            def do_PUT(self) -> None:
                (number,) = map(int, parse_qs(urlsplit(self.path).query)["ReceiptHandle"])
                queue.received.discard(number)
                visibility = f"<ReceiptHandle>{number}</ReceiptHandle>"
                visibility += "<NextVisibleTime>1</NextVisibleTime>"
                self.respond(200, f"<ChangeVisibility>{visibility}</ChangeVisibility>")

            def respond(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("content-type", "text/xml")
                self.send_header("content-length", str(len(text)))
                self.send_header("x-mns-request-id", "R")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_mns(recipe: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Mns([f'{{"n": {number}}}' for number in range(20)])
    endpoint = f"http://127.0.0.1:{queue.server.server_port}"
    # The first event fails once, and is given back.
    failing = [True]
    stopped_when(ra.Automation, monkeypatch, lambda: not queue.waiting)
    begin = ra.Automation._begin_run

    def begin_run(self: ra.Automation, until: Any) -> Any:
        @self.on("n == 0")
        def fail_once(event: ra.Event, match: ra.Match) -> None:
            if failing and failing.pop():
                raise ConnectionError

        return begin(self, until)

    monkeypatch.setattr(ra.Automation, "_begin_run", begin_run)
    summary = recipe("mns")["main"](endpoint, "id", "secret", "events")
    queue.server.shutdown()
    queue.server.server_close()
    assert summary.stopped and summary.events == 20
    assert sorted(delivered(folder)) == list(range(20)) and delivered(folder)[0] == 1


def test_kafka(recipe: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A broker inside of the client library, which others can connect to.
    producer = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1})
    (broker,) = producer.list_topics("events", timeout=60).brokers.values()
    for number in range(10):
        producer.produce("events", json.dumps({"n": number}), partition=0)
    assert producer.flush(10) == 0
    servers = f"{broker.host}:{broker.port}"
    stopped_when(ra.Automation, monkeypatch, lambda: len(delivered(folder)) == 10)
    summary = recipe("kafka")["main"](servers, "automation", "events")
    assert summary.stopped and delivered(folder) == list(range(10))
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "automation"})
    (committed,) = consumer.committed([TopicPartition("events", 0)], timeout=60)
    consumer.close()
    assert committed.offset == 10, "what was acknowledged does not come again"


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[str]:
    """A NATS server with JetStream."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    binary = Path(sysconfig.get_path("scripts"), "nats-server")
    command = [str(binary), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(tmp_path / "js")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"nats://127.0.0.1:{port}"
        process.terminate()


def test_jetstream(recipe: Any, folder: Path, nats_server: str, monkeypatch: Any) -> None:
    async def publish(numbers: range) -> None:
        connection = await nats.connect(nats_server)
        stream = connection.jetstream()
        await stream.add_stream(name="EVENTS", subjects=["eni.>"])
        for number in numbers:
            result = "failed" if number == 3 else "success"
            event = {"n": number, "content": {"result": result}}
            await stream.publish("eni.events", json.dumps(event).encode())
        await connection.close()

    async def pending() -> int:
        connection = await nats.connect(nats_server)
        consumer = await connection.jetstream().consumer_info("EVENTS", "automation")
        await connection.close()
        return consumer.num_pending + consumer.num_ack_pending

    asyncio.run(publish(range(10)))
    main = recipe("jetstream")["main"]
    stopped_when(ra.Automation, monkeypatch, lambda: len(delivered(folder)) >= 10)
    summary = asyncio.run(main(nats_server, "eni.>", "automation"))
    assert summary.stopped and summary.events == 10
    assert delivered(folder) == list(range(10)) and asyncio.run(pending()) == 0


def test_an_archive_is_audited(recipe: Any, tmp_path: Path) -> None:
    archive = tmp_path / "archive.ndjson"
    results = ["failed", "success", "failed", 'quoted " and , and \u2028']
    with open(archive, "w") as file:
        for number in range(20_000):
            event = {"content": {"result": results[number % 4], "n": number}}
            file.write(json.dumps(event) + "\n")
    rules = ra.RuleSet(
        {"failed": 'content.result == "failed"', "late": "content.n >= 19990", "never": "a == 1"}
    )
    found = recipe("audit")["audit"](archive, rules)
    assert found.rows() == [("failed", 10_000), ("late", 10)]


def test_an_archive_is_rehearsed(recipe: Any, root: Path) -> None:
    archive = root / "examples" / "eni-events.ndjson"
    summary, actions = recipe("rehearse")["rehearse"](archive, root / "rules")
    assert summary.events == 30 and summary.failures == 0
    assert actions["failed-operation", "network-team"] == 4
    assert sum(actions.values()) == summary.actions

"""The traces of the service, checked against the official OTLP schema."""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.protobuf.json_format import MessageToDict, Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from service_process import event, eventually, free_port

RULE = """
when = 'content.result == "failed"'
then = '''
if event.content.eniId == "eni-broken" { throw "broken on purpose"; }
send("kept", #{ id: event.id });
send("gone", #{ id: event.id });
'''
"""


class Collector:
    """Stands in for an OpenTelemetry collector and keeps what is posted to it."""

    def __init__(self):
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                requests.append((self.path, headers, body))
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def messages(self) -> list[ExportTraceServiceRequest]:
        """The requests, parsed with the official classes."""
        return [parse(body) for _, _, body in self.requests]


@pytest.fixture
def collector():
    running = Collector()
    yield running
    running.close()


def with_base64_ids(value: object, key: str = "") -> object:
    """The body with its ids in base64.

    OTLP writes trace and span ids in hexadecimal, where protobuf's JSON mapping, which
    `json_format` implements, has base64 for bytes.
    """
    if isinstance(value, dict):
        return {name: with_base64_ids(member, name) for name, member in value.items()}
    if isinstance(value, list):
        return [with_base64_ids(element) for element in value]
    if key in ("traceId", "spanId", "parentSpanId"):
        assert value == value.lower()
        return base64.b64encode(bytes.fromhex(value)).decode()
    return value


def parse(body: bytes) -> ExportTraceServiceRequest:
    """Parse a body; fail at fields that the schema does not have."""
    document = with_base64_ids(json.loads(body))
    message = Parse(json.dumps(document), ExportTraceServiceRequest(), ignore_unknown_fields=False)
    # The same JSON again: names in lower camel case, 64-bit numbers as strings, enumerations as
    # numbers. `Parse` alone would accept other spellings, which other receivers reject.
    assert MessageToDict(message, use_integers_for_enums=True) == document
    return message


def attributes(holder) -> dict[str, object]:
    """Attributes by key, each of which occurs once."""
    found = {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in holder.attributes
    }
    assert len(found) == len(holder.attributes)
    return found


def by_name(spans: list[Span], event_id: str) -> dict[str, list[Span]]:
    """The spans of an event."""
    found: dict[str, list[Span]] = {}
    for span in spans:
        if attributes(span)["event.id"] == event_id:
            found.setdefault(span.name, []).append(span)
    return found


def test_traces_conform_to_the_otlp_schema(serve, collector):
    settings = f"""
[telemetry]
endpoint = "{collector.url}"
headers = {{ x-team = {{ env = "TEAM" }} }}

[targets.kept]
type = "file"
path = "kept.ndjson"

[targets.gone]
type = "webhook"
url = "http://127.0.0.1:{free_port()}/"
allow = ["127.0.0.1/32"]
retry = ["10ms"]
"""
    begun = time.time_ns()
    service = serve(settings, rule=RULE, TEAM="network")
    service.post(event("e1"), event("e2", "eni-broken"))
    service.post(event("e1"))
    settled = {delivery["target"]: delivery for delivery in wait_for_both(service)}
    # Stopping sends the spans that are waiting.
    assert service.stop() == 0
    ended = time.time_ns()

    assert collector.requests
    for path, headers, _ in collector.requests:
        assert path == "/v1/traces"
        assert headers["content-type"] == "application/json"
        assert headers["x-team"] == "network"

    spans = []
    for message in collector.messages():
        [resource] = message.resource_spans
        assert attributes(resource.resource)["service.name"] == "reflexarc"
        assert attributes(resource.resource)["service.version"]
        [scope] = resource.scope_spans
        assert scope.scope.name == "reflexarc"
        assert scope.spans
        spans += scope.spans

    for span in spans:
        assert len(span.trace_id) == 16 and any(span.trace_id)
        assert len(span.span_id) == 8 and any(span.span_id)
        assert len(span.parent_span_id) in (0, 8)
        assert begun <= span.start_time_unix_nano <= span.end_time_unix_nano <= ended
        assert attributes(span)["event.source"] == "acs.ecs"
    assert len({span.span_id for span in spans}) == len(spans)

    check_delivered_event(by_name(spans, "e1"), settled)
    check_failed_reaction(by_name(spans, "e2"))


def wait_for_both(service) -> list[dict]:
    """The deliveries of `e1`: one delivered, one dead after its retry."""

    def settled():
        found = service.deliveries("e1")
        return found if {each["status"] for each in found} == {"delivered", "dead"} else None

    return eventually(settled)


def check_delivered_event(spans: dict[str, list[Span]], settled: dict[str, dict]) -> None:
    """Check the trace of an event with a duplicate and two deliveries."""
    assert {name: len(found) for name, found in spans.items()} == {
        "accept": 2,
        "evaluate": 1,
        "deliver": 3,
    }
    assert len({span.trace_id for found in spans.values() for span in found}) == 1
    accepts = {attributes(span)["duplicate"]: span for span in spans["accept"]}
    [evaluate] = spans["evaluate"]
    accept = accepts[False]
    assert accept.kind == accepts[True].kind == Span.SPAN_KIND_SERVER
    assert accept.parent_span_id == b""
    assert type(attributes(accept)["seq"]) is int
    assert evaluate.kind == Span.SPAN_KIND_INTERNAL
    assert evaluate.parent_span_id == accept.span_id
    assert attributes(evaluate)["rules.matched"] == 1
    for span in (accept, accepts[True], evaluate):
        assert span.status.code == Status.STATUS_CODE_UNSET and span.status.message == ""

    for span in spans["deliver"]:
        assert span.kind == Span.SPAN_KIND_CLIENT
        assert span.parent_span_id == evaluate.span_id
        found = attributes(span)
        assert found["delivery.id"] == settled[found["delivery.target"]]["id"]
        assert found["delivery.rule"] == "failed"
    outcomes = {
        (found["delivery.target"], found["delivery.attempt"]): (span.status, found)
        for span in spans["deliver"]
        for found in [attributes(span)]
    }
    assert set(outcomes) == {("kept", 1), ("gone", 1), ("gone", 2)}
    status, found = outcomes["kept", 1]
    assert status.code == Status.STATUS_CODE_UNSET
    assert found["delivery.outcome"] == "delivered"
    for attempt in (1, 2):
        status, found = outcomes["gone", attempt]
        assert status.code == Status.STATUS_CODE_ERROR and status.message
        assert found["delivery.outcome"] == "failed"


def check_failed_reaction(spans: dict[str, list[Span]]) -> None:
    """Check the trace of an event whose script fails: accepted, evaluated with an error."""
    assert {name: len(found) for name, found in spans.items()} == {"accept": 1, "evaluate": 1}
    assert spans["accept"][0].status.code == Status.STATUS_CODE_UNSET
    status = spans["evaluate"][0].status
    assert status.code == Status.STATUS_CODE_ERROR
    assert "broken on purpose" in status.message

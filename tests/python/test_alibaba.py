"""Calls of rules with the official SDK, against an API that answers as a test says."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import reflexarc as ra
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config

Respond = Callable[[int], tuple[int, dict[str, Any]]]


class Api:
    """Records requests, and answers the nth as `respond` says; a status of 0 closes the line."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.respond: Respond = lambda number: (200, {"RequestId": "R"})
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
                query = {**parse_qs(urlsplit(self.path).query), **parse_qs(body)}
                request = {name: values[0] for name, values in query.items()}
                request["Action"] = self.headers["x-acs-action"]
                api.requests.append(request)
                status, document = api.respond(len(api.requests))
                if status == 0:
                    return
                text = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def config(self) -> Config:
        return Config(
            access_key_id="id",
            access_key_secret="secret",
            endpoint=f"127.0.0.1:{self.server.server_port}",
            protocol="http",
            region_id="cn-hangzhou",
        )

    def client(self) -> Client:
        return Client(self.config())


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """An API; pauses between attempts are short."""
    monkeypatch.setattr("reflexarc.alibaba.PAUSES", (0.01,) * 4)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    server = Api()
    yield server
    server.server.shutdown()
    server.server.server_close()


def call(operation: str, parameters: str, eni: str = "eni-1") -> ra.Action:
    rule = f"when = 'eni exists'\nthen = 'call(\"ecs\", \"{operation}\", #{{ {parameters} }})'"
    return ra.RuleSet.from_rules({"r": rule}).evaluate({"id": eni, "eni": eni}).actions[0]


LOOK = ("DescribeNetworkInterfaces", 'NetworkInterfaceId: [event.eni], Tag: [#{ Key: "a" }]')
DELETE = ("DeleteNetworkInterface", "NetworkInterfaceId: event.eni")
CREATE = ("CreateNetworkInterface", 'VSwitchId: "vsw-1", SecurityGroupId: "sg-1"')
# `answered` of a rule sees what `RuleSet.answer` makes of the answer.
SHOW = """
when = 'eni exists'
then = 'call("ecs", "DescribeNetworkInterfaces", #{})'
answered = 'send("out", [answer.ok, answer.status, answer.code, answer.message, answer.body])'
"""


def test_a_response_is_the_body_of_the_answer(api: Api) -> None:
    rows = {"NetworkInterfaceSet": [{"NetworkInterfaceId": "eni-1", "Status": "Available"}]}
    api.respond = lambda number: (200, {"RequestId": "R", "NetworkInterfaceSets": rows})
    answer = ra.alibaba.call(call(*LOOK), api.client())
    (request,) = api.requests
    assert request["Action"] == "DescribeNetworkInterfaces"
    assert request["NetworkInterfaceId.1"] == "eni-1" and request["Tag.1.Key"] == "a"
    assert request["RegionId"] == "cn-hangzhou"
    rules = ra.RuleSet.from_rules({"show": SHOW})
    asked = rules.evaluate({"eni": 1}).actions[0]
    evaluation = rules.answer(asked, body=answer.body)
    ok, status, code, message, body = evaluation.actions[0].payload
    assert (ok, status, code or "", message or "") == (True, 200, "", "")
    assert body["NetworkInterfaceSets"]["NetworkInterfaceSet"][0]["Status"] == "Available"


def test_tokens_are_those_of_the_call_and_its_event(api: Api) -> None:
    for eni in ("eni-1", "eni-1", "eni-2"):
        ra.alibaba.call(call(*CREATE, eni), api.client())
    given = call(CREATE[0], CREATE[1] + ', ClientToken: "mine", RegionId: "cn-beijing"')
    ra.alibaba.call(given, api.client())
    first, again, other, mine = [request["ClientToken"] for request in api.requests]
    assert first == again != other and mine == "mine" and len(first) == 64
    assert api.requests[3]["RegionId"] == "cn-beijing"


def test_errors_of_the_api_are_answers(api: Api) -> None:
    api.respond = lambda number: (403, {"Code": "Forbidden.RAM", "Message": "not you"})
    answer = ra.alibaba.call(call(*DELETE), api.client())
    assert (answer.status, answer.code, answer.ok) == (403, "Forbidden.RAM", None)
    assert answer.message is not None and "not you" in answer.message
    assert len(api.requests) == 1


@pytest.mark.parametrize("operation", [LOOK, DELETE])
def test_throttling_is_tried_again(api: Api, operation: tuple[str, str]) -> None:
    error = (400, {"Code": "Throttling.User", "Message": "slow down"})
    api.respond = lambda number: error if number < 3 else (200, {"RequestId": "R"})
    assert ra.alibaba.call(call(*operation), api.client()).code is None
    assert len(api.requests) == 3
    api.respond = lambda number: error
    assert ra.alibaba.call(call(*operation), api.client()).code == "Throttling.User"
    assert len(api.requests) == 8


@pytest.mark.parametrize("status", [503, 0])
def test_only_what_reads_is_tried_again(api: Api, status: int) -> None:
    error = (status, {"Code": "ServiceUnavailable", "Message": "later"})
    api.respond = lambda number: error if number < 3 else (200, {"RequestId": "R"})
    assert ra.alibaba.call(call(*LOOK), api.client()).code is None
    assert len(api.requests) == 3
    api.respond = lambda number: error
    answer = ra.alibaba.call(call(*DELETE), api.client())
    assert answer.code == ("OutcomeUnknown" if status == 0 else "ServiceUnavailable")
    assert len(api.requests) == 4
    reading = ra.alibaba.call(call(*LOOK), api.client())
    assert reading.code == ("Undelivered" if status == 0 else "ServiceUnavailable")


def test_operations_that_are_not_allowed_are_not_executed(api: Api) -> None:
    answer = ra.alibaba.call(call(*DELETE), api.client(), allow=["Describe*", "Create*"])
    assert answer.code == "NotAllowed" and api.requests == []
    assert ra.alibaba.call(call(*LOOK), api.client(), allow=["Describe*"]).code is None


def test_mistakes_in_calls_are_explained(api: Api) -> None:
    client = api.client()
    with pytest.raises(ValueError, match=r"no parameter Tag\[0\]\.Kay, Zone"):
        ra.alibaba.call(call(LOOK[0], 'Tag: [#{ Kay: "a" }], Zone: "b"'), client)
    with pytest.raises(ValueError, match="has no operation 'DescribeNothing'"):
        ra.alibaba.call(call("DescribeNothing", ""), client)
    with pytest.raises(ValueError, match="expected a call"):
        rules = ra.RuleSet.from_rules({"r": "when = 'a exists'\nnotify = ['ops']"})
        ra.alibaba.call(rules.evaluate({"a": 1}).actions[0], client)
    assert api.requests == []


def test_names_of_operations_with_digits(api: Api) -> None:
    parameters = 'NetworkInterfaceId: event.eni, Ipv6Address: ["2001:db8::1"]'
    ra.alibaba.call(call("AssignIpv6Addresses", parameters), api.client())
    assert api.requests[0]["Ipv6Address.1"] == "2001:db8::1"


def test_calls_in_an_event_loop(api: Api) -> None:
    error = (400, {"Code": "Throttling", "Message": "slow down"})
    api.respond = lambda number: error if number == 1 else (200, {"RequestId": "R"})
    app = ra.Automation(ra.RuleSet.from_rules({"show": SHOW}))
    client = api.client()
    shown: list[Any] = []
    app.target("out")(lambda action: shown.append(action.payload))

    @app.target("ecs")
    async def ecs(action: ra.Action) -> ra.Answer:
        return await ra.alibaba.call_async(action, client, allow=["Describe*"])

    asyncio.run(app.run_async([{"eni": "eni-1"}]))
    assert shown[0][:2] == [True, 200] and shown[0][4]["RequestId"] == "R"
    refused = ra.alibaba.call_async(call(*DELETE), client, allow=["Describe*"])
    assert asyncio.run(refused).code == "NotAllowed"


def test_the_example_of_the_guide(api: Api, root: Path) -> None:
    guide = (root / "docs" / "python.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- recipe: alibaba -->\n```python\n(.*?)```", guide, re.DOTALL)
    assert found is not None
    app = ra.Automation(ra.RuleSet.from_rules({"show": SHOW}))
    shown: list[Any] = []
    app.target("out")(lambda action: shown.append(action.payload))
    exec(found[1], {"ra": ra, "app": app, "config": api.config()})
    app.process({"eni": "eni-1"})
    assert shown[0][:2] == [True, 200]
    assert api.requests[0]["Action"] == "DescribeNetworkInterfaces"

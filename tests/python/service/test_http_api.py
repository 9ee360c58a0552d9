"""The OpenAPI document of the service against a running one, with requests that schemathesis makes.

REFLEXARC_API_EXAMPLES is the number of valid and of invalid requests for each operation.
"""

from __future__ import annotations

import gzip
import json
import os
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import jsonschema
import openapi_spec_validator
import pytest
import schemathesis
from hypothesis import strategies
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks
from service_process import ROOT, Service, eventually

EXAMPLES = int(os.environ.get("REFLEXARC_API_EXAMPLES", "2"))

# What schemathesis does not request, and why.
LEFT_OUT = {
    "live": "its response does not end; test_http_page.py reads it",
    "openapi": "its response is this document, which is compared",
}

CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]

# Schemas of requests, which may have any further members.
OPEN = {"Event", "CloudEvent"}

TARGETS = '[targets.log]\ntype = "file"\npath = "actions.ndjson"\n'
RULES = {
    "failed": """when = 'content.result == "failed"'\nthen = 'send("log", 1)'""",
    # A target that does not exist: its deliveries are dead letters.
    "nobody": """when = 'content.result == "failed"'\nthen = 'send("no" + "body", 1)'""",
    "delayed": """
when = 'content.result == "failed"'
then = 'send("log", 1, #{ after: "1h" })'""",
    "storm": """
when = 'content.result == "failed"'
by = "content.eniId"
count = { at_least = 2, within = "1h", quiet = "2h" }
then = 'send("log", key)'
resolved = 'send("log", key)'""",
}


@schemathesis.serializer("application/x-ndjson")
def lines(context: Any, value: Any) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")


def document() -> dict[str, Any]:
    return json.loads((ROOT / "crates/service/openapi.json").read_text(encoding="utf-8"))


def strict_document() -> dict[str, Any]:
    """The document, whose objects have no further members in responses."""
    whole = document()
    for name, schema in whole["components"]["schemas"].items():
        if name not in OPEN:
            close(schema)
    return whole


def close(schema: Any) -> None:
    """Let objects have no members but those that the document names."""
    if isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for part in schema.values():
            close(part)
    elif isinstance(schema, list):
        for part in schema:
            close(part)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "rules").mkdir()
    for name, text in RULES.items():
        (tmp_path / f"rules/{name}.toml").write_text(text)
    running = Service(tmp_path, TARGETS, None)
    yield running
    running.close()


def read(service: Service, path: str) -> Any:
    status, text = service.call("GET", path)
    assert status == 200, text
    return json.loads(text)


def add_things(service: Service, number: int) -> None:
    """Have a dead letter, a delayed delivery, matches, incidents and a silence."""
    events = [
        {"id": f"e-{number}-{part}", "content": {"eniId": f"eni-{part // 2}", "result": "failed"}}
        for part in range(5)
    ]
    service.post(*events)
    silence = {"pattern": 'rule == "failed"', "for": "1h", "reason": "test", "confirm": True}
    status, text = service.call("POST", "/silences", json.dumps(silence).encode())
    # Most that there may be: when there are many requests.
    assert status in (201, 409), text


def things(service: Service, operation: str) -> dict[str, list[str]]:
    """Values of the parameters in the path that name something that exists."""
    if "Incident" in operation:
        return {"id": [str(each["id"]) for each in read(service, "/incidents?limit=5")]}
    if "Silence" in operation:
        return {"id": [str(each["id"]) for each in read(service, "/silences")][:5]}
    if "Delivery" in operation:
        return {"id": [each["id"] for each in read(service, "/outbox?limit=5")]}
    if "DeadLetter" in operation:
        return {"id": [each["id"] for each in read(service, "/dlq?limit=5")]}
    if "Pending" in operation:
        keys = [each["key"] for each in read(service, "/pending?fired=true")]
        return {"rule": ["storm"], "key": keys}
    return {"name": ["log", "storm"], "event": ["e-0-0"]}


def test_the_document_is_valid_openapi() -> None:
    openapi_spec_validator.validate(document())


def test_examples_fit_their_schemas() -> None:
    whole = strict_document()
    checked = Counter[str]()

    def check(kind: str, content: dict[str, Any]) -> None:
        if "example" not in content or not isinstance(content["schema"], dict):
            return
        schema = {**content["schema"], "components": whole["components"]}
        jsonschema.Draft202012Validator(schema).validate(content["example"])
        checked[kind] += 1

    answers = list(whole["components"]["responses"].values())
    for methods in whole["paths"].values():
        for operation in methods.values():
            answers += operation["responses"].values()
            for content in operation.get("requestBody", {}).get("content", {}).values():
                check("request", content)
    for answer in answers:
        for content in answer.get("content", {}).values():
            check("response", content)
    assert checked["request"] >= 8 and checked["response"] >= 40, checked


def test_example_events_are_accepted_in_every_form(service: Service) -> None:
    operation = document()["paths"]["/events"]["post"]
    url = f"http://127.0.0.1:{service.port}/events"

    def post(body: bytes, **headers: str) -> None:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        with urllib.request.urlopen(urllib.request.Request(url, body, names)) as answer:
            assert json.load(answer)["accepted"] >= 1

    for media, content in operation["requestBody"]["content"].items():
        example = content["example"]
        if media.endswith("form-urlencoded"):
            body = urllib.parse.urlencode(example)
        else:
            body = example if isinstance(example, str) else json.dumps(example)
        post(body.encode(), content_type=media)
    post(gzip.compress(b'{"id": "gzip"}'), content_type="application/json", content_encoding="gzip")
    names = {"ce_specversion": "1.0", "ce_id": "binary", "ce_source": "s", "ce_type": "t"}
    post(b"{}", content_type="application/json", **names)


def test_responses_are_as_the_document_says(service: Service) -> None:
    assert read(service, "/openapi.json") == document()
    whole = strict_document()
    api = schemathesis.openapi.from_dict(whole)
    api.config.update(base_url=f"http://127.0.0.1:{service.port}")
    requested = Counter[str]()
    statuses = Counter[int]()
    for number, found in enumerate(api.get_all_operations()):
        operation = found.ok()
        name = operation.definition.raw["operationId"]
        if name in LEFT_OUT:
            continue
        add_things(service, number)
        eventually(lambda: read(service, "/dlq?limit=1"))
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            test = request_test(service, name, (requested, statuses))
            cases = operation.as_strategy(generation_mode=mode)
            try:
                hypothesis.given(cases, strategies.booleans(), strategies.data())(test)()
            except hypothesis.errors.Unsatisfiable:
                # Without parameters there is no invalid request.
                assert not operation.definition.raw.get("parameters"), name
    assert len(requested) == sum(map(len, whole["paths"].values())) - len(LEFT_OUT)
    # A few random requests have these at least, and many have all.
    usual = {200, 400, 404} if EXAMPLES < 50 else {200, 201, 202, 400, 404, 409}
    assert usual <= set(statuses), statuses


def request_test(
    service: Service, name: str, counters: tuple[Counter[str], Counter[int]]
) -> Callable[..., None]:
    """Send a request of an operation, and check the response."""
    requested, statuses = counters

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="REFLEXARC_API_EXAMPLES" not in os.environ,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    def test(case: Any, exists: bool, data: Any) -> None:
        known = things(service, name) if case.path_parameters else {}
        for parameter in case.path_parameters or {}:
            if exists and known.get(parameter):
                value = data.draw(strategies.sampled_from(known[parameter]))
                case.path_parameters[parameter] = value
        response = case.call(timeout=60)
        requested[name] += 1
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    return test

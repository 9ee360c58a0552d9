"""What rules see of events: the native form, canonical values, the events in documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import reflexarc as ra

ENI = "NetworkInterface:NetworkInterfaceOperateCompleted"

FILTERS = {
    "deleted": 'content.eniStatus == "Deleted"',
    "success": 'content.result == "success"',
    "listed": 'content.secondaryPrivateIps == "10.255.0.2"',
    "singular": "content.secondaryPrivateIp exists",
    "prose": 'content.eniStatus starts with "The"',
}
RULES = ra.RuleSet(FILTERS)
REACTIONS = ra.RuleSet.from_rules(
    {
        name: f"when = '{pattern}'\nthen = 'send(\"t\", event.content)'"
        for name, pattern in FILTERS.items()
    }
)

CONTENT = {
    "eniStatus": "The resource has been deleted.",
    "result": "accomplished",
    "secondaryPrivateIp": "10.255.0.2",
}

EVENTS = [
    {"name": ENI, "content": CONTENT},
    {"name": ENI, "content": {**CONTENT, "secondaryPrivateIps": []}},
    {"name": ENI, "traceId": "1", "content": CONTENT},
    {"name": ENI, "content": json.dumps(CONTENT)},
    {"specversion": "1.0", "source": "acs.ecs", "type": f"ecs:{ENI}", "data": CONTENT},
    {"alert": {"eventName": ENI, "eventContentMap": CONTENT}},
    {"alert": json.dumps({"eventName": ENI, "eventRawContent": json.dumps(CONTENT)})},
    {"TopicName": "t", "Message": json.dumps({"name": ENI, "content": CONTENT})},
    {"Records": [{"name": ENI, "content": CONTENT}]},
]

FORMS: list[Callable[[dict[str, Any]], Any]] = [
    lambda event: event,
    json.dumps,
    lambda event: json.dumps(event).encode(),
    ra.Event,
]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("form", FORMS)
def test_rules_see_canonical_values(event: dict[str, Any], form: Callable[..., Any]) -> None:
    expected = ["deleted", "listed", "success"]
    assert RULES.matching(form(event)) == expected
    assert RULES.matching_many([form(event)]) == [expected]
    assert RULES.matching_many(json.dumps(event).encode()) == [expected]
    evaluation = REACTIONS.evaluate(form(event))
    assert evaluation.matched == expected
    assert evaluation.actions[0].payload["eniStatus"] == "Deleted"
    assert evaluation.actions[0].payload["secondaryPrivateIps"] == ["10.255.0.2"]
    assert RULES.explain(form(event), "deleted")


@pytest.mark.parametrize("event", EVENTS)
def test_events_keep_what_they_were_made_of(event: dict[str, Any]) -> None:
    assert ra.Event(event).to_dict() == event
    assert ra.Event(event).normalized().to_dict()["content"]["eniStatus"] == "Deleted"
    assert not ra.Pattern(FILTERS["deleted"]).matches(event), "patterns match events as they are"


@pytest.mark.parametrize(
    "content",
    [
        {"eniStatus": "Deleted", "result": "success", "secondaryPrivateIps": ["10.255.0.2"]},
        {"eniStatus": ["deleted"], "result": "success", "secondaryPrivateIps": "10.255.0.2"},
        {"eniStatus": " Deleted", "result": "success ", "secondaryPrivateIps": [" 10.255.0.2"]},
    ],
)
def test_dicts_are_matched_like_text(content: dict[str, Any]) -> None:
    event = {"name": ENI, "content": content}
    assert (
        RULES.matching(event)
        == RULES.matching(json.dumps(event))
        == [
            "deleted",
            "listed",
            "success",
        ]
    )


def test_other_cloudevents_are_matched_as_they_are() -> None:
    rules = ra.RuleSet({"order": 'type == "com.example.order" and data.a == 1'})
    event = {
        "specversion": "1.0",
        "type": "com.example.order",
        "source": "/shop",
        "id": "1",
        "data": {"a": 1},
    }
    assert rules.matching(event) == rules.matching(json.dumps(event)) == ["order"]
    assert rules.matching({**event, "aliyunregionid": "cn-hangzhou"}) == []


def test_documents_give_their_events() -> None:
    records = {"Records": [{"a": 1}, {"a": 2}]}
    events = [ra.Event({"a": 1}), ra.Event({"a": 2})]
    assert ra.Event.read_all(records) == ra.Event.read_all(json.dumps(records)) == events
    assert ra.Event.read_all({"a": 1}) == [ra.Event({"a": 1})]
    assert ra.Event.read_all(b"data=%7B%22a%22%3A1%7D") == [ra.Event({"a": 1})]
    for take in (RULES.matching, REACTIONS.evaluate, lambda event: RULES.matching_many([event])):
        with pytest.raises(ra.EventError, match="a document that contains 2"):
            take(records)
    with pytest.raises(ra.EventError, match="event 2 of the document"):
        ra.Event.read_all({"TopicName": "t", "Message": '[{"a": 1}, 2]'})

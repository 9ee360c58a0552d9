"""Events: envelopes, the typed ENI notification, immutability."""

from __future__ import annotations

import copy
import decimal
import json
import pickle
from pathlib import Path

import pytest
import reflexarc as ra


@pytest.fixture(scope="module")
def examples(root: Path) -> list[ra.Event]:
    return [
        ra.Event(line)
        for line in (root / "examples" / "eni-events.ndjson").read_text().splitlines()
    ]


def test_the_documented_event_has_typed_fields(examples: list[ra.Event]) -> None:
    eni = examples[0].eni
    assert eni is not None
    assert (eni.operation, eni.eni_status, eni.result, eni.level) == (
        "AttachNetworkInterface",
        "InUse",
        "success",
        "INFO",
    )
    assert eni.event_time == "2019-04-09T04:18:26.922Z" and eni.region_id == "cn-hangzhou"
    assert eni.eni_id is None and eni.primary_private_ip is None, "masked values are None"
    assert eni.ipv6_prefixes == ["2001:db8::/32"]


def test_all_envelopes_have_one_native_form(examples: list[ra.Event]) -> None:
    envelopes = {event.envelope for event in examples}
    assert {
        "native ECS",
        "CloudEvents",
        "Cloud Monitor webhook",
        "Cloud Monitor rule",
        "AWS EventBridge",
    } <= envelopes
    for event in examples:
        normal = event.normalized()
        again = normal.to_cloudevent().normalized()
        assert again.to_dict() == normal.to_dict()


def test_check_reports_contradictions(examples: list[ra.Event]) -> None:
    assert any(found.severity == "hint" for found in examples[0].check())
    contradictory = examples[0].to_dict()
    contradictory["content"]["result"] = "failed"
    found = ra.Event(contradictory).check()
    assert any("level" in one.message.lower() or "INFO" in one.message for one in found)


def test_events_are_values(examples: list[ra.Event]) -> None:
    event = examples[0]
    assert pickle.loads(pickle.dumps(event)) == event and copy.deepcopy(event) is event
    assert (
        hash(ra.Event(event.to_json())) == hash(event) and bytes(event).decode() == event.to_json()
    )
    assert ra.Event('{"a": 1}') == ra.Event('{ "a" : 1 }') != ra.Event('{"a": 2}')
    assert repr(ra.Event('{"a": 1}')) == """Event('{"a": 1}')"""
    assert event.to_dict() == json.loads(event.to_json())


def test_members_are_found_by_their_path(examples: list[ra.Event]) -> None:
    event = ra.Event(
        """{"content": {"eniId": "eni-1", "odd.key": 2, "none": null}, "a.b": {"c": 3},
        "x": 1, "x": 4, "nics": [{"id": "1", "ips": ["10.0.0.1"]}, {"id": "2"},
        [{"id": "3"}], 5]}"""
    )
    found = {
        "content.eniId": "eni-1",
        "content": {"eniId": "eni-1", "odd.key": 2, "none": None},
        "content.odd.key": 2,
        "content.none": None,
        "a.b.c": 3,
        "a.b": {"c": 3},
        "x": 4,
        "nics.id": ["1", "2", "3"],
        "nics.ips": [["10.0.0.1"]],
    }
    for path, value in found.items():
        assert event[path] == event.get(path) == value, path
        assert path in event
    for path in (
        "content.eni",
        "contents",
        "",
        "content.eniId.x",
        "nics.0",
        "nics.name",
        "a",
        "a.c",
    ):
        assert path not in event
        assert event.get(path) is None and event.get(path, 5) == 5
        with pytest.raises(KeyError) as caught:
            event[path]
        assert caught.value.args == (path,)
    with pytest.raises(TypeError):
        event[0]  # type: ignore[index]
    with pytest.raises(TypeError, match="not iterable"):
        iter(event)  # type: ignore[call-overload]
    assert examples[0]["product"] == "ECS"


def test_numbers_keep_their_digits() -> None:
    values = ra.Event('{"i": 12345678901234567890, "f": 0.5, "d": 0.1234567890123456789}').to_dict()
    assert values == {
        "i": 12345678901234567890,
        "f": 0.5,
        "d": decimal.Decimal("0.1234567890123456789"),
    }

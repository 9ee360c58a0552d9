"""Patterns in all notations, matched against events in all forms."""

from __future__ import annotations

import copy
import datetime
import decimal
import enum
import json
import pickle
import random
import threading
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import pytest
import reflexarc as ra

FAILED = ra.Pattern('content.result == "failed" and level in ["WARN", "CRITICAL"]')


@pytest.mark.parametrize(
    "event",
    [
        '{"level": "WARN", "content": {"result": "failed"}}',
        b'{"level": "WARN", "content": {"result": "failed"}}',
        bytearray(b'{"level": "WARN", "content": {"result": "failed"}}'),
        memoryview(b'{"level": "WARN", "content": {"result": "failed"}}'),
        {"level": "WARN", "content": {"result": "failed"}},
        {"level": "WARN", "content.result": "failed"},
        OrderedDict(level="WARN", content=MappingProxyType({"result": "failed"})),
        MappingProxyType({"level": "WARN", "content": {"result": ["other", "failed"]}}),
        ra.Event({"level": "WARN", "content": {"result": "failed"}}),
    ],
)
def test_every_form_of_an_event_matches(event: Any) -> None:
    assert FAILED.matches(event) is True


@pytest.mark.parametrize(
    "event",
    [
        '{"level": "WARN"}',
        {"level": "WARN"},
        {},
        {"level": "INFO", "content": {"result": "failed"}},
        {"content": []},
    ],
)
def test_other_events_do_not_match(event: Any) -> None:
    assert FAILED.matches(event) is False


def test_all_notations_give_equal_patterns() -> None:
    text = '{"content": {"result": ["failed"]}}'
    patterns = [
        ra.Pattern(text),
        ra.Pattern({"content": {"result": ["failed"]}}),
        ra.Pattern('content.result == "failed"'),
    ]
    assert len(set(patterns)) == 1
    assert {pattern.to_expression() for pattern in patterns} == {'content.result == "failed"'}
    assert ra.Pattern(patterns[0]) == patterns[0]
    assert eval(repr(patterns[2]), {"Pattern": ra.Pattern}) == patterns[2]


def test_patterns_can_be_copied_and_pickled() -> None:
    aws = ra.Pattern('{"a": [{"prefix": "x"}]}', dialect="aws")
    assert copy.copy(aws) is aws and copy.deepcopy(aws) is aws
    again = pickle.loads(pickle.dumps(aws))
    assert again == aws and again.dialect == "aws" and again.source == aws.source


@pytest.mark.parametrize(
    ("text", "dialect"),
    [("content.result = 5", "reflexarc"), ('{"a": [{"contains": "x"}]}', "aws"), ("", "reflexarc")],
)
def test_pattern_errors_have_a_location(text: str, dialect: Any) -> None:
    with pytest.raises(ra.PatternError) as caught:
        ra.Pattern(text, dialect=dialect)
    first = caught.value.diagnostics[0]
    assert first.code.startswith("RA") and first.severity == "error"
    assert (first.line, first.source) == (1, "<pattern>")
    assert first.code in str(caught.value)


def test_all_errors_are_reported_with_spans_in_characters() -> None:
    text = '{"ärger": [{"prefx": "a"}], "b": "x"}'
    with pytest.raises(ra.PatternError) as caught:
        ra.Pattern(text)
    places = [text[slice(*found.span)] for found in caught.value.diagnostics]
    assert len(places) == 2 and '"prefx"' in places[0] and '"x"' in places[1]


def test_unknown_dialects_and_wrong_types_are_errors() -> None:
    with pytest.raises(ValueError, match="gcp"):
        ra.Pattern("a exists", dialect="gcp")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="int"):
        ra.Pattern(5)  # type: ignore[arg-type]


def test_export_refuses_patterns_that_are_not_portable() -> None:
    pattern = ra.Pattern('a matches "x.*"')
    assert [found.severity for found in pattern.check("aws")][:1] == ["error"]
    with pytest.raises(ra.PatternError) as caught:
        pattern.export("aws")
    assert caught.value.diagnostics
    assert ra.Pattern('a == "x"').check("aws") == []


def test_explain_shows_the_reason() -> None:
    explanation = FAILED.explain({"level": "WARN", "content": {"result": "Failed"}})
    assert not explanation and explanation.matched is False
    assert any("case" in hint for hint in explanation.hints)
    assert "content.result" in str(explanation) and "level" not in str(explanation)
    assert "level" in explanation.render(all=True)
    assert explanation.tree["matched"] is False


class Level(enum.Enum):
    WARN = "WARN"


class Count(enum.IntEnum):
    THREE = 3


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("v == 12345678901234567890123456789", 12345678901234567890123456789),
        ("v == 9007199254740993", 9007199254740993),
        ("v == 0.1", 0.1),
        ("v == 0.1", decimal.Decimal("0.10")),
        ("v == 1e400", decimal.Decimal("1e400")),
        ("v == true", True),
        ("v == null", None),
        ('v == "WARN"', Level.WARN),
        ("v == 3", Count.THREE),
        (
            'v == "2026-01-02T03:04:05+00:00"',
            datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        ),
        ('v == "2026-01-02"', datetime.date(2026, 1, 2)),
        ('v == "03:04:05"', datetime.time(3, 4, 5)),
        ('v == "b"', ("a", "b")),
        ("v is missing", ()),
        ("v is missing", {}),
        ("v == 1", [[0], [1]]),
    ],
)
def test_python_values_match_as_json(pattern: str, value: Any) -> None:
    assert ra.Pattern(pattern).matches({"v": value})
    assert ra.Pattern(pattern).matches(ra.Event({"v": value}))
    assert not ra.Pattern(f"not ({pattern})").matches({"v": value})


def test_booleans_are_not_numbers_and_numbers_are_exact() -> None:
    assert not ra.Pattern("v == 1").matches({"v": True})
    assert not ra.Pattern("v == true").matches({"v": 1})
    assert not ra.Pattern("v == 9007199254740992").matches({"v": 9007199254740993})


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"v": {"w": float("nan")}}, r'event\["v"\]\["w"\].*NaN'),
        ({"v": {"w": float("inf")}}, "inf"),
        ({"v": {"w": decimal.Decimal("NaN")}}, "NaN"),
        ({"v": {1: "x"}}, r'event\["v"\].*1.*not a string'),
        ({"v": {"w": object()}}, r'event\["v"\]\["w"\].*object'),
        ({"v": {"w": [1, {"x"}]}}, r'event\["v"\]\["w"\]\[1\].*set'),
        ('{"v": NaN}', "byte 6"),
        ("[1]", "an array"),
        (b"\xff", "UTF-8"),
        ("", "white space"),
        ("{}" + " " * (1 << 20), "1048576"),
        (5, "int"),
        (None, "NoneType"),
    ],
)
def test_invalid_events_raise_event_errors(event: Any, message: str) -> None:
    with pytest.raises(ra.EventError, match=message):
        ra.Pattern("v.w exists").matches(event)


def test_lone_surrogates_are_errors_where_they_are_read() -> None:
    for read in (
        ra.Pattern('v starts with "a"').matches,
        ra.Event,
        ra.RuleSet({"r": "v exists"}).matching,
    ):
        with pytest.raises(ra.EventError, match=r'event\["v"\].*surrogate'):
            read({"v": "\ud800"})
    assert not ra.Pattern('v == "a"').matches({"v": "\ud800"}), "a lone surrogate equals nothing"


class Key(str, enum.Enum):
    CONTENT = "content"
    RESULT = "result"


def test_keys_may_be_subclasses_of_str() -> None:
    assert FAILED.matches({"level": "WARN", Key.CONTENT: {Key.RESULT: "failed"}})
    assert ra.RuleSet({"r": FAILED}).matching(
        {"level": "WARN", Key.CONTENT: {"other": 1, Key.RESULT: "failed"}}
    ) == ["r"]


def test_other_keys_are_errors_where_a_key_is_missing() -> None:
    assert FAILED.matches(
        {"level": "WARN", "content": {"result": "failed", 1: 2}, 3: 4, "other": {5: 6}}
    )
    with pytest.raises(ra.EventError, match=r'event\["content"\].*1.*not a string'):
        FAILED.matches({"level": "WARN", "content": {1: 2}})
    with pytest.raises(ra.EventError, match=r"event: .*None.*not a string"):
        FAILED.matches({"level": "WARN", None: {}})


def test_dicts_match_like_text() -> None:
    """Random events, some decided value by value and some only by the matcher."""
    rng = random.Random(5)
    scalars: list[Any] = [
        None,
        True,
        False,
        0,
        1,
        -1,
        2**70,
        0.5,
        1.0,
        1e300,
        "",
        "a",
        "ab",
        "b",
        "10.0.0.1",
        "10.0.0.01",
    ]
    tests = [
        *(
            '== "a"',
            'in ["a", 1, null]',
            '!= "ab"',
            'starts with "a"',
            "> 0",
            "<= 0.5",
            "== 1",
            "exists",
            "is missing",
        ),
        *('not in ["a", 1]', 'in cidr "10.0.0.0/8"', '== "10.0.0.1"', 'like "*b"', "in [true, -1]"),
    ]

    def value(depth: int) -> Any:
        kind = rng.randrange(6 if depth else 3)
        if kind == 4:
            return {
                rng.choice(["a", "b", "c", "a.b"]): value(depth - 1)
                for _ in range(rng.randrange(4))
            }
        if kind == 5:
            return [value(depth - 1) for _ in range(rng.randrange(4))]
        return rng.choice(scalars)

    results = []
    for _ in range(3000):
        paths = [
            rng.choice(["a", "b", "a.b", "a.b.c", "b.c", "c.a"]) for _ in range(rng.randrange(1, 4))
        ]
        fields = [f"{'not ' * rng.randrange(2)}({path} {rng.choice(tests)})" for path in paths]
        pattern = ra.Pattern(rng.choice([" and ", " or "]).join(fields))
        event = {key: value(3) for key in ("a", "b", "c", "a.b") if rng.random() < 0.8}
        results.append(pattern.matches(event))
        assert results[-1] == pattern.matches(json.dumps(event)), (pattern, event)
    assert 500 < sum(results) < 2500


def test_recursive_dicts_are_errors() -> None:
    event: dict[str, Any] = {}
    event["v"] = [event]
    with pytest.raises(ra.EventError, match="128 levels"):
        ra.Event(event)
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ra.EventError, match="128 levels"):
        ra.Pattern("v exists").matches({"v": loop})


def test_fields_of_an_array_element_belong_together() -> None:
    pattern = ra.Pattern({"a": {"b": [1], "c": [2]}})
    assert not pattern.matches({"a": [{"b": 1}, {"c": 2}]})
    assert pattern.matches({"a": [{"b": 0}, {"b": 1, "c": 2}]})
    assert pattern.matches({"a": ({"b": 1, "c": [3, 2]},)})


def test_long_paths_match_dicts() -> None:
    path = ".".join(f"k{i}" for i in range(100))
    event: Any = "x"
    for i in reversed(range(100)):
        event = {f"k{i}": event}
    assert ra.Pattern(f'{path} == "x"').matches(event)


def test_threads_share_patterns() -> None:
    results: list[bool] = []

    def match() -> None:
        for i in range(200):
            results.append(
                FAILED.matches(
                    {"level": "WARN", "content": {"result": "failed" if i % 2 else "success"}}
                )
            )

    threads = [threading.Thread(target=match) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (results.count(True), results.count(False)) == (800, 800)


def test_all_exceptions_derive_from_error() -> None:
    for name in (
        "PatternError",
        "RuleError",
        "EventError",
        "ReactionError",
        "StateError",
        "InternalError",
    ):
        assert issubclass(getattr(ra, name), ra.Error)
    assert not issubclass(ra.Error, (RuntimeError, ValueError))

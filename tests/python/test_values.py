"""Python values of every kind, as an event or inside one, through every function that takes one."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import ipaddress
import pathlib
import re
import types
import uuid
from collections import UserDict, deque, namedtuple
from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
import pydantic.v1
import pytest
import reflexarc as ra
import reflexarc.arrow


@dataclasses.dataclass
class Content:
    result: Any
    kind: ClassVar[str] = "not a field"


@dataclasses.dataclass(frozen=True)
class SlottedContent:
    __slots__ = ("result",)
    result: Any


@attrs.define
class AttrsContent:
    result: Any


class Model(pydantic.BaseModel):
    result: Any


class AliasedModel(pydantic.BaseModel):
    outcome: Any = pydantic.Field(alias="result")


class OldModel(pydantic.v1.BaseModel):
    result: Any


class Color(enum.Enum):
    RED = "red"


Named = namedtuple("Named", ["result"])

OBJECTS = [
    dict,
    UserDict,
    types.MappingProxyType,
    lambda members: Content(**members),
    lambda members: SlottedContent(**members),
    lambda members: AttrsContent(**members),
    lambda members: Model(**members),
    lambda members: AliasedModel(**members),
    lambda members: OldModel(**members),
    lambda members: Named(**members),
]

UTC = datetime.timezone.utc
SCALARS = [
    (uuid.UUID(int=5), '"00000000-0000-0000-0000-000000000005"'),
    (ipaddress.ip_address("10.0.0.1"), '"10.0.0.1"'),
    (ipaddress.ip_address("2001:db8::1"), '"2001:db8::1"'),
    (ipaddress.ip_network("10.0.0.0/8"), '"10.0.0.0/8"'),
    (datetime.datetime(2026, 1, 2, tzinfo=UTC), '"2026-01-02T00:00:00+00:00"'),
    (pd.Timestamp("2026-01-02", tz="UTC"), '"2026-01-02T00:00:00+00:00"'),
    (np.datetime64("2026-01-02T03:04:05.123456789"), '"2026-01-02T03:04:05.123456789"'),
    (np.datetime64("2026-01-02"), '"2026-01-02"'),
    (pathlib.PurePosixPath("/var/log"), '"/var/log"'),
    (decimal.Decimal("1.10"), "1.1"),
    (Color.RED, '"red"'),
    (np.int64(2**53 + 1), str(2**53 + 1)),
    (np.uint64(2**64 - 1), str(2**64 - 1)),
    (np.int8(-5), "-5"),
    (np.float64(0.1), "0.1"),
    (np.float32(0.5), "0.5"),
    (np.bool_(True), "true"),
    (np.str_("red"), '"red"'),
    (np.array(5), "5"),
    (np.array("2026-01-02", dtype="M8[ns]"), '"2026-01-02T00:00:00.000000000"'),
]

INVALID = [
    object(),
    {"a"},
    frozenset({"a"}),
    b"a",
    bytearray(b"a"),
    memoryview(b"a"),
    np.bytes_(b"a"),
    1j,
    np.complex128(1j),
    datetime.timedelta(1),
    pd.Timedelta(1),
    np.timedelta64(1, "s"),
    pd.NaT,
    pd.NA,
    np.datetime64("NaT"),
    np.array(["NaT"], dtype="M8[s]"),
    np.array([1j]),
    np.array([b"a"]),
    float("nan"),
    np.float64("nan"),
    np.float32("inf"),
    decimal.Decimal("sNaN"),
    deque(["a"]),
    range(2),
    iter(["a"]),
    pd.Series(["a"]),
    pl.Series(["a"]),
    pa.scalar("a"),
    Content,
    Model,
    types.SimpleNamespace(result="a"),
    lambda: None,
    ra.Event({}),
]

RULE = "when = '''{}'''\nthen = 'notify(\"ops\", \"x\")'"


def entries(pattern: str) -> dict[str, Callable[[Any], bool]]:
    """Every function that takes an event, as a function that says whether the pattern matches."""
    compiled = ra.Pattern(pattern)
    patterns = ra.RuleSet({"r": pattern})
    rules = ra.RuleSet.from_rules({"r": RULE.format(pattern)})
    return {
        "Pattern.matches": compiled.matches,
        "Pattern.explain": lambda event: bool(compiled.explain(event)),
        "Event": lambda event: compiled.matches(ra.Event(event)),
        "RuleSet.matching": lambda event: patterns.matching(event) == ["r"],
        "RuleSet.matching_many": lambda event: patterns.matching_many([event]) == [["r"]],
        "RuleSet.explain": lambda event: bool(patterns.explain(event, "r")),
        "RuleSet.evaluate": lambda event: rules.evaluate(event).matched == ["r"],
    }


def inside(value: Any) -> dict[str, Any]:
    """Events with the value at `content.result`, or in an array there."""
    events = {
        f"{number}": {"content": make({"result": value})} for number, make in enumerate(OBJECTS)
    }
    return {
        **events,
        "in a list": {"content": {"result": ["x", value]}},
        "in a tuple": {"content": {"result": ("x", value)}},
        "in a list of objects": {"content": ["x", {"result": value}]},
        "in a list of dataclasses": {"content": [Content("x"), Content(value)]},
        "in a model in a model": {"content": Model(result=[Model(result=value).result])},
    }


def name(value: Any) -> str:
    """The name of a value in tests: as it is written, without an address in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


@pytest.mark.parametrize(("value", "literal"), SCALARS, ids=name)
def test_values_match_as_documented(value: Any, literal: str) -> None:
    for name, matches in entries(f"content.result == {literal}").items():
        for place, event in inside(value).items():
            assert matches(event), f"{name}, {place}"
            assert not matches({"content": {"result": ["other"]}}), name


@pytest.mark.parametrize("value", INVALID, ids=name)
def test_other_values_are_errors_with_their_path(value: Any) -> None:
    for name, matches in entries('content.result == "a"').items():
        for place, event in inside(value).items():
            with pytest.raises(ra.EventError, match=r'event\["content"\]') as caught:
                matches(event)
                pytest.fail(f"{name}, {place}")
            if place == "in a list":
                assert 'event["content"]["result"][1]' in str(caught.value), name
        with pytest.raises(ra.EventError, match=r'event\["content"\]'):
            matches({"content": value})
            pytest.fail(f"{name}, as content")


@pytest.mark.parametrize("make", OBJECTS)
def test_objects_are_events(make: Callable[[dict[str, Any]], Any]) -> None:
    for name, matches in entries('result == "failed"').items():
        assert matches(make({"result": "failed"})), name
        assert not matches(make({"result": "success"})), name


@pytest.mark.parametrize("make", OBJECTS)
def test_objects_are_equal_to_dicts(make: Callable[[dict[str, Any]], Any]) -> None:
    event = ra.Event({"content": make({"result": [make({"result": 1})]})})
    assert event.to_dict() == {"content": {"result": [{"result": 1}]}}


NOT_TEXT = [value for value in INVALID if not isinstance(value, ra.Event)]


@pytest.mark.parametrize("value", [*NOT_TEXT, 5, 1.5, True, None, [], ()], ids=name)
def test_other_values_are_no_events(value: Any) -> None:
    for name, matches in entries("a exists").items():
        with pytest.raises(ra.EventError):
            matches(value)
            pytest.fail(name)


def test_arrays_are_converted() -> None:
    for array in (np.array([1, 2]), np.array([[1], [2]]), np.array([1, "x", 2], dtype=object)):
        for name, matches in entries("content.result == 2").items():
            assert matches({"content": {"result": array}}), name
    assert not ra.Pattern("content.result exists").matches({"content": {"result": np.array([])}})
    times = ra.Event({"a": np.array(["2026-01-02", "2026-01-03"], dtype="M8[D]")})
    assert times.to_dict() == {"a": ["2026-01-02", "2026-01-03"]}
    assert ra.Event({"a": Named("x")}).to_dict() == {"a": {"result": "x"}}


def test_recursive_dataclasses_are_errors() -> None:
    content = Content(None)
    content.result = content
    deep = ".".join(["result"] * 200)
    for name, matches in entries(f"content.{deep} == 1").items():
        with pytest.raises(ra.EventError, match="128 levels"):
            matches({"content": content})
            pytest.fail(name)


def test_columns_of_structs_match() -> None:
    rules = ra.RuleSet({"r": 'content.result == "2026-01-02T00:00:00Z"'})
    time = datetime.datetime(2026, 1, 2, tzinfo=UTC)
    rows = [{"content": {"result": time}}, {"content": {"result": None}}]
    for column in (pa.array(rows), pl.Series(rows)):
        assert reflexarc.arrow.matching(rules, column).to_pylist() == [["r"], []]
    with pytest.raises(ra.EventError, match=r"row 1.*Binary"):
        reflexarc.arrow.matching(rules, pa.array([{"content": {}}, {"content": {"result": b"x"}}]))


class Opaque:
    """A class that is not known."""

    def __init__(self, form: Any) -> None:
        self.form = form


def form_of(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else value.form


def entries_with_default(pattern: str) -> dict[str, Callable[[Any], bool]]:
    compiled = ra.Pattern(pattern)
    patterns = ra.RuleSet({"r": pattern})
    rules = ra.RuleSet.from_rules({"r": f"when = '{pattern}'\nthen = 'send(\"t\", event)'"})
    default = form_of
    return {
        "Event": lambda event: compiled.matches(ra.Event(event, default=default)),
        "Event.read_all": lambda event: compiled.matches(
            ra.Event.read_all(event, default=default)[0]
        ),
        "Pattern.matches": lambda event: compiled.matches(event, default=default),
        "Pattern.explain": lambda event: bool(compiled.explain(event, default=default)),
        "RuleSet.matching": lambda event: patterns.matching(event, default=default) == ["r"],
        "RuleSet.explain": lambda event: bool(patterns.explain(event, "r", default=default)),
        "RuleSet.evaluate": lambda event: rules.evaluate(event, default=default).matched == ["r"],
    }


@pytest.mark.parametrize(
    "value",
    [
        Opaque("failed"),
        Opaque(Opaque("failed")),
        Opaque(uuid.UUID(int=5)),
        {"failed", "other"},
        Opaque(["x", "failed"]),
        [Opaque(Opaque("failed"))],
    ],
)
def test_default_replaces_values(value: Any) -> None:
    pattern = 'content.result in ["failed", "00000000-0000-0000-0000-000000000005"]'
    for name, matches in entries_with_default(pattern).items():
        for place, event in inside(value).items():
            assert matches(event), f"{name}, {place}"
        assert matches(Opaque({"content": {"result": value}})), name
        assert matches(Opaque('{"content": {"result": "failed"}}')), name


def test_default_gives_objects_whose_fields_belong_together() -> None:
    nics = [Opaque({"id": 1, "status": "x"}), Opaque(Model(result=1)), Opaque({"id": 2})]
    for name, matches in entries_with_default('nics.id == 1 and nics.status == "x"').items():
        assert matches({"nics": nics}), name
    for name, matches in entries_with_default('nics.id == 2 and nics.status == "x"').items():
        assert not matches({"nics": nics}), name


@pytest.mark.parametrize("place", ["content", "list"])
def test_default_that_gives_nothing_of_use_is_an_error(place: str) -> None:
    endless = Opaque(None)
    endless.form = endless
    event = {"content": {"result": endless if place == "content" else [endless]}}
    for name, matches in entries_with_default('content.result == "failed"').items():
        with pytest.raises(ra.EventError, match=r'event\["content"\]\["result"\]'):
            matches(event)
            pytest.fail(name)


def test_exceptions_of_default_are_passed_on() -> None:
    def refuse(value: object) -> Any:
        raise LookupError(f"unknown {type(value).__name__}")

    with pytest.raises(LookupError, match="unknown set"):
        ra.Pattern("a == 1").matches({"a": {1}}, default=refuse)
    assert ra.Pattern("b == 1").matches({"a": {1}, "b": 1}, default=refuse), "only on the path"
    with pytest.raises(ra.EventError, match="NaN"):
        ra.Event({"a": float("nan")}, default=refuse)


class Pair(enum.Enum):
    ONE = (1, 2)


@pytest.mark.parametrize("value", [Pair.ONE, 1j, np.complex128(1j), datetime.timedelta(1)])
def test_default_gets_what_is_an_error_without_it(value: Any) -> None:
    for event in inside(value).values():
        assert ra.Pattern('content.result == "x"').matches(event, default=lambda _: "x")

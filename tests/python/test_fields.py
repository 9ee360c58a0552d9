"""Patterns that are built: equal to parsed expressions, and closed to what values contain."""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import itertools
import json
import random
import uuid
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import pytest
import reflexarc as ra
from reflexarc import Condition, field, quote, value

TEXTS = ["", "a", "ab", 'x" or a exists or a == "', "\\", "\\\\", "\n", "é😀", "*", "10.0.0.1", "#"]
NUMBERS = [0, 1, -1, 0.1, 1e300, 2**70, decimal.Decimal("1E+400"), decimal.Decimal("0.10")]
SCALARS: list[Any] = [*TEXTS, *NUMBERS, True, False, None]
PATHS = [
    "a",
    "a.b",
    "content.odd key",
    "and",
    "not",
    "",
    "a.",
    "a.0",
    'q"uote',
    "exists",
    "$or",
    "ä",
]
NETWORKS = ["10.0.0.0/8", "2001:db8::/32", "10.0.0.1"]


def literal(value: Any) -> str:
    """A literal, written by other code than that of the package."""
    if isinstance(value, decimal.Decimal):
        return str(value)
    return json.dumps(value)


def path_text(path: str) -> str:
    return ".".join(json.dumps(key) for key in path.split("."))


def case(random: random.Random) -> tuple[dict[str, Any], str]:
    return random.choice([({}, ""), ({"ignore_case": True}, " ignoring case")])


def texts(random: random.Random, wildcards: bool = False) -> tuple[Any, str]:
    usual = [text for text in TEXTS if not wildcards or "\\" not in text]
    several = random.choices(usual, k=random.randint(1, 3))
    if len(several) == 1:
        return several[0], literal(several[0])
    return several, json.dumps(several)


def test_of(random: random.Random, value: Any) -> tuple[Any, str]:
    """A condition on a value, and how an expression writes it."""
    kind = random.randrange(12)
    if kind == 0:
        scalar = random.choice(SCALARS)
        return value == scalar, f"== {literal(scalar)}"
    if kind == 1:
        several = random.choices(SCALARS, k=random.randint(1, 3))
        return value.in_(several), f"in [{', '.join(map(literal, several))}]"
    if kind == 2:
        number = random.choice(NUMBERS)
        symbol, compare = random.choice(
            [
                ("<", value.__lt__),
                ("<=", value.__le__),
                (">", value.__gt__),
                (">=", value.__ge__),
            ]
        )
        return compare(number), f"{symbol} {literal(number)}"
    if kind == 3:
        low, high = sorted(random.sample(NUMBERS, 2))
        ends = {"both": (">=", "<="), "left": (">=", "<"), "right": (">", "<="), "neither": "><"}
        inclusive = random.choice(list(ends))
        lower, upper = ends[inclusive]
        expression = f"({lower} {literal(low)} and {upper} {literal(high)})"
        return value.between(low, high, inclusive=inclusive), expression
    if kind in (4, 5, 6):
        name, words = [
            ("startswith", "starts with"),
            ("endswith", "ends with"),
            ("contains", "contains"),
        ][kind - 4]
        (argument, operand), (keywords, modifier) = texts(random), case(random)
        return getattr(value, name)(argument, **keywords), f"{words} {operand}{modifier}"
    if kind in (7, 8):
        name = ["like", "matches"][kind - 7]
        (argument, operand), (keywords, modifier) = texts(random, wildcards=True), case(random)
        if name == "matches" and "*" in operand:
            argument, operand = "a.*", '"a.*"'
        return getattr(value, name)(argument, **keywords), f"{name} {operand}{modifier}"
    if kind == 9:
        networks = random.choices(NETWORKS, k=2)
        return value.in_cidr(networks), f"in cidr {json.dumps(networks)}"
    text = random.choice(TEXTS)
    if kind == 10:
        return value.equals(text, ignore_case=True), f"== {literal(text)} ignoring case"
    return value.startswith(text), f"starts with {literal(text)}"


test_of.__test__ = False  # type: ignore[attr-defined]


def condition(random: random.Random, depth: int) -> tuple[Condition, str]:
    if depth == 0 or random.random() < 0.4:
        if random.random() < 0.2:
            built, text = test_of(random, value.not_)
            return built, f"not {text}"
        return test_of(random, value)
    (one, left), (other, right) = condition(random, depth - 1), condition(random, depth - 1)
    return random.choice(
        [
            lambda: (one & other, f"({left}) and ({right})"),
            lambda: (one | other, f"({left}) or ({right})"),
        ]
    )()


def pattern(random: random.Random, depth: int) -> tuple[ra.Pattern, str]:
    kind = random.randrange(6) if depth else random.choice([3, 4, 5])
    if kind == 0:
        inner, text = pattern(random, depth - 1)
        return ~inner, f"not ({text})"
    if kind in (1, 2):
        (one, left), (other, right) = pattern(random, depth - 1), pattern(random, depth - 1)
        joined = (one & other) if kind == 1 else (one | other)
        return joined, f"({left}) {['and', 'or'][kind - 1]} ({right})"
    path = random.choice(PATHS)
    start = path_text(path)
    if kind == 3:
        built, text = test_of(random, field(path))
        return built, f"{start} {text}"
    if kind == 4:
        built, text = test_of(random, field(path).not_)
        return built, f"{start} not {text}"
    return random.choice(
        [
            (field(path).exists(), f"{start} exists"),
            (field(path).is_missing(), f"{start} is missing"),
            (field(path) != "x", f'{start} != "x"'),
        ]
    )


@pytest.mark.parametrize("seed", range(20))
def test_built_patterns_equal_parsed_expressions(seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(50):
        built, text = pattern(choose, 3)
        parsed = ra.Pattern(text)
        assert built == parsed, text
        assert hash(built) == hash(parsed)
        again = ra.Pattern(built.source)
        assert again == parsed and built.dialect == "reflexarc"


@pytest.mark.parametrize("seed", range(10))
def test_conditions_on_one_value_equal_parsed_expressions(seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(30):
        built, text = condition(choose, 2)
        for of_value, expression in ((built, text), (~built, f"not ({text})")):
            try:
                parsed = ra.Pattern(f"a.b ({expression})")
            except ra.PatternError:
                with pytest.raises(ra.PatternError, match="more than 1000 alternatives"):
                    field("a.b").has(of_value)
            else:
                assert field("a.b").has(of_value) == parsed, expression


@pytest.mark.parametrize("text", TEXTS)
def test_values_cannot_change_the_pattern(text: str) -> None:
    events: list[dict[str, Any]] = [{"a": "anybody"}, {"a": text}, {}]
    for built in (
        field("a") == text,
        field("a").in_([text]),
        ra.Pattern(f"a == {quote(text)}"),
        field("a").equals(text),
    ):
        assert [built.matches(event) for event in events] == [False, True, False]
    assert (field(text) == 1).matches({text: 1})
    assert not (field(text) == 1).matches({text: 2, "other": 1})


def test_text_that_is_put_into_a_pattern_can_change_it() -> None:
    name = 'x" or a exists or a == "'
    assert ra.Pattern(f'a == "{name}"').matches({"a": "anybody"}), "why quote exists"


class Level(enum.Enum):
    WARN = "WARN"


@pytest.mark.parametrize(
    ("scalar", "text"),
    [
        (Level.WARN, '"WARN"'),
        (uuid.UUID(int=5), '"00000000-0000-0000-0000-000000000005"'),
        (ipaddress.ip_address("10.0.0.1"), '"10.0.0.1"'),
        (ipaddress.ip_network("10.0.0.0/8"), '"10.0.0.0/8"'),
        (PurePosixPath("/var/log"), '"/var/log"'),
        (datetime.date(2026, 1, 2), '"2026-01-02"'),
        (
            datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
            '"2026-01-02T00:00:00+00:00"',
        ),
        (2**80, str(2**80)),
        (decimal.Decimal("1.50"), "1.50"),
        (0.1, "0.1"),
        (True, "true"),
        (None, "null"),
    ],
    ids=repr,
)
def test_values_are_quoted_as_events_have_them(scalar: Any, text: str) -> None:
    assert quote(scalar) == text
    assert (field("a") == scalar) == ra.Pattern(f"a == {text}")
    assert (field("a") == scalar).matches({"a": scalar})


def test_networks_of_the_standard_library_are_taken() -> None:
    network = ipaddress.ip_network("10.0.0.0/30")
    expected = ra.Pattern('a in cidr "10.0.0.0/30"')
    assert field("a").in_cidr(network) == field("a").in_cidr([network]) == expected


def test_operators_work_from_both_sides() -> None:
    assert (field("a") > 5) == (field("a") > 5) == ra.Pattern("a > 5")
    assert (field("a") <= 5) == (field("a") <= 5)
    assert ("x" == field("a")) == ra.Pattern('a == "x"')  # noqa: SIM300
    assert ("x" != field("a")) == ra.Pattern('a != "x"')  # noqa: SIM300


PITFALLS: list[Callable[[], Any]] = [
    lambda: field("a") == 1 and field("b") == 2,
    lambda: not field("a").exists(),
    lambda: 1 < field("a") < 5,
    lambda: bool(value == 1),
    lambda: value == 1 or value == 2,
]


@pytest.mark.parametrize("mistake", PITFALLS)
def test_the_keywords_of_python_are_refused(mistake: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match="&"):
        mistake()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: field("a").in_([]), ValueError),
        (lambda: field("a").startswith([]), ValueError),
        (lambda: field("a").in_("text"), TypeError),
        (lambda: field("a").in_([{1}]), TypeError),
        (lambda: field("a") < "x", ra.PatternError),
        (lambda: field("a").in_cidr("10.0.0.0/33"), ra.PatternError),
        (lambda: field("a").matches("("), ra.PatternError),
        (lambda: field("a").between(5, 1), ValueError),
        (lambda: field("a").between(5, 5, inclusive="left"), ValueError),
        (lambda: field("a").between(1, 5, inclusive="no"), ValueError),
        (lambda: field(5), TypeError),
        (lambda: quote({1}), TypeError),
        (lambda: quote([1]), TypeError),
        (lambda: quote(float("nan")), ValueError),
        (lambda: quote("\ud800"), ValueError),
        (lambda: ra.any_of([]), ValueError),
        (lambda: ra.all_of([1]), TypeError),
        (lambda: (field("a") == 1) & "b exists", TypeError),
        (lambda: hash(field("a")), TypeError),
    ],
)
def test_what_makes_no_pattern_is_an_error(make: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        make()


def test_many_patterns_are_joined() -> None:
    parts = [field("id") == f"i-{number}" for number in range(200)]
    text = " or ".join(f'id == "i-{number}"' for number in range(200))
    assert ra.any_of(parts) == ra.Pattern(text)
    assert ra.all_of(iter(parts)) == ra.Pattern(text.replace(" or ", " and "))
    assert ra.any_of([parts[0]]) == parts[0]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined | part
    assert joined == ra.Pattern(text)


def test_negation_has_the_limit_of_patterns() -> None:
    pattern = field("a") == 1
    with pytest.raises(ra.PatternError):
        for _ in range(200):
            pattern = ~pattern


def test_patterns_of_every_notation_are_joined() -> None:
    json_notation = ra.Pattern({"a": [1, 2]})
    aws = ra.Pattern('{"b": [{"prefix": "x"}]}', dialect="aws")
    joined = json_notation & (aws | (field("c") == 3))
    assert joined == ra.Pattern('a in [1, 2] and (b starts with "x" or c == 3)')
    assert [joined.matches(e) for e in ({"a": 1, "c": 3}, {"a": 1}, {"b": "x"})] == [
        True,
        False,
        False,
    ]
    assert repr(field("a.b")) == "field('a.b')"
    rules = ra.RuleSet({"joined": joined})
    assert rules.matching({"a": 2, "b": "xy"}) == ["joined"]
    assert list(itertools.compress("ab", [joined == joined, joined != joined])) == ["a"]

"""What people usually get wrong in Python: the exception, and that its message says what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timezone
from typing import Any

import pytest
import reflexarc as ra

RULE = "when = 'content.result == \"failed\"'\nnotify = 'team'\n"
EVENT = {"content": {"result": "failed"}}


@pytest.fixture(scope="module")
def rules() -> ra.RuleSet:
    return ra.RuleSet.from_rules({"failed": RULE})


@pytest.fixture(scope="module")
def pattern() -> ra.Pattern:
    return ra.Pattern('content.result == "failed"')


Mistake = tuple[Callable[[Any, Any], Any], type[Exception], str]

MISTAKES: dict[str, Mistake] = {
    "one equals sign": (
        lambda _r, _p: ra.Pattern('content.result = "failed"'),
        ra.PatternError,
        'write `content.result == "failed"`',
    ),
    "a value without quotes": (
        lambda _r, _p: ra.Pattern(f"name == {'x'}"),
        ra.PatternError,
        'put a text in double quotes: `name == "x"`',
    ),
    "no pattern": (
        lambda _r, _p: ra.Pattern(None),
        TypeError,
        "expected a pattern as an expression, JSON text or dict, found NoneType",
    ),
    "`and` between patterns": (
        lambda _r, _p: (ra.field("a") == "x") and (ra.field("b") == "y"),
        TypeError,
        "join patterns by &, | and ~ with each comparison in parentheses",
    ),
    "`in` with a field": (
        lambda _r, _p: "x" in ra.field("a"),
        TypeError,
        "write field('a') == 'x' for an element of a list",
    ),
    "an object as a value": (
        lambda _r, _p: ra.field("a") == object(),
        TypeError,
        "expected a single value such as a str or int, found object",
    ),
    "a list as an event": (
        lambda _r, p: p.matches([EVENT]),
        ra.EventError,
        "expected an event as JSON text (str or bytes), dict or Event, found list",
    ),
    "a key that is no text": (
        lambda _r, p: p.matches({1: 2}),
        ra.EventError,
        "the key 1 is not a string",
    ),
    "one event for many": (
        lambda _r, _p: ra.RuleSet.from_rules({"failed": RULE}).matching_many(EVENT),
        TypeError,
        "found one mapping; pass it to the method for one event",
    ),
    "a naive time": (
        lambda r, _p: r.evaluate(EVENT, now=datetime(2024, 1, 1)),
        ValueError,
        "missing time zone; use an aware datetime",
    ),
    "a text as a time": (
        lambda r, _p: r.evaluate(EVENT, now="2024-01-01T00:00:00Z"),
        TypeError,
        "expected an aware datetime as now, found str; write datetime.now(timezone.utc)",
    ),
    "seconds as a time": (
        lambda r, _p: r.evaluate(EVENT, now=1704067200.0),
        TypeError,
        "expected an aware datetime as now, found float",
    ),
    "a date as a time": (
        lambda r, _p: r.evaluate(EVENT, now=date(2024, 1, 1)),
        TypeError,
        "expected an aware datetime as now, found date",
    ),
    "a folder for patterns": (
        lambda _r, _p: ra.RuleSet("rules"),
        TypeError,
        "use RuleSet.load to read rule files",
    ),
    "a rule without a name": (
        lambda _r, _p: ra.RuleSet.from_rules(RULE),
        TypeError,
        "expected a mapping of rule names to the text of rule files",
    ),
    "a misspelt key": (
        lambda _r, _p: ra.RuleSet.from_rules({"failed": "wehn = 'a == 1'"}),
        ra.RuleError,
        "did you mean `when`?",
    ),
    "the key of another tool": (
        lambda _r, _p: ra.RuleSet.from_rules({"failed": "filter = 'a == 1'\nnotify = 'x'"}),
        ra.RuleError,
        "`when` is the key for it",
    ),
    "a state that is no state": (
        lambda r, _p: r.evaluate(EVENT, state={}),
        TypeError,
        "'State'",
    ),
    "entries without a rule": (
        lambda _r, _p: ra.State({"count": 1}),
        ra.StateError,
        'the entries of rule "count" must be a dict',
    ),
    "a folder that does not exist": (
        lambda _r, _p: ra.RuleSet.load("nowhere"),
        FileNotFoundError,
        "nowhere",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_usual_mistakes_are_explained(name: str, rules: ra.RuleSet, pattern: ra.Pattern) -> None:
    make, kind, message = MISTAKES[name]
    with pytest.raises(kind) as caught:
        make(rules, pattern)
    assert message in str(caught.value), str(caught.value)


def test_the_right_way_works(rules: ra.RuleSet, pattern: ra.Pattern) -> None:
    assert pattern.matches(EVENT)
    assert rules.evaluate(EVENT, now=datetime(2024, 1, 1, tzinfo=timezone.utc)).matched

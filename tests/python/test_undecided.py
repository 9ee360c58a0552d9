"""Events that cannot be compared with a pattern: too many combinations of array elements."""

from __future__ import annotations

import json
from typing import Any

import pytest
import reflexarc as ra

# Two fields in each of eight arrays, and two in another array that no element has both of: 20⁸
# combinations, in an event of 2 KB.
PATTERN = "not ({} and z.x == 1 and z.y == 1)".format(
    " and ".join(f"a{n}.x == 1 and a{n}.y == 1" for n in range(8))
)
EVENT: dict[str, Any] = {
    **{f"a{n}": [{"x": 1, "y": 1}] * 20 for n in range(8)},
    "z": [{"x": 1}] * 21 + [{"y": 1}] * 21,
}
TEXT = json.dumps(EVENT)


@pytest.mark.parametrize("event", [EVENT, TEXT, TEXT.encode(), ra.Event(EVENT)])
def test_no_single_comparison_answers(event: Any) -> None:
    with pytest.raises(ra.UndecidedError, match="too many combinations"):
        ra.Pattern(PATTERN).matches(event)
    rules = ra.RuleSet({"a": "a0.x == 1", "hard": PATTERN})
    with pytest.raises(ra.UndecidedError, match=r"rules hard: .*too many combinations"):
        rules.matching(event)
    failures = rules.evaluate(event).failures
    assert [failure.rule for failure in failures] == ["hard"]


@pytest.mark.parametrize(
    ("events", "place"),
    [
        ([{}, EVENT], "event 1: rules hard: "),
        (["{}", TEXT], "event 1: rules hard: "),
        (f"{{}}\n\n{TEXT}\n".encode(), "line 3: rules hard: "),
    ],
)
def test_a_batch_ends_with_the_number_of_the_event(events: Any, place: str) -> None:
    rules = ra.RuleSet({"hard": PATTERN})
    with pytest.raises(ra.UndecidedError, match=place):
        rules.matching_many(events)


def test_an_explanation_says_that_it_is_undecided() -> None:
    explanation = ra.Pattern(PATTERN).explain(EVENT)
    assert explanation.undecided
    assert not explanation.matched
    assert repr(explanation) == "<Explanation: undecided>"
    assert explanation.tree["undecided"] is True
    assert str(explanation).startswith("? undecided")
    assert not ra.Pattern("a0.x == 1").explain(EVENT).undecided


def test_it_is_an_error_about_an_event() -> None:
    assert issubclass(ra.UndecidedError, ra.EventError)

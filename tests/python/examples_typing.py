"""A typed program, checked by mypy and pyright and run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

import reflexarc as ra


@dataclass
class Order:
    """An event of one's own."""

    amount: int


def failed_enis(lines: bytes) -> list[str]:
    """The ids of the network interfaces whose operations failed."""
    rules = ra.RuleSet({"failed": 'content.result == "failed"'})
    matched = rules.matching_many(lines)
    enis: list[str] = []
    for line, ids in zip(lines.splitlines(), matched):
        eni: ra.EniNotification | None = ra.Event(line).eni
        if ids and eni is not None and eni.eni_id is not None:
            enis.append(eni.eni_id)
    return enis


def actions(rules: ra.RuleSet, event: ra.Event, state: ra.State) -> ra.State:
    """Print the actions and return the state after the events."""
    evaluation = rules.evaluate(event, state=state, now=datetime.now(timezone.utc))
    for action in evaluation.actions:
        print(action.rule, action.target, action.title or action.payload)
    for failure in evaluation.failures:
        print(failure.rule, failure.message)
    return evaluation.state


if __name__ == "__main__":
    assert ra.Pattern("amount > 5").matches(Order(amount=6))
    assert failed_enis(b'{"content": {"result": "failed"}}') == []
    actions(ra.RuleSet({"any": "a exists"}), ra.Event({"a": 1}), ra.State())

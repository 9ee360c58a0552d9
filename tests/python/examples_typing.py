"""A typed program, checked by mypy and pyright and run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

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
    for line, ids in zip(lines.splitlines(), matched, strict=True):
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


def waiting(rules: ra.RuleSet, state: ra.State) -> tuple[datetime | None, ra.State]:
    """Fire what is due, print what waits, and return when something is due next."""
    evaluation = rules.fire_due(state, datetime.now(timezone.utc))
    for fired in evaluation.fired:
        print(fired.at.isoformat(), fired.rule, fired.key, len(fired.actions))
    for firing in evaluation.firings:
        waited: datetime | None = firing.deadline
        print(firing.reason, firing.count, waited)
    keys: list[object] = evaluation.state.pending("stuck")
    by_rule: dict[str, list[object]] = evaluation.state.pending()
    print(keys, by_rule)
    due = evaluation.state.due()
    return (due[0].at if due else None), evaluation.state


def answered(rules: ra.RuleSet, call: ra.Action, state: ra.State) -> ra.State:
    """Give the answer to a call back, and return the state after it."""
    operation: str | None = call.operation
    parameters: dict[str, Any] | None = call.parameters
    if operation is None or parameters is None:
        return state
    evaluation = rules.answer(call, body={"Id": parameters.get("Id")}, status=200, state=state)
    failed = rules.answer(call, code="Throttling", message="slow", state=evaluation.state)
    calls: list[tuple[str, str]] = rules[call.rule].calls
    print(operation, calls, [action.kind == "call" for action in failed.actions])
    return failed.state


def network_rules(user: str, networks: list[str]) -> ra.RuleSet:
    """Rules whose patterns are built from values."""
    failed: ra.Pattern = ra.field("content.result") == "failed"
    address = ra.field("content.primaryPrivateIp")
    inside: ra.Pattern = address.in_cidr(networks) & ~address.startswith(("10.0.", "10.1."))
    busy = ra.field("content.count").between(1, 5) | (ra.field("content.count") > 9)
    one: ra.Condition = ra.value.startswith("eni-") & (ra.value != "eni-1")
    names: list[ra.Scalar] = ["eni-1", 5, None]
    text = f"content.user == {ra.quote(user)}"
    patterns: dict[str, ra.PatternLike] = {
        "failed": failed & inside,
        "any": ra.any_of([busy, ra.field("content.eniId").has(one)]),
        "listed": ra.field("content.eniId").in_(names),
        "user": text,
    }
    return ra.RuleSet(patterns)


def event_of(value: ra.EventLike) -> str:
    """A member of an event."""
    event = ra.Event(value, default=str)
    result: str = event.get("content.result", "none")
    return result if "content" in event else event["id"]


def automated(lines: bytes) -> ra.Summary:
    """Handlers, targets and sources of an automation."""
    app = ra.Automation(ra.RuleSet({}), on_error="skip", dead_letters=print)

    @app.on('result == "failed"')
    def on_failed(event: ra.Event, match: ra.Match) -> ra.Action:
        firing: ra.MatchFiring | None = match.firing
        return ra.Action.notify("ops", f"{event.envelope} {match.at} {firing}", level="warn")

    @app.on(ra.Pattern("result exists"))
    async def on_any(event: ra.Event, match: ra.Match) -> None:
        print(match.rule, match.actions)

    @app.target("ops")
    def ops(action: ra.Action) -> None:
        print(action.text)

    @app.target("ecs")
    async def ecs(action: ra.Action) -> ra.Answer:
        return ra.Answer(status=403, code="Forbidden")

    def source() -> Iterator[ra.sources.Message | bytes | None]:
        yield from lines.splitlines()
        yield ra.sources.Message({"result": "failed"}, ack=lambda: None)
        yield None

    evaluation: ra.Evaluation = app.process({"result": "ok"})
    due: datetime | None = app.next_due
    print(evaluation.matched, due, app.fire_due(), app.state, on_failed, on_any, ops, ecs)
    with app:
        return app.run(source())


if __name__ == "__main__":
    assert automated(b'{"result": "failed"}') == ra.Summary(events=2, actions=2)
    assert network_rules("u", ["10.0.0.0/8"]).matching({"content": {"user": "u"}}) == ["user"]
    assert event_of({"content": {"result": "failed"}}) == "failed"
    assert ra.Pattern("amount > 5").matches(Order(amount=6))
    assert failed_enis(b'{"content": {"result": "failed"}}') == []
    assert waiting(ra.RuleSet({"any": "a exists"}), ra.State()) == (None, ra.State())
    actions(ra.RuleSet({"any": "a exists"}), ra.Event({"a": 1}), ra.State())
    look = "when = 'a exists'\nthen = 'call(\"ecs\", \"Describe\", #{ Id: event.a })'"
    rules = ra.RuleSet.from_rules({"look": look})
    answered(rules, rules.evaluate({"a": 1}).actions[0], ra.State())

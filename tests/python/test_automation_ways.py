"""However events come, `Automation` does the same with them."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import reflexarc as ra
from reflexarc.sources import Message
from test_automation import CALL, COUNT, DERIVED, EMIT
from test_automation_time import ESCALATE, LATER, SILENT, STUCK

RULES = {
    "call": CALL,
    "count": COUNT,
    "derived": DERIVED,
    "emit": EMIT,
    "escalate": ESCALATE,
    "later": LATER,
    "silent": SILENT,
    "stuck": STUCK,
    "broken": "when = 'n == 3'\nthen = 'throw 1'",
    "once": "when = 'n exists'\nonce = { key = 'n', within = '20m' }\nnotify = ['ops']",
}


def events(source: random.Random) -> list[dict[str, Any]]:
    now = datetime(2026, 11, 25, 8, tzinfo=timezone.utc)
    found = []
    for number in range(60):
        now += timedelta(minutes=source.choice([0, 0, 1, 7, 40]))
        event: dict[str, Any] = {"eventTime": now.isoformat(), "id": f"e{number}"}
        event["eni"] = source.randrange(3)
        member = source.randrange(4)
        if member == 0:
            event["n"] = source.randrange(6)
        elif member == 1:
            event["status"] = source.choice(["Detaching", "Available", "Other"])
        elif member == 2:
            event["result"] = source.choice(["failed", "success"])
        found.append(event)
    return found


class Recorder:
    """An automation with handlers and targets that record, some of which fail the first time."""

    def __init__(self, asynchronous: bool, seed: int) -> None:
        self.steps: list[str] = []
        rules = ra.RuleSet.from_rules(RULES)
        self.app = ra.Automation(rules, clock="event", on_error="skip")
        failing = random.Random(seed)

        def handle(event: ra.Event, match: ra.Match) -> Any:
            if failing.random() < 0.1:
                self.steps.append("handler fails")
                raise LookupError
            self.steps.append(f"{match.rule} {match.at} {event.to_json()} {len(match.actions)}")
            if failing.random() < 0.3:
                return ra.Action.send("ops", {"by": match.rule})
            return None

        def deliver(action: ra.Action) -> Any:
            if failing.random() < 0.05:
                self.steps.append("delivery fails")
                raise OSError
            self.steps.append(json.dumps(action.to_dict()))
            return "answer"

        async def handle_later(event: ra.Event, match: ra.Match) -> Any:
            await asyncio.sleep(0)
            return handle(event, match)

        async def deliver_later(action: ra.Action) -> Any:
            await asyncio.sleep(0)
            return deliver(action)

        for condition in ("stuck", "derived", "n > 1", "silent", "count", "eni exists"):
            self.app.on(condition)(handle_later if asynchronous else handle)
        for target in ("ops", "api"):
            self.app.target(target)(deliver_later if asynchronous else deliver)

    def result(self) -> tuple[list[str], dict[str, Any], Any]:
        return self.steps, self.app.state.to_dict(), self.app.state.pending()


def in_a_list(app: ra.Automation, items: list[Any]) -> None:
    app.run(items)


def from_a_generator(app: ra.Automation, items: list[Any]) -> None:
    def source() -> Iterator[Any]:
        for item in items:
            yield item
            yield None

    app.run(source())


def as_messages(app: ra.Automation, items: list[Any]) -> None:
    app.run(
        [
            Message(json.dumps(item, separators=(",", ":")).encode(), ack=lambda: None)
            for item in items
        ]
    )


def as_lines(app: ra.Automation, items: list[Any]) -> None:
    app.run("\n".join(json.dumps(item, separators=(",", ":")) for item in items).encode())


def as_events(app: ra.Automation, items: list[Any]) -> None:
    app.run([ra.Event(item) for item in items])


def in_one_document(app: ra.Automation, items: list[Any]) -> None:
    app.run([{"Records": items}])


def list_in_a_loop(app: ra.Automation, items: list[Any]) -> None:
    asyncio.run(app.run_async(items))


def async_source(app: ra.Automation, items: list[Any]) -> None:
    async def source() -> AsyncIterator[Any]:
        for item in items:
            yield item

    asyncio.run(app.run_async(source()))


def generator_in_a_loop(app: ra.Automation, items: list[Any]) -> None:
    asyncio.run(app.run_async(iter(items)))


WAYS: list[Callable[[ra.Automation, list[Any]], None]] = [
    from_a_generator,
    as_messages,
    as_lines,
    as_events,
    in_one_document,
    list_in_a_loop,
    async_source,
    generator_in_a_loop,
]


@pytest.mark.parametrize("seed", range(4))
def test_all_ways_do_the_same(seed: int) -> None:
    items = events(random.Random(seed))
    expected = Recorder(False, seed)
    in_a_list(expected.app, items)
    assert len(expected.steps) > 50 and "handler fails" in expected.steps
    for way in WAYS:
        for asynchronous in (False, True):
            recorder = Recorder(asynchronous, seed)
            way(recorder.app, items)
            assert recorder.result() == expected.result(), (way.__name__, asynchronous)

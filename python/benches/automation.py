"""What `Automation` costs for an event beyond the evaluation and the handler, in one run.

    pip install .
    python python/benches/automation.py

Each loop by hand does the same as the automation beside it: evaluate, keep the state, call the
function. In each round both run once, so that a busy machine slows both alike; figures are medians
over the rounds.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import reflexarc as ra

EVENTS = int(os.environ.get("EVENTS", "20000"))
ROUNDS = int(os.environ.get("ROUNDS", "15"))
CONTENT = {
    "eniId": "eni-8vb1qo00000000cdeg2n",
    "operation": "AttachNetworkInterface",
    "eniStatus": "Available",
    "result": "failed",
    "requestId": "59701492-A8F2-3375-B0B9-D90000000027",
    "primaryPrivateIp": "192.168.12.34",
}
EVENT = {
    "id": "2256A988-0B26-4E2B-820A-8B0000000000",
    "product": "ECS",
    "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
    "eventTime": "20190409T121826.922+0800",
    "regionId": "cn-hangzhou",
    "content": CONTENT,
}
TEXT = json.dumps(EVENT).encode()
OTHER = json.dumps({**EVENT, "content": {**CONTENT, "result": "success"}}).encode()
QUIET = "when = 'content.result == \"failed\"'\nthen = 'log(\"x\")'"
COUNTING = "when = 'content.result == \"failed\"'\nthen = 'add(\"n\", 1)'"
SENDING = "when = 'content.result == \"failed\"'\nthen = 'send(\"out\", event.content.eniId)'"


def nothing(*_: Any) -> None:
    """A handler or target."""


async def nothing_async(*_: Any) -> None:
    """The same in an event loop."""


def by_hand(rule: str, events: list[bytes]) -> Callable[[], None]:
    """Evaluate each event and call a function for what it matched and for each action."""
    rules = ra.RuleSet.from_rules({"r": rule})

    def run() -> None:
        state = ra.State()
        for text in events:
            event = ra.Event(text)
            evaluation = rules.evaluate(event, state=state)
            state = evaluation.state
            if evaluation.matched:
                nothing(event, evaluation)
                for action in evaluation.actions:
                    nothing(action)

    return run


def automation(rule: str, events: list[bytes]) -> Callable[[], None]:
    """The same with an automation."""
    rules = ra.RuleSet.from_rules({"r": rule})

    def run() -> None:
        app = ra.Automation(rules)
        app.on("r")(nothing)
        app.target("out")(nothing)
        app.run(events)

    return run


def pattern_by_hand(events: list[bytes]) -> Callable[[], None]:
    """Match each event with a pattern and call a function."""
    rules = ra.RuleSet({"r": 'content.result == "failed"'})

    def run() -> None:
        for text in events:
            event = ra.Event(text)
            if rules.matching(event):
                nothing(event, None)

    return run


def pattern_automation(events: list[bytes]) -> Callable[[], None]:
    """The same with an automation without rules."""

    def run() -> None:
        app = ra.Automation(ra.RuleSet({}))
        app.on('content.result == "failed"')(nothing)
        app.run(events)

    return run


def in_loop(events: list[bytes]) -> Callable[[], None]:
    """An automation whose handler and target are coroutine functions."""
    rules = ra.RuleSet.from_rules({"r": SENDING})

    def run() -> None:
        app = ra.Automation(rules)
        app.on("r")(nothing_async)
        app.target("out")(nothing_async)
        asyncio.run(app.run_async(events))

    return run


def main() -> None:
    """Measure and print the table."""
    matching, other = [TEXT] * EVENTS, [OTHER] * EVENTS
    pairs = {
        "an event that matches nothing": (by_hand(QUIET, other), automation(QUIET, other)),
        "a rule with a handler": (by_hand(COUNTING, matching), automation(COUNTING, matching)),
        "a pattern with a handler": (pattern_by_hand(matching), pattern_automation(matching)),
        "a handler and an action": (by_hand(SENDING, matching), automation(SENDING, matching)),
        "the same in an event loop": (by_hand(SENDING, matching), in_loop(matching)),
    }
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in pairs}
    for _ in range(ROUNDS):
        for name, runs in pairs.items():
            for run, found in zip(runs, times[name], strict=True):
                start = time.process_time()
                run()
                found.append((time.process_time() - start) / EVENTS * 1e6)
    print(f"{'µs for an event':<32} by hand   automation   beyond")
    for name, (hand, app) in times.items():
        beyond = statistics.median(b - a for a, b in zip(hand, app, strict=True))
        medians = statistics.median(hand), statistics.median(app)
        print(f"{name:<32} {medians[0]:7.2f}      {medians[1]:7.2f}  {beyond:7.2f}")


if __name__ == "__main__":
    main()

"""Effects on the process: memory and subinterpreters."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import psutil
import pytest
import reflexarc as ra

# python/benches/RESULTS.md has the result with `REFLEXARC_LEAK_CALLS=10000000`.
CALLS = int(os.environ.get("REFLEXARC_LEAK_CALLS", "40000"))


def resident() -> int:
    """The resident memory of the process in bytes."""
    return psutil.Process().memory_info().rss


def fails(call: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_calls_do_not_leak_memory() -> None:
    pattern = ra.Pattern(
        'content.result == "failed" and content.tags.key starts with "a" and content.n > 1.5'
    )
    rules = ra.RuleSet.from_rules(
        {
            "r": "when = 'content.result == \"failed\"'\n"
            'then = \'set("k", add("n", 1)); notify("ops", `x`)\''
        }
    )
    timed = ra.RuleSet.from_rules(
        {
            "r": "when = 'content.result == \"failed\"'\nby = 'content.n'\n"
            "not_followed_by = { when = 'a == 1', within = '5m' }\nnotify = ['ops']"
        }
    )
    now = datetime(2026, 11, 25, 8, tzinfo=timezone.utc)
    event: dict[Any, Any] = {
        "content": {"result": "failed", "n": 2, "tags": [{"key": "ab"}, {"key": 1.5}]}
    }
    flat = {"content": {"result": "failed", "n": 2.5, "tags.key": "ab"}}
    text = json.dumps(event)
    line = text.encode() + b"\n"
    broken: dict[Any, Any] = {"content": {1: 2}}
    # How often each call is made in a round.
    calls: list[tuple[int, Callable[[], Any]]] = [
        (300, lambda: pattern.matches(flat)),
        (200, lambda: pattern.matches(event)),
        (200, lambda: pattern.matches(text)),
        (100, lambda: pattern.matches(line)),
        (100, lambda: rules.matching(event)),
        (50, lambda: rules.matching(text)),
        (10, lambda: rules.evaluate(event).state.to_dict()),
        (5, lambda: pickle.loads(pickle.dumps(timed.evaluate(event, now=now).state)).due()),
        (5, lambda: timed.fire_due(timed.evaluate(event, now=now).state).fired[0].actions),
        (10, lambda: ra.Event(event).normalized().to_dict()),
        (10, lambda: pattern.explain(event).tree),
        (5, lambda: fails(lambda: pattern.matches(broken), ra.EventError)),
        (5, lambda: fails(lambda: ra.Pattern("a = 1"), ra.PatternError)),
        (5, lambda: pickle.loads(pickle.dumps(pattern))),
        (4, lambda: rules.matching_many([text, event, line])),
        (1, lambda: rules.matching_many(line * 1000)),
        (1, lambda: rules.matching_many([text, broken], on_error="collect")),
        (1, lambda: [each.state for each in rules.evaluate_many(line * 300)]),
        (1, lambda: list(timed.evaluate_many([event, text, []], now=now, on_error="collect"))),
        (1, lambda: next(rules.evaluate_many([event] * 100)).explain()),
    ]
    each_round = sum(often for often, _ in calls)

    def work(rounds: int) -> None:
        for _ in range(rounds):
            for often, call in calls:
                for _ in range(often):
                    call()

    work(15)
    before = resident()
    work(CALLS // each_round)
    grown = resident() - before
    print(f"{CALLS // each_round * each_round} calls, {grown} bytes more than the {before} before")
    assert grown < 2 << 20


def test_automations_do_not_leak_memory() -> None:
    app = ra.Automation(
        ra.RuleSet.from_rules(
            {
                "r": "when = 'n exists'\n"
                'then = \'set("k", event.n); notify("ops", `x`); '
                'notify("ops", #{ text: "later", after: "1ms", key: "k" }); '
                'call("api", "Look", #{})\'\n'
                "answered = 'notify(\"ops\", answer.body)'",
                "w": "when = 'n exists'\nby = 'n'\n"
                "not_followed_by = { when = 'a == 1', within = '1ms' }\ngrace = '0s'\n"
                "notify = ['ops']",
            }
        ),
        dead_letters=lambda letter: None,
        on_error="skip",
    )
    seen = [0]

    def handle(event: ra.Event, match: ra.Match) -> ra.Action | None:
        seen[0] += 1
        if seen[0] % 5 == 0:
            raise LookupError
        return ra.Action.send("ops", {"n": match.at}) if seen[0] % 3 == 0 else None

    for condition in ("r", "w", "n > 1"):
        app.on(condition)(handle)
    app.target("api")(lambda action: "found")
    app.target("ops")(lambda action: None if seen[0] % 7 else 1 / 0)
    logging.getLogger("reflexarc").addHandler(logging.NullHandler())
    logging.getLogger("reflexarc").propagate = False
    events = [{"n": number % 10} for number in range(100)] + [b"{", b'{"other": 1}']

    async def in_loop() -> None:
        await app.run_async(events)

    def work(rounds: int) -> None:
        for _ in range(rounds):
            app.run(events)
            asyncio.run(in_loop())

    try:
        work(6)
        before = resident()
        work(max(5, CALLS // 10_000))
        grown = resident() - before
    finally:
        logging.getLogger("reflexarc").propagate = True
    assert seen[0] > 1_000 and len(app.state.to_dict()) <= 2
    assert grown < 2 << 20


def test_subinterpreters_raise_import_errors() -> None:
    name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    interpreters: Any = importlib.import_module(name)
    inner = interpreters.create()
    try:
        code = (
            f"import sys; sys.path[:] = {sys.path!r}\n"
            "try:\n    import reflexarc\n"
            "except ImportError as error:\n    assert 'subinterpreters' in str(error), error\n"
            "else:\n    raise AssertionError('imported')\n"
        )
        # Python 3.13 returns an exception of the code, earlier versions raise it.
        assert interpreters.run_string(inner, code) is None
    finally:
        interpreters.destroy(inner)
    assert ra.Pattern("a exists").matches({"a": 1}), "the main interpreter still works"


@pytest.mark.parametrize("first", [["numpy", "pyarrow"], ["pyarrow", "numpy"]])
def test_import_after_libraries_with_allocators_of_their_own(first: list[str]) -> None:
    # Each takes some of the little room that a process has for the thread-local variables of
    # libraries it loads late; one that needs more of it than is left cannot be loaded.
    code = (
        f"import {', '.join(first)}, threading\n"
        "import reflexarc as ra\n"
        "rules = ra.RuleSet.from_rules({'r': \"when = 'a exists'\\nthen = 'log(event.a)'\"})\n"
        "def evaluate():\n"
        "    for n in range(1000):\n"
        "        rules.evaluate({'a': 'x' * n})\n"
        "threads = [threading.Thread(target=evaluate) for _ in range(4)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "sums = pyarrow.array([1, 2]).sum(), numpy.arange(3).sum()\n"
        "print(*sums, ra.Pattern('a == 1').matches({'a': 1}))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "3 3 True\n"), ran.stderr

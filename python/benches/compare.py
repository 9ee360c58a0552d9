"""Compares the cost of a call with baselines and other packages, in one run; prints a table.

    pip install . pyarrow polars orjson
    pip install zen-engine common-expression-language jsonlogic-rs event-ruler
    python python/benches/compare.py

Packages that are not installed are skipped. In each round every contender runs once, so that a busy
machine slows all of them alike, and each figure is the median over the rounds. Ratios are more
reliable than absolute figures.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import automation
import reflexarc as ra

EVENT: dict[str, Any] = {
    "id": "2256A988-0B26-4E2B-820A-8B0000000000",
    "product": "ECS",
    "resourceId": "acs:ecs:cn-hangzhou:1690700000000030:eni/eni-8vb1qo00000000cdeg2n",
    "level": "WARN",
    "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
    "userId": "1690700000000030",
    "eventTime": "20190409T121826.922+0800",
    "regionId": "cn-hangzhou",
    "content": {
        "eniId": "eni-8vb1qo00000000cdeg2n",
        "operation": "AttachNetworkInterface",
        "eniStatus": "Available",
        "result": "failed",
        "requestId": "59701492-A8F2-3375-B0B9-D90000000027",
        "primaryPrivateIp": "192.168.12.34",
        "secondaryPrivateIps": ["192.168.12.35", "192.168.12.36"],
        "ipv4Prefixes": ["192.168.16.0/28"],
        "ipv6s": ["2001:db8:1234:23:8:800:200c:417a"],
        "ipv6Prefixes": ["2001:db8::/80"],
    },
}
TEXT = json.dumps(EVENT)
BYTES = TEXT.encode()
PATTERN = ra.Pattern(
    'level == "WARN" and content.result in ["failed", "unknown"]'
    ' and content.operation starts with "Attach" and regionId != "cn-beijing"'
)
ONE = ra.RuleSet({"r0": PATTERN})
RULES = {
    f"r{i}": f'content.eniId == "eni-{i}" and regionId == "cn-hangzhou"' for i in range(1, 1000)
}
MANY = ra.RuleSet({"r0": PATTERN} | RULES)
LINES = b"".join([BYTES + b"\n"] * 50_000)
# A script with state, for evaluations: those that read what an earlier event wrote run twice.
EVALUATED = """
when = 'content.result == "failed"'
then = '''
let n = add(event.resourceId, 1);
if n % 100 == 1 { notify("ops", `${event.content.eniId}: ${n} failures`); }
'''
"""
EVALUATIONS = 20_000
RESOURCES = [f"eni-{n}" for n in range(1_000)]


def handwritten(event: dict[str, Any]) -> bool:
    """The pattern as a handwritten predicate."""
    content = event["content"]
    return (
        event["level"] == "WARN"
        and content["result"] in ("failed", "unknown")
        and content["operation"].startswith("Attach")
        and event["regionId"] != "cn-beijing"
    )


def contenders() -> dict[str, Callable[[], Any]]:
    """The measured calls, by name."""
    found: dict[str, Callable[[], Any]] = {
        "Pattern.matches(bytes)": lambda: PATTERN.matches(BYTES),
        "Pattern.matches(str)": lambda: PATTERN.matches(TEXT),
        "Pattern.matches(dict)": lambda: PATTERN.matches(EVENT),
        "RuleSet of 1, bytes": lambda: ONE.matching(BYTES),
        "RuleSet of 1,000, bytes": lambda: MANY.matching(BYTES),
        "RuleSet of 1,000, dict": lambda: MANY.matching(EVENT),
        "handwritten, dict": lambda: handwritten(EVENT),
        "json.loads": lambda: json.loads(TEXT),
    }
    if importlib.util.find_spec("orjson"):
        import orjson

        found["orjson.loads"] = lambda: orjson.loads(BYTES)
    if importlib.util.find_spec("zen"):
        import zen

        zen_text = (
            'level == "WARN" and content.result in ["failed", "unknown"]'
            ' and startsWith(content.operation, "Attach") and regionId != "cn-beijing"'
        )
        compiled = zen.compile_expression(zen_text)
        found["zen-engine, dict"] = lambda: compiled.evaluate(EVENT)
    if importlib.util.find_spec("cel"):
        import cel

        cel_text = (
            'level == "WARN" && content.result in ["failed", "unknown"]'
            ' && content.operation.startsWith("Attach") && regionId != "cn-beijing"'
        )
        program = cel.compile(cel_text)
        found["common-expression-language, dict"] = lambda: program.execute(EVENT)
    if importlib.util.find_spec("jsonlogic_rs"):
        import jsonlogic_rs

        logic = {
            "and": [
                {"==": [{"var": "level"}, "WARN"]},
                {"in": [{"var": "content.result"}, ["failed", "unknown"]]},
                {"==": [{"substr": [{"var": "content.operation"}, 0, 6]}, "Attach"]},
                {"!=": [{"var": "regionId"}, "cn-beijing"]},
            ]
        }
        found["jsonlogic-rs, dict"] = lambda: jsonlogic_rs.apply(logic, EVENT)
    if importlib.util.find_spec("event_ruler"):
        from event_ruler import test_event_pattern

        # It does not support prefixes, so its pattern is simpler.
        content = {"result": ["failed", "unknown"], "operation": ["AttachNetworkInterface"]}
        ruler = json.dumps({"level": ["WARN"], "content": content, "regionId": ["cn-hangzhou"]})
        found["event-ruler, str"] = lambda: test_event_pattern(TEXT, ruler)
    return found


def run_command(*arguments: str | Path) -> None:
    """Run the command of the package."""
    run = [sys.executable, "-m", "reflexarc", *map(str, arguments)]
    assert subprocess.run(run, stdout=subprocess.DEVNULL).returncode in (0, 1)


def rates(folder: Path) -> dict[str, float]:
    """Events per second with 1,000 rules: NDJSON, columns, and the command line."""
    events, none, patterns = (
        folder / name for name in ("events.ndjson", "none.ndjson", "patterns.ndjson")
    )
    events.write_bytes(LINES)
    none.write_bytes(b"")
    sources = {"r0": PATTERN.source, **RULES}
    rows = [json.dumps({"id": id, "pattern": pattern}) + "\n" for id, pattern in sources.items()]
    patterns.write_text("".join(rows))
    jobs = ("--jobs", str(os.cpu_count()), "--patterns", patterns)
    calls: dict[str, Callable[[], Any]] = {
        "matching_many(bytes)": lambda: MANY.matching_many(LINES),
        "matching_many(path)": lambda: MANY.matching_many(events),
        "reflexarc match": lambda: run_command("match", "--count", *jobs, events),
        "nothing": lambda: run_command("match", "--count", *jobs, none),
    }
    texts = LINES.decode().splitlines()
    if importlib.util.find_spec("pyarrow"):
        import pyarrow as pa
        import reflexarc.arrow as arrow

        column = pa.array(texts)
        structs = pa.array([EVENT] * len(texts))
        calls["arrow.matching(text)"] = lambda: arrow.matching(MANY, column)
        calls["arrow.matching(structs)"] = lambda: arrow.matching(MANY, structs)
        calls["arrow.mask(text), one pattern"] = lambda: arrow.mask(PATTERN, column)
    if importlib.util.find_spec("polars"):
        import polars as pl
        from reflexarc.polars import matches, matching

        frame = pl.DataFrame({"event": texts})
        calls["polars matching"] = lambda: frame.select(matching("event", MANY))
        calls["polars filter, one pattern"] = lambda: frame.filter(matches("event", PATTERN))
    calls["Pattern.matches(bytes), a loop"] = lambda: [
        PATTERN.matches(line) for line in LINES.splitlines()
    ]
    times = median_durations(calls, rounds=9, times=1)
    start_up = times.pop("nothing")
    times["reflexarc match"] -= start_up
    return {name: LINES.count(b"\n") / seconds for name, seconds in times.items()}


def evaluation_rates(folder: Path) -> dict[str, float]:
    """Evaluations per second of a rule with state, one after the other and many at once."""
    rule, file, none = folder / "again.toml", folder / "evaluated.ndjson", folder / "none.ndjson"
    rule.write_text(EVALUATED)
    found = [
        json.dumps({**EVENT, "resourceId": RESOURCES[n % len(RESOURCES)]}).encode()
        for n in range(EVALUATIONS)
    ]
    lines = b"".join(text + b"\n" for text in found)
    file.write_bytes(lines)
    none.write_bytes(b"")
    rules = ra.RuleSet.load(rule)
    dicts = [json.loads(text) for text in found]

    def one_by_one(events: list[Any]) -> None:
        state = ra.State()
        for event in events:
            state = rules.evaluate(event, state=state).state

    def many(events: Any) -> None:
        for _ in rules.evaluate_many(events):
            pass

    calls: dict[str, Callable[[], Any]] = {
        "evaluate(bytes), a loop": lambda: one_by_one(found),
        "evaluate(dict), a loop": lambda: one_by_one(dicts),
        "evaluate_many(bytes)": lambda: many(lines),
        "evaluate_many(path)": lambda: many(file),
        "evaluate_many(list of bytes)": lambda: many(found),
        "evaluate_many(list of dicts)": lambda: many(dicts),
        "reflexarc run": lambda: run_command("run", rule, file),
        "nothing": lambda: run_command("run", rule, none),
    }
    times = median_durations(calls, rounds=9, times=1)
    start_up = times.pop("nothing")
    times["reflexarc run"] -= start_up
    return {name: EVALUATIONS / seconds for name, seconds in times.items()}


def median_durations(
    calls: dict[str, Callable[[], Any]], *, rounds: int, times: int
) -> dict[str, float]:
    """The median duration of each call in seconds."""
    durations: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(times):
                call()
            durations[name].append((time.perf_counter() - start) / times)
    return {name: statistics.median(rounds) for name, rounds in durations.items()}


def main() -> None:
    """Measure and print the tables."""
    assert PATTERN.matches(BYTES) and PATTERN.matches(EVENT) and handwritten(EVENT)
    assert MANY.matching(BYTES) == MANY.matching(EVENT) == ["r0"]
    calls = contenders()
    calls = {name: call for name, call in calls.items() if call() not in (None, False)}
    calls["nothing"] = lambda: None
    medians = median_durations(calls, rounds=100, times=200)
    nothing = medians.pop("nothing")
    print("The cost of calling an empty function has been subtracted.")
    medians = {name: (median - nothing) * 1e6 for name, median in medians.items()}
    for name, median in medians.items():
        baselines = [
            f"{median / medians[baseline]:.2f} x {baseline}"
            for baseline in ("orjson.loads", "handwritten, dict")
            if baseline in medians
        ]
        print(f"{name:<34} {median:8.2f} us   {'   '.join(baselines)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for measured in (rates(folder), evaluation_rates(folder)):
            print()
            for name, rate in measured.items():
                print(f"{name:<34} {rate:12,.0f} events/s")
    print()
    automation.main()


if __name__ == "__main__":
    main()

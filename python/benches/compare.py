"""What one call costs, in turns with the floors and with other packages, in one run; prints a table.

    pip install . orjson zen-engine common-expression-language jsonlogic-rs
    python python/benches/compare.py

Packages that are not installed are left out. Each figure is the median of rounds in which all contenders take turns,
so that a busy machine disturbs all of them alike; trust the ratios.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import time
from typing import Any, Callable

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
MANY = ra.RuleSet(
    {"r0": PATTERN} | {f"r{i}": f'content.eniId == "eni-{i}" and regionId == "cn-hangzhou"' for i in range(1, 1000)}
)
LINES = b"\n".join([BYTES] * 2000)


def by_hand(event: dict[str, Any]) -> bool:
    """The pattern as a person would write it."""
    content = event["content"]
    return (
        event["level"] == "WARN"
        and content["result"] in ("failed", "unknown")
        and content["operation"].startswith("Attach")
        and event["regionId"] != "cn-beijing"
    )


def contenders() -> dict[str, Callable[[], Any]]:
    """Everything that is measured, by name."""
    found: dict[str, Callable[[], Any]] = {
        "Pattern.matches(bytes)": lambda: PATTERN.matches(BYTES),
        "Pattern.matches(str)": lambda: PATTERN.matches(TEXT),
        "Pattern.matches(dict)": lambda: PATTERN.matches(EVENT),
        "RuleSet of 1, bytes": lambda: ONE.matching(BYTES),
        "RuleSet of 1,000, bytes": lambda: MANY.matching(BYTES),
        "RuleSet of 1,000, dict": lambda: MANY.matching(EVENT),
        "by hand, dict": lambda: by_hand(EVENT),
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
        found["common-expression-language, dict"] = lambda: cel.evaluate(cel_text, EVENT)
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
    return found


def main() -> None:
    """Measure and print."""
    assert PATTERN.matches(BYTES) and PATTERN.matches(EVENT) and by_hand(EVENT)
    assert MANY.matching(BYTES) == MANY.matching(EVENT) == ["r0"]
    calls = contenders()
    calls = {name: call for name, call in calls.items() if call() not in (None, False)}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(60):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(300):
                call()
            times[name].append((time.perf_counter() - start) / 300)
    medians = {name: statistics.median(rounds) * 1e6 for name, rounds in times.items()}
    for name, median in medians.items():
        floors = [
            f"{median / medians[floor]:.2f} x {floor}"
            for floor in ("orjson.loads", "by hand, dict")
            if floor in medians
        ]
        print(f"{name:<34} {median:8.2f} us   {'   '.join(floors)}")
    start = time.perf_counter()
    assert len(MANY.matching_many(LINES)) == 2000
    print(f"matching_many, 1,000 rules: {2000 / (time.perf_counter() - start):,.0f} events/s")


if __name__ == "__main__":
    main()

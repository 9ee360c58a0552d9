"""Rule sets: matching, evaluation and state."""

from __future__ import annotations

import copy
import datetime
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import reflexarc as ra

UTC = datetime.timezone.utc
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RULES = ra.RuleSet(
    {
        "failed": 'content.result == "failed"',
        "attach": {"content": {"operation": [{"prefix": "Attach"}]}},
    }
)
COUNTING = """
when = 'content.result == "failed"'
then = '''
let seen = add("seen", 1);
log(`seen ${seen}`);
if seen > 1 { notify("ops", #{ title: "again", text: `${event.content.eniId}` }); }
send("cmdb", #{ eni: event.content.eniId, seen: seen });
'''
"""


def event(result: str = "failed", **members: Any) -> dict[str, Any]:
    return {
        "content": {
            "result": result,
            "operation": "AttachNetworkInterface",
            "eniId": "eni-1",
            **members,
        }
    }


def test_ids_are_in_order() -> None:
    assert RULES.matching(event()) == ["attach", "failed"]
    assert RULES.matching(json.dumps(event("success"))) == ["attach"]
    assert RULES.matching(b"{}") == []


def test_rule_sets_are_containers() -> None:
    assert (len(RULES), list(RULES), RULES.ids) == (2, ["attach", "failed"], ["attach", "failed"])
    assert "failed" in RULES and "other" not in RULES and 5 not in RULES
    assert RULES["failed"].pattern == ra.Pattern('content.result == "failed"')
    assert RULES["failed"].level == "info"
    with pytest.raises(KeyError, match="other"):
        RULES["other"]


def test_copies_and_pickles_are_equal() -> None:
    files = ra.RuleSet.from_rules({"counting": COUNTING})
    for rules in (RULES, files):
        again = pickle.loads(pickle.dumps(rules))
        assert again == rules and hash(again) == hash(rules) and copy.deepcopy(rules) is rules
        assert again.matching(event()) == rules.matching(event())
    assert files != RULES


def test_pickles_contain_event_files_of_tests(tmp_path: Path) -> None:
    rule = (
        "when = 'a exists'\nnotify = 'team'\n"
        "[[test]]\nname = 't'\nmatches = true\nevent_file = 'event.json'\n"
    )
    (tmp_path / "rule.toml").write_text(rule)
    (tmp_path / "event.json").write_text('{"a": 1}')
    rules = ra.RuleSet.load(tmp_path)
    pickled = pickle.dumps(rules)
    (tmp_path / "event.json").unlink()
    assert not rules.test()[0].passed
    again = pickle.loads(pickle.dumps(pickle.loads(pickled)))
    assert again == rules and again.test()[0].passed


def test_envelopes_are_normalised() -> None:
    cloud_event = {
        "specversion": "1.0",
        "id": "1",
        "source": "acs.ecs",
        "type": "ecs:NetworkInterface:NetworkInterfaceOperateCompleted",
        "data": {"result": "failed"},
    }
    assert RULES.matching(cloud_event) == ["failed"]
    assert RULES.matching(json.dumps(cloud_event)) == ["failed"]
    assert RULES.matching_many([cloud_event]) == [["failed"]]


def many(count: int) -> list[dict[str, Any]]:
    return [event("failed" if i % 3 == 0 else "success", eniId=f"eni-{i}") for i in range(count)]


def expected(count: int) -> list[list[str]]:
    return [["attach", "failed"] if i % 3 == 0 else ["attach"] for i in range(count)]


def test_matching_many_keeps_the_order(tmp_path: Path) -> None:
    events = many(10_000)
    lines = "\n".join(json.dumps(one) for one in events)
    file = tmp_path / "events.ndjson"
    file.write_text(lines + "\n\n")
    mixed = [one if i % 2 else json.dumps(one) for i, one in enumerate(events)]
    for argument in (
        events,
        iter(mixed),
        lines.encode(),
        bytearray(lines.encode()),
        file,
        str(file),
    ):
        assert RULES.matching_many(argument) == expected(10_000)
    assert RULES.matching_many([]) == [] and RULES.matching_many(b"") == []


def test_files_are_read_in_chunks(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    lines = [json.dumps(event(eniId="x" * 1000)) for _ in range(1_000)]
    file.write_text("\n".join(lines) + "\n\n")
    os.truncate(file, 1 << 40)  # the last line is a terabyte of zeros, none of which is on the disk
    with pytest.raises(ra.EventError, match=r"^line 1002: .*1048576"):
        RULES.matching_many(file)
    file.write_text("\n".join(lines).replace("failed", "failed" * 200_000, 1))
    with pytest.raises(ra.EventError, match=r"^line 1: .*1048576"):
        RULES.matching_many(file)


def test_matching_many_errors_name_the_event() -> None:
    with pytest.raises(ra.EventError, match=r"^line 3: .*byte"):
        RULES.matching_many(b'{}\n\n{"a": }\n{}')
    with pytest.raises(ra.EventError, match=r"^event 2: "):
        RULES.matching_many([{}, "{}", "[]", {}])
    with pytest.raises(ra.EventError, match=r"^event 1: event\[\"content\"\]"):
        RULES.matching_many(["{}", {"content": {1: 2}}])
    for argument in (b"\n" * 5_000 + b"{}\n" * 50_000, b"{}\n" * 55_000):
        with pytest.raises(ra.EventError, match=r"^line 55001: .*an array"):
            RULES.matching_many(argument + b"[]\n" + b"{}\n" * 50_000 + b"{")
    with pytest.raises(OSError):
        RULES.matching_many("no-such-file.ndjson")
    with pytest.raises(TypeError):
        RULES.matching_many({"content": {}})
    with pytest.raises(TypeError):
        RULES.matching_many(5)  # type: ignore[arg-type]


def test_evaluation_returns_actions_and_state() -> None:
    rules = ra.RuleSet.from_rules({"counting": COUNTING})
    first = rules.evaluate(event(), now=NOW)
    assert (first.matched, first.log, first.failures) == (["counting"], ["seen 1"], [])
    assert [action.kind for action in first.actions] == ["send"]
    assert first.actions[0].payload == {"eni": "eni-1", "seen": 1}
    second = rules.evaluate(event(), state=first.state, now=NOW)
    assert [action.kind for action in second.actions] == ["notify", "send"]
    message = second.actions[0]
    assert (message.target, message.title, message.text, message.level) == (
        "ops",
        "again",
        "eni-1",
        "info",
    )
    assert message.to_dict()["rule"] == "counting"
    assert second.state.get("counting", "seen") == 2 and first.state.get("counting", "seen") == 1
    assert rules.evaluate(event(), state=first.state, now=NOW).actions == second.actions


def test_failed_reactions_are_recorded_or_raised() -> None:
    rules = ra.RuleSet.from_rules({"bad": "when = 'a exists'\nthen = 'let x = 1 / 0;'"})
    evaluation = rules.evaluate({"a": 1})
    assert evaluation.actions == [] and evaluation.failures[0].rule == "bad"
    assert "bad.toml:2:" in evaluation.failures[0].message
    with pytest.raises(ra.ReactionError, match="bad"):
        rules.evaluate({"a": 1}, strict=True)


def test_rule_file_errors_have_a_location(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text("wehn = 'a exists'\n")
    (tmp_path / "two.toml").write_text("when = 'a exists and'\n")
    with pytest.raises(ra.RuleError) as caught:
        ra.RuleSet.load(tmp_path)
    sources = {Path(found.source).name for found in caught.value.diagnostics}
    assert sources == {"one.toml", "two.toml"}
    with pytest.raises(FileNotFoundError, match="missing"):
        ra.RuleSet.load(tmp_path / "missing")
    with pytest.raises(ra.PatternError) as refused:
        ra.RuleSet({"good": "a exists", "bad": "a = 1"})
    assert refused.value.diagnostics[0].source == "bad"
    with pytest.raises(TypeError):
        ra.RuleSet(["a exists"])  # type: ignore[arg-type]


def test_now_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        RULES.evaluate(event(), now=datetime.datetime(2026, 1, 1))


def test_rules_can_be_explained() -> None:
    assert not RULES.explain(event("success"), "failed")
    with pytest.raises(KeyError):
        RULES.explain(event(), "other")


def test_states_are_values() -> None:
    state = ra.State({"r": {"k": [1, {"x": None}], "n": 2.5}})
    assert state.to_dict() == {"r": {"k": [1, {"x": None}], "n": 2.5}}
    assert pickle.loads(pickle.dumps(state)) == state and state != ra.State()
    assert state.get("r", "missing", 7) == 7 and state.get("r", "missing") is None
    with pytest.raises(ra.StateError, match=r"nan|NaN"):
        ra.State({"r": {"k": float("nan")}})
    rules = ra.RuleSet.from_rules({"r": "when = 'a exists'\nthen = 'set(\"k\", 1, \"10m\");'"})
    after = rules.evaluate({"a": 1}, now=NOW).state
    later = NOW + datetime.timedelta(minutes=10)
    assert after.get("r", "k", now=NOW) == 1 and after.get("r", "k", now=later) is None
    assert pickle.loads(pickle.dumps(after)) == after


def test_threads_share_rule_sets() -> None:
    rules = ra.RuleSet.from_rules({"counting": COUNTING})
    lines = b"\n".join(json.dumps(one).encode() for one in many(2_000))
    problems: list[BaseException] = []

    def work() -> None:
        try:
            assert len(rules.matching_many(lines)) == 2_000
            for _ in range(50):
                assert rules.evaluate(event(), now=NOW).log == ["seen 1"]
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


INTERRUPTED = """
import json, reflexarc as ra, signal, sys, threading, os
rules = ra.RuleSet({f"r{i}": {"v": [{"wildcard": f"*a*b*{i}*c"}]} for i in range(300)})
line = json.dumps({"v": "ab" * 2000}).encode()
lines = b"\\n".join([line] * 60_000)
try:
    print("ready", flush=True)
    rules.matching_many(lines)
    print("finished", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_stops_a_batch() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=300)[0] == "interrupted\n"


def test_rules_have_labels_and_can_be_disabled() -> None:
    text = 'when = "id exists"\nnotify = "team"\nlabels = { team = "network" }\n'
    rules = ra.RuleSet.from_rules({"on": text, "off": f"enabled = false\n{text}"})
    assert (rules["on"].enabled, rules["off"].enabled) == (True, False)
    assert rules["off"].labels == {"team": "network"}
    assert rules.matching({"id": 1}) == ["on"]
    assert rules.matching_many([{"id": 1}, '{"id": 2}']) == [["on"], ["on"]]
    evaluation = rules.evaluate({"id": 1}, now=NOW)
    assert evaluation.matched == ["on"]
    assert evaluation.actions[0].labels == {"team": "network"}
    assert evaluation.actions[0].to_dict()["labels"] == {"team": "network"}
    assert pickle.loads(pickle.dumps(rules))["off"].enabled is False
    assert RULES["failed"].enabled and RULES["failed"].labels == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, "the event has no value at `content.key`"),
        ({"key": None}, "the value at `content.key` is null"),
        ({"key": []}, "the value at `content.key` is an array"),
        ({"key": {}}, "the value at `content.key` is an object"),
    ],
)
def test_events_without_the_key_of_a_gate_are_noted(content: Any, reason: str) -> None:
    text = """
    when = "content exists or id exists"
    once = { key = "content.key", within = "24h" }
    notify = "team"
    """
    rules = ra.RuleSet.from_rules({"a": text})
    state = ra.State()
    for _ in range(2):
        evaluation = rules.evaluate({"id": 1, "content": content}, state=state, now=NOW)
        assert len(evaluation.actions) == 1
        assert evaluation.notes == {"a": [f"once: not gated: {reason}"]}
        state = evaluation.state
    for suppressed in (False, True):
        evaluation = rules.evaluate({"id": 1, "content": {"key": 1}}, state=state, now=NOW)
        assert (evaluation.actions == [], evaluation.notes) == (suppressed, {})
        state = evaluation.state

"""Evaluating and matching many events: order, state, errors, cores and interrupts."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import reflexarc as ra

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
FILES = {
    "count": """
        when = 'result == "failed"'
        then = '''
        let n = add(`n-${event.eni}`, 1);
        set(`last-${event.eni}`, event.n, "10m");
        log(`${event.eni}: ${n}`);
        if n % 3 == 0 { emit(#{ again: event.eni, times: n }); }
        if event.n % 17 == 0 { throw "unlucky"; }
        '''
    """,
    "again": """
        when = "again exists"
        throttle = { key = "again", every = "1m" }
        then = 'notify("ops", `${event.again}: ${event.times} times`)'
    """,
    "plain": """
        when = "n exists and not result exists"
        then = 'send("cmdb", event.n)'
    """,
    "stuck": """
        when = 'result == "accepted"'
        by = "eni"
        not_followed_by = { when = 'result == "success"', within = "5m" }
        notify = ["network-team"]
    """,
}
RULES = ra.RuleSet.from_rules(FILES)


def many(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Events of few interfaces, so that most of them change what others have read."""
    choose = random.Random(seed)
    events: list[dict[str, Any]] = []
    at = NOW
    for n in range(count):
        event: dict[str, Any] = {"n": n, "eni": f"eni-{choose.randrange(5)}"}
        result = choose.choice(["failed", "accepted", "success", None, None])
        if result is not None:
            event["result"] = result
        # Some events come late, and some have no time.
        at += timedelta(seconds=choose.randrange(20))
        late = timedelta(seconds=choose.choice([0, 0, 0, 45]))
        if choose.random() < 0.9:
            event["eventTime"] = (at - late).isoformat()
        events.append(event)
    return events


def outcome(evaluation: ra.Evaluation) -> tuple[Any, ...]:
    """All that an evaluation did."""
    return (
        evaluation.matched,
        [action.to_dict() for action in evaluation.actions],
        evaluation.cancelled,
        [failure.message for failure in evaluation.failures],
        evaluation.log,
        evaluation.firings,
        [(due.at, due.rule, due.key) for due in evaluation.fired],
        evaluation.skipped,
        evaluation.notes,
        [event.to_json() for event in evaluation.emitted],
        evaluation.pending,
    )


def in_turn(
    events: list[dict[str, Any]], times: list[datetime], state: ra.State
) -> tuple[list[tuple[Any, ...]], ra.State]:
    """The naive counterpart: one event after the other."""
    outcomes = []
    for event, now in zip(events, times, strict=True):
        evaluation = RULES.evaluate(event, state=state, now=now)
        state = evaluation.state
        outcomes.append(outcome(evaluation))
    return outcomes, state


@pytest.mark.parametrize("count", [0, 1, 65, 3_000])
def test_evaluations_equal_those_in_turn(count: int, tmp_path: Path) -> None:
    events = many(count)
    before = ra.State({"count": {"n-eni-1": 100}})
    expected, after = in_turn(events, [NOW] * count, before)
    texts = [json.dumps(event) for event in events]
    file = tmp_path / "events.ndjson"
    file.write_text("\n".join(texts))
    forms = [texts, [text.encode() for text in texts], events, [ra.Event(t) for t in texts]]
    mixed = [forms[n % 4][n] for n in range(count)]  # type: ignore[index]
    for source in (events, iter(mixed), "\n\n".join(texts).encode(), file, str(file)):
        evaluations = RULES.evaluate_many(source, state=before, now=NOW)
        assert evaluations.state == before
        assert [outcome(evaluation) for evaluation in evaluations] == expected
        assert next(evaluations, None) is None
        # Matches keep the text of events, which is not the same in all these forms.
        last = evaluations.state
        assert (last.to_dict(now=NOW), last.due()) == (after.to_dict(now=NOW), after.due())
        assert last == after or source is not events


def test_the_clock_of_events_fires_deadlines_between_them() -> None:
    events = many(2_000)
    first = next(event["eventTime"] for event in events if "eventTime" in event)
    state, expected, fired = ra.State(), [], 0
    for event in events:
        now = datetime.fromisoformat(event.get("eventTime", first))
        evaluation = RULES.evaluate(event, state=state, now=now, advance="eventTime" in event)
        state = evaluation.state
        fired += len(evaluation.fired)
        expected.append(outcome(evaluation))
    evaluations = RULES.evaluate_many(events, clock="event")
    assert [outcome(evaluation) for evaluation in evaluations] == expected
    assert fired > 50 and evaluations.state == state


def test_the_command_line_evaluates_alike(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text("".join(json.dumps(event) + "\n" for event in many(1_500)))
    folder = tmp_path / "rules"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / f"{name}.toml").write_text(text)
    run = [sys.executable, "-m", "reflexarc", "run", str(folder), str(file)]
    printed = subprocess.run(
        [*run, "--format", "ndjson"], capture_output=True, text=True, check=False
    )
    rows = [json.loads(line) for line in printed.stdout.splitlines()]
    rules = [rule for row in rows for rule in row.get("rules", [])]
    texts = [a["text"] for rule in rules for a in rule["actions"] if "text" in a]
    evaluations = RULES.evaluate_many(file, clock="event")
    actions = [action for evaluation in evaluations for action in evaluation.actions]
    assert texts and texts == [action.text for action in actions if action.kind == "notify"]


def test_errors_are_raised_collected_or_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [b'{"n": 1}', b"", b"[]", b'{"n": 4}', b'{"n": ', b'{"n": 6}']
    long = b'{"n": "' + b"x" * (1 << 20) + b'"}'
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join([*lines, long, b'{"n": 8}', long]))
    text = b"\n".join([*lines, long, b'{"n": 8}', long])
    for source in (text, file):
        evaluations = RULES.evaluate_many(source)
        assert next(evaluations).matched == ["plain"]
        with pytest.raises(ra.EventError, match=r"^line 3: .*an array"):
            next(evaluations)
        assert list(evaluations) == []

        collected = list(RULES.evaluate_many(source, on_error="collect"))
        errors = [str(each) for each in collected if isinstance(each, ra.EventError)]
        numbers = [error.partition(":")[0] for error in errors]
        assert numbers == ["line 3", "line 5", "line 7", "line 9"]
        assert "1048576" in errors[2]
        ids = RULES.matching_many(source, on_error="collect")
        assert [str(each) if isinstance(each, ra.EventError) else each for each in ids] == [
            str(each) if isinstance(each, Exception) else each.matched for each in collected
        ]

        caplog.clear()
        skipped = [each.matched for each in RULES.evaluate_many(source, on_error="skip")]
        assert skipped == RULES.matching_many(source, on_error="skip") == [["plain"]] * 4
        assert [record.name for record in caplog.records] == ["reflexarc"] * 2
        for record in caplog.records:
            assert record.levelno == logging.WARNING
            assert record.getMessage().startswith("skipped 4 items; the first: line 3: ")


def test_errors_of_items_have_their_number() -> None:
    items: list[Any] = [{"n": 1}, '{"n": 2}', {"n": {1, 2}}, b"{", 5, ra.Event({"n": 6})]
    evaluations = RULES.evaluate_many(items)
    assert [next(evaluations).matched for _ in range(2)] == [["plain"]] * 2
    with pytest.raises(ra.EventError, match=r'^event 2: event\["n"\]'):
        next(evaluations)
    for collected in (
        list(RULES.evaluate_many(items, on_error="collect")),
        RULES.matching_many(items, on_error="collect"),
    ):
        errors = [str(each) for each in collected if isinstance(each, ra.EventError)]
        assert [error.partition(":")[0] for error in errors] == ["event 2", "event 3", "event 4"]
        assert len(collected) == 6
    # Whatever their form, the first error is that of the first event.
    mixed: list[Any] = ["{}", "[", {1: 2}]
    with pytest.raises(ra.EventError, match=r"^event 1: "):
        RULES.matching_many(mixed)


def test_exceptions_of_the_source_follow_the_evaluations_before() -> None:
    def source() -> Iterator[dict[str, int]]:
        yield {"n": 1}
        yield {"n": 2}
        raise KeyError("gone")

    for on_error in ("raise", "collect", "skip"):
        arguments: Any = {"on_error": on_error}
        evaluations = RULES.evaluate_many(source(), **arguments)
        assert [next(evaluations).matched for _ in range(2)] == [["plain"]] * 2
        with pytest.raises(KeyError, match="gone"):
            next(evaluations)
        assert list(evaluations) == []


def test_failures_are_errors_if_strict() -> None:
    events = many(300)
    lenient = list(RULES.evaluate_many(events, now=NOW))
    failed = [n for n, evaluation in enumerate(lenient) if evaluation.failures]
    assert failed
    evaluations = RULES.evaluate_many(events, now=NOW, strict=True)
    before = [next(evaluations) for _ in range(failed[0])]
    with pytest.raises(ra.ReactionError, match=f'^event {failed[0]}: rule "count": .*unlucky'):
        next(evaluations)
    assert evaluations.state == before[-1].state
    collected = list(RULES.evaluate_many(events, now=NOW, strict=True, on_error="collect"))
    assert [n for n, each in enumerate(collected) if isinstance(each, ra.ReactionError)] == failed
    # An event whose reaction failed changes nothing, as if `evaluate` had raised the exception.
    state = ra.State()
    for event in events:
        with contextlib.suppress(ra.ReactionError):
            state = RULES.evaluate(event, state=state, now=NOW, strict=True).state
    last = [each for each in collected if isinstance(each, ra.Evaluation)][-1]
    assert last.state == state


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="on_error"):
        RULES.evaluate_many([], on_error="ignore")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="on_error"):
        RULES.matching_many([], on_error="ignore")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="clock"):
        RULES.evaluate_many([], clock="utc")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="now="):
        RULES.evaluate_many([], clock="event", now=NOW)
    with pytest.raises(ValueError, match="time zone"):
        RULES.evaluate_many([], now=datetime(2026, 1, 1))
    with pytest.raises(TypeError, match="mapping"):
        RULES.evaluate_many({"n": 1})
    with pytest.raises(OSError):
        RULES.evaluate_many("no-such-file.ndjson")


def test_events_are_read_in_batches() -> None:
    read = 0

    def endless() -> Iterator[dict[str, int]]:
        nonlocal read
        while True:
            read += 1
            yield {"n": read}

    evaluations = RULES.evaluate_many(endless())
    for n in range(1, 5_000):
        assert next(evaluations).actions[0].payload == n
        assert read <= n + 512
    assert read > 5_000


def test_an_iterator_is_used_by_one_thread_at_a_time() -> None:
    evaluations: Any = None

    def source() -> Iterator[dict[str, int]]:
        yield {"n": 1}
        with pytest.raises(RuntimeError, match="already"):
            next(evaluations)
        yield {"n": 2}

    evaluations = RULES.evaluate_many(source())
    assert len(list(evaluations)) == 2


SLOW = ra.RuleSet.from_rules(
    {"slow": "when = 'n exists'\nthen = 'let s = 0; for i in 0..3000 { s += i; }'"}
)


def test_other_threads_run_meanwhile() -> None:
    ticks = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        start = time.monotonic()
        for _ in SLOW.evaluate_many([{"n": n} for n in range(500)], now=NOW):
            pass
        elapsed = time.monotonic() - start
    finally:
        done.set()
        thread.join()
    gaps = [later - earlier for earlier, later in itertools.pairwise(ticks)]
    assert len(ticks) > 10 and max(gaps) < elapsed / 2


def test_threads_evaluate_at_the_same_time() -> None:
    events = many(500)
    expected, _ = in_turn(events, [NOW] * 500, ra.State())
    found: list[list[tuple[Any, ...]]] = []

    def work() -> None:
        found.append([outcome(each) for each in RULES.evaluate_many(events, now=NOW)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8


INTERRUPTED = """
import reflexarc as ra
rules = ra.RuleSet.from_rules(
    {"slow": "when = 'n exists'\\nthen = 'let s = 0; for i in 0..3000 { s += i; }'"}
)
lines = b'{"n": 1, "text": "' + b"x" * 1000 + b'"}\\n'
lines = lines * 100_000
evaluations = rules.evaluate_many(lines)
try:
    first = next(evaluations)
    print("ready", flush=True)
    for _ in evaluations:
        pass
    print("finished", flush=True)
except KeyboardInterrupt:
    print("interrupted", evaluations.state == first.state, flush=True)
"""


def test_ctrl_c_ends_an_iterator() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=300)[0] == "interrupted True\n"


def test_files_are_not_read_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b'{"n": 1}\n')
    os.truncate(file, 1 << 40)  # the last line is a terabyte of zeros, none of which is on the disk
    evaluations = RULES.evaluate_many(file)
    assert next(evaluations).matched == ["plain"]
    with pytest.raises(ra.EventError, match=r"^line 2: .*1048576"):
        next(evaluations)


def test_evaluations_have_their_event_and_what_was_emitted() -> None:
    state = ra.State({"count": {"n-eni-1": 2}})
    evaluation = RULES.evaluate({"result": "failed", "eni": "eni-1", "n": 1}, state=state, now=NOW)
    assert evaluation.event is not None and evaluation.event.to_dict()["eni"] == "eni-1"
    assert [event.to_dict() for event in evaluation.emitted] == [{"again": "eni-1", "times": 3}]
    assert evaluation.matched == ["count", "again"]
    # Each rule is explained by the event that it matches: `again` by the one that was emitted.
    explained = evaluation.explain()
    assert {rule for rule, why in explained.items() if why} == {"count", "again"}
    assert set(explained) == set(RULES)
    assert evaluation.explain("again") and not evaluation.explain("plain")
    assert "result" in str(evaluation.explain("stuck"))
    with pytest.raises(KeyError, match="other"):
        evaluation.explain("other")


def test_evaluations_say_what_waits_and_why_deadlines_fired() -> None:
    opened = RULES.evaluate({"result": "accepted", "eni": "eni-1"}, now=NOW)
    assert opened.pending == opened.state.pending() == {"stuck": ["eni-1"]}
    later = RULES.evaluate({"eni": "eni-1"}, state=opened.state, now=NOW + timedelta(hours=1))
    assert len(later.fired) == 1 and later.fired[0].emitted == [] and later.pending == {}
    # What fired before an event is no reason for what rules do at the event.
    assert not later.explain("stuck")
    fired = RULES.fire_due(opened.state, NOW + timedelta(hours=1))
    assert fired.event is None
    assert fired.explain("stuck") and set(fired.explain()) == {"stuck"}
    with pytest.raises(ValueError, match="only deadlines fired"):
        fired.explain("plain")
    with pytest.raises(KeyError, match="other"):
        fired.explain("other")

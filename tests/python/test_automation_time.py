"""Time in `Automation`: deadlines, delayed actions and their place among events."""

from __future__ import annotations

import pickle
import threading
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import reflexarc as ra
from test_automation import NOW, Clock, Trace

STUCK = """
when = 'status == "Detaching"'
by = "eni"
not_followed_by = { when = 'status == "Available"', within = "30m" }
grace = "0s"
then = 'notify("ops", `${key} is stuck`)'
resolved = 'notify("ops", `${key} is over`)'
"""
ESCALATE = """
when = 'result in ["failed", "success"]'
by = "eni"
then = '''
if event.result == "success" { cancel("manager"); return; }
notify("ops", event.eni);
notify("ops", #{ text: `manager ${event.eni}`, after: "1h", key: "manager" });
'''
"""
LATER = """
when = 'n exists'
then = 'notify("ops", #{ text: `later ${event.n}`, after: "10m" })'
"""
SILENT = """
when = 'status exists'
absent_for = "24h"
then = 'notify("ops", "silence")'
"""
LOOK_LATER = """
when = 'eni exists'
then = 'call("api", "Look", #{ Id: event.eni }, #{ after: "30m" })'
answered = '''
notify("ops", `${event.eni} ${answer.body}`);
if answer.body == "busy" { call("api", "Look", #{ Id: event.eni }, #{ after: "30m" }); }
'''
"""


def detaching(eni: str, status: str = "Detaching", **members: Any) -> dict[str, Any]:
    return {"status": status, "eni": eni, **members}


def test_deadlines_fire_between_events_at_their_own_time() -> None:
    clock = Clock()
    trace = Trace({"stuck": STUCK}, clock=clock)
    seen: list[tuple[str, datetime, Any, str | None]] = []

    @trace.app.on("stuck")
    def stuck(event: ra.Event, match: ra.Match) -> None:
        assert match.firing is not None
        seen.append((event.to_json(), match.at, match.firing.key, match.firing.reason))

    def source() -> Any:
        yield detaching("eni-1")
        clock.pass_minutes(10)
        yield detaching("eni-2")
        assert trace.app.next_due == NOW + timedelta(minutes=30)
        clock.pass_minutes(25)
        yield None
        trace.steps.append("then")
        yield detaching("eni-1", "Available")

    summary = trace.app.run(source())
    assert trace.steps == ["deliver eni-1 is stuck", "then", "deliver eni-1 is over"]
    opening = '{"status":"Detaching","eni":"eni-1"}'
    closing = '{"status":"Available","eni":"eni-1"}'
    assert seen == [
        (opening, NOW + timedelta(minutes=30), "eni-1", "fired"),
        (closing, NOW + timedelta(minutes=35), "eni-1", "resolved"),
    ]
    assert summary == ra.Summary(events=3, actions=2, timers=1)
    assert trace.app.state.pending("stuck") == ["eni-2"]


def test_a_failed_deadline_fires_again() -> None:
    clock = Clock()
    trace = Trace({"stuck": STUCK}, clock=clock)
    trace.app.process(detaching("eni-1"))
    trace.app.process(detaching("eni-2"))
    before = trace.app.state
    clock.pass_minutes(40)
    trace.fails.add("deliver")
    for call in (trace.app.fire_due, lambda: trace.app.process({"other": 1})):
        with pytest.raises(ra.DeliveryError):
            call()
        assert trace.app.state is before
    trace.fails.clear()
    assert trace.app.fire_due() == 1, "both have the same deadline"
    assert trace.steps == ["deliver eni-1 is stuck", "deliver eni-2 is stuck"]
    assert trace.app.fire_due() == 0 and trace.app.next_due is None


def test_on_error_decides_about_deadlines() -> None:
    clock, letters = Clock(), []

    def source(trace: Trace) -> Any:
        yield detaching("eni-1")
        clock.pass_minutes(31)
        yield {"other": 1}
        clock.pass_minutes(0.1)
        trace.fails.clear()
        yield {"other": 2}

    trace = Trace({"stuck": STUCK}, clock=clock, on_error="retry")
    trace.fails.add("deliver")
    assert trace.app.run(source(trace)).events == 3
    assert trace.steps == ["deliver eni-1 is stuck"], "after a pause"
    trace = Trace({"stuck": STUCK}, clock=clock, on_error="skip")
    trace.fails.add("deliver")
    assert trace.app.run(source(trace)).events == 3
    assert trace.steps == [] and trace.app.state.pending() == {}
    trace = Trace({"stuck": STUCK}, clock=clock, on_error="skip", dead_letters=letters.append)
    trace.app.on("stuck")(trace.handle)
    trace.fails.add("handler")
    assert trace.app.run(source(trace)).dead_letters == 1
    assert [letter.action.text for letter in letters if letter.action] == ["eni-1 is stuck"]


def test_delayed_actions_wait_in_the_state() -> None:
    clock = Clock()
    trace = Trace({"later": LATER}, clock=clock)
    trace.app.process({"n": 1})
    clock.pass_minutes(5)
    trace.app.process({"n": 2})
    assert trace.steps == [] and trace.app.next_due == NOW + timedelta(minutes=10)
    assert len(trace.app.state.to_dict()["@delayed"]) == 2
    # Another process goes on with the state.
    state = pickle.loads(pickle.dumps(trace.app.state))
    trace = Trace({"later": LATER}, clock=clock, state=state)
    assert trace.app.fire_due() == 0
    clock.pass_minutes(5)
    assert trace.app.fire_due() == 1 and trace.steps == ["deliver later 1"]
    clock.pass_minutes(60)
    assert trace.app.process({"other": 1}).matched == []
    assert trace.steps == ["deliver later 1", "deliver later 2"]
    assert trace.app.state == ra.State() and trace.app.next_due is None


def test_delayed_actions_are_cancelled_and_replaced_by_their_key() -> None:
    clock = Clock()
    trace = Trace({"escalate": ESCALATE}, clock=clock)
    for eni in ("eni-1", "eni-2"):
        trace.app.process({"result": "failed", "eni": eni})
    clock.pass_minutes(30)
    trace.app.process({"result": "failed", "eni": "eni-2"})
    trace.app.process({"result": "success", "eni": "eni-1"})
    clock.pass_minutes(31)
    assert trace.app.fire_due() == 0, "eni-1 is cancelled, eni-2 moved"
    clock.pass_minutes(30)
    assert trace.app.fire_due() == 1
    assert trace.steps[-1] == "deliver manager eni-2" and trace.app.state.to_dict() == {}


def test_a_delayed_action_that_fails_stays() -> None:
    clock = Clock()
    trace = Trace({"later": LATER}, clock=clock)
    trace.app.process({"n": 1})
    clock.pass_minutes(11)
    trace.fails.add("deliver")
    with pytest.raises(ra.DeliveryError):
        trace.app.fire_due()
    assert trace.app.next_due == NOW + timedelta(minutes=10)
    trace.fails.clear()
    assert trace.app.fire_due() == 1 and trace.steps == ["deliver later 1"]


def test_an_event_that_fails_delays_nothing() -> None:
    trace = Trace({"later": LATER + '\n[[test]]\nname = "t"\nevent = "{}"'}, clock=Clock())
    trace.app.on("n == 1")(trace.handle)
    trace.fails.add("handler")
    with pytest.raises(LookupError):
        trace.app.process({"n": 1})
    assert trace.app.next_due is None and trace.app.state == ra.State()


def test_delayed_calls_are_answered_and_may_call_again() -> None:
    clock = Clock()
    trace = Trace({"look": LOOK_LATER}, clock=clock)
    answers = ["busy", "busy", "free"]
    trace.app.target("api")(lambda action: answers.pop(0))
    trace.app.process({"eni": "eni-1"})
    for expected in (["busy"], ["busy", "busy"], ["busy", "busy", "free"]):
        clock.pass_minutes(29)
        assert trace.app.fire_due() == 0
        clock.pass_minutes(1)
        assert trace.app.fire_due() == 1
        assert trace.steps == [f"deliver eni-1 {each}" for each in expected]
    clock.pass_minutes(90)
    assert trace.app.fire_due() == 0 and trace.app.state == ra.State()


def test_times_of_both_kinds_are_kept_in_order() -> None:
    clock = Clock()
    trace = Trace({"stuck": STUCK, "later": LATER.replace('"10m"', '"40m"')}, clock=clock)
    trace.app.process({"n": 1})
    clock.pass_minutes(5)
    trace.app.process(detaching("eni-1"))
    clock.pass_minutes(10)
    trace.app.process(detaching("eni-2"))
    clock.pass_minutes(120)
    assert trace.app.fire_due() == 3
    assert trace.steps == [
        "deliver eni-1 is stuck",
        "deliver later 1",
        "deliver eni-2 is stuck",
    ]


def test_absence_begins_when_a_run_begins() -> None:
    clock = Clock()
    trace = Trace({"silent": SILENT}, clock=clock)
    seen: list[str] = []
    trace.app.on("silent")(lambda event, match: seen.append(event.to_json()))

    def source() -> Any:
        yield None
        clock.pass_minutes(24 * 60 + 1)
        yield None

    trace.app.run(source())
    assert trace.steps == ["deliver silence"] and seen == ["{}"]


def test_the_clock_of_events_gives_the_results_of_their_times() -> None:
    times = ["2026-11-25T08:00:00Z", "2026-11-25T08:10:00Z", "2026-11-25T09:00:00Z"]
    first, second, third = (detaching(f"eni-{n}", eventTime=at, n=n) for n, at in enumerate(times))
    rules = {"stuck": STUCK, "later": LATER}
    trace = Trace(rules, clock="event")
    trace.app.run([first, second, third])
    assert trace.steps == [
        "deliver later 0",
        "deliver later 1",
        "deliver eni-0 is stuck",
        "deliver eni-1 is stuck",
    ]
    trace.app.run([], until=datetime(2026, 11, 25, 9, 10, tzinfo=timezone.utc))
    assert trace.steps[4:] == ["deliver later 2"]
    assert trace.app.state.pending("stuck") == ["eni-2"]


def test_deadlines_wait_for_events_of_the_pause() -> None:
    clock = Clock()
    trace = Trace({"stuck": STUCK}, clock=clock)
    for number in range(3):
        trace.app.process(detaching(f"eni-{number}"))
    clock.pass_minutes(60)
    trace = Trace({"stuck": STUCK}, clock=clock, state=trace.app.state)

    def source() -> Any:
        yield detaching("eni-1", "Available")
        clock.pass_minutes(0.9)
        yield detaching("eni-2", "Available")
        assert trace.steps == []
        clock.pass_minutes(0.2)
        yield None

    trace.app.run(source())
    assert trace.steps == ["deliver eni-0 is stuck"]


def test_timers_fire_while_a_source_waits() -> None:
    rules = {"soon": LATER.replace('"10m"', '"200ms"')}
    trace = Trace(rules)
    done = threading.Event()
    threads = set()

    def source() -> Any:
        yield {"n": 1}
        threads.add(threading.get_ident())
        assert done.wait(timeout=60), "the timer fires meanwhile"
        yield {"n": 2}
        threads.add(threading.get_ident())

    trace.app.target("ops")(lambda action: done.set())
    started = time.monotonic()
    assert trace.app.run(source()).timers == 1
    assert 0.2 <= time.monotonic() - started < 60
    assert len(threads) == 1, "and the source stays in one thread then"


def test_until_ends_a_run_that_would_wait() -> None:
    trace = Trace({"later": LATER})

    def source() -> Any:
        while True:
            yield None
            time.sleep(0.02)

    started = time.monotonic()
    trace.app.run(source(), until=datetime.now(timezone.utc) + timedelta(seconds=0.3))
    assert 0.25 < time.monotonic() - started < 60


def test_many_delays_come_in_the_order_of_their_times() -> None:
    clock = Clock()
    trace = Trace({"later": LATER}, clock=clock)
    for number in range(300):
        trace.app.process({"n": number})
        clock.pass_minutes(0.01)
    clock.pass_minutes(10)
    assert trace.app.fire_due() == 300
    assert trace.steps == [f"deliver later {number}" for number in range(300)]
    assert trace.app.state == ra.State()


def test_what_has_expired_is_removed() -> None:
    clock = Clock()
    keeping = "when = 'n exists'\nthen = 'set(event.n.to_string(), 1, \"10m\")'"
    trace = Trace({"keeping": keeping}, clock=clock)
    for number in range(30):
        trace.app.run([{"n": number * 100 + each} for each in range(100)])
        clock.pass_minutes(1)
    kept = len(trace.app.state.to_dict(now=NOW)["keeping"])
    assert 1_000 <= kept < 2_500, "of 3,000 that were set"

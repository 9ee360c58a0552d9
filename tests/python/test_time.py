"""Rules with a time window: deadlines, matches in states, and reloads."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import reflexarc as ra
import reflexarc.arrow

NOW = datetime(2026, 11, 25, 8, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
STUCK = """
when = 'status == "Detaching"'
by = "eniId"
not_followed_by = { when = 'status == "Available"', within = "30m" }
then = 'notify("ops", `${key} is stuck`); log(`fired ${key}`)'
resolved = 'notify("ops", `${key} is over`)'
"""
AGAIN = """
when = 'status == "Failed"'
by = "eniId"
count = { at_least = 2, within = "10m" }
then = 'send("ops", #{ key: key, count: count })'
"""
SEQUENCE = """
when = 'status == "Detaching"'
by = ["region", "eniId"]
followed_by = { when = 'status == "Failed"', within = "5m" }
notify = ["ops"]
"""
SILENT = """
when = 'status exists'
absent_for = "24h"
then = 'notify("ops", "silence")'
"""
PLAIN = 'when = \'status == "Detaching"\'\nthen = \'notify("log", add("n", 1).to_string())\''


def event(status: str, eni: Any = "eni-1", **members: Any) -> dict[str, Any]:
    return {"status": status, "eniId": eni, "region": "cn-hangzhou", **members}


def stuck(**rules: str) -> ra.RuleSet:
    return ra.RuleSet.from_rules({"stuck": STUCK, **rules})


def texts(evaluation: ra.Evaluation | ra.DueEvaluation) -> list[str | None]:
    return [action.text for action in evaluation.actions]


def test_deadlines_fire_before_the_event() -> None:
    rules = stuck()
    opened = rules.evaluate(event("Detaching"), now=NOW)
    assert (opened.actions, opened.fired, opened.firings) == ([], [], [])
    assert opened.matched == ["stuck"] and "opened, due" in opened.notes["stuck"][0]
    late = NOW + 60 * MINUTE
    evaluation = rules.evaluate(event("Available"), state=opened.state, now=late)
    assert texts(evaluation) == ["eni-1 is stuck", "eni-1 is over"]
    assert evaluation.log == ["fired eni-1"]
    fired = evaluation.fired
    assert [(due.at, due.rule, due.key) for due in fired] == [
        (NOW + timedelta(minutes=30, seconds=10), "stuck", "eni-1")
    ]
    assert texts(fired[0]) == ["eni-1 is stuck"] and fired[0].log == ["fired eni-1"]
    assert (fired[0].failures, fired[0].skipped, fired[0].notes) == ([], {}, {})
    first, second = evaluation.firings
    assert (first.rule, first.reason, first.key, first.opened) == ("stuck", "fired", "eni-1", NOW)
    assert (first.deadline, first.count, first.late) == (NOW + 30 * MINUTE, 1, False)
    assert second.reason == "resolved"
    assert [action.firing for action in evaluation.actions] == [first, second]
    assert fired[0].firings == [first]
    assert evaluation.state.pending() == {} and evaluation.state.due() == []


def test_an_event_in_time_closes_the_match() -> None:
    rules = stuck()
    state = rules.evaluate(event("Detaching"), now=NOW).state
    state = rules.evaluate(event("Available"), state=state, now=NOW + 30 * MINUTE).state
    assert rules.fire_due(state, NOW + timedelta(days=1)).actions == []


def test_without_advance_deadlines_are_left_to_fire_due() -> None:
    rules = stuck()
    state = rules.evaluate(event("Detaching"), now=NOW, advance=False).state
    later = NOW + 60 * MINUTE
    left = rules.evaluate(event("Other"), state=state, now=later, advance=False)
    assert (left.fired, left.actions, left.state) == ([], [], state)
    # The event was applied before the deadline fired, which it cancels.
    closed = rules.evaluate(event("Available"), state=state, now=later, advance=False)
    assert closed.actions == [] and rules.fire_due(closed.state, later).actions == []
    assert texts(rules.fire_due(state, now=later)) == ["eni-1 is stuck"]


def test_deadlines_and_pending_keys_are_shown_in_order() -> None:
    rules = stuck(silent=SILENT, sequence=SEQUENCE)
    state = ra.State()
    for minute, eni in enumerate(["eni-2", "eni-10", 7]):
        now = NOW + minute * MINUTE
        state = rules.evaluate(event("Detaching", eni), state=state, now=now).state
    grace = timedelta(seconds=10)
    deadlines = state.due()
    assert [(rule, key) for _, rule, key in deadlines if rule == "stuck"] == [
        ("stuck", "eni-2"),
        ("stuck", "eni-10"),
        ("stuck", 7),
    ]
    assert [deadline.at for deadline in deadlines] == sorted(each.at for each in deadlines)
    assert (deadlines[-1].rule, deadlines[-1].key) == ("silent", "")
    first = next(each for each in deadlines if each.rule == "stuck")
    assert first.at == NOW + 30 * MINUTE + grace and first.at.tzinfo is not None
    assert deadlines == state.due() and len({first, *deadlines}) == len(deadlines)
    assert first in state.due(first.at) and first not in state.due(first.at - MINUTE)
    assert set(state.pending()) == {"sequence", "silent", "stuck"}
    assert state.pending("stuck") == ["eni-10", "eni-2", 7]
    assert state.pending("silent") == [""]
    assert ["cn-hangzhou", 7] in state.pending("sequence")
    assert state.pending("unknown") == []


def test_fire_due_fires_each_at_its_own_time() -> None:
    rules = stuck()
    state = ra.State()
    for minute in range(3):
        now = NOW + minute * MINUTE
        state = rules.evaluate(event("Detaching", f"eni-{minute}"), state=state, now=now).state
    before = copy.deepcopy(state)
    evaluation = rules.fire_due(state, NOW + 31 * MINUTE + timedelta(seconds=10))
    assert state == before, "states are immutable"
    assert texts(evaluation) == ["eni-0 is stuck", "eni-1 is stuck"]
    assert [due.at.minute for due in evaluation.fired] == [30, 31]
    assert (evaluation.matched, evaluation.notes, evaluation.skipped) == ([], {}, {})
    assert evaluation.state.pending("stuck") == ["eni-2"]
    again = rules.fire_due(evaluation.state, NOW + 31 * MINUTE + timedelta(seconds=10))
    assert again.fired == [] and again.state == evaluation.state


def test_windows_that_events_complete_show_their_match() -> None:
    rules = ra.RuleSet.from_rules({"again": AGAIN, "plain": PLAIN})
    state = rules.evaluate(event("Failed"), now=NOW).state
    evaluation = rules.evaluate(event("Failed"), state=state, now=NOW + MINUTE)
    assert evaluation.fired == [] and evaluation.matched == ["again"]
    (firing,) = evaluation.firings
    assert (firing.reason, firing.key, firing.count) == ("fired", "eni-1", 2)
    assert (firing.opened, firing.deadline, firing.late) == (NOW, None, False)
    assert evaluation.actions[0].payload == {"key": "eni-1", "count": 2}
    plain = rules.evaluate(event("Detaching"), state=state, now=NOW)
    assert plain.actions[0].firing is None and plain.firings == []


def test_absence_begins_before_any_event() -> None:
    rules = ra.RuleSet.from_rules({"silent": SILENT})
    state = rules.fire_due(ra.State(), NOW).state
    assert state.pending() == {"silent": [""]}
    evaluation = rules.fire_due(state, NOW + timedelta(days=3))
    assert texts(evaluation) == ["silence"], "once until the next event"
    assert evaluation.fired[0].key == ""


def test_matches_survive_pickles() -> None:
    rules = stuck(again=AGAIN, silent=SILENT, sequence=SEQUENCE, plain=PLAIN)
    state = ra.State()
    for minute, status in enumerate(["Detaching", "Failed", "Detaching", "Available"]):
        now = NOW + minute * MINUTE
        state = rules.evaluate(event(status, f"eni-{minute % 3}"), state=state, now=now).state
        again = pickle.loads(pickle.dumps(state))
        assert again == state and again.clock == state.clock == now
        assert (again.due(), again.pending()) == (state.due(), state.pending())
        assert pickle.dumps(again) == pickle.dumps(state)
    later = NOW + 60 * MINUTE
    one, other = (rules.fire_due(each, later) for each in (state, again))
    assert one.actions == other.actions != [] and one.firings == other.firings
    assert one.state == other.state != state
    assert pickle.loads(pickle.dumps(one.state)) == other.state
    assert state != ra.State(state.to_dict(now=NOW)), "the entries are not all of a state"
    assert "matches" in repr(state)


def test_the_positions_of_events_survive_pickles() -> None:
    rules = stuck()
    state = rules.evaluate(event("Detaching"), now=NOW).state
    state = rules.fire_due(state, NOW + timedelta(days=60)).state
    assert state.pending() == {} and pickle.loads(pickle.dumps(state)) == state


def test_pickles_of_earlier_versions_load() -> None:
    entries = [("counting", "seen", "2", None), ("counting", "late", "1", "2026-11-25T08:00:00Z")]
    state = ra.State._rebuild(entries)  # type: ignore[attr-defined]
    assert state.get("counting", "seen") == 2 and state.pending() == {} and state.clock is None
    _, arguments = state.__reduce__()
    assert arguments == ([entries[1], entries[0]],), "and earlier versions load these"
    with pytest.raises(ra.StateError):
        ra.State._rebuild([], ([], [(0, b"[]")], 1, None))  # type: ignore[attr-defined]


def test_states_of_plain_rules_are_as_before() -> None:
    rules = ra.RuleSet.from_rules({"plain": PLAIN})
    for advance in (True, False):
        evaluation = rules.evaluate(event("Detaching"), now=NOW, advance=advance)
        assert evaluation.state == ra.State({"plain": {"n": 1}})
        assert evaluation.state.clock is None
        assert rules.evaluate(event("x"), state=evaluation.state).state == evaluation.state
    assert rules.fire_due(evaluation.state).state == evaluation.state


def test_matches_are_no_entries() -> None:
    state = stuck(plain=PLAIN).evaluate(event("Detaching"), now=NOW).state
    assert state.to_dict() == {"plain": {"n": 1}}
    assert state.get("stuck", '"eni-1"') is None


def test_reloads_close_matches_of_changed_windows() -> None:
    rules = stuck(again=AGAIN)
    state = rules.evaluate(event("Detaching"), now=NOW).state
    state = rules.evaluate(event("Failed"), state=state, now=NOW).state
    before = pickle.dumps(state)
    assert rules.close_other_matches(state) == (state, [])
    text = STUCK.replace("is stuck", "hangs").replace('within = "30m" }', "within = '1800s' }")
    same = ra.RuleSet.from_rules({"stuck": text, "again": AGAIN})
    assert same.close_other_matches(state) == (state, [])
    assert texts(same.fire_due(state, NOW + 60 * MINUTE)) == ["eni-1 hangs"]
    for changed in (stuck(), ra.RuleSet.from_rules({"stuck": STUCK, "again": PLAIN})):
        after, closed = changed.close_other_matches(state)
        assert closed == [("again", "eni-1")] and after.pending() == {"stuck": ["eni-1"]}
    assert pickle.dumps(state) == before
    none = ra.RuleSet({"plain": "a exists"})
    assert len(none.close_other_matches(state)[1]) == 2
    # Without it, the match of a rule that is gone ends at its deadline without an action.
    evaluation = none.fire_due(state, NOW + 60 * MINUTE)
    assert evaluation.actions == [] and evaluation.state.pending("stuck") == []
    (note,) = evaluation.fired[0].notes["stuck"]
    assert note.startswith("closed: the rule has no window")
    off = ra.RuleSet.from_rules({"stuck": f"enabled = false\n{STUCK}", "again": AGAIN})
    assert off.close_other_matches(state)[1] == [("stuck", "eni-1")]
    assert off.fire_due(state, NOW + 60 * MINUTE).actions == []


def test_only_filters_of_when_are_matched() -> None:
    rules = stuck(again=AGAIN, sequence=SEQUENCE, until=f"{SEQUENCE}until = 'status == \"Off\"'\n")
    patterns = ra.RuleSet({name: rules[name].pattern for name in rules})
    for status in ("Detaching", "Available", "Failed", "Off", "Other"):
        one = event(status)
        expected = patterns.matching(one)
        text = json.dumps(one)
        assert rules.matching(one) == rules.matching(text) == expected
        assert rules.matching(text.encode()) == rules.matching(ra.Event(one)) == expected
        assert rules.matching_many([one, text]) == [expected, expected]
        assert rules.matching_many(f"{text}\n{text}\n".encode()) == [expected, expected]
        pa = pytest.importorskip("pyarrow")
        for column in (pa.array([one]), pa.array([text]), pa.array([text.encode()])):
            assert reflexarc.arrow.matching(rules, column).to_pylist() == [expected]


HARD = "not ({} and z.x == 1 and z.y == 1)".format(
    " and ".join(f"a{n}.x == 1 and a{n}.y == 1" for n in range(8))
)


def test_undecided_filters_of_windows_name_their_rule() -> None:
    hard = STUCK.replace('status == "Available"', HARD)
    rules = ra.RuleSet.from_rules({"after": PLAIN, "before": PLAIN, "hard": hard, "last": PLAIN})
    elements = {f"a{n}": [{"x": 1, "y": 1}] * 20 for n in range(8)}
    one = event("Detaching", **elements, z=[{"x": 1}] * 21 + [{"y": 1}] * 21)
    for argument in (one, json.dumps(one), ra.Event(one)):
        with pytest.raises(ra.UndecidedError, match=r"^rules hard: "):
            rules.matching(argument)
    evaluation = rules.evaluate(one, now=NOW)
    assert [failure.rule for failure in evaluation.failures] == ["hard"]
    assert texts(evaluation) == ["1", "1", "1"]


def test_batches_and_sequences_by_several_fields() -> None:
    batch = """
    when = 'status exists'
    batch = { within = "5m", idle = "1m", max = 3 }
    then = 'send("ops", events.map(|e| e.eniId))'
    """
    rules = ra.RuleSet.from_rules({"batch": batch, "sequence": SEQUENCE})
    state = ra.State()
    for seconds, status in [(0, "Detaching"), (20, "Other"), (40, "Failed")]:
        now = NOW + timedelta(seconds=seconds)
        evaluation = rules.evaluate(event(status, seconds // 40), state=state, now=now)
        state = evaluation.state
    assert evaluation.actions[0].payload == [0, 0, 1], "full"
    assert [firing.rule for firing in evaluation.firings] == ["batch"]
    evaluation = rules.evaluate(event("Failed", 0), state=state, now=NOW + MINUTE)
    assert evaluation.firings[0].key == ["cn-hangzhou", 0]
    assert evaluation.firings[0].count == 2 and evaluation.actions[0].target == "ops"
    closed = rules.fire_due(evaluation.state, NOW + 3 * MINUTE)
    assert closed.fired[0].at == NOW + 2 * MINUTE and closed.actions[0].payload == [0]


def test_keys_of_equal_values_are_one_key() -> None:
    rules = stuck()
    state = ra.State()
    for key in (1, 1.0, 10**30, "1", True):
        state = rules.evaluate(event("Detaching", key), state=state, now=NOW).state
    assert sorted(map(repr, state.pending("stuck"))) == ["'1'", "1", str(10**30), "True"]


def test_many_deadlines_at_one_instant_fire_in_the_order_of_keys() -> None:
    rules = stuck(plain=PLAIN)
    state = ra.State()
    keys = [f"eni-{number}" for number in range(2_000)]
    for key in reversed(keys):
        state = rules.evaluate(event("Detaching", key), state=state, now=NOW).state
    evaluation = rules.evaluate(event("Other"), state=state, now=NOW + 60 * MINUTE)
    assert [due.key for due in evaluation.fired] == sorted(keys)
    assert texts(evaluation) == [f"{key} is stuck" for key in sorted(keys)]
    assert evaluation.state.due() == [] and len(state.due()) == len(keys)


def test_emitted_events_open_matches_and_follow_deadlines() -> None:
    rules = ra.RuleSet.from_rules(
        {
            "first": "when = 'status == \"Off\"'\n"
            "then = 'emit(#{ status: \"Detaching\", eniId: 1 })'",
            "last": "when = 'alarm == \"1\"'\nnotify = ['ops']",
            "stuck": STUCK.replace('notify("ops", `${key} is stuck`)', "emit(#{alarm: key})"),
        }
    )
    opened = rules.evaluate(event("Off"), now=NOW)
    assert opened.matched == ["first", "stuck"] and opened.state.pending() == {"stuck": [1]}
    evaluation = rules.fire_due(opened.state, NOW + 60 * MINUTE)
    (action,) = evaluation.actions
    assert (action.rule, action.causes, action.firing) == ("last", ["stuck"], None)
    assert [firing.rule for firing in evaluation.firings] == ["stuck"]


def test_suppressed_firings_give_the_reason() -> None:
    rules = ra.RuleSet.from_rules({"stuck": f'{STUCK}once = {{ within = "24h" }}\n'})
    state = ra.State()
    actions = []
    for hour in range(3):
        now = NOW + 60 * hour * MINUTE
        evaluation = rules.evaluate(event("Detaching"), state=state, now=now)
        actions += texts(evaluation)
        state = evaluation.state
    assert actions == ["eni-1 is stuck"]
    assert evaluation.skipped == {} and "once" in evaluation.fired[0].skipped["stuck"]


def test_windows_are_described() -> None:
    rules = stuck(plain=PLAIN)
    assert rules["plain"].window is None
    window = rules["stuck"].window
    assert window is not None and window.startswith("waits 30m for") and "eniId" in window


def test_earlier_times_are_taken_for_the_time_reached() -> None:
    rules = stuck(plain=PLAIN)
    state = rules.evaluate(event("Other"), now=NOW).state
    assert state.clock == NOW
    evaluation = rules.evaluate(event("Detaching"), state=state, now=NOW - 60 * MINUTE)
    assert texts(evaluation) == ["1"], "plain rules see the time as it is given"
    assert evaluation.state.clock == NOW
    assert evaluation.state.due()[0].at == NOW + timedelta(minutes=30, seconds=10)
    assert rules.fire_due(evaluation.state, NOW - 60 * MINUTE).state == evaluation.state
    for state in (ra.State(), evaluation.state):
        with pytest.raises(ValueError, match="time zone"):
            rules.fire_due(state, datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="time zone"):
        evaluation.state.due(datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("time", "opened"),
    [
        ("2026-11-26T08:00:00Z", NOW),  # tomorrow: a clock that is wrong
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=timezone.utc)),
        ("0000-01-01T00:00:00Z", datetime.min.replace(tzinfo=timezone.utc)),
        ("9999-12-31T23:59:59Z", NOW),
    ],
)
def test_times_of_events_far_away_are_bounded(time: str, opened: datetime) -> None:
    rules = stuck(plain=PLAIN)
    state = rules.evaluate(event("Detaching", eventTime=time), now=NOW).state
    assert state.pending("stuck") == ["eni-1"]
    evaluation = rules.fire_due(state, NOW + 60 * MINUTE)
    assert texts(evaluation) == ["eni-1 is stuck"]
    assert evaluation.firings[0].opened == opened


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (["eni-1"], "the value at `eniId` is an array"),
        ([], "the value at `eniId` is an array"),
        ({}, "the value at `eniId` is an object"),
        (None, "the value at `eniId` is null"),
        ("e" * 16_384, "the key has more than 1024 bytes"),
    ],
)
def test_events_without_a_key_are_not_followed(key: Any, reason: str) -> None:
    evaluation = stuck(plain=PLAIN).evaluate(event("Detaching", key), now=NOW)
    assert evaluation.notes == {"stuck": [f"not_followed_by: not followed: {reason}"]}
    assert texts(evaluation) == ["1"] and evaluation.state.pending() == {}


def test_a_full_window_fails_and_other_rules_go_on() -> None:
    rules = ra.RuleSet.from_rules({"stuck": f"{STUCK}max_pending = 3\n", "plain": PLAIN})
    state = ra.State()
    for number in range(6):
        evaluation = rules.evaluate(event("Detaching", number), state=state, now=NOW)
        assert len(evaluation.failures) == int(number >= 3)
        assert texts(evaluation) == [str(number + 1)]
        assert ("stuck" in evaluation.matched) == (number < 3)
        state = evaluation.state
    assert state.pending("stuck") == [0, 1, 2]
    assert "`max_pending`" in evaluation.failures[0].message
    with pytest.raises(ra.ReactionError, match="max_pending"):
        rules.evaluate(event("Detaching", 9), state=state, now=NOW, strict=True)


def test_failures_at_deadlines_are_recorded_or_raised() -> None:
    failing = STUCK.replace('notify("ops", `${key} is stuck`)', "throw 5")
    rules = ra.RuleSet.from_rules({"stuck": failing, "plain": PLAIN})
    state = rules.evaluate(event("Detaching"), now=NOW).state
    later = NOW + 60 * MINUTE
    evaluation = rules.fire_due(state, later)
    assert evaluation.actions == [] and evaluation.failures[0].rule == "stuck"
    assert evaluation.fired[0].failures == evaluation.failures[:1]
    with pytest.raises(ra.ReactionError, match="stuck"):
        rules.fire_due(state, later, strict=True)
    with pytest.raises(ra.ReactionError, match="stuck"):
        rules.evaluate(event("Other"), state=state, now=later, strict=True)
    assert state.pending("stuck") == ["eni-1"]

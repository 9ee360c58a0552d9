"""Handlers of an automation: what they get, which of them run, and what their failures leave."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import reflexarc as ra
from test_automation import COUNT, DERIVED, EMIT, NOW, Trace
from test_automation_time import STUCK, detaching
from test_undecided import EVENT, PATTERN

LOGGED = "when = 'a0 exists'\nthen = 'log(\"reacted\")'"


def matches_of(app: ra.Automation, *conditions: str) -> list[ra.Match]:
    """The matches that handlers get from now on."""
    found: list[ra.Match] = []
    for condition in conditions:
        app.on(condition)(lambda event, match: found.append(match))
    return found


def test_a_match_says_why_a_handler_runs() -> None:
    trace = Trace({"count": COUNT})
    by_rule, by_pattern = matches_of(trace.app, "count"), matches_of(trace.app, "n == 1")
    item = {"n": 1}
    before = datetime.now(timezone.utc)
    trace.app.run([item])
    (rule,), (pattern,) = by_rule, by_pattern
    assert (rule.rule, rule.pattern, rule.firing) == ("count", ra.Pattern("n exists"), None)
    assert (pattern.rule, pattern.pattern) == (None, ra.Pattern("n == 1"))
    assert rule.evaluation is pattern.evaluation and rule.evaluation.matched == ["count"]
    assert rule.item is item
    assert ([action.text for action in rule.actions], pattern.actions) == (["1"], [])
    assert before <= rule.at == pattern.at <= datetime.now(timezone.utc)
    assert repr(rule) == f"<Match of 'count' at {rule.at.isoformat()}>"
    assert repr(pattern).startswith(f"<Match of {pattern.pattern!r} at 20")


def test_a_match_has_the_time_of_the_clock_of_the_program() -> None:
    here = timezone(timedelta(hours=8))
    app = ra.Automation(ra.RuleSet({}), clock=lambda: NOW.astimezone(here))
    found = matches_of(app, "n == 1")
    app.process({"n": 1})
    assert found[0].at == NOW and found[0].at.tzinfo is here


def test_matches_are_pickled_copied_and_made_by_tests() -> None:
    app = ra.Automation(ra.RuleSet.from_rules({"stuck": STUCK}), clock=lambda: NOW)
    app.target("*")(lambda action: None)
    app.process(detaching("eni-1"))
    found = matches_of(app, "stuck")
    app.fire_due()
    app.process(detaching("eni-2"))
    assert found == [], "only a part of a match"
    evaluation = app.rules.fire_due(app.state, NOW + timedelta(hours=1))
    firing = evaluation.firings[0]
    match = ra.Match(NOW, evaluation, ra.Pattern("n == 1"), "stuck", firing, item="text")
    for again in (pickle.loads(pickle.dumps(match)), copy.copy(match), copy.deepcopy(match)):
        assert (again.at, again.rule, again.pattern) == (NOW, "stuck", match.pattern)
        assert (again.firing, again.item) == (firing, "text")
        assert [action.text for action in again.actions] == ["eni-1 is stuck", "eni-2 is stuck"]


def test_an_automation_to_which_handlers_refer_is_freed() -> None:
    class Item(dict[str, Any]):
        """A dict to which a weak reference can be had."""

    def use() -> tuple[Any, Any]:
        app, held = ra.Automation(ra.RuleSet({})), Item()

        @app.on("n == 1")
        def keep(event: ra.Event, match: ra.Match) -> None:
            held["app"] = app
            match.item["match"] = match

        item = Item(n=1)
        app.run([item])
        assert isinstance(item["match"], ra.Match)
        return weakref.ref(held), weakref.ref(item)

    held, item = use()
    gc.collect()
    assert held() is None and item() is None


def test_an_event_that_cannot_be_compared_with_a_handler_has_no_effects(
    caplog: pytest.LogCaptureFixture,
) -> None:
    errors: list[tuple[Exception, ra.Event | None]] = []
    app = ra.Automation(
        ra.RuleSet.from_rules({"logged": LOGGED}),
        on_error=lambda error, event: errors.append((error, event)) or "skip",  # type: ignore
    )
    found = matches_of(app, "logged", "n == 1", PATTERN)
    with caplog.at_level("INFO", "reflexarc.rules"):
        summary = app.run([EVENT, {"n": 1}])
    ((error, event),) = errors
    assert isinstance(error, ra.UndecidedError) and "handlers of `not (" in str(error)
    assert event == ra.Event(EVENT)
    assert [match.pattern for match in found] == [ra.Pattern("n == 1"), ra.Pattern(PATTERN)]
    assert "reflexarc.rules" not in {record.name for record in caplog.records}
    assert summary.events == 1


def test_an_event_that_failed_is_the_one_that_was_read() -> None:
    seen: list[ra.Event | None] = []

    def decide(error: Exception, event: ra.Event | None) -> Any:
        seen.append(event)
        return "skip"

    app = ra.Automation(ra.RuleSet({}), on_error=decide)

    @app.on("data.n == 1")
    @app.on("n == 1")
    def fail(event: ra.Event, match: ra.Match) -> None:
        match.item.clear()
        raise LookupError

    native = {"product": "ECS", "name": "Disk:Stalled", "content": {"n": 1}}
    cloud = ra.Event(native).to_cloudevent()
    app.on("content.n == 1")(fail)
    app.run([{"n": 1}, cloud.to_dict(), {"Records": [{"n": 1}]}])
    assert seen == [ra.Event({"n": 1}), cloud, ra.Event({"n": 1})]


def test_handlers_that_are_added_meanwhile_run_from_the_next_event_on() -> None:
    app = ra.Automation(ra.RuleSet.from_rules({"emit": EMIT, "derived": DERIVED}))
    app.target("ops")(lambda action: None)
    order: list[str] = []

    @app.on("n == 1")
    def add(event: ra.Event, match: ra.Match) -> None:
        order.append("add")
        for condition in ("derived", "derived exists", "emit"):
            app.on(condition)(lambda event, match, name=condition: order.append(name))

    app.run([{"n": 1}, {"n": 2}])
    assert order == ["add", "derived", "derived exists", "emit"]


@pytest.mark.parametrize("target", ["nowhere", "log"])
def test_a_call_that_no_target_takes_is_undeliverable(target: str, tmp_path: Any) -> None:
    rule = f"when = 'n exists'\nthen = 'call(\"{target}\", \"Look\", #{{ N: event.n }})'\n"
    rule += "answered = 'send(\"seen\", answer.code)'"
    rules = ra.RuleSet.from_rules({"call": rule})
    targets = ra.Targets.from_toml('[targets.log]\ntype = "file"\npath = "x"', folder=tmp_path)
    (receipt,) = targets.deliver(rules.evaluate({"n": 1}).actions)
    assert receipt.answer is not None and receipt.answer["code"] == "Undelivered"
    letters: list[ra.DeadLetter] = []
    seen: list[Any] = []
    for dead_letters in (None, letters.append):
        app = ra.Automation(rules, targets=targets, dead_letters=dead_letters)
        app.target("seen")(lambda action: seen.append(action.payload))
        if target == "log":
            # The configuration has the target, and answers itself.
            app.process({"n": 1})
        elif dead_letters is None:
            with pytest.raises(ra.DeliveryError, match="unknown target 'nowhere'; known: log, s"):
                app.process({"n": 1})
            assert seen == [] and app.state == ra.State()
        else:
            app.process({"n": 1})
            assert [each.action.operation for each in letters if each.action] == ["Look"]
    assert seen == (["OutcomeUnknown"] if target == "nowhere" else ["Undelivered"] * 2)

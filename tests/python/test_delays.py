"""Delayed actions: what is to be delivered later, and what cancels it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import reflexarc as ra

NOW = datetime(2026, 11, 25, 8, tzinfo=timezone.utc)
ESCALATION = """
when = 'result in ["failed", "success"]'
by = ["region", "eni"]
then = '''
if event.result == "success" { cancel("manager"); return; }
notify("team", event.eni);
notify("manager", #{ text: event.eni, after: "1h30m", key: "manager" });
send("cmdb", 1, #{ after: "250ms" });
'''
"""


def event(result: str) -> dict[str, str]:
    return {"result": result, "region": "cn-hangzhou", "eni": "eni-1"}


def test_actions_have_a_delay_a_name_and_a_scope() -> None:
    rules = ra.RuleSet.from_rules({"escalation": ESCALATION})
    evaluation = rules.evaluate(event("failed"), state=ra.State(), now=NOW)
    team, manager, cmdb = evaluation.actions
    assert (team.after, team.key) == (None, None)
    assert (manager.after, manager.key) == (timedelta(minutes=90), "manager")
    assert cmdb.after == timedelta(milliseconds=250)
    assert team.scope == manager.scope == ["cn-hangzhou", "eni-1"]
    assert manager.to_dict()["after"] == "1h30m"
    assert manager.to_dict()["key"] == "manager"
    assert "after" not in team.to_dict()
    assert evaluation.cancelled == []


def test_cancellations_name_rule_key_and_scope() -> None:
    rules = ra.RuleSet.from_rules({"escalation": ESCALATION})
    evaluation = rules.evaluate(event("success"), state=ra.State(), now=NOW)
    (cancelled,) = evaluation.cancelled
    assert (cancelled.rule, cancelled.key) == ("escalation", "manager")
    assert cancelled.scope == ["cn-hangzhou", "eni-1"]
    assert evaluation.actions == []
    again = rules.evaluate(event("success"), state=ra.State(), now=NOW).cancelled[0]
    assert cancelled == again
    assert repr(cancelled) == (
        "Cancellation(rule='escalation', key='manager', scope=['cn-hangzhou', 'eni-1'])"
    )


def test_what_an_event_cancels_of_a_deadline_is_not_delivered() -> None:
    rule = """
    when = 'op == "detach"'
    by = "eni"
    not_followed_by = { when = 'op == "detached"', within = "30m" }
    then = 'notify("team", key); notify("manager", #{ text: key, after: "1h", key: "m" })'
    resolved = 'cancel("m")'
    """
    rules = ra.RuleSet.from_rules({"stuck": rule})
    opened = rules.evaluate({"op": "detach", "eni": "eni-1"}, state=ra.State(), now=NOW)
    later = NOW + timedelta(minutes=40)
    closed = rules.evaluate({"op": "detached", "eni": "eni-1"}, state=opened.state, now=later)
    (fired,) = closed.fired
    assert [action.target for action in fired.actions] == ["team", "manager"]
    assert [action.target for action in closed.actions] == ["team"]
    assert [cancelled.key for cancelled in closed.cancelled] == ["m"]
    assert fired.cancelled == []


def test_actions_without_by_have_no_scope() -> None:
    rule = """
    when = 'result exists'
    then = 'cancel("k"); send("t", 1, #{ key: "k" })'
    """
    rules = ra.RuleSet.from_rules({"a": rule})
    evaluation = rules.evaluate(event("failed"), state=ra.State(), now=NOW)
    assert evaluation.actions[0].scope is None
    assert evaluation.cancelled[0].scope is None

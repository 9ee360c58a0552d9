"""Calls of APIs: what a program executes, and how it gives the answer back."""

from __future__ import annotations

import copy
import pickle
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import reflexarc as ra

NOW = datetime(2026, 11, 25, 8, tzinfo=timezone.utc)

LEAK = """
when = 'eni exists'
by = "eni"
then = 'call("ecs", "Describe", #{ Id: event.eni, All: false })'
answered = '''
add("answers", 1);
if !answer.ok {
    let what = `${event.eni} ${call.operation}`;
    notify("team", `${what}: ${answer.status ?? "-"} ${answer.code} ${answer.message}`);
} else if call.operation == "Describe" && answer.body.Status == "Available" {
    call("ecs", "Delete", #{ Id: call.parameters.Id }, #{ after: "2m", key: "delete" });
} else {
    notify("team", `${event.eni} ${call.operation}: ${answer.status} ${answer.body}`);
}
'''
"""


def call_of(event: dict[str, Any]) -> tuple[ra.RuleSet, ra.Action, ra.State]:
    rules = ra.RuleSet.from_rules({"leak": LEAK})
    evaluation = rules.evaluate(event, now=NOW)
    (call,) = evaluation.actions
    return rules, call, evaluation.state


def test_calls_have_operation_and_parameters() -> None:
    rules, call, _ = call_of({"eni": "eni-1"})
    assert (call.kind, call.target, call.operation) == ("call", "ecs", "Describe")
    assert call.parameters == {"Id": "eni-1", "All": False}
    assert (call.payload, call.text, call.title) == (None, None, None)
    assert call.to_dict() == {
        "rule": "leak",
        "target": "ecs",
        "operation": "Describe",
        "parameters": {"Id": "eni-1", "All": False},
    }
    assert rules["leak"].calls == [("ecs", "Delete"), ("ecs", "Describe")]
    assert repr(call) == (
        "Action(rule='leak', kind='call', target='ecs', operation='Describe', "
        "parameters={'All': False, 'Id': 'eni-1'})"
    )


def test_an_answer_leads_to_the_next_call() -> None:
    rules, call, state = call_of({"eni": "eni-1"})
    answered = rules.answer(call, body={"Status": "Available"}, state=state, now=NOW)
    (delete,) = answered.actions
    assert (delete.operation, delete.after, delete.key) == (
        "Delete",
        timedelta(minutes=2),
        "delete",
    )
    assert (call.hop, delete.hop, delete.scope) == (0, 1, "eni-1")
    assert answered.matched == ["leak"]
    assert answered.state.get("leak", "answers") == 1
    deleted = rules.answer(delete, state=answered.state, now=NOW + timedelta(minutes=2))
    assert deleted.actions[0].text == "eni-1 Delete: 200 "
    assert deleted.actions[0].hop == 2
    assert deleted.state.get("leak", "answers") == 2
    assert state.get("leak", "answers") is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"code": "Throttling", "message": "slow", "status": 400}, "400 Throttling slow"),
        ({"code": "OutcomeUnknown"}, "- OutcomeUnknown "),
        ({"ok": False, "status": 502}, "502 502 "),
        ({"status": 503}, "503 503 "),
        ({"status": 403, "code": "", "message": "no"}, "403 403 no"),
        ({"ok": True, "status": 204}, "204 "),
        ({"body": "a text"}, "200 a text"),
        ({"body": b'{"Status": "InUse"}'}, '200 #{"Status": "InUse"}'),
        ({"body": [1, 2]}, "200 [1, 2]"),
    ],
)
def test_answers_are_given_by_keywords(arguments: dict[str, Any], text: str) -> None:
    rules, call, state = call_of({"eni": "eni-1"})
    call = rules.answer(call, body={"Status": "Available"}, state=state, now=NOW).actions[0]
    evaluation = rules.answer(call, **arguments, now=NOW)
    assert evaluation.actions[0].text == f"eni-1 Delete: {text}"


class Model:
    """A model of the Alibaba Cloud SDKs."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def to_map(self) -> dict[str, Any]:
        return self.values


def test_responses_of_the_sdk_are_taken_as_they_are() -> None:
    rules, call, _ = call_of({"eni": "eni-1"})
    body = {"Status": "Available"}
    response = Model({"headers": {"date": "x"}, "statusCode": 200, "body": body})
    for answer in (response, Model(body), body, b'{"Status": "Available"}'):
        assert rules.answer(call, body=answer, now=NOW).actions[0].operation == "Delete"
    refused = Model({"headers": {}, "statusCode": 404, "body": {"Code": "NotFound"}})
    evaluation = rules.answer(call, body=refused, code="NotFound", message="no eni", now=NOW)
    assert evaluation.actions[0].text == "eni-1 Describe: 404 NotFound no eni"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ok": True, "code": "X"}, "an answer that is ok has no code"),
        ({"ok": True, "message": "X"}, "an answer that is ok has no code"),
        ({"ok": True, "status": 404}, "an answer that is ok has no code"),
        ({"code": ""}, "needs a code or a status"),
        ({"message": "no connection"}, "needs a code or a status"),
        ({"ok": False}, "needs a code or a status"),
        ({"status": 99}, "invalid status 99"),
        ({"body": b"{"}, "invalid body: "),
    ],
)
def test_contradictory_answers_are_refused(arguments: dict[str, Any], message: str) -> None:
    rules, call, _ = call_of({"eni": "eni-1"})
    with pytest.raises(ValueError, match=message):
        rules.answer(call, **arguments)


def test_only_calls_are_answered_and_bodies_have_a_json_form() -> None:
    rules, call, _ = call_of({"eni": "eni-1"})
    notify = rules.answer(call, code="X").actions[0]
    with pytest.raises(ValueError, match="the action is no call"):
        rules.answer(notify)
    with pytest.raises(ra.EventError, match=r'body\["a"\]'):
        rules.answer(call, body={"a": {1, 2}})


def test_calls_are_pickled_with_what_their_answer_needs() -> None:
    rules, call, state = call_of({"eni": "eni-1", "big": 12345678901234567890})
    restored = pickle.loads(pickle.dumps(call))
    assert restored == call and copy.deepcopy(call) == call
    assert rules.answer(restored, code="X", now=NOW).actions[0].text == "eni-1 Describe: - X "
    delayed = rules.answer(call, body={"Status": "Available"}, state=state, now=NOW).actions[0]
    assert pickle.loads(pickle.dumps(delayed)).after == timedelta(minutes=2)
    other = rules.evaluate({"eni": "eni-1", "big": 1}, now=NOW).actions[0]
    assert other.to_dict() == call.to_dict() and other != call
    with pytest.raises(ValueError, match="not a pickled Action"):
        ra.Action._rebuild("{}")  # type: ignore[attr-defined]


STUCK = """
when = 'op == "detach"'
by = "eni"
not_followed_by = { when = 'op == "detached"', within = "30m" }
then = 'call("ecs", "Describe", #{ Id: key })'
resolved = 'notify("team", `${key} over`)'
answered = 'notify("team", `${event.eni} ${answer.code}`)'
"""


def test_calls_of_deadlines_are_answered_with_the_event_of_the_match() -> None:
    rules = ra.RuleSet.from_rules({"stuck": STUCK})
    opened = rules.evaluate({"op": "detach", "eni": "eni-1"}, now=NOW)
    fired = rules.fire_due(opened.state, NOW + timedelta(hours=1))
    (call,) = fired.actions
    assert call.firing is not None and call.firing.key == "eni-1"
    restored = pickle.loads(pickle.dumps(call))
    assert restored == call
    answered = rules.answer(restored, code="Expired", state=fired.state)
    assert answered.actions[0].text == "eni-1 Expired"


def test_deadlines_fire_before_an_answer() -> None:
    rules = ra.RuleSet.from_rules({"leak": LEAK, "stuck": STUCK})
    opened = rules.evaluate({"op": "detach", "eni": "eni-1"}, now=NOW)
    (call,) = opened.actions
    later = NOW + timedelta(hours=1)
    answered = rules.answer(call, code="X", state=opened.state, now=later)
    assert [action.operation or action.text for action in answered.actions] == [
        "Describe",
        "eni-1 Describe: - X ",
    ]
    assert len(answered.fired) == 1
    alone = rules.answer(call, code="X", state=opened.state, now=later, advance=False)
    assert (len(alone.actions), alone.fired) == (1, [])


def test_answers_to_rules_that_are_gone_have_no_effects() -> None:
    _, call, state = call_of({"eni": "eni-1"})
    for text in (LEAK.replace("answered", "# answered").split("# answered")[0], None):
        rules = ra.RuleSet.from_rules({} if text is None else {"leak": text})
        evaluation = rules.answer(call, code="X", state=state)
        assert (evaluation.actions, evaluation.matched) == ([], [])
        assert evaluation.state == state


def test_a_failing_answered_is_a_failure() -> None:
    rule = LEAK.split("answered = ")[0] + "answered = 'throw answer.code'"
    rules = ra.RuleSet.from_rules({"leak": rule})
    (call,) = rules.evaluate({"eni": "eni-1"}).actions
    assert "X" in rules.answer(call, code="X").failures[0].message
    with pytest.raises(ra.ReactionError, match="leak"):
        rules.answer(call, code="X", strict=True)


def test_answers_beyond_eight_hops_fail() -> None:
    rule = """
    when = 'eni exists'
    then = 'call("ecs", "Describe", #{})'
    answered = 'call("ecs", "Describe", #{})'
    """
    rules = ra.RuleSet.from_rules({"loop": rule})
    evaluation = rules.evaluate({"eni": "eni-1"})
    calls = 0
    while evaluation.actions:
        calls += 1
        evaluation = rules.answer(evaluation.actions[0])
    assert calls == 8
    assert "hop 9" in evaluation.failures[0].message

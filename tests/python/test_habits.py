"""What programs expect of a Python package: values that pickle, exceptions, logs, notebooks."""

from __future__ import annotations

import copy
import errno
import json
import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import reflexarc as ra

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone.utc)

RULES = {
    "stuck": """
when = 'content.eniStatus == "Detaching"'
by = "content.eniId"
not_followed_by = { when = 'content.eniStatus == "Available"', within = "30m" }
then = 'log("waited"); notify("ops", `<b>${key}</b> is stuck`)'
""",
    "failed": """
when = 'content.result == "failed"'
description = "it's <broken>"
level = "warn"
labels = { team = "network" }
then = '''
log("looks at " + event.content.eniId);
emit(#{ name: "derived", id: event.content.eniId });
call("ecs", "Describe", #{ Id: event.content.eniId });
send("inventory", #{ id: 1 }, #{ after: "5m", key: "later" });
'''
answered = 'if !answer.ok { notify("ops", answer.code) }'
[[test]]
name = "matches"
event = '{"content": {"result": "success"}}'
matches = true
""",
    "broken": """
when = 'content.result == "failed"'
then = 'notify("ops", event.content.nothing.more)'
""",
    "derived": """
when = 'name == "derived"'
then = 'cancel("later"); notify("ops", "derived")'
""",
}
CONTENT = {"result": "failed", "eniId": "eni-1", "eniStatus": "Detaching"}
EVENT = {
    "ver": "1.0",
    "id": "1",
    "product": "ECS",
    "resourceId": "acs:ecs:cn-hangzhou:1:eni/eni-1",
    "level": "WARN",
    "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
    "userId": "1",
    "eventTime": "20260102T030405.678Z",
    "regionId": "cn-hangzhou",
    "content": {**CONTENT, "operation": "DetachNetworkInterface"},
}


def rule_set() -> ra.RuleSet:
    return ra.RuleSet.from_rules(RULES)


def values() -> dict[str, Any]:
    """One value of each immutable class."""
    rules = rule_set()
    evaluation = rules.evaluate(EVENT, now=NOW)
    later = rules.fire_due(evaluation.state, NOW + timedelta(hours=1))
    pattern = ra.Pattern("content.eniID exists", dialect="reflexarc")
    found: dict[str, Any] = {
        "Event": ra.Event(EVENT),
        "EniNotification": ra.Event(EVENT).eni,
        "Pattern": pattern,
        "Diagnostic": pattern.warnings[0],
        "Diagnostic without fix": ra.Event(EVENT).check()[0],
        "Explanation": pattern.explain(EVENT),
        "Explanation of a rule": rules.explain(EVENT, "failed"),
        "RuleSet": rules,
        "Rule": rules["failed"],
        "Rule with a window": rules["stuck"],
        "RuleTest": rules.test()[0],
        "Evaluation": evaluation,
        "Evaluation of deadlines": later,
        "DueEvaluation": later.fired[0],
        "MatchFiring": later.firings[0],
        "Deadline": evaluation.state.due()[0],
        "State": evaluation.state,
        "Failure": evaluation.failures[0],
        "Cancellation": evaluation.cancelled[0],
        "Match": ra.Match(NOW, evaluation, pattern, "failed", item=EVENT),
        "Match of a deadline": ra.Match(NOW, later, pattern, "stuck", later.firings[0]),
    }
    found.update({f"Action {action.kind}": action for action in evaluation.actions})
    return found


def attributes(value: Any) -> dict[str, Any]:
    """All that can be read of a value, so that values without `==` can be compared."""
    if isinstance(value, (list, tuple)):
        return {str(number): attributes(item) for number, item in enumerate(value)}
    if isinstance(value, dict):
        return {str(key): attributes(item) for key, item in value.items()}
    if not type(value).__module__.startswith("reflexarc"):
        return {"": value}
    names = [name for name in dir(type(value)) if not name.startswith("_")]
    read = {name: getattr(value, name) for name in names}
    return {
        "repr": repr(value),
        "str": str(value),
        **{name: attributes(item) for name, item in read.items() if not callable(item)},
    }


@pytest.mark.parametrize("name", list(values()))
def test_immutable_values_pickle_and_copy(name: str) -> None:
    value = values()[name]
    assert copy.copy(value) is value and copy.deepcopy([value])[0] is value
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(value, protocol))
        assert type(again) is type(value)
        assert attributes(again) == attributes(value)
        if type(value).__eq__ is not object.__eq__:
            assert again == value
    with pytest.raises((AttributeError, TypeError)):
        value.something = 1
    with pytest.raises((AttributeError, TypeError)):
        value.rule = 1


def test_every_class_of_values_is_tested() -> None:
    tested = {type(value) for value in values().values()}
    classes = {thing for name in ra.__all__ if isinstance(thing := getattr(ra, name), type)}
    others = {"EvaluationIterator", "Receipt", "StateFile", "Targets"}
    rest = {
        kind.__name__
        for kind in classes
        if kind.__module__ in ("reflexarc", "reflexarc._core") and not issubclass(kind, Exception)
    }
    assert rest - {kind.__name__ for kind in tested} <= others


RULES_OF_WORKER: ra.RuleSet | None = None


def evaluate(arguments: tuple[ra.RuleSet, dict[str, Any]]) -> ra.Evaluation:
    rules, event = arguments
    return rules.evaluate(event, now=NOW)


def evaluate_invalid(rules: ra.RuleSet) -> ra.Evaluation:
    return rules.evaluate({"a": {1}})


def parse(text: str) -> ra.Pattern:
    return ra.Pattern(text)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_a_pool_of_processes_evaluates(method: str) -> None:
    rules = rule_set()
    events = [{**EVENT, "content": {**CONTENT, "eniId": f"eni-{number}"}} for number in range(8)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        evaluations = pool.map(evaluate, [(rules, event) for event in events])
        with pytest.raises(ra.EventError, match="set"):
            pool.apply(evaluate_invalid, (rules,))
        with pytest.raises(ra.PatternError) as caught:
            pool.apply(parse, ("a ==",))
    assert caught.value.diagnostics and caught.value.diagnostics[0].line == 1
    assert [
        evaluation.event["content.eniId"] for evaluation in evaluations if evaluation.event
    ] == [f"eni-{number}" for number in range(8)]
    for event, evaluation in zip(events, evaluations, strict=True):
        here = rules.evaluate(event, now=NOW)
        assert evaluation.actions == here.actions and evaluation.state == here.state
        assert evaluation.failures == here.failures and evaluation.log == here.log
    # The state and the calls of another process lead on.
    evaluation = evaluations[0]
    call = next(action for action in evaluation.actions if action.kind == "call")
    answered = rules.answer(call, code="Throttling", state=evaluation.state, now=NOW)
    assert [action.text for action in answered.actions] == ["Throttling"]


def test_what_was_evaluated_elsewhere_has_no_rules() -> None:
    evaluation = rule_set().evaluate(EVENT, now=NOW)
    assert evaluation.explain("failed")
    again = pickle.loads(pickle.dumps(evaluation))
    with pytest.raises(ValueError, match=r"RuleSet\.explain"):
        again.explain("failed")
    assert len(pickle.dumps(evaluation)) < 10_000


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (ra.PatternError, ValueError),
        (ra.RuleError, ValueError),
        (ra.ConfigError, ValueError),
        (ra.EventError, ValueError),
        (ra.UndecidedError, ra.EventError),
        (ra.StateError, ValueError),
        (ra.ReactionError, RuntimeError),
        (ra.InternalError, RuntimeError),
    ],
)
def test_exceptions_are_those_of_python(error: type[ra.Error], base: type[Exception]) -> None:
    assert issubclass(error, ra.Error) and issubclass(error, base)
    assert (error.__module__, error.__doc__) != ("builtins", None)
    assert repr(error("x")) == f"{error.__name__}('x')"


def test_exceptions_keep_their_diagnostics() -> None:
    with pytest.raises(ValueError) as caught:
        ra.Pattern("a == ")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.diagnostics == caught.value.diagnostics
    with pytest.raises(ra.RuleError) as invalid:
        ra.RuleSet.from_rules({"a": "when = 5"})
    assert pickle.loads(pickle.dumps(invalid.value)).diagnostics == invalid.value.diagnostics


def test_missing_paths_are_file_not_found(tmp_path: Path) -> None:
    missing = tmp_path / "rules"
    for read in (
        lambda: ra.RuleSet.load(missing),
        lambda: ra.RuleSet.load(str(missing)),
        lambda: ra.RuleSet({"a": "b exists"}).matching_many(missing),
    ):
        with pytest.raises(FileNotFoundError) as caught:
            read()
        assert caught.value.errno == errno.ENOENT
        assert str(caught.value.filename) == os.fspath(missing)
    (tmp_path / "broken.toml").write_text("when = 5")
    with pytest.raises(ra.RuleError):
        ra.RuleSet.load(tmp_path)


def test_diagnostics_are_json() -> None:
    text = "content.eniID exists"
    found = ra.Pattern(text).warnings[0]
    members = json.loads(json.dumps(found.to_dict()))
    names = ["code", "severity", "message", "source", "line", "column", "span", "help", "fix"]
    assert list(members) == names
    for name in names[:6]:
        assert members[name] == getattr(found, name)
    (start, end), replacement = members["fix"]["span"], members["fix"]["replacement"]
    fixed = text[:start] + replacement + text[end:]
    assert fixed == "content.eniId exists" and ra.Pattern(fixed).warnings == []
    without = ra.Event(EVENT).check()[0].to_dict()
    assert without["fix"] is None and "help" in without


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "reflexarc"]
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout == f"reflexarc {ra.__version__}\n"
    event = json.dumps({"a": 1})
    matched = subprocess.run(
        [*command, "match", "a == 1"], input=event, capture_output=True, text=True, check=True
    )
    assert json.loads(matched.stdout) == {"a": 1}
    wrong = subprocess.run([*command, "--nonsense"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "--nonsense" in wrong.stderr


def test_representations_have_the_syntax_of_python() -> None:
    found = values()
    assert repr(ra.Event('{"a": "it\'s"}')) == """Event('{"a": "it\\'s"}')"""
    assert repr(found["Failure"]).startswith("Failure(rule='broken', hop=0, message='")
    assert repr(found["Cancellation"]) == "Cancellation(rule='derived', key='later')"
    assert repr(found["Action notify"]) == (
        "Action(rule='derived', kind='notify', target='ops', level='info', text='derived')"
    )
    assert repr(found["EniNotification"]).startswith("EniNotification(operation='Detach")
    assert repr(found["Rule"]) == (
        "Rule(id='failed', level='warn', when='content.result == \"failed\"')"
    )
    assert repr(found["Deadline"]) == (
        "Deadline(at=datetime.datetime(2026, 1, 2, 3, 34, 15, 678, tzinfo=datetime.timezone.utc), "
        "rule='stuck', key='eni-1')"
    )
    assert repr(found["MatchFiring"]) == (
        "MatchFiring(rule='stuck', reason='fired', key='eni-1', count=1)"
    )
    for name, value in found.items():
        assert repr(value).startswith(("<", type(value).__name__ + "(")), name
        assert len(repr(value)) < 1000


def test_long_values_are_cut_in_representations() -> None:
    rules = ra.RuleSet.from_rules({"a": "when = 'a exists'\nthen = 'send(\"t\", event)'"})
    action = rules.evaluate({"a": "x" * 10_000}).actions[0]
    assert len(repr(action)) < 300 and len(repr(ra.Event({"a": "x" * 10_000}))) < 100


def test_notebooks_show_html() -> None:
    found = values()
    pages = {
        name: found[name]._repr_html_()
        for name in ("Pattern", "Explanation", "RuleSet", "Evaluation", "Evaluation of deadlines")
    }
    for name, page in pages.items():
        assert page.startswith("<") and "<script" not in page, name
        assert "<broken>" not in page and "<b>" not in page, name
    assert "content.eniID" in pages["Pattern"] and "RA0232" in pages["Pattern"]
    assert "✗" in pages["Explanation"] and "content.eniId" in pages["Explanation"]
    assert "it&#39;s &lt;broken&gt;" in pages["RuleSet"] and "30m" in pages["RuleSet"]
    evaluation = pages["Evaluation"]
    for text in ("failed", "inventory", "Describe", "looks at eni-1", "broken", "derived"):
        assert text in evaluation, text
    assert "&lt;b&gt;eni-1&lt;/b&gt; is stuck" in pages["Evaluation of deadlines"]
    many = ra.RuleSet({f"rule-{number}": "a exists" for number in range(1_000)})
    assert "900 more" in many._repr_html_()
    empty = ra.RuleSet({"a": "a exists"}).evaluate({"b": 1})._repr_html_()
    assert "no rule matched" in empty


def test_log_lines_and_failures_go_to_logging(caplog: pytest.LogCaptureFixture) -> None:
    rules = rule_set()
    with caplog.at_level(logging.INFO, logger="reflexarc"):
        evaluation = rules.evaluate(EVENT, now=NOW)
    assert evaluation.log == ["looks at eni-1"]
    records = {(record.levelname, record.getMessage()) for record in caplog.records}
    assert ("INFO", "rule failed: looks at eni-1") in records
    failure = evaluation.failures[0]
    assert ("ERROR", f"rule broken failed: {failure.message}") in records
    assert {record.name for record in caplog.records} == {"reflexarc.rules"}
    assert {record.__dict__["rule"] for record in caplog.records} == {"failed", "broken"}
    caplog.clear()
    with caplog.at_level(logging.ERROR, logger="reflexarc"):
        rules.evaluate(EVENT, now=NOW)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="reflexarc"):
        fired = rules.fire_due(evaluation.state, NOW + timedelta(hours=1))
    assert fired.log == ["waited"]
    assert [record.getMessage() for record in caplog.records] == ["rule stuck: waited"]


def test_nothing_is_printed_without_configuration_of_logging() -> None:
    code = (
        "import reflexarc as ra\n"
        "rules = ra.RuleSet.from_rules({'a': \"when = 'a exists'\\nthen = 'event.b.c.d'\"})\n"
        "assert rules.evaluate({'a': 1}).failures\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_exceptions_pass_through_process_pools() -> None:
    rules = rule_set()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        evaluations = list(pool.map(rules.evaluate, [EVENT] * 5, chunksize=2))
        assert [evaluation.matched for evaluation in evaluations] == [
            rules.evaluate(EVENT).matched
        ] * 5
        future = pool.submit(parse, "a = 5")
        with pytest.raises(ra.PatternError) as caught:
            future.result(timeout=120)
    assert caught.value.diagnostics[0].code.startswith("RA")

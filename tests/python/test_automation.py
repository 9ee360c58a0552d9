"""The order of what `Automation` does: handlers, deliveries, commit, acknowledgement, failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import reflexarc as ra
from reflexarc.sources import Message

NOW = datetime(2026, 11, 25, 8, tzinfo=timezone.utc)
COUNT = """
when = 'n exists'
then = 'notify("ops", add("seen", 1).to_string())'
"""
CALL = """
when = 'n exists'
then = 'call("api", "Look", #{ N: event.n })'
answered = '''
add("answers", 1);
if !answer.ok { notify("ops", answer.code); return; }
notify("ops", `found ${answer.body}`);
if call.operation == "Look" && event.n > 1 { call("api", "Change", #{ N: event.n }); }
'''
"""
EMIT = """
when = 'n exists'
then = 'emit(#{ derived: event.n })'
"""
DERIVED = """
when = 'derived exists'
then = 'send("ops", event.derived)'
"""


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_minutes(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)


class Trace:
    """An automation that records what happens, in order."""

    def __init__(self, rules: dict[str, str], **options: Any) -> None:
        self.steps: list[Any] = []
        self.fails: set[str] = set()
        self.app = ra.Automation(ra.RuleSet.from_rules(rules), **options)
        self.app.target("ops")(self.deliver)

    def deliver(self, action: ra.Action) -> None:
        text = action.text if action.kind == "notify" else json.dumps(action.payload)
        if "deliver" in self.fails:
            raise OSError("refused")
        self.steps.append(f"deliver {text}")

    def handle(self, event: ra.Event, match: ra.Match) -> None:
        if "handler" in self.fails:
            raise LookupError("handler failed")
        self.steps.append(f"handle {event.to_json()}")

    def message(self, body: Any, nack: bool = True) -> Message:
        name = body if isinstance(body, str) else json.dumps(body)

        def ack() -> None:
            state = self.app.state.to_dict().get("count", {}).get("seen")
            self.steps.append(f"ack {name}, state {state}")

        return Message(body, ack, (lambda: self.steps.append(f"nack {name}")) if nack else None)


def test_handlers_then_deliveries_then_commit_then_ack() -> None:
    trace = Trace({"count": COUNT})
    trace.app.on("count")(trace.handle)
    summary = trace.app.run([trace.message({"n": 1}), trace.message({"n": 2})])
    assert trace.steps == [
        'handle {"n":1}',
        "deliver 1",
        'ack {"n": 1}, state 1',
        'handle {"n":2}',
        "deliver 2",
        'ack {"n": 2}, state 2',
    ]
    assert summary == ra.Summary(events=2, actions=2)


@pytest.mark.parametrize("step", ["handler", "deliver"])
def test_failures_leave_state_and_source_alone(step: str) -> None:
    trace = Trace({"count": COUNT})
    trace.app.on("count")(trace.handle)
    trace.app.run([{"n": 1}])
    before = trace.app.state
    trace.steps.clear()
    trace.fails.add(step)
    error = LookupError if step == "handler" else ra.DeliveryError
    with pytest.raises(error):
        trace.app.run([trace.message({"n": 2}), trace.message({"n": 3})])
    assert trace.app.state is before and trace.app.state.get("count", "seen") == 1
    expected = ['nack {"n": 2}']
    assert trace.steps == (expected if step == "handler" else ['handle {"n":2}', *expected])
    trace.fails.clear()
    trace.steps.clear()
    # The source delivers it again.
    trace.app.run([trace.message({"n": 2})])
    assert trace.steps == ['handle {"n":2}', "deliver 2", 'ack {"n": 2}, state 2']


def test_a_generator_goes_on_when_its_item_is_committed() -> None:
    trace = Trace({"count": COUNT})

    def source() -> Any:
        for n in (1, 2):
            yield {"n": n}
            trace.steps.append(f"acknowledged {trace.app.state.get('count', 'seen')}")

    trace.app.run(source())
    assert trace.steps == ["deliver 1", "acknowledged 1", "deliver 2", "acknowledged 2"]


def test_a_failed_generator_is_closed_at_its_item() -> None:
    trace = Trace({"count": COUNT})
    trace.fails.add("deliver")

    def source() -> Any:
        try:
            yield {"n": 1}
            trace.steps.append("acknowledged")
        finally:
            trace.steps.append("closed")

    with pytest.raises(ra.DeliveryError, match="target 'ops': OSError: refused") as raised:
        trace.app.run(source())
    assert trace.steps == ["closed"]
    assert raised.value.action.text == "1" and isinstance(raised.value.__cause__, OSError)


def test_dead_letters_take_what_no_target_takes(tmp_path: Path) -> None:
    file = tmp_path / "dead.ndjson"
    trace = Trace({"count": COUNT}, dead_letters=file)
    trace.fails.add("deliver")
    summary = trace.app.run([trace.message({"n": 1})])
    assert trace.steps == ['ack {"n": 1}, state 1']
    assert summary == ra.Summary(events=1, dead_letters=1)
    (line,) = file.read_text().splitlines()
    letter = ra.DeadLetter.from_json(line)
    assert letter.error == "target 'ops': OSError: refused"
    assert letter.action is not None and (letter.action.text, letter.event) == ("1", None)
    assert json.loads(line)["action"]["action"]["notify"]["text"] == "1"


def test_dead_letters_can_be_a_function() -> None:
    letters: list[ra.DeadLetter] = []
    trace = Trace({"a": DERIVED, "e": EMIT}, dead_letters=letters.append, on_error="skip")
    trace.app.on("e")(trace.handle)
    trace.fails = {"deliver"}
    trace.app.process({"n": 12345678901234567890.5})
    trace.fails = {"handler"}
    trace.app.run(['{"n": 0.12345678901234567890}', "no event"])
    assert [letter.error for letter in letters][:2] == [
        "target 'ops': OSError: refused",
        "LookupError: handler failed",
    ]
    assert letters[2].event == "no event" and letters[2].error.startswith("EventError")
    for letter in letters:
        again = ra.DeadLetter.from_json(letter.to_json())
        assert again == letter
    assert "0.12345678901234567890" in letters[1].to_json()


def test_dead_letters_that_cannot_be_written_are_errors(tmp_path: Path) -> None:
    trace = Trace({"count": COUNT}, dead_letters=tmp_path / "missing" / "dead.ndjson")
    trace.fails.add("deliver")
    with pytest.raises(FileNotFoundError):
        trace.app.run([trace.message({"n": 1})])
    assert trace.app.state == ra.State() and trace.steps == ['nack {"n": 1}']


def test_an_unknown_target_names_the_known_ones() -> None:
    app = ra.Automation(ra.RuleSet.from_rules({"count": COUNT}))
    with pytest.raises(ra.DeliveryError, match="unknown target 'ops'; known: there are none"):
        app.process({"n": 1})
    app.target("oops")(print)
    with pytest.raises(ra.DeliveryError, match="unknown target 'ops'; known: oops"):
        app.process({"n": 1})
    taken = []
    app.target("*")(taken.append)
    app.process({"n": 1})
    assert [action.target for action in taken] == ["ops"]


def test_skip_goes_on_and_acknowledges() -> None:
    trace = Trace({"count": COUNT}, on_error="skip")
    trace.app.on("n == 2")(trace.handle)
    trace.fails.add("handler")
    messages = [trace.message({"n": n}) for n in (1, 2, 3)]
    summary = trace.app.run([*messages, "{", b'{"n": 4}'])
    assert trace.steps == [
        "deliver 1",
        'ack {"n": 1}, state 1',
        'ack {"n": 2}, state 1',
        "deliver 2",
        'ack {"n": 3}, state 2',
        "deliver 3",
    ]
    assert (summary.events, summary.actions) == (3, 3)


def test_retry_gives_a_message_back_to_its_queue() -> None:
    trace = Trace({"count": COUNT}, on_error="retry")
    trace.app.on("n == 2")(trace.handle)
    trace.fails.add("handler")
    trace.app.run([trace.message({"n": n}) for n in (1, 2, 3)])
    assert trace.steps == [
        "deliver 1",
        'ack {"n": 1}, state 1',
        'nack {"n": 2}',
        "deliver 2",
        'ack {"n": 3}, state 2',
    ]


def test_retry_tries_again_what_no_queue_does(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = Trace({"count": COUNT}, on_error="retry")
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            trace.fails.clear()

    monkeypatch.setattr("reflexarc._run.time.sleep", sleep)
    trace.fails.add("deliver")
    trace.app.run([trace.message({"n": 1}, nack=False), {"n": 2}])
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert trace.steps == ["deliver 1", 'ack {"n": 1}, state 1', "deliver 2"]


def test_on_error_can_be_a_function() -> None:
    seen: list[tuple[str, str | None]] = []

    def decide(error: Exception, event: ra.Event | None) -> Any:
        seen.append((type(error).__name__, None if event is None else event.to_json()))
        return "raise" if len(seen) == 3 else "skip"

    trace = Trace({"count": COUNT}, on_error=decide)
    trace.app.on("count")(trace.handle)
    trace.fails.add("handler")
    with pytest.raises(LookupError):
        trace.app.run([{"n": 1}, "[]x", {"n": 2}, {"n": 3}])
    assert seen == [("LookupError", '{"n":1}'), ("EventError", None), ("LookupError", '{"n":2}')]
    trace.app = ra.Automation(trace.app.rules, on_error=lambda *_: "ignore")  # type: ignore
    with pytest.raises(ValueError, match="returned 'ignore'"):
        trace.app.run([{"n": 1}])


def test_answers_go_back_to_the_rule_and_their_actions_on() -> None:
    trace = Trace({"call": CALL})
    calls: list[tuple[str | None, Any]] = []

    def api(action: ra.Action) -> Any:
        calls.append((action.operation, action.parameters))
        trace.steps.append(f"call {action.operation}")
        if action.operation == "Change":
            return ra.Answer(code="Forbidden", status=403)
        return {"Size": 7}

    trace.app.target("api")(api)
    summary = trace.app.run([trace.message({"n": 1}), {"n": 2}])
    assert calls == [("Look", {"N": 1}), ("Look", {"N": 2}), ("Change", {"N": 2})]
    look = 'found #{"Size": 7}'
    assert trace.steps[:3] == ["call Look", f"deliver {look}", 'ack {"n": 1}, state None']
    assert trace.steps[3:] == ["call Look", f"deliver {look}", "call Change", "deliver Forbidden"]
    assert trace.app.state.get("call", "answers") == 3 and summary.actions == 6


def test_a_call_that_fails_is_not_answered() -> None:
    trace = Trace({"call": CALL})

    def api(action: ra.Action) -> Any:
        raise ConnectionError("gone")

    trace.app.target("api")(api)
    with pytest.raises(ra.DeliveryError, match="ConnectionError: gone"):
        trace.app.process({"n": 1})
    assert trace.app.state == ra.State()


def test_a_call_among_dead_letters_is_answered_as_unknown() -> None:
    letters: list[ra.DeadLetter] = []
    trace = Trace({"call": CALL}, dead_letters=letters.append)
    trace.app.target("api")(lambda action: 1 / 0)
    trace.app.process({"n": 1})
    assert trace.steps == ["deliver OutcomeUnknown"]
    assert [letter.action.operation for letter in letters if letter.action] == ["Look"]
    assert trace.app.state.get("call", "answers") == 1


def test_handlers_of_rules_see_what_their_scripts_see() -> None:
    trace = Trace({"emit": EMIT, "derived": DERIVED})
    matches: list[tuple[str | None, str, int]] = []
    for name in ("derived", "emit"):
        trace.app.on(name)(lambda e, m: matches.append((m.rule, e.to_json(), len(m.actions))))
    trace.app.process({"n": 1})
    assert matches == [("derived", '{"derived":1}', 1), ("emit", '{"n":1}', 0)]


def test_handlers_of_patterns_see_the_native_form() -> None:
    app = ra.Automation(ra.RuleSet({}))
    seen: list[tuple[str, str | None]] = []

    @app.on(ra.Pattern({"content": {"eniStatus": ["Deleted"]}}))
    @app.on('content.eniStatus == "Deleted"')
    def deleted(event: ra.Event, match: ra.Match) -> None:
        seen.append((event.to_dict()["content"]["eniStatus"], match.rule))

    native = {
        "product": "ECS",
        "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
        "content": {"eniStatus": "The resource has been deleted.", "eniId": "eni-1"},
    }
    app.process(native)
    app.process(ra.Event(native).to_cloudevent())
    assert seen == [("Deleted", None)] * 4


def test_suppressed_rules_do_not_run_handlers() -> None:
    rules = {"once": "when = 'n exists'\nonce = { key = 'n', within = '1h' }\nnotify = ['ops']"}
    trace = Trace(rules)
    trace.app.on("once")(trace.handle)
    trace.app.run([{"n": 1}, {"n": 1}, {"n": 2}])
    assert [step for step in trace.steps if step.startswith("handle")] == [
        'handle {"n":1}',
        'handle {"n":2}',
    ]


def test_handlers_run_in_the_order_they_were_added() -> None:
    trace = Trace({"count": COUNT})
    order: list[int] = []
    for number, condition in enumerate(["n exists", "count", "n == 1", "count", "n exists"]):
        trace.app.on(condition)(lambda e, m, number=number: order.append(number))
    trace.app.process({"n": 1})
    assert order == [0, 1, 2, 3, 4]


def test_mistakes_are_found_when_handlers_are_added() -> None:
    app = ra.Automation(ra.RuleSet.from_rules({"count": COUNT}))
    with pytest.raises(ValueError, match="unknown rule 'conut'; did you mean 'count'"):
        app.on("conut")(print)
    with pytest.raises(ra.PatternError):
        app.on("n = 1")(print)
    with pytest.raises(TypeError, match="a handler takes the event and the match"):
        app.on("count")(lambda event: None)  # type: ignore[arg-type, misc]
    with pytest.raises(TypeError, match="a target takes the action"):
        app.target("ops")(lambda: None)  # type: ignore[arg-type, misc]
    for options in ({"on_error": "ignore"}, {"clock": "utc"}):
        with pytest.raises(ValueError, match="expected"):
            ra.Automation(ra.RuleSet({}), **options)  # type: ignore[arg-type]


def test_documents_of_several_events_are_acknowledged_once() -> None:
    trace = Trace({"count": COUNT})
    trace.app.run([trace.message({"Records": [{"n": 1}, {"n": 2}]})])
    assert trace.steps == [
        "deliver 1",
        "deliver 2",
        'ack {"Records": [{"n": 1}, {"n": 2}]}, state 2',
    ]


def test_failed_reactions_are_counted_and_lose_only_their_actions() -> None:
    trace = Trace({"bad": "when = 'n exists'\nthen = 'throw 1'", "count": COUNT})
    summary = trace.app.run([{"n": 1}])
    assert summary == ra.Summary(events=1, actions=1, failures=1)


def test_sources_that_are_no_sources_are_refused() -> None:
    app = ra.Automation(ra.RuleSet({}))
    for source in ({"n": 1}, ra.Event({"n": 1})):
        with pytest.raises(TypeError, match="use `process`"):
            app.run(source)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="found int"):
        app.run(7)  # type: ignore[arg-type]
    assert app.run(b'{"n": 1}\n\n{"n": 2}').events == 2


@pytest.mark.parametrize("kind", ["handler", "target"])
def test_processing_inside_of_processing_is_refused(kind: str) -> None:
    trace = Trace({"count": COUNT})
    run: Callable[..., Any] = lambda *_: trace.app.process({"n": 2})  # noqa: E731
    if kind == "handler":
        trace.app.on("count")(run)
    else:
        trace.app.target("ops")(run)
    expected = RuntimeError if kind == "handler" else ra.DeliveryError
    with pytest.raises(expected, match="cannot process another one"):
        trace.app.process({"n": 1})


def test_dead_letters_are_delivered_again(tmp_path: Path) -> None:
    file = tmp_path / "dead.ndjson"
    options: dict[str, Any] = {"dead_letters": file, "on_error": "skip"}
    trace = Trace({"call": CALL, "count": COUNT}, **options)
    trace.app.on("n == 2")(trace.handle)
    assert trace.app.redrive() == ra.Summary(), "there are none"
    failing = [True]

    def api(action: ra.Action) -> Any:
        if failing[0]:
            raise ConnectionError("gone")
        return "thing"

    trace.app.target("api")(api)
    trace.fails = {"handler"}
    assert trace.app.run([{"n": 1}, {"n": 2}, "no event"]).dead_letters == 3
    assert trace.steps == ["deliver 1", "deliver OutcomeUnknown"]
    with open(file, "a") as more:
        more.write('{"at": "2026')
    # Everything fails again.
    assert trace.app.redrive().dead_letters == 4
    assert len(file.read_text().splitlines()) == 4 and len(list(tmp_path.iterdir())) == 1
    trace.steps.clear()
    failing[0] = False
    trace.fails.clear()
    summary = trace.app.redrive()
    assert (summary.events, summary.dead_letters) == (1, 2)
    assert trace.steps == [
        "deliver found thing",
        'handle {"n":2}',
        "deliver 2",
        "deliver found thing",
        "deliver found thing",
    ]
    left = [ra.DeadLetter.from_json(line).event for line in file.read_text().splitlines()]
    assert left == ["no event", '{"at": "2026']
    with pytest.raises(ValueError, match="no file of dead letters"):
        ra.Automation(ra.RuleSet({})).redrive()


def test_an_interrupted_redrive_begins_again(tmp_path: Path) -> None:
    file = tmp_path / "dead.ndjson"
    trace = Trace({"count": COUNT}, dead_letters=file)
    trace.fails.add("deliver")
    trace.app.run([{"n": 1}, {"n": 2}])
    file.rename(tmp_path / "dead.ndjson.redrive")
    trace.app.run([{"n": 3}])
    trace.fails.clear()
    assert trace.app.redrive().actions == 2 and trace.app.redrive().actions == 1
    assert trace.steps == ["deliver 1", "deliver 2", "deliver 3"]
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_an_event_is_not_tried_again() -> None:
    letters: list[ra.DeadLetter] = []
    trace = Trace({"count": COUNT}, on_error="retry", dead_letters=letters.append)
    trace.app.run(["no event", trace.message("no event"), {"n": 1}])
    assert trace.steps == ["nack no event", "deliver 1"] and len(letters) == 1
    trace = Trace({"count": COUNT}, on_error="retry")
    with pytest.raises(ra.EventError):
        trace.app.run(["no event", {"n": 1}])


def test_a_message_that_cannot_be_given_back_shows_the_first_error() -> None:
    trace = Trace({"count": COUNT})
    trace.fails.add("deliver")
    with pytest.raises(ra.DeliveryError):
        trace.app.run([Message({"n": 1}, nack=lambda: 1 / 0)])


def test_one_event_is_not_stopped_by_what_is_not_due() -> None:
    clock = Clock()
    later = "when = 'n exists'\nthen = 'notify(\"ops\", #{ text: `${event.n}`, after: \"1h\" })'"
    trace = Trace({"later": later}, clock=clock, settle=timedelta(0))
    assert trace.app.run([{"n": n} for n in range(5)]).events == 5
    assert trace.steps == [] and len(trace.app.state.to_dict()["@delayed"]) == 5
    clock.pass_minutes(61)
    assert trace.app.run([{"other": 1}]) == ra.Summary(events=1, actions=5, timers=5)


def test_handlers_of_patterns_see_what_scripts_emit() -> None:
    trace = Trace({"emit": EMIT, "derived": DERIVED})
    trace.app.on("derived == 1 or n == 1")(trace.handle)
    trace.app.run([{"n": 1}, {"n": 2}])
    assert trace.steps == ['handle {"n":1}', 'handle {"derived":1}', "deliver 1", "deliver 2"]

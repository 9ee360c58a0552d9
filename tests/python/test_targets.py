"""Targets of a configuration, in programs that deliver themselves, against real receivers."""

from __future__ import annotations

import asyncio
import copy
import json
import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from datetime import datetime, timedelta, timezone
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
import reflexarc as ra
from aiosmtpd.controller import Controller
from receiver import Receiver, receiver

NOW = datetime(2026, 11, 25, 8, tzinfo=timezone.utc)
SECRET = "canary-secret-0123456789"

RULE = """
when = 'eni exists'
by = "eni"
then = '''
notify("team", #{ title: "attach failed", text: `${event.eni} failed` });
send("hook", #{ eni: event.eni });
'''
"""

LEAK = """
when = 'leaked exists'
then = 'call("api", "DELETE /enis/{id}", #{ id: event.leaked })'
answered = '''
notify("team", if answer.ok { `removed ${answer.body.Id}` } else { answer.code });
'''
"""


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", SECRET)


def rules() -> ra.RuleSet:
    return ra.RuleSet.from_rules({"failed": RULE, "leak": LEAK})


def webhook(name: str, to: Receiver, keys: str = "") -> str:
    return (
        f'[targets.{name}]\ntype = "webhook"\nurl = "{to.url}/hook"\n'
        f'allow = ["127.0.0.0/8"]\nheaders = {{ authorization = {{ env = "SECRET" }} }}\n{keys}\n'
    )


def api(to: Receiver, keys: str = "") -> str:
    return (
        f'[targets.api]\ntype = "http"\nurl = "{to.url}"\nnetworks = ["127.0.0.0/8"]\n'
        f'bearer = {{ env = "SECRET" }}\nallow = ["*"]\n{keys}\n'
    )


def actions(eni: str = "eni-1", **event: Any) -> list[ra.Action]:
    return rules().evaluate({"id": "8B2A", "eni": eni, **event}, now=NOW).actions


def test_actions_arrive_at_their_targets(tmp_path: Path) -> None:
    with receiver() as hook:
        config = tmp_path / "reflexarc.toml"
        log = '[targets.team]\ntype = "file"\npath = "team.ndjson"\n'
        config.write_text(log + webhook("hook", hook))
        targets = ra.Targets.load(config)
        assert targets.names == ["hook", "team"] or targets.names == ["team", "hook"]
        receipts = targets.deliver(actions())
    assert [each.target for each in receipts] == ["team", "hook"]
    for each in receipts:
        assert (each.status, each.attempts, each.error) == ("delivered", 1, None)
        assert (each.answer, each.cause) == (None, None)
    assert receipts[1].response is not None and "200" in receipts[1].response
    # A relative path starts from the folder of the configuration.
    (line,) = (tmp_path / "team.ndjson").read_text().splitlines()
    assert json.loads(line)["notify"]["text"] == "eni-1 failed"
    (request,) = hook.requests
    assert request.json["data"] == {"eni": "eni-1"}
    assert request.headers["authorization"] == SECRET


def test_failures_are_repeated_and_then_undeliverable() -> None:
    def respond(request: Any, number: int) -> tuple[int, str] | None:
        return (503, f'{{"token": "{SECRET}"}}') if number <= 3 else None

    with receiver(respond) as hook:
        targets = ra.Targets.from_toml(webhook("hook", hook, 'retry = ["10ms"]'))
        (_, send) = actions()
        (lost,) = targets.deliver([send])
        (sent,) = targets.deliver(iter([send]))
    assert (lost.status, lost.cause, lost.attempts) == ("undeliverable", "exhausted", 2)
    assert lost.error is not None and lost.error.startswith("gave up after 2 attempts: HTTP 503")
    assert SECRET not in lost.error
    assert repr(lost) == f"Receipt(target='hook', status='undeliverable', error={lost.error!r})"
    assert (sent.status, sent.attempts) == ("delivered", 2)
    # All attempts, and the second delivery, under one id: the receiver can recognise copies.
    assert len({request.headers["webhook-id"] for request in hook.requests}) == 1
    assert len(hook.requests) == 4


def test_ids_are_those_of_the_event_and_the_action() -> None:
    ids = [action.id for action in actions()]
    assert len(set(ids)) == 2
    assert ids == [action.id for action in actions()]
    assert ids != [action.id for action in actions(id="9F00")]
    for action in actions():
        again = pickle.loads(pickle.dumps(action))
        assert (again.id, again) == (action.id, action)
    # Each arrival of an event without an id is an event of its own.
    unnamed = rules().evaluate({"eni": "eni-1"}, now=NOW).actions
    assert unnamed[0].id != rules().evaluate({"eni": "eni-1"}, now=NOW).actions[0].id
    assert unnamed[0].id == unnamed[0].id == pickle.loads(pickle.dumps(unnamed[0])).id
    # Equality does not depend on it.
    assert unnamed == rules().evaluate({"eni": "eni-1"}, now=NOW).actions


def test_answers_and_deadlines_have_ids_of_their_own() -> None:
    (call,) = rules().evaluate({"id": "1", "leaked": "eni-1"}, now=NOW).actions
    answers: list[dict[str, Any]] = [{"body": {"Id": "x"}}, {"code": "NotFound"}]
    answered = [rules().answer(call, **answer, now=NOW).actions[0] for answer in answers]
    assert answered[0].id == answered[1].id != call.id
    (other,) = rules().evaluate({"id": "2", "leaked": "eni-1"}, now=NOW).actions
    assert rules().answer(other, **answers[0], now=NOW).actions[0].id != answered[0].id
    stuck = ra.RuleSet.from_rules(
        {
            "stuck": """
            when = 'status == "Detaching"'
            by = "eniId"
            not_followed_by = { when = 'status == "Available"', within = "30m" }
            notify = ["team"]
            """
        }
    )
    state = ra.State()
    for eni in ["eni-1", "eni-2"]:
        state = stuck.evaluate({"status": "Detaching", "eniId": eni}, state=state, now=NOW).state
    later = NOW + timedelta(hours=1)
    fired = [action.id for action in stuck.fire_due(state, later).actions]
    assert len(set(fired)) == 2
    assert fired == [action.id for action in stuck.fire_due(state, later).actions]


def test_receivers_see_the_event_of_an_action() -> None:
    event = {"source": "acs.ecs", "resourceId": "acs:ecs:eni-1"}
    with receiver() as hook:
        targets = ra.Targets.from_toml(webhook("hook", hook))
        targets.deliver(actions(**event)[1:])
    body = hook.requests[0].json
    assert (body["eventid"], body["eventsource"]) == ("8B2A", "acs.ecs")
    assert body["subject"] == "acs:ecs:eni-1"
    assert body["id"] == actions(**event)[1].id


def test_mail_arrives_over_smtp() -> None:
    received: list[bytes] = []

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            received.append(envelope.content)
            return "250 accepted"

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        targets = ra.Targets.from_toml(
            f'[targets.team]\ntype = "email"\nhost = "127.0.0.1"\nport = {port}\n'
            'protection = "none"\nfrom = "alerts@example.com"\nto = ["team@example.com"]\n'
        )
        (receipt,) = targets.deliver(actions()[:1])
    finally:
        controller.stop()
    assert receipt.status == "delivered", receipt
    (mail,) = received
    message = message_from_bytes(mail)
    assert "attach failed" in str(message["subject"])
    assert "eni-1 failed" in mail.decode()


def test_answers_go_back_to_the_rule() -> None:
    def respond(request: Any, number: int) -> tuple[int, str] | None:
        return (404, '{"Code": "NotFound"}') if request.path.endswith("2") else (200, '{"Id": "x"}')

    with receiver(respond) as cloud:
        targets = ra.Targets.from_toml(api(cloud))
        texts = []
        for eni in ["eni-1", "eni-2"]:
            evaluation = rules().evaluate({"leaked": eni}, now=NOW)
            (receipt,) = targets.deliver(evaluation.actions)
            assert receipt.status == "answered"
            assert receipt.answer is not None
            answered = rules().answer(receipt.action, **receipt.answer, state=evaluation.state)
            texts.append(answered.actions[0].text)
            if eni == "eni-1":
                assert receipt.answer == {"body": {"Id": "x"}, "ok": True, "status": 200}
                assert receipt.error is None
            else:
                assert receipt.answer["ok"] is False and receipt.answer["status"] == 404
                assert receipt.error is not None and receipt.error.startswith("NotFound")
    assert texts == ["removed x", "NotFound"]
    assert [request.method for request in cloud.requests] == ["DELETE", "DELETE"]


def test_changes_stop_at_the_limit_until_resumed() -> None:
    with receiver() as cloud:
        keys = "max_changes = { per_minute = 1, per_day = 9 }"
        targets = ra.Targets.from_toml(api(cloud, keys))
        codes = []
        for number in range(3):
            call = rules().evaluate({"leaked": f"eni-{number}"}, now=NOW).actions
            (receipt,) = targets.deliver(call)
            answer = receipt.answer or {}
            codes.append(answer.get("code"))
            if number == 1:
                assert targets.resume("api") is True
        assert codes == [None, "ChangeLimit", None]
        with pytest.raises(KeyError, match="nowhere"):
            targets.resume("nowhere")
    assert len(cloud.requests) == 2


def test_a_timeout_gives_up_what_is_left() -> None:
    with receiver(lambda request, number: (503, "")) as hook:
        targets = ra.Targets.from_toml(webhook("hook", hook))
        (receipt,) = targets.deliver(actions()[1:], timeout=2)
    assert (receipt.status, receipt.cause) == ("undeliverable", "expired")
    assert receipt.error is not None and receipt.error.startswith("gave up after 2s: HTTP 503")
    (receipt,) = targets.deliver(actions()[1:], timeout=timedelta(milliseconds=1))
    assert receipt.status == "undeliverable"
    for invalid in [-1, float("nan"), float("inf")]:
        with pytest.raises(ValueError, match="invalid timeout"):
            targets.deliver([], timeout=invalid)
    with pytest.raises(TypeError, match="invalid timeout"):
        targets.deliver([], timeout="soon")  # type: ignore[arg-type]


def test_the_egress_guard_refuses_private_addresses() -> None:
    with pytest.raises(ra.ConfigError, match=r"127\.0\.0\.1") as error:
        ra.Targets.from_toml('[targets.hook]\ntype = "webhook"\nurl = "http://127.0.0.1:9/"\n')
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.help is not None and "allow" in diagnostic.help
    # Names are checked when they are resolved.
    targets = ra.Targets.from_toml(
        '[targets.hook]\ntype = "webhook"\nurl = "http://localhost:9/"\nretry = []\n'
    )
    (receipt,) = targets.deliver(actions()[1:])
    assert receipt.status == "undeliverable"
    assert receipt.error is not None and "127.0.0.1" in receipt.error


def test_invalid_configurations_are_explained(tmp_path: Path) -> None:
    missing = tmp_path / "reflexarc.toml"
    with pytest.raises(FileNotFoundError, match=r"reflexarc\.toml"):
        ra.Targets.load(missing)
    with pytest.raises(ra.ConfigError, match="unknown key") as error:
        ra.Targets.from_toml('[target.log]\ntype = "stdout"\n')
    assert error.value.diagnostics[0].line == 1
    text = '[targets.t]\ntype = "dingtalk"\ntoken = { env = "NOT_SET" }\n'
    with pytest.raises(ra.ConfigError, match="the environment variable NOT_SET is not set"):
        ra.Targets.from_toml(text)
    # Tokens of the service are not needed.
    tokens = '[[http.tokens]]\nname = "a"\nroles = ["read"]\ntoken = { env = "NOT_SET" }\n'
    assert ra.Targets.from_toml(tokens).names == []
    with pytest.raises(TypeError, match="expected an iterable of Action, found str"):
        ra.Targets.from_toml("").deliver(["text"])  # type: ignore[list-item]


def test_receipts_are_pickled_and_copied() -> None:
    with receiver() as hook:
        targets = ra.Targets.from_toml(webhook("hook", hook) + api(hook))
        call = rules().evaluate({"leaked": "eni-1"}, now=NOW).actions
        receipts = targets.deliver(actions() + call)
    assert {each.status for each in receipts} == {"delivered", "answered", "undeliverable"}
    for receipt in receipts:
        again = pickle.loads(pickle.dumps(receipt))
        assert again == receipt and again is not receipt
        assert again.answer == receipt.answer and again.response == receipt.response
        assert copy.copy(receipt) is receipt and copy.deepcopy(receipt) is receipt
    assert receipts[0] != receipts[1]


def own_threads() -> set[str]:
    """The threads but those of receivers, which have one for each connection."""
    names = {thread.name for thread in threading.enumerate()}
    return {name for name in names if "process_request_thread" not in name}


def test_many_tasks_deliver_without_threads_of_their_own() -> None:
    async def main() -> None:
        with receiver() as hook:
            targets = ra.Targets.from_toml(webhook("hook", hook, "concurrency = 16"))
            before = own_threads()
            deliveries = [
                targets.deliver_async(actions(f"eni-{number}", id=str(number))[1:])
                for number in range(300)
            ]
            assert own_threads() <= before
            receipts = await asyncio.gather(*deliveries)
        assert all(each.status == "delivered" for (each,) in receipts)
        assert len(hook.requests) == 300

    asyncio.run(main())


def test_a_cancelled_delivery_is_not_attempted_again() -> None:
    async def main() -> int:
        with receiver(lambda request, number: (503, "")) as hook:
            targets = ra.Targets.from_toml(webhook("hook", hook, 'retry = ["1s", "1s"]'))
            delivery = asyncio.ensure_future(targets.deliver_async(actions()[1:]))
            while not hook.requests:
                await asyncio.sleep(0.01)
            delivery.cancel()
            with pytest.raises(asyncio.CancelledError):
                await delivery
            await asyncio.sleep(1.5)
            return len(hook.requests)

    assert asyncio.run(main()) == 1


def test_async_delivery_needs_an_event_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        ra.Targets.from_toml("").deliver_async([])


def test_other_threads_run_during_a_delivery() -> None:
    entered, leave = threading.Event(), threading.Event()

    def respond(request: Any, number: int) -> None:
        entered.set()
        # In this process: without the lock being released it would never get here.
        assert leave.wait(30)

    with receiver(respond) as hook:
        targets = ra.Targets.from_toml(webhook("hook", hook))
        found: list[ra.Receipt] = []
        thread = threading.Thread(target=lambda: found.extend(targets.deliver(actions()[1:])))
        thread.start()
        assert entered.wait(30)
        leave.set()
        thread.join(30)
    assert [each.status for each in found] == ["delivered"]


def deliver_in_child(targets: ra.Targets, action: ra.Action) -> str:
    (receipt,) = targets.deliver([action], timeout=60)
    return receipt.status


def test_targets_work_after_a_fork() -> None:
    with receiver() as hook:
        targets = ra.Targets.from_toml(webhook("hook", hook))
        action = actions()[1]
        assert deliver_in_child(targets, action) == "delivered"
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if deliver_in_child(targets, action) == "delivered" else 2
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert deliver_in_child(targets, action) == "delivered"
    assert len(hook.requests) == 3


def test_ctrl_c_interrupts_a_delivery(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    with receiver(lambda request, number: (503, "")) as hook:
        config = tmp_path / "reflexarc.toml"
        config.write_text(webhook("hook", hook))
        program.write_text(
            textwrap.dedent(
                f"""
                import reflexarc as ra
                rule = "when = 'x exists'\\nthen = 'send(\\"hook\\", 1)'"
                rules = ra.RuleSet.from_rules({{"r": rule}})
                targets = ra.Targets.load({str(config)!r})
                print("begin", flush=True)
                try:
                    targets.deliver(rules.evaluate({{"x": 1}}).actions)
                except KeyboardInterrupt:
                    print("interrupted", flush=True)
                """
            )
        )
        process = subprocess.Popen(
            [sys.executable, program], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        while not hook.requests:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=300)
    assert (output, process.returncode) == ("interrupted\n", 0)


def test_spawned_processes_load_targets_of_their_own(tmp_path: Path) -> None:
    with receiver() as hook:
        config = tmp_path / "reflexarc.toml"
        config.write_text(webhook("hook", hook))
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            statuses = pool.starmap(
                load_and_deliver, [(str(config), action) for action in actions()[1:] * 4]
            )
    assert statuses == ["delivered"] * 4
    assert len(hook.requests) == 4


def load_and_deliver(config: str, action: ra.Action) -> str:
    return deliver_in_child(ra.Targets.load(config), action)

"""`Automation` in event loops and in threads."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import reflexarc as ra
from receiver import receiver
from reflexarc.sources import Message
from test_automation import CALL, COUNT, Trace
from test_automation_time import LATER


def counting(**options: Any) -> tuple[ra.Automation, list[int]]:
    """An automation that counts events, and what it delivered."""
    app = ra.Automation(ra.RuleSet.from_rules({"count": COUNT}), **options)
    delivered: list[int] = []
    app.target("ops")(lambda action: delivered.append(int(action.text or "")))
    return app, delivered


def test_coroutine_functions_are_awaited_in_order() -> None:
    trace = Trace({"call": CALL})

    @trace.app.on("call")
    async def handle(event: ra.Event, match: ra.Match) -> None:
        await asyncio.sleep(0.01)
        trace.steps.append(f"handled {event.to_json()}")

    @trace.app.target("api")
    async def api(action: ra.Action) -> Any:
        await asyncio.sleep(0)
        return {"Operation": action.operation}

    async def ack() -> None:
        await asyncio.sleep(0)
        trace.steps.append("acknowledged")

    async def source() -> AsyncIterator[Any]:
        yield Message({"n": 1}, ack=ack)
        yield None
        yield {"n": 2}

    expected = [
        'handled {"n":1}',
        'deliver found #{"Operation": "Look"}',
        "acknowledged",
        'handled {"n":2}',
        'deliver found #{"Operation": "Look"}',
        'deliver found #{"Operation": "Change"}',
    ]
    summary = asyncio.run(trace.app.run_async(source()))
    assert trace.steps == expected and summary == ra.Summary(events=2, actions=6)
    # Without a loop, it has one of its own.
    trace.steps.clear()
    assert trace.app.run(source()).events == 2 and trace.steps == expected
    trace.steps.clear()
    assert trace.app.process({"n": 2}).matched == ["call"]
    assert trace.steps == expected[3:]
    assert trace.app.fire_due() == 0
    trace.app.close()


def test_a_thousand_tasks_lose_no_event() -> None:
    app, delivered = counting()
    handled: list[int] = []

    @app.on("n >= 0")
    async def handle(event: ra.Event, match: ra.Match) -> None:
        before = app.state
        await asyncio.sleep(0)
        assert app.state is before, "no other event is processed meanwhile"
        handled.append(event.to_dict()["n"])

    async def main() -> None:
        tasks = [app.process_async({"n": number}) for number in range(1_000)]
        evaluations = await asyncio.gather(*tasks)
        assert all(evaluation.matched == ["count"] for evaluation in evaluations)

    asyncio.run(main())
    assert sorted(handled) == list(range(1_000))
    assert delivered == list(range(1, 1_001)) and app.state.get("count", "seen") == 1_000


def test_eight_threads_lose_no_event() -> None:
    app, delivered = counting()

    def work(thread: int) -> None:
        for number in range(200):
            app.process({"n": thread * 1_000 + number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert delivered == list(range(1, 1_601)) and app.state.get("count", "seen") == 1_600


def test_threads_and_loops_take_turns() -> None:
    app, delivered = counting()

    async def tasks() -> None:
        await asyncio.gather(*(app.process_async({"n": number}) for number in range(100)))

    def events() -> None:
        for number in range(100):
            app.process({"n": number})

    threads = [threading.Thread(target=events) for _ in range(3)]
    threads += [threading.Thread(target=lambda: asyncio.run(tasks())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert delivered == list(range(1, 601))


def test_a_cancelled_task_lets_others_go_on() -> None:
    app, delivered = counting()
    begun = threading.Event()

    @app.on("n == 0")
    async def handle(event: ra.Event, match: ra.Match) -> None:
        begun.set()
        await asyncio.sleep(600)

    async def main() -> None:
        first = asyncio.ensure_future(app.process_async({"n": 0}))
        others = [asyncio.ensure_future(app.process_async({"n": n})) for n in (1, 2, 3)]
        await asyncio.sleep(0.05)
        assert begun.is_set() and not any(task.done() for task in others)
        others[1].cancel()
        first.cancel()
        done = await asyncio.gather(first, *others, return_exceptions=True)
        kinds = [isinstance(each, asyncio.CancelledError) for each in done]
        assert kinds == [True, False, True, False]

    asyncio.run(main())
    assert delivered == [1, 2], "the cancelled ones have changed nothing"


def test_nested_processing_is_refused_in_loops() -> None:
    app, _ = counting()

    @app.on("n == 1")
    async def handle(event: ra.Event, match: ra.Match) -> None:
        await app.process_async({"n": 2})

    @app.on("n == 3")
    async def blocked(event: ra.Event, match: ra.Match) -> None:
        app.process({"n": 2})

    async def main() -> None:
        for number in (1, 3):
            with pytest.raises(RuntimeError, match=r"cannot process another|loop runs already"):
                await app.process_async({"n": number})

    asyncio.run(main())


def test_a_loop_that_runs_is_not_blocked() -> None:
    app, _ = counting()
    app.target("ops")(_nothing)

    async def main() -> None:
        for call in (lambda: app.run([]), lambda: app.process({"n": 1}), app.fire_due):
            with pytest.raises(RuntimeError, match="an event loop runs already"):
                call()

    asyncio.run(main())


async def _nothing(action: ra.Action) -> None:
    pass


def test_awaitables_of_plain_functions_are_explained() -> None:
    app, _ = counting()
    app.target("ops")(lambda action: asyncio.sleep(0))
    with pytest.raises((RuntimeError, ra.DeliveryError), match=r"async def|no running event loop"):
        app.process({"n": 1})
    assert app.state == ra.State()


def test_other_tasks_run_beside_a_list() -> None:
    app, delivered = counting()

    async def main() -> int:
        run = asyncio.ensure_future(app.run_async([{"n": n} for n in range(1_000)]))
        turns = 0
        while not run.done():
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert asyncio.run(main()) > 10 and len(delivered) == 1_000


def test_blocking_sources_do_not_block_the_loop() -> None:
    app, delivered = counting()
    release = threading.Event()

    def source() -> Any:
        yield {"n": 1}
        release.wait(10)
        yield {"n": 2}

    async def main() -> None:
        run = asyncio.ensure_future(app.run_async(source()))
        while not delivered:
            await asyncio.sleep(0.01)
        release.set()
        await run

    asyncio.run(main())
    assert delivered == [1, 2]


def test_timers_fire_while_an_async_source_waits() -> None:
    trace = Trace({"soon": LATER.replace('"10m"', '"200ms"')})

    async def main() -> ra.Summary:
        fired = asyncio.Event()
        trace.app.target("ops")(lambda action: fired.set())

        async def source() -> AsyncIterator[Any]:
            yield {"n": 1}
            await asyncio.wait_for(fired.wait(), timeout=60)

        return await trace.app.run_async(source())

    assert asyncio.run(main()) == ra.Summary(events=1, actions=1, timers=1)


@pytest.mark.parametrize("kind", ["async", "generator", "list"])
def test_stop_ends_a_run_after_the_event(kind: str) -> None:
    app, delivered = counting()
    closed: list[bool] = []

    async def endless() -> AsyncIterator[Any]:
        try:
            yield {"n": 1}
            await asyncio.sleep(600)
        finally:
            closed.append(True)

    def generator() -> Any:
        try:
            yield from [{"n": 1}, {"n": 2}]
        finally:
            closed.append(True)

    stop_in_handler = kind != "async"
    if stop_in_handler:
        app.on("n == 1")(lambda event, match: app.stop())

    async def main() -> ra.Summary:
        sources = {"async": endless, "generator": generator, "list": lambda: [{"n": 1}] * 3}
        run = asyncio.ensure_future(app.run_async(sources[kind]()))
        if not stop_in_handler:
            while not delivered:
                await asyncio.sleep(0.01)
            app.stop()
        return await run

    summary = asyncio.run(asyncio.wait_for(main(), timeout=60))
    assert summary.stopped and delivered == [1] and closed == [True] * (kind != "list")


def test_a_cancelled_delivery_is_made_once_and_committed_later() -> None:
    leave = threading.Event()

    def respond(request: Any, number: int) -> None:
        assert leave.wait(30)

    async def main() -> None:
        with receiver(respond) as hook:
            text = f'[targets.ops]\ntype = "webhook"\nurl = "{hook.url}"\nallow = ["127.0.0.0/8"]'
            targets = ra.Targets.from_toml(text)
            app = ra.Automation(ra.RuleSet.from_rules({"count": COUNT}), targets=targets)
            event = {"id": "8B2A", "n": 1}
            first = asyncio.ensure_future(app.process_async(event))
            while not hook.requests:
                await asyncio.sleep(0.01)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            assert app.state == ra.State()
            # The attempt goes on, and the same event waits for its outcome.
            again = asyncio.ensure_future(app.process_async(event))
            await asyncio.sleep(0.05)
            leave.set()
            await again
            assert app.state.get("count", "seen") == 1 and len(hook.requests) == 1

    asyncio.run(main())


def test_errors_of_sources_and_handlers_end_a_run() -> None:
    app, _ = counting()
    app.on("n == 2")(lambda event, match: 1 / 0)

    async def broken() -> AsyncIterator[Any]:
        yield {"n": 1}
        raise ConnectionError("gone")

    async def items() -> AsyncIterator[Any]:
        yield {"n": 2}

    for source, error in ((broken, ConnectionError), (items, ZeroDivisionError)):
        with pytest.raises(error):
            asyncio.run(app.run_async(source()))
    with pytest.raises(ConnectionError):
        app.run(broken())
    assert app.state.get("count", "seen") == 2, "and another run can begin"


def test_one_run_at_a_time() -> None:
    app, _ = counting()

    async def main() -> None:
        async def endless() -> AsyncIterator[Any]:
            await asyncio.sleep(600)
            yield None

        run = asyncio.ensure_future(app.run_async(endless()))
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError, match="runs already"):
            await app.run_async([])
        run.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await run

    asyncio.run(main())


SIGNALLED = """
import asyncio, sys, time
import reflexarc as ra

rules = ra.RuleSet.from_rules({"a": "when = 'n exists'\\nthen = 'send(\\"ops\\", event.n)'"})
app = ra.Automation(rules)
kind, moment = sys.argv[1:]

def waits():
    yield {"n": 1}
    print("waiting", flush=True)
    time.sleep(600)

async def awaits():
    yield {"n": 1}
    print("waiting", flush=True)
    await asyncio.sleep(600)

@app.target("ops")
def ops(action):
    if moment == "processing":
        print("waiting", flush=True)
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            time.sleep(0.01)
    print("delivered", flush=True)

if kind == "sync":
    summary = app.run(waits())
elif kind == "list":
    summary = app.run([{"n": n} for n in range(100)])
else:
    summary = asyncio.run(app.run_async(awaits()))
print(summary.stopped, summary.actions, flush=True)
time.sleep(0 if len(sys.argv) < 4 else 600)
"""


@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        ("sync", "waiting"),
        ("sync", "processing"),
        ("list", "processing"),
        ("async", "waiting"),
        ("async", "processing"),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_run_cleanly(kind: str, moment: str, number: int) -> None:
    command = [sys.executable, "-c", SIGNALLED, kind, moment]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line == "waiting\n":
            break
    time.sleep(0.1)
    process.send_signal(number)
    rest = process.stdout.read()
    assert process.wait(timeout=60) == 0
    assert rest.splitlines()[-1] == "True 1"
    process.stdout.close()


def test_a_second_ctrl_c_ends_it_at_once() -> None:
    code = SIGNALLED.replace("+ 0.5", "+ 600")
    command = [sys.executable, "-c", code, "sync", "processing"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "waiting\n"
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors and "delivered" not in errors


def test_signal_handlers_are_restored() -> None:
    app, _ = counting()
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    app.run([{"n": 1}])
    asyncio.run(app.run_async([{"n": 1}]))
    thread = threading.Thread(target=lambda: app.run([{"n": 1}]))
    thread.start()
    thread.join()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert app.state.get("count", "seen") == 3


def test_until_ends_a_run_in_a_loop() -> None:
    app, _ = counting()

    async def endless() -> AsyncIterator[Any]:
        while True:
            await asyncio.sleep(0.01)
            yield None

    end = datetime.now(timezone.utc) + timedelta(seconds=0.3)
    asyncio.run(asyncio.wait_for(app.run_async(endless(), until=end), timeout=60))
    assert datetime.now(timezone.utc) >= end

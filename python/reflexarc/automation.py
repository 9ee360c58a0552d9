"""Automation: events from a source, through rules and handlers, to targets.

>>> import reflexarc as ra
>>> rules = ra.RuleSet.from_rules({"failed": '''
... when = 'content.result == "failed"'
... then = 'notify("ops", `look at ${event.content.eniId}`)'
... '''})
>>> app = ra.Automation(rules)

A target takes actions; a handler runs when a rule reacts, or when an event matches an expression:

>>> @app.target("ops")
... def ops(action: ra.Action) -> None:
...     print(action.text)
>>> @app.on('content.operation starts with "Attach"')
... def attached(event: ra.Event, match: ra.Match) -> None:
...     print("attach")
>>> content = {"result": "failed", "eniId": "eni-1", "operation": "AttachNetworkInterface"}
>>> app.run([{"content": content}]).actions
attach
look at eni-1
1

**At least once.** What is done for an event, in this order:

1. Deadlines and delayed actions whose time has come before the event, each as below.
2. The rules are evaluated. This changes nothing yet.
3. Handlers run, in the order in which they were added.
4. Actions are delivered in order: those of the rules, then those that handlers returned. One that
   no target takes, or whose target is unknown, goes to the dead letters; without them that is an
   error. The answer of a call goes to its rule, whose actions are delivered too; that of a call
   among the dead letters has the code "OutcomeUnknown". An action with `after` waits in the state.
5. The state is committed.
6. The source gets its acknowledgement: `Message.ack` is called, or the next item is asked for.

Whatever fails, or kills the process, before the end of step 5 leaves the state as it was before the
event, and the source without its acknowledgement. So the event comes again and nothing is lost, but
handlers and deliveries that had succeeded are repeated. Between steps 5 and 6 the event comes again
too, and its changes of the state are made twice; a rule with `once` ignores the second copy.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, Callable, Coroutine
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from . import _core
from ._core import Evaluation, Event, RuleSet, State
from ._dead_letters import DeadLetterFile, DeadLettersArgument, dead_letter_writer
from ._delivery import AnyTarget, Deliverer
from ._gate import Gate, drive
from ._handlers import AnyHandler, Handlers
from ._processor import Clock, Processor
from ._redrive import redrive
from ._run import OnError, Run, Summary
from ._state_store import StateStore, state_store
from .sources import Source

if TYPE_CHECKING:
    from ._core import Targets
    from ._types import EventLike, PatternLike

__all__ = ["Automation"]

Result = TypeVar("Result")


class Automation:
    """Rules, handlers and targets that process events at least once; the order is documented in
    `reflexarc.automation`.

    One event is processed at a time, whatever the number of threads and tasks.

    Args:
        rules: the rules, or the path of their folder.
        targets: the targets of a `reflexarc.toml`, or its path. `target` adds further ones.
        state: the path of a file that keeps the state, or a `StateStore` of the program; or the
            state to begin with, which is kept in memory: `Automation.state` is the present one.
        dead_letters: where actions go that cannot be delivered, also because their target is
            unknown, and events that are skipped: a file, to which each is appended as a line, or a
            function. Without it, an action that cannot be delivered is a `DeliveryError`. This
            holds for calls too, of which the rule gets the answer "OutcomeUnknown".
        on_error: what `run` does after an event whose processing has failed: "raise" ends the run
            with the exception; "retry" gives the event back to its queue (`Message.nack`), or
            tries it again after a pause, which grows from a second to a minute; "skip" logs the
            error, makes the event a dead letter and acknowledges it. What is not an event is not
            tried again: it becomes a dead letter, or ends the run. A function gets the exception
            and the event (`None` for a deadline, and for what is not an event) and returns one of
            the three.
        clock: "wall" for the current time; "event" for the time that events carry, with which
            recorded events give the same results whenever they are processed; or a function that
            returns an aware datetime.
        settle: how long deadlines and delayed actions that have become due while no process ran are
            left after `run` begins, so that events that have come meanwhile are processed first.
        delivery_timeout: how long configured targets may try to deliver the actions of an event,
            before these are undeliverable. By default as long as their retry policies say, which
            may be a day, and meanwhile no other event is processed.

    Raises:
        RuleError: if the rules are invalid.
        ConfigError: if the configuration of the targets is, or a secret is missing.
        StateError: if the file of the state is none, or in use.
    """

    def __init__(
        self,
        rules: RuleSet | str | os.PathLike[str],
        *,
        targets: Targets | str | os.PathLike[str] | None = None,
        state: State | StateStore | str | os.PathLike[str] | None = None,
        dead_letters: DeadLettersArgument = None,
        on_error: OnError = "raise",
        clock: Clock = "wall",
        settle: timedelta = timedelta(minutes=1),
        delivery_timeout: timedelta | None = None,
    ) -> None:
        self._rules = rules if isinstance(rules, RuleSet) else RuleSet.load(rules)
        if isinstance(targets, (str, os.PathLike)):
            targets = _core.Targets.load(targets)
        if on_error not in ("raise", "retry", "skip") and not callable(on_error):
            raise ValueError(f"invalid on_error={on_error!r}: expected raise, retry or skip")
        if clock not in ("wall", "event") and not callable(clock):
            raise ValueError(f"invalid clock={clock!r}: expected wall, event or a function")
        self._deliverer = Deliverer(targets, delivery_timeout)
        self._handlers = Handlers(self._rules)
        self._store = state_store(state)
        self._dead_letters = dead_letter_writer(dead_letters)
        self._processor = Processor(
            self._rules,
            self._handlers,
            self._deliverer,
            self._store,
            self._dead_letters,
            clock,
            settle,
        )
        self._on_error = on_error
        self._gate = Gate()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._run: Run | None = None

    @property
    def rules(self) -> RuleSet:
        """The rules."""
        return self._rules

    @property
    def state(self) -> State:
        """The committed state. Actions with `after` wait in it under the name `@delayed`."""
        return self._processor.state

    @property
    def next_due(self) -> datetime | None:
        """When the next deadline or delayed action is due; `None` if nothing waits."""
        return self._processor.next_due

    def on(self, condition: str | PatternLike) -> Callable[[AnyHandler], AnyHandler]:
        """Add a handler: a function, or coroutine function, of an event and a `Match`.

        A rule reacts when an event matches it and no gate suppresses it, also to an event that a
        script emits; a rule with a time window reacts when a match fires or is resolved, also
        because time passes. The event is the one that the script of the rule sees, in the native
        form; an empty one where a rule waits for what has never come. An expression is matched
        with the events of the source and with those that scripts emit. Answers of calls run no
        handlers.

        A handler may return an action, or yield several, which are delivered after those of the
        rules: `Action.notify`, `Action.send`.

        Args:
            condition: the name of a rule, or an expression or pattern that the event matches.

        Raises:
            ValueError: if there is no rule of the name.
            PatternError: if the pattern is invalid.
        """

        def add(handler: AnyHandler) -> AnyHandler:
            self._handlers.add(condition, handler)
            return handler

        return add

    def target(self, name: str) -> Callable[[AnyTarget], AnyTarget]:
        """Add a target: a function, or coroutine function, that takes an `Action`. If it returns,
        the action was delivered; what it returns is the answer of a call: the body of the response,
        a response of an SDK, or an `Answer`. If it raises an exception, the action could not be
        delivered.

        Args:
            name: the name by which rules send to it; "*" takes what no other target does.
        """

        def add(function: AnyTarget) -> AnyTarget:
            self._deliverer.add(name, function)
            return function

        return add

    def process(self, event: EventLike) -> Evaluation:
        """Process one event, as for a function that is called for each; steps 1 to 5. When this
        returns, its actions are delivered and the state is committed. Can be called by any thread,
        but not by handlers and targets.

        Raises:
            EventError: if it is not an event.
            DeliveryError: if an action cannot be delivered and there are no dead letters.
            Exception: what a handler raised.
        """
        read = Event(event)
        if not self._is_asynchronous:
            with self._gate:
                return drive(self._processor.process(read, event, in_loop=False))
        return self._in_own_loop(self.process_async(read))

    async def process_async(self, event: EventLike) -> Evaluation:
        """As `process`, for use in an event loop by any number of tasks."""
        read = Event(event)
        async with self._gate:
            return await self._processor.process(read, event, in_loop=True)

    def fire_due(self) -> int:
        """Fire the deadlines and deliver the delayed actions whose time has come, and return how
        many. `run` does this by itself; a program that calls `process` calls this at `next_due`.
        """
        if not self._is_asynchronous:
            with self._gate:
                return drive(self._processor.fire_due(self._processor.now(), in_loop=False))
        return self._in_own_loop(self.fire_due_async())

    async def fire_due_async(self) -> int:
        """As `fire_due`, for use in an event loop."""
        async with self._gate:
            return await self._processor.fire_due(self._processor.now(), in_loop=True)

    def run(self, source: Source, *, until: datetime | None = None) -> Summary:
        """Process the events of a source, and let deadlines fire in time, until the source ends.

        Ctrl-C, SIGTERM and `stop` end it after the event that is being processed; a second Ctrl-C
        at once.

        Args:
            source: an iterable of events, texts or `Message`; NDJSON as bytes, the path of an
                NDJSON file or of a folder (`sources.ndjson`, `sources.directory`), or an async
                iterable.
            until: when to end; with `clock="event"`, deadlines up to then fire after the last
                event.

        Raises:
            EventError: if something is not an event, and `on_error` is "raise".
            DeliveryError: if an action cannot be delivered, likewise.
            Exception: what a handler or the source raised.
        """
        if self._is_asynchronous or isinstance(source, AsyncIterable):
            return self._in_own_loop(self.run_async(source, until=until))
        run = self._begin_run(until)
        try:
            return run.run(source)
        finally:
            self._run = None

    async def run_async(self, source: Source, *, until: datetime | None = None) -> Summary:
        """As `run`, in an event loop: handlers and targets that are coroutine functions are
        awaited, others called; configured targets deliver without blocking the loop. One event is
        processed after another; other tasks of the loop go on meanwhile.
        """
        run = self._begin_run(until)
        try:
            return await run.run_async(source)
        finally:
            self._run = None

    def redrive(self) -> Summary:
        """Deliver the actions of the file `dead_letters` again, and process its events again. What
        fails again is appended to the file.

        Raises:
            ValueError: if dead letters are not kept in a file.
        """
        file = self._dead_letters
        if not isinstance(file, DeadLetterFile):
            raise ValueError("no file of dead letters: pass its path as `dead_letters`")
        if not self._is_asynchronous:
            counts = drive(redrive(self._processor, file, self._gate, in_loop=False))
        else:
            counts = self._in_own_loop(redrive(self._processor, file, self._gate, in_loop=True))
        return Summary(**vars(counts))

    def stop(self) -> None:
        """End `run` or `run_async` after the event that is being processed. Can be called by
        handlers, and by any thread.
        """
        if self._run is not None:
            self._run.stop()

    def close(self) -> None:
        """Close the file of the state, and the event loop of `process` with coroutine functions.
        `with Automation(…) as app:` does this at the end.
        """
        self._store.close()
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def __enter__(self) -> Automation:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def _is_asynchronous(self) -> bool:
        return self._handlers.is_asynchronous or self._deliverer.is_asynchronous

    def _begin_run(self, until: datetime | None) -> Run:
        if self._run is not None:
            raise RuntimeError("this automation runs already")
        self._run = Run(self._processor, self._gate, self._on_error, until)
        return self._run

    def _in_own_loop(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in a loop that is kept: clients belong to the loop that they began in."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            coroutine.close()
            raise RuntimeError("an event loop runs already; await `run_async` or `process_async`")
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(coroutine)

    def __repr__(self) -> str:
        return f"<Automation: {len(self._rules)} rules>"

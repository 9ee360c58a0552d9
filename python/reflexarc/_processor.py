"""What is done for one event or deadline: evaluate, run handlers, deliver, commit."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

from ._core import Action, Cancellation, Evaluation, Event, RuleSet, State
from ._dead_letters import DeadLetter, letter_now
from ._delays import Changes, Delays
from ._delivery import Deliverer, DeliveryError, Outcome
from ._gate import PLAIN_FUNCTION
from ._handlers import Evaluated, Handlers, actions_of

if TYPE_CHECKING:
    from ._state_store import StateStore

Clock = Literal["wall", "event"] | Callable[[], datetime]

logger = logging.getLogger("reflexarc")

# Deadlines that passed so long ago were due while no process ran.
STOPPED_FOR = timedelta(seconds=15)
# The longest time that is waited at once: the wall clock may be set meanwhile.
LONGEST_WAIT = 60.0
# How often a clock of the program is looked at, in seconds.
POLL_CLOCK = 0.05

# How often what has expired is removed: rules do not see it, but it takes memory.
COMMITS_BETWEEN_REMOVALS = 1_000

UTC = timezone.utc

# Bits of `Evaluation._contents`.
ACTIONS, FAILURES, REACTIONS = 1, 2, 8

# No changes of what waits.
NOTHING: Changes = {}


@dataclass
class Counts:
    """What was done.

    Attributes:
        events: events that were processed.
        actions: actions that were delivered, and calls that were answered.
        dead_letters: actions that could not be delivered, and events that were skipped.
        failures: reactions of rules that failed.
        timers: deadlines and delayed actions whose time has come.
    """

    events: int = 0
    actions: int = 0
    dead_letters: int = 0
    failures: int = 0
    timers: int = 0


class Processor:
    """Processes one event, deadline or delayed action after another; not for several threads."""

    def __init__(
        self,
        rules: RuleSet,
        handlers: Handlers,
        deliverer: Deliverer,
        store: StateStore,
        dead_letters: Callable[[DeadLetter], object] | None,
        clock: Clock,
        settle: timedelta,
    ) -> None:
        self.counts = Counts()
        # Deadlines and delays are left until then.
        self.held_until: datetime | None = None
        self._rules = rules
        self._handlers = handlers
        self._deliverer = deliverer
        self._store = store
        self._dead_letters = dead_letters
        self._clock = clock
        self._settle_time = settle
        self.state: State = store.state
        self._delays = Delays(self.state)
        self._has_windows = any(rules[name].window for name in rules)
        self._last_event_time: datetime | None = None
        self.next_due: datetime | None = None
        # Whether no event needs to know the time, and nothing can be due before it.
        self.is_timeless = False
        self._commits = 0
        self._find_next_due()

    @property
    def follows_events(self) -> bool:
        """Whether the clock is that of events: without one, no time passes."""
        return self._clock == "event"

    def now(self, event: Event | None = None) -> datetime:
        """The time of an event, or the present one."""
        if self._clock == "wall":
            return datetime.now(UTC)
        if self._clock == "event":
            time = None if event is None else event.time
            if time is not None:
                self._last_event_time = time
            return self._last_event_time or datetime.now(UTC)
        return self._clock()

    async def process(self, event: Event, item: Any, *, in_loop: bool) -> Evaluation:
        """Process an event: what is due before it, then the event itself."""
        now = None if self.is_timeless else self.now(event)
        if now is not None and self.next_due is not None and self.next_due <= now:
            await self.fire_due(now, in_loop=in_loop)
        # While deadlines are held back, an event may cancel one that has passed.
        advance = now is None or self.held_until is None
        evaluated = self._handlers.table.evaluate(event, item, self.state, now, advance)
        assert evaluated is not None, "an event that was read is a single valid one"
        reacting = self.react(evaluated, now, in_loop=in_loop)
        if reacting is not None:
            await reacting
        self.counts.events += 1
        return evaluated[0]

    def evaluate_timeless(self, item: Any) -> Evaluated | None:
        """Evaluate what a source yielded where `is_timeless`, for `react`; `None` if that is not a
        single valid event. This changes nothing.
        """
        return self._handlers.table.evaluate(item, item, self.state)

    def react(
        self, evaluated: Evaluated, now: datetime | None = None, *, in_loop: bool
    ) -> Coroutine[Any, Any, None] | None:
        """Steps 3 to 5. Returns what is still to be awaited: nothing for an event without actions
        of rules, unless a handler may return an awaitable. Most events need no coroutine then.
        """
        evaluation, contents, calls = evaluated
        if contents & ~REACTIONS or (calls and in_loop):
            return self._react(evaluated, now, in_loop)
        if calls:
            actions: list[Action] = []
            for handler, event, match in calls:
                result = handler(event, match)
                if result is not None:
                    if isinstance(result, Awaitable):
                        raise RuntimeError(PLAIN_FUNCTION)
                    actions.extend(actions_of(result))
            if actions:
                return self._deliver_and_commit(evaluation, actions, [], now, in_loop)
        if calls or contents:
            self._commit(evaluation.state, NOTHING)
        else:
            # Only the time that was reached has changed.
            self.state = evaluation.state
            if self._has_windows:
                self._find_next_due()
        return None

    @property
    def has_dead_letters(self) -> bool:
        """Whether there is somewhere to put dead letters."""
        return self._dead_letters is not None

    @property
    def is_due(self) -> bool:
        """Whether something is due now, whatever event comes next."""
        if self.next_due is None or self._clock == "event":
            return False
        return self.next_due <= self.now()

    async def fire_due(self, now: datetime, *, in_loop: bool) -> int:
        """Fire deadlines and deliver delayed actions up to `now`, in the order of their times, each
        committed alone. Returns how many there were.
        """
        if self.held_until is not None:
            if now < self.held_until:
                return 0
            self.held_until = None
        count = 0
        while self.next_due is not None and self.next_due <= now:
            due = self.next_due
            delayed = self._delays.first()
            if delayed is not None and delayed[0] == due:
                await self._deliver_delayed(delayed[1], now, in_loop)
            elif not await self._fire(due, now, in_loop):
                break
            count += 1
        self.counts.timers += count
        return count

    def hold_overdue(self) -> bool:
        """Leave for a while what is due since long before the run; whether there is such."""
        if self.follows_events:
            return False
        now = self.now()
        is_overdue = self.next_due is not None and self.next_due < now - STOPPED_FOR
        if is_overdue:
            self.held_until = now + self._settle_time
        return is_overdue

    async def begin(self, now: datetime, *, in_loop: bool) -> None:
        """Begin what rules wait for before any event. What is due has been fired."""
        if self._has_windows:
            await self._fire(now, now, in_loop)

    def reach(self, time: datetime) -> datetime:
        """Have the clock of events reach a time; with another clock, return the present one."""
        if not self.follows_events:
            return min(time, self.now())
        self._last_event_time = time
        return time

    def seconds_to_next(self, until: datetime | None) -> float | None:
        """The time to the next deadline, delayed action, or `until`; `None` for no limit."""
        if self.follows_events:
            return None
        due = self.next_due
        if due is not None and self.held_until is not None:
            due = max(due, self.held_until)
        if due is None or (until is not None and until < due):
            due = until
        if due is None:
            return None
        seconds = max(0.0, (due - self.now()).total_seconds())
        # Another clock may be set at any time.
        return min(seconds, LONGEST_WAIT) if self._clock == "wall" else min(seconds, POLL_CLOCK)

    def skip_due(self, error: BaseException) -> None:
        """Make dead letters of the actions of what is due first, without delivering them."""
        delayed = self._delays.first()
        if delayed is not None and delayed[0] == self.next_due:
            self.make_dead_letter(error, action=self._delays.action(delayed[1]))
            self._commit(self.state, {delayed[1]: None})
            return
        evaluation = self._rules.fire_due(self.state, self.next_due)
        for action in evaluation.actions:
            self.make_dead_letter(error, action=action)
        self._commit(evaluation.state, {})

    async def redeliver(self, action: Action, *, in_loop: bool) -> None:
        """Deliver an action again, and commit what its answer changes."""
        now = self.now()
        state, changes = await self._deliver([action], [], now, self.state, in_loop, ready=True)
        self._commit(state, changes)

    def make_dead_letter(self, error: BaseException | str, **what: Any) -> bool:
        """Make something a dead letter; false if there is nowhere to put it."""
        if self._dead_letters is None:
            return False
        self._dead_letters(letter_now(error, **what))
        self.counts.dead_letters += 1
        return True

    async def _fire(self, due: datetime, now: datetime, in_loop: bool) -> bool:
        """Fire the deadlines of one time; false if there were none."""
        evaluation = self._rules.fire_due(self.state, due)
        if not evaluation.fired:
            # What had expired does not fire, and is gone once its time has passed.
            before = self.next_due
            self._commit(self._rules.fire_due(self.state, now).state, {})
            return self.next_due is None or before is None or self.next_due > before
        calls = self._handlers.table.calls(evaluation, due)
        await self._react((evaluation, evaluation._contents, calls), due, in_loop)
        return True

    async def _deliver_delayed(self, id: str, now: datetime, in_loop: bool) -> None:
        action = self._delays.action(id)
        state, changes = await self._deliver([action], [], now, self.state, in_loop, ready=True)
        # Unless its answer put another one in its place.
        changes.setdefault(id, None)
        self._commit(state, changes)

    async def _react(self, evaluated: Evaluated, now: datetime | None, in_loop: bool) -> None:
        evaluation, contents, calls = evaluated
        if contents & FAILURES:
            self._count_failures(evaluation)
        actions = evaluation.actions if contents & ACTIONS else []
        cancelled = evaluation.cancelled if contents & ACTIONS else []
        for handler, event, match in calls:
            result = handler(event, match)
            if result is not None:
                if isinstance(result, Awaitable):
                    result = await result
                actions.extend(actions_of(result))
        await self._deliver_and_commit(evaluation, actions, cancelled, now, in_loop)

    async def _deliver_and_commit(
        self,
        evaluation: Evaluation,
        actions: Sequence[Action],
        cancelled: Sequence[Cancellation],
        now: datetime | None,
        in_loop: bool,
    ) -> None:
        state, changes = evaluation.state, NOTHING
        if actions or cancelled:
            now = now or self.now()
            state, changes = await self._deliver(actions, cancelled, now, state, in_loop)
        self._commit(state, changes)

    async def _deliver(
        self,
        actions: Sequence[Action],
        cancelled: Sequence[Cancellation],
        now: datetime,
        state: State,
        in_loop: bool,
        *,
        ready: bool = False,
    ) -> tuple[State, Changes]:
        """Deliver what is not delayed, and what the answers of calls lead to. Returns the state
        after the answers, and what changes of what waits.

        Args:
            actions: the actions.
            cancelled: what is cancelled before they begin to wait.
            now: the time from which delays count.
            state: the state before the answers.
            in_loop: as for `Deliverer.deliver`.
            ready: whether the delays of `actions` are over.
        """
        changes: Changes = {}
        at_once = actions if ready else self._delay(actions, cancelled, now, changes)
        while at_once:
            following: list[Action] = []
            for outcome in await self._deliverer.deliver(at_once, in_loop=in_loop):
                answer = self._settle(outcome)
                if outcome.action.kind != "call":
                    continue
                now = self.now()
                evaluation = self._rules.answer(
                    outcome.action, state=state, now=now, advance=False, **answer
                )
                self._count_failures(evaluation)
                state = evaluation.state
                following += self._delay(evaluation.actions, evaluation.cancelled, now, changes)
            at_once = following
        return state, changes

    def _delay(
        self,
        actions: Sequence[Action],
        cancelled: Sequence[Cancellation],
        now: datetime,
        changes: Changes,
    ) -> Sequence[Action]:
        """Add what is cancelled and what is delayed to `changes`, and return the other actions."""
        for action in actions:
            if action.after is not None:
                break
        else:
            if not cancelled:
                return actions
        later = [(now + action.after, action) for action in actions if action.after is not None]
        changes.update(self._delays.changes(cancelled, later))
        return [action for action in actions if action.after is None]

    def _settle(self, outcome: Outcome) -> Mapping[str, Any]:
        """Count an outcome. Returns the answer of a call."""
        error = outcome.error
        if error is None:
            self.counts.actions += 1
            return outcome.answer
        if not self.make_dead_letter(error, action=outcome.action):
            raise DeliveryError(error, outcome.action) from outcome.cause
        logger.error("%s; now a dead letter", error)
        # A call has exactly one answer, and it may have been executed.
        return {"code": "OutcomeUnknown", "message": error}

    def _commit(self, state: State, changes: Changes) -> None:
        if changes:
            state = self._delays.committed(state, changes)
        self._commits += 1
        if self._commits % COMMITS_BETWEEN_REMOVALS == 0:
            state = state.without_expired(now=self.now())
        self._store.commit(state)
        self.state = state
        if changes:
            self._delays.apply(changes)
        if changes or self._has_windows:
            self._find_next_due()

    def _find_next_due(self) -> None:
        due = self.state.next_due
        delayed = self._delays.first()
        if delayed is not None and (due is None or delayed[0] <= due):
            due = delayed[0]
        self.next_due = due
        self.is_timeless = due is None and not self._has_windows and self._clock == "wall"

    def _count_failures(self, evaluation: Evaluation) -> None:
        self.counts.failures += len(evaluation.failures)

"""What tests of automations need: a clock that a test sets, and targets that record.

The pytest plugin has fixtures of these, `fake_clock` and `automation`.

>>> import reflexarc as ra
>>> from reflexarc.testing import TestedAutomation
>>> rules = ra.RuleSet.from_rules({"stuck": '''
... when = 'content.eniStatus == "Detaching"'
... by = "content.eniId"
... not_followed_by = { when = 'content.eniStatus == "Available"', within = "30m" }
... then = 'notify("ops", `${key} is stuck`)'
... '''})
>>> automation = TestedAutomation(rules)
>>> event = automation.process({"content": {"eniId": "eni-1", "eniStatus": "Detaching"}})
>>> automation.delivered
[]
>>> automation.advance(minutes=31)
>>> [action.text for action in automation.delivered]
['eni-1 is stuck']
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from ._core import Action, RuleSet
from .automation import Automation

__all__ = ["FakeClock", "TestedAutomation"]

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


class FakeClock:
    """A clock that stands still until a test moves it.

    Args:
        now: the time that it begins with.

    >>> clock = FakeClock(datetime(2026, 1, 1, tzinfo=timezone.utc))
    >>> clock.advance(minutes=5)
    >>> clock().isoformat()
    '2026-01-01T00:05:00+00:00'
    """

    def __init__(self, now: datetime = START) -> None:
        if now.tzinfo is None:
            raise ValueError(f"invalid now={now}: missing time zone; use an aware datetime")
        self.now = now

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def advance(self, **duration: float) -> None:
        """Move it on by a duration, given as for `timedelta`."""
        self.now += timedelta(**duration)


class TestedAutomation(Automation):
    """An `Automation` whose clock a test moves, and which records every action instead of
    delivering it, unless the test adds the target.

    Args:
        rules: the rules, or the path of their folder.
        clock: the clock, by default a new one.
        options: as for `Automation`.

    Attributes:
        clock: the clock.
        delivered: the actions so far, in order.
        answers: the answers to calls by operation: a body, or an `Answer`. A call of an operation
            without one fails.
    """

    # pytest would take it for a class of tests.
    __test__ = False

    def __init__(
        self, rules: RuleSet | str, *, clock: FakeClock | None = None, **options: Any
    ) -> None:
        self.clock = clock or FakeClock()
        self.delivered: list[Action] = []
        self.answers: dict[str, Any] = {}
        super().__init__(rules, clock=self.clock, **options)
        self.target("*")(self._record)

    def advance(self, **duration: float) -> None:
        """Move the clock on by a duration, given as for `timedelta`, and fire what is due."""
        self.clock.advance(**duration)
        if self._is_asynchronous:
            raise RuntimeError("move `clock` on, and await `fire_due_async`")
        self.fire_due()

    def _record(self, action: Action) -> Any:
        self.delivered.append(action)
        if action.operation is None:
            return None
        if action.operation not in self.answers:
            operation = action.operation
            raise LookupError(f"no answer: set `answers[{operation!r}]` to the body of one")
        return self.answers[action.operation]

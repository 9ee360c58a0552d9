"""Handlers: functions that run when a rule reacts, or when an event matches a pattern."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ._core import Action, Evaluation, Event, MatchFiring, Pattern, RuleSet

if TYPE_CHECKING:
    from ._types import PatternLike

HandlerResult = Action | Iterable[Action] | Any | None
Handler = Callable[[Event, "Match"], HandlerResult | Awaitable[HandlerResult]]
AnyHandler = TypeVar("AnyHandler", bound=Handler)

# What could be the name of a rule; an expression has at least one space.
NAME = re.compile(r"[^\s{}\"'=<>()]+")


class Match:
    """Why a handler runs.

    Attributes:
        evaluation: the evaluation of the event or deadline, whose actions are not delivered yet.
        rule: the rule that reacted; `None` for a handler of a pattern.
        pattern: the pattern that the event matches: that of the rule, or of the handler.
        firing: the match of the rule's time window; `None` without one.
        item: what the source yielded: the `Message`, text or dict; `None` where only time has
            passed.
    """

    __slots__ = ("_at", "evaluation", "firing", "item", "pattern", "rule")

    def __init__(
        self,
        at: datetime | None,
        evaluation: Evaluation,
        pattern: Pattern,
        rule: str | None = None,
        firing: MatchFiring | None = None,
        item: Any = None,
    ) -> None:
        self._at = at
        self.evaluation = evaluation
        self.pattern = pattern
        self.rule = rule
        self.firing = firing
        self.item = item

    def __repr__(self) -> str:
        return f"<Match of {self.rule or self.pattern!r} at {self.at.isoformat()}>"

    @property
    def at(self) -> datetime:
        """The time of the evaluation: now, or of a deadline its own time."""
        # Looking at the clock costs as much as all else; few handlers need it.
        if self._at is None:
            self._at = datetime.now(timezone.utc)
        return self._at

    @property
    def actions(self) -> list[Action]:
        """The actions of the rule; none for a handler of a pattern."""
        return [action for action in self.evaluation.actions if action.rule == self.rule]


# A handler that is to run: its place in the order, the function, and its arguments. A plain tuple,
# which costs a tenth of a class.
Call: TypeAlias = tuple[int, Handler, Event, Match]


class Handlers:
    """The handlers of an automation, in the order in which they were added."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._has_window = {name for name in rules if rules[name].window is not None}
        self._by_rule: dict[str, list[tuple[int, Handler, Pattern]]] = {}
        self._by_pattern: list[tuple[int, Handler, Pattern]] = []
        # The patterns of handlers, by their numbers.
        self.patterns: RuleSet | None = None
        self.is_asynchronous = False

    def add(self, condition: str | PatternLike, handler: Handler) -> None:
        """Add a handler for a rule or a pattern."""
        check_arguments(handler, 2, "a handler takes the event and the match")
        order = len(self._by_pattern) + sum(map(len, self._by_rule.values()))
        if isinstance(condition, str) and condition in self._rules:
            entry = (order, handler, self._rules[condition].pattern)
            self._by_rule.setdefault(condition, []).append(entry)
        elif isinstance(condition, str) and NAME.fullmatch(condition):
            raise ValueError(self._unknown_rule(condition))
        else:
            self._by_pattern.append((order, handler, Pattern(condition)))
            patterns = {str(at): pattern for at, (*_, pattern) in enumerate(self._by_pattern)}
            self.patterns = RuleSet(patterns)
        self.is_asynchronous = self.is_asynchronous or is_asynchronous(handler)

    def calls(
        self,
        evaluation: Evaluation,
        at: datetime | None,
        *,
        matched: Iterable[str] = (),
        event: Event | None = None,
        item: Any = None,
    ) -> list[Call]:
        """What is to run: for the rules that reacted, and for the patterns `matched` by `event`."""
        calls: list[Call] = []
        for rule, seen, firing in evaluation._reactions() if self._by_rule else ():
            handlers = self._by_rule.get(rule)
            # Without a firing, the event only became part of a match.
            if handlers is None or (firing is None and rule in self._has_window):
                continue
            for order, handler, pattern in handlers:
                # An empty event where a rule waits for what has never come.
                subject = Event("{}") if seen is None else seen
                match = Match(at, evaluation, pattern, rule, firing, item)
                calls.append((order, handler, subject, match))
        if event is not None and matched:
            self._add_of_patterns(calls, evaluation, at, event, matched, item)
        if self.patterns is not None:
            for emitted in evaluation.emitted:
                numbers = self.patterns.matching(emitted)
                self._add_of_patterns(calls, evaluation, at, emitted, numbers, item)
        if len(calls) > 1:
            calls.sort(key=_order)
        return calls

    def _add_of_patterns(
        self,
        calls: list[Call],
        evaluation: Evaluation,
        at: datetime | None,
        event: Event,
        numbers: Iterable[str],
        item: Any,
    ) -> None:
        native = None
        for number in numbers:
            order, handler, pattern = self._by_pattern[int(number)]
            native = native or event.normalized()
            match = Match(at, evaluation, pattern, item=item)
            calls.append((order, handler, native, match))

    def _unknown_rule(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._rules.ids, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"unknown rule {name!r}{hint} A condition is written like 'content.eniId exists'."


def _order(call: Call) -> int:
    return call[0]


def actions_of(result: Any) -> Iterator[Action]:
    """The actions that a handler returned; anything else but actions in a list is ignored."""
    if isinstance(result, Action):
        yield result
    elif isinstance(result, (list, tuple)) or inspect.isgenerator(result):
        for action in result:
            if not isinstance(action, Action):
                kind = type(action).__name__
                raise TypeError(f"expected actions from the handler, found {kind}")
            yield action


def is_asynchronous(function: Callable[..., Any]) -> bool:
    """Whether what a function returns is to be awaited."""
    call = getattr(function, "__call__", None)  # noqa: B004 - of an object with this method
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def check_arguments(function: Callable[..., Any], count: int, expected: str) -> None:
    """Raise a `TypeError` if a function cannot be called with `count` arguments."""
    if not callable(function):
        raise TypeError(f"expected a function, found {type(function).__name__}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*[None] * count)
    except TypeError as error:
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(f"{name}{signature}: {expected}") from error

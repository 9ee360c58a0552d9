"""Handlers: functions that run when a rule reacts, or when an event matches a pattern."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ._core import Action, Evaluation, Event, Match, Pattern, RuleSet, _HandlerTable

if TYPE_CHECKING:
    from ._types import PatternLike

HandlerResult = Action | Iterable[Action] | Any | None
Handler = Callable[[Event, Match], HandlerResult | Awaitable[HandlerResult]]
AnyHandler = TypeVar("AnyHandler", bound=Handler)

# A handler that is to run, and its arguments.
Call: TypeAlias = tuple[Handler, Event, Match]

# An evaluation, what it has as bits, and the handlers that are to run.
Evaluated: TypeAlias = tuple[Evaluation, int, list[Call]]

# What could be the name of a rule; an expression has at least one space.
NAME = re.compile(r"[^\s{}\"'=<>()]+")


class Handlers:
    """The handlers of an automation, in the order in which they were added."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._added: list[tuple[str | None, Pattern, Handler]] = []
        # Replaced at each addition, also while an event is processed.
        self.table = _HandlerTable(rules, [])
        self.is_asynchronous = False

    def add(self, condition: str | PatternLike, handler: Handler) -> None:
        """Add a handler for a rule or a pattern."""
        check_arguments(handler, 2, "a handler takes the event and the match")
        rule = condition if isinstance(condition, str) and condition in self._rules else None
        if rule is not None:
            pattern = self._rules[rule].pattern
        elif isinstance(condition, str) and NAME.fullmatch(condition):
            raise ValueError(self._unknown_rule(condition))
        else:
            pattern = Pattern(condition)
        added = [*self._added, (rule, pattern, handler)]
        self.table = _HandlerTable(self._rules, added)
        self._added = added
        self.is_asynchronous = self.is_asynchronous or is_asynchronous(handler)

    def _unknown_rule(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._rules.ids, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"unknown rule {name!r}{hint} A condition is written like 'content.eniId exists'."


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

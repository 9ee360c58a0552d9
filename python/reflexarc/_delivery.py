"""Delivery of actions to targets: those of a configuration, and functions of the program."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ._core import Action
from ._errors import Error
from ._handlers import check_arguments, is_asynchronous

if TYPE_CHECKING:
    from ._core import Targets

Target = Callable[[Action], Any | Awaitable[Any]]
AnyTarget = TypeVar("AnyTarget", bound=Target)

# The name of the target that takes what no other does.
ANY = "*"

NO_ANSWER: Mapping[str, Any] = MappingProxyType({})


class DeliveryError(Error):
    """An action could not be delivered, and there is nowhere to put dead letters.

    Attributes:
        action: the action.
    """

    def __init__(self, message: str, action: Action) -> None:
        super().__init__(message)
        self.action = action

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.action)


@dataclass(frozen=True)
class Answer:
    """The answer to a call, with what `RuleSet.answer` takes. A target of the program returns one
    where the call has failed; where it has not, the body of the response is enough.

    Attributes:
        body: the document of the response.
        ok: whether the operation succeeded; by default, whether there is neither a `code` nor a
            `message`, and no status of an error.
        status: the HTTP status.
        code: the error code of the API, or one of our own, such as "OutcomeUnknown".
        message: the error message.
    """

    body: Any = None
    ok: bool | None = None
    status: int | None = None
    code: str | None = None
    message: str | None = None


class Outcome(NamedTuple):
    """What became of an action."""

    action: Action
    # Of a call: the arguments of `RuleSet.answer`.
    answer: Mapping[str, Any] = NO_ANSWER
    # Why it could not be delivered.
    error: str | None = None
    # What a target of the program raised.
    cause: BaseException | None = None


class Deliverer:
    """Delivers actions in order."""

    def __init__(self, targets: Targets | None, timeout: timedelta | None) -> None:
        self._targets = targets
        self._timeout = timeout
        self._configured = frozenset(targets.names) if targets is not None else frozenset()
        self._functions: dict[str, Target] = {}
        self.is_asynchronous = False

    def add(self, name: str, function: Target) -> None:
        """Add a target; it takes the place of the configured one of the same name."""
        check_arguments(function, 1, "a target takes the action")
        self._functions[name] = function
        self.is_asynchronous = self.is_asynchronous or is_asynchronous(function)

    async def deliver(self, actions: Sequence[Action], *, in_loop: bool) -> list[Outcome]:
        """Deliver actions, and return what became of each.

        Args:
            actions: the actions.
            in_loop: whether an event loop runs, which must not be blocked. If not, nothing is
                awaited but what targets of the program return.
        """
        outcomes: list[Outcome] = []
        at = 0
        while at < len(actions):
            action = actions[at]
            target = action.target
            function = self._function(target)
            if function is not None:
                # Not in a coroutine of its own, which costs as much as a plain function.
                try:
                    result = function(action)
                    if result is not None and isinstance(result, Awaitable):
                        result = await result
                    outcomes.append(Outcome(action, _answer_of(action, result)))
                except Exception as error:
                    outcomes.append(_failed(action, error))
                at += 1
                continue
            if target not in self._configured:
                outcomes.append(Outcome(action, error=self._unknown_target(target)))
                at += 1
                continue
            # Together, so that the configured targets work at the same time.
            run = [action]
            for following in actions[at + 1 :]:
                is_configured = following.target in self._configured
                if not is_configured or self._function(following.target) is not None:
                    break
                run.append(following)
            outcomes += await self._deliver_configured(run, in_loop)
            at += len(run)
        return outcomes

    def _function(self, target: str) -> Target | None:
        function = self._functions.get(target)
        if function is None and target not in self._configured:
            return self._functions.get(ANY)
        return function

    async def _deliver_configured(self, actions: list[Action], in_loop: bool) -> list[Outcome]:
        targets = self._targets
        assert targets is not None
        if in_loop:
            # Takes no thread. Where the task is cancelled, an attempt that is running is finished,
            # and its outcome lost: nothing is committed, so that the event comes again. Its actions
            # have the same ids then, by which receivers recognise what they have.
            receipts = await targets.deliver_async(actions, timeout=self._timeout)
        else:
            receipts = targets.deliver(actions, timeout=self._timeout)
        outcomes = []
        for action, receipt in zip(actions, receipts, strict=True):
            if receipt.status == "undeliverable":
                error = f"target {action.target!r}: {receipt.error or 'undeliverable'}"
                outcomes.append(Outcome(action, error=error))
            else:
                outcomes.append(Outcome(action, answer=receipt.answer or {}))
        return outcomes

    def _unknown_target(self, name: str) -> str:
        known = ", ".join(sorted({*self._configured, *self._functions})) or "there are none"
        return f"unknown target {name!r}; known: {known}"


def _answer_of(action: Action, result: Any) -> Mapping[str, Any]:
    """What a target returned, as the arguments of `RuleSet.answer` where it was called."""
    if action.kind != "call":
        return NO_ANSWER
    if not isinstance(result, Answer):
        return {"body": result}
    # Without the values of a body, which may be a large model.
    members = ("body", "ok", "status", "code", "message")
    values = {name: getattr(result, name) for name in members}
    return {name: value for name, value in values.items() if value is not None}


def _failed(action: Action, error: Exception) -> Outcome:
    text = f"target {action.target!r}: {type(error).__name__}: {error}"
    return Outcome(action, error=text, cause=error)

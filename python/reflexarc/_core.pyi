from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from os import PathLike
from typing import Any, Literal, Union, final

__version__: str
__all__ = [
    "Action",
    "Diagnostic",
    "EniNotification",
    "Error",
    "Evaluation",
    "Event",
    "EventError",
    "Explanation",
    "Failure",
    "InternalError",
    "Pattern",
    "PatternError",
    "ReactionError",
    "Rule",
    "RuleError",
    "RuleSet",
    "RuleTest",
    "State",
    "StateError",
    "__version__",
    "command",
]

_Dialect = Literal["reflexarc", "aws", "alibaba"]
_EventLike = Union[str, bytes, bytearray, memoryview, Mapping[str, Any], "Event"]
_PatternLike = Union[str, Mapping[str, Any], "Pattern"]

class Error(Exception):
    """Everything that reflexarc raises."""

class PatternError(Error):
    """A pattern is refused; the message draws every finding, `diagnostics` holds them.

    >>> try:
    ...     Pattern('content.result = "failed"')
    ... except PatternError as error:
    ...     error.diagnostics[0].line
    1
    """

    diagnostics: list[Diagnostic]

class RuleError(Error):
    """Rule files are refused; the message draws every finding of all files, `diagnostics` holds them."""

    diagnostics: list[Diagnostic]

class EventError(Error):
    """Something is not an event: no JSON object, too large, too deep, or holding what JSON cannot."""

class ReactionError(Error):
    """A reaction went wrong and `RuleSet.evaluate` was asked to be strict."""

class StateError(Error):
    """A state cannot hold what it was given."""

class InternalError(Error):
    """A fault of reflexarc itself; please report it with the text of the exception."""

@final
class Diagnostic:
    """One finding about a pattern, a rule file or an event: what, where, and what to do about it."""

    @property
    def code(self) -> str:
        """The stable code, such as "RA0101"."""
    @property
    def severity(self) -> Literal["error", "warning", "hint"]:
        """How much it weighs."""
    @property
    def message(self) -> str:
        """What is wrong, in one sentence."""
    @property
    def source(self) -> str:
        """The file, or "<pattern>", or "<event>", or the id of a pattern in a rule set."""
    @property
    def line(self) -> int:
        """The line, from 1."""
    @property
    def column(self) -> int:
        """The column in characters, from 1."""
    @property
    def span(self) -> tuple[int, int]:
        """Start and end in characters, half open: `text[start:end]` is the place."""
    @property
    def help(self) -> str | None:
        """What to do about it."""
    @property
    def fix(self) -> tuple[int, int, str] | None:
        """An edit that mends it: start and end in characters, and what to put there."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Pattern:
    """A filter for events, compiled once, immutable.

    Args:
        pattern: an expression, a pattern in JSON notation as text or as a dict, or another pattern.
        dialect: which service's language it is written in; "aws" and "alibaba" accept what those services accept.

    Raises:
        PatternError: with every finding, if the pattern is refused.
        ValueError: if there is no such dialect.

    >>> pattern = Pattern({"content": {"result": ["failed"]}})
    >>> pattern
    Pattern("content.result == \\"failed\\"")
    >>> pattern == Pattern('content.result == "failed"')
    True
    """

    def __new__(cls, pattern: _PatternLike, *, dialect: _Dialect = "reflexarc") -> Pattern: ...
    @property
    def source(self) -> str:
        """The text it was compiled from."""
    @property
    def dialect(self) -> _Dialect:
        """The dialect it is written in."""
    @property
    def warnings(self) -> list[Diagnostic]:
        """What was accepted but is probably not meant."""
    def matches(self, event: _EventLike) -> bool:
        """Whether the event meets the pattern, as it is: envelopes are not unwrapped.

        A dict is walked in place, only along the pattern's paths; what no path leads to is not looked at. Where a path
        ends in a dict that has not the next key, a key of that dict that is not text is an error.

        Raises:
            EventError: if it is no event; the message says where.

        >>> Pattern("content.count > 2").matches({"content": {"count": 3}})
        True
        """
    def explain(self, event: _EventLike) -> Explanation:
        """Why the event meets the pattern or does not.

        >>> print(Pattern('result == "failed"').explain({"result": "Failed"}), end="")
        ✗ result == "failed"
            result is "Failed"
            hint: the value differs only in case; add `ignoring case`
        """
    def to_json(self) -> str:
        """The pattern in JSON notation.

        >>> Pattern('a.b == "x"').to_json()
        '{"a": {"b": ["x"]}}'
        """
    def to_expression(self) -> str:
        """The pattern as an expression.

        >>> Pattern({"a": {"b": ["x"]}}).to_expression()
        'a.b == "x"'
        """
    def check(self, dialect: _Dialect = "reflexarc") -> list[Diagnostic]:
        """What another dialect would not accept or would answer differently, and what is probably not meant."""
    def export(self, dialect: _Dialect) -> str:
        """The pattern in JSON notation, ready for that service.

        Raises:
            PatternError: with what does not carry over.

        >>> Pattern('a == "x"').export("aws")
        '{"a": ["x"]}'
        """
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __copy__(self) -> Pattern: ...
    def __deepcopy__(self, _memo: Any) -> Pattern: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Explanation:
    """How a pattern fares with an event, part by part; true if it matches. `str()` shows the failing branch."""

    @property
    def matched(self) -> bool:
        """Whether the event meets the pattern."""
    @property
    def tree(self) -> dict[str, Any]:
        """Every part of the pattern with its verdict, the values found and the nearest miss."""
    @property
    def hints(self) -> list[str]:
        """What the author may have overlooked, each once."""
    def render(self, *, all: bool = False) -> str:
        """The explanation as text: only the failing branch, or all parts."""
    def __bool__(self, /) -> bool: ...

@final
class Event:
    """One event: a JSON object of at most 1 MiB and 128 levels, immutable.

    Raises:
        EventError: if it is none; the message says at which byte, or at which key of a dict.

    >>> Event('{"content": {"result": "failed"}}').to_dict()
    {'content': {'result': 'failed'}}
    """

    def __new__(cls, event: _EventLike) -> Event: ...
    @property
    def envelope(self) -> str:
        """Who sent it: "native ECS", "CloudEvents", "Cloud Monitor webhook", "Cloud Monitor rule", "AWS EventBridge"
        or "other JSON"."""
    @property
    def eni(self) -> EniNotification | None:
        """The completion of an ENI operation, in whichever envelope; `None` if it is something else."""
    def normalized(self) -> Event:
        """The event in the native ECS form that rules are written for; unknown envelopes come back as they are."""
    def to_cloudevent(self) -> Event:
        """The event as CloudEvents 1.0."""
    def check(self) -> list[Diagnostic]:
        """What is odd about it: unknown names, a level that disagrees with the result, masked values …"""
    def to_dict(self) -> dict[str, Any]:
        """The event as Python values; of duplicate keys the last one counts. Decimals that a float would round are
        `decimal.Decimal`."""
    def to_json(self) -> str:
        """The text it was read from."""
    def __bytes__(self) -> bytes: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __copy__(self) -> Event: ...
    def __deepcopy__(self, _memo: Any) -> Event: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class EniNotification:
    """The completion of one ENI operation. An attribute is `None`, and a masked element of a list is left out, where
    the event lacks the value, hides a part of it, or holds something that cannot be read."""

    @property
    def id(self) -> str | None:
        """The id of the event."""
    @property
    def resource_id(self) -> str | None:
        """`acs:ecs:<region>:<account>:eni/<id>`."""
    @property
    def level(self) -> Literal["INFO", "WARN", "CRITICAL"] | None:
        """INFO with success, WARN with failed."""
    @property
    def user_id(self) -> str | None:
        """The account that receives the event."""
    @property
    def event_time(self) -> str | None:
        """When the operation was complete, as RFC 3339 in UTC."""
    @property
    def region_id(self) -> str | None:
        """The region."""
    @property
    def eni_id(self) -> str | None:
        """The id of the ENI."""
    @property
    def operation(self) -> str | None:
        """`CreateNetworkInterface`, `AttachNetworkInterface`, `DetachNetworkInterface` or `DeleteNetworkInterface`."""
    @property
    def eni_status(self) -> str | None:
        """The state of the ENI then: `Available`, `InUse`, `Detaching`, `Deleting`, `Deleted`, `CreateFailed` …"""
    @property
    def result(self) -> Literal["success", "failed"] | None:
        """Whether it worked."""
    @property
    def request_id(self) -> str | None:
        """The id of the API request that asked for it."""
    @property
    def primary_private_ip(self) -> str | None:
        """The primary private address."""
    @property
    def secondary_private_ips(self) -> list[str]:
        """The secondary private addresses."""
    @property
    def ipv4_prefixes(self) -> list[str]:
        """The secondary private prefixes."""
    @property
    def ipv6s(self) -> list[str]:
        """The IPv6 addresses."""
    @property
    def ipv6_prefixes(self) -> list[str]:
        """The IPv6 prefixes."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Rule:
    """One rule of a rule set."""

    @property
    def id(self) -> str:
        """Its name: the stem of its file, or the key it was given under."""
    @property
    def description(self) -> str:
        """What it is for; empty when nobody said."""
    @property
    def level(self) -> Literal["info", "warn", "critical"]:
        """The level of what it sends."""
    @property
    def file(self) -> str:
        """The path of its file; empty when it was made from a pattern."""
    @property
    def pattern(self) -> Pattern:
        """Which events it is for."""

@final
class RuleTest:
    """What one `[[test]]` of a rule file came to."""

    @property
    def rule(self) -> str:
        """The rule's name."""
    @property
    def file(self) -> str:
        """The path of its file."""
    @property
    def name(self) -> str:
        """The test's name."""
    @property
    def line(self) -> int:
        """The line it begins on, from 1."""
    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
    @property
    def mismatches(self) -> list[str]:
        """What was not as expected."""

@final
class RuleSet:
    """Rules compiled together: immutable, safe to share between threads.

    Known envelopes are brought into the native ECS form before rules look at an event.

    Args:
        patterns: a mapping of ids to patterns: rules that match and ask for nothing. `RuleSet.load` and
            `RuleSet.from_rules` read rule files.
        dialect: the dialect of patterns given as text or dict.

    Raises:
        PatternError: if a pattern is refused; `diagnostics[…].source` is its id.

    >>> rules = RuleSet({"failed": 'content.result == "failed"', "any": "content exists or content is missing"})
    >>> rules.matching('{"content": {"result": "failed"}}')
    ['any', 'failed']
    >>> len(rules), "failed" in rules, list(rules)
    (2, True, ['any', 'failed'])
    """

    def __new__(
        cls, patterns: Mapping[str, _PatternLike], *, dialect: _Dialect = "reflexarc"
    ) -> RuleSet: ...
    @staticmethod
    def load(path: str | PathLike[str]) -> RuleSet:
        """Read and compile a folder of rule files, recursively, or one file.

        Raises:
            RuleError: with everything that is wrong with all the files.
        """
    @staticmethod
    def from_rules(rules: Mapping[str, str]) -> RuleSet:
        """Compile rule files given as a mapping of rule names to TOML text.

        Raises:
            RuleError: with everything that is wrong with all of them.

        >>> rules = RuleSet.from_rules({"failed": '''
        ... when = 'content.result == "failed"'
        ... then = 'notify("ops", `look at ${event.content.eniId}`)'
        ... '''})
        >>> rules.evaluate({"content": {"result": "failed", "eniId": "eni-1"}}).actions[0].text
        'look at eni-1'
        """
    @property
    def ids(self) -> list[str]:
        """The names of the rules, in order."""
    @property
    def warnings(self) -> list[Diagnostic]:
        """What was accepted but is probably not meant."""
    def matching(self, event: _EventLike) -> list[str]:
        """The ids of the rules that match the event, in order.

        Raises:
            EventError: if it is no event.
        """
    def matching_many(
        self, events: Iterable[_EventLike] | bytes | bytearray | memoryview | str | PathLike[str]
    ) -> list[list[str]]:
        """The ids of the matching rules of many events, order kept.

        `events` is an iterable of events, NDJSON as bytes, or the path of an NDJSON file; `str` is a path. Blank lines
        of NDJSON are no events. A file is read piece by piece, never as a whole. Text is matched on all cores without
        the interpreter's lock, and Ctrl-C interrupts it.

        Raises:
            EventError: at the first item that is no event; the message says which, lines from 1, items from 0.
            OSError: if the file cannot be read.

        >>> RuleSet({"a": "x == 1"}).matching_many(b'{"x": 1}\\n{"x": 2}\\n')
        [['a'], []]
        """
    def evaluate(
        self,
        event: _EventLike,
        *,
        state: State | None = None,
        now: datetime | None = None,
        strict: bool = False,
    ) -> Evaluation:
        """Everything that follows from an event: data, nothing is delivered.

        The same event, state and time always give the same evaluation.

        Args:
            event: the event.
            state: what the rules remember; nothing when absent. It is not changed: see `Evaluation.state`.
            now: the time, an aware datetime; the current time when absent.
            strict: raise if a reaction goes wrong instead of recording it in `Evaluation.failures`.

        Raises:
            EventError: if it is no event.
            ReactionError: if `strict` and a reaction went wrong.
            ValueError: if `now` has no time zone.
        """
    def explain(self, event: _EventLike, rule: str) -> Explanation:
        """Why a rule matches an event or does not.

        Raises:
            KeyError: if there is no such rule.
            EventError: if it is no event.
        """
    def test(self, filter: str = "") -> list[RuleTest]:
        """Run the `[[test]]`s of the rule files whose rule or test name holds `filter`."""
    def __len__(self, /) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def __contains__(self, id: object, /) -> bool: ...
    def __getitem__(self, id: str, /) -> Rule: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __copy__(self) -> RuleSet: ...
    def __deepcopy__(self, _memo: Any) -> RuleSet: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Evaluation:
    """Everything that follows from one event: data, nothing has happened yet."""

    @property
    def matched(self) -> list[str]:
        """The rules that matched and did not fail, in the order in which they reacted."""
    @property
    def actions(self) -> list[Action]:
        """What to deliver, in order."""
    @property
    def failures(self) -> list[Failure]:
        """Reactions that went wrong; their rules contribute no actions and no changes of state."""
    @property
    def log(self) -> list[str]:
        """The lines of `log`, in order."""
    @property
    def skipped(self) -> dict[str, str]:
        """Per rule that ended without actions on purpose, why."""
    @property
    def state(self) -> State:
        """What the rules remember afterwards; give it to the next evaluation."""

@final
class Action:
    """One thing to deliver to one target."""

    @property
    def kind(self) -> Literal["notify", "send"]:
        """A message for people, or a JSON document for machines."""
    @property
    def rule(self) -> str:
        """The rule that asked for it."""
    @property
    def hop(self) -> int:
        """How many `emit`s lie between the event and the one the rule saw."""
    @property
    def causes(self) -> list[str]:
        """The rules whose `emit`s led here, first to last."""
    @property
    def target(self) -> str:
        """The target's name."""
    @property
    def title(self) -> str | None:
        """One line, of a message."""
    @property
    def text(self) -> str | None:
        """The body, of a message."""
    @property
    def level(self) -> Literal["info", "warn", "critical"] | None:
        """How much a message weighs."""
    @property
    def at(self) -> list[str]:
        """Whom a message mentions."""
    @property
    def link(self) -> str | None:
        """Where a message says to read more."""
    @property
    def payload(self) -> Any:
        """The document, as Python values; `None` for a message."""
    def to_dict(self) -> dict[str, Any]:
        """The action as one dict: `rule`, `target`, and the fields of its kind."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Failure:
    """A reaction that went wrong."""

    @property
    def rule(self) -> str:
        """The rule's name."""
    @property
    def hop(self) -> int:
        """How many `emit`s lie between the event and the one the rule saw."""
    @property
    def message(self) -> str:
        """What went wrong, with line and column of the rule file where the script is to blame."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class State:
    """What rules remember from event to event; immutable.

    Args:
        entries: per rule a dict of keys and values, JSON values, that never expire.

    >>> state = State({"failed": {"count": 2}})
    >>> state.get("failed", "count")
    2
    """

    def __new__(cls, entries: Mapping[str, Mapping[str, Any]] | None = None) -> State: ...
    def get(self, rule: str, key: str, default: Any = None, *, now: datetime | None = None) -> Any:
        """What `rule` keeps under `key`, unless it has expired by `now` (the current time when absent)."""
    def to_dict(self, *, now: datetime | None = None) -> dict[str, dict[str, Any]]:
        """Everything that has not expired by `now`, per rule."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __copy__(self) -> State: ...
    def __deepcopy__(self, _memo: Any) -> State: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

def command(arguments: Sequence[str], /) -> int:
    """Run the command line `arguments` (the program's name first) and return its exit code."""

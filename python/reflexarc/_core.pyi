from asyncio import Future
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Any, Generic, Literal, NoReturn, TypeVar, final, overload

from typing_extensions import Self

from ._errors import EventError, ReactionError
from ._types import EventLike, PatternLike, Scalar

__version__: str
__all__ = [
    "Action",
    "Cancellation",
    "Deadline",
    "Diagnostic",
    "DueEvaluation",
    "EniNotification",
    "Evaluation",
    "EvaluationIterator",
    "Event",
    "Explanation",
    "Failure",
    "Match",
    "MatchFiring",
    "Pattern",
    "Receipt",
    "Rule",
    "RuleSet",
    "RuleTest",
    "State",
    "StateFile",
    "Targets",
    "_ArrowColumn",
    "_HandlerTable",
    "__version__",
    "_arrow_mask",
    "_arrow_matching",
    "command",
    "quote",
]

_Dialect = Literal["reflexarc", "aws", "alibaba"]
_Default = Callable[[Any], Any] | None
_Events = Iterable[EventLike] | bytes | bytearray | memoryview | str | PathLike[str]
_T = TypeVar("_T", covariant=True)

@final
class Diagnostic:
    """A diagnostic about a pattern, a rule file or an event: message, location, help and fix."""

    @property
    def code(self) -> str:
        """The stable code, such as "RA0101"."""
    @property
    def severity(self) -> Literal["error", "warning", "hint"]:
        """The severity."""
    @property
    def message(self) -> str:
        """What is wrong."""
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
        """Start and end in characters, half open: `text[start:end]` is the location."""
    @property
    def help(self) -> str | None:
        """How to fix it."""
    @property
    def fix(self) -> tuple[int, int, str] | None:
        """An edit that fixes it: start and end in characters, and the replacement."""
    def to_dict(self) -> dict[str, Any]:
        """The diagnostic as values of JSON: `code`, `severity`, `message`, `source`, `line`,
        `column`, `span`, `help`, and `fix` with `span` and `replacement`.

        >>> from json import dumps
        >>> dumps(Pattern("content.eniID exists").warnings[0].to_dict()["fix"])
        '{"span": [8, 13], "replacement": "eniId"}'
        """
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __copy__(self) -> Diagnostic: ...
    def __deepcopy__(self, _memo: Any) -> Diagnostic: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Pattern:
    """A compiled event pattern, immutable. Patterns are joined by `&` and `|`; `~` negates one.
    `field` builds patterns without text.

    Args:
        pattern: an expression, a pattern in JSON notation as text or dict, or another pattern.
        dialect: the dialect of the pattern; "aws" and "alibaba" accept what those services
            accept.

    Raises:
        PatternError: if the pattern is invalid, with all diagnostics.
        ValueError: if the dialect is unknown.

    >>> pattern = Pattern({"content": {"result": ["failed"]}})
    >>> pattern
    Pattern('content.result == "failed"')
    >>> pattern == Pattern('content.result == "failed"')
    True
    """

    def __new__(cls, pattern: PatternLike, *, dialect: _Dialect = "reflexarc") -> Pattern: ...
    @property
    def source(self) -> str:
        """The text that the pattern was compiled from."""
    @property
    def dialect(self) -> _Dialect:
        """The dialect of the pattern."""
    @property
    def warnings(self) -> list[Diagnostic]:
        """Diagnostics about a valid pattern that is probably not intended."""
    def matches(self, event: EventLike, *, default: _Default = None) -> bool:
        """Whether the event matches the pattern. Envelopes are not converted.

        Only the values of a dict at the paths of the pattern are read and checked. A key that is
        not a string is an error in dicts in which a path finds no key.

        Args:
            event: the event.
            default: a function that replaces values without a JSON form, as for `Event`.

        Raises:
            EventError: if it is not an event; the message has the position.
            UndecidedError: if it cannot be compared with the pattern.

        >>> Pattern("content.count > 2").matches({"content": {"count": 3}})
        True
        """
    def explain(self, event: EventLike, *, default: _Default = None) -> Explanation:
        """Explain why the event matches the pattern or does not.

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
        """Diagnostics about the pattern in a dialect: what it would not accept or would match
        differently, and what is probably not intended.
        """
    def export(self, dialect: _Dialect) -> str:
        """The pattern in JSON notation, in the dialect of another service.

        Raises:
            PatternError: if the dialect cannot express the pattern.

        >>> Pattern('a == "x"').export("aws")
        '{"a": ["x"]}'
        """
    def __and__(self, other: Pattern, /) -> Pattern: ...
    def __rand__(self, other: Pattern, /) -> Pattern: ...
    def __or__(self, other: Pattern, /) -> Pattern: ...
    def __ror__(self, other: Pattern, /) -> Pattern: ...
    def __invert__(self, /) -> Pattern: ...
    def __bool__(self, /) -> NoReturn: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __copy__(self) -> Pattern: ...
    def __deepcopy__(self, _memo: Any) -> Pattern: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Explanation:
    """Why a pattern matches an event or does not, part by part; true if it matches. `str()`
    shows only the parts that fail.
    """

    @property
    def matched(self) -> bool:
        """Whether the event matches the pattern; false too if that is undecided."""
    @property
    def undecided(self) -> bool:
        """Whether it is undecided if the event matches, because there are too many combinations of
        the elements of its arrays.
        """
    @property
    def tree(self) -> dict[str, Any]:
        """Every part of the pattern with its result, the values found and the nearest miss."""
    @property
    def lookups(self) -> dict[str, dict[str, Any] | None]:
        """The row that each lookup of the rule finds for the event, by name; `None` if there is
        none. Empty for a pattern, and for a rule without lookups.
        """
    @property
    def hints(self) -> list[str]:
        """Likely mistakes in the pattern, each once."""
    def render(self, *, all: bool = False) -> str:
        """The explanation as text: only the parts that fail, or all parts."""
    def __bool__(self, /) -> bool: ...
    def __copy__(self) -> Explanation: ...
    def __deepcopy__(self, _memo: Any) -> Explanation: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Event:
    """An event: a JSON object of at most 1 MiB and 128 levels, immutable.

    Values inside a dict that have a JSON form are converted: dataclasses, named tuples, attrs
    classes and pydantic models become objects of their fields (of a pydantic model under their
    aliases), numpy scalars and arrays numbers and arrays, enums their values; dates and times,
    UUIDs, IP addresses and networks and paths their text. Other values, such as sets, bytes and
    `NaT`, are errors.

    Args:
        event: the event, as JSON text, a mapping, or an object with fields.
        default: a function that gets each value of another type and returns one with a JSON form,
            as for `json.dumps`.

    Raises:
        EventError: if it is not an event; the message has the byte offset, or the path to a value
            in a dict.

    `event[path]` is the value at a path, keys joined by dots. In an array of objects it is a list
    of what each of them has there.

    >>> event = Event('{"content": {"eniId": "eni-1"}, "nics": [{"id": 1}, {"id": 2}]}')
    >>> event["content.eniId"], event["content"], event["nics.id"]
    ('eni-1', {'eniId': 'eni-1'}, [1, 2])
    >>> "content.eniId" in event, "content.error" in event
    (True, False)
    """

    def __new__(cls, event: EventLike, *, default: _Default = None) -> Event: ...
    @staticmethod
    def read_all(document: EventLike, *, default: _Default = None) -> list[Event]:
        """The events that a document contains, in order: a notification (MNS, SNS, SQS), a list
        (event history, ActionTrail, CloudTrail), or else the event itself. Bytes may be a form of
        Cloud Monitor.

        Rules take a document that contains one event as that event; of several, `read_all` makes
        a list.

        Raises:
            EventError: if the document or an event in it is invalid.

        >>> Event.read_all('{"Records": [{"a": 1}, {"a": 2}]}')
        [Event('{"a": 1}'), Event('{"a": 2}')]
        """
    @property
    def envelope(self) -> str:
        """The envelope: "native ECS", "CloudEvents", "Cloud Monitor webhook", "Cloud Monitor rule",
        "Cloud Monitor history", "AWS EventBridge" or "other JSON".
        """
    @property
    def time(self) -> datetime | None:
        """The time that the event carries, in UTC: `eventTime` of the native form, else the `time`
        of CloudEvents and AWS; `None` without a readable one.

        >>> Event({"eventTime": "20190409T121826.922+0800"}).time.isoformat()
        '2019-04-09T04:18:26.922000+00:00'
        """
    @property
    def eni(self) -> EniNotification | None:
        """The ENI operation notification in any envelope; `None` for other events."""
    def normalized(self) -> Event:
        """The event in the native ECS form, for which rules are written; events in unknown
        envelopes are returned unchanged.
        """
    def to_cloudevent(self) -> Event:
        """The event as CloudEvents 1.0."""
    def check(self) -> list[Diagnostic]:
        """Diagnostics about the event: unknown names, contradictions, malformed or masked
        values.
        """
    def to_dict(self) -> dict[str, Any]:
        """The event as Python values. The last one of duplicate keys counts; a decimal that a float
        would round is a `decimal.Decimal`.
        """
    def to_json(self) -> str:
        """The JSON text that the event was parsed from."""
    def __getitem__(self, path: str, /) -> Any: ...
    def __contains__(self, path: str, /) -> bool: ...
    def get(self, path: str, default: Any = None) -> Any:
        """The value at a path as Python has it, or `default` if there is none; `event[path]` raises
        a `KeyError` then.

        The path is that of the event as it is: its envelope is not converted.

        >>> event = Event({"content": {"eniId": "eni-1"}})
        >>> event.get("content.eniId"), event.get("content.error"), event.get("level", "INFO")
        ('eni-1', None, 'INFO')
        """
    def __bytes__(self) -> bytes: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __copy__(self) -> Event: ...
    def __deepcopy__(self, _memo: Any) -> Event: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class EniNotification:
    """The notification that an ENI operation has completed. An attribute is `None` if its value is
    missing, masked or malformed; lists omit such elements.
    """

    @property
    def id(self) -> str | None:
        """The event id."""
    @property
    def resource_id(self) -> str | None:
        """The ARN: `acs:ecs:<region>:<account>:eni/<id>`."""
    @property
    def level(self) -> Literal["INFO", "WARN", "CRITICAL"] | None:
        """The level: INFO for success, WARN for failed."""
    @property
    def user_id(self) -> str | None:
        """The id of the account that receives the event."""
    @property
    def event_time(self) -> str | None:
        """The time of completion, as RFC 3339 in UTC."""
    @property
    def region_id(self) -> str | None:
        """The region id."""
    @property
    def eni_id(self) -> str | None:
        """The ENI id."""
    @property
    def operation(self) -> str | None:
        """The operation: `CreateNetworkInterface`, `AttachNetworkInterface`,
        `DetachNetworkInterface` or `DeleteNetworkInterface`.
        """
    @property
    def eni_status(self) -> str | None:
        """The status of the ENI after the operation: `Available`, `InUse`, `Detaching`, `Deleting`,
        `Deleted`, `CreateFailed` …
        """
    @property
    def result(self) -> Literal["success", "failed"] | None:
        """The result of the operation."""
    @property
    def request_id(self) -> str | None:
        """The id of the API request that started the operation."""
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
    def __copy__(self) -> EniNotification: ...
    def __deepcopy__(self, _memo: Any) -> EniNotification: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Rule:
    """A rule of a rule set."""

    @property
    def id(self) -> str:
        """The name of the rule: the stem of its file, or its key in the mapping."""
    @property
    def description(self) -> str:
        """The description; empty if there is none."""
    @property
    def level(self) -> Literal["info", "warn", "critical"]:
        """The severity level of its actions."""
    @property
    def enabled(self) -> bool:
        """Whether it is evaluated; a disabled rule matches no event."""
    @property
    def labels(self) -> dict[str, str]:
        """The labels, such as `{"team": "network"}`."""
    @property
    def file(self) -> str:
        """The path of its file; empty for a rule made from a pattern."""
    @property
    def pattern(self) -> Pattern:
        """The pattern that selects its events."""
    @property
    def window(self) -> str | None:
        """What its time window waits for, in words; `None` without one."""
    @property
    def calls(self) -> list[tuple[str, str]]:
        """The operations that its scripts call, each as target and operation."""
    def __copy__(self) -> Rule: ...
    def __deepcopy__(self, _memo: Any) -> Rule: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class RuleTest:
    """The result of a `[[test]]` of a rule file."""

    @property
    def rule(self) -> str:
        """The name of the rule."""
    @property
    def file(self) -> str:
        """The path of the rule file."""
    @property
    def name(self) -> str:
        """The name of the test."""
    @property
    def line(self) -> int:
        """The line on which the test begins, from 1."""
    @property
    def passed(self) -> bool:
        """Whether there are no mismatches."""
    @property
    def mismatches(self) -> list[str]:
        """Differences between the expected and the actual results, and why the rule does not match
        an event that should match.
        """
    def __copy__(self) -> RuleTest: ...
    def __deepcopy__(self, _memo: Any) -> RuleTest: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class RuleSet:
    """Rules compiled together; immutable, can be shared between threads.

    Events of Alibaba Cloud in known envelopes are converted to the native ECS form, with canonical
    values, before they are matched; a notification that contains one event is that event.

    Args:
        patterns: a mapping of ids to patterns, for rules without reactions. `RuleSet.load` and
            `RuleSet.from_rules` read rule files.
        dialect: the dialect of patterns in text or dict form.

    Raises:
        PatternError: if a pattern is invalid; `diagnostics[…].source` is its id.

    >>> rules = RuleSet({"failed": 'content.result == "failed"', "any": "content.result exists"})
    >>> rules.matching('{"content": {"result": "failed"}}')
    ['any', 'failed']
    >>> len(rules), "failed" in rules, list(rules)
    (2, True, ['any', 'failed'])
    """

    def __new__(
        cls, patterns: Mapping[str, PatternLike], *, dialect: _Dialect = "reflexarc"
    ) -> RuleSet: ...
    @staticmethod
    def load(path: str | PathLike[str]) -> RuleSet:
        """Read and compile a folder of rule files, recursively, or one file, with the lookup tables
        in the folder `tables` beside them.

        Raises:
            FileNotFoundError: if the path does not exist.
            RuleError: if a file is invalid, with the diagnostics of all files.
        """
    @staticmethod
    def from_rules(
        rules: Mapping[str, str],
        *,
        tables: Mapping[str, str | Iterable[Mapping[str, Any]]] | None = None,
    ) -> RuleSet:
        """Compile rule files from a mapping of rule names to TOML text.

        Args:
            rules: the rules.
            tables: the lookup tables by name, each as CSV text with a header, or as rows: an
                iterable of mappings of column names to values.

        Raises:
            RuleError: if a rule or table is invalid, with the diagnostics of all of them.

        >>> rules = RuleSet.from_rules({"failed": '''
        ... when = 'content.result == "failed"'
        ... then = 'notify("ops", `look at ${event.content.eniId}`)'
        ... '''})
        >>> rules.evaluate({"content": {"result": "failed", "eniId": "eni-1"}}).actions[0].text
        'look at eni-1'

        >>> attach = '''
        ... when = "ip exists"
        ... lookup = { vswitch = { table = "vswitches", key = "ip" } }
        ... then = 'notify("ops", `attached in ${lookup.vswitch?.id}`)'
        ... '''
        >>> tables = {"vswitches": [{"cidr": "10.0.0.0/8", "id": "vsw-1"}]}
        >>> rules = RuleSet.from_rules({"attach": attach}, tables=tables)
        >>> rules.evaluate({"ip": "10.1.2.3"}).actions[0].text
        'attached in vsw-1'
        """
    @property
    def content_hash(self) -> str:
        """The SHA-256, in hexadecimal, of the names and texts of the rules and lookup tables: sets
        with the same hash evaluate every event alike.
        """
    @property
    def ids(self) -> list[str]:
        """The names of the rules, in order."""
    @property
    def warnings(self) -> list[Diagnostic]:
        """Diagnostics about valid rules that are probably not as intended."""
    def matching(self, event: EventLike, *, default: _Default = None) -> list[str]:
        """The ids of the rules that match the event, in order.

        Args:
            event: the event.
            default: a function that replaces values without a JSON form, as for `Event`.

        Raises:
            EventError: if it is not an event.
            UndecidedError: if it cannot be compared with some rules, which the message names.
        """
    @overload
    def matching_many(
        self,
        events: _Events,
        *,
        default: _Default = None,
        on_error: Literal["raise", "skip"] = "raise",
    ) -> list[list[str]]:
        """The ids of the matching rules for each of many events, in order.

        `events` is an iterable of events, NDJSON as bytes, or the path of an NDJSON file; a `str`
        is a path. Blank lines of NDJSON are ignored. A file is read in chunks. Text is matched on
        all cores without the interpreter lock, and Ctrl-C interrupts it.

        Args:
            events: the events.
            default: a function of a value without a JSON form that returns another one.
            on_error: for an item that is not an event, or cannot be compared with some rules:
                "raise" its error, "collect" it in place of the ids, or "skip" the item, so that
                the result is shorter. How many were skipped is logged as a warning.

        Raises:
            EventError: for the first item that is not an event; the message has the number of the
                line (from 1) or item (from 0).
            UndecidedError: for the first event that cannot be compared with some rules.
            OSError: if the file cannot be read.

        >>> rules = RuleSet({"a": "x == 1"})
        >>> rules.matching_many(b'{"x": 1}\\n{"x": 2}\\n')
        [['a'], []]
        >>> matched = rules.matching_many(b'{"x": 1}\\n{"x": \\n', on_error="collect")
        >>> matched[0], isinstance(matched[1], EventError)
        (['a'], True)
        """
    @overload
    def matching_many(
        self, events: _Events, *, default: _Default = None, on_error: Literal["collect"]
    ) -> list[list[str] | EventError]: ...
    def evaluate(
        self,
        event: EventLike,
        *,
        state: State | None = None,
        now: datetime | None = None,
        advance: bool = True,
        strict: bool = False,
        default: _Default = None,
    ) -> Evaluation:
        """Evaluate an event: match the rules and run their reactions. Nothing is delivered.

        The deadlines of rules with a time window up to `now` fire first, each at its own time, as
        if `fire_due` had been called when they came.

        The same event, state and time always give the same evaluation.

        Args:
            event: the event.
            state: the state before the event, by default empty. It is not changed; the state after
                the event is `Evaluation.state`.
            now: the time, an aware datetime; by default the current time.
            advance: fire the deadlines up to `now` first. If false, they are left for
                `RuleSet.fire_due`. For rules without a time window it makes no difference.
            strict: raise an exception if a reaction fails, instead of adding it to
                `Evaluation.failures`.
            default: a function that replaces values without a JSON form, as for `Event`.

        Raises:
            EventError: if it is not an event.
            ReactionError: if `strict` is true and a reaction failed.
            ValueError: if `now` has no time zone.
        """
    @overload
    def evaluate_many(
        self,
        events: _Events,
        *,
        state: State | None = None,
        clock: Literal["now", "event"] = "now",
        now: datetime | None = None,
        advance: bool = True,
        strict: bool = False,
        default: _Default = None,
        on_error: Literal["raise", "skip"] = "raise",
    ) -> EvaluationIterator[Evaluation]:
        """Evaluate many events in order, each with the state that the one before it left. Nothing
        is delivered. The result is an iterator; its `state` is that after the last evaluation
        which it returned.

        Events are read in batches, of up to 512 events or 512 KiB of text, without the interpreter
        lock while they are evaluated. Where scripts take long, reactions of a batch run on all
        cores; those that read state which an earlier event changed run again in their turn, so that
        the results are those of `evaluate` for one event after the other. For a live source, whose
        events must not wait for others, use `evaluate` or `Automation`.

        Args:
            events: an iterable of events, NDJSON as bytes, or the path of an NDJSON file; a `str`
                is a path. Blank lines of NDJSON are ignored.
            state: the state before the first event, by default empty.
            clock: the time of each evaluation: "now", or "event" for the event's own time, as
                `reflexarc run` does it. An event without a time then has that of the first event
                with one.
            now: with the clock "now", the time of all evaluations, an aware datetime; by default
                the current time when a batch begins.
            advance: fire the deadlines up to the time of an event before it.
            strict: a failed reaction is an error of its event, which then changes no state, instead
                of being in `Evaluation.failures`.
            default: a function of a value without a JSON form that returns another one.
            on_error: for an item that is not an event: "raise" its error, after which the iterator
                ends; "collect" it, so that the iterator returns the exception in place of an
                evaluation; or "skip" the item. How many were skipped is logged as a warning.

        Raises:
            ValueError: if an argument is invalid.
            OSError: if the file cannot be read.
            EventError: while iterating, for an item that is not an event; the message has the
                number of the line (from 1) or item (from 0).
            ReactionError: while iterating, if `strict` is true and a reaction failed.

        >>> rules = RuleSet.from_rules({"again": '''
        ... when = 'result == "failed"'
        ... then = 'if add("n", 1) == 2 { notify("ops", `${event.eni} failed again`) }'
        ... '''})
        >>> events = [{"result": "failed", "eni": "eni-1"}, {"eni": "eni-2"}, {"result": "failed"}]
        >>> evaluations = rules.evaluate_many(events)
        >>> [len(evaluation.actions) for evaluation in evaluations]
        [0, 0, 1]
        >>> evaluations.state.get("again", "n")
        2
        """
    @overload
    def evaluate_many(
        self,
        events: _Events,
        *,
        state: State | None = None,
        clock: Literal["now", "event"] = "now",
        now: datetime | None = None,
        advance: bool = True,
        strict: bool = False,
        default: _Default = None,
        on_error: Literal["collect"],
    ) -> EvaluationIterator[Evaluation | EventError | ReactionError]: ...
    def fire_due(
        self, state: State, now: datetime | None = None, *, strict: bool = False
    ) -> Evaluation:
        """Fire the deadlines of rules with a time window up to `now`, without an event: the
        earliest first, each at its own time. Nothing is delivered.

        Call it when the first deadline of `State.due()` has come. It also begins what rules with
        `absent_for` wait for before any event.

        Args:
            state: the state before. It is not changed; the state after is `Evaluation.state`.
            now: the time, an aware datetime; by default the current time.
            strict: raise an exception if a reaction fails, instead of adding it to
                `Evaluation.failures`.

        Raises:
            ReactionError: if `strict` is true and a reaction failed.
            ValueError: if `now` has no time zone.

        A detach that does not end within half an hour; `grace` gives its end ten seconds more:

        >>> rules = RuleSet.from_rules({"stuck": '''
        ... when = 'status == "Detaching"'
        ... by = "eniId"
        ... not_followed_by = { when = 'status == "Available"', within = "30m" }
        ... then = 'notify("network-team", `${key}: ${(now - opened) / 60000} minutes`)'
        ... '''})
        >>> from datetime import datetime, timedelta, timezone
        >>> now = datetime(2026, 11, 25, 8, tzinfo=timezone.utc)
        >>> state = rules.evaluate({"status": "Detaching", "eniId": "eni-1"}, now=now).state
        >>> state.pending("stuck")
        ['eni-1']
        >>> evaluation = rules.fire_due(state, now + timedelta(hours=1))
        >>> [fired.at.isoformat() for fired in evaluation.fired]
        ['2026-11-25T08:30:10+00:00']
        >>> evaluation.actions[0].text
        'eni-1: 30 minutes'
        >>> evaluation.state.pending("stuck")
        []
        """
    def answer(
        self,
        call: Action,
        *,
        body: Any = None,
        ok: bool | None = None,
        status: int | None = None,
        code: str | None = None,
        message: str | None = None,
        state: State | None = None,
        now: datetime | None = None,
        advance: bool = True,
        strict: bool = False,
    ) -> Evaluation:
        """Process the answer to a call, an action of the kind "call": run the script `answered` of
        the rule that called, and the rules that match what it emits. Nothing is called or
        delivered.

        The deadlines up to `now` fire first, as for `evaluate`. If the rule is gone or disabled, or
        has no such script, the answer has no effects.

        Args:
            call: the action. It remembers the event and key that it came of, also when it was
                pickled meanwhile.
            body: the document of the response: a value with a JSON form, JSON text as bytes, or a
                text. A response of an Alibaba Cloud SDK, or its body, is taken as it is, with its
                status.
            ok: whether the operation succeeded; by default, whether there is neither a `code` nor
                a `message`, and no status of an error.
            status: the HTTP status; by default 200 if the operation succeeded, else none.
            code: the error code of the API, by default the status; or one of our own, such as
                "OutcomeUnknown" after a timeout and "Cancelled" for a call that the rule cancelled.
            message: the error message.
            state: the state before, by default empty. It is not changed; the state after is
                `Evaluation.state`.
            now: the time, an aware datetime; by default the current time.
            advance: fire the deadlines up to `now` first.
            strict: raise an exception if a reaction fails, instead of adding it to
                `Evaluation.failures`.

        Raises:
            ValueError: if the action is not a call, or the answer contradicts itself: it is ok and
                has a code, or is not ok and has neither a code nor a status.
            EventError: if the body has no JSON form.
            ReactionError: if `strict` is true and a reaction failed.

        >>> rules = RuleSet.from_rules({"start": '''
        ... when = 'status == "Stopped"'
        ... then = 'call("ecs", "StartInstance", #{ InstanceId: event.id })'
        ... answered = 'if !answer.ok { notify("ops", `${event.id}: ${answer.code}`) }'
        ... '''})
        >>> evaluation = rules.evaluate({"status": "Stopped", "id": "i-1"})
        >>> call = evaluation.actions[0]
        >>> call.kind, call.operation, call.parameters
        ('call', 'StartInstance', {'InstanceId': 'i-1'})
        >>> rules.answer(call, code="Throttling", state=evaluation.state).actions[0].text
        'i-1: Throttling'
        >>> rules.answer(call, body={"RequestId": "8B2A"}, state=evaluation.state).actions
        []
        """
    def close_other_matches(self, state: State) -> tuple[State, list[tuple[str, Any]]]:
        """Close the matches in a state that these rules cannot continue, because a rule or its
        time window was removed or changed. Returns the state after that, and rule and key of each.

        For programs that load rules again. Without it, such a match ends in silence at its
        deadline, and counts against `max_pending` until then. The other matches go on.

        >>> text = '''
        ... when = 'status == "Detaching"'
        ... by = "eniId"
        ... not_followed_by = { when = 'status == "Available"', within = "30m" }
        ... notify = ["network-team"]
        ... '''
        >>> before = RuleSet.from_rules({"stuck": text})
        >>> state = before.evaluate({"status": "Detaching", "eniId": "eni-1"}).state
        >>> after = RuleSet.from_rules({"stuck": text.replace("30m", "1h")})
        >>> state, closed = after.close_other_matches(state)
        >>> closed, state.pending("stuck")
        ([('stuck', 'eni-1')], [])
        """
    def explain(self, event: EventLike, rule: str, *, default: _Default = None) -> Explanation:
        """Explain why a rule matches an event or does not.

        Raises:
            KeyError: if the rule is unknown.
            EventError: if it is not an event.
        """
    def test(self, filter: str = "") -> list[RuleTest]:
        """Run the tests in the rule files whose name or rule name contains `filter`."""
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
    """The result of evaluating an event, or of firing deadlines: data; nothing is delivered."""

    @property
    def matched(self) -> list[str]:
        """The rules that matched the event and did not fail, in the order of evaluation; one with a
        time window also where the event only continues or closes a match. Of an answer, the rule
        that called.
        """
    @property
    def actions(self) -> list[Action]:
        """The actions to deliver, in order: those of deadlines, then those of the event. One with
        `after` is to be delivered so much later, unless a later evaluation cancels or replaces it;
        without what this one cancels or replaces itself.
        """
    @property
    def cancelled(self) -> list[Cancellation]:
        """What scripts gave to `cancel`, in order: what waits under these names is not to be
        delivered. To be applied before `actions` are added to what waits.
        """
    @property
    def failures(self) -> list[Failure]:
        """Failed reactions, in order, which contribute neither actions nor changes of state."""
    @property
    def emitted(self) -> list[Event]:
        """The events that scripts gave to `emit`, in order. The rules that match them have reacted
        to them in this evaluation.
        """
    @property
    def log(self) -> list[str]:
        """The lines that scripts logged, in order."""
    @property
    def firings(self) -> list[MatchFiring]:
        """The matches of time windows that fired or were resolved, in order: those of deadlines,
        then those of the event.
        """
    @property
    def fired(self) -> list[DueEvaluation]:
        """The deadlines up to `now`, in their order, each with what rules did because of it."""
    @property
    def skipped(self) -> dict[str, str]:
        """The reason for each rule that was skipped or suppressed at the event."""
    @property
    def notes(self) -> dict[str, list[str]]:
        """What did not stop a rule at the event but may not be as intended, such as a `once` whose
        key the event lacks, and what the event is to the time window of a rule; a list for each
        rule that has any.
        """
    @property
    def state(self) -> State:
        """The state after the event; pass it to the next evaluation."""
    @property
    def _received(self) -> Event | None: ...
    @property
    def _contents(self) -> int: ...
    @property
    def pending(self) -> dict[str, list[Any]]:
        """The keys that wait for something after the event, by rule: those of `State.pending`."""
    @property
    def event(self) -> Event | None:
        """The event in the native form, which rules see; of an answer, that of the call. `None` if
        only deadlines fired.
        """
    @overload
    def explain(self, rule: str) -> Explanation:
        """Explain why rules match the event or do not: the rule with this name, or all rules, by
        name.

        A rule that does not match the event but reacted to one that was emitted, or to the passing
        of a deadline, is explained by the event that it reacted to.

        Raises:
            KeyError: if the rule is unknown.
            ValueError: if only deadlines fired, and none of the rule, or the evaluation was
                pickled, which leaves its rules out.

        >>> rules = RuleSet({"failed": 'result == "failed"', "any": "result exists"})
        >>> evaluation = rules.evaluate({"result": "Failed"})
        >>> {rule: bool(explanation) for rule, explanation in evaluation.explain().items()}
        {'any': True, 'failed': False}
        >>> print(evaluation.explain("failed"), end="")
        ✗ result == "failed"
            result is "Failed"
            hint: the value differs only in case; add `ignoring case`
        """
    @overload
    def explain(self, rule: None = None) -> dict[str, Explanation]: ...
    def __copy__(self) -> Evaluation: ...
    def __deepcopy__(self, _memo: Any) -> Evaluation: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class EvaluationIterator(Generic[_T]):
    """The evaluations of many events, in order: what `RuleSet.evaluate_many` returns.

    Evaluations are made in batches, when the first of a batch is asked for.
    """

    @property
    def state(self) -> State:
        """The state after the last evaluation that was returned; at first the one that
        `RuleSet.evaluate_many` got.
        """
    def __iter__(self) -> Self: ...
    def __next__(self) -> _T: ...
    def __class_getitem__(cls, key: Any) -> Any: ...

@final
class Deadline:
    """A time at which a rule with a time window reacts, unless an event comes that changes it.

    It can be unpacked: `at, rule, key = deadline`.
    """

    @property
    def at(self) -> datetime:
        """The time, in UTC."""
    @property
    def rule(self) -> str:
        """The name of the rule."""
    @property
    def key(self) -> Any:
        """The key: the value at the path of `by`, for several paths a list, "" without `by`."""
    def __iter__(self) -> Iterator[Any]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __copy__(self) -> Deadline: ...
    def __deepcopy__(self, _memo: Any) -> Deadline: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Match:
    """Why a handler runs."""

    def __new__(
        cls,
        at: datetime,
        evaluation: Evaluation,
        pattern: Pattern,
        rule: str | None = None,
        firing: MatchFiring | None = None,
        item: Any = None,
    ) -> Self: ...
    @property
    def at(self) -> datetime:
        """The time of the evaluation: now, or of a deadline its own time."""
    @property
    def evaluation(self) -> Evaluation:
        """The evaluation of the event or deadline, whose actions are not delivered yet."""
    @property
    def pattern(self) -> Pattern:
        """The pattern that the event matches: that of the rule, or of the handler."""
    @property
    def rule(self) -> str | None:
        """The rule that reacted; `None` for a handler of a pattern."""
    @property
    def firing(self) -> MatchFiring | None:
        """The match of the rule's time window; `None` without one."""
    @property
    def item(self) -> Any:
        """What the source yielded: the `Message`, text or dict; `None` where only time has
        passed.
        """
    @property
    def actions(self) -> list[Action]:
        """The actions of the rule; none for a handler of a pattern."""
    def __copy__(self) -> Match: ...
    def __deepcopy__(self, _memo: Any) -> Match: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class MatchFiring:
    """The match of a time window that made a rule react."""

    @property
    def rule(self) -> str:
        """The name of the rule."""
    @property
    def reason(self) -> Literal["fired", "resolved"]:
        """Why it reacted: "fired" if the match is complete or its time has passed, "resolved" if
        what it had reported is over.
        """
    @property
    def key(self) -> Any:
        """The key: the value at the path of `by`, for several paths a list, "" without `by`."""
    @property
    def opened(self) -> datetime:
        """The time of the opening event."""
    @property
    def deadline(self) -> datetime | None:
        """The end of the time that was waited; `None` where an event completed the match."""
    @property
    def count(self) -> int:
        """The number of events of the match."""
    @property
    def late(self) -> bool:
        """Whether one of its events came later than `grace` allows."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __copy__(self) -> MatchFiring: ...
    def __deepcopy__(self, _memo: Any) -> MatchFiring: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class DueEvaluation:
    """What rules did because a deadline has passed."""

    @property
    def at(self) -> datetime:
        """The deadline, in UTC, and the time at which rules saw it."""
    @property
    def rule(self) -> str:
        """The name of the rule that the deadline belongs to."""
    @property
    def key(self) -> Any:
        """The key: the value at the path of `by`, for several paths a list, "" without `by`."""
    @property
    def actions(self) -> list[Action]:
        """The actions to deliver, in order; one with `after` so much later than `at`."""
    @property
    def cancelled(self) -> list[Cancellation]:
        """What scripts gave to `cancel`, in order, to be applied before `actions` are added to what
        waits.
        """
    @property
    def firings(self) -> list[MatchFiring]:
        """The matches that fired or were resolved, in order: that of the deadline, then those of
        rules that matched what it emitted.
        """
    @property
    def failures(self) -> list[Failure]:
        """Failed reactions. One that fails at its deadline runs once more."""
    @property
    def emitted(self) -> list[Event]:
        """The events that scripts gave to `emit`, in order."""
    @property
    def log(self) -> list[str]:
        """The lines that scripts logged, in order."""
    @property
    def skipped(self) -> dict[str, str]:
        """The reason for each rule that was skipped or suppressed."""
    @property
    def notes(self) -> dict[str, list[str]]:
        """What did not stop a rule but may not be as intended; a list for each rule with any."""
    def __copy__(self) -> DueEvaluation: ...
    def __deepcopy__(self, _memo: Any) -> DueEvaluation: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Action:
    """An action: something to deliver to a target."""

    @staticmethod
    def notify(
        target: str,
        text: str,
        *,
        title: str = "",
        level: Literal["info", "warn", "critical"] = "info",
        at: Sequence[str] = ...,
        link: str | None = None,
        after: timedelta | None = None,
        key: str | None = None,
        rule: str = "handler",
    ) -> Action:
        """A message to people, for a handler to return.

        Args:
            target: the name of the target.
            text: the text.
            title: the title, one line.
            level: the severity level.
            at: the people to mention.
            link: a link to further information.
            after: how much later to deliver it.
            key: a name; another action with it, of the same `rule`, takes the place of this one
                while it waits.
            rule: the name of a rule to show as the one that returned it.

        >>> Action.notify("ops", "look at eni-1", level="critical").text
        'look at eni-1'
        """
    @staticmethod
    def send(
        target: str,
        payload: Any,
        *,
        after: timedelta | None = None,
        key: str | None = None,
        rule: str = "handler",
    ) -> Action:
        """A JSON document to a machine, for a handler to return.

        Args:
            target: the name of the target.
            payload: the document, a value with a JSON form.
            after, key, rule: as for `notify`.

        Raises:
            EventError: if the document has no JSON form; the message has the path.

        >>> Action.send("inventory", {"eni": "eni-1"}).payload
        {'eni': 'eni-1'}
        """
    @property
    def kind(self) -> Literal["notify", "send", "call"]:
        """ "notify" for a message to people, "send" for a JSON document, "call" for a call of an
        API.
        """
    @property
    def id(self) -> str:
        """The id under which it is delivered, by which receivers recognise copies: the same each
        time an event with an id is evaluated, and after pickling.
        """
    @property
    def rule(self) -> str:
        """The rule that returned the action."""
    @property
    def hop(self) -> int:
        """The number of `emit` calls and answers that led from the event to it."""
    @property
    def causes(self) -> list[str]:
        """The rules whose `emit` calls led to it, first to last."""
    @property
    def labels(self) -> dict[str, str]:
        """The labels of the rule."""
    @property
    def firing(self) -> MatchFiring | None:
        """The match of a time window that made the rule react; `None` for a rule without one."""
    @property
    def target(self) -> str:
        """The name of the target."""
    @property
    def title(self) -> str | None:
        """The title of a message; `None` for others."""
    @property
    def text(self) -> str | None:
        """The text of a message; `None` for others."""
    @property
    def level(self) -> Literal["info", "warn", "critical"] | None:
        """The severity level of a message; `None` for others."""
    @property
    def at(self) -> list[str]:
        """The people that a message mentions."""
    @property
    def link(self) -> str | None:
        """The link of a message to further information."""
    @property
    def payload(self) -> Any:
        """The document as Python values; `None` for others."""
    @property
    def operation(self) -> str | None:
        """The operation of a call, as its target names it; `None` for others."""
    @property
    def parameters(self) -> dict[str, Any] | None:
        """The parameters of a call as a dict; `None` for others."""
    @property
    def after(self) -> timedelta | None:
        """How much later the action is to be delivered; `None` for at once."""
    @property
    def key(self) -> str | None:
        """The name under which the rule cancels and replaces the action while it waits; `None` for
        none.
        """
    @property
    def scope(self) -> Any:
        """The key of the event or match, to which `key` belongs: the value at the path of the
        rule's `by`, for several paths a list; `None` without one.
        """
    def to_dict(self) -> dict[str, Any]:
        """The action as a dict: `rule`, `labels` unless there are none, `target`, the fields of its
        kind, and `after` (as text) and `key` if it has them.
        """
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __copy__(self) -> Action: ...
    def __deepcopy__(self, _memo: Any) -> Action: ...
    @staticmethod
    def _rebuild(text: str) -> Action: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Cancellation:
    """What a script gave to `cancel`: a name, under which actions wait for their time."""

    @property
    def rule(self) -> str:
        """The rule whose script called `cancel`."""
    @property
    def key(self) -> str:
        """The name: the `key` of actions."""
    @property
    def scope(self) -> Any:
        """The key of the event or match, to which the name belongs: the value at the path of the
        rule's `by`, for several paths a list; `None` without one.
        """
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __copy__(self) -> Cancellation: ...
    def __deepcopy__(self, _memo: Any) -> Cancellation: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Failure:
    """A failed reaction."""

    @property
    def rule(self) -> str:
        """The name of the rule."""
    @property
    def hop(self) -> int:
        """The number of `emit` calls between the event and the derived event that the rule
        matched.
        """
    @property
    def message(self) -> str:
        """What failed, with line and column of the rule file if it is the script."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __copy__(self) -> Failure: ...
    def __deepcopy__(self, _memo: Any) -> Failure: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class State:
    """The state of rules between events; immutable.

    It has the entries that reactions write, and the matches of rules with a time window: what they
    have seen, what they wait for and until when, with the events that they need. Pickles and
    comparisons include the matches.

    Args:
        entries: for each rule a dict of keys and JSON values, which never expire.

    >>> state = State({"failed": {"count": 2}})
    >>> state.get("failed", "count")
    2
    """

    def __new__(cls, entries: Mapping[str, Mapping[str, Any]] | None = None) -> State: ...
    def get(self, rule: str, key: str, default: Any = None, *, now: datetime | None = None) -> Any:
        """The value of `rule` at `key`, or `default` if there is none or it has expired by `now`
        (by default the current time).
        """
    def to_dict(self, *, now: datetime | None = None) -> dict[str, dict[str, Any]]:
        """All entries that have not expired by `now` (by default the current time), by rule. What
        rules with a time window wait for is in `pending` and `due`.
        """
    def due(self, now: datetime | None = None) -> list[Deadline]:
        """The deadlines of rules with a time window up to `now`, in the order in which they fire;
        without `now` all of them. The first is when `RuleSet.fire_due` has something to do next.

        >>> rules = RuleSet.from_rules({"stuck": '''
        ... when = 'status == "Detaching"'
        ... by = "eniId"
        ... not_followed_by = { when = 'status == "Available"', within = "30m" }
        ... notify = ["network-team"]
        ... '''})
        >>> from datetime import datetime, timezone
        >>> now = datetime(2026, 11, 25, 8, tzinfo=timezone.utc)
        >>> state = rules.evaluate({"status": "Detaching", "eniId": "eni-1"}, now=now).state
        >>> [(at.isoformat(), rule, key) for at, rule, key in state.due()]
        [('2026-11-25T08:30:10+00:00', 'stuck', 'eni-1')]
        """
    @overload
    def pending(self, rule: str, *, now: datetime | None = None) -> list[Any]: ...
    @overload
    def pending(self, rule: None = None, *, now: datetime | None = None) -> dict[str, list[Any]]:
        """The keys for which a rule with a time window waits for something, in order; of all rules,
        by rule, if none is given.

        A key is the value at the path of `by`, for several paths a list, and "" for a rule without
        `by`.

        Args:
            rule: the name of a rule.
            now: an aware datetime; by default the time that the state has reached.
        """
    @property
    def clock(self) -> datetime | None:
        """The latest time that was reached by evaluating an event with `advance`, or by firing
        deadlines, in UTC; `None` if rules with a time window have seen none. To these rules an
        event with an earlier `now` happens at this time.
        """
    @property
    def next_due(self) -> datetime | None:
        """The earliest deadline of a rule with a time window, in UTC; `None` if none waits. Unlike
        the first of `due()`, it costs the same however many there are.
        """
    def _with_entries(self, rule: str, changes: Mapping[str, Any]) -> State: ...
    def to_json(self) -> str:
        """The state as one line of JSON, with the times at which entries expire, the matches of
        rules with a time window, their events and the time that was reached; `from_json` makes
        an equal state of it.

        >>> State({"failed": {"count": 2}}).to_json()
        '{"format":"reflexarc-state","version":1,"entries":{"failed":{"count":{"value":2}}}}'
        """
    @staticmethod
    def from_json(text: str) -> State:
        """The state of a text that `to_json` made, by this version or an earlier one.

        Raises:
            StateError: if the text is another one, or of a later version.

        >>> state = State({"failed": {"count": 2}})
        >>> State.from_json(state.to_json()) == state
        True
        """
    def save(self, path: str | PathLike[str]) -> None:
        """Write the JSON of the state to a file, in place of what it had. After a crash the file
        has either the old text or the new one.

        Raises:
            OSError: if it cannot be written.
        """
    @staticmethod
    def load(path: str | PathLike[str]) -> State:
        """Read a file that `save` wrote.

        Raises:
            StateError: if the file has another text.
            OSError: if it cannot be read; FileNotFoundError if it is missing.
        """
    @staticmethod
    def open(path: str | PathLike[str]) -> StateFile:
        """Open the SQLite file that keeps a state, or create it. Its tables are those of the
        service, which can go on with the state, as a program can with that of a service that has
        stopped.

        Raises:
            StateError: if a service runs with the file, another program has it open, or it is not
                such a file.
        """
    def without_expired(self, *, now: datetime | None = None) -> State:
        """The state without the entries and matches that have expired by `now` (by default the
        current time). Rules never see what has expired, but it takes memory: a program that runs
        for long removes it from time to time.

        >>> state = State({"failed": {"count": 2}})
        >>> state.without_expired() == state
        True
        """
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __copy__(self) -> State: ...
    def __deepcopy__(self, _memo: Any) -> State: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

def command(arguments: Sequence[str], /) -> int:
    """Run the `reflexarc` command line and return its exit code; `arguments` begins with the
    name of the program.
    """

@final
class StateFile:
    """A state that is kept in a SQLite file, with the tables of the service.

    `State.open` makes one. One program at a time can have a file open, or a service use it; both go
    on with what the other has left. What `commit` has written is on the disk when it returns.

    >>> import tempfile, os
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "state.db")
    >>> rules = RuleSet.from_rules({"count": 'when = "id exists"\\nthen = \\'add("seen", 1);\\''})
    >>> with State.open(path) as file:
    ...     file.commit(rules.evaluate({"id": "1"}, state=file.state).state)
    >>> with State.open(path) as file:
    ...     file.state.get("count", "seen")
    1
    >>> folder.cleanup()
    """

    @property
    def path(self) -> Path:
        """The path of the file."""
    @property
    def state(self) -> State:
        """The committed state."""
    def commit(self, state: State) -> None:
        """Replace the state. What has changed is written in one transaction, which is on the disk
        when this returns; if it raises an exception, nothing was written.

        Args:
            state: a state that comes from `state`, by evaluations.

        Raises:
            StateError: if the file is closed, full or damaged, or a match refers to an event at a
                position where the file has another one.
        """
    def close(self) -> None:
        """Close the file, so that another program or a service can open it. `state` remains."""
    def __enter__(self) -> StateFile: ...
    def __exit__(self, exception_type: object, exception: object, traceback: object, /) -> None: ...

@final
class Receipt:
    """What became of an action that was delivered."""

    @property
    def action(self) -> Action:
        """The action."""
    @property
    def target(self) -> str:
        """The name of the target."""
    @property
    def status(self) -> Literal["delivered", "answered", "undeliverable"]:
        """ "delivered" if the receiver accepted it, "answered" if the call has an answer, which may
        be an error, and "undeliverable" if it will not be tried again.
        """
    @property
    def attempts(self) -> int:
        """How many attempts were made; a message that was merged with others counts as one."""
    @property
    def error(self) -> str | None:
        """Why it is undeliverable, or the error of the answer; `None` for neither. Secrets of the
        configuration are redacted.
        """
    @property
    def cause(
        self,
    ) -> Literal["unknown_target", "refused", "misconfigured", "exhausted", "expired"] | None:
        """The kind of reason why it is undeliverable: "unknown_target", "refused" by the receiver,
        "misconfigured", "exhausted" after the last retry, or "expired"; `None` for others.
        """
    @property
    def response(self) -> str | None:
        """What the receiver responded, shortened; `None` unless it was delivered."""
    @property
    def answer(self) -> dict[str, Any] | None:
        """The answer to a call as the arguments of `RuleSet.answer`: `body`, `ok`, and where there
        is one `status`, `code` and `message`; `None` for other actions.

        `rules.answer(receipt.action, **receipt.answer, state=state)` gives it to the rule.
        """
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __copy__(self) -> Receipt: ...
    def __deepcopy__(self, _memo: Any) -> Receipt: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Targets:
    """The targets of a configuration: receivers of actions by name, as the service has them.

    Read by `Targets.load` from a `reflexarc.toml`. Each target has its retry policy, rate limit,
    order and circuit breaker, and HTTP goes only to the addresses that the egress guard permits.
    Nothing is kept on the disk: a program that ends before `deliver` has returned delivers again,
    under the same ids. Targets can be shared between threads and event loops.

    >>> targets = Targets.from_toml('[targets.log]\\ntype = "stdout"')
    >>> targets.names
    ['log']
    """

    @staticmethod
    def load(path: str | PathLike[str]) -> Targets:
        """Read the targets of a configuration, with the secrets that they name. The rest of the
        configuration has to be valid too; its secrets are not needed.

        Raises:
            ConfigError: if it is invalid, or a secret is missing.
            FileNotFoundError: if there is no such file.
        """
    @staticmethod
    def from_toml(text: str, *, folder: str | PathLike[str] | None = None) -> Targets:
        """Read the targets of a configuration that is a text.

        Args:
            text: the text of a `reflexarc.toml`.
            folder: where relative paths start from, by default the current folder.

        Raises:
            ConfigError: if it is invalid, or a secret is missing.
        """
    @property
    def names(self) -> list[str]:
        """The names of the targets, in the order of the configuration."""
    def deliver(
        self, actions: Iterable[Action], *, timeout: float | timedelta | None = None
    ) -> list[Receipt]:
        """Deliver actions and wait until each was delivered or answered, or is undeliverable.
        Actions with `after` are delivered now: when they are due is the caller's to decide.

        Different targets, and actions about different resources, are delivered at the same time,
        those of one resource one after another. The interpreter lock is released, and Ctrl-C
        interrupts it: then attempts that are running are finished, and no further ones made.

        Args:
            actions: an iterable of actions.
            timeout: seconds, or a timedelta, after which what is left is given up: as undeliverable
                with the cause "expired", a call as answered with "OutcomeUnknown" if it may have
                been executed, else "Expired". By default as long as the retry policies say, which
                may be a day.

        Returns:
            A receipt for each action, in their order.

        >>> rules = RuleSet.from_rules({"failed": '''
        ... when = 'result == "failed"'
        ... then = 'notify("ops", "attach failed")'
        ... '''})
        >>> targets = Targets.from_toml('[targets.log]\\ntype = "stdout"')
        >>> receipt, = targets.deliver(rules.evaluate({"result": "failed"}).actions)
        >>> receipt.status, receipt.error
        ('undeliverable', 'unknown target `ops`; known targets: log')
        """
    def deliver_async(
        self, actions: Iterable[Action], *, timeout: float | timedelta | None = None
    ) -> Future[list[Receipt]]:
        """Deliver actions as `deliver` does, from within an event loop. Cancelling the future has
        the effect of Ctrl-C.

        Returns:
            A future of the receipts, to await.
        """
    def resume(self, target: str) -> bool:
        """Let a target make changes again that has reached a limit of its `max_changes`, which
        counts the changes of these `Targets`. Returns whether it was stopped.

        Raises:
            KeyError: if there is no such target.
        """

def quote(value: Scalar, /) -> str:
    """A value as a literal of an expression: text in double quotes with escapes, a number with all
    its digits, `true`, `false` or `null`. Other values become text as in an event.

    A value that is put into the text of a pattern can change what the pattern means; its literal
    cannot. `field` needs no quoting.

    Raises:
        TypeError: if it is not a single value.
        ValueError: if it has no JSON form: NaN, infinity, a lone surrogate.

    >>> name = 'x" or user exists or user == "'
    >>> Pattern(f'user == "{name}"').matches({"user": "anybody"})
    True
    >>> Pattern(f"user == {quote(name)}").matches({"user": "anybody"})
    False
    """

@final
class _ArrowColumn:
    """A column that other Arrow libraries take.

    It has `__arrow_c_stream__`, as much as `pyarrow.chunked_array` and `polars.Series` need.
    """

    def __arrow_c_schema__(self) -> Any: ...
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...

def _arrow_matching(rules: RuleSet, column: Any, is_table: bool, on_error: str) -> _ArrowColumn:
    """The ids of the rules that match each event of a column, as a column of lists."""

def _arrow_mask(pattern: Pattern, column: Any, is_table: bool, on_error: str) -> _ArrowColumn:
    """Whether each event of a column matches a pattern, as a column of booleans."""

_Call = tuple[Callable[[Event, Match], Any], Event, Match]

@final
class _HandlerTable:
    """Rules with the handlers of an automation; immutable.

    Args:
        rules: the rules.
        handlers: the handlers in their order, each with the name of the rule that it handles, or
            `None`; the pattern of that rule, or its own; and the function.
    """

    def __new__(
        cls,
        rules: RuleSet,
        handlers: Sequence[tuple[str | None, Pattern, Callable[[Event, Match], Any]]],
    ) -> Self: ...
    def evaluate(
        self,
        event: EventLike,
        item: Any,
        state: State,
        now: datetime | None = None,
        advance: bool = True,
    ) -> tuple[Evaluation, int, list[_Call]] | None:
        """Evaluate an event, as `RuleSet.evaluate` does. Returns the evaluation, what it has as
        bits (`Evaluation._contents`), and the handlers that are to run, each with its arguments;
        `None` for a document that does not contain exactly one valid event.
        """
    def calls(self, evaluation: Evaluation, at: datetime) -> list[_Call]:
        """The handlers that are to run for deadlines that have fired `at` a time."""

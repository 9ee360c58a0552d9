"""Building patterns from conditions, with values that cannot change what a pattern means.

    failed = ra.field("content.result") == "failed"
    inside = ra.field("content.primaryPrivateIp").in_cidr("10.0.0.0/8")
    rules = ra.RuleSet({"failed": failed & inside & ~ra.field("content.eniId").exists()})

A condition on a field is a `Pattern`, and equals the pattern that is parsed from the same
expression. `&` binds tighter than `==`, so comparisons need parentheses:
`(ra.field("a") == 1) & (ra.field("b") == 2)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Generic, Literal, NoReturn, TypeAlias, TypeVar

from ._core import Pattern, quote
from ._types import Scalar

T = TypeVar("T", Pattern, "Condition")

Number: TypeAlias = int | float | Decimal
Network: TypeAlias = str | IPv4Network | IPv6Network | IPv4Address | IPv6Address

_NETWORKS = (str, IPv4Network, IPv6Network, IPv4Address, IPv6Address)


class _Conditions(Generic[T]):
    """The conditions on a value; `T` is what a condition is."""

    __slots__ = ("_make", "_negation")
    # `==` gives a condition, so two fields cannot be compared.
    __hash__ = None  # type: ignore[assignment]
    _make: Callable[[str], T]
    _negation: str

    def __init__(self, make: Callable[[str], T], negation: str = "") -> None:
        self._make = make
        self._negation = negation

    def __eq__(self, value: Scalar) -> T:  # type: ignore[override]
        """The value equals `value`."""
        return self._condition("==", quote(value))

    def __ne__(self, value: Scalar) -> T:  # type: ignore[override]
        """The value differs from `value`. A missing field has no value that could differ."""
        return self._condition("!=", quote(value))

    def __lt__(self, number: Number) -> T:
        """The value is a number below `number`."""
        return self._condition("<", quote(number))

    def __le__(self, number: Number) -> T:
        """The value is a number up to `number`."""
        return self._condition("<=", quote(number))

    def __gt__(self, number: Number) -> T:
        """The value is a number above `number`."""
        return self._condition(">", quote(number))

    def __ge__(self, number: Number) -> T:
        """The value is a number from `number` on."""
        return self._condition(">=", quote(number))

    def equals(self, value: Scalar, *, ignore_case: bool = False) -> T:
        """The value equals `value`.

        >>> field("level").equals("warn", ignore_case=True)
        Pattern('level == "warn" ignoring case')
        """
        return self._condition("==", quote(value), ignore_case)

    def between(
        self,
        low: Number,
        high: Number,
        *,
        inclusive: Literal["both", "neither", "left", "right"] = "both",
    ) -> T:
        """The value is a number from `low` to `high`.

        >>> field("count").between(1, 5)
        Pattern('1 <= count <= 5')
        >>> field("count").between(0, 5, inclusive="right")
        Pattern('0 < count <= 5')
        """
        if inclusive not in ("both", "neither", "left", "right"):
            raise ValueError(f"inclusive={inclusive!r} is not both, neither, left or right")
        if low > high or (low == high and inclusive != "both"):
            raise ValueError(f"no number is between {low} and {high}")
        lower = ">=" if inclusive in ("both", "left") else ">"
        upper = "<=" if inclusive in ("both", "right") else "<"
        return self._condition("", f"({lower} {quote(low)} and {upper} {quote(high)})")

    def in_(self, values: Iterable[Scalar], *, ignore_case: bool = False) -> T:
        """The value equals one of `values`.

        >>> field("content.eniStatus").in_(["InUse", "Available"])
        Pattern('content.eniStatus in ["InUse", "Available"]')
        """
        if isinstance(values, (str, bytes)):
            raise TypeError(f"in_ needs a list of values, found {type(values).__name__}")
        return self._condition("in", _array("in_", values), ignore_case)

    def startswith(self, prefix: str | Iterable[str], *, ignore_case: bool = False) -> T:
        """The value is a text that starts with `prefix`, or with one of several.

        >>> field("content.eniId").startswith("eni-")
        Pattern('content.eniId starts with "eni-"')
        """
        return self._text("starts with", prefix, ignore_case)

    def endswith(self, suffix: str | Iterable[str], *, ignore_case: bool = False) -> T:
        """The value is a text that ends with `suffix`, or with one of several."""
        return self._text("ends with", suffix, ignore_case)

    def __contains__(self, value: object) -> bool:
        # `in` makes a bool of what it gets, so it can make no condition.
        message = (
            f"a condition is not written with `in`: write {self!r} == {value!r} for an element of "
            f"a list, or .contains({value!r}) for a part of a text"
        )
        raise TypeError(message)

    def contains(self, part: str | Iterable[str], *, ignore_case: bool = False) -> T:
        """The value is a text that contains `part`, or one of several."""
        return self._text("contains", part, ignore_case)

    def like(self, wildcard: str | Iterable[str], *, ignore_case: bool = False) -> T:
        r"""The value is a text that matches a wildcard as a whole: `*` is any text.

        Backslashes escape: `\*` is a star, `\\` a backslash.

        >>> field("resourceId").like("arn:*:eni/*")
        Pattern('resourceId like "arn:*:eni/*"')
        """
        return self._text("like", wildcard, ignore_case)

    def matches(self, regexp: str | Iterable[str], *, ignore_case: bool = False) -> T:
        """The value is a text that matches a regular expression as a whole.

        The syntax is that of Rust's regex crate: without look-around and back-references.

        >>> field("content.eniId").matches("eni-[0-9a-z]+")
        Pattern('content.eniId matches "eni-[0-9a-z]+"')
        """
        return self._text("matches", regexp, ignore_case)

    def in_cidr(self, networks: Network | Iterable[Network]) -> T:
        """The value is an IP address in a network, or in one of several.

        >>> field("content.primaryPrivateIp").in_cidr("10.0.0.0/8")
        Pattern('content.primaryPrivateIp in cidr "10.0.0.0/8"')
        """
        # Networks are iterable: their addresses.
        several = [networks] if isinstance(networks, _NETWORKS) else networks
        return self._condition("in cidr", _array("in_cidr", several))

    def exists(self) -> T:
        """There is a value: a string, number, `True`, `False` or null."""
        return self._condition("exists", "")

    def is_missing(self) -> T:
        """There is no value.

        >>> field("content.error").is_missing()
        Pattern('content.error is missing')
        """
        return self._condition("is missing", "")

    def _text(self, operator: str, texts: str | Iterable[str], ignore_case: bool) -> T:
        several = [texts] if isinstance(texts, str) else texts
        return self._condition(operator, _array(operator, several), ignore_case)

    def _condition(self, operator: str, operand: str, ignore_case: bool = False) -> T:
        case = "ignoring case" if ignore_case else ""
        words = [self._negation, operator, operand, case]
        return self._make(" ".join(word for word in words if word))


class Field(_Conditions[Pattern]):
    """A field of events; `field` makes one. Its operators and methods are conditions on its value.

    A path leads through arrays, so a field may have several values. A condition is met if any of
    them meets it; `has` says what one value must meet together.

    >>> (field("content.result") == "failed") & (field("content.count") > 2)
    Pattern('content.result == "failed" and content.count > 2')
    """

    __slots__ = ("_expression", "path")

    path: str
    """The path: keys joined by dots."""

    def __init__(self, path: str) -> None:
        if not isinstance(path, str):
            raise TypeError(f"expected a path as text, found {type(path).__name__}")
        keys = ".".join(quote(key) for key in path.split("."))
        # The printer leaves out the quotes that keys do not need.
        expression = Pattern(f"{keys} exists").to_expression().removesuffix(" exists")
        super().__init__(lambda test: Pattern(f"{expression} {test}"))
        self.path = path
        self._expression = expression

    @property
    def not_(self) -> _Conditions[Pattern]:
        """Conditions that a value does not meet.

        `field("a").not_.startswith("x")` needs a value that starts otherwise, and in an array any
        such value. `~field("a").startswith("x")` needs that no value starts so, which is also true
        of a missing field.

        >>> field("a").not_.startswith("x")
        Pattern('a not starts with "x"')
        >>> ~field("a").startswith("x")
        Pattern('not (a starts with "x")')
        """
        return _Conditions(self._make, "not")

    def has(self, condition: Condition) -> Pattern:
        """One value meets the condition, which is made of `value`.

        >>> field("content.ips").has(value.in_cidr("10.0.0.0/8") & (value != "10.0.0.1"))
        Pattern('content.ips (in cidr "10.0.0.0/8" and != "10.0.0.1")')
        """
        return self._make(f"({condition})")

    def __repr__(self) -> str:
        return f"field({self.path!r})"


class Condition:
    """A condition on one value, for `Field.has`. Join conditions by `&` and `|`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __and__(self, other: Condition) -> Condition:
        """Both conditions are met."""
        return self._joined("and", other)

    def __or__(self, other: Condition) -> Condition:
        """One of the conditions is met."""
        return self._joined("or", other)

    def __invert__(self) -> Condition:
        """The condition is not met by the value."""
        return Condition(f"not ({self._text})")

    def __bool__(self) -> NoReturn:
        """Raise an exception: `and`, `or` and `not` cannot join conditions."""
        raise TypeError("a condition is not true or false; join conditions by &, | and ~")

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<Condition {self._text}>"

    def _joined(self, connective: str, other: Condition) -> Condition:
        if not isinstance(other, Condition):
            return NotImplemented
        return Condition(f"({self._text}) {connective} ({other._text})")


class _Value(_Conditions[Condition]):
    """The value of a field, in conditions for `Field.has`."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Condition)

    @property
    def not_(self) -> _Conditions[Condition]:
        """Conditions that the value does not meet."""
        return _Conditions(Condition, "not")

    def __repr__(self) -> str:
        return "value"


value = _Value()
"""The value of a field, in conditions for `Field.has`."""


def field(path: str) -> Field:
    """Return the field at a path, keys joined by dots, to make patterns of its conditions.

    Keys need no quotes, whatever they are. A key that contains a dot is the same path as nested
    keys.

    >>> field("content.result") == "failed"
    Pattern('content.result == "failed"')
    >>> (field("level") == "WARN") & ~field("content.odd key").exists()
    Pattern('level == "WARN" and not (content."odd key" exists)')
    """
    return Field(path)


def all_of(patterns: Iterable[Pattern]) -> Pattern:
    """Join patterns by `and`, as `&` does; at least one.

    >>> all_of(field(name).exists() for name in ["id", "content.eniId"])
    Pattern('id exists and content.eniId exists')
    """
    return _joined("and", patterns)


def any_of(patterns: Iterable[Pattern]) -> Pattern:
    """Join patterns by `or`, as `|` does; at least one.

    >>> any_of(field(name) == "failed" for name in ["result", "content.result"])
    Pattern('result == "failed" or content.result == "failed"')
    """
    return _joined("or", patterns)


def _joined(connective: str, patterns: Iterable[Pattern]) -> Pattern:
    parts = list(patterns)
    for part in parts:
        if not isinstance(part, Pattern):
            raise TypeError(f"expected patterns, found {type(part).__name__}")
    if not parts:
        raise ValueError("expected at least one pattern, found none")
    return Pattern(f" {connective} ".join(f"({part})" for part in parts))


def _array(operator: str, values: Iterable[Scalar]) -> str:
    quoted = [quote(value) for value in values]
    if not quoted:
        raise ValueError(f"{operator} needs at least one value, found none")
    return quoted[0] if len(quoted) == 1 and operator != "in_" else f"[{', '.join(quoted)}]"

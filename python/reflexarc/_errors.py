"""The exceptions of the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._core import Diagnostic


class Error(Exception):
    """Base class of all exceptions of reflexarc."""

    __module__ = "reflexarc"


class PatternError(Error, ValueError):
    """An invalid pattern; the message shows all diagnostics, `diagnostics` holds them.

    >>> try:
    ...     Pattern('content.result = "failed"')
    ... except PatternError as error:
    ...     error.diagnostics[0].line
    1
    """

    __module__ = "reflexarc"
    diagnostics: list[Diagnostic]


class RuleError(Error, ValueError):
    """Invalid rule files; the message shows all diagnostics, `diagnostics` holds them."""

    __module__ = "reflexarc"
    diagnostics: list[Diagnostic]


class ConfigError(Error, ValueError):
    """An invalid configuration; the message shows all diagnostics, `diagnostics` holds them."""

    __module__ = "reflexarc"
    diagnostics: list[Diagnostic]


class EventError(Error, ValueError):
    """Not an event: not a JSON object, too large, too deep, or with a value without a JSON form."""

    __module__ = "reflexarc"


class UndecidedError(EventError):
    """An event that cannot be compared with a pattern: there are too many combinations of the
    elements of its arrays. Derived from `EventError`, since most events of this kind are hostile.
    """

    __module__ = "reflexarc"


class ReactionError(Error, RuntimeError):
    """A reaction failed, and `RuleSet.evaluate` was called with `strict=True`."""

    __module__ = "reflexarc"


class StateError(Error, ValueError):
    """Invalid state entries."""

    __module__ = "reflexarc"


class InternalError(Error, RuntimeError):
    """A bug in reflexarc; please report it with the text of the exception."""

    __module__ = "reflexarc"

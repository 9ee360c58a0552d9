"""Expressions for Polars: which events of a column match a pattern, or which rules match them.

    import polars as pl, reflexarc as ra, reflexarc.polars
    texts = ['{"content": {"result": "failed"}}', '{"content": {"result": "success"}}']
    frame = pl.LazyFrame({"event": texts})
    failed = frame.filter(pl.col("event").reflexarc.matches('content.result == "failed"'))
    rules = ra.RuleSet({"failed": 'content.result == "failed"'})
    named = frame.with_columns(rules=pl.col("event").reflexarc.matching(rules)).collect()

Importing the module registers the namespace `reflexarc` of expressions and series. The functions
`matches` and `matching` are the same for programs that check types, which know no namespaces. The
columns are those of `reflexarc.arrow`, without PyArrow.

Each batch of a column is matched on all cores without the interpreter lock. In lazy and streaming
queries Polars calls them with parts of a column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from . import Pattern, _core

if TYPE_CHECKING:
    from collections.abc import Mapping

    from . import RuleSet

__all__ = ["ExprNamespace", "SeriesNamespace", "matches", "matching"]

_OnError = Literal["raise", "null"]


def matches(
    events: pl.Expr | str,
    pattern: Pattern | str | Mapping[str, Any],
    *,
    on_error: _OnError = "raise",
) -> pl.Expr:
    """Return an expression of booleans: whether each event matches `pattern`.

    `events` is an expression or the name of a column of JSON text, bytes or structs. The result for
    null is null; also for a row that is not an event, if `on_error` is "null". Envelopes are not
    converted.

    Raises:
        PatternError: if the pattern is invalid.

    A row that is not an event raises an `EventError` when the query runs.
    """
    compiled = pattern if isinstance(pattern, Pattern) else Pattern(pattern)

    def match(column: pl.Series) -> pl.Series:
        return _mask(column, compiled, on_error)

    return _expression(events).map_batches(match, return_dtype=pl.Boolean, is_elementwise=True)


def matching(events: pl.Expr | str, rules: RuleSet, *, on_error: _OnError = "raise") -> pl.Expr:
    """Return an expression of lists: the ids of the rules that match each event.

    Columns, nulls and errors are those of `matches`; envelopes are converted to the native form.
    """

    def match(column: pl.Series) -> pl.Series:
        return _ids(column, rules, on_error)

    kind = pl.List(pl.String)
    return _expression(events).map_batches(match, return_dtype=kind, is_elementwise=True)


@pl.api.register_expr_namespace("reflexarc")
class ExprNamespace:
    """The namespace `reflexarc` of expressions."""

    def __init__(self, events: pl.Expr) -> None:
        self._events = events

    def matches(
        self, pattern: Pattern | str | Mapping[str, Any], *, on_error: _OnError = "raise"
    ) -> pl.Expr:
        """Whether each event matches a pattern: as the function `matches`."""
        return matches(self._events, pattern, on_error=on_error)

    def matching(self, rules: RuleSet, *, on_error: _OnError = "raise") -> pl.Expr:
        """The ids of the rules that match each event: as the function `matching`."""
        return matching(self._events, rules, on_error=on_error)


@pl.api.register_series_namespace("reflexarc")
class SeriesNamespace:
    """The namespace `reflexarc` of series."""

    def __init__(self, events: pl.Series) -> None:
        self._events = events

    def matches(
        self, pattern: Pattern | str | Mapping[str, Any], *, on_error: _OnError = "raise"
    ) -> pl.Series:
        """Whether each event matches a pattern: as the function `matches`."""
        compiled = pattern if isinstance(pattern, Pattern) else Pattern(pattern)
        return _mask(self._events, compiled, on_error)

    def matching(self, rules: RuleSet, *, on_error: _OnError = "raise") -> pl.Series:
        """The ids of the rules that match each event: as the function `matching`."""
        return _ids(self._events, rules, on_error)


def _expression(events: pl.Expr | str) -> pl.Expr:
    return pl.col(events) if isinstance(events, str) else events


def _mask(column: pl.Series, pattern: Pattern, on_error: _OnError) -> pl.Series:
    mask = _core._arrow_mask(pattern, column, False, on_error)
    return pl.Series(column.name, mask, dtype=pl.Boolean)


def _ids(column: pl.Series, rules: RuleSet, on_error: _OnError) -> pl.Series:
    ids = _core._arrow_matching(rules, column, False, on_error)
    return pl.Series(column.name, ids, dtype=pl.List(pl.String))

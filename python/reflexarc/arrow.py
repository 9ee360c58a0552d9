"""Matching of event columns from Polars, pandas, DuckDB, PyArrow and other Arrow libraries.

Columns are passed through the Arrow PyCapsule interface, without a copy and without a Python object
for each event, and are matched on all cores without the interpreter lock:

    import polars as pl, reflexarc as ra
    rules = ra.RuleSet({"failed": 'content.result == "failed"'})
    texts = ['{"content": {"result": "failed"}}', '{"content": {"result": "success"}}']
    frame = pl.DataFrame({"event": texts})
    matched = ra.arrow.matching(rules, frame["event"])
    frame = frame.with_columns(pl.Series("rules", matched))
    failed = frame.filter(pl.Series(ra.arrow.mask('content.result == "failed"', frame["event"])))

With DuckDB, `matching(rules, duckdb.sql("select event from 'events.parquet'"))`; with pandas,
`frame[mask(pattern, frame["event"]).to_numpy()]`. `reflexarc.polars` has expressions for Polars.

Needs `pip install reflexarc[arrow]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from . import Pattern, _core

if TYPE_CHECKING:
    from collections.abc import Mapping

    from . import RuleSet

__all__ = ["mask", "matching"]


def matching(
    rules: RuleSet, column: Any, *, on_error: Literal["raise", "null"] = "raise"
) -> pa.ChunkedArray:
    """Return a `list<string>` column of the ids of the rules that match each event of `column`.

    `column` holds events as JSON text or bytes, or as structs, whose rows are JSON objects: times
    and dates are RFC 3339 text, and a value without a JSON form, such as bytes or NaN, is an error
    if a rule reads it. It has `__arrow_c_stream__` or `__arrow_c_array__`: a Polars or pandas
    Series, a PyArrow array, a DuckDB relation. Of a table with several columns the rows are the
    events.

    The result for a null row is null; also for a row that is not an event, if `on_error` is "null".

    Raises:
        EventError: if a row is not an event; the message has the number of the row, from 0.
        TypeError: if `column` is not a column of events.
    """
    source, is_table = _source(column)
    return pa.chunked_array(_core._arrow_matching(rules, source, is_table, on_error))


def mask(
    pattern: Pattern | str | Mapping[str, Any],
    column: Any,
    *,
    on_error: Literal["raise", "null"] = "raise",
) -> pa.ChunkedArray:
    """Return a `bool` column: whether each event of `column` matches `pattern`.

    As `Pattern.matches`, it does not convert envelopes: a pattern of events in their envelope is
    compared with the envelope. The column, null rows and errors are those of `matching`.

    Raises:
        PatternError: if the pattern is invalid.
        EventError: if a row is not an event; the message has the number of the row, from 0.
        TypeError: if `column` is not a column of events.
    """
    compiled = pattern if isinstance(pattern, Pattern) else Pattern(pattern)
    source, is_table = _source(column)
    return pa.chunked_array(_core._arrow_mask(compiled, source, is_table, on_error))


def _source(column: Any) -> tuple[Any, bool]:
    """Return a value with an Arrow interface, and whether it is a table."""
    is_column = hasattr(column, "__arrow_c_stream__") or hasattr(column, "__arrow_c_array__")
    if not is_column and type(column).__module__.partition(".")[0] == "pandas":
        # Before pandas 3, a Series has no Arrow interface, but PyArrow can convert it.
        return pa.array(column), False
    # Frames, tables and relations have columns, record batch readers a schema; series and arrays
    # have neither.
    is_table = any(hasattr(column, name) for name in ("columns", "column_names", "schema"))
    return _without_offsets(column), is_table


def _without_offsets(column: Any) -> Any:
    """Copy the slices in which a struct has a struct, of PyArrow's classes.

    The Arrow library of the extension module cannot import them: it applies the offset twice.
    """
    if isinstance(column, pa.Array):
        return _copied(column)
    if isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([_copied(chunk) for chunk in column.chunks], column.type)
    if isinstance(column, (pa.RecordBatch, pa.Table)):
        columns = [_without_offsets(each) for each in column.columns]
        return type(column).from_arrays(columns, schema=column.schema)
    return column


def _copied(array: pa.Array) -> pa.Array:
    # Concatenating two arrays copies both.
    return pa.concat_arrays([array, array[:0]]) if _has_offset(array) else array


def _has_offset(array: pa.Array) -> bool:
    if not pa.types.is_struct(array.type):
        return False
    fields = [array.field(number) for number in range(array.type.num_fields)]
    inner = [field for field in fields if pa.types.is_struct(field.type)]
    return bool(inner) and (array.offset != 0 or any(_has_offset(field) for field in inner))

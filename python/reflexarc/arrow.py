"""Matching of event columns from Polars, pandas, DuckDB, PyArrow and other Arrow libraries.

Columns are passed through the Arrow PyCapsule interface, without a copy:

    import polars as pl, reflexarc as ra, reflexarc.arrow
    rules = ra.RuleSet({"failed": 'content.result == "failed"'})
    texts = ['{"content": {"result": "failed"}}', '{"content": {"result": "success"}}']
    frame = pl.DataFrame({"event": texts})
    matched = reflexarc.arrow.matching(rules, frame["event"])
    frame = frame.with_columns(pl.Series("rules", matched))

Needs `pip install reflexarc[arrow]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from . import EventError

if TYPE_CHECKING:
    from . import RuleSet

__all__ = ["matching"]


def matching(rules: RuleSet, column: Any) -> pa.ChunkedArray:
    """Return a `list<string>` column of the ids of the rules that match each event of `column`.

    `column` holds events as JSON text or bytes, or as structs, which are matched as JSON objects
    with timestamps and dates as text; a binary value in a struct is an error where a rule reads it.
    It has `__arrow_c_stream__` or
    `__arrow_c_array__`: a Polars or pandas Series, a PyArrow array, a one-column DuckDB relation.
    The result for a null row is null.

    Raises:
        EventError: if a row is not an event; the message has the number of the row.
        TypeError: if `column` is not a column of events.
    """
    chunked = _chunked(column)
    kind = chunked.type
    if pa.types.is_dictionary(kind):
        chunked = chunked.cast(kind.value_type)
        kind = chunked.type
    chunks = [
        _match_chunk(rules, chunk, _offset(chunked, i)) for i, chunk in enumerate(chunked.chunks)
    ]
    return pa.chunked_array(chunks, type=pa.list_(pa.string()))


def _chunked(column: Any) -> pa.ChunkedArray:
    if isinstance(column, pa.ChunkedArray):
        chunked = column
    elif isinstance(column, pa.Array):
        chunked = pa.chunked_array([column])
    elif hasattr(column, "__arrow_c_stream__"):
        chunked = pa.chunked_array(column)
    elif hasattr(column, "__arrow_c_array__"):
        chunked = pa.chunked_array([pa.array(column)])
    elif type(column).__module__.partition(".")[0] == "pandas":
        # Before pandas 3, a Series has no Arrow interface, but PyArrow can convert it.
        chunked = pa.chunked_array([pa.array(column)])
    else:
        raise TypeError(f"expected an Arrow column, found {type(column).__name__}")
    if (
        pa.types.is_struct(chunked.type)
        and chunked.type.num_fields == 1
        and not isinstance(column, (pa.Array, pa.ChunkedArray))
    ):
        # The stream of a one-column table, such as a DuckDB relation, is a struct of that column.
        # Structs with another single field are events themselves.
        inner = chunked.type.field(0).type
        if (
            pa.types.is_string(inner)
            or pa.types.is_large_string(inner)
            or pa.types.is_binary(inner)
        ):
            chunked = pa.chunked_array([chunk.field(0) for chunk in chunked.chunks], type=inner)
    return chunked


def _offset(chunked: pa.ChunkedArray, index: int) -> int:
    return sum(len(chunk) for chunk in chunked.chunks[:index])


def _match_chunk(rules: RuleSet, chunk: pa.Array, first_row: int) -> pa.Array:
    kind = chunk.type
    if pa.types.is_struct(kind):
        # Arrow has no JSON writer for structs; their rows are matched as dicts.
        rows: list[Any] = chunk.to_pylist()
    elif any(
        is_kind(kind)
        for is_kind in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_string_view,
        )
    ):
        rows = pc.cast(
            chunk, pa.large_string() if "string" in str(kind) else pa.large_binary()
        ).to_pylist()
    else:
        raise TypeError(f"expected a column of JSON text, bytes or structs, found {kind}")
    present = [row for row in rows if row is not None]
    # The error of matching_many has a number that counts only present rows. Matching row by row is
    # slower, but happens only to find the right number.
    try:
        matched = iter(rules.matching_many(present))
    except EventError:
        _raise_with_row(rules, rows, first_row)
        raise
    return pa.array(
        [None if row is None else next(matched) for row in rows], type=pa.list_(pa.string())
    )


def _raise_with_row(rules: RuleSet, rows: list[Any], first_row: int) -> None:
    for index, row in enumerate(rows):
        if row is not None:
            try:
                rules.matching(row)
            except EventError as error:
                raise type(error)(f"row {first_row + index}: {error}") from error

"""A column of events in, a column of matching rule ids out, for anything that speaks Arrow.

Polars, pandas, DuckDB and PyArrow hand their columns over through the Arrow PyCapsule interface, without copying:

    import polars as pl, reflexarc as ra, reflexarc.arrow
    rules = ra.RuleSet({"failed": 'content.result == "failed"'})
    frame = pl.DataFrame({"event": ['{"content": {"result": "failed"}}', '{"content": {"result": "success"}}']})
    frame = frame.with_columns(pl.Series("rules", reflexarc.arrow.matching(rules, frame["event"])))

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
    """Match every event of `column` and return a `list<string>` column of rule ids, one list per row, order kept.

    `column` holds events as JSON text or bytes, or as structs (matched as the JSON objects they spell; timestamps,
    dates, decimals and binary values as their text). It may be anything with `__arrow_c_stream__` or
    `__arrow_c_array__`: a Polars or pandas Series, a PyArrow array, a one-column DuckDB relation. A null row gives a
    null. A row that is no event raises `EventError` naming the row.
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
        # Before pandas 3 a Series has no Arrow interface of its own; PyArrow knows it.
        chunked = pa.chunked_array([pa.array(column)])
    else:
        raise TypeError(f"an Arrow column is needed, not {type(column).__name__}")
    if (
        pa.types.is_struct(chunked.type)
        and chunked.type.num_fields == 1
        and not isinstance(column, (pa.Array, pa.ChunkedArray))
    ):
        # A one-column table arrives as a struct of that column.
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
        raise TypeError(f"a column of JSON text, bytes or structs is needed, not {kind}")
    present = [row for row in rows if row is not None]
    try:
        matched = iter(rules.matching_many(present))
    except EventError:
        _name_the_row(rules, rows, first_row)
        raise
    return pa.array(
        [None if row is None else next(matched) for row in rows], type=pa.list_(pa.string())
    )


def _name_the_row(rules: RuleSet, rows: list[Any], first_row: int) -> None:
    for index, row in enumerate(rows):
        if row is not None:
            try:
                rules.matching(row)
            except EventError as error:
                raise EventError(f"row {first_row + index}: {error}") from error

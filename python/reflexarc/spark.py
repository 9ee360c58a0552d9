"""Matching of event columns on Spark, for archives larger than one machine.

    import reflexarc as ra, reflexarc.spark
    rules = ra.RuleSet({"failed": 'content.result == "failed"'})
    matched = reflexarc.spark.matching(frame, rules, column="event")   # adds the column "rules"

The rule set is pickled once and broadcast to the executors, which must have reflexarc installed.
Needs `pip install reflexarc[spark]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql.types import ArrayType, StringType, StructField, StructType

from . import arrow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from . import RuleSet

__all__ = ["matching"]


def matching(
    frame: DataFrame, rules: RuleSet, *, column: str = "event", into: str = "rules"
) -> DataFrame:
    """Return `frame` with a new column `into` of the ids of the rules that match each event.

    `column` holds the events as JSON text or structs; for null, `into` is null. A row that is not
    an event fails the Spark job with an `EventError`.

    Raises:
        ValueError: if `column` does not exist, or `into` exists already.
    """
    if column not in frame.columns:
        raise ValueError(f"unknown column {column!r}; the frame has {', '.join(frame.columns)}")
    if into in frame.columns:
        raise ValueError(f"column {into!r} exists already; pass another name as `into`")
    broadcast = frame.sparkSession.sparkContext.broadcast(rules)
    schema = StructType([*frame.schema.fields, StructField(into, ArrayType(StringType()), True)])

    def match(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            ids = arrow.matching(broadcast.value, batch.column(column)).combine_chunks()
            yield pa.RecordBatch.from_arrays(
                [*batch.columns, ids], names=[*batch.schema.names, into]
            )

    return frame.mapInArrow(match, schema)

"""Match an archive that outgrows one machine, on Spark.

    import reflexarc as ra, reflexarc.spark
    rules = ra.RuleSet({"failed": 'content.result == "failed"'})
    matched = reflexarc.spark.matching(frame, rules, column="event")   # adds the column "rules"

The rule set is pickled once and sent to every executor, which must have reflexarc installed.
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
    """Return `frame` with one more column `into`: the ids of the rules that match the event in `column`.

    `column` holds JSON text or structs; a null gives a null. Raises `ValueError` when `column` is not there or `into`
    already is; a row that is no event fails the Spark job with an `EventError`.
    """
    if column not in frame.columns:
        raise ValueError(f"the frame has no column {column!r}, only {', '.join(frame.columns)}")
    if into in frame.columns:
        raise ValueError(f"the frame already has a column {into!r}")
    broadcast = frame.sparkSession.sparkContext.broadcast(rules)
    schema = StructType([*frame.schema.fields, StructField(into, ArrayType(StringType()), True)])

    def match(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            ids = arrow.matching(broadcast.value, batch.column(column)).combine_chunks()
            yield pa.RecordBatch.from_arrays(
                [*batch.columns, ids], names=[*batch.schema.names, into]
            )

    return frame.mapInArrow(match, schema)

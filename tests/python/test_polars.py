"""Expressions for Polars."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import reflexarc as ra

pl = pytest.importorskip("polars")
polars = pytest.importorskip("reflexarc.polars")

RULES = ra.RuleSet({"failed": 'content.result == "failed"', "many": "content.count > 2"})
EVENTS: list[dict[str, Any]] = [
    {"content": {"result": "failed", "count": 3}},
    {"content": {"result": "success", "count": 1}},
    {"content": {"result": "failed", "count": 0}},
]
TEXTS = [json.dumps(event) for event in EVENTS]
FRAME = pl.DataFrame({"id": [0, 1, 2, 3], "event": [*TEXTS, None], "struct": [*EVENTS, None]})
EXPECTED = [["failed", "many"], [], ["failed"], None]
FAILED = 'content.result == "failed"'


@pytest.mark.parametrize("column", ["event", "struct"])
def test_expressions_match(column: str) -> None:
    events = pl.col(column)
    assert FRAME.filter(events.reflexarc.matches(FAILED))["id"].to_list() == [0, 2]
    assert FRAME.filter(polars.matches(column, ra.Pattern(FAILED)))["id"].to_list() == [0, 2]
    named = FRAME.select(events.reflexarc.matching(RULES), other=polars.matching(events, RULES))
    assert named.schema == {column: pl.List(pl.String), "other": pl.List(pl.String)}
    assert named[column].to_list() == named["other"].to_list() == EXPECTED
    assert FRAME[column].reflexarc.matches(FAILED).to_list() == [True, False, True, None]
    assert FRAME[column].reflexarc.matching(RULES).to_list() == EXPECTED


def test_lazy_and_streaming_queries_match() -> None:
    large = pl.concat([FRAME] * 5_000)
    query = (
        large.lazy()
        .filter(pl.col("event").reflexarc.matches(FAILED))
        .group_by("id")
        .agg(pl.len())
        .sort("id")
    )
    for engine in ("in-memory", "streaming"):
        assert query.collect(engine=engine).rows() == [(0, 5_000), (2, 5_000)]
    assert large.lazy().select(polars.matching("event", RULES)).collect_schema() == {
        "event": pl.List(pl.String)
    }
    empty = FRAME.clear().select(polars.matches("event", FAILED), r=polars.matching("event", RULES))
    assert empty.schema == {"event": pl.Boolean, "r": pl.List(pl.String)}


def test_errors_are_raised_or_null() -> None:
    broken = pl.DataFrame({"event": [TEXTS[0], "[]"]})
    with pytest.raises(Exception, match="row 1: "):
        broken.select(polars.matches("event", FAILED))
    masked = broken.select(polars.matches("event", FAILED, on_error="null"))
    assert masked["event"].to_list() == [True, None]
    ids = broken["event"].reflexarc.matching(RULES, on_error="null")
    assert ids.to_list() == [["failed", "many"], None]
    with pytest.raises(ra.PatternError):
        pl.col("event").reflexarc.matches("content.result = 1")


def test_pyarrow_is_not_needed() -> None:
    code = (
        "import sys\n"
        "sys.modules['pyarrow'] = None\n"
        "import polars as pl, reflexarc.polars\n"
        "frame = pl.DataFrame({'event': ['{\"a\": 1}']})\n"
        "print(frame.select(pl.col('event').reflexarc.matches('a == 1')).item())\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "True\n"), ran.stderr

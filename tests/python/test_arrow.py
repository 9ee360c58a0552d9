"""Event columns of Polars, pandas, PyArrow and DuckDB."""

from __future__ import annotations

import json
from typing import Any

import pytest
import reflexarc as ra

pa = pytest.importorskip("pyarrow")
arrow = pytest.importorskip("reflexarc.arrow")

RULES = ra.RuleSet({"failed": 'content.result == "failed"', "many": "content.count > 2"})
EVENTS: list[dict[str, Any]] = [
    {"content": {"result": "failed", "count": 3}},
    {"content": {"result": "success", "count": 1}},
    {"content": {"result": "failed", "count": 0}},
]
TEXTS = [json.dumps(event) for event in EVENTS]
EXPECTED = [["failed", "many"], [], ["failed"]]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()]
)
def test_text_and_bytes_columns_match(kind: Any) -> None:
    values = [text.encode() if "binary" in str(kind) else text for text in TEXTS]
    matched = arrow.matching(RULES, pa.array([*values, None], kind))
    assert matched.type == pa.list_(pa.string())
    assert matched.to_pylist() == [*EXPECTED, None]


def test_structs_dictionaries_and_chunks_match() -> None:
    assert arrow.matching(RULES, pa.array(EVENTS)).to_pylist() == EXPECTED
    assert arrow.matching(RULES, pa.array(TEXTS).dictionary_encode()).to_pylist() == EXPECTED
    chunks = pa.chunked_array([TEXTS[:1], TEXTS[1:], []], type=pa.string())
    assert arrow.matching(RULES, chunks).to_pylist() == EXPECTED


def test_polars_columns_match() -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"event": TEXTS, "struct": EVENTS})
    for column in ("event", "struct"):
        result = frame.with_columns(pl.Series("rules", arrow.matching(RULES, frame[column])))
        assert result["rules"].to_list() == EXPECTED


def test_pandas_columns_match() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"event": pd.Series(TEXTS, dtype="string[pyarrow]")})
    assert arrow.matching(RULES, frame["event"]).to_pylist() == EXPECTED


def test_duckdb_relations_match() -> None:
    duckdb = pytest.importorskip("duckdb")
    events = pa.table({"event": TEXTS})
    assert events.num_rows == 3
    relation = duckdb.sql("select event from events")
    assert arrow.matching(RULES, relation).to_pylist() == EXPECTED


def test_errors_name_the_row() -> None:
    chunks = pa.chunked_array([TEXTS, [TEXTS[0], "[]"]], type=pa.string())
    with pytest.raises(ra.EventError, match=r"^row 4: "):
        arrow.matching(RULES, chunks)
    with pytest.raises(TypeError, match="int64"):
        arrow.matching(RULES, pa.array([1]))
    with pytest.raises(TypeError, match="list"):
        arrow.matching(RULES, TEXTS)

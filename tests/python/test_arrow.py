"""Event columns of Polars, pandas, PyArrow and DuckDB."""

from __future__ import annotations

import gc
import ipaddress
import json
import random
import signal
import subprocess
import sys
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
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
FAILED = ra.Pattern('content.result == "failed"')
MASK = [True, False, True]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
    ],
)
def test_text_and_bytes_columns_match(kind: Any) -> None:
    values = [text.encode() if "binary" in str(kind) else text for text in TEXTS]
    column = pa.array([*values, None], kind)
    matched = arrow.matching(RULES, column)
    assert matched.type == pa.list_(pa.string())
    assert matched.to_pylist() == [*EXPECTED, None]
    # A slice begins within the buffers that it shares.
    assert arrow.matching(RULES, column[1:]).to_pylist() == [*EXPECTED[1:], None]
    mask = arrow.mask(FAILED, column)
    assert mask.type == pa.bool_() and mask.to_pylist() == [*MASK, None]
    assert arrow.mask("content.count > 2", column[1:]).to_pylist() == [False, False, None]
    assert arrow.mask({"content": {"count": [3]}}, column)[0].as_py()


def test_structs_dictionaries_and_chunks_match() -> None:
    assert arrow.matching(RULES, pa.array(EVENTS)).to_pylist() == EXPECTED
    assert arrow.matching(RULES, pa.array([*EVENTS, None])[1:]).to_pylist() == [*EXPECTED[1:], None]
    assert arrow.matching(RULES, pa.array(TEXTS).dictionary_encode()).to_pylist() == EXPECTED
    chunks = pa.chunked_array([TEXTS[:1], TEXTS[1:], []], type=pa.string())
    matched = arrow.matching(RULES, chunks)
    assert matched.to_pylist() == EXPECTED
    assert [len(chunk) for chunk in matched.chunks] == [1, 2]
    for none in (pa.array([], pa.string()), pa.chunked_array([], pa.string())):
        assert arrow.matching(RULES, none).type == pa.list_(pa.string())
        assert len(arrow.mask(FAILED, none)) == 0
    assert arrow.mask(FAILED, pa.nulls(2)).to_pylist() == [None, None]


def test_rows_of_tables_are_events() -> None:
    table = pa.table({"content": [event["content"] for event in EVENTS], "id": [1, 2, 3]})
    assert arrow.matching(RULES, table).to_pylist() == EXPECTED
    assert arrow.mask("id > 1", table).to_pylist() == [False, True, True]
    assert arrow.mask("id > 1", table.to_batches()[0]).to_pylist() == [False, True, True]
    assert arrow.mask("id > 1", table.to_reader()).to_pylist() == [False, True, True]
    assert arrow.matching(RULES, pa.table({"event": TEXTS})).to_pylist() == EXPECTED
    assert arrow.matching(RULES, pa.table({"event": EVENTS})).to_pylist() == EXPECTED


def test_slices_of_nested_structs_match() -> None:
    deep = [{"a": {"b": {"c": n, "d": {"e": str(n)}}}, "n": n} for n in range(10)]
    column, pattern = pa.array(deep), 'a.b.c > 6 and a.b.d.e != "8"'
    expected = [n in (7, 9) for n in range(10)]
    for matched in (
        arrow.mask(pattern, column[3:]),
        arrow.mask(pattern, pa.chunked_array([column[3:5], column[5:8], column[8:]])),
        arrow.mask(pattern, pa.Table.from_struct_array(column)[3:]),
        arrow.mask(pattern, pa.RecordBatch.from_struct_array(column)[3:]),
        arrow.mask(pattern, pa.array([None, *deep])[4:]),
    ):
        assert matched.to_pylist() == expected[3:]


def random_value(choose: random.Random, depth: int) -> Any:
    """A value with a JSON form and a form in Arrow; of a depth always of the same type."""
    if depth == 0:
        return choose.choice([None, 'a"b\\c', "\x00\x1f\x7f", "élan 猫 🐈", "", "10.0.0.1"])
    return {
        "text": random_value(choose, 0),
        "int": choose.choice([None, 0, -(2**63), 2**63 - 1, 7]),
        "float": choose.choice([None, 0.1, -0.0, 1e300, 5e-324, 1.5]),
        "bool": choose.choice([None, True, False]),
        "decimal": choose.choice([None, Decimal("12.50"), Decimal("-0.01")]),
        "list": [random_value(choose, depth - 1) for _ in range(choose.randrange(3))],
        "quo\"te'\n": choose.choice([None, []]),
        "struct": random_value(choose, depth - 1),
    }


def test_structs_are_matched_as_dicts() -> None:
    choose = random.Random(7)
    rows = [choose.choice([None, random_value(choose, 3)]) for _ in range(3_000)]
    column = pa.chunked_array([pa.array(rows[:1500]), pa.array(rows[1500:])])
    patterns: list[str | dict[str, Any]] = [
        "text exists",
        "int == 9223372036854775807 or int < 0",
        "float in [0.1, 1e300, 5e-324]",
        "bool == true",
        "decimal == 12.5",
        'struct.text starts with "a"',
        'list.struct.text contains "猫"',
        "struct.list.int == 7 and struct.list.bool == false",
        "struct.float == null",
        {"quo\"te'\n": [{"exists": False}]},
    ]
    rules = ra.RuleSet({f"p{n}": pattern for n, pattern in enumerate(patterns)})
    expected = [None if row is None else rules.matching(row) for row in rows]
    assert arrow.matching(rules, column).to_pylist() == expected
    assert {rule for ids in expected if ids for rule in ids} == set(rules)
    for pattern in patterns:
        compiled = ra.Pattern(pattern)
        mask = [None if row is None else compiled.matches(row) for row in rows]
        assert arrow.mask(compiled, column).to_pylist() == mask, pattern


def test_times_and_maps_in_structs_have_a_json_form() -> None:
    at, zone = datetime(2026, 11, 25, 8, 0, 0, 250_000), timezone(timedelta(hours=8))
    columns = {
        "naive": pa.array([at], pa.timestamp("us")),
        "utc": pa.array([at], pa.timestamp("ns", "UTC")),
        "zoned": pa.array([at.replace(tzinfo=zone)], pa.timestamp("ms", "+08:00")),
        "date": pa.array([date(2026, 11, 25)]),
        "time": pa.array([time(8, 30)]),
        "half": pa.array([0.5], pa.float16()),
        "small": pa.array([200], pa.uint8()),
        "category": pa.array(["x"]).dictionary_encode(),
        "pair": pa.array([[1, 2]], pa.list_(pa.int32(), 2)),
        "map": pa.array([[("eniId", "eni-1")]], pa.map_(pa.string(), pa.string())),
    }
    table = pa.table(columns)
    for pattern in (
        'naive == "2026-11-25T08:00:00.250"',
        'utc == "2026-11-25T08:00:00.250Z"',
        'zoned == "2026-11-25T08:00:00.250+08:00"',
        'date == "2026-11-25"',
        'time == "08:30:00"',
        "half == 0.5 and small == 200",
        'category == "x" and pair == 2',
        'map.eniId == "eni-1"',
    ):
        assert arrow.mask(pattern, table).to_pylist() == [True], pattern


def test_values_without_a_json_form_are_errors_where_they_are_read() -> None:
    rows = [
        {"id": 1, "raw": None, "n": 1.0, "inner": {"raw": b"x", "wait": timedelta(1), "id": 1}},
        {"id": 2, "raw": b"\xff", "n": float("nan"), "inner": {"raw": None, "wait": None, "id": 2}},
    ]
    column = pa.array(rows)
    assert arrow.mask("id > 1 and inner.id > 1", column).to_pylist() == [False, True]
    with pytest.raises(ra.EventError, match=r'^row 1: event\["raw"\]: a value of type Binary'):
        arrow.mask("raw exists", column)
    with pytest.raises(ra.EventError, match=r'^row 1: event\["n"\]: a number that is not finite'):
        arrow.mask("n > 0", column)
    for pattern in ('inner.raw == "x"', 'inner == "x"', 'inner.raw.deeper == "x"'):
        with pytest.raises(ra.EventError, match=r'^row 0: event\["inner"\]\["raw"\]: '):
            arrow.mask(pattern, column)
    with pytest.raises(
        ra.EventError, match=r'event\["inner"\]\["wait"\]: a value of type Duration'
    ):
        arrow.matching(ra.RuleSet({"a": "inner.wait exists"}), column)
    assert arrow.mask("n > 0", column, on_error="null").to_pylist() == [True, None]


def test_polars_columns_match() -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"event": TEXTS, "struct": EVENTS})
    for column in ("event", "struct"):
        result = frame.with_columns(pl.Series("rules", arrow.matching(RULES, frame[column])))
        assert result["rules"].to_list() == EXPECTED
        mask = pl.Series(arrow.mask(FAILED, frame[column]))
        assert frame.filter(mask)[column].to_list() == [frame[column][0], frame[column][2]]
    assert arrow.matching(RULES, frame.select("event")).to_pylist() == EXPECTED


def test_pandas_columns_match() -> None:
    pd = pytest.importorskip("pandas")
    for kind in ("string[pyarrow]", "object"):
        frame = pd.DataFrame({"event": pd.Series(TEXTS, dtype=kind)})
        assert arrow.matching(RULES, frame["event"]).to_pylist() == EXPECTED
        failed = frame[arrow.mask(FAILED, frame["event"]).to_numpy()]
        assert list(failed.index) == [0, 2]
    assert arrow.matching(RULES, pd.Series(EVENTS)).to_pylist() == EXPECTED


def test_duckdb_relations_match() -> None:
    duckdb = pytest.importorskip("duckdb")
    contents = [event["content"] for event in EVENTS]
    events = pa.table({"event": TEXTS, "content": contents})
    for query in ("select event from events", "select content, event as text from events"):
        assert arrow.matching(RULES, duckdb.sql(query)).to_pylist() == EXPECTED
    rows = duckdb.sql("select {'result': 'failed', 'count': 3} as content, 1 as id")
    assert arrow.matching(RULES, rows).to_pylist() == [["failed", "many"]]
    # The result goes back into a query.
    matched = pa.table({"event": TEXTS, "rules": arrow.matching(RULES, events["event"])})
    assert matched.num_columns == 2
    query = "select unnest(rules) as rule, count(*) from matched group by 1 order by 1"
    counted = duckdb.sql(query)
    assert counted.fetchall() == [("failed", 2), ("many", 1)]


def test_errors_name_the_row() -> None:
    chunks = pa.chunked_array([TEXTS, [TEXTS[0], "[]", "{"]], type=pa.string())
    for match in (arrow.matching, arrow.mask):
        first = RULES if match is arrow.matching else FAILED
        with pytest.raises(ra.EventError, match=r"^row 4: .*an array"):
            match(first, chunks)
        assert match(first, chunks, on_error="null").null_count == 2
        with pytest.raises(ValueError, match="on_error"):
            match(first, chunks, on_error="skip")
        with pytest.raises(TypeError, match="Int64"):
            match(first, pa.array([1]))
        with pytest.raises(TypeError, match="list"):
            match(first, TEXTS)
    # Many parts on many threads: the first row with an error all the same.
    texts = ["{}"] * 20_000
    texts[9_001] = texts[9_000] = texts[15_000] = "?"
    with pytest.raises(ra.EventError, match=r"^row 9000: "):
        arrow.mask(FAILED, pa.array(texts))
    with pytest.raises(ra.PatternError):
        arrow.mask("content.result = 1", pa.array(TEXTS))
    long = pa.array(["{}", json.dumps({"a": "x" * (1 << 20)})])
    with pytest.raises(ra.EventError, match=r"^row 1: .*1048576"):
        arrow.mask(FAILED, long)


def test_columns_equal_matching_many() -> None:
    choose = random.Random(3)
    texts = [
        json.dumps({"content": {"result": choose.choice(["failed", "ok"]), "count": n % 5}})
        for n in range(10_000)
    ]
    expected = RULES.matching_many(texts)
    nulls = [text if n % 7 else None for n, text in enumerate(texts)]
    column = pa.chunked_array([pa.array(nulls[:5_000]), pa.array(nulls[5_000:])])
    assert arrow.matching(RULES, column).to_pylist() == [
        ids if n % 7 else None for n, ids in enumerate(expected)
    ]
    assert arrow.mask(FAILED, pa.array(texts)).to_pylist() == ["failed" in ids for ids in expected]


def test_envelopes_are_converted_for_rules_only() -> None:
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "acs.ecs",
        "type": "ecs:NetworkInterface:NetworkInterfaceOperateCompleted",
        "data": {"result": "failed"},
    }
    for column in (pa.array([json.dumps(event)]), pa.array([event])):
        assert arrow.matching(RULES, column).to_pylist() == [["failed"]]
        assert arrow.mask(FAILED, column).to_pylist() == [False]
        assert arrow.mask('data.result == "failed"', column).to_pylist() == [True]


def test_columns_are_released() -> None:
    before = pa.total_allocated_bytes()
    for _ in range(20):
        column = pa.array(["{}" * 1 for _ in range(50_000)])
        arrow.matching(RULES, column)
        arrow.mask(FAILED, column)
    del column
    gc.collect()
    assert pa.total_allocated_bytes() - before < 1 << 20


def test_addresses_of_columns_match() -> None:
    addresses = [str(ipaddress.ip_address("10.0.0.0") + n) for n in range(300)]
    table = pa.table({"ip": addresses})
    rows = pa.table({"ip": addresses, "n": range(300)})
    assert table.num_rows == 300
    assert sum(arrow.mask('ip in cidr "10.0.0.0/25"', rows).to_pylist()) == 128


INTERRUPTED = """
import json, pyarrow as pa, reflexarc as ra, reflexarc.arrow
rules = ra.RuleSet({f"r{i}": {"v": [{"wildcard": f"*a*b*{i}*c"}]} for i in range(300)})
text = json.dumps({"v": "ab" * 2000})
column = pa.array([text] * 50_000)
try:
    print("ready", flush=True)
    reflexarc.arrow.matching(rules, column)
    print("finished", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_stops_the_matching_of_a_column() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=300)[0] == "interrupted\n"

"""Data frames on a local Spark."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
import reflexarc as ra

if shutil.which("java") is None:
    pytest.skip("Spark needs Java, and there is none on this machine", allow_module_level=True)
sql = pytest.importorskip("pyspark.sql")


def test_executors_match_with_the_broadcast_rules(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("PYSPARK_DRIVER_PYTHON", sys.executable)
    from reflexarc import spark as ra_spark

    builder = sql.SparkSession.builder.master("local[2]").appName("reflexarc")
    builder = builder.config("spark.ui.enabled", "false").config(
        "spark.driver.bindAddress", "127.0.0.1"
    )
    builder = builder.config("spark.driver.host", "127.0.0.1")
    builder = builder.config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("spark")))
    session = builder.getOrCreate()
    try:
        rules = ra.RuleSet({"failed": 'content.result == "failed"'})
        rows = [
            (i, json.dumps({"content": {"result": "failed" if i % 2 else "success"}}))
            for i in range(100)
        ]
        frame = session.createDataFrame([*rows, (100, None)], "id long, event string").repartition(
            4
        )
        matched = ra_spark.matching(frame, rules).orderBy("id").collect()
        assert [row.rules for row in matched] == [
            ["failed"] if i % 2 else [] for i in range(100)
        ] + [None]
        with pytest.raises(ValueError, match="unknown column"):
            ra_spark.matching(frame, rules, column="other")
        with pytest.raises(ValueError, match="already"):
            ra_spark.matching(frame, rules, into="id")
    finally:
        session.stop()

"""Lookup tables."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import reflexarc as ra

RULE = """
when = 'ip exists'
lookup = { vswitch = { table = "vswitches", key = "ip" } }
then = 'notify("ops", `in ${lookup.vswitch?.id ?? "none"}`)'
"""
CSV = "cidr,id\n10.0.0.0/8,vsw-1\n10.1.0.0/16,vsw-2\n"
ROWS: list[dict[str, Any]] = [
    {"cidr": "10.0.0.0/8", "id": "vsw-1"},
    {"id": "vsw-2", "cidr": "10.1.0.0/16"},
]


def text(rules: ra.RuleSet, ip: str) -> str:
    found = rules.evaluate({"ip": ip}).actions[0].text
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize("table", [CSV, ROWS, tuple(ROWS), iter(ROWS)])
def test_tables_are_csv_text_or_rows(table: Any) -> None:
    rules = ra.RuleSet.from_rules({"attach": RULE}, tables={"vswitches": table})
    assert text(rules, "10.2.0.1") == "in vsw-1"
    assert text(rules, "::ffff:10.1.0.1") == "in vsw-2"
    assert text(rules, "192.168.0.1") == "in none"
    assert rules.warnings == []


def test_tables_are_loaded_beside_the_rules(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "attach.toml").write_text(RULE)
    (tmp_path / "tables" / "vswitches.csv").write_text(CSV)
    for path in (tmp_path, tmp_path / "attach.toml"):
        assert text(ra.RuleSet.load(path), "10.2.0.1") == "in vsw-1"


def test_copies_of_a_rule_set_have_its_tables(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "attach.toml").write_text(RULE)
    (tmp_path / "tables" / "vswitches.csv").write_text(CSV)
    loaded = ra.RuleSet.load(tmp_path)
    made = ra.RuleSet.from_rules({"attach": RULE}, tables={"vswitches": CSV})
    for rules in (loaded, made):
        again = pickle.loads(pickle.dumps(rules))
        assert again == rules == copy.deepcopy(rules)
        assert text(again, "10.1.0.1") == "in vsw-2"
        assert again.content_hash == rules.content_hash
    assert loaded.content_hash == made.content_hash
    other = ra.RuleSet.from_rules({"attach": RULE}, tables={"vswitches": CSV + "::/0,v6\n"})
    assert other != made
    assert other.content_hash != made.content_hash


def test_invalid_tables_are_errors() -> None:
    with pytest.raises(ra.RuleError) as error:
        ra.RuleSet.from_rules({"attach": RULE}, tables={"vswitches": "cidr,id\n10.0.0.0/8\n"})
    found = error.value.diagnostics[0]
    assert (found.code, found.source) == ("RA0442", "vswitches.csv")
    with pytest.raises(ra.RuleError) as error:
        ra.RuleSet.from_rules({"attach": RULE}, tables={"vswitch": CSV})
    assert error.value.diagnostics[0].code == "RA0440"
    with pytest.raises(ra.RuleError, match="unknown table"):
        ra.RuleSet.from_rules({"attach": RULE})
    for tables in ([], "x", {"vswitches": 5}, {"vswitches": {"a": 1}}, {1: CSV}):
        with pytest.raises(TypeError):
            ra.RuleSet.from_rules({"attach": RULE}, tables=tables)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="row 1 of the table `vswitches`"):
        rows = [{"cidr": "::/0"}, {"cidr": {1, 2}}]
        ra.RuleSet.from_rules({"attach": RULE}, tables={"vswitches": rows})


def test_an_explanation_has_the_rows() -> None:
    rules = ra.RuleSet.from_rules({"attach": RULE}, tables={"vswitches": ROWS})
    found = rules.explain({"ip": "10.2.0.1"}, "attach")
    assert found.lookups == {"vswitch": {"cidr": "10.0.0.0/8", "id": "vsw-1"}}
    assert rules.explain({"ip": "11.2.0.1"}, "attach").lookups == {"vswitch": None}
    assert ra.Pattern("ip exists").explain({"ip": 1}).lookups == {}

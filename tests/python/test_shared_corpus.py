"""The shared corpus of the pattern language, with events as text, bytes and dict."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import reflexarc as ra

CORPUS = os.environ.get("REFLEXARC_CORPUS")
# Each file of rows is its own skipped test where the folder is missing.
pytestmark = pytest.mark.skipif(CORPUS is None, reason="REFLEXARC_CORPUS is not set")

# Rows with a different result by design; crates/pattern/tests/corpus/differences.rs has the same
# list, with longer reasons.
DIFFERENCES = {
    "quamina/TestZZ/033": "absence is judged last",
    "probe/0700": "absence is judged last",
    "probe/0080": "half of a surrogate pair is no text",
    "probe/0081": "half of a surrogate pair is no text",
    "probe/0026": "text after an event is an error",
    "probe/0283": "a title-case letter accepts itself",
    "probe/0648": "every spelling of an address is one value, also in `anything-but`",
    "probe/0838": "every spelling of an address is one value, also in `anything-but`",
}


def duplicates(text: str) -> bool:
    """Whether the text has duplicate keys, which a dict cannot, or Python refuses it."""
    twice = False

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        twice |= len({key for key, _ in members}) < len(members)
        return dict(members)

    try:
        json.loads(text, object_pairs_hook=pairs)
    except ValueError:
        return True
    return twice


@pytest.mark.parametrize("name", ["aws.jsonl", "random.jsonl"])
def test_corpus_rows_match(name: str) -> None:
    import decimal

    wrong = []
    rows = [
        json.loads(line)
        for line in (Path(CORPUS or "") / name).read_text(encoding="utf-8").split("\n")
        if line
    ]
    assert len(rows) > 2000
    for row in rows:
        expected = row.get("ours", row["expect"])
        try:
            pattern = ra.Pattern(row["pattern"], dialect="aws")
        except ra.PatternError:
            if expected != "error":
                wrong.append((row["id"], "rejected"))
            continue
        if expected == "error":
            wrong.append((row["id"], "accepted"))
            continue
        event = row["event"]
        forms: list[Any] = [event, event.encode("utf-8", "surrogatepass")]
        if not duplicates(event):
            forms.append(json.loads(event, parse_float=decimal.Decimal))
        for form in forms:
            try:
                answer = pattern.matches(form)
            except ra.EventError:
                answer = False
            if answer != expected:
                wrong.append((row["id"], type(form).__name__))
    assert [place for place in wrong if place[0] not in DIFFERENCES] == []

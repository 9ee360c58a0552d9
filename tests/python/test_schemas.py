"""`reflexarc schema`: valid files are valid by it, and faults of keys and types are not."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from service_process import program

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 does not have it")

ROOT = Path(__file__).resolve().parents[2]
RULES = sorted(
    path
    for folder in ["rules", "deploy/compose/rules", "tests/corpus/calls", "tests/corpus/time"]
    for path in (ROOT / folder).glob("*.toml")
)
CONFIGURATIONS = [
    ROOT / "examples/reflexarc.toml",
    ROOT / "deploy/compose/config/reflexarc.toml",
    ROOT / "tests/fixtures/0.1.0/reflexarc.toml",
    ROOT / "crates/service/src/config/template.toml",
]
# Faults of keys and types, which a schema can find; others are about what values mean.
RULE_CODES = {"RA0402", "RA0403", "RA0404"}
CONFIG_CODES = {"RA0602", "RA0603"}

Validate = Callable[[str], list[str]]


def validator(kind: str) -> Validate:
    """What is wrong with a TOML text by a schema."""
    schema = subprocess.run([program(), "schema", kind], capture_output=True, text=True, check=True)
    schema = json.loads(schema.stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    checker = jsonschema.Draft7Validator(schema)

    def validate(text: str) -> list[str]:
        return [error.message for error in checker.iter_errors(as_json(tomllib.loads(text)))]

    return validate


def as_json(value: Any) -> Any:
    """A value of TOML as a schema sees it: dates are strings."""
    if isinstance(value, dict):
        return {key: as_json(member) for key, member in value.items()}
    if isinstance(value, list):
        return [as_json(element) for element in value]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    return value


@pytest.fixture(scope="module")
def rule() -> Validate:
    return validator("rule")


@pytest.fixture(scope="module")
def config() -> Validate:
    return validator("config")


def examples(name: str) -> list[tuple[str, str, str]]:
    """The examples of diagnostic codes: code, `wrong` or `right`, text."""
    page = (ROOT / "crates/diagnostic/src/codes" / name).read_text(encoding="utf-8")
    found = []
    for section in page.split("## ")[1:]:
        code = section.split("\n", 1)[0].strip()
        for kind, text in re.findall(r"```toml (wrong|right)\n(.*?)```", section, re.DOTALL):
            found.append((code, kind, text))
    return found


def test_rules_are_valid(rule: Validate) -> None:
    assert len(RULES) > 25
    for path in RULES:
        assert rule(path.read_text(encoding="utf-8")) == [], path


def test_configurations_are_valid(config: Validate) -> None:
    for path in CONFIGURATIONS:
        assert config(path.read_text(encoding="utf-8")) == [], path


def test_every_setting_of_the_template_is_valid(config: Validate) -> None:
    """The sections and keys that are commented out, one section at a time."""
    template = CONFIGURATIONS[-1].read_text(encoding="utf-8")
    line = re.compile(r"^(?:# )*(\[\[?[a-z_.-]+\]\]?(?: +#.*)?|[a-z_]+ = .*)$")
    sections: list[list[str]] = [[]]
    for text in template.splitlines():
        if found := line.match(text):
            if found[1].startswith("["):
                sections.append([])
            # A key that is shown twice, in two ways.
            key = found[1].split(" = ")[0]
            if not any(other.startswith(f"{key} = ") for other in sections[-1]):
                sections[-1].append(found[1])
    assert len(sections) > 25
    for section in sections:
        assert config("\n".join(section)) == [], section


def test_examples_of_codes_are_valid_or_not(rule: Validate, config: Validate) -> None:
    refused = set()
    for name in ["rule_files.md", "meaning.md", "reactions.md", "dialects.md", "syntax.md"]:
        for code, kind, text in examples(name):
            if kind == "right":
                assert rule(text) == [], (code, text)
            elif code in RULE_CODES:
                assert rule(text) != [], (code, text)
                refused.add(code)
    for code, kind, text in examples("configuration.md"):
        if kind == "right":
            assert config(text) == [], (code, text)
        elif code in CONFIG_CODES:
            assert config(text) != [], (code, text)
            refused.add(code)
    assert refused >= {"RA0402", "RA0403"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("notify = 'a'", "'when' is a required property"),
        ("when = 'a == 1'\nwehn = 'x'", "'wehn' was unexpected"),
        ("when = 1", "1 is not of type 'string'"),
        ("when = 'a == 1'\nlevel = 'warning'", "'warning' is not one of"),
        ("when = 'a == 1'\n[[test]]\nname = 'x'\nmatch = true", "'match' was unexpected"),
        ("when = 'a == 1'\n[[test]]\nname = 'x'\n[[test.step]]\nevnt = '{}'", "'evnt' was"),
        ("when = 'a == 1'\ncount = { at_least = 'six', within = '1m' }", "'six' is not of type"),
        ("when = 'a == 1'\ncount = { at_least = 6 }", "is not valid under any of the given"),
        ("when = 'a == 1'\nthrottle = { key = 'b' }", "'every' is a required property"),
    ],
)
def test_faults_of_rules_are_refused(rule: Validate, text: str, fault: str) -> None:
    assert any(fault in message for message in rule(text)), rule(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("lisen = 1", "'lisen' was unexpected"),
        ("[http]\nlisten = 8321", "8321 is not of type 'string'"),
        ("[targets.a]\npath = 'x'", "'type' is a required property"),
        ("[targets.a]\ntype = 'mail'", "'mail' is not one of"),
        ("[targets.a]\ntype = 'file'\npath = 'x'\nhost = 'y'", "'host' was unexpected"),
        ("[targets.a]\ntype = 'dingtalk'\ntoken = 'secret'", "'secret' is not of type 'object'"),
        ("[targets.a]\ntype = 'email'\nhost = 'x'\nfrom = 'y'", "'to' is a required property"),
        ("[limits]\nconnections = 0", "0 is less than the minimum"),
    ],
)
def test_faults_of_configurations_are_refused(config: Validate, text: str, fault: str) -> None:
    assert any(fault in message for message in config(text)), config(text)

"""The stub and the docstrings are equal, and their examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path
from typing import Any

import pytest
import reflexarc as ra
from reflexarc import _core

STUB = Path(ra.__file__).with_name("_core.pyi")


def documented() -> list[tuple[str, str]]:
    found = []
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            members = [(node.name, ast.get_docstring(node))]
            if isinstance(node, ast.ClassDef):
                functions = [inner for inner in node.body if isinstance(inner, ast.FunctionDef)]
                members += [
                    (f"{node.name}.{inner.name}", ast.get_docstring(inner)) for inner in functions
                ]
            found += [(name, doc) for name, doc in members if doc is not None]
    return found


def written_in_python() -> list[tuple[str, Any]]:
    found = []
    for name in ra.__all__:
        thing = getattr(ra, name)
        if getattr(thing, "__module__", "") != "reflexarc._core" and not hasattr(_core, name):
            found.append((name, thing))
            if inspect.isclass(thing):
                bases = [base for base in thing.__mro__ if base.__module__.startswith("reflexarc")]
                members = [item for base in bases for item in vars(base).items()]
                found += [(f"{name}.{member}", value) for member, value in members]
    return [(name, thing) for name, thing in found if callable(thing) or inspect.isclass(thing)]


@pytest.mark.parametrize(("name", "thing"), written_in_python())
def test_python_parts_are_documented_with_examples_that_run(name: str, thing: Any) -> None:
    member = name.rpartition(".")[2]
    assert inspect.getdoc(thing) or member.startswith("_")
    doc = thing.__doc__ or ""
    if ">>>" in doc:
        globals_ = {member: getattr(ra, member) for member in ra.__all__}
        test = doctest.DocTestParser().get_doctest(doc, globals_, name, "reflexarc", 0)
        assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize(("name", "doc"), documented())
def test_docstrings_equal_the_stub(name: str, doc: str) -> None:
    thing = _core
    for part in name.split("."):
        thing = getattr(thing, part)
    assert inspect.getdoc(thing) == doc


def test_every_public_name_is_documented() -> None:
    names = {name for name, _ in documented()}
    for name in ra.__all__:
        if name.startswith("__") or not hasattr(_core, name):
            continue
        thing = getattr(ra, name)
        assert name in names
        if inspect.isclass(thing) and not issubclass(thing, Exception):
            for member in vars(thing):
                if not member.startswith("_"):
                    assert f"{name}.{member}" in names, f"{name}.{member}"


@pytest.mark.parametrize("module", ["automation", "sources", "testing"])
def test_examples_of_python_modules_run(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"reflexarc.{module}"))
    assert result.attempted and not result.failed


@pytest.mark.parametrize(("name", "doc"), [case for case in documented() if ">>>" in case[1]])
def test_docstring_examples_run(name: str, doc: str) -> None:
    globals_ = {member: getattr(ra, member) for member in ra.__all__}
    test = doctest.DocTestParser().get_doctest(doc, globals_, name, str(STUB), 0)
    runner = doctest.DocTestRunner()
    assert test.examples and runner.run(test).failed == 0


def test_readme_examples_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    blocks = (root / "README.md").read_text(encoding="utf-8").split("```python\n")[1:]
    assert blocks
    for block in blocks:
        exec(compile(block.partition("```")[0], "README.md", "exec"), {})


def test_readme_commands_run(root: Path) -> None:
    command = Path(sysconfig.get_path("scripts"), "reflexarc")
    version = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout == f"reflexarc {ra.__version__}\n"
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "rules"]
    done = subprocess.run(tests, cwd=root, capture_output=True, text=True, check=True)
    assert re.search(r"^\d\d+ passed in", done.stdout, re.MULTILINE), done.stdout


def example_of(module: Any) -> dict[str, Any]:
    """Run the example in the documentation of a module, and return its variables."""
    lines = module.__doc__.splitlines(keepends=True)
    example = "".join(line for line in lines if line.startswith("    "))
    names: dict[str, Any] = {}
    exec(compile(textwrap.dedent(example), module.__name__, "exec"), names)
    return names


def test_arrow_example_runs() -> None:
    pytest.importorskip("polars")
    names = example_of(pytest.importorskip("reflexarc.arrow"))
    assert names["frame"]["rules"].to_list() == [["failed"], []]
    assert names["failed"]["event"].to_list() == names["texts"][:1]


def test_polars_example_runs() -> None:
    names = example_of(pytest.importorskip("reflexarc.polars"))
    assert names["failed"].collect()["event"].to_list() == names["texts"][:1]
    assert names["named"]["rules"].to_list() == [["failed"], []]


def test_package_example_runs() -> None:
    test = doctest.DocTestParser().get_doctest(ra.__doc__ or "", {}, "reflexarc", ra.__file__, 0)
    assert test.examples and doctest.DocTestRunner().run(test).failed == 0

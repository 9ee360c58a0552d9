"""pytest plugin: runs the tests in rule files as pytest items, and provides fixtures.

Each test in a rule file becomes an item:

    $ pytest rules
    rules/failed-operation.toml::a failed attach is announced PASSED

Rule files are looked for below the folder of the ini option `reflexarc_rules`, relative to the root
of the project; by default below every folder named `rules`. A `*.toml` file there is a rule file if
it has a key `when`, `then` or `notify`, or one that is almost `when`, before its first table. Other
files, such as a `pyproject.toml`, are not collected.

Fixtures:
    ruleset: the rules in the folder of the ini option `reflexarc_rules`, by default `rules`.
    eni_event: a function that creates ENI operation notifications.
    fake_clock: a clock that a test moves on.
    automation: an automation of these rules, whose clock is `fake_clock`; it records every action
        instead of delivering it (`reflexarc.testing`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import Event, RuleError, RuleSet, RuleTest

if TYPE_CHECKING:
    from .testing import FakeClock, TestedAutomation

DEFAULT_FOLDER = "rules"

# A key at the beginning of a line, and the beginning of a table.
KEY = re.compile(r"""^[ \t]*["']?([\w-]+)["']?[ \t]*=""", re.ASCII)
TABLE = re.compile(r"^[ \t]*\[")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini option."""
    help = "folder of rule files: their tests become items, and it is that of the fixture `ruleset`"
    parser.addini("reflexarc_rules", help, default=DEFAULT_FOLDER)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> RuleFile | None:
    """Collect rule files."""
    if file_path.suffix != ".toml" or not _is_in_rules_folder(file_path, parent.config):
        return None
    # A folder of lookup tables has no rules.
    if file_path.parent.name == "tables":
        return None
    return RuleFile.from_parent(parent, path=file_path) if _is_rule_file(file_path) else None


def _is_in_rules_folder(file_path: Path, config: pytest.Config) -> bool:
    folder = str(config.getini("reflexarc_rules"))
    if (config.rootpath / folder).resolve() in file_path.resolve().parents:
        return True
    try:
        parents = file_path.relative_to(config.rootpath).parent.parts
    except ValueError:
        # Outside of the project, as in `pytest ../other/rules`.
        parents = file_path.parent.parts
    return folder == DEFAULT_FOLDER and DEFAULT_FOLDER in parents


def _is_rule_file(file_path: Path) -> bool:
    # Not parsed as TOML: a file with a syntax error is a broken rule, not another kind of file.
    for line in file_path.read_text(encoding="utf-8", errors="replace").splitlines():
        if TABLE.match(line):
            return False
        key = KEY.match(line)
        if key and _is_rule_key(key[1]):
            return True
    return False


def _is_rule_key(key: str) -> bool:
    # A misspelt `when` is an error of a rule, which must be seen.
    is_almost_when = difflib.SequenceMatcher(None, key.lower(), "when").ratio() >= 0.75
    return key in ("then", "notify") or is_almost_when


class RuleFile(pytest.File):
    """A rule file. Collecting it compiles the rule and runs its tests."""

    def collect(self) -> Iterator[RuleItem]:
        """Yield an item for each test."""
        try:
            rules = RuleSet.load(self.path)
        except RuleError as error:
            raise self.CollectError(str(error)) from None
        for test in rules.test():
            yield RuleItem.from_parent(self, name=test.name, test=test)


class RuleItem(pytest.Item):
    """A `[[test]]` of a rule file."""

    def __init__(self, *, test: RuleTest, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._test = test

    def runtest(self) -> None:
        """Fail if the test has mismatches."""
        if not self._test.passed:
            raise RuleTestFailure("\n".join(self._test.mismatches))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show only the mismatches, without a traceback."""
        if isinstance(excinfo.value, RuleTestFailure):
            return f"{self._test.file}:{self._test.line}\n{excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the location of the test."""
        return self.path, self._test.line - 1, f"rule {self._test.rule}: {self.name}"


class RuleTestFailure(Exception):
    """A test in a rule file has mismatches."""


@pytest.fixture(scope="session")
def ruleset(pytestconfig: pytest.Config) -> RuleSet:
    """Load the rules of the project."""
    return RuleSet.load(pytestconfig.rootpath / str(pytestconfig.getini("reflexarc_rules")))


@pytest.fixture
def fake_clock() -> FakeClock:
    """Return a clock that does not move until it is set."""
    from .testing import FakeClock

    return FakeClock()


@pytest.fixture
def automation(ruleset: RuleSet, fake_clock: FakeClock) -> TestedAutomation:
    """Return an automation of the rules of the project that records every action."""
    from .testing import TestedAutomation

    return TestedAutomation(ruleset, clock=fake_clock)


@pytest.fixture
def eni_event() -> Callable[..., Event]:
    """Return a function that creates an ENI operation notification.

    Keyword arguments replace members of `content` such as `eniId`, `operation` or `result`, or the
    members `userId`, `regionId`, `eventTime` and `id` of the event. The level follows from the
    result.
    """

    def make(**members: Any) -> Event:
        envelope = {
            "id": "11111111-2222-4333-8444-555555555555",
            "eventTime": "20260102T030405.678+0800",
            "userId": "1234567890123456",
            "regionId": "cn-hangzhou",
        }
        envelope.update({key: members.pop(key) for key in list(members) if key in envelope})
        content = {
            "eniId": "eni-bp1example",
            "operation": "AttachNetworkInterface",
            "eniStatus": "InUse",
            "result": "success",
            "requestId": "99999999-8888-4777-8666-555555555555",
            "primaryPrivateIp": "192.168.1.10",
            **members,
        }
        arn = f"acs:ecs:{envelope['regionId']}:{envelope['userId']}"
        return Event(
            {
                "ver": "1.0",
                **envelope,
                "product": "ECS",
                "resourceId": f"{arn}:eni/{content['eniId']}",
                "level": "WARN" if content["result"] == "failed" else "INFO",
                "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
                "content": content,
            }
        )

    return make

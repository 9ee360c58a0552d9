"""pytest plugin: runs the tests in rule files as pytest items, and provides fixtures.

Each test in a `*.toml` file below a folder named `rules` becomes an item:

    $ pytest rules
    rules/failed-operation.toml::a failed attach is announced PASSED

Fixtures:
    ruleset: the rules in the folder of the ini option `reflexarc_rules` (by default `rules`,
        relative to the root of the project).
    eni_event: a function that creates ENI operation notifications.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from . import Event, RuleError, RuleSet, RuleTest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini option."""
    parser.addini("reflexarc_rules", "rules folder of the fixture `ruleset`", default="rules")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> RuleFile | None:
    """Collect rule files."""
    if file_path.suffix == ".toml" and "rules" in file_path.parent.parts:
        return RuleFile.from_parent(parent, path=file_path)
    return None


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

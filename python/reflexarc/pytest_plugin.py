"""Runs the `[[test]]`s of rule files under pytest, and offers fixtures.

Every `*.toml` file in a folder called `rules` that pytest collects becomes a set of items, one a test:

    $ pytest rules
    rules/failed-operation.toml::a failed attach is announced PASSED

Fixtures: `ruleset`, the rules of the folder named by the ini option `reflexarc_rules` (default `rules`, relative to the
root of the project); `eni_event`, a function that makes ENI operation completion events.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from . import Event, RuleError, RuleSet, RuleTest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini option."""
    parser.addini(
        "reflexarc_rules", "folder of the rules that the fixture `ruleset` loads", default="rules"
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> RuleFile | None:
    """Collect rule files."""
    if file_path.suffix == ".toml" and "rules" in file_path.parent.parts:
        return RuleFile.from_parent(parent, path=file_path)
    return None


class RuleFile(pytest.File):
    """One rule file; collecting it compiles the rule and runs its tests."""

    def collect(self) -> Iterator[RuleItem]:
        """Make an item of every test."""
        try:
            rules = RuleSet.load(self.path)
        except RuleError as error:
            raise self.CollectError(str(error)) from None
        for test in rules.test():
            yield RuleItem.from_parent(self, name=test.name, test=test)


class RuleItem(pytest.Item):
    """One `[[test]]`."""

    def __init__(self, *, test: RuleTest, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._test = test

    def runtest(self) -> None:
        """Fail with what was not as expected."""
        if not self._test.passed:
            raise RuleTestFailure("\n".join(self._test.mismatches))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the difference alone, without a traceback."""
        if isinstance(excinfo.value, RuleTestFailure):
            return f"{self._test.file}:{self._test.line}\n{excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the test begins."""
        return self.path, self._test.line - 1, f"rule {self._test.rule}: {self.name}"


class RuleTestFailure(Exception):
    """Something was not as a test expects."""


@pytest.fixture(scope="session")
def ruleset(pytestconfig: pytest.Config) -> RuleSet:
    """The rules of the project."""
    return RuleSet.load(pytestconfig.rootpath / str(pytestconfig.getini("reflexarc_rules")))


@pytest.fixture
def eni_event() -> Callable[..., Event]:
    """A function that makes the completion event of an ENI operation.

    Keyword arguments replace members of `content` (`eniId`, `operation`, `eniStatus`, `result`, …); `userId`,
    `regionId`, `eventTime` and `id` those of the envelope. The level follows the result.
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
        return Event(
            {
                "ver": "1.0",
                **envelope,
                "product": "ECS",
                "resourceId": f"acs:ecs:{envelope['regionId']}:{envelope['userId']}:eni/{content['eniId']}",
                "level": "WARN" if content["result"] == "failed" else "INFO",
                "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
                "content": content,
            }
        )

    return make

"""The pytest plugin, in a nested pytest run."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

RULE = """
when = 'content.result == "failed"'
then = 'notify("ops", "look")'

[[test]]
name = "a failure is announced"
event = '{"content": {"result": "failed"}}'
matches = true
actions = [{ target = "ops", text = "TEXT" }]
"""


def test_rule_tests_become_items(pytester: pytest.Pytester) -> None:
    rules = pytester.mkdir("rules")
    (rules / "good.toml").write_text(RULE.replace("TEXT", "look"))
    (rules / "bad.toml").write_text(RULE.replace("TEXT", "run"))
    (rules / "broken.toml").write_text("wehn = 'a exists'")
    result = pytester.runpytest("-v", "rules/good.toml", "rules/bad.toml")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*good.toml::a failure is announced PASSED*", "*rules/bad.toml:5*", "*`actions`*", "*run*"]
    )
    broken = pytester.runpytest("rules/broken.toml")
    broken.assert_outcomes(errors=1)
    broken.stdout.fnmatch_lines(["*wehn*"])


def test_fixtures_are_available(pytester: pytest.Pytester) -> None:
    rules = pytester.mkdir("alerts")
    (rules / "good.toml").write_text(RULE.replace("TEXT", "look"))
    pytester.makeini("[pytest]\nreflexarc_rules = alerts\n")
    pytester.makepyfile(
        """
        def test_it(ruleset, eni_event):
            assert ruleset.matching(eni_event(result="failed")) == ["good"]
            event = eni_event(eniId="eni-2", regionId="cn-beijing")
            assert ruleset.matching(event) == []
            assert event.eni.resource_id == "acs:ecs:cn-beijing:1234567890123456:eni/eni-2"
            assert event.check() == []
        """
    )
    pytester.runpytest().assert_outcomes(passed=1)

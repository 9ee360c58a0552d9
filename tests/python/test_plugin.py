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


NEAR_MISS = """
when = 'content.result == "failed"'
notify = ["ops"]

[[test]]
name = "an event of another case"
event = '{"content": {"result": "Failed"}}'
actions = [{ target = "ops" }]

[[test]]
name = "an event that must not match"
event = '{"content": {"result": "success"}}'
matches = false
actions = [{ target = "ops" }]
"""


def test_failures_show_the_nearest_miss(pytester: pytest.Pytester) -> None:
    (pytester.mkdir("rules") / "near.toml").write_text(NEAR_MISS)
    # Without pytest's summary, which repeats failures, in full where the variable CI is set.
    result = pytester.runpytest("-rN")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*rules/near.toml:5*",
            "*`actions` differs*",
            "*the rule does not match the event:*",
            '*content.result is "Failed"*',
            "*hint: the value differs only in case*",
        ]
    )
    assert result.stdout.str().count("does not match the event") == 1


OTHER_FILES = {
    "pyproject.toml": '[project]\nname = "x"\n\n[tool.x]\nwhen = "never"\n',
    "ruff.toml": 'line-length = 100\ntarget-version = "py39"\n\n[lint]\nselect = ["ALL"]\n',
    "Cargo.toml": '[package]\nname = "x"\n\n[[test]]\nname = "x"\n',
    "empty.toml": "",
    "broken-settings.toml": "a = = b",
    "latin.toml": 'name = "\u00e9"',
}


def test_other_toml_files_are_not_collected(pytester: pytest.Pytester) -> None:
    rules = pytester.mkdir("rules")
    (rules / "good.toml").write_text(RULE.replace("TEXT", "look"))
    (rules / "sub").mkdir()
    for name, text in OTHER_FILES.items():
        (rules / name).write_text(text, encoding="latin-1")
        (rules / "sub" / name).write_text(text, encoding="latin-1")
    pytester.runpytest().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "text",
    [
        "wehn = 'a exists'",
        "When = 'a exists'",
        "'when' = 'a ==='",
        "when = 'a exists\n",
        "# a rule\n\n  notify = 'x'",
        "then = ''",
    ],
)
def test_broken_rules_are_errors(pytester: pytest.Pytester, text: str) -> None:
    (pytester.mkdir("rules") / "broken.toml").write_text(text)
    pytester.runpytest().assert_outcomes(errors=1)


@pytest.mark.parametrize("folder", ["alerts", "deploy/alerts"])
def test_the_ini_option_names_the_folder(pytester: pytest.Pytester, folder: str) -> None:
    for name in (folder, "rules"):
        path = pytester.path / name
        path.mkdir(parents=True)
        (path / "good.toml").write_text(RULE.replace("TEXT", "look"))
    pytester.makeini(f"[pytest]\nreflexarc_rules = {folder}\n")
    result = pytester.runpytest("-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"*{folder}/good.toml::a failure is announced PASSED*"])


def test_rules_of_every_package_are_collected(pytester: pytest.Pytester) -> None:
    for package in ("a", "b"):
        path = pytester.path / package / "rules"
        path.mkdir(parents=True)
        (path / "good.toml").write_text(RULE.replace("TEXT", "look"))
    pytester.makeini("[pytest]\n")
    pytester.runpytest().assert_outcomes(passed=2)


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
    pytester.runpytest().assert_outcomes(passed=2)


AUTOMATION = """
import reflexarc as ra

def test_a_stuck_detachment_is_announced(automation, fake_clock, eni_event):
    content = {"operation": "DetachNetworkInterface", "eniStatus": "Detaching", "result": "failed"}
    automation.process(eni_event(**content))
    automation.answers["Look"] = {"Status": "InUse"}
    before = fake_clock()
    automation.advance(minutes=31)
    assert (fake_clock() - before).total_seconds() == 31 * 60
    look, message = automation.delivered
    assert look.operation == "Look" and message.text == "eni-bp1example: InUse"

def test_calls_without_an_answer_fail(automation, eni_event):
    automation.process(eni_event(eniStatus="Detaching"))
    try:
        automation.advance(minutes=31)
    except ra.DeliveryError as error:
        assert "set `answers['Look']`" in str(error)
    else:
        raise AssertionError("delivered")
"""
STUCK_RULE = """
when = 'content.eniStatus == "Detaching"'
by = "content.eniId"
not_followed_by = { when = 'content.eniStatus == "Available"', within = "30m" }
then = 'call("ecs", "Look", #{ Id: key })'
answered = 'notify("ops", `${call.parameters.Id}: ${answer.body.Status}`)'
"""


def test_automations_are_tested_with_fixtures(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(AUTOMATION)
    pytester.mkdir("rules").joinpath("stuck.toml").write_text(STUCK_RULE)
    pytester.runpytest_subprocess().assert_outcomes(passed=2)

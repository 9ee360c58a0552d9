"""docs/simulate.md: the examples with the official SDKs run against a simulated cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from alibabacloud_ecs20140526 import models as ecs
from alibabacloud_eventbridge20200401 import models as eventbridge

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "simulate.md").read_text(encoding="utf-8")
EXAMPLES = [block.partition("```")[0] for block in PAGE.split("```python\n")[1:]]


def run(example: str, endpoint: str) -> dict[str, Any]:
    """Run an example against a cloud at another address; return its variables."""
    assert "127.0.0.1:8080" in example
    names: dict[str, Any] = {}
    code = example.replace("127.0.0.1:8080", endpoint)
    exec(compile(code, "docs/simulate.md", "exec"), names)
    return names


def test_the_client_of_ecs_is_answered(cloud):
    client = run(EXAMPLES[0], cloud.endpoint)["client"]
    request = ecs.DescribeNetworkInterfacesRequest(region_id="cn-hangzhou")
    found = client.describe_network_interfaces(request).body.network_interface_sets
    # The primary interfaces of the tenant's instances.
    assert {one.v_switch_id for one in found.network_interface_set} == {"vsw-tenant"}


def test_the_rule_is_created_with_its_target(cloud):
    client = run(EXAMPLES[1], cloud.endpoint)["client"]
    request = eventbridge.GetRuleRequest(event_bus_name="default", rule_name="failures")
    rule = client.get_rule(request).body.data
    assert json.loads(rule.filter_pattern) == {
        "source": ["acs.ecs"],
        "data": {"result": ["failed"]},
    }
    assert [target.endpoint for target in rule.targets] == ["http://127.0.0.1:8321/events"]


def test_every_example_is_run():
    assert len(EXAMPLES) == 2

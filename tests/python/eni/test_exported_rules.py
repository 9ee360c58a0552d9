"""What `export` writes, created in the simulated cloud by the official SDKs and imported again.

export → SDK → rules in `reflexarc simulate` → events → `reflexarc serve`; SDK → `to_map()` → import
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from alibabacloud_cms20190101 import models as cms
from alibabacloud_cms20190101.client import Client as CloudMonitor
from alibabacloud_eventbridge20200401 import models as eb
from alibabacloud_eventbridge20200401.client import Client as EventBridge
from simulated_cloud import wait_for
from subscription_clients import as_listed, create_interface, imported, sdk

RULES = Path(__file__).resolve().parents[3] / "rules"


def export(reflexarc, kind: str, to: str) -> list | dict:
    """What `export` writes of the ready-made rules, with one target for all."""
    command = [str(reflexarc), "export", kind, str(RULES), "--to", to]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    # 1: some filters cannot be exported.
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def created(bridge: EventBridge, requests: list[dict]) -> None:
    for request in requests:
        answer = bridge.create_rule(eb.CreateRuleRequest().from_map(request)).body
        assert answer.success, (request["RuleName"], answer.message)


def listed(bridge: EventBridge) -> list[dict]:
    """The responses of `ListRules`, in pages of seven rules, as `to_map()` gives them."""
    pages, token = [], None
    while True:
        request = eb.ListRulesRequest(event_bus_name="default", limit=7, next_token=token)
        response = bridge.list_rules(request)
        pages.append(response.to_map())
        token = response.body.data.next_token
        if not token:
            return pages


def test_exported_rules_are_created_listed_and_imported(reflexarc, cloud, tmp_path):
    bridge = sdk(EventBridge, cloud)
    requests = export(reflexarc, "eventbridge", "https://alerts.example.com/events")
    assert len(requests) > 14
    created(bridge, requests)
    pages = listed(bridge)
    rules = {rule["RuleName"]: rule for page in pages for rule in page["body"]["Data"]["Rules"]}
    assert set(rules) == {request["RuleName"] for request in requests}
    targets, single = [], []
    for request in requests:
        rule = rules[request["RuleName"]]
        for key in ("EventBusName", "Description", "Status", "FilterPattern"):
            assert rule[key] == request[key], key
        name = {"event_bus_name": "default", "rule_name": request["RuleName"]}
        shown = bridge.get_rule(eb.GetRuleRequest(**name)).to_map()
        assert shown["body"]["Data"]["Targets"] == request["EventTargets"]
        single.append(shown)
        targets.append(bridge.list_targets(eb.ListTargetsRequest(**name)).to_map())
    direct = [as_listed(request) for request in requests]
    written = tmp_path / "written.json"
    written.write_text(json.dumps({"Data": {"Rules": direct}}), encoding="utf-8")
    expected = imported(reflexarc, tmp_path / "direct", "eventbridge", written)
    assert len(expected) == len(requests)
    for name, responses in {"listed": pages + targets, "single": single}.items():
        files = []
        for number, response in enumerate(responses):
            files.append(tmp_path / f"{name}-{number}.json")
            files[-1].write_text(json.dumps(response), encoding="utf-8")
        assert imported(reflexarc, tmp_path / name, "eventbridge", *files) == expected


def test_an_event_of_several_exported_rules_is_evaluated_once(reflexarc, cloud, service):
    created(sdk(EventBridge, cloud), export(reflexarc, "eventbridge", service.events))
    monitor = sdk(CloudMonitor, cloud)
    for request in export(reflexarc, "cloudmonitor", service.events):
        rule = cms.PutEventRuleRequest().from_map(request["PutEventRule"])
        assert monitor.put_event_rule(rule).body.success
        targets = cms.PutEventRuleTargetsRequest().from_map(request["PutEventRuleTargets"])
        assert monitor.put_event_rule_targets(targets).body.success
    ids = []
    for _ in range(3):
        ids.append(cloud.event("tenant", create_interface(cloud))["id"])
        wait_for(lambda: len(service.sent()) == len(ids))
    assert [sent["id"] for sent in service.sent()] == ids


def test_exported_rules_of_terraform_are_the_same(reflexarc, cloud):
    to = "https://alerts.example.com/events"
    document = export(reflexarc, "terraform", to)
    resources = document["resource"]["alicloud_event_bridge_rule"].values()

    def renamed(value, names):
        """Keys of the provider as those of the API: `param_list` is `ParamList`."""
        if isinstance(value, list):
            return [renamed(element, names) for element in value]
        if not isinstance(value, dict):
            return value
        return {
            names.get(key) or key.title().replace("_", ""): renamed(element, names)
            for key, element in value.items()
        }

    names = {"targets": "EventTargets", "target_id": "Id"}
    requests = renamed(list(resources), names)
    created(sdk(EventBridge, cloud), requests)
    exported = {request["RuleName"]: request for request in export(reflexarc, "eventbridge", to)}
    assert {request["RuleName"] for request in requests} == set(exported)
    for request in requests:
        other = exported[request["RuleName"]]
        for key in ("EventBusName", "Description", "FilterPattern"):
            assert request[key] == other[key], key
        assert request["EventTargets"][0]["Endpoint"] == to

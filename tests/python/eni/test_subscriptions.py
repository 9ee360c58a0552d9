"""Subscriptions with the official SDKs: EventBridge 2020-04-01 and Cloud Monitor 2019-01-01.

SDK → rules in `reflexarc simulate` → an operation by the SDK → `reflexarc serve` and its rules.
"""

from __future__ import annotations

import asyncio
import json
import subprocess

import hcl2
import pytest
from alibabacloud_cms20190101 import models as cms
from alibabacloud_cms20190101.client import Client as CloudMonitor
from alibabacloud_eventbridge20200401 import models as eb
from alibabacloud_eventbridge20200401.client import Client as EventBridge
from alibabacloud_tea_openapi import models as open_api
from simulated_cloud import wait_for
from subscribed_service import Receiver
from subscription_clients import as_listed, create_interface, imported, sdk
from Tea.exceptions import TeaException

OPERATIONS = {
    "source": ["acs.ecs"],
    "type": ["ecs:NetworkInterface:NetworkInterfaceOperateCompleted"],
}
ATTRIBUTES = {
    "id",
    "source",
    "specversion",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "aliyunaccountid",
    "aliyuneventbusname",
    "aliyunpublishtime",
    "aliyunpublishaddr",
    "aliyunoriginalaccountid",
    "aliyunregionid",
    "data",
}


@pytest.fixture
def bridge(cloud) -> EventBridge:
    return sdk(EventBridge, cloud)


@pytest.fixture
def monitor(cloud) -> CloudMonitor:
    return sdk(CloudMonitor, cloud)


@pytest.fixture
def receive():
    """Start receivers, which stop with the test."""
    running = []

    def start(failures: int = 0) -> Receiver:
        running.append(Receiver(failures))
        return running[-1]

    yield start
    for receiver in running:
        receiver.close()


def rule_request(name: str, url: str, pattern: dict | None = None, **members) -> dict:
    """A request of CreateRule in the form of `from_map`."""
    return {
        "EventBusName": "default",
        "RuleName": name,
        "FilterPattern": json.dumps(pattern or OPERATIONS),
        "EventTargets": [
            {
                "Id": "1",
                "Type": "http",
                "Endpoint": url,
                "PushRetryStrategy": "EXPONENTIAL_DECAY_RETRY",
                "ParamList": [{"ResourceKey": "Body", "Form": "ORIGINAL"}],
            }
        ],
        **members,
    }


def create(bridge: EventBridge, request: dict) -> eb.CreateRuleResponseBody:
    response = bridge.create_rule(eb.CreateRuleRequest().from_map(request))
    return response.body


def test_an_operation_reaches_the_rules_of_the_service_once(cloud, bridge, service):
    created = create(bridge, rule_request("operations", service.events))
    assert created.success and created.code == "Success"
    assert created.data.rule_arn.endswith(":eventbus/default/rule/operations")
    request_id = create_interface(cloud)
    event = cloud.event("tenant", request_id)
    wait_for(service.sent)
    assert service.sent() == [
        {
            "id": event["id"],
            "operation": "CreateNetworkInterface",
            "eni": event["content"]["eniId"],
        }
    ]


def test_disabled_and_deleted_rules_deliver_nothing(cloud, bridge, receive):
    receiver, witness = receive(), receive()
    create(bridge, rule_request("r", receiver.url))
    create(bridge, rule_request("witness", witness.url))
    rule = {"event_bus_name": "default", "rule_name": "r"}
    seen = 0
    for count, change in enumerate(
        (
            lambda: None,
            lambda: bridge.disable_rule(eb.DisableRuleRequest(**rule)),
            lambda: bridge.enable_rule(eb.EnableRuleRequest(**rule)),
            lambda: bridge.delete_rule(eb.DeleteRuleRequest(**rule)),
        ),
        start=1,
    ):
        change()
        create_interface(cloud)
        wait_for(lambda count=count: len(witness.requests) == count)
        seen += count in (1, 3)
        wait_for(lambda seen=seen: len(receiver.requests) == seen)
    assert len(receiver.requests) == 2


def test_a_failed_delivery_is_repeated(cloud, bridge, receive):
    receiver = receive(failures=2)
    create(bridge, rule_request("r", receiver.url))
    create_interface(cloud)
    # After one second and after two more.
    wait_for(lambda: len(receiver.requests) == 3)
    bodies = {body for _, body, _ in receiver.requests}
    assert len(bodies) == 1
    event = json.loads(bodies.pop())
    assert set(event) == ATTRIBUTES
    assert event["aliyuneventbusname"] == "default"


def test_deliveries_in_progress_at_the_end_are_counted(start_cloud, receive, capfd):
    cloud = start_cloud("--format", "ndjson", keep_output=True)
    bridge = sdk(EventBridge, cloud)
    refusing, accepting = receive(failures=100), receive()
    for name in ("first", "second"):
        create(bridge, rule_request(name, refusing.url))
    create(bridge, rule_request("delivered", accepting.url))
    create_interface(cloud)
    wait_for(lambda: "delivered" in [entry.get("outcome") for entry in cloud.output()])
    cloud.process.terminate()
    assert cloud.process.wait(timeout=60) == 0
    assert capfd.readouterr().err == "error: 2 deliveries to targets of rules were not made\n"


def test_a_deleted_target_is_not_called_again(cloud, bridge, receive):
    receiver = receive(failures=100)
    create(bridge, rule_request("r", receiver.url))
    create_interface(cloud)
    wait_for(lambda: receiver.requests)
    targets = eb.DeleteTargetsRequest(event_bus_name="default", rule_name="r", target_ids=["1"])
    assert bridge.delete_targets(targets).body.data.error_entries_count == 0
    attempts = len(receiver.requests)
    with pytest.raises(AssertionError, match="timed out"):
        wait_for(lambda: len(receiver.requests) > attempts, within=4)


def test_other_hosts_are_not_called(start_cloud, receive):
    cloud = start_cloud("--format", "ndjson", keep_output=True)
    bridge, receiver = sdk(EventBridge, cloud), receive()
    create(bridge, rule_request("elsewhere", "http://203.0.113.7/hook"))
    create(bridge, rule_request("here", receiver.url))
    queue = rule_request("queue", "")
    queue["EventTargets"] = [{"Id": "q", "Type": "acs.mns.queue", "Endpoint": "acs:mns:a"}]
    create(bridge, queue)
    create_interface(cloud)
    reports = wait_for(
        lambda: len(found := [e for e in cloud.output() if e["kind"] == "target"]) == 3 and found
    )
    outcomes = {report["rule"]: (report["outcome"], report.get("reason")) for report in reports}
    assert outcomes == {
        "elsewhere": ("not_sent", "only HTTP targets on this machine are called"),
        "here": ("delivered", None),
        "queue": ("not_sent", "only HTTP targets are simulated"),
    }


def test_listed_rules_are_imported_as_they_were_created(reflexarc, bridge, tmp_path):
    patterns = {
        "failures": {**OPERATIONS, "data": {"result": ["failed"]}},
        "addresses": {"source": ["acs.ecs"], "data": {"primaryPrivateIp": [{"prefix": "10."}]}},
        "quiet": {"source": ["acs.ecs"], "data": {"eniStatus": [{"anything-but": ["InUse"]}]}},
    }
    requests = [
        rule_request(name, f"https://hooks.example.com/{name}", pattern, Description=f"of {name}")
        for name, pattern in patterns.items()
    ]
    requests[2]["Status"] = "DISABLE"
    for request in requests:
        assert create(bridge, request).success
    # The same as a response, without the simulator.
    expected = [as_listed(request) for request in requests]
    written = tmp_path / "written.json"
    written.write_text(json.dumps({"Data": {"Rules": expected}}), encoding="utf-8")
    pages = []
    token = None
    while True:
        request = eb.ListRulesRequest(event_bus_name="default", limit=2, next_token=token)
        response = bridge.list_rules(request)
        assert response.body.data.total == 3
        # The whole response: headers, status and body.
        pages.append(response.to_map())
        token = response.body.data.next_token
        if not token:
            break
    assert [len(page["body"]["Data"]["Rules"]) for page in pages] == [2, 1]
    files = []
    for number, page in enumerate(pages):
        files.append(tmp_path / f"page-{number}.json")
        files[-1].write_text(json.dumps(page), encoding="utf-8")
    for name in patterns:
        request = eb.ListTargetsRequest(event_bus_name="default", rule_name=name)
        files.append(tmp_path / f"targets-{name}.json")
        files[-1].write_text(json.dumps(bridge.list_targets(request).to_map()), encoding="utf-8")
    rules = imported(reflexarc, tmp_path / "listed", "eventbridge", *files)
    assert len(rules) == 3
    assert rules == imported(reflexarc, tmp_path / "direct", "eventbridge", written)


def test_cloud_monitor_delivers_its_own_form_and_is_imported(
    reflexarc, cloud, monitor, service, receive, tmp_path
):
    receiver = receive()
    put = cms.PutEventRuleRequest().from_map(
        {
            "RuleName": "operations",
            "Description": "of interfaces",
            "EventType": "SYSTEM",
            "State": "ENABLED",
            "EventPattern": [
                {
                    "Product": "ecs",
                    "NameList": ["NetworkInterface:NetworkInterfaceOperateCompleted"],
                    "LevelList": ["INFO", "WARN"],
                    "EventTypeList": ["*"],
                }
            ],
        }
    )
    assert monitor.put_event_rule(put).body.success
    webhooks = [
        {"Id": str(number), "Protocol": "http", "Method": "POST", "Url": url}
        for number, url in enumerate((service.events, receiver.url), start=1)
    ]
    targets = {"RuleName": "operations", "WebhookParameters": webhooks}
    request = cms.PutEventRuleTargetsRequest().from_map(targets)
    assert monitor.put_event_rule_targets(request).body.failed_parameter_count == "0"
    create_interface(cloud)
    wait_for(service.sent)
    wait_for(lambda: receiver.requests)
    event = json.loads(receiver.requests[0][1])
    assert event["ruleName"] == "operations" and event["product"] == "ECS"
    assert len(service.sent()) == 1
    listed = monitor.describe_event_rule_list(cms.DescribeEventRuleListRequest())
    assert listed.body.total == 1
    shown = monitor.describe_event_rule_target_list(
        cms.DescribeEventRuleTargetListRequest(rule_name="operations")
    ).body
    urls = [webhook.url for webhook in shown.webhook_parameters.webhook_parameter]
    assert urls == [service.events, receiver.url]
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps(listed.to_map()), encoding="utf-8")
    files = imported(reflexarc, tmp_path / "monitored", "cloudmonitor", rules)
    assert len(files) == 1
    text = next(iter(files.values()))
    assert "NetworkInterface:NetworkInterfaceOperateCompleted" in text


def test_a_test_event_of_cloud_monitor_is_delivered(monitor, receive):
    receiver = receive()
    pattern = cms.PutEventRuleRequestEventPattern(product="ecs", level_list=["CRITICAL"])
    monitor.put_event_rule(cms.PutEventRuleRequest(rule_name="r", event_pattern=[pattern]))
    webhook = cms.PutEventRuleTargetsRequestWebhookParameters(
        id="1", protocol="http", method="POST", url=receiver.url
    )
    monitor.put_event_rule_targets(
        cms.PutEventRuleTargetsRequest(rule_name="r", webhook_parameters=[webhook])
    )
    content = {"level": "CRITICAL", "content": {"instanceId": "i-1"}}
    sent = monitor.send_dry_run_system_event(
        cms.SendDryRunSystemEventRequest(
            product="ecs", event_name="Instance:Crashed", event_content=json.dumps(content)
        )
    )
    assert sent.body.code == "200"
    wait_for(lambda: receiver.requests)
    event = json.loads(receiver.requests[0][1])
    assert (event["name"], event["content"]) == ("Instance:Crashed", {"instanceId": "i-1"})


EVENT = {
    "source": "acs.ecs",
    "type": "ecs:Disk:Stalled",
    "data": {"n": 3, "text": "Abc", "ip": "10.1.2.3", "list": ["a", "b"], "none": None},
}
PATTERNS = [
    {"source": ["acs.ecs"]},
    {"source": ["acs.vpc", "acs.ecs"]},
    {"source": ["ACS.ECS"]},
    {"source": [{"prefix": "acs."}], "data": {"n": [3]}},
    {"source": [{"suffix": ".vpc"}]},
    {"type": [{"contains": "Disk"}]},
    {"data": {"text": [{"anything-but": ["Abc"]}]}},
    {"data": {"text": [{"anything-but": {"prefix": "x"}}]}},
    {"data": {"n": [{"numeric": [">", 2, "<=", 3]}]}},
    {"data": {"n": [{"numeric": [">", 3]}]}},
    {"data": {"ip": [{"cidr": "10.0.0.0/8"}]}},
    {"data": {"ip": [{"cidr": "11.0.0.0/8"}]}},
    {"data": {"list": ["b"]}},
    {"data": {"list": ["c"]}},
    {"data": {"other": [{"exists": False}]}},
    {"data": {"text": [{"exists": True}]}},
    {"data": {"none": [None]}},
    {"data": {"text": [""]}},
]


def test_patterns_match_as_on_the_command_line(reflexarc, bridge, tmp_path):
    file = tmp_path / "event.json"
    file.write_text(json.dumps(EVENT), encoding="utf-8")
    results = []
    for pattern in map(json.dumps, PATTERNS):
        request = eb.TestEventPatternRequest(event=json.dumps(EVENT), event_pattern=pattern)
        result = bridge.test_event_pattern(request).body.data.result
        command = [str(reflexarc), "match", "--dialect", "alibaba", pattern, str(file)]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        assert result == (done.returncode == 0), (pattern, done.stderr)
        results.append(result)
    assert results.count(True) == 11 and results.count(False) == 7


def test_rules_of_terraform_are_created(bridge, tmp_path):
    text = """
resource "alicloud_event_bridge_rule" "operations" {
  event_bus_name = "default"
  rule_name      = "operations"
  description    = "of interfaces"
  filter_pattern = "{\\"source\\": [\\"acs.ecs\\"]}"
  targets {
    target_id = "1"
    type      = "http"
    endpoint  = "https://hooks.example.com/events"
    param_list {
      resource_key = "Body"
      form         = "ORIGINAL"
    }
  }
}
"""
    as_json = {
        "resource": {
            "alicloud_event_bridge_rule": {
                "others": {
                    "event_bus_name": "default",
                    "rule_name": "others",
                    "filter_pattern": json.dumps({"source": ["acs.vpc"]}),
                    "targets": [
                        {
                            "target_id": "1",
                            "type": "acs.mns.queue",
                            "endpoint": "acs:mns:cn-hangzhou:1:queues/q",
                        }
                    ],
                }
            }
        }
    }
    options = hcl2.SerializationOptions(strip_string_quotes=True)
    document = hcl2.loads(text, serialization_options=options)
    resource = document["resource"][0]["alicloud_event_bridge_rule"]["operations"]
    created = [resource, as_json["resource"]["alicloud_event_bridge_rule"]["others"]]
    for rule in created:
        targets = [
            {
                "Id": target["target_id"],
                "Type": target["type"],
                "Endpoint": target["endpoint"],
                "ParamList": [
                    {"ResourceKey": given["resource_key"], "Form": given["form"]}
                    for given in target.get("param_list", [])
                ],
            }
            for target in rule["targets"]
        ]
        request = {
            "EventBusName": rule["event_bus_name"],
            "RuleName": rule["rule_name"],
            "Description": rule.get("description"),
            "FilterPattern": rule["filter_pattern"],
            "EventTargets": targets,
        }
        answer = create(bridge, request)
        assert answer.success, answer.message
    request = eb.GetRuleRequest(event_bus_name="default", rule_name="operations")
    shown = bridge.get_rule(request).body.data
    assert json.loads(shown.filter_pattern) == {"source": ["acs.ecs"]}
    assert shown.targets[0].endpoint == "https://hooks.example.com/events"


def test_errors_are_those_of_the_services(bridge, monitor):
    with pytest.raises(TeaException) as missing:
        bridge.create_rule(eb.CreateRuleRequest(rule_name="r", filter_pattern="{}"))
    assert missing.value.code == "MissingEventBusName"
    request = rule_request("r", "http://127.0.0.1:1/")
    assert create(bridge, request).success
    for change, code in [
        ({}, "EventRuleAlreadyExist"),
        ({"EventBusName": "nowhere"}, "EventBusNotExist"),
        ({"RuleName": "s", "FilterPattern": '{"source": "x"}'}, "InvalidEventPattern"),
        ({"RuleName": "s", "EventTargets": request["EventTargets"] * 2}, "EventTargetAlreadyExist"),
    ]:
        answer = create(bridge, {**request, **change})
        assert (answer.success, answer.code) == (False, code)
        assert answer.message
    six = [{**request["EventTargets"][0], "Id": str(number)} for number in range(6)]
    answer = create(bridge, {**request, "RuleName": "s", "EventTargets": six})
    assert answer.code == "EventTargetCountExceedLimit" and "[5]" in answer.message
    wrong = cms.PutEventRuleTargetsRequest(rule_name="none")
    with pytest.raises(TeaException) as unknown:
        monitor.put_event_rule_targets(wrong)
    assert unknown.value.code == "ResourceNotFound"


def test_accounts_have_their_own_rules(cloud, bridge):
    create(bridge, rule_request("mine", "http://127.0.0.1:1/"))
    neighbour = sdk(EventBridge, cloud, "neighbour")
    listed = neighbour.list_rules(eb.ListRulesRequest(event_bus_name="default")).body
    assert listed.data.rules == []
    with pytest.raises(TeaException) as refused:
        config = open_api.Config(
            access_key_id="tenant-key",
            access_key_secret="wrong",
            endpoint=cloud.endpoint,
            protocol="http",
        )
        EventBridge(config).list_rules(eb.ListRulesRequest(event_bus_name="default"))
    assert refused.value.code == "SignatureDoesNotMatch"


def test_programs_publish_events_to_their_own_bus(bridge, receive):
    receiver = receive()

    async def run():
        bus = eb.CreateEventBusRequest(event_bus_name="shop")
        assert (await bridge.create_event_bus_async(bus)).body.success
        request = rule_request("sold", receiver.url, {"source": ["shop"]}, EventBusName="shop")
        made = await bridge.create_rule_async(eb.CreateRuleRequest().from_map(request))
        assert made.body.success
        entries = [
            eb.PutEventsRequestEventList(id=str(n), source="shop", type="sold", data={"n": n})
            for n in range(3)
        ]
        sent = await bridge.put_events_async(
            eb.PutEventsRequest(event_bus_name="shop", event_list=entries)
        )
        assert sent.body.data.failed_entry_count == 0

    asyncio.run(run())
    wait_for(lambda: len(receiver.requests) == 3)
    events = sorted((json.loads(body) for _, body, _ in receiver.requests), key=lambda e: e["id"])
    assert [event["data"]["n"] for event in events] == [0, 1, 2]
    assert {event["aliyuneventbusname"] for event in events} == {"shop"}

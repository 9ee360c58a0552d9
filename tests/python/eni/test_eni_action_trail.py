"""Events of ActionTrail for the calls of the official SDK."""

import json

from alibabacloud_ecs20140526 import models
from simulated_cloud import REGION, wait_for
from test_eni_life import create, delete, describe

SESSION = {
    "access_key_id": "STS.tenant-key",
    "access_key_secret": "tenant-session-secret",
    "security_token": "tenant-session-token",
}


def recorded(cloud, account="tenant"):
    """The records of the account's calls so far."""
    return [
        event["content"]
        for event in cloud.events(account)
        if event["name"] == "ActionTrail:ApiCall"
    ]


def test_each_call_is_recorded(start_cloud, tmp_path):
    scenario = tmp_path / "trail.toml"
    scenario.write_text('action_trail = "all"\n')
    cloud = start_cloud(str(scenario))
    client = cloud.client("tenant")
    made = create(client, description="recorded")
    describe(client)
    deleted = delete(client, made.network_interface_id)
    role = cloud.client("tenant", **SESSION)
    role.describe_instances(models.DescribeInstancesRequest(region_id=REGION))
    wait_for(lambda: len(recorded(cloud)) == 4)
    records = recorded(cloud)
    assert [(record["eventName"], record["eventRW"]) for record in records] == [
        ("CreateNetworkInterface", "Write"),
        ("DescribeNetworkInterfaces", "Read"),
        ("DeleteNetworkInterface", "Write"),
        ("DescribeInstances", "Read"),
    ]
    first = records[0]
    assert first["requestId"] == made.request_id
    assert first["responseElements"]["NetworkInterfaceId"] == made.network_interface_id
    assert first["requestParameters"]["Description"] == "recorded"
    assert json.loads(first["requestParameterJson"]) == first["requestParameters"]
    assert first["userIdentity"]["accessKeyId"] == "tenant-key"
    assert first["sourceIpAddress"] == "127.0.0.1"
    assert "Python" in first["userAgent"]
    assert records[2]["requestId"] == deleted
    identity = records[3]["userIdentity"]
    assert (identity["type"], identity["userName"]) == ("assumed-role", "operator:simulation")
    assert "tenant-session" not in json.dumps(records)


def test_calls_are_not_recorded_by_default(cloud):
    client = cloud.client("tenant")
    cloud.event("tenant", create(client).request_id)
    assert recorded(cloud) == []

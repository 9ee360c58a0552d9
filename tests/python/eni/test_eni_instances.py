"""Instances with the official SDK: start, stop, restart, release, and their descriptions."""

import json

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_tea_openapi.exceptions import ClientException
from simulated_cloud import REGION, wait_for
from test_eni_life import attach, create, describe, detach, status


def instances(client, **filters):
    request = models.DescribeInstancesRequest(region_id=REGION, **filters)
    return client.describe_instances(request).body.instances.instance or []


def state(client, instance="i-tenant"):
    found = instances(client, instance_ids=json.dumps([instance]))
    return found[0].status if found else None


def states(cloud, account="tenant"):
    """The states in the events of instances, in order."""
    return [
        event["content"]["state"]
        for event in cloud.events(account)
        if event["name"] == "Instance:StateChange"
    ]


def code(call, *args):
    with pytest.raises(ClientException) as error:
        call(*args)
    return error.value.code


@pytest.fixture
def quick_cloud(start_cloud, tmp_path):
    """A cloud whose instances start and stop within a second."""
    scenario = tmp_path / "quick.toml"
    scenario.write_text('[timing]\nstart = "500ms"\nstop = "500ms"\n')
    return start_cloud(str(scenario))


def test_an_instance_stops_starts_and_restarts(quick_cloud):
    client = quick_cloud.client("tenant")
    interface = create(client).network_interface_id
    attach(client, interface)
    wait_for(lambda: status(client, interface) == "InUse")
    stop = models.StopInstanceRequest(instance_id="i-tenant", stopped_mode="StopCharging")
    start = models.StartInstanceRequest(instance_id="i-tenant")
    reboot = models.RebootInstanceRequest(instance_id="i-tenant")
    assert code(client.start_instance, start) == "IncorrectInstanceStatus"
    client.stop_instance(stop)
    assert state(client) == "Stopping"
    # Interfaces cannot be changed while the instance stops.
    assert code(detach, client, interface) == "InvalidOperation.InvalidEcsState"
    wait_for(lambda: state(client) == "Stopped")
    assert instances(client)[1].stopped_mode == "StopCharging"
    assert code(client.reboot_instance, reboot) == "IncorrectInstanceStatus"
    # The interface stays attached.
    assert status(client, interface) == "InUse"
    client.start_instance(start)
    wait_for(lambda: state(client) == "Running")
    client.reboot_instance(reboot)
    wait_for(lambda: state(client) == "Running")
    wait_for(lambda: len(states(quick_cloud)) == 6)
    assert states(quick_cloud) == [
        "Stopping",
        "Stopped",
        "Starting",
        "Running",
        "Starting",
        "Running",
    ]
    event = next(e for e in quick_cloud.events("tenant") if e["name"] == "Instance:StateChange")
    assert event["resourceId"].endswith(":instance/i-tenant")
    content = event["content"]
    assert content["resourceId"] == "i-tenant"
    assert content["resourceType"] == "ALIYUN::ECS::Instance"
    assert content["instanceType"] == "ecs.g7.large"


def test_a_release_takes_interfaces_with_it(cloud):
    client = cloud.client("tenant")
    deleted = create(client).network_interface_id
    kept = create(client, delete_on_release=False).network_interface_id
    for interface in (deleted, kept):
        attach(client, interface)
        wait_for(lambda interface=interface: status(client, interface) == "InUse")
    release = models.DeleteInstanceRequest(instance_id="i-tenant")
    assert code(client.delete_instance, release) == "IncorrectInstanceStatus"
    before = len(cloud.events("tenant"))
    release.force = True
    client.delete_instance(release)
    assert state(client) is None
    assert (status(client, deleted), status(client, kept)) == (None, "Available")
    assert describe(client, network_interface_id=[kept])[0].instance_id == ""
    wait_for(lambda: states(cloud) == ["Deleted"])
    # Its interfaces were detached and deleted without a request, so there is no event of theirs.
    assert len(cloud.events("tenant")) == before + 1
    assert code(client.delete_instance, release) == "InvalidInstanceId.NotFound"


def test_several_instances_change_together_or_not_at_all(quick_cloud):
    client = quick_cloud.client("tenant")
    both = ["i-tenant", "i-standby"]
    stop = models.StopInstancesRequest(region_id=REGION, instance_id=[*both, "i-none"])
    assert code(client.stop_instances, stop) == "InvalidInstanceId.NotFound"
    assert state(client) == "Running"
    stop.instance_id = both
    responses = client.stop_instances(stop).body.instance_responses.instance_response
    changes = [
        (found.instance_id, found.previous_status, found.current_status) for found in responses
    ]
    assert changes == [(instance, "Running", "Stopping") for instance in both]
    wait_for(lambda: state(client, "i-standby") == "Stopped")
    release = models.DeleteInstancesRequest(region_id=REGION, instance_id=both, client_token="once")
    client.delete_instances(release)
    # The same token: the request was done already.
    client.delete_instances(release)
    assert instances(client) == []


def test_instances_are_described_with_their_interfaces(cloud):
    client = cloud.client("tenant")
    interface = create(client).network_interface_id
    attach(client, interface)
    wait_for(lambda: status(client, interface) == "InUse")
    found = instances(client, instance_ids='["i-tenant"]')[0]
    assert (found.instance_id, found.instance_type, found.zone_id, found.region_id) == (
        "i-tenant",
        "ecs.g7.large",
        "cn-hangzhou-b",
        REGION,
    )
    assert (found.cpu, found.memory) == (2, 8192)
    assert found.vpc_attributes.vpc_id == "vpc-main"
    assert found.vpc_attributes.v_switch_id == "vsw-tenant"
    attached = found.network_interfaces.network_interface
    assert [one.type for one in attached] == ["Primary", "Secondary"]
    assert attached[1].network_interface_id == interface
    address = found.vpc_attributes.private_ip_address.ip_address[0]
    assert attached[0].primary_ip_address == address
    by_address = instances(client, private_ip_addresses=json.dumps([address]))
    assert [one.instance_id for one in by_address] == ["i-tenant"]
    assert len(instances(client, instance_name="i-*", v_switch_id="vsw-tenant")) == 2
    assert instances(client, status="Stopped") == []
    # Instances of others do not exist.
    assert instances(client, instance_ids='["i-neighbour"]') == []
    # A filter that the simulation does not have is not ignored.
    assert code(lambda: instances(client, key_pair_name="k")) == "UnsupportedParameter"
    request = models.DescribeInstancesRequest(region_id=REGION, max_results=1)
    first = client.describe_instances(request).body
    request.next_token = first.next_token
    second = client.describe_instances(request).body
    pages = [page.instances.instance[0].instance_id for page in (first, second)]
    assert pages == ["i-standby", "i-tenant"] and not second.next_token

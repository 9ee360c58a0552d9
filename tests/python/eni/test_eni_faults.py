"""Injected faults: operations that fail after the API accepted them."""

import pytest
from simulated_cloud import wait_for
from test_eni_life import attach, create, delete, describe, detach, status


def content(cloud, request_id):
    event = cloud.event("tenant", request_id)
    return event["level"], event["content"]["result"], event["content"]["eniStatus"]


def test_a_failed_attachment_can_be_repeated(cloud):
    client = cloud.client("tenant")
    interface = create(client).network_interface_id
    assert cloud.fault(operation="AttachNetworkInterface", outcome="fail")[0] == 201
    failed = attach(client, interface)
    assert content(cloud, failed) == ("WARN", "failed", "Available")
    wait_for(lambda: status(client, interface) == "Available")
    repeated = attach(client, interface)
    assert content(cloud, repeated) == ("INFO", "success", "InUse")


def test_a_failed_detachment_is_stuck_until_repeated(cloud):
    client = cloud.client("tenant")
    interface = create(client).network_interface_id
    content(cloud, attach(client, interface))
    cloud.fault(operation="DetachNetworkInterface", outcome="fail", interface=interface)
    assert content(cloud, detach(client, interface)) == ("WARN", "failed", "Detaching")
    assert status(client, interface) == "Detaching"
    assert content(cloud, detach(client, interface)) == ("INFO", "success", "Available")


def test_a_hanging_detachment_sends_no_event(cloud):
    client = cloud.client("tenant")
    interface = create(client).network_interface_id
    content(cloud, attach(client, interface))
    cloud.fault(operation="DetachNetworkInterface", outcome="hang")
    hanging = detach(client, interface)
    repeated = detach(client, interface)
    assert content(cloud, repeated) == ("INFO", "success", "Available")
    assert all(event["content"]["requestId"] != hanging for event in cloud.events("tenant"))


def test_a_failed_creation_ends_in_create_failed(cloud):
    client = cloud.client("tenant")
    cloud.fault(operation="CreateNetworkInterface", outcome="fail")
    made = create(client)
    assert made.status == "Creating"
    assert content(cloud, made.request_id) == ("WARN", "failed", "CreateFailed")
    assert (
        describe(client, network_interface_id=[made.network_interface_id])[0].status
        == "CreateFailed"
    )


def test_a_failed_deletion_is_stuck_until_repeated(cloud):
    client = cloud.client("tenant")
    interface = create(client).network_interface_id
    cloud.fault(operation="DeleteNetworkInterface", outcome="fail")
    assert content(cloud, delete(client, interface)) == ("WARN", "failed", "Deleting")
    assert content(cloud, delete(client, interface)) == ("INFO", "success", "Deleted")


def test_faults_can_be_listed_and_removed(cloud):
    client = cloud.client("tenant")
    fault = {"operation": "AttachNetworkInterface", "outcome": "fail", "times": 2}
    assert cloud.fault(**fault) == (201, fault)
    assert cloud.fault("GET") == (200, [fault])
    interface = create(client).network_interface_id
    content(cloud, attach(client, interface))
    assert cloud.fault("GET") == (200, [{**fault, "times": 1}])
    assert cloud.fault("DELETE") == (204, None)
    assert cloud.fault("GET") == (200, [])
    assert content(cloud, attach(client, interface))[1] == "success"


def test_invalid_faults_are_refused_with_a_message(cloud):
    code, answer = cloud.fault(operation="Attach", outcome="fail")
    assert code == 400
    expected = "invalid `operation`: expected one of CreateNetworkInterface, "
    assert answer["error"].startswith(expected)
    code, answer = cloud.fault(
        headers={"Content-Type": "text/plain"}, operation="AttachNetworkInterface", outcome="fail"
    )
    assert (code, answer["error"]) == (415, "the Content-Type must be application/json")
    assert cloud.fault("GET") == (200, [])


def test_faults_need_a_loopback_address(start_cloud):
    cloud = start_cloud(listen="0.0.0.0:0")
    _, answer = cloud.fault(operation="AttachNetworkInterface", outcome="fail")
    # The response is that of the ECS API, which has no such path.
    assert "Code" in answer


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_faults_of_foreign_pages_are_refused(cloud, method, headers):
    fault = {"operation": "AttachNetworkInterface", "outcome": "fail", "times": 2}
    assert cloud.fault(**fault) == (201, fault)
    body = fault if method == "POST" else {}
    assert cloud.fault(method, headers, **body)[0] == 403
    assert cloud.fault("GET") == (200, [fault])

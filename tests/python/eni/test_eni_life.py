"""The life cycle of an ENI with the official SDK, and the recipients of its events."""

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_tea_openapi.exceptions import ClientException
from simulated_cloud import REGION, wait_for


def create(client, account="tenant", **more):
    request = models.CreateNetworkInterfaceRequest(
        region_id=REGION, v_switch_id=f"vsw-{account}", security_group_id=f"sg-{account}", **more
    )
    return client.create_network_interface(request).body


def attach(client, interface, instance="i-tenant"):
    request = models.AttachNetworkInterfaceRequest(
        region_id=REGION, network_interface_id=interface, instance_id=instance
    )
    return client.attach_network_interface(request).body.request_id


def detach(client, interface, instance="i-tenant"):
    request = models.DetachNetworkInterfaceRequest(
        region_id=REGION, network_interface_id=interface, instance_id=instance
    )
    return client.detach_network_interface(request).body.request_id


def delete(client, interface):
    request = models.DeleteNetworkInterfaceRequest(region_id=REGION, network_interface_id=interface)
    return client.delete_network_interface(request).body.request_id


def describe(client, **filters):
    request = models.DescribeNetworkInterfacesRequest(region_id=REGION, **filters)
    return (
        client.describe_network_interfaces(
            request
        ).body.network_interface_sets.network_interface_set
        or []
    )


def status(client, interface):
    found = describe(client, network_interface_id=[interface])
    return found[0].status if found else None


@pytest.mark.parametrize("signature", [None, "v2"], ids=["ACS3-HMAC-SHA256", "HMAC-SHA1"])
def test_each_operation_on_an_interface_sends_an_event(cloud, signature):
    client = cloud.client("tenant", signature_algorithm=signature)
    made = create(
        client,
        network_interface_name="web",
        secondary_private_ip_address_count=2,
        ipv_4prefix_count=1,
        ipv_6address_count=1,
        ipv_6prefix_count=1,
        tag=[models.CreateNetworkInterfaceRequestTag(key="owner", value="web team/é*")],
    )
    interface = made.network_interface_id
    assert (made.status, made.type, made.service_managed) == ("Available", "Secondary", False)
    assert made.tags.tag[0].tag_value == "web team/é*"

    attached = attach(client, interface)
    wait_for(lambda: status(client, interface) == "InUse")
    assert (
        describe(client, instance_id="i-tenant", type="Secondary")[0].attachment.instance_id
        == "i-tenant"
    )
    detached = detach(client, interface)
    wait_for(lambda: status(client, interface) == "Available")
    deleted = delete(client, interface)
    wait_for(lambda: status(client, interface) is None)

    expected = [
        (made.request_id, "CreateNetworkInterface", "Available"),
        (attached, "AttachNetworkInterface", "InUse"),
        (detached, "DetachNetworkInterface", "Available"),
        (deleted, "DeleteNetworkInterface", "Deleted"),
    ]
    for request_id, operation, state in expected:
        event = cloud.event("tenant", request_id)
        content = event["content"]
        assert (content["operation"], content["eniStatus"], content["result"]) == (
            operation,
            state,
            "success",
        )
        assert (event["level"], event["userId"]) == ("INFO", made.owner_id)
        assert content["eniId"] == interface
        assert content["primaryPrivateIp"] == made.private_ip_address
        assert len(content["secondaryPrivateIps"]) == 2
        assert all(len(content[key]) == 1 for key in ("ipv4Prefixes", "ipv6s", "ipv6Prefixes"))
    assert len(cloud.events("tenant")) == 4


def test_attachments_beyond_the_limit_send_no_event(cloud):
    client = cloud.client("tenant")
    # ecs.g7.large carries three interfaces, the primary one included.
    interfaces = [create(client).network_interface_id for _ in range(3)]
    requests = [attach(client, interface) for interface in interfaces[:2]]
    with pytest.raises(ClientException) as error:
        attach(client, interfaces[2])
    assert (error.value.code, error.value.status_code) == ("EniPerInstanceLimitExceeded", 403)
    for request in requests:
        cloud.event("tenant", request)
    # The event of a later request has arrived, so the refused one has none.
    later = cloud.event("tenant", delete(client, interfaces[2]))
    assert later["content"]["operation"] == "DeleteNetworkInterface"
    request_ids = [event["content"]["requestId"] for event in cloud.events("tenant")]
    assert error.value.request_id not in request_ids
    assert len(request_ids) == 3 + 2 + 1


def test_managed_interfaces_belong_to_the_service(cloud):
    service, user = cloud.client("service"), cloud.client("tenant")
    made = create(service)
    attached = attach(service, made.network_interface_id)
    assert cloud.event("service", attached)["content"]["eniStatus"] == "InUse"
    for operate in (detach, lambda client, interface: delete(client, interface)):
        with pytest.raises(ClientException) as error:
            operate(user, made.network_interface_id)
        assert error.value.code == "InvalidOperation.EniServiceManaged"
    interface = describe(user, network_interface_id=[made.network_interface_id])[0]
    assert (interface.service_managed, interface.instance_id) == (True, "")
    detached = detach(service, made.network_interface_id)
    assert cloud.event("service", detached)["userId"] == "1690700000009001"
    assert cloud.events("tenant") == []


def test_primary_interfaces_send_no_events(cloud):
    client = cloud.client("tenant")
    primary = describe(client, type="Primary")[0]
    with pytest.raises(ClientException) as error:
        detach(client, primary.network_interface_id, primary.instance_id)
    assert error.value.code == "InvalidOperation.DetachPrimaryEniNotAllowed"
    made = create(client)
    cloud.event("tenant", made.request_id)
    assert len(cloud.events("tenant")) == 1


def test_accounts_without_the_preview_get_no_events(cloud):
    neighbour, tenant = cloud.client("neighbour"), cloud.client("tenant")
    interface = create(neighbour, "neighbour").network_interface_id
    attach(neighbour, interface, "i-neighbour")
    wait_for(lambda: status(neighbour, interface) == "InUse")
    # The event of a later request of the tenant arrives, so the neighbour's would have too.
    cloud.event("tenant", create(tenant).request_id)
    assert cloud.events("neighbour") == []


def test_events_reach_only_their_recipient(cloud):
    tenant, service = cloud.client("tenant"), cloud.client("service")
    own, managed = create(tenant), create(service)
    cloud.event("tenant", own.request_id)
    cloud.event("service", managed.request_id)
    assert [event["content"]["eniId"] for event in cloud.events("tenant")] == [
        own.network_interface_id
    ]
    assert [event["content"]["eniId"] for event in cloud.events("service")] == [
        managed.network_interface_id
    ]


def test_results_are_paged_by_token_and_by_number(cloud):
    client = cloud.client("tenant")
    made = {create(client).network_interface_id for _ in range(12)}
    request = models.DescribeNetworkInterfacesRequest(
        region_id=REGION, type="Secondary", max_results=10
    )
    first = client.describe_network_interfaces(request).body
    request.next_token = first.next_token
    second = client.describe_network_interfaces(request).body
    pages = [page.network_interface_sets.network_interface_set for page in (first, second)]
    assert [len(page) for page in pages] == [10, 2]
    assert not second.next_token
    assert {interface.network_interface_id for page in pages for interface in page} == made
    numbered = models.DescribeNetworkInterfacesRequest(
        region_id=REGION, type="Secondary", page_number=2, page_size=10
    )
    body = client.describe_network_interfaces(numbered).body
    assert (body.total_count, body.page_number, body.page_size) == (12, 2, 10)
    assert len(body.network_interface_sets.network_interface_set) == 2

"""Secondary addresses, attributes and tags of an interface, with the official SDK.

The sequences are those of terway, which assigns and returns the addresses of pods, and of the
Terraform resource `alicloud_ecs_network_interface`.
"""

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_tea_openapi.exceptions import ClientException
from simulated_cloud import REGION, wait_for
from test_eni_life import attach, create, delete, describe, detach, status


def named(cloud, name, account="tenant"):
    """The events of an account with this name."""
    return [event for event in cloud.events(account) if event["name"] == name]


def assign(client, interface, **wanted):
    request = models.AssignPrivateIpAddressesRequest(
        region_id=REGION, network_interface_id=interface, **wanted
    )
    return client.assign_private_ip_addresses(request).body


def unassign(client, interface, **unwanted):
    request = models.UnassignPrivateIpAddressesRequest(
        region_id=REGION, network_interface_id=interface, **unwanted
    )
    return client.unassign_private_ip_addresses(request).body


def assign_ipv6(client, interface, **wanted):
    request = models.AssignIpv6AddressesRequest(
        region_id=REGION, network_interface_id=interface, **wanted
    )
    return client.assign_ipv_6addresses(request).body


def modify(client, interface, **changes):
    request = models.ModifyNetworkInterfaceAttributeRequest(
        region_id=REGION, network_interface_id=interface, **changes
    )
    return client.modify_network_interface_attribute(request).body


def attributes(client, interface):
    request = models.DescribeNetworkInterfaceAttributeRequest(
        region_id=REGION, network_interface_id=interface
    )
    return client.describe_network_interface_attribute(request).body


def tags(client, resource, kind="eni"):
    request = models.ListTagResourcesRequest(
        region_id=REGION, resource_type=kind, resource_id=[resource]
    )
    found = client.list_tag_resources(request).body.tag_resources.tag_resource or []
    return {tag.tag_key: tag.tag_value for tag in found}


def code(call, *args, **more):
    """The code of the error that the call raises."""
    with pytest.raises(ClientException) as error:
        call(*args, **more)
    return error.value.code


def secondary(interface):
    sets = interface.private_ip_sets.private_ip_set
    return [address.private_ip_address for address in sets if not address.primary]


def test_the_sequence_of_terway(cloud):
    """Create with tags, attach, add and return addresses of pods, detach, delete."""
    client = cloud.client("tenant")
    types = client.describe_instance_types(
        models.DescribeInstanceTypesRequest(instance_types=["ecs.g7.large"])
    ).body.instance_types.instance_type
    limits = [
        (
            found.eni_quantity,
            found.eni_private_ip_address_quantity,
            found.eni_ipv_6address_quantity,
            found.eni_total_quantity,
            found.eni_trunk_supported,
        )
        for found in types
    ]
    assert limits == [(3, 6, 6, 3, False)]

    made = create(
        client,
        client_token="terway-1",
        secondary_private_ip_address_count=1,
        tag=[models.CreateNetworkInterfaceRequestTag(key="creator", value="terway")],
        delete_on_release=True,
    )
    interface = made.network_interface_id
    again = create(
        client,
        client_token="terway-1",
        secondary_private_ip_address_count=1,
        tag=[models.CreateNetworkInterfaceRequestTag(key="creator", value="terway")],
        delete_on_release=True,
    )
    assert again.network_interface_id == interface
    tag = models.DescribeNetworkInterfacesRequestTag(key="creator", value="terway")
    assert [found.network_interface_id for found in describe(client, tag=[tag])] == [interface]
    other = models.DescribeNetworkInterfacesRequestTag(key="creator", value="someone")
    assert describe(client, tag=[other]) == []

    attach(client, interface)
    wait_for(lambda: status(client, interface) == "InUse")
    body = assign(
        client, interface, secondary_private_ip_address_count=2, client_token="terway-pods"
    )
    assigned = body.assigned_private_ip_addresses_set
    assert assigned.network_interface_id == interface
    pods = assigned.private_ip_set.private_ip_address
    assert len(pods) == 2
    # A repeated request returns the same addresses, and makes no second event.
    repeated = assign(
        client, interface, secondary_private_ip_address_count=2, client_token="terway-pods"
    )
    again = repeated.assigned_private_ip_addresses_set.private_ip_set.private_ip_address
    assert again == pods
    found = describe(client, network_interface_id=[interface])[0]
    assert set(pods) < set(secondary(found)) and len(secondary(found)) == 3
    ipv6 = assign_ipv6(client, interface, ipv_6address_count=2)
    assert len(ipv6.ipv_6sets.ipv_6address) == 2

    # The instance type allows six addresses: the primary one and five others.
    excess = code(assign, client, interface, secondary_private_ip_address_count=3)
    assert excess == "InvalidOperation.Ipv4CountExceeded"
    excess = code(assign_ipv6, client, interface, ipv_6address_count=5)
    assert excess == "InvalidOperation.Ipv6CountExceeded"

    unassign(client, interface, private_ip_address=pods)
    # Terway takes this error for success.
    assert code(unassign, client, interface, private_ip_address=pods) == "InvalidIp.IpUnassigned"
    primary = [made.private_ip_address]
    assert code(unassign, client, interface, private_ip_address=primary) == "InvalidIp.IpUnassigned"
    client.unassign_ipv_6addresses(
        models.UnassignIpv6AddressesRequest(
            region_id=REGION,
            network_interface_id=interface,
            ipv_6address=ipv6.ipv_6sets.ipv_6address,
        )
    )
    found = describe(client, network_interface_id=[interface])[0]
    assert len(secondary(found)) == 1 and not found.ipv_6sets.ipv_6set

    wait_for(lambda: named(cloud, "NetworkInterface:PrivateIPv6Unassigned"))
    events = [
        (event["name"].split(":")[1], event["content"])
        for event in cloud.events("tenant")
        if "PrivateIP" in event["name"]
    ]
    kept = secondary(found)
    primary = made.private_ip_address
    assert events == [
        (
            "PrivateIPAssigned",
            {
                "eniId": interface,
                "primaryPrivateIp": primary,
                "secondaryPrivateIps": [*kept, *pods],
            },
        ),
        (
            "PrivateIPv6Assigned",
            {"eniId": interface, "ipv6s": ipv6.ipv_6sets.ipv_6address},
        ),
        (
            "PrivateIPUnassigned",
            {"eniId": interface, "primaryPrivateIp": primary, "secondaryPrivateIps": kept},
        ),
        ("PrivateIPv6Unassigned", {"eniId": interface}),
    ]
    detach(client, interface)
    wait_for(lambda: status(client, interface) == "Available")
    delete(client, interface)
    wait_for(lambda: status(client, interface) is None)
    # Addresses that go with the interface are in the event of the deletion only.
    assert len(named(cloud, "NetworkInterface:PrivateIPUnassigned")) == 1


def test_the_sequence_of_terraform(cloud):
    """Create with tags and settings, read, change tags, attributes and addresses, delete."""
    client = cloud.client("tenant")
    made = create(
        client,
        network_interface_name="tf-web",
        description="from Terraform",
        queue_number=4,
        source_dest_check=True,
        tag=[
            models.CreateNetworkInterfaceRequestTag(key="Created", value="TF"),
            models.CreateNetworkInterfaceRequestTag(key="For", value="web"),
        ],
    )
    interface = made.network_interface_id
    assert made.source_dest_check is True
    read = describe(client, network_interface_id=[interface])[0]
    assert (read.queue_number, read.source_dest_check, read.description) == (
        4,
        True,
        "from Terraform",
    )
    assert tags(client, interface) == {"Created": "TF", "For": "web"}

    client.untag_resources(
        models.UntagResourcesRequest(
            region_id=REGION, resource_type="eni", resource_id=[interface], tag_key=["For"]
        )
    )
    client.tag_resources(
        models.TagResourcesRequest(
            region_id=REGION,
            resource_type="eni",
            resource_id=[interface],
            tag=[
                models.TagResourcesRequestTag(key="Created", value="TF-update"),
                models.TagResourcesRequestTag(key="Team", value="network"),
            ],
        )
    )
    assert tags(client, interface) == {"Created": "TF-update", "Team": "network"}
    shown = describe(client, network_interface_id=[interface])[0].tags.tag
    assert {tag.tag_key: tag.tag_value for tag in shown} == tags(client, interface)

    modify(
        client,
        interface,
        network_interface_name="tf-web-2",
        description="changed",
        queue_number=8,
        source_dest_check=False,
        security_group_id=["sg-tenant"],
        delete_on_release=False,
    )
    read = describe(client, network_interface_id=[interface])[0]
    assert (
        read.network_interface_name,
        read.description,
        read.queue_number,
        read.source_dest_check,
        read.delete_on_release,
        read.security_group_ids.security_group_id,
    ) == ("tf-web-2", "changed", 8, False, False, ["sg-tenant"])

    wanted = ["192.168.16.100", "192.168.16.101"]
    assign(client, interface, private_ip_address=wanted)
    assert secondary(describe(client, network_interface_id=[interface])[0]) == wanted
    unassign(client, interface, private_ip_address=wanted[:1])
    assert secondary(describe(client, network_interface_id=[interface])[0]) == wanted[1:]
    assign(client, interface, ipv_4prefix_count=1)
    read = describe(client, network_interface_id=[interface])[0]
    prefixes = [found.ipv_4prefix for found in read.ipv_4prefix_sets.ipv_4prefix_set]
    unassign(client, interface, ipv_4prefix=prefixes)
    assert code(assign, client, interface, private_ip_address=wanted[1:]) == "InvalidIp.IpAssigned"

    delete(client, interface)
    wait_for(lambda: status(client, interface) is None)
    assert tags(client, interface) == {}


def test_what_a_parameter_says_is_kept_and_shown(cloud):
    client = cloud.client("tenant")
    tracking = models.CreateNetworkInterfaceRequestConnectionTrackingConfiguration
    made = create(
        client,
        queue_pair_number=16,
        source_dest_check=True,
        delete_on_release=False,
        resource_group_id="rg-1",
        connection_tracking_configuration=tracking(tcp_established_timeout=300, udp_timeout=60),
        network_interface_traffic_config=(
            models.CreateNetworkInterfaceRequestNetworkInterfaceTrafficConfig(queue_number=2)
        ),
    )
    interface = made.network_interface_id
    client.attach_network_interface(
        models.AttachNetworkInterfaceRequest(
            region_id=REGION,
            network_interface_id=interface,
            instance_id="i-tenant",
            network_card_index=1,
        )
    )
    wait_for(lambda: status(client, interface) == "InUse")
    shown = attributes(client, interface)
    timeouts = shown.connection_tracking_configuration
    assert (
        timeouts.tcp_established_timeout,
        timeouts.tcp_closed_and_time_wait_timeout,
        timeouts.udp_timeout,
    ) == (300, 3, 60)
    config = shown.network_interface_traffic_config
    assert (config.queue_number, config.queue_pair_number) == (2, 16)
    assert (shown.queue_number, shown.queue_pair_number) == (2, 16)
    assert (shown.source_dest_check, shown.delete_on_release) == (True, False)
    assert shown.resource_group_id == "rg-1"
    assert (shown.attachment.instance_id, shown.attachment.network_card_index) == ("i-tenant", 1)
    listed = describe(client, network_interface_id=[interface])[0]
    assert (listed.queue_number, listed.queue_pair_number) == (2, 16)
    assert listed.attachment.network_card_index == 1
    modify(client, interface, description="x" * 10, source_dest_check=False)
    changed = attributes(client, interface)
    assert (changed.description, changed.source_dest_check) == ("x" * 10, False)
    assert changed.connection_tracking_configuration.udp_timeout == 60
    # While the instance runs, the number of queues cannot change.
    assert code(modify, client, interface, queue_number=3) == "InvalidOperation.InvalidEcsState"


def test_a_token_that_is_no_page_is_an_error(cloud):
    client = cloud.client("tenant")

    def page(token):
        request = models.DescribeNetworkInterfacesRequest(
            region_id=REGION, max_results=10, next_token=token
        )
        return client.describe_network_interfaces(request)

    assert code(page, "bad") == "InvalidParameter"
    assert page(None).body.total_count >= 1


def test_tags_of_other_accounts_and_kinds_are_refused(cloud):
    client, other = cloud.client("tenant"), cloud.client("neighbour")
    interface = create(client).network_interface_id

    def tag(client, kind="eni", resource=interface, count=1):
        return client.tag_resources(
            models.TagResourcesRequest(
                region_id=REGION,
                resource_type=kind,
                resource_id=[resource],
                tag=[models.TagResourcesRequestTag(key=f"k{n}", value="v") for n in range(count)],
            )
        )

    assert code(tag, other) == "InvalidResourceId.NotFound"
    assert code(tag, client, kind="moon") == "InvalidResourceType.NotFound"
    assert code(tag, client, count=21) == "NumberExceed.Tags"
    tag(client, kind="instance", resource="i-tenant")
    tag(client, kind="securitygroup", resource="sg-tenant", count=2)
    assert tags(client, "i-tenant", "instance") == {"k0": "v"}
    assert tags(client, "sg-tenant", "securitygroup") == {"k0": "v", "k1": "v"}
    assert tags(other, "i-tenant", "instance") == {}
    by_tag = models.ListTagResourcesRequest(
        region_id=REGION,
        resource_type="securitygroup",
        tag=[models.ListTagResourcesRequestTag(key="k1")],
    )
    found = client.list_tag_resources(by_tag).body.tag_resources.tag_resource
    assert {tag.resource_id for tag in found} == {"sg-tenant"}

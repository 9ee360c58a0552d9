"""An automation in Python follows the events of a cloud and acts on it with the official SDK."""

import threading

import reflexarc as ra
from alibabacloud_ecs20140526 import models
from simulated_cloud import REGION, wait_for

CLEAN_UP = """
when = 'content.operation == "CreateNetworkInterface" and content.result == "success"'
by = "content.eniId"
then = 'call("ecs", "DescribeNetworkInterfaces", #{ NetworkInterfaceId: [event.content.eniId] })'
answered = '''
if !answer.ok { notify("team", `${call.operation}: ${answer.code}`); return; }
if call.operation == "DeleteNetworkInterface" { return; }
for found in answer.body.NetworkInterfaceSets.NetworkInterfaceSet {
    if (found.Tags?.Tag ?? []).some(|tag| tag.TagKey == "reflexarc") {
        call("ecs", "DeleteNetworkInterface", #{ NetworkInterfaceId: found.NetworkInterfaceId });
    }
}
'''
"""


def create(client, **parameters):
    """Create an interface and return its id."""
    request = models.CreateNetworkInterfaceRequest(
        region_id=REGION, v_switch_id="vsw-tenant", security_group_id="sg-tenant", **parameters
    )
    return client.create_network_interface(request).body.network_interface_id


def test_an_automation_deletes_what_is_marked(cloud):
    client = cloud.client("tenant")
    app = ra.Automation(ra.RuleSet.from_rules({"clean-up": CLEAN_UP}))
    deleted, messages = [], []
    app.target("team")(lambda action: messages.append(action.text))

    @app.target("ecs")
    def ecs(action):
        allow = ["Describe*", "DeleteNetworkInterface"]
        return ra.alibaba.call(action, client, allow=allow)

    @app.on('content.operation == "DeleteNetworkInterface" and content.result == "success"')
    def gone(event, match):
        deleted.append(ra.Event(event).eni.eni_id)

    # The cloud appends the events of the account to a file.
    source = ra.sources.ndjson(cloud.folder / "tenant.ndjson", follow=True, poll=0.05)
    run = threading.Thread(target=app.run, args=[source])
    run.start()
    try:
        kept = create(client)
        tag = models.CreateNetworkInterfaceRequestTag(key="reflexarc", value="auto-delete")
        marked = create(client, tag=[tag])
        wait_for(lambda: deleted)
    finally:
        app.stop()
        run.join(timeout=60)
    assert deleted == [marked] and messages == [] and not run.is_alive()
    request = models.DescribeNetworkInterfacesRequest(
        region_id=REGION, network_interface_id=[kept, marked]
    )
    found = client.describe_network_interfaces(request).body.network_interface_sets
    assert [each.network_interface_id for each in found.network_interface_set] == [kept]


def test_refusals_of_the_cloud_are_answers(cloud):
    client = cloud.client("tenant")
    app = ra.Automation(ra.RuleSet.from_rules({"clean-up": CLEAN_UP}))
    messages = []
    app.target("team")(lambda action: messages.append(action.text))
    unauthorized = cloud.client("tenant", access_key_secret="wrong")
    event = {"content": {"operation": "CreateNetworkInterface", "result": "success", "eniId": "e"}}
    for account in (unauthorized, client):
        app.target("ecs")(lambda action, account=account: ra.alibaba.call(action, account))
        app.process(event)
    assert messages == ["DescribeNetworkInterfaces: SignatureDoesNotMatch"]

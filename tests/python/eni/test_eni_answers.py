"""Calls of rules, executed with the official SDK, whose responses go back to the rule."""

import reflexarc as ra
from alibabacloud_ecs20140526 import models
from alibabacloud_tea_openapi.exceptions import ClientException
from simulated_cloud import REGION, wait_for

CLEAN_UP = """
when = 'leaked exists'
then = 'call("ecs", "DescribeNetworkInterfaces", #{ NetworkInterfaceId: [event.leaked] })'
answered = '''
if !answer.ok {
    notify("team", `${call.operation}: ${answer.status} ${answer.code}`);
    return;
}
if call.operation == "DeleteNetworkInterface" { notify("team", `${event.leaked} is gone`); return; }
for eni in answer.body.NetworkInterfaceSets.NetworkInterfaceSet {
    if eni.Status == "Available" {
        call("ecs", "DeleteNetworkInterface", #{ NetworkInterfaceId: eni.NetworkInterfaceId });
    }
}
'''
"""


def execute(client, rules, call, state):
    """Execute a call, and give the response back."""
    try:
        if call.operation == "DescribeNetworkInterfaces":
            request = models.DescribeNetworkInterfacesRequest().from_map(call.parameters)
            request.region_id = REGION
            response = client.describe_network_interfaces(request)
        else:
            request = models.DeleteNetworkInterfaceRequest().from_map(call.parameters)
            request.region_id = REGION
            response = client.delete_network_interface(request)
    except ClientException as error:
        status, code, message = error.status_code, error.code, error.message
        return rules.answer(call, status=status, code=code, message=message, state=state)
    return rules.answer(call, body=response, state=state)


def test_a_rule_describes_and_deletes_with_the_sdk(cloud):
    client = cloud.client("tenant")
    request = models.CreateNetworkInterfaceRequest(
        region_id=REGION, v_switch_id="vsw-tenant", security_group_id="sg-tenant"
    )
    interface = client.create_network_interface(request).body.network_interface_id
    rules = ra.RuleSet.from_rules({"clean-up": CLEAN_UP})

    def clean_up():
        evaluation = rules.evaluate({"leaked": interface})
        operations = []
        while evaluation.actions and evaluation.actions[0].kind == "call":
            call = evaluation.actions[0]
            operations.append(call.operation)
            evaluation = execute(client, rules, call, evaluation.state)
        return operations, [action.text for action in evaluation.actions]

    both = ["DescribeNetworkInterfaces", "DeleteNetworkInterface"]
    assert clean_up() == (both, [f"{interface} is gone"])

    def found():
        request = models.DescribeNetworkInterfacesRequest(
            region_id=REGION, network_interface_id=[interface]
        )
        body = client.describe_network_interfaces(request).body
        return body.network_interface_sets.network_interface_set

    wait_for(lambda: not found())
    assert clean_up() == (both[:1], [])

    gone = rules.evaluate({"leaked": interface}).actions[0]
    answered = rules.answer(
        gone,
        body={
            "NetworkInterfaceSets": {
                "NetworkInterfaceSet": [
                    {"Status": "Available", "NetworkInterfaceId": "eni-nowhere"}
                ]
            }
        },
    )
    refused = execute(client, rules, answered.actions[0], answered.state)
    assert refused.actions[0].text.startswith("DeleteNetworkInterface: 404 InvalidEniId.NotFound")

"""What the API says to requests that are wrong, through the SDK and beside it."""

import urllib.parse
from datetime import datetime, timedelta, timezone

import pytest
import requests
from alibabacloud_ecs20140526 import models
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils import Utils
from simulated_cloud import REGION


def refusal(call) -> tuple:
    with pytest.raises(ClientException) as refused:
        call()
    return refused.value.status_code, refused.value.code


def signed(
    cloud, action="DescribeNetworkInterfaces", secret="tenant-secret", **changes
) -> requests.Response:
    """A request in the older way, signed by the SDK's own function."""
    parameters = {
        "Action": action,
        "Version": "2014-05-26",
        "Format": "JSON",
        "AccessKeyId": "tenant-key",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": Utils.get_nonce(),
        "Timestamp": Utils.get_timestamp(),
        "RegionId": REGION,
    }
    parameters.update(changes)
    parameters = {name: value for name, value in parameters.items() if value is not None}
    parameters["Signature"] = Utils.get_rpcsignature(parameters, "GET", secret)
    return requests.get(
        f"http://{cloud.endpoint}/?{urllib.parse.urlencode(parameters)}", timeout=10
    )


def code(response: requests.Response) -> tuple:
    body = response.json()
    assert body["RequestId"] == response.headers["x-acs-request-id"]
    assert body["HostId"]
    return response.status_code, body["Code"]


def test_a_wrong_key_and_a_wrong_secret(cloud):
    request = models.DescribeNetworkInterfacesRequest(region_id=REGION)
    for algorithm in (None, "v2"):
        wrong_key = cloud.client("tenant", access_key_id="nobody", signature_algorithm=algorithm)
        assert refusal(lambda: wrong_key.describe_network_interfaces(request)) == (
            404,
            "InvalidAccessKeyId.NotFound",
        )
        wrong_secret = cloud.client(
            "tenant", access_key_secret="guess", signature_algorithm=algorithm
        )
        assert refusal(lambda: wrong_secret.describe_network_interfaces(request)) == (
            400,
            "SignatureDoesNotMatch",
        )


def test_missing_and_contradictory_parameters(cloud):
    client = cloud.client("tenant")
    missing = models.CreateNetworkInterfaceRequest(region_id=REGION, v_switch_id="vsw-tenant")
    assert refusal(lambda: client.create_network_interface(missing)) == (400, "MissingParameter")
    both = models.CreateNetworkInterfaceRequest(
        region_id=REGION,
        v_switch_id="vsw-tenant",
        security_group_id="sg-tenant",
        security_group_ids=["sg-tenant"],
    )
    assert refusal(lambda: client.create_network_interface(both)) == (
        400,
        "InvalidParameter.Conflict",
    )
    nowhere = models.DescribeNetworkInterfacesRequest(region_id="cn-nowhere")
    assert refusal(lambda: client.describe_network_interfaces(nowhere)) == (
        404,
        "InvalidRegionId.NotFound",
    )


def test_an_unknown_action(cloud):
    request = models.DescribeInstancesRequest(region_id=REGION)
    client = cloud.client("tenant")
    assert refusal(lambda: client.describe_instances(request)) == (404, "InvalidAction.NotFound")


def test_a_stale_time_stamp(cloud):
    def at(minutes):
        moment = datetime.now(timezone.utc) + timedelta(minutes=minutes)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    assert code(signed(cloud, Timestamp=at(-20))) == (400, "InvalidTimeStamp.Expired")
    assert code(signed(cloud, Timestamp=at(20))) == (400, "InvalidTimeStamp.Expired")
    assert code(signed(cloud, Timestamp="now")) == (400, "InvalidTimeStamp.Format")
    assert signed(cloud, Timestamp=at(-10)).status_code == 200


def test_a_replayed_nonce(cloud):
    first = signed(cloud, SignatureNonce="once")
    assert first.status_code == 200
    assert code(signed(cloud, SignatureNonce="once")) == (400, "SignatureNonceUsed")
    assert code(requests.get(first.url, timeout=10)) == (400, "SignatureNonceUsed")


def test_a_request_without_a_signature(cloud):
    bare = requests.get(f"http://{cloud.endpoint}/", timeout=10)
    assert code(bare) == (400, "MissingParameter")
    huge = requests.post(f"http://{cloud.endpoint}/", data=b"x" * 300_000, timeout=10)
    assert huge.status_code == 413

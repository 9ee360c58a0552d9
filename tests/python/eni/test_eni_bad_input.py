"""Responses of the API to invalid requests, with and without the SDK."""

import urllib.parse
from datetime import datetime, timedelta, timezone

import pytest
import requests
from alibabacloud_ecs20140526 import models
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils import Utils
from simulated_cloud import REGION


def refusal(call) -> tuple:
    with pytest.raises(ClientException) as error:
        call()
    return error.value.status_code, error.value.code


def signed(
    cloud, action="DescribeNetworkInterfaces", secret="tenant-secret", **changes
) -> requests.Response:
    """Send a request with the older signature method, signed by the SDK."""
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


def test_wrong_keys_and_secrets_are_refused(cloud):
    request = models.DescribeNetworkInterfacesRequest(region_id=REGION)
    for algorithm in (None, "v2"):
        wrong_key = cloud.client(
            "tenant", access_key_id="unknown-key", signature_algorithm=algorithm
        )
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


def test_invalid_parameters_are_refused(cloud):
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


def test_unknown_actions_are_refused(cloud):
    request = models.DescribeInstancesRequest(region_id=REGION)
    client = cloud.client("tenant")
    assert refusal(lambda: client.describe_instances(request)) == (404, "InvalidAction.NotFound")


def test_stale_time_stamps_are_refused(cloud):
    def at(minutes):
        moment = datetime.now(timezone.utc) + timedelta(minutes=minutes)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    assert code(signed(cloud, Timestamp=at(-20))) == (400, "InvalidTimeStamp.Expired")
    assert code(signed(cloud, Timestamp=at(20))) == (400, "InvalidTimeStamp.Expired")
    assert code(signed(cloud, Timestamp="now")) == (400, "InvalidTimeStamp.Format")
    assert signed(cloud, Timestamp=at(-10)).status_code == 200


def test_replayed_nonces_are_refused(cloud):
    first = signed(cloud, SignatureNonce="once")
    assert first.status_code == 200
    assert code(signed(cloud, SignatureNonce="once")) == (400, "SignatureNonceUsed")
    assert code(requests.get(first.url, timeout=10)) == (400, "SignatureNonceUsed")


def test_unsigned_requests_are_refused(cloud):
    bare = requests.get(f"http://{cloud.endpoint}/", timeout=10)
    assert code(bare) == (400, "MissingParameter")
    huge = requests.post(f"http://{cloud.endpoint}/", data=b"x" * 300_000, timeout=10)
    assert huge.status_code == 413

"""Responses of the API to invalid requests, with and without the SDK."""

import urllib.parse
from datetime import datetime, timedelta, timezone

import pytest
import requests
from alibabacloud_ecs20140526 import models
from alibabacloud_tea_openapi import models as open_api
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils import Utils
from darabonba.runtime import RuntimeOptions
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
        f"http://{cloud.endpoint}/?{urllib.parse.urlencode(parameters)}", timeout=60
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


def call_api(client, action, version="2014-05-26", **query):
    """Call any action of any version, as generic clients of the SDK do."""
    params = open_api.Params(
        action=action,
        version=version,
        protocol="HTTPS",
        pathname="/",
        method="POST",
        auth_type="AK",
        style="RPC",
        req_body_type="formData",
        body_type="json",
    )
    request = open_api.OpenApiRequest(query={"RegionId": REGION, **query})
    return client.call_api(params, request, RuntimeOptions())


def test_unknown_actions_and_versions_are_refused(cloud):
    client = cloud.client("tenant")
    assert refusal(lambda: client.describe_disks(models.DescribeDisksRequest())) == (
        404,
        "InvalidAction.NotFound",
    )
    assert refusal(lambda: call_api(client, "FlyToTheMoon")) == (404, "InvalidAction.NotFound")
    old = lambda: call_api(client, "DescribeNetworkInterfaces", version="2011-01-01")  # noqa: E731
    assert refusal(old) == (404, "InvalidVersion")
    known = call_api(client, "DescribeNetworkInterfaces")
    assert known["body"]["TotalCount"] >= 1


def test_parameters_that_are_too_large_are_refused(cloud):
    large = "x" * (1 << 20)
    client = cloud.client("tenant")
    # In the address of the request, which is larger than HTTP servers accept.
    assert refusal(
        lambda: client.create_network_interface(
            models.CreateNetworkInterfaceRequest(
                region_id=REGION,
                v_switch_id="vsw-tenant",
                security_group_id="sg-tenant",
                description=large,
            )
        )
    ) == (413, "RequestEntityTooLarge")
    # In its body.
    params = {"Action": "DescribeNetworkInterfaces", "Description": large}
    posted = requests.post(f"http://{cloud.endpoint}/", data=params, timeout=60)
    assert code(posted) == (413, "RequestEntityTooLarge")
    # Within the limit of the request, but not of the parameter.
    description = models.CreateNetworkInterfaceRequest(
        region_id=REGION,
        v_switch_id="vsw-tenant",
        security_group_id="sg-tenant",
        description=large[: 30 << 10],
    )
    assert refusal(lambda: client.create_network_interface(description)) == (
        400,
        "InvalidParameter",
    )
    assert call_api(client, "DescribeNetworkInterfaces")["body"]["TotalCount"] >= 1


SESSION = {
    "access_key_id": "STS.tenant-key",
    "access_key_secret": "tenant-session-secret",
    "security_token": "tenant-session-token",
}


@pytest.mark.parametrize("algorithm", [None, "v2"], ids=["ACS3-HMAC-SHA256", "HMAC-SHA1"])
def test_sessions_of_roles_need_their_token(cloud, algorithm):
    request = models.DescribeNetworkInterfacesRequest(region_id=REGION)

    def describe(**changes):
        config = {**SESSION, "signature_algorithm": algorithm, **changes}
        return cloud.client("tenant", **config).describe_network_interfaces(request)

    assert describe().body.total_count >= 1
    key = {"access_key_id": "tenant-key", "access_key_secret": "tenant-secret"}
    for changes, expected in [
        ({"security_token": "guess"}, (400, "InvalidSecurityToken.Malformed")),
        ({"security_token": None}, (404, "InvalidAccessKeyId.NotFound")),
        (key, (400, "InvalidSecurityToken.MismatchWithAccessKey")),
        ({"access_key_secret": "guess"}, (400, "SignatureDoesNotMatch")),
    ]:
        assert refusal(lambda changes=changes: describe(**changes)) == expected


def test_tokens_are_valid_until_they_expire(start_cloud, tmp_path):
    world = tmp_path / "world.toml"
    world.write_text(
        """
[[account]]
name = "short"
id = "1690704567890130"
session = { id = "STS.short", secret = "s", token = "t", expires = "0s" }

[[account]]
name = "long"
id = "1690704567890131"
session = { id = "STS.long", secret = "s", token = "u", expires = "1h" }
"""
    )
    cloud = start_cloud(str(world))
    request = models.DescribeNetworkInterfacesRequest(region_id=REGION)

    def describe(account, token):
        client = cloud.client(
            account, access_key_id=f"STS.{account}", access_key_secret="s", security_token=token
        )
        return client.describe_network_interfaces(request)

    assert refusal(lambda: describe("short", "t")) == (400, "InvalidSecurityToken.Expired")
    assert describe("long", "u").body.total_count == 0


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
    assert code(requests.get(first.url, timeout=60)) == (400, "SignatureNonceUsed")


def test_unsigned_requests_are_refused(cloud):
    bare = requests.get(f"http://{cloud.endpoint}/", timeout=60)
    assert code(bare) == (400, "MissingParameter")
    huge = requests.post(f"http://{cloud.endpoint}/", data=b"x" * 300_000, timeout=60)
    assert huge.status_code == 413

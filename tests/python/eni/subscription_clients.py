"""Clients of the official SDKs for a simulated cloud, and what `import` makes of responses."""

from __future__ import annotations

import subprocess

from alibabacloud_ecs20140526 import models as ecs
from alibabacloud_tea_openapi import models as open_api
from simulated_cloud import REGION


def sdk(kind, cloud, account="tenant"):
    """A client of an official SDK for the simulated cloud."""
    config = open_api.Config(
        access_key_id=f"{account}-key",
        access_key_secret=f"{account}-secret",
        endpoint=cloud.endpoint,
        protocol="http",
        region_id=REGION,
    )
    return kind(config)


def create_interface(cloud, account="tenant") -> str:
    """Create an interface; return the id of the request."""
    request = ecs.CreateNetworkInterfaceRequest(
        region_id=REGION, v_switch_id=f"vsw-{account}", security_group_id=f"sg-{account}"
    )
    return cloud.client(account).create_network_interface(request).body.request_id


def imported(reflexarc, folder, kind: str, *files) -> dict[str, str]:
    """The rule files that `import` makes, by name."""
    subprocess.run(
        [str(reflexarc), "import", kind, *map(str, files), "--out", str(folder)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    return {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.toml")}


def as_listed(request: dict) -> dict:
    """The rule of a request of CreateRule as `ListRules` has it."""
    rule = {"Status": "ENABLE", **request}
    rule["Targets"] = rule.pop("EventTargets")
    return rule

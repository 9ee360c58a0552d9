"""A simulated cloud as the tests see it: the official SDK pointed at it, and what came out of its buses."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi import models as open_api

REGION = "cn-hangzhou"


def wait_for(what, within: float = 20.0):
    """The first true answer of `what`; fails when there is none in time."""
    end = time.monotonic() + within
    while True:
        answer = what()
        if answer:
            return answer
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


class Cloud:
    """A running `reflexarc simulate --listen`."""

    def __init__(self, process: subprocess.Popen, folder: Path):
        self.process = process
        self.folder = folder
        first = process.stdout.readline()
        assert first.startswith("listening on http://"), first
        self.endpoint = first.strip().removeprefix("listening on http://")

    def client(self, account: str, **config) -> Client:
        """The SDK's client with the key of one of the world's accounts."""
        settings = {
            "access_key_id": f"{account}-key",
            "access_key_secret": f"{account}-secret",
            "endpoint": self.endpoint,
            "protocol": "http",
            "region_id": REGION,
        }
        return Client(open_api.Config(**{**settings, **config}))

    def fault(self, method: str = "POST", content_type: str = "application/json", **fault):
        """Asks `/faults`: status and document of the answer."""
        body = json.dumps(fault).encode() if fault else None
        request = urllib.request.Request(f"http://{self.endpoint}/faults", body, method=method)
        request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def events(self, account: str) -> list:
        """What came out of the account's bus so far, oldest first."""
        file = self.folder / f"{account}.ndjson"
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    def event(self, account: str, request_id: str) -> dict:
        """The event of a request, once it is there."""

        def found():
            return [
                event
                for event in self.events(account)
                if event["content"]["requestId"] == request_id
            ]

        return wait_for(found)[0]

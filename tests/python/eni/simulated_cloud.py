"""A simulated cloud with clients of the official SDK and the events of its buses."""

import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi import models as open_api

REGION = "cn-hangzhou"


def wait_for(poll, within: float = 60.0):
    """Poll until the result of `poll` is true and return it; fail after `within` seconds."""
    end = time.monotonic() + within
    while True:
        result = poll()
        if result:
            return result
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)


class Cloud:
    """A running `reflexarc simulate --listen`."""

    def __init__(self, process: subprocess.Popen, folder: Path, keep_output: bool = False):
        self.process = process
        self.folder = folder
        first = process.stdout.readline()
        assert first.startswith("listening on http://"), first
        self.endpoint = first.strip().removeprefix("listening on http://")
        # A pipe that nothing reads is full after some hundred events, and the cloud would wait.
        self.lines: list[str] = []
        read = self.keep_lines if keep_output else process.stdout.read
        threading.Thread(target=read, daemon=True).start()

    def keep_lines(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line)

    def output(self) -> list:
        """What was printed so far with `--format ndjson`."""
        return [json.loads(line) for line in list(self.lines)]

    def client(self, account: str, **config) -> Client:
        """An SDK client with the access key of an account."""
        settings = {
            "access_key_id": f"{account}-key",
            "access_key_secret": f"{account}-secret",
            "endpoint": self.endpoint,
            "protocol": "http",
            "region_id": REGION,
        }
        return Client(open_api.Config(**{**settings, **config}))

    def fault(self, method: str = "POST", headers: dict[str, str] | None = None, **fault):
        """Request `/faults`; return the status and document of the response."""
        body = json.dumps(fault).encode() if fault else None
        headers = {"Content-Type": "application/json", **(headers or {})}
        url = f"http://{self.endpoint}/faults"
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                text = response.read()
                return response.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def events(self, account: str) -> list:
        """The events on the bus of the account so far, oldest first."""
        file = self.folder / f"{account}.ndjson"
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    def event(self, account: str, request_id: str) -> dict:
        """Wait for the event of a request and return it."""

        def found():
            return [
                event
                for event in self.events(account)
                if event["content"].get("requestId") == request_id
            ]

        return wait_for(found)[0]

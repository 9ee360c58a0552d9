"""Events that `reflexarc simulate --forward` sends to a receiver which does not take them."""

from __future__ import annotations

import json
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from simulated_cloud import wait_for
from subscribed_service import free_port
from subscription_clients import create_interface


@pytest.fixture
def answer_with():
    """Start receivers: the status of the first responses, and 200 from then on."""
    servers = []

    def start(*statuses: int) -> tuple[str, list[tuple[int, str]]]:
        remaining, requests = list(statuses), []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = remaining.pop(0) if remaining else 200
                requests.append((status, event["content"]["requestId"]))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/events", requests

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_events_wait_for_a_receiver_that_is_away(start_cloud, answer_with, capfd):
    url, requests = answer_with(503, 429, 408, 500)
    cloud = start_cloud("--forward", url)
    created = [create_interface(cloud) for _ in range(3)]
    wait_for(lambda: len(requests) == 7)
    assert [status for status, _ in requests] == [503, 429, 408, 500, 200, 200, 200]
    assert [event for _, event in requests] == [created[0]] * 4 + created
    warnings = capfd.readouterr().err.splitlines()
    assert warnings == [
        f"error: cannot deliver events to {url} now, trying again until it takes them:"
        " HTTP status 503 Service Unavailable"
    ]


@pytest.mark.parametrize("status", [301, 400, 401, 404, 413])
def test_an_event_that_is_refused_is_left_out(status, start_cloud, answer_with, capfd):
    url, requests = answer_with(status)
    cloud = start_cloud("--forward", url)
    created = [create_interface(cloud) for _ in range(2)]
    wait_for(lambda: len(requests) == 2)
    assert requests == [(status, created[0]), (200, created[1])]
    # It is printed by another task than the one that sends.
    printed = []

    def is_said() -> bool:
        printed.append(capfd.readouterr().err)
        return f"error: {url} refuses an event: HTTP status {status} " in "".join(printed)

    wait_for(is_said)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_what_is_not_delivered_at_the_end_is_counted(end, start_cloud, capfd):
    cloud = start_cloud("--forward", f"http://127.0.0.1:{free_port()}/events")
    for _ in range(2):
        create_interface(cloud)
    wait_for(lambda: len(cloud.events("tenant")) == 2)
    cloud.process.send_signal(end)
    assert cloud.process.wait(timeout=60) == 0
    assert "error: 2 events were not delivered\n" in capfd.readouterr().err

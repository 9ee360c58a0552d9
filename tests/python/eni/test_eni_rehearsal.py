"""The whole way of a notification, from an SDK call to a message.

SDK → `reflexarc simulate` → HTTP → `reflexarc serve` → e-mail (aiosmtpd) and a DingTalk double.
"""

import base64
import email
import email.policy
import hashlib
import hmac
import json
import os
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from aiosmtpd.controller import Controller
from alibabacloud_ecs20140526 import models
from simulated_cloud import REGION, wait_for

SECRET = "SEC" + "0" * 61

WORLD = """
region = "cn-hangzhou"

[[account]]
name = "tenant"
id = "1690704567890130"
preview = true
form = "{form}"
key = {{ id = "tenant-key", secret = "tenant-secret" }}

[[vswitch]]
id = "vsw-tenant"
account = "tenant"
vpc = "vpc-main"
zone = "cn-hangzhou-b"
ipv4 = "192.168.16.0/24"

[[security_group]]
id = "sg-tenant"
account = "tenant"
vpc = "vpc-main"

[[instance]]
id = "i-tenant"
vswitch = "vsw-tenant"
security_groups = ["sg-tenant"]
"""

CONFIG = """
rules = "rules"

[store]
path = "reflexarc.db"

[http]
listen = "127.0.0.1:{port}"

[targets.operators]
type = "email"
host = "127.0.0.1"
port = {smtp}
protection = "none"
from = "Alerts <alerts@example.com>"
to = ["Operators <operators@example.com>"]

[targets.robot]
type = "dingtalk"
endpoint = "http://127.0.0.1:{robot}/robot/send"
token = {{ env = "TEST_ROBOT_TOKEN" }}
secret = {{ env = "TEST_ROBOT_SECRET" }}
allow = ["127.0.0.0/8"]
"""

ATTACHED = """
description = "Notify the operators of an attached interface"
when = '''
name == "NetworkInterface:NetworkInterfaceOperateCompleted"
and content.operation == "AttachNetworkInterface"
and content.result == "success"
'''
notify = ["operators"]
"""

DETACHED = """
description = "Notify the chat of a detached interface"
when = '''
name == "NetworkInterface:NetworkInterfaceOperateCompleted"
and content.operation == "DetachNetworkInterface"
'''
then = '''
notify("robot", #{
    title: `${event.content.eniId} is detached`,
    text: `request ${event.content.requestId} of account ${event.userId}`,
});
'''
"""


class Mailbox:
    """Accepts all mail."""

    def __init__(self):
        self.mails = []

    async def handle_DATA(self, _server, _session, envelope):
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"


class Robot(BaseHTTPRequestHandler):
    """Responds like a DingTalk robot, which accepts only signed messages."""

    def do_POST(self):
        query = parse_qs(urlsplit(self.path).query)
        timestamp = query["timestamp"][0]
        digest = hmac.new(
            SECRET.encode(), f"{timestamp}\n{SECRET}".encode(), hashlib.sha256
        ).digest()
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        signed = query["access_token"] == ["robot-token"] and query["sign"] == [
            base64.b64encode(digest).decode()
        ]
        if signed:
            self.server.messages.append(message)
        response = (
            {"errcode": 0, "errmsg": "ok"}
            if signed
            else {"errcode": 310000, "errmsg": "sign not match"}
        )
        body = json.dumps(response).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        pass


@pytest.fixture
def mailbox():
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    mailbox.port = controller.port
    yield mailbox
    controller.stop()


@pytest.fixture
def robot():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Robot)
    server.messages = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def service(reflexarc, tmp_path, mailbox, robot):
    """Run `reflexarc serve` with two rules and two targets; the value is its URL."""
    port = free_port()
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "attached.toml").write_text(ATTACHED)
    (tmp_path / "rules" / "detached.toml").write_text(DETACHED)
    config = tmp_path / "reflexarc.toml"
    config.write_text(CONFIG.format(port=port, smtp=mailbox.port, robot=robot.server_address[1]))
    environment = {**os.environ, "TEST_ROBOT_TOKEN": "robot-token", "TEST_ROBOT_SECRET": SECRET}
    with (tmp_path / "serve.log").open("w") as log:
        command = [str(reflexarc), "serve", "--config", str(config)]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

        def ready():
            assert process.poll() is None, (tmp_path / "serve.log").read_text()
            try:
                answer = requests.get(f"http://127.0.0.1:{port}/healthz", timeout=60)
                return answer.status_code < 500
            except requests.ConnectionError:
                return False

        try:
            wait_for(ready)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=60)


@pytest.mark.parametrize(
    "form", ["native", "eventbridge", "cloud-monitor-rule", "cloud-monitor-policy"]
)
def test_an_operation_becomes_a_mail_and_a_chat_message(
    form, start_cloud, service, mailbox, robot, tmp_path
):
    world = tmp_path / "world.toml"
    world.write_text(WORLD.format(form=form))
    cloud = start_cloud(str(world), "--forward", f"{service}/events")
    client = cloud.client("tenant")

    creation = models.CreateNetworkInterfaceRequest(
        region_id=REGION, v_switch_id="vsw-tenant", security_group_id="sg-tenant"
    )
    interface = client.create_network_interface(creation).body.network_interface_id
    attachment = models.AttachNetworkInterfaceRequest(
        region_id=REGION, network_interface_id=interface, instance_id="i-tenant"
    )
    attached = client.attach_network_interface(attachment).body.request_id

    wait_for(lambda: mailbox.mails)
    mail = mailbox.mails[0]
    text = mail.get_body(("plain",)).get_content()
    assert mail["To"] == "Operators <operators@example.com>"
    assert interface in text and attached in text

    detachment = models.DetachNetworkInterfaceRequest(
        region_id=REGION, network_interface_id=interface, instance_id="i-tenant"
    )
    detached = client.detach_network_interface(detachment).body.request_id
    wait_for(lambda: robot.messages)
    message = json.dumps(robot.messages[0])
    assert f"{interface} is detached" in message
    assert detached in message and "1690704567890130" in message

    # Three events, but one mail and one chat message: no rule matches the creation.
    assert (len(mailbox.mails), len(robot.messages)) == (1, 1)

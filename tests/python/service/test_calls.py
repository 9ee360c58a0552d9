"""Calls of the API of Alibaba Cloud: signed as by the official SDK, and answered whatever comes."""

from __future__ import annotations

import json
import random
import re
import ssl
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi import models as open_api
from alibabacloud_tea_openapi.utils import Utils, get_canonical_query_string
from service_process import FIXTURES, ROOT, event, eventually, free_port

ID = "LTAI-canary-id"
SECRET = "canary-secret-0123456789"
TOKEN = "canary/token+0123456789=="
KEYS = 'access_key_id = { env = "CANARY_ID" }, access_key_secret = { env = "CANARY_SECRET" }'
ENVIRONMENT = {"CANARY_ID": ID, "CANARY_SECRET": SECRET, "CANARY_TOKEN": TOKEN}
OUT = '[targets.out]\ntype = "file"\npath = "out.ndjson"\n'


class Api:
    """Records requests, and answers them as `respond` says: status, headers, body."""

    def __init__(self, respond=None, context: ssl.SSLContext | None = None):
        self.requests: list[SimpleNamespace] = []
        requests = self.requests
        respond = respond or (lambda request: (200, {}, b'{"RequestId": "R"}'))

        class Handler(BaseHTTPRequestHandler):
            def handle_all(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                parts = urlsplit(self.path)
                request = SimpleNamespace(
                    method=self.command,
                    path=parts.path,
                    query=parts.query,
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=body,
                )
                requests.append(request)
                status, headers, answer = respond(request)
                self.send_response_only(status)
                for name, value in {"content-length": len(answer), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = handle_all

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        scheme = "https" if context else "http"
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"{scheme}://{self.host}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def api():
    """Start APIs that stop with the test."""
    running: list[Api] = []

    def start(*args, **options) -> Api:
        running.append(Api(*args, **options))
        return running[-1]

    yield start
    for server in running:
        server.close()


def call(number: int, parameters: dict, **content) -> dict:
    return event(number, f"eni-{number}", parameters=parameters, **content)


# --- signatures ---

TEXTS = ["eni-1", "a b", "a+b&c=d", "网卡 eni", "~-_.", "*'()!", "%41", "a\nb", "/?#[]@", '"\\"']
OPERATIONS = ["DescribeNetworkInterfaces", "CreateNetworkInterface", "TagResources", "RunCommand"]


def generated(source: random.Random, depth: int = 0):
    """A parameter: text, number, truth value, or an array or map of them."""
    kind = source.randrange(6 if depth < 2 else 4)
    if kind == 4:
        return [generated(source, depth + 1) for _ in range(source.randint(1, 3))]
    if kind == 5:
        return {name: generated(source, depth + 1) for name in source.sample(["Key", "Value"], 2)}
    return [source.choice(TEXTS), source.randrange(10**6), source.random() < 0.5, "x"][kind]


def as_sent(value):
    """The same with truth values as the API reads them; the SDK for Python writes `True`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return [as_sent(element) for element in value]
    if isinstance(value, dict):
        return {key: as_sent(member) for key, member in value.items()}
    return value


def test_fifty_signatures_equal_those_of_the_official_sdk(serve, api):
    server = api()
    cases = "".join(
        f'if event.content.call == "{operation} {target}" {{\n'
        f'  call("{target}", "{operation}", event.content.parameters);\n}}\n'
        for operation in OPERATIONS
        for target in ("key", "sts", "form")
    )
    target = f'type = "alibaba"\nregion = "cn-hangzhou"\nendpoint = "{server.url}"\nallow = "*"\n'
    target += "max_changes = { per_minute = 1000, per_day = 1000 }\n"
    token = 'security_token = { env = "CANARY_TOKEN" }'
    service = serve(
        f"[targets.key]\n{target}credentials = {{ {KEYS} }}\n"
        f"[targets.sts]\n{target}credentials = {{ {KEYS}, {token} }}\n"
        f'[targets.form]\n{target}credentials = {{ {KEYS} }}\nparameters = "form"\n',
        rule=f"when = 'content.call exists'\nthen = '''\n{cases}'''\n",
        **ENVIRONMENT,
    )
    source = random.Random(19)
    expected = {}
    for number in range(50):
        names = source.sample(["Tag", "InstanceId", "Filter", "Force", "Name", "Size"], 3)
        parameters = {name: generated(source) for name in names}
        parameters["Marker"] = f"call-{number}"
        target = ("key", "sts", "form")[number % 3]
        operation = source.choice(OPERATIONS)
        expected[f"call-{number}"] = (operation, target, parameters)
        service.post(call(number, parameters, call=f"{operation} {target}"))
    requests = eventually(lambda: len(server.requests) >= 50 and server.requests)
    assert len(requests) == 50
    nonces = set()
    for sent in requests:
        query = dict(parse_qsl(sent.query, keep_blank_values=True))
        form = dict(parse_qsl(sent.body.decode(), keep_blank_values=True))
        flat = query or form
        operation, target, parameters = expected.pop(flat["Marker"])
        # The parameters are those that the SDK makes of the same ones, and the two of the target.
        ours = {"RegionId": "cn-hangzhou"}
        if "ClientToken" in flat:
            ours["ClientToken"] = flat["ClientToken"]
        assert flat == {**Utils.query(as_sent(parameters)), **ours}
        assert ("ClientToken" in flat) == (operation in ("CreateNetworkInterface", "RunCommand"))
        authorization = sent.headers["authorization"]
        signed = re.search(r"SignedHeaders=([^,]+)", authorization)[1].split(";")
        request = SimpleNamespace(
            method=sent.method,
            pathname=sent.path,
            query=query,
            headers={name: sent.headers[name] for name in signed},
        )
        assert sent.query == get_canonical_query_string(query)
        payload = Utils.hash(sent.body, "ACS3-HMAC-SHA256").hex()
        assert sent.headers["x-acs-content-sha256"] == payload
        assert sent.headers["x-acs-action"] == operation
        assert sent.headers["x-acs-version"] == "2014-05-26"
        assert sent.headers.get("x-acs-security-token") == (TOKEN if target == "sts" else None)
        assert (sent.body == b"") == (target != "form")
        # What changes the request is signed.
        must = {name for name in sent.headers if name.startswith("x-acs-")} | {"host"}
        assert must <= set(signed)
        official = Utils.get_authorization(request, "ACS3-HMAC-SHA256", payload, ID, SECRET)
        assert authorization == official
        nonces.add(sent.headers["x-acs-signature-nonce"])
    assert not expected and len(nonces) == 50


def test_operations_with_a_client_token_are_those_of_the_official_sdk():
    table = ROOT / "crates/delivery/src/target/alibaba/client_token_operations.txt"
    requests = (name for name in dir(models) if name.endswith("Request"))
    official = {
        name.removesuffix("Request")
        for name in requests
        if not name.endswith("ShrinkRequest") and hasattr(getattr(models, name)(), "client_token")
    }
    assert set(table.read_text().split()) == official
    for operation in ("Attach", "Detach", "Delete"):
        assert f"{operation}NetworkInterface" not in official


def test_hosts_of_regions_are_those_of_the_official_sdk(serve):
    def client(region: str) -> Client:
        config = {"access_key_id": ID, "access_key_secret": SECRET, "region_id": region}
        return Client(open_api.Config(**config))

    regions = {"cn-beijing", "eu-central-1", *client("cn-beijing")._endpoint_map}
    targets = [
        f'[targets."{region}"]\ntype = "alibaba"\nregion = "{region}"\ncredentials = {{ {KEYS} }}\n'
        for region in regions
    ]
    service = serve("".join([*targets, OUT]), rule='when = "a exists"\n', **ENVIRONMENT)
    listed = json.loads(service.run("target", "list", "--json").stdout)
    ours = {entry["target"]: entry["endpoint"] for entry in listed if entry["target"] != "out"}
    assert ours == {region: client(region)._endpoint for region in regions}


# --- what else may come ---

DELETE = """
when = 'content.operation == "AttachNetworkInterface"'
then = 'call("ecs", "DeleteNetworkInterface", #{ NetworkInterfaceId: event.content.eniId });'
answered = 'send("out", #{ event: event.id, answer: answer })'
"""


def ecs(endpoint: str, *keys: str, credentials: str = f"{{ {KEYS} }}") -> str:
    lines = [f'endpoint = "{endpoint}"', 'allow = "*"', "retry = []", *keys]
    if not any(key.startswith("credentials") for key in keys):
        lines.append(f"credentials = {credentials}")
    return OUT + '[targets.ecs]\ntype = "alibaba"\n' + "\n".join(lines) + "\n"


def answers(service, count: int) -> dict[str, dict]:
    """The answers that rules got, by event."""
    path = service.folder / "out.ndjson"

    def read():
        lines = path.read_text().splitlines() if path.exists() else []
        return len(lines) >= count and lines

    found = [json.loads(line)["send"] for line in eventually(read)]
    assert len(found) == count
    return {entry["event"]: entry["answer"] for entry in found}


def assert_no_secrets(service, *more: str) -> None:
    """No secret is in logs, files, lists or traces."""
    texts = [(service.folder / "serve.log").read_text(errors="replace")]
    out = service.folder / "out.ndjson"
    texts.append(out.read_text() if out.exists() else "")
    for arguments in (
        ["archive", "export"],
        ["outbox", "list", "--format", "json"],
        ["status"],
        ["target", "list", "--json"],
    ):
        done = service.run(*arguments)
        texts.append(done.stdout + done.stderr)
    for secret in (SECRET, TOKEN, *more):
        assert not any(secret in text for text in texts), secret


def failure(status: int, code: str, **headers: str):
    body = {"Code": code, "Message": f"as {code} says", "RequestId": "R"}
    return status, headers, json.dumps(body).encode()


def test_every_response_becomes_an_answer(serve, api):
    page = {"content-type": "text/html"}
    cases = {
        "ok": ((200, {}, b'{"RequestId": "R"}'), 200, ""),
        "key": (failure(404, "InvalidAccessKeyId.NotFound"), 404, "InvalidAccessKeyId.NotFound"),
        "signature": (failure(400, "SignatureDoesNotMatch"), 400, "SignatureDoesNotMatch"),
        "token": (
            failure(400, "InvalidSecurityToken.Expired"),
            400,
            "InvalidSecurityToken.Expired",
        ),
        "operation": (failure(404, "InvalidAction.NotFound"), 404, "InvalidAction.NotFound"),
        "html": ((200, page, b"<html>login</html>"), 200, "InvalidAnswer"),
        "gateway": ((502, page, b"<html>bad gateway</html>"), 502, "InvalidAnswer"),
        "redirect": ((302, {"location": "http://127.0.0.1:1/"}, b""), 302, "InvalidAnswer"),
        "large": ((200, {}, b'"' + b"x" * (1 << 20) + b'"'), 200, "InvalidAnswer"),
        "empty": ((200, {}, b""), 200, "InvalidAnswer"),
        "throttled": (failure(400, "Throttling.User"), None, "Undelivered"),
        "clock": (failure(400, "InvalidTimeStamp.Expired"), None, "Undelivered"),
    }

    def respond(request):
        eni = dict(parse_qsl(request.query))["NetworkInterfaceId"]
        return cases[eni][0]

    server = api(respond)
    service = serve(
        ecs(server.url, "max_changes = { per_minute = 100, per_day = 100 }"),
        rule=DELETE,
        **ENVIRONMENT,
    )
    for name in cases:
        service.post(event(name, name))
    found = answers(service, len(cases))
    for name, (_, status, code) in cases.items():
        answer = found[name]
        assert (answer["ok"], answer["status"], answer["code"]) == (code == "", status, code)
        assert bool(answer["message"]) == (code != ""), answer
    for name in ("html", "gateway", "redirect", "large", "empty"):
        assert "the operation may have been executed" in found[name]["message"]
    # Each once: `retry = []`, and without a `Date` there is nothing to correct the clock by.
    assert len(server.requests) == len(cases)
    assert_no_secrets(service)


def test_a_clock_that_is_ten_minutes_off_is_corrected(serve, api):
    server_time = datetime.now(timezone.utc) + timedelta(minutes=10)

    def respond(request):
        sent = datetime.fromisoformat(request.headers["x-acs-date"].replace("Z", "+00:00"))
        if abs(sent - server_time) < timedelta(minutes=5):
            return 200, {}, b'{"RequestId": "R"}'
        date = server_time.strftime("%a, %d %b %Y %H:%M:%S GMT")
        return failure(400, "InvalidTimeStamp.Expired", date=date)

    server = api(respond)
    service = serve(ecs(server.url), rule=DELETE, **ENVIRONMENT)
    service.post(event("e1"))
    assert answers(service, 1)["e1"]["ok"]
    service.post(event("e2"))
    assert answers(service, 2)["e2"]["ok"]
    assert len(server.requests) == 3


def test_what_cannot_be_sent_is_answered(serve, api):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FIXTURES / "localhost.pem", FIXTURES / "localhost.key")
    untrusted = api(context=context)
    recorder = api()
    for targets, code, reason in [
        (ecs(untrusted.url), "Undelivered", "invalid peer certificate"),
        (ecs(f"http://127.0.0.1:{free_port()}"), "Undelivered", "Connection refused"),
        (
            ecs(
                recorder.url,
                'credentials = { ecs_role = "reflexarc", '
                f'metadata = "http://127.0.0.1:{free_port()}" }}',
            ),
            "Undelivered",
            "no credentials from the metadata service",
        ),
        (ecs(recorder.url).replace('"*"', '"Describe*"'), "NotAllowed", "is not allowed"),
        (ecs(recorder.url, "dry_run = true"), "DryRun", ""),
        (
            ecs(recorder.url, "max_changes = { per_minute = 0, per_day = 0 }"),
            "ChangeLimit",
            "target resume ecs",
        ),
    ]:
        service = serve(targets, rule=DELETE, **ENVIRONMENT)
        service.post(event("e1"))
        answer = answers(service, 1)["e1"]
        assert (answer["ok"], answer["status"], answer["code"]) == (False, None, code), answer
        assert reason in answer["message"], answer
        if code == "DryRun":
            assert answer["body"]["action"] == "DeleteNetworkInterface"
            assert answer["body"]["parameters"] == {"NetworkInterfaceId": "eni-1"}
        assert_no_secrets(service)
    assert not recorder.requests and not untrusted.requests


def test_keys_of_the_instance_role_are_renewed(serve, api):
    def metadata(request):
        if request.method == "PUT":
            return 200, {}, b"session"
        if request.headers.get("x-aliyun-ecs-metadata-token") != "session":
            return 403, {}, b""
        fetched = sum(other.path == request.path for other in service_of_role.requests)
        expires = datetime.now(timezone.utc) + timedelta(hours=6)
        key = {
            "Code": "Success",
            "AccessKeyId": f"STS.role-{fetched}",
            "AccessKeySecret": f"role-secret-{fetched}",
            "SecurityToken": f"role-token-{fetched}",
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return 200, {}, json.dumps(key).encode()

    def respond(request):
        if request.headers["x-acs-security-token"] == "role-token-1":
            echo = f"expired: {request.headers}"
            body = {"Code": "InvalidSecurityToken.Expired", "Message": echo}
            return 400, {}, json.dumps(body).encode()
        return 200, {}, b'{"RequestId": "R"}'

    service_of_role, server = api(metadata), api(respond)
    credentials = f'{{ ecs_role = "reflexarc", metadata = "{service_of_role.url}" }}'
    service = serve(ecs(server.url, credentials=credentials), rule=DELETE)
    service.post(event("e1"))
    assert answers(service, 1)["e1"]["ok"]
    tokens = [request.headers["x-acs-security-token"] for request in server.requests]
    assert tokens == ["role-token-1", "role-token-2"]
    paths = [request.path for request in service_of_role.requests]
    key = "/latest/meta-data/ram/security-credentials/reflexarc"
    assert paths == ["/latest/api/token", key] * 2
    assert_no_secrets(service, "role-secret", "role-token")


# --- other APIs ---

CMDB = """
when = 'content.operation == "AttachNetworkInterface"'
then = '''
call("cmdb", "GET /enis/{id}", #{ id: event.content.eniId, full: true });
'''
answered = '''
if call.operation == "GET /enis/{id}" && answer.ok {
    call("cmdb", "PUT /enis/{id}", #{ id: answer.body.id, owner: answer.body.owner });
} else {
    send("out", #{ event: event.id, answer: answer });
}
'''
"""


def test_any_api_with_json_is_looked_up_and_changed(serve, api):
    def respond(request):
        if request.method == "GET":
            body = {"id": "eni/1", "owner": "network"}
            return 200, {"content-type": "application/json"}, json.dumps(body).encode()
        return 200, {"content-type": "text/plain"}, b"kept"

    server = api(respond)
    keys = f'{OUT}[targets.cmdb]\ntype = "http"\nurl = "{server.url}/v1"\n'
    keys += 'networks = ["127.0.0.0/8"]\nbearer = { env = "CANARY_SECRET" }\n'
    for allow, code in [("", "NotAllowed"), ('allow = ["GET *", "PUT /enis/{id}"]\n', "")]:
        service = serve(keys + allow, rule=CMDB, **ENVIRONMENT)
        service.post(event("e1", "eni/1"))
        answer = answers(service, 1)["e1"]
        assert answer["code"] == code, answer
        assert_no_secrets(service)
    assert answer["body"] == "kept"
    look, look_again, change = server.requests
    assert (look.method, look.path, look.query) == ("GET", "/v1/enis/eni%2F1", "full=true")
    assert look_again.path == change.path == look.path
    assert (change.method, change.body) == ("PUT", b'{"owner":"network"}')
    assert change.headers["authorization"] == f"Bearer {SECRET}"
    assert re.fullmatch("[0-9a-f]{32}", change.headers["idempotency-key"])

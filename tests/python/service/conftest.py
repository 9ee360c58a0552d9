"""Fixtures: services and mail servers that stop with the test."""

from __future__ import annotations

import socket
import ssl

import pytest
from service_process import FIXTURES, Service, free_port


@pytest.fixture
def serve(tmp_path):
    """Start services that stop with the test."""
    running: list[Service] = []

    def start(targets: str, **options: str) -> Service:
        folder = tmp_path / f"service-{len(running)}"
        folder.mkdir()
        running.append(Service(folder, targets, **options))
        return running[-1]

    yield start
    for service in running:
        service.close()


class SilentServer:
    """Accepts connections and never responds."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections: list[socket.socket] = []

    def close(self) -> None:
        self.listener.close()


@pytest.fixture
def silent():
    server = SilentServer()
    yield server
    server.close()


def probe(port: int) -> None:
    """Connect with TLS and read the greeting."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(FIXTURES / "localhost.pem")
    with (
        socket.create_connection(("127.0.0.1", port)) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        connection.recv(100)


@pytest.fixture
def mail_server():
    """Start mail servers (aiosmtpd) that stop with the test."""
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult

    controllers = []

    class Inbox:
        def __init__(self, refuse: str | None, refuse_to: dict[str, str]):
            self.mails = []
            self.refuse = refuse
            self.refuse_to = refuse_to

        async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
            if answer := self.refuse_to.get(address):
                return answer
            envelope.rcpt_tos.append(address)
            return "250 fine"

        async def handle_DATA(self, server, session, envelope):
            if self.refuse:
                return self.refuse
            self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content, session))
            return f"250 kept as number {len(self.mails)}"

    def start(
        *,
        tls: bool = True,
        password: str | None = None,
        refuse: str | None = None,
        refuse_to: dict[str, str] | None = None,
        implicit: bool = False,
    ):
        inbox = Inbox(refuse, {} if refuse_to is None else refuse_to)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(FIXTURES / "localhost.pem", FIXTURES / "localhost.key")

        def authenticate(server, session, envelope, mechanism, data):
            good = password is not None and data.password == password.encode()
            return AuthResult(success=good, handled=good)

        options = {"hostname": "127.0.0.1", "port": free_port()}
        if implicit:
            options["ssl_context"] = context
        elif tls:
            options |= {"tls_context": context, "require_starttls": True}
        if password is not None:
            options |= {"authenticator": authenticate, "auth_required": True}
            options["auth_require_tls"] = tls and not implicit
        controller = Controller(inbox, **options)
        if implicit:
            # The controller's own probe does not trust the test certificate.
            controller._trigger_server = lambda: probe(controller.port)
        controller.start()
        controllers.append(controller)
        inbox.port = controller.port
        return inbox

    yield start
    for controller in controllers:
        controller.stop()


@pytest.fixture
def nats_server(tmp_path):
    """Start NATS servers that stop with the test; `start=False` leaves that to the test."""
    from nats_servers import NatsServer

    servers = []

    def make(config: str = "", *, start: bool = True, **options):
        server = NatsServer(tmp_path / f"nats-{len(servers)}", config, **options)
        servers.append(server)
        return server.start() if start else server

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def cluster(tmp_path):
    """Start nodes in a schema of their own of the server that `tests/run` has started."""
    import uuid

    from cluster import Cluster, query, shared_server

    server = shared_server()
    schema = f"cluster_{uuid.uuid4().hex[:12]}"
    query(server, f"CREATE SCHEMA {schema}")
    nodes = Cluster(tmp_path, server, schema)
    yield nodes
    nodes.close()
    query(server, f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def recorder():
    """Start HTTP receivers that stop with the test."""
    from cluster import Recorder

    recorders = []

    def start(**options):
        recorders.append(Recorder(**options))
        return recorders[-1]

    yield start
    for one in recorders:
        one.close()

"""A NATS server with JetStream on this machine, and a proxy before it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sysconfig
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo
from service_process import eventually, free_port


@dataclass
class Stored:
    """A message of a stream."""

    subject: str
    data: bytes
    headers: dict[str, str]


class NatsServer:
    """A server with its own folder."""

    def __init__(self, folder: Path, config: str = "", **options: Any):
        self.folder = folder
        self.port = free_port()
        # Options of the client of the tests.
        self.options = options
        folder.mkdir(exist_ok=True)
        self.config = folder / "server.conf"
        self.config.write_text(
            f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{folder}/data" }}\n{config}'
        )
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> NatsServer:
        binary = Path(sysconfig.get_path("scripts"), "nats-server")
        log = (self.folder / "server.log").open("ab")
        self.process = subprocess.Popen([binary, "-c", self.config], stderr=log, stdout=log)
        log.close()
        eventually(self.listens)
        return self

    def listens(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def use(self, work: Callable[[JetStreamContext], Awaitable[Any]]) -> Any:
        """Do something with a client of its own."""

        async def run() -> Any:
            connection = await nats.connect(self.url, **self.options)
            try:
                return await work(connection.jetstream())
            finally:
                await connection.close()

        return asyncio.run(run())

    def add_stream(self, name: str, *subjects: str, **options: Any) -> None:
        self.use(lambda stream: stream.add_stream(name=name, subjects=list(subjects), **options))

    def publish(
        self, subject: str, *payloads: bytes, headers: dict[str, str] | None = None
    ) -> None:
        async def work(stream: JetStreamContext) -> None:
            for payload in payloads:
                await stream.publish(subject, payload, headers=headers)

        self.use(work)

    def stored(self, name: str) -> list[Stored]:
        """All messages of a stream."""

        async def work(stream: JetStreamContext) -> list[Stored]:
            state = (await stream.stream_info(name)).state
            messages = [
                await stream.get_msg(name, number)
                for number in range(state.first_seq, state.last_seq + 1)
                if state.messages
            ]
            return [
                Stored(message.subject or "", message.data or b"", dict(message.headers or {}))
                for message in messages
            ]

        return self.use(work)

    def consumer(self, stream: str, name: str = "reflexarc") -> ConsumerInfo:
        return self.use(lambda context: context.consumer_info(stream, name))

    def has_nothing_left(self, stream: str) -> bool:
        info = self.consumer(stream)
        return info.num_pending == 0 and info.num_ack_pending == 0


class Proxy:
    """Forwards connections. Once `marker` was sent to a client, nothing of that client passes."""

    def __init__(self, port: int, marker: bytes):
        self.target, self.marker = port, marker
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.is_closed = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for source, sink, is_client in ((client, server, True), (server, client, False)):
                arguments = (source, sink, is_client)
                threading.Thread(target=self.forward, args=arguments, daemon=True).start()

    def forward(self, source: socket.socket, sink: socket.socket, is_client: bool) -> None:
        try:
            while data := source.recv(65536):
                if not is_client and self.marker in data:
                    # Before the client has it, so that no acknowledgement passes.
                    self.is_closed.set()
                if is_client and self.is_closed.is_set():
                    continue
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            end.close()

    def close(self) -> None:
        self.listener.close()

"""Receivers of what a service delivers: a mailbox, and robots and programs over HTTP."""

from __future__ import annotations

import email
import email.policy
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller


class Mailbox:
    """A mail server that accepts all mail."""

    def __init__(self, port: int):
        self.texts: list[str] = []
        self.controller = Controller(self, hostname="127.0.0.1", port=port)
        self.controller.start()

    async def handle_DATA(self, _server, _session, envelope) -> str:
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = mail.get_body(("plain",)).get_content()
        self.texts.append(f"{mail['Subject']}\n{body}")
        return "250 OK"

    def close(self) -> None:
        self.controller.stop()


class HttpReceiver:
    """An HTTP server that accepts all documents, with the response of a DingTalk robot."""

    def __init__(self, port: int):
        texts: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                document = self.rfile.read(int(self.headers["Content-Length"]))
                texts.append(json.dumps(json.loads(document), ensure_ascii=False))
                body = b'{"errcode": 0, "errmsg": "ok"}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args):
                pass

        self.texts = texts
        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

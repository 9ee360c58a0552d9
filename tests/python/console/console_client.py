"""Requests to the console without a browser."""

from __future__ import annotations

import http.client
import re
from urllib.parse import urlencode


class Client:
    """Requests to one listener; keeps what came back, and the cookies."""

    def __init__(self, url: str):
        self.host = url.removeprefix("http://")
        self.cookies: dict[str, str] = {}
        self.seen: list[str] = []

    def send(
        self, method: str, path: str, form: dict | None = None, **headers: str
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={it}" for name, it in self.cookies.items())
        body = None
        if form is not None:
            body = urlencode(form)
            headers["content-type"] = "application/x-www-form-urlencoded"
            headers["origin"] = f"http://{self.host}"
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        for cookie in answer.headers.get_all("set-cookie") or []:
            name, value = cookie.split(";")[0].split("=", 1)
            self.cookies[name] = value
        others = [f"{name}: {it}" for name, it in answer.getheaders() if name != "set-cookie"]
        text = answer.read().decode() if "event-stream" not in str(others) else ""
        self.seen.append("\n".join([*others, text]))
        connection.close()
        return answer.status, text

    def log_in(self, token: str) -> int:
        self.cookies.pop("reflexarc-session", None)
        _, page = self.send("GET", "/login?next=/events")
        csrf = re.search('name="csrf" value="([0-9a-f]+)"', page)
        assert csrf is not None
        form = {"csrf": csrf[1], "next": "/events", "token": token}
        return self.send("POST", "/login", form)[0]

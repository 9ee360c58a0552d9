"""docs/http.md: its requests are sent in their order, and answered as it shows.

REFLEXARC_UPDATE_PAGES=1 writes the responses into the page.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from service_process import ROOT, Service

PAGE = ROOT / "docs/http.md"

# A request, and what it is answered.
BLOCK = re.compile(
    r"```sh\n(?P<request>curl .*?|printf .*?)```\n\n```http\n(?P<response>.*?)```", re.S
)
TOKENS = {"INGEST": "b0f7c1d2e3a4958677869504a3b2c1d0", "OPS": "0d1c2b3a40596877768594a3e2d1c7f0"}
# Members whose values differ each time.
VOLATILE = {"id", "milliseconds", "last_write_seconds", "bytes", "done"}


@pytest.fixture
def service(tmp_path: Path):
    """The service of the page."""
    page = PAGE.read_text(encoding="utf-8")
    config = re.search(r"`reflexarc.toml`:\n\n```toml\n(.*?)```", page, re.S)
    rules = re.findall(r"`(rules/[a-z]+\.toml)`[^\n]*\n\n```toml\n(.*?)```", page, re.S)
    assert config and len(rules) == 2
    (tmp_path / "rules").mkdir()
    for name, text in rules:
        (tmp_path / name).write_text(text)
    # The page's address is the default one, which may be in use here.
    running = Service(tmp_path, config[1], None, **TOKENS)
    yield running
    running.close()


class Shell:
    """Runs the requests of the page."""

    def __init__(self, service: Service) -> None:
        self.port = service.port
        self.environment = os.environ | TOKENS | {"ID": ""}

    def command(self, request: str) -> str:
        assert "localhost:8321" in request
        request = request.replace("localhost:8321", f"localhost:{self.port}")
        return request.replace("curl ", "curl -sSi ")

    def run(self, request: str) -> str:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", self.command(request)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{request}{done.stderr}"
        return self.shown(done.stdout)

    def stream(self, request: str) -> str:
        """Open the stream of the first line, send the other requests, and read what it says."""
        first, rest = request.split("\n", 1)
        process = subprocess.Popen(
            ["bash", "-c", f"exec {self.command(first)}"],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        lines = []
        # It is open once this is read, and the event is not missed.
        while not lines or not lines[-1].startswith("retry:"):
            lines.append(process.stdout.readline())
        self.run(rest)
        while not lines[-1].startswith("data:"):
            lines.append(process.stdout.readline())
        process.kill()
        process.wait()
        process.stdout.close()
        return self.shown("".join(lines) + "\n")

    def shown(self, response: str) -> str:
        """The status, the headers that matter and the body, as the page has them."""
        head, body = response.replace("\r\n", "\n").split("\n\n", 1)
        status, *headers = head.split("\n")
        matter = ("link:", "allow:", "www-authenticate:", "retry-after:")
        kept = [line for line in headers if line.startswith(matter)]
        if head.endswith("x-accel-buffering: no") or body.startswith(": live"):
            text = body.strip()
        else:
            text = layout(json.loads(body))
        return "\n".join([status, *kept, "", text]) + "\n"


def layout(value: object, indent: int = 0) -> str:
    """JSON on one line where it is short enough."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + indent <= 140 or not isinstance(value, dict | list) or not value:
        return line
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [f"{pad}{json.dumps(key)}: {layout(of, indent + 2)}" for key, of in value.items()]
        return "{\n" + ",\n".join(parts) + "\n" + " " * indent + "}"
    parts = [pad + layout(of, indent + 2) for of in value]
    return "[\n" + ",\n".join(parts) + "\n" + " " * indent + "]"


def comparable(response: str) -> str:
    """A response without what differs each time."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", response)
    text = re.sub(r"\b[0-9a-f]{32}\b", "ID", text)
    text = re.sub(r'"(\w+)": [\d.]+', lambda m: f'"{m[1]}": N' if m[1] in VOLATILE else m[0], text)
    text = re.sub(r"id: [0-9a-f-]+", "id: ID", text)
    text = re.sub(r"before=\d+", "before=N", text)
    # What rules cost differs by machine.
    text = re.sub(r'"budgets": \[[^]]*\]', '"budgets": []', text)
    # Lines break elsewhere where a value is longer.
    return re.sub(r"\s+", "", text)


def may_be_repeated(request: str) -> bool:
    """Whether it changes nothing, or the same again: what follows is done in the background."""
    changes = "-d " in request or "--data" in request or "-X" in request
    return not changes or "/redrive" in request


@pytest.mark.skipif(
    not shutil.which("curl") and os.environ.get("CI") != "true", reason="needs curl"
)
def test_the_page_is_true(service: Service) -> None:
    page, shell = PAGE.read_text(encoding="utf-8"), Shell(service)
    update = bool(os.environ.get("REFLEXARC_UPDATE_PAGES"))
    blocks = list(BLOCK.finditer(page))
    assert len(blocks) > 40 and page.count("```http") == len(blocks), "each request has a response"
    for block in blocks:
        request, expected = block["request"], block["response"]
        found = shell.stream(request) if "curl -N" in request else shell.run(request)
        # Deliveries are sent in the background.
        end = time.monotonic() + (1 if update else 30)
        while may_be_repeated(request) and time.monotonic() < end:
            if comparable(found) == comparable(expected):
                break
            time.sleep(0.05)
            found = shell.run(request) if "curl -N" not in request else found
        if update:
            page = page.replace(block[0], f"```sh\n{request}```\n\n```http\n{found}```")
        else:
            assert comparable(found) == comparable(expected), f"{request}{found}"
        if ids := re.search(r'"id": "([0-9a-f]{32})"', found):
            shell.environment["ID"] = ids[1]
    if update:
        PAGE.write_text(page, encoding="utf-8")


def test_all_routes_are_on_the_page() -> None:
    document = json.loads((ROOT / "crates/service/openapi.json").read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    for path in document["paths"]:
        # `/targets/{name}/pause` is there as `/targets/NAME/pause`, or with a name of the example.
        parts = [
            r"[^/\s`?]+" if part.startswith("{") else re.escape(part) for part in path.split("/")
        ]
        last = parts[-1]
        assert re.search("/".join(parts), page) or f"`{last}`" in page, path

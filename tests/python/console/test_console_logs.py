"""What the log has, and what it never has. No browser is needed."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import time
from pathlib import Path

import pytest
from console_client import Client
from console_service import OLA, OPERATE, READ, Console, respond
from receiver import receiver
from service_process import free_port, program

WRONG = "wrong-token-of-the-log-tests"


def test_no_secret_is_in_the_log_or_in_a_page(tmp_path):
    """At the level trace, of the API and the console, and of the crates below them."""
    with receiver(respond) as received:
        console = Console(tmp_path, received)
        try:
            console.stop()
            configuration = tmp_path / "reflexarc.toml"
            configuration.write_text('log = "trace"\n' + configuration.read_text())
            console.start()
            people = Client(console.url)
            assert people.log_in(WRONG) == 401
            secrets = [READ, OPERATE, OLA, WRONG]
            for token in (READ, OLA):
                assert people.log_in(token) == 303
                secrets.append(people.cookies["reflexarc-session"])
                for path in ("/", "/events", "/audit", "/live?kinds=event", "/nothing"):
                    status, _ = people.send("GET", path)
                    assert status == (404 if path == "/nothing" else 200), path
            status, _ = people.send("POST", "/perform", {"csrf": "0", "operation": "reload"})
            assert status == 403
            # Refused before any page.
            assert people.send("GET", "/", host="evil.example")[0] == 403
            api = Client(f"http://127.0.0.1:{console.port}")
            for token, expected in ((OPERATE, 200), (READ, 200), (WRONG, 401)):
                bearer = {"authorization": f"Bearer {token}"}
                for path in ("/status", "/live", "/dlq", "/audit"):
                    assert api.send("GET", path, **bearer)[0] == expected, path
                assert api.send("GET", f"/status?token={token}")[0] in (200, 401)
            assert api.send("POST", "/reload", authorization=f"Bearer {OPERATE}")[0] == 200
        finally:
            console.close()
    log = (tmp_path / "serve.log").read_text()
    assert "wrong token" in log
    for secret in secrets:
        assert len(secret) > 20
        assert secret not in log, secret
        for answer in people.seen + api.seen:
            assert secret not in answer, secret


def lines_of(folder: Path, arguments: list[str], terminal: bool) -> list[str]:
    """The first lines that the service logs to a terminal or a pipe."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    process = subprocess.Popen(
        [program(), "serve", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    text = b""
    try:
        end = time.monotonic() + 60
        while text.count(b"\n") < 2 and time.monotonic() < end:
            text += os.read(ours, 65_536)
    finally:
        process.terminate()
        process.wait()
        os.close(ours)
    return text.decode().splitlines()


@pytest.mark.parametrize(
    ("terminal", "format_name", "human"),
    [
        (True, None, True),
        (False, None, False),
        (True, "auto", True),
        (False, "auto", False),
        (True, "json", False),
        (False, "human", True),
    ],
)
def test_log_lines_are_for_people_on_a_terminal(tmp_path, terminal, format_name, human):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/all.toml").write_text("when = 'id == \"a\"'\nthen = 'log(\"a\");'\n")
    (tmp_path / "reflexarc.toml").write_text(f'[http]\nlisten = "127.0.0.1:{free_port()}"\n')
    arguments = ["--log-format", format_name] if format_name else []
    lines = lines_of(tmp_path, arguments, terminal)
    assert len(lines) >= 2
    for line in lines[:2]:
        if human:
            assert not line.startswith("{"), line
            assert "INFO" in line, line
        else:
            entry = json.loads(line)
            assert entry["level"] == "INFO"
            assert "\x1b" not in line

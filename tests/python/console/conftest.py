"""Fixtures: a service with a console, and visitors to it.

A missing browser is a failure in CI (`CI=true`); elsewhere the tests are skipped and say why.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import browser
import pytest
from browser import DESK, Visit, Visitor
from console_client import Client
from console_service import OLA, OPERATE, READ, Console, respond
from receiver import receiver

MISSING = (
    "no browser: install Chromium (Debian: apt-get install chromium-headless-shell), or set"
    " REFLEXARC_CHROMIUM"
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[browser.Browser]:
    """A browser. It ends with the file: Playwright's event loop would hinder asyncio in others."""
    if browser.executable() is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = browser.start(playwright)
        yield started
        started.close()


@pytest.fixture(scope="module")
def console(tmp_path_factory, chromium) -> Iterator[Console]:
    """A service whose console requires tokens, with something on each page."""
    with receiver(respond) as received:
        service = Console(tmp_path_factory.mktemp("console"), received)
        try:
            service.fill()
            yield service
        finally:
            service.close()


@pytest.fixture(scope="module")
def sessions(console) -> dict[str, dict]:
    """The cookies of people who have logged in."""
    # Without a browser, which is slower; the tests of the login use one.
    states = {}
    for name, token in (("ana", READ), ("ola", OLA), ("cloud", OPERATE)):
        client = Client(console.url)
        assert client.log_in(token) == 303
        cookie = {
            "name": "reflexarc-session",
            "value": client.cookies["reflexarc-session"],
            "domain": "127.0.0.1",
            "path": "/",
            "expires": -1,
            "httpOnly": True,
            "secure": False,
            "sameSite": "Strict",
        }
        states[name] = {"cookies": [cookie], "origins": []}
    return states


@pytest.fixture
def visit(chromium, console, request) -> Iterator[Visit]:
    """Open browsers of people; at the end nothing forbidden has happened in any."""
    visitors: list[Visitor] = []

    def open_browser(
        who: str | None = "ola",
        *,
        javascript: bool = True,
        size: dict = DESK,
        dark: bool = False,
        of: Console | None = None,
    ) -> Visitor:
        state = request.getfixturevalue("sessions")[who] if who else None
        context = chromium.new_context(
            java_script_enabled=javascript,
            viewport=size,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            storage_state=state,
        )
        context.set_default_timeout(15_000)
        visitors.append(Visitor(of or console, context, context.new_page(), javascript))
        return visitors[-1]

    yield open_browser
    for visitor in visitors:
        visitor.check()
        visitor.context.close()

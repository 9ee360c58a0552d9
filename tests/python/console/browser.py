"""A browser, and pages that notice whatever a page of the console must never do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from console_service import Console
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

# The shell without windows first, which takes half the time.
NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)

# Widths of a telephone and of a desk, with heights that go with them.
PHONE, DESK = {"width": 375, "height": 812}, {"width": 1440, "height": 900}

# Elements that reach beyond the right edge of the window, unless something around them scrolls.
OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const beyond = [...document.querySelectorAll('body *')].filter(
    (element) => element.getBoundingClientRect().right > width + 1);
  return beyond.slice(0, 5).map((element) => element.outerHTML.slice(0, 200));
}"""


def executable() -> str | None:
    """The browser: $REFLEXARC_CHROMIUM, or the first that is installed."""
    named = os.environ.get("REFLEXARC_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


def start(playwright) -> Browser:
    """A browser without a window."""
    # In containers the tests run as root, where Chromium refuses to sandbox itself.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(
        executable_path=executable(), args=[*arguments, "--disable-dev-shm-usage", "--disable-gpu"]
    )


@dataclass
class Visitor:
    """One person's browser: a context with its cookies, and one page."""

    console: Console
    context: BrowserContext
    page: Page
    with_javascript: bool
    faults: list[str] = field(default_factory=list)
    # Statuses of 400 and above that a test causes on purpose.
    expected: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("console", self.note_message)
        self.page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        self.page.on("request", self.note_request)
        self.page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))

    def note_message(self, message: ConsoleMessage) -> None:
        """Errors and warnings, also of the content security policy."""
        if message.type not in ("error", "warning"):
            return
        text = message.text
        if any(f"status of {status}" in text for status in self.expected):
            return
        self.faults.append(f"{message.type}: {text} ({message.location.get('url')})")

    def note_request(self, request: Request) -> None:
        """Requests to other places, and tokens in addresses."""
        if not request.url.startswith((self.console.url + "/", "data:", "about:")):
            self.faults.append(f"request to {request.url}")
        if "token-of" in request.url:
            self.faults.append(f"token in {request.url}")

    def go(self, path: str) -> Page:
        """Open a page."""
        answer = self.page.goto(self.console.url + path, wait_until="load")
        assert answer is not None
        assert answer.status < 400 or answer.status in self.expected, (
            f"{path}: {answer.status} {answer.text()[:2000]}"
        )
        return self.page

    def log_in(self, token: str) -> Page:
        """Log in with a token."""
        page = self.go("/login")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_load_state("load")
        return page

    def check(self) -> None:
        """Nothing happened that must never happen."""
        if self.with_javascript:
            # Nothing of what events say was executed.
            assert self.page.evaluate("typeof window.hostile") == "undefined"
        assert not self.faults, "\n".join(self.faults)

    def check_layout(self) -> None:
        """Nothing is beyond the right edge."""
        beyond = self.page.evaluate(OVERFLOW)
        assert not beyond, "\n".join(beyond)

    def check_access(self) -> None:
        """Nothing of what axe finds is serious or critical."""
        # Without this, all the elements without faults are described, too.
        found = Axe().run(self.page, options={"resultTypes": ["violations"]})
        grave = [
            f"{one['id']} ({one['impact']}): {one['help']}\n  "
            + "\n  ".join(node["html"][:200] for node in one["nodes"][:3])
            for one in found.response["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        assert not grave, "\n".join(grave)

    def check_in_sizes(self, name: str) -> None:
        """The page is in order on a telephone and a desk, light and dark."""
        for size, scheme in ((DESK, "light"), (PHONE, "light"), (PHONE, "dark"), (DESK, "dark")):
            self.page.set_viewport_size(size)
            self.page.emulate_media(color_scheme=scheme)
            self.check_layout()
            # Colours do not depend on the size, nor anything else that axe looks at on the scheme:
            # each size and each scheme once.
            if (size, scheme) in ((DESK, "light"), (PHONE, "dark")):
                self.check_access()
            self.screenshot(f"{name}-{size['width']}-{scheme}")

    def screenshot(self, name: str) -> None:
        """Keep a picture of the whole page if $REFLEXARC_SCREENSHOTS names a folder."""
        if folder := os.environ.get("REFLEXARC_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


Visit = Callable[..., Visitor]

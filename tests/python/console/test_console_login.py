"""Sessions and roles in a browser."""

from __future__ import annotations

import pytest
from browser import PHONE, Visit
from console_service import OLA, OPERATE, READ, Console, respond
from receiver import receiver


@pytest.mark.parametrize("javascript", [True, False])
def test_log_in_leads_back_to_the_page(visit: Visit, javascript: bool):
    visitor = visit(None, javascript=javascript, size=PHONE)
    page = visitor.go("/dead-letters?target=network-team")
    assert "/login" in page.url
    assert page.get_by_label("Token").get_attribute("type") == "password"
    visitor.check_layout()
    page.get_by_label("Token").fill(READ)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/dead-letters?target=network-team")
    assert "ana" in page.locator("header").inner_text()
    (cookie,) = visitor.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert READ not in cookie["value"]
    assert READ not in page.content()


def test_login_page_is_accessible(visit: Visit):
    visitor = visit(None)
    visitor.expected = {401, 403, 429}
    page = visitor.go("/login")
    visitor.check_in_sizes("login")
    page = visitor.log_in("a wrong token")
    assert page.get_by_role("alert").count() == 1
    assert page.get_by_label("Token").input_value() == ""
    assert "a wrong token" not in page.content()
    visitor.check_access()
    visitor.screenshot("login-refused")


def test_readers_see_everything_and_change_nothing(visit: Visit):
    visitor = visit("ana")
    actions = 'main a[href^="/confirm"], main form[action="/perform"]'
    for path in ("/", "/dead-letters", "/targets/later", "/pending", "/silences", "/rules"):
        page = visitor.go(path)
        assert page.locator("h1").count() == 1
        assert page.locator(actions).count() == 0, path
    visitor.expected = {403}
    page = visitor.go("/confirm?operation=pause_target&target=later")
    assert "operate" in page.locator("main").inner_text()


@pytest.mark.parametrize("javascript", [True, False])
def test_session_that_has_ended_asks_for_the_token(visit: Visit, javascript: bool):
    here = visit(None, javascript=javascript)
    page = here.log_in(OLA)
    page = here.go("/targets/later")
    # Log out in another window of the same browser, with the page still open here.
    other = here.context.new_page()
    other.goto(here.console.url + "/")
    other.get_by_role("button", name="Log out").click()
    other.wait_for_url("**/login*")
    other.close()
    here.expected = {401}
    page.locator("main").get_by_text("Pause", exact=True).click()
    page.wait_for_url("**/login*")
    states = {one["target"]: one["state"] for one in here.console.get("/targets")["targets"]}
    assert states["later"] != "paused"


def test_stolen_cookies_are_worthless_after_logout(visit: Visit):
    visitor = visit(None)
    visitor.log_in(OPERATE)
    stolen = visitor.context.cookies()
    visitor.page.get_by_role("button", name="Log out").click()
    visitor.page.wait_for_url("**/login*")
    thief = visit(None)
    thief.context.add_cookies(stolen)
    page = thief.go("/audit")
    assert "/login" in page.url


def test_service_without_tokens_has_no_login(visit: Visit, tmp_path, chromium):
    with receiver(respond) as received:
        console = Console(tmp_path, received, with_tokens=False)
        try:
            visitor = visit(None, of=console)
            page = visitor.go("/")
            assert page.locator("h1").inner_text() == "Now"
            assert page.get_by_role("button", name="Log out").count() == 0
            # Everybody on this machine may act.
            page = visitor.go("/targets/later")
            assert page.locator('main a[href^="/confirm"], main form').count() >= 1
            visitor.screenshot("without-tokens")
            visitor.check()
        finally:
            console.close()


def test_events_without_anything_to_show(visit: Visit, tmp_path, chromium):
    """Pages of a service that has just been installed say what would be there."""
    with receiver(respond) as received:
        console = Console(tmp_path, received, with_tokens=False)
        try:
            visitor = visit(None, of=console, size=PHONE)
            for path in ("/", "/events", "/dead-letters", "/pending", "/silences", "/audit"):
                page = visitor.go(path)
                assert len(page.locator("main").inner_text().splitlines()) >= 2, path
                visitor.check_layout()
                visitor.check_access()
                visitor.screenshot(f"empty-{path.strip('/') or 'now'}")
            visitor.check()
        finally:
            console.close()

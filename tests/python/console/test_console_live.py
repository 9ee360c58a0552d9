"""Pages change by themselves while events come."""

from __future__ import annotations

import re

from browser import Visit
from console_service import HOSTILE, Console
from service_process import event


def test_now_shows_events_as_they_come(visit: Visit, console: Console):
    visitor = visit("ana")
    page = visitor.go("/")
    live = page.get_by_role("region", name="Live")
    live.get_by_text(re.compile("connected|live", re.I)).first.wait_for()
    console.post(event("attach-live", HOSTILE[3]))
    entry = live.get_by_text("attach-live").first
    entry.wait_for()
    # Rules and deliveries of it follow, as text.
    live.get_by_text("failed").first.wait_for()
    assert live.locator("img, script").count() == 0
    visitor.check_access()
    visitor.screenshot("now-live")


def test_events_show_new_entries(visit: Visit, console: Console):
    page = visit("ana").go("/events")
    assert page.get_by_text("attach-new-entry").count() == 0
    page.wait_for_timeout(500)
    console.post(event("attach-new-entry"))
    page.get_by_role("link", name="attach-new-entry").wait_for()


def test_now_shows_new_problems(visit: Visit, console: Console):
    page = visit("ana").go("/")
    console.do("/targets/later/pause")
    try:
        # What happens is the sign that the page may be out of date.
        console.post(event("attach-problem"))
        page.locator("main").get_by_text(re.compile("paused", re.I)).first.wait_for()
    finally:
        console.do("/targets/later/resume")


def test_live_pages_survive_a_restart(visit: Visit, console: Console):
    """The browser connects again by itself; a session ends with the service."""
    visitor = visit("ana")
    page = visitor.go("/")
    visitor.expected = {401, 403}
    console.stop()
    page.wait_for_timeout(300)
    console.start()
    page.reload()
    assert "/login" in page.url
    # The connection was refused meanwhile, which the browser reports.
    # So is an answer other than a stream when the browser tries it without a session.
    allowed = ("CONNECTION_REFUSED", "INCOMPLETE_CHUNKED", "MIME type")
    visitor.faults = [
        fault for fault in visitor.faults if not any(text in fault for text in allowed)
    ]

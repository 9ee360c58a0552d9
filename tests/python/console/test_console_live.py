"""Pages change by themselves while events come."""

from __future__ import annotations

import re

import pytest
from browser import Visit
from console_service import HOSTILE, Console
from playwright.sync_api import Route
from service_process import event


def test_now_shows_events_as_they_come(visit: Visit, console: Console):
    visitor = visit("ana")
    page = visitor.go("/")
    live = page.get_by_role("region", name="Live")
    live.get_by_text("Connected.").wait_for()
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
    console.post(event("attach-new-entry"))
    page.get_by_role("link", name="attach-new-entry").wait_for()


@pytest.mark.parametrize(("path", "part"), [("/", "#now"), ("/events", "#entries")])
def test_what_happens_before_the_stream_is_open_is_shown(
    visit: Visit, console: Console, path: str, part: str
):
    page = visit("ana").page
    streams: list[Route] = []
    page.route(re.compile(r"/live(\?|$)"), lambda route: streams.append(route))
    page.goto(console.url + path)
    while not streams:
        page.wait_for_timeout(50)
    identifier = f"attach-early-{part[1:]}"
    console.post(event(identifier))
    # It opens, and says nothing: what the page shows does not come from there.
    streams[0].fulfill(content_type="text/event-stream", body=": live\n\n")
    page.locator(part).get_by_text(identifier).first.wait_for()


# The waits are longer than the pause between two readings of the page.
@pytest.mark.parametrize(
    ("path", "part", "wait"), [("/", "#now", 6_500), ("/events", "#entries", 3_500)]
)
def test_what_happens_while_somebody_works_in_a_page_is_shown_afterwards(
    visit: Visit, console: Console, path: str, part: str, wait: int
):
    page = visit("ana").go(path)
    link = page.locator(f"{part} a").first
    link.focus()
    identifier = f"attach-focus-{part[1:]}"
    console.post(event(identifier))
    page.wait_for_timeout(wait)
    assert page.locator(part).get_by_text(identifier).count() == 0
    assert link.evaluate("link => link === document.activeElement")
    link.evaluate("link => link.blur()")
    page.locator(part).get_by_text(identifier).first.wait_for()


@pytest.mark.parametrize(
    ("path", "part", "wait"), [("/", "#now", 6_500), ("/events", "#entries", 3_500)]
)
def test_what_happens_while_a_page_is_hidden_is_shown_afterwards(
    visit: Visit, console: Console, path: str, part: str, wait: int
):
    page = visit("ana").page
    # As in a tab that is not in front, which a browser without windows does not have.
    page.add_init_script("Object.defineProperty(document, 'hidden', {get: () => !window.isSeen})")
    page.goto(console.url + path)
    identifier = f"attach-hidden-{part[1:]}"
    console.post(event(identifier))
    page.wait_for_timeout(wait)
    assert page.locator(part).get_by_text(identifier).count() == 0
    page.evaluate("window.isSeen = true")
    page.locator(part).get_by_text(identifier).first.wait_for()


@pytest.mark.parametrize(("path", "part"), [("/", "#now"), ("/events", "#entries")])
def test_the_focus_is_kept_when_somebody_begins_to_work_while_a_page_is_read(
    visit: Visit, console: Console, path: str, part: str
):
    page = visit("ana").go(path)
    readings: list[Route] = []
    page.route(console.url + path, lambda route: readings.append(route))
    # When the stream is open.
    while not readings:
        page.wait_for_timeout(50)
    link = page.locator(f"{part} a").first
    link.focus()
    identifier = f"attach-reading-{part[1:]}"
    console.post(event(identifier))
    readings[0].continue_()
    page.unroute(console.url + path)
    page.wait_for_timeout(1_000)
    assert link.evaluate("link => link === document.activeElement")
    link.evaluate("link => link.blur()")
    page.locator(part).get_by_text(identifier).first.wait_for()


def test_a_page_that_could_not_be_read_again_is_read_later(visit: Visit, console: Console):
    visitor = visit("ana")
    visitor.expected = {503}
    page = visitor.go("/events")
    answers = iter([503, None])

    def refuse_once(route: Route) -> None:
        status = next(answers, None)
        if status and route.request.resource_type == "xhr":
            route.fulfill(status=status, body="busy")
        else:
            route.continue_()

    page.route("**/events", refuse_once)
    console.post(event("attach-refused"))
    page.get_by_role("link", name="attach-refused").wait_for()
    assert next(answers, "asked twice") == "asked twice"
    # As htmx reports it.
    visitor.faults = [fault for fault in visitor.faults if "Error Code 503" not in fault]


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

"""Whatever events, people and addresses say is shown as text, and other sites get nowhere."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from browser import PHONE, Visit, Visitor
from console_service import HOSTILE, hostile_event
from service_process import eventually
from test_console_screens import STRUCTURE

# Elements that a template has nowhere within `main`.
FOREIGN = """() => [...document.querySelectorAll(
  'main :is(script, iframe, object, embed, base, meta, link, style, math, svg, img, body, title)')]
  .map((element) => element.outerHTML.slice(0, 200))"""


def check_text(visitor: Visitor, path: str) -> None:
    """A page shows hostile texts as texts, and stays as wide as the window."""
    page = visitor.page
    assert page.evaluate(FOREIGN) == [], path
    assert page.evaluate(STRUCTURE) == [], path
    assert page.evaluate("typeof window.hostile") == "undefined", path
    visitor.check_layout()


@pytest.fixture(scope="module")
def hostile_paths(console) -> list[str]:
    """Pages about hostile events."""
    identifier = quote(hostile_event("lost-hostile")["id"], safe="")
    dead = next(one for one in console.get("/dlq?limit=1000") if HOSTILE[0] in one["event"])
    incident = next(one for one in console.get("/incidents?open=true") if one["key"] == HOSTILE[3])
    key = quote(HOSTILE[3], safe="")
    return [
        "/",
        f"/events?id={identifier}",
        f"/events?source={quote('acs.' + HOSTILE[5], safe='')}",
        "/dead-letters",
        f"/dead-letters?event={identifier}",
        f"/deliveries/{dead['id']}",
        f"/incidents/{incident['id']}",
        "/pending",
        f"/pending?rule=waiting&key={key}",
        "/silences",
        "/targets/network-team",
        "/rules/lost",
        "/audit",
    ]


def test_hostile_events_are_text_on_every_screen(visit: Visit, hostile_paths: list[str]):
    visitor = visit(size=PHONE)
    shown = 0
    for path in hostile_paths:
        page = visitor.go(path)
        check_text(visitor, path)
        shown += HOSTILE[0] in page.locator("main").inner_text()
    assert shown >= 5, shown


def test_hostile_event_with_everything_about_it(visit: Visit, hostile_paths: list[str]):
    visitor = visit(size=PHONE)
    page = visitor.go(hostile_paths[1])
    page.locator('main tbody a[href^="/events/"]').first.click()
    page.wait_for_load_state("load")
    text = page.locator("main").inner_text()
    for hostile in (HOSTILE[0], HOSTILE[19], HOSTILE[24], HOSTILE[32]):
        assert hostile in text or json.dumps(hostile)[1:-1] in text, hostile
    # The explanations, which are loaded later, are text as well.
    for why in page.get_by_role("link", name="Why?").all()[:3]:
        if why.is_visible():
            why.click()
    page.locator(".verdicts div:not(:empty)").first.wait_for()
    check_text(visitor, "why")
    visitor.screenshot("hostile-event")
    # The file of the event is not a page.
    address = page.get_by_role("link", name="Download").first.get_attribute("href") or ""
    answer = page.request.get(visitor.console.url + address)
    assert answer.headers["content-type"].startswith(("text/plain", "application/json"))
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_hostile_event_that_is_tried(visit: Visit):
    visitor = visit(size=PHONE)
    page = visitor.go("/rules/lost")
    page.locator("textarea[name=event]").fill(json.dumps(hostile_event("lost-tried")))
    page.get_by_role("button", name="Try").click()
    page.wait_for_url("**/try")
    check_text(visitor, "/try")
    page.locator("textarea[name=event]").fill(HOSTILE[15] + HOSTILE[1])
    page.get_by_role("button", name="Try").click()
    page.get_by_role("alert").wait_for()
    check_text(visitor, "/try")


def test_hostile_rule_in_what_if(visit: Visit):
    visitor = visit(size=PHONE)
    page = visitor.go("/rules/lost")
    page.locator("#edited").fill(f"{HOSTILE[15]}\nwhen = '{HOSTILE[0]}'\n")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("alert").wait_for()
    check_text(visitor, "what-if")


@pytest.mark.parametrize(
    "path",
    [
        "/events?id={}&from={}&name={}",
        "/events?kind={}",
        "/dead-letters?reason={}&since={}&target={}",
        "/deliveries/{}",
        "/targets/{}",
        "/rules/{}",
        "/rules?name={}",
        "/pending?rule={}&key={}",
        "/silences?pattern={}&reason={}&for={}",
        "/audit?by={}&operation={}&from={}",
        "/confirm?operation={}",
        "/confirm?operation=pause_target&target=later&reason={}&next={}",
        "/login?next={}",
        "/{}",
    ],
)
def test_hostile_addresses_are_text(visit: Visit, path: str):
    visitor = visit()
    visitor.expected = {400, 403, 404, 414, 422}
    for hostile in (HOSTILE[0], HOSTILE[3], HOSTILE[9], HOSTILE[10], HOSTILE[15], HOSTILE[38]):
        visitor.go(path.replace("{}", quote(hostile, safe="")))
        check_text(visitor, path)


def test_what_operators_write_is_text(visit: Visit, console):
    visitor = visit()
    reason = quote(HOSTILE[3] + HOSTILE[0], safe="")
    page = visitor.go(f"/confirm?operation=pause_target&target=archive&reason={reason}")
    page.locator('form[action="/perform"] button').click()
    page.wait_for_url("**done=*")
    check_text(visitor, "outcome")
    for path in ("/targets", "/targets/archive", "/audit", "/"):
        page = visitor.go(path)
        assert HOSTILE[0] in page.locator("main").inner_text(), path
        check_text(visitor, path)
    console.do("/targets/archive/resume")


@pytest.mark.parametrize(
    "next_page",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:window.hostile=1"],
)
def test_login_leads_only_to_own_pages(visit: Visit, next_page: str):
    from console_service import READ

    visitor = visit(None)
    page = visitor.go(f"/login?next={quote(next_page, safe='')}")
    page.get_by_label("Token").fill(READ)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(visitor.console.url + "/")


@pytest.mark.parametrize("javascript", [True, False])
def test_links_of_other_sites_lead_to_the_session(visit: Visit, javascript: bool):
    visitor = visit(javascript=javascript)
    page = visitor.page
    path = "/dead-letters?target=network-team"
    # A page of another site, as far as the browser knows.
    page.goto("data:text/html,<h1>another site</h1>")
    page.set_content(f'<a href="{visitor.console.url}{path}">a dead letter</a>')
    with page.expect_response(f"**{path}") as first:
        page.get_by_role("link").click()
    assert first.value.request.all_headers()["sec-fetch-site"] == "cross-site"
    assert "cookie" not in first.value.request.all_headers()
    page.get_by_role("heading", name="Dead letters").wait_for()
    assert page.url == visitor.console.url + path
    assert "ola" in page.locator("header").inner_text()
    # Without a session it is the login, which leads there as well.
    fresh = visit(None, javascript=javascript).page
    fresh.goto("data:text/html,<h1>another site</h1>")
    fresh.set_content(f'<a href="{visitor.console.url}{path}">a dead letter</a>')
    fresh.get_by_role("link").click()
    fresh.get_by_label("Token").wait_for()
    assert quote(path, safe="") in fresh.url


def test_other_sites_cannot_frame_or_post(visit: Visit, console):
    visitor = visit()
    visitor.go("/targets")
    other = visitor.context.new_page()
    # A page of another site, as far as the browser knows.
    other.goto("data:text/html,<h1>another site</h1>")
    other.set_content(f'<iframe src="{console.url}/targets"></iframe>')
    other.wait_for_timeout(300)
    framed = [frame for frame in other.frames if frame.url.startswith(console.url)]
    assert all(frame.locator("table").count() == 0 for frame in framed)
    other.set_content(
        f'<form method="post" action="{console.url}/perform"><input name="operation" '
        'value="pause_target"><input name="target" value="archive"><button>go</button></form>'
    )
    with other.expect_response("**/perform") as posted:
        other.get_by_role("button").click()
    assert posted.value.status in (303, 403)
    other.close()
    states = {one["target"]: one["state"] for one in console.get("/targets")["targets"]}
    assert eventually(lambda: states["archive"] != "paused")

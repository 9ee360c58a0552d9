"""Every screen: with and without JavaScript, on a telephone and a desk, light and dark."""

from __future__ import annotations

import re

import pytest
from browser import DESK, PHONE, Visit, Visitor
from playwright.sync_api import Page

# The pages, with their h1 as a pattern. `{…}` is replaced by the first link of that kind.
SCREENS = {
    "now": ("/", "Now"),
    "events": ("/events", "Events"),
    "event": ("{/events/}", "attach-"),
    "dead-letters": ("/dead-letters", "Dead letters"),
    "outbox": ("/outbox", "Pending deliveries"),
    "delivery": ("{/deliveries/}", "."),
    "targets": ("/targets", "Targets"),
    "target": ("/targets/network-team", "network-team"),
    "pending": ("/pending", "Pending"),
    "silences": ("/silences", "Silences"),
    "rules": ("/rules", "Rules"),
    "rule": ("/rules/failed", "failed"),
    "audit": ("/audit", "Audit"),
}

# What the structure of every page must be; the names of what is wrong.
STRUCTURE = """() => {
  const wrong = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  if (all('main').length !== 1) wrong.push('main');
  if (all('h1').length !== 1) wrong.push('h1');
  if (!document.title.endsWith('reflexarc')) wrong.push('title ' + document.title);
  if (document.documentElement.lang !== 'en') wrong.push('lang');
  for (const table of all('table')) {
    if (!table.querySelector('caption')) wrong.push('caption ' + table.outerHTML.slice(0, 100));
    if ([...table.querySelectorAll('th')].some((cell) => !cell.scope)) wrong.push('scope');
  }
  for (const time of all('time'))
    if (isNaN(Date.parse(time.dateTime))) wrong.push('time ' + time.outerHTML);
  for (const field of all('input:not([type=hidden]), select, textarea'))
    if (!field.labels.length && !field.getAttribute('aria-label')) wrong.push(field.outerHTML);
  for (const link of all('a[href]'))
    if (!/^[/#?](?![/\\\\])/.test(link.getAttribute('href'))) wrong.push(link.outerHTML);
  for (const form of all('form[method=post]'))
    if (!form.querySelector('[name=csrf]')) wrong.push('csrf ' + form.outerHTML.slice(0, 100));
  for (const element of all('*'))
    for (const attribute of element.attributes)
      if (/^on|^style$|^hx-on|^hx-vals$/.test(attribute.name)) wrong.push(attribute.name);
  if (all('script:not([src])').length) wrong.push('inline script');
  return wrong;
}"""


def path_of(visitor: Visitor, path: str) -> str:
    """The path of a screen; `{/events/}` is the first link to an event."""
    if not path.startswith("{"):
        return path
    start = path.strip("{}")
    page = visitor.go({"/events/": "/events?rule=failed", "/deliveries/": "/dead-letters"}[start])
    link = page.locator(f'main a[href^="{start}"]').first
    return link.get_attribute("href") or ""


@pytest.fixture(scope="module")
def paths(chromium, console, sessions) -> dict[str, str]:
    """The paths of all screens."""
    context = chromium.new_context(storage_state=sessions["ola"])
    visitor = Visitor(console, context, context.new_page(), True)
    found = {name: path_of(visitor, path) for name, (path, _) in SCREENS.items()}
    context.close()
    return found


@pytest.mark.parametrize("name", SCREENS)
def test_screen(visit: Visit, paths: dict[str, str], name: str):
    visitor = visit()
    page = visitor.go(paths[name])
    assert re.search(SCREENS[name][1], page.locator("h1").inner_text())
    assert page.evaluate(STRUCTURE) == []
    # Each page names the command that prints the same.
    assert page.get_by_text(re.compile(r"Command line: reflexarc \w+")).count() >= 1
    visitor.check_in_sizes(name)


@pytest.mark.parametrize("name", SCREENS)
def test_screen_without_javascript(visit: Visit, paths: dict[str, str], name: str):
    visitor = visit(javascript=False, size=PHONE)
    page = visitor.go(paths[name])
    assert re.search(SCREENS[name][1], page.locator("h1").inner_text())
    visitor.check_layout()
    # The same fields, buttons and columns are there, and none of them needs a script.
    other = visit(size=PHONE).go(paths[name])
    for selector in ("main th", "main label", "main button", "main h2", "main caption"):
        assert texts(page, selector) == texts(other, selector), selector
    useless = "main button:not(form *):not([data-copy]):not([form])"
    assert page.locator(useless).all_inner_texts() == []


def texts(page: Page, selector: str) -> list[str]:
    """What elements say, in any order: a list by time may change between two visits."""
    return sorted(text.strip() for text in page.locator(selector).all_inner_texts())


def test_the_checks_find_faults(visit: Visit):
    """The checks of these tests would notice what they look for."""
    visitor = visit(size=PHONE)
    page = visitor.go("/rules")
    page.evaluate("""() => {
      const main = document.querySelector('main');
      main.innerHTML += '<p style="color:#999;background:#fff;width:2000px">pale</p><h1>two</h1>'
        + '<table><tr><th>x</th></tr></table><input><a href="https://other.example/">x</a>';
      // Styles set by scripts are allowed, those in the text are not.
      [...main.querySelectorAll('p')].at(-1).style.width = '2000px';
      window.hostile = 1;
      fetch('https://other.example/').catch(() => {});
    }""")
    with pytest.raises(AssertionError, match="label"):
        visitor.check_access()
    with pytest.raises(AssertionError, match="2000px"):
        visitor.check_layout()
    wrong = " ".join(page.evaluate(STRUCTURE))
    for part in ("h1", "caption", "scope", "<input>", "other.example", "style"):
        assert part in wrong, part
    with pytest.raises(AssertionError):
        visitor.check()
    page.evaluate("delete window.hostile")
    found = " ".join(visitor.faults)
    # The policy refuses the style and the request.
    assert "Content Security Policy" in found
    visitor.faults.clear()


def test_navigation_reaches_every_screen(visit: Visit):
    for javascript in (True, False):
        page = visit(javascript=javascript).go("/")
        names = page.locator("nav.screens a").all_inner_texts()
        assert len(names) == 8, names
        for name in names:
            name = name.splitlines()[0].rstrip("0123456789 ")
            page.get_by_role("navigation").get_by_role("link", name=name).click()
            assert page.locator("h1").inner_text() == name or name.startswith("Now")
            current = page.locator('nav [aria-current="page"]')
            assert current.inner_text().startswith(name)


def test_unknown_pages_are_pages_too(visit: Visit):
    visitor = visit(size=PHONE)
    visitor.expected = {404, 400}
    for path in (
        "/nowhere",
        "/events/999999999",
        "/events/x",
        "/deliveries/00000000000000000000000000000000",
        "/targets/none",
        "/rules/none",
        "/rules/..%2f..%2fetc%2fpasswd",
    ):
        page = visitor.go(path)
        assert page.locator("h1").count() == 1, path
        assert page.locator("main").count() == 1, path
        visitor.check_layout()
        visitor.check_access()


@pytest.mark.parametrize("javascript", [True, False])
def test_filters_of_events(visit: Visit, javascript: bool):
    page = visit(javascript=javascript).go("/events")
    page.get_by_label("Rule").fill("waiting")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url(re.compile("rule=waiting"))
    rows = page.locator("main tbody tr").all_inner_texts()
    assert rows
    assert all("wait" in row for row in rows)


@pytest.mark.parametrize("path", ["/events", "/dead-letters", "/pending", "/audit"])
def test_filters_are_folded_on_a_telephone(visit: Visit, path: str):
    visitor = visit(javascript=False, size=PHONE)
    page = visitor.go(path)
    field = page.locator("form.filter input:not([type=checkbox])").first
    assert not field.is_visible()
    page.locator("summary", has_text="Filter").click()
    field.fill("none-of-this-name")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**none-of-this-name*")
    # What restricts the list can be seen.
    assert field.is_visible()
    assert page.get_by_text(re.compile(r"^No .* the filter\.$")).count() == 1
    page.set_viewport_size(DESK)
    page = visitor.go(path)
    assert field.is_visible()
    assert not page.locator("summary", has_text="Filter").is_visible()


def test_names_are_not_broken_on_a_desk(visit: Visit):
    page = visit().go("/events")
    row = page.locator("main tr", has_text="lost-11")
    lines = row.locator("td.name").evaluate("""(cell) => {
      const range = document.createRange();
      const first = cell.firstChild, last = cell.querySelector('span').previousSibling;
      range.setStart(first, 0);
      range.setEnd(last, last.length);
      return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size;
    }""")
    assert lines == 1


def test_now_is_short_on_a_telephone(visit: Visit):
    """What is wrong is on the first screen, and nothing is far below it."""
    page = visit(size=PHONE).go("/")
    box = page.locator("main tbody tr").first.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < PHONE["height"]
    assert page.evaluate("document.documentElement.scrollHeight") < 3_500
    headings = page.locator("main h2").all_inner_texts()
    assert headings[0] == "Open problems"
    rows = page.locator("section[aria-labelledby=recent] tbody tr:visible")
    assert rows.count() == 5
    assert page.get_by_role("link", name="All events").count() == 1


@pytest.mark.parametrize("javascript", [True, False])
def test_lists_have_further_pages(visit: Visit, javascript: bool):
    page = visit(javascript=javascript).go("/events")
    seen: set[str] = set()
    for _ in range(9):
        links = page.locator('main tbody a[href^="/events/"]')
        found = {link.get_attribute("href") or "" for link in links.all()}
        assert found
        assert not found & seen
        seen |= found
        older = page.get_by_role("link", name=re.compile("older|next", re.I))
        if not older.count():
            break
        older.first.click()
        page.wait_for_load_state("load")
    assert len(seen) >= 86

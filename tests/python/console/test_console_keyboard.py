"""The console by keyboard alone."""

from __future__ import annotations

import pytest
from browser import PHONE, Visit
from console_service import OLA

# What has the focus, in words; `outline` is whether it can be seen.
FOCUSED = """() => {
  const it = document.activeElement;
  if (!it || it === document.body) return null;
  const style = getComputedStyle(it);
  const visible = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const box = it.getBoundingClientRect();
  const name = it.innerText || it.getAttribute('aria-label') || it.name || it.id;
  return { tag: it.tagName, name, visible, href: it.getAttribute('href'),
           inside: box.width > 0 && box.height > 0 && box.right > 0, top: box.top + scrollY };
}"""

FOCUSABLE = """() => [...document.querySelectorAll(
  'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')]
  .filter((it) => !it.disabled && it.checkVisibility()
    && !(it.closest('details:not([open])') && it.tagName !== 'SUMMARY')).length"""


def tab_through(page, limit: int = 400) -> list[dict]:
    """What gets the focus with Tab, from the beginning to the end of the page."""
    order: list[dict] = []
    page.evaluate("document.activeElement?.blur(); window.scrollTo(0, 0)")
    for _ in range(limit):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            break
        order.append(focused)
    return order


def test_log_in_and_out_with_the_keyboard(visit: Visit):
    page = visit(None).go("/events?rule=failed")
    # The field has the focus; the page comes back to where it was asked for.
    page.keyboard.type(OLA)
    page.keyboard.press("Enter")
    page.wait_for_url("**/events?rule=failed")
    page.get_by_role("button", name="Log out").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/login*")
    page.go_back()
    page.reload()
    assert page.get_by_label("Token").count() == 1


def test_skip_link_comes_first(visit: Visit):
    page = visit().go("/dead-letters")
    page.keyboard.press("Tab")
    focused = page.evaluate(FOCUSED)
    assert focused["href"] == "#main"
    assert focused["visible"]
    assert focused["inside"]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    inside = page.evaluate("document.activeElement.closest('main') !== null")
    assert inside, page.evaluate(FOCUSED)


PATHS = (
    "/",
    "/events",
    "/dead-letters",
    "/targets",
    "/pending",
    "/silences",
    "/rules/failed",
    "/audit",
)


@pytest.mark.parametrize("path", PATHS)
def test_everything_is_reached_with_tab(visit: Visit, path: str):
    page = visit(size=PHONE if path == "/dead-letters" else {"width": 1440, "height": 900}).go(path)
    wanted = page.evaluate(FOCUSABLE)
    order = tab_through(page)
    assert len(order) >= wanted, (len(order), wanted)
    hidden = [one for one in order if not one["visible"] or not one["inside"]]
    assert not hidden, hidden[:3]


def test_confirm_and_go_back_with_the_keyboard(visit: Visit):
    page = visit().go("/targets/later")
    page.locator("main").get_by_text("Pause", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/confirm?*")
    page.go_back()
    assert page.url.endswith("/targets/later")

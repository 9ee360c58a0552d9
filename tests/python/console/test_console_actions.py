"""Every action: its page of confirmation, what it does, and its entry in the audit."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from browser import PHONE, Visit, Visitor
from console_service import Console, respond
from playwright.sync_api import Page
from receiver import receiver
from service_process import event, eventually

both = pytest.mark.parametrize("javascript", [True, False])

# What the last operation of a kind left in the audit.
Last = Callable[[str], dict[str, str]]


@pytest.fixture
def last(visit: Visit) -> Last:
    """Read the newest entry of an operation from the page of the audit."""

    def read(operation: str) -> dict[str, str]:
        page = visit("ana").go(f"/audit?operation={operation}")
        cells = page.locator("main tbody tr").first.locator("td")
        return {cell.get_attribute("data-label") or "": cell.inner_text() for cell in cells.all()}

    return read


def link_to(page: Page, operation: str, containing: str = ""):
    """The first link to the page that confirms an operation."""
    selector = f'main a[href*="operation={operation}&"], main a[href$="operation={operation}"]'
    links = page.locator(selector)
    if containing:
        links = page.locator("main tr", has_text=containing).locator(
            f'a[href*="operation={operation}&"]'
        )
    return links.first


def act(visitor: Visitor, operation: str, containing: str = "", **inputs: str) -> str:
    """Follow the link of an operation, confirm it, and return what the console says then."""
    page = visitor.page
    before = page.url
    link_to(page, operation, containing).click()
    page.wait_for_url("**/confirm?**")
    assert page.locator("h1").count() == 1
    command = page.locator("main code").last.inner_text()
    assert command.startswith("reflexarc "), command
    visitor.check_layout()
    for label, value in inputs.items():
        page.get_by_label(re.compile(label, re.I)).fill(value)
    if visitor.with_javascript:
        visitor.check_access()
        visitor.screenshot(f"confirm-{operation}")
    page.locator('form[action="/perform"] button').click()
    page.wait_for_url("**done=*")
    # It is the page that the action was begun on.
    assert page.url.split("?")[0] == before.split("?")[0].split("#")[0]
    said = page.locator("main .outcome").first
    assert said.get_attribute("role") in ("status", "alert")
    return said.inner_text()


@both
def test_retry_one_dead_letter(visit: Visit, console: Console, last: Last, javascript: bool):
    visitor = visit(javascript=javascript, size=PHONE)
    visitor.go("/dead-letters?rule=lost")
    sent = len([one for one in console.receiver.requests if one.path == "/refuse"])
    act(visitor, "redrive")
    eventually(
        lambda: len([one for one in console.receiver.requests if one.path == "/refuse"]) > sent
    )
    entry = last("redrive")
    assert entry["By"].startswith("ola")
    assert "console" in entry["By"]
    assert entry["Command line"].startswith("reflexarc dlq redrive ")


@both
def test_drop_one_dead_letter(visit: Visit, console: Console, last: Last, javascript: bool):
    identifier = f"lost-drop-{javascript}"
    console.post(event(identifier))
    dead = eventually(
        lambda: [one for one in console.get("/dlq?limit=1000") if one["event"] == identifier]
    )
    visitor = visit(javascript=javascript)
    page = visitor.go(f"/deliveries/{dead[0]['id']}")
    assert identifier in page.locator("main").inner_text()
    act(visitor, "drop")
    assert not [one for one in console.get("/dlq?limit=1000") if one["event"] == identifier]
    assert dead[0]["id"] in last("drop")["Command line"]


@both
def test_retry_all_that_match(visit: Visit, console: Console, last: Last, javascript: bool):
    name = f"lost-many-{javascript}"
    console.post(*(event(f"{name}-{number}", name) for number in range(7)))
    for number in range(7):
        console.settled_dead(f"{name}-{number}")
    visitor = visit(javascript=javascript)
    page = visitor.go("/dead-letters")
    page.get_by_label("Event id").fill(f"{name}-3")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**event=*")
    assert page.locator("main tbody tr").count() == 1
    sent = console.refused(f"{name}-3")
    assert "1" in act(visitor, "redrive_matching")
    eventually(lambda: console.refused(f"{name}-3") == sent + 1)
    # The others do not match.
    assert [console.refused(f"{name}-{number}") for number in (0, 1, 2, 4)] == [1] * 4
    entry = last("redrive_matching")
    assert f"--event {name}-3" in entry["Command line"]
    assert entry["Outcome"].startswith("done")


@both
def test_drop_all_that_match_with_progress(
    visit: Visit, console: Console, last: Last, javascript: bool
):
    name = f"lost-gone-{javascript}"
    console.post(*(event(name, f"{name}-{number}", note=str(number)) for number in range(5)))
    eventually(
        lambda: len([one for one in console.get("/dlq?limit=1000") if one["event"] == name]) == 5
    )
    visitor = visit(javascript=javascript)
    page = visitor.go(f"/dead-letters?event={name}")
    assert page.locator("main tbody tr").count() == 5
    link_to(page, "drop_matching").click()
    page.wait_for_url("**/confirm?**")
    assert "5" in page.locator("main .preview").inner_text()
    page.go_back()
    act(visitor, "drop_matching")
    page.get_by_role("link", name="Progress").click()
    page.wait_for_url("**/jobs/*")
    if not javascript:
        eventually(lambda: page.reload() and "finished" in page.locator("main").inner_text())
    page.locator("main").get_by_text("finished").first.wait_for()
    assert "5 of 5" in page.locator("main").inner_text()
    visitor.screenshot("job")
    visitor.go(f"/dead-letters?event={name}")
    assert page.locator("main tbody tr").count() == 0
    assert last("drop_matching")["Count"] == "5"


def select(page: Page, *identifiers: str) -> None:
    """Check the boxes of these deliveries."""
    for identifier in identifiers:
        page.get_by_label(f"Select {identifier}", exact=True).check()


@both
def test_selected_dead_letters(visit: Visit, console: Console, last: Last, javascript: bool):
    name = f"lost-selected-{javascript}"
    console.post(*(event(name, f"{name}-{number}", note=str(number)) for number in range(5)))
    dead = eventually(
        lambda: (
            found
            if len(found := [one for one in console.get("/dlq?limit=1000") if one["event"] == name])
            == 5
            else None
        )
    )
    ids = [one["id"] for one in dead]
    visitor = visit(javascript=javascript, size=PHONE)
    page = visitor.go(f"/dead-letters?event={name}")
    visitor.check_layout()
    select(page, ids[0], ids[3])
    page.get_by_role("button", name="Drop selected").click()
    page.wait_for_url("**/confirm?**")
    assert "2 dead letters" in page.locator("main .preview").inner_text()
    assert page.locator("main code").last.inner_text().startswith("reflexarc dlq drop ")
    visitor.check_layout()
    if javascript:
        visitor.check_access()
        visitor.screenshot("confirm-selected")
    page.locator('form[action="/perform"] button').click()
    page.wait_for_url("**done=*")
    assert "2 dead letters dropped" in page.locator("main .outcome").first.inner_text()
    assert page.locator("main tbody tr").count() == 3
    entry = last("drop_selected")
    assert entry["Count"] == "2"
    assert ids[0] in entry["Command line"]
    assert ids[3] in entry["Command line"]
    # The rest at once where a script can select all.
    visitor.go(f"/dead-letters?event={name}")
    if javascript:
        page.get_by_label("All on this page").check()
    else:
        assert not page.get_by_label("All on this page").is_visible()
        select(page, *(one for one in ids if one not in (ids[0], ids[3])))
    sent = console.refused(name)
    page.get_by_role("button", name="Redrive selected").click()
    page.wait_for_url("**/confirm?**")
    page.locator('form[action="/perform"] button').click()
    page.wait_for_url("**done=*")
    eventually(lambda: console.refused(name) == sent + 3)
    # None is selected: it says so.
    visitor.go("/dead-letters")
    visitor.expected = {400}
    page.get_by_role("button", name="Drop selected").click()
    page.wait_for_url("**/confirm?**")
    assert "select at least one" in page.locator("main").inner_text()


@both
def test_selected_waiting_deliveries(visit: Visit, console: Console, last: Last, javascript: bool):
    name = f"later-selected-{javascript}"
    console.post(event(name))
    waiting = eventually(
        lambda: [one for one in console.get("/outbox?limit=1000") if one["event"] == name]
    )
    visitor = visit(javascript=javascript)
    page = visitor.go(f"/outbox?event={name}")
    assert page.locator("main tbody tr").count() == len(waiting)
    if javascript:
        visitor.check_access()
        visitor.screenshot("outbox")
    select(page, *(one["id"] for one in waiting))
    page.get_by_role("button", name="Cancel selected").click()
    page.wait_for_url("**/confirm?**")
    page.locator('form[action="/perform"] button').click()
    page.wait_for_url("**done=*")
    assert not [one for one in console.get("/outbox?limit=1000") if one["event"] == name]
    assert last("cancel_selected")["Count"] == str(len(waiting))


@both
def test_cancel_a_delivery(visit: Visit, console: Console, last: Last, javascript: bool):
    name = f"later-cancel-{javascript}"
    console.post(event(name))
    waiting = eventually(
        lambda: [one for one in console.get("/outbox?limit=1000") if one["event"] == name]
    )
    visitor = visit(javascript=javascript)
    visitor.go(f"/deliveries/{waiting[0]['id']}")
    act(visitor, "cancel")
    eventually(
        lambda: not [one for one in console.get("/outbox?limit=1000") if one["event"] == name]
    )
    assert last("cancel")["By"].startswith("ola")


@both
def test_cancel_all_that_wait(visit: Visit, console: Console, last: Last, javascript: bool):
    name = f"later-many-{javascript}"
    console.post(*(event(f"{name}-{number}") for number in range(3)))

    def waiting() -> list[str]:
        found = console.get("/outbox?limit=1000")
        return [one["event"] for one in found if one["target"] == "later"]

    eventually(lambda: sum(name in one for one in waiting()) == 3)
    count = len(waiting())
    visitor = visit(javascript=javascript)
    page = visitor.go("/targets/later")
    link_to(page, "cancel_matching").click()
    page.wait_for_url("**/confirm?**")
    assert f"{count} pending deliveries to later" in page.locator("main .preview").inner_text()
    page.go_back()
    act(visitor, "cancel_matching")
    eventually(lambda: not waiting())
    entry = last("cancel_matching")
    assert entry["Command line"].startswith("reflexarc outbox cancel --all --target later")
    eventually(lambda: last("cancel_matching")["Count"] == str(count))


@both
def test_remove_the_state_of_a_removed_rule(
    visit: Visit, console: Console, last: Last, javascript: bool
):
    name = f"gone-{javascript}".lower()
    rule = console.folder / f"rules/{name}.toml"
    rule.write_text(f"when = 'id starts with \"{name}\"'\nthen = 'set(event.id, 1);'\n")
    console.do("/reload")
    console.post(event(f"{name}-1"), event(f"{name}-2"))
    visitor = visit(javascript=javascript, size=PHONE)

    def confirm() -> None:
        page = visitor.go("/rules")
        page.locator("summary", has_text="Remove the state").click()
        page.get_by_label("Name of the rule").fill(name)
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url("**/confirm?**")

    # As long as the rule is in effect, its state is.
    visitor.expected = {409}
    confirm()
    assert "the rule exists" in visitor.page.get_by_role("alert").inner_text()
    visitor.expected = set()
    rule.unlink()
    console.do("/reload")
    confirm()
    page = visitor.page
    assert f"the state of rule {name}" in page.locator("main .preview").inner_text()
    assert page.get_by_text("This cannot be undone.").count() == 1
    if javascript:
        visitor.check_access()
        visitor.screenshot("confirm-forget_state")
    page.locator('form[action="/perform"] button').click()
    page.wait_for_url("**/rules?done=*")
    entry = last("forget_state")
    assert entry["Command line"] == f"reflexarc state drop {name}"
    assert entry["Outcome"].startswith("done")
    assert entry["Count"] == "2"


@both
def test_accept_the_clock(visit: Visit, tmp_path, javascript: bool):
    with receiver(respond) as received:
        console = Console(tmp_path, received, with_tokens=False)
        try:
            # The process before has left a time from which this one is two hours ahead.
            console.stop()
            (record,) = tmp_path.glob("*.clock")
            wall, rest = record.read_text().split(" ", 1)
            before = datetime.fromisoformat(wall.replace("Z", "+00:00")) - timedelta(hours=2)
            record.write_text(f"{before:%Y-%m-%dT%H:%M:%SZ} {rest}")
            console.start()
            visitor = visit(None, of=console, javascript=javascript, size=PHONE)
            page = visitor.go("/")
            assert page.get_by_text("Clock jump").count() == 1
            assert "ahead of the time" in page.locator("main").inner_text()
            visitor.screenshot("now-clock-jump")
            act(visitor, "accept_clock")
            page = visitor.go("/")
            assert page.get_by_text("Clock jump").count() == 0
            entry = visitor.go("/audit?operation=accept_clock").locator("main tbody tr").first
            assert "reflexarc clock accept" in entry.inner_text()
            visitor.check()
        finally:
            console.close()


@both
def test_pause_and_resume_a_target(visit: Visit, console: Console, last: Last, javascript: bool):
    visitor = visit(javascript=javascript, size=PHONE)
    page = visitor.go("/targets")
    act(visitor, "pause_target", containing="later", Reason='moved to <b>"B"</b>')
    row = page.locator("main tr", has_text="later")
    assert 'moved to <b>"B"</b>' in row.inner_text()
    visitor.screenshot("target-paused")
    visitor.go("/targets/later")
    assert "ola" in page.locator("main").inner_text()
    act(visitor, "resume_target")
    states = {one["target"]: one["state"] for one in console.get("/targets")["targets"]}
    assert states["later"] != "paused"
    assert "target resume later" in last("resume_target")["Command line"]


@both
def test_send_a_test_message(visit: Visit, console: Console, last: Last, javascript: bool):
    visitor = visit(javascript=javascript)
    page = visitor.go("/targets/inventory")
    sent = len(console.receiver.requests)
    act(visitor, "test_target")
    assert len(console.receiver.requests) > sent
    # A receiver that refuses it: the page says so, and it can be sent again.
    visitor.go("/targets/network-team")
    link_to(page, "test_target").click()
    page.wait_for_url("**/confirm?**")
    visitor.expected = {502}
    page.locator('form[action="/perform"] button').click()
    page.get_by_role("alert").wait_for()
    assert "422" in page.locator("main").inner_text()
    assert page.locator('form[action="/perform"] button').count() == 1
    visitor.screenshot("test-refused")
    assert last("test_target")["Outcome"].startswith("failed")


@both
def test_silence_and_end_it(visit: Visit, console: Console, last: Last, javascript: bool):
    visitor = visit(javascript=javascript, size=PHONE)
    page = visitor.go("/silences")
    page.get_by_label("Pattern over deliveries").fill("rule == ")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("alert").wait_for()
    assert page.get_by_label("Pattern over deliveries").input_value() == "rule == "
    pattern = f'rule == "lost" and event.id == "quiet-{javascript}"'
    page.get_by_label("Pattern over deliveries").fill(pattern)
    page.get_by_label("For", exact=True).fill("30m")
    page.get_by_label("Reason").fill("works <i>tonight</i>")
    page.get_by_role("button", name="Preview").click()
    page.locator("#preview").wait_for()
    visitor.check_layout()
    visitor.screenshot("silence-preview")
    page.locator("#preview a.button").click()
    page.wait_for_url("**/confirm?**")
    page.locator('form[action="/perform"] button').click()
    page.wait_for_url("**done=*")
    row = page.locator("main tr", has_text=f"quiet-{javascript}")
    assert "works <i>tonight</i>" in row.inner_text()
    assert last("add_silence")["Command line"].startswith("reflexarc silence add ")
    act(visitor, "end_silence", containing=f"quiet-{javascript}")
    one = next(
        one
        for one in console.get("/silences?expired=true")
        if f"quiet-{javascript}" in one["pattern"]
    )
    assert one["status"] == "ended"


@both
def test_acknowledge_and_close_an_incident(
    visit: Visit, console: Console, last: Last, javascript: bool
):
    key = f"eni-incident-{javascript}"
    console.post(event(f"stuck-{javascript}", key))
    eventually(lambda: [one for one in console.get("/incidents?open=true") if one["key"] == key])
    visitor = visit(javascript=javascript)
    visitor.go("/pending")
    act(visitor, "acknowledge_incident", containing=key, Note="on it")
    found = next(one for one in console.get("/incidents?open=true") if one["key"] == key)
    assert (found["status"], found["note"]) == ("acknowledged", "on it")
    assert found["acknowledged_by"] == "ola"
    visitor.go(f"/incidents/{found['id']}")
    visitor.screenshot("incident")
    act(visitor, "close_incident", Reason="moved")
    assert not [one for one in console.get("/incidents?open=true") if one["key"] == key]
    assert last("close_incident")["Command line"].startswith("reflexarc incident close ")


@both
def test_close_a_pending_match(visit: Visit, console: Console, last: Last, javascript: bool):
    key = f"eni-pending-{javascript} <b>"
    console.post(event(f"wait-{javascript}", key))
    assert [one for one in console.get("/pending?limit=1000") if one["key"] == key]
    visitor = visit(javascript=javascript, size=PHONE)
    visitor.go("/pending")
    act(visitor, "close_pending", containing=key)
    assert not [one for one in console.get("/pending?limit=1000") if one["key"] == key]
    assert last("close_pending")["Command line"].startswith("reflexarc pending close ")


@both
def test_reload(visit: Visit, console: Console, last: Last, javascript: bool):
    visitor = visit(javascript=javascript)
    page = visitor.go("/rules")
    added = f"added-{javascript}".lower()
    rule = console.folder / f"rules/{added}.toml"
    rule.write_text("when = 'id == \"none\"'\nthen = 'log(\"none\");'\n")
    act(visitor, "reload")
    assert page.get_by_role("link", name=added, exact=True).count() == 1
    # A broken rule is refused with its first diagnostics.
    rule.write_text("when = 'id = \"none\"'\n")
    link_to(page, "reload").click()
    page.wait_for_url("**/confirm?**")
    visitor.expected = {422, 400, 409}
    page.locator('form[action="/perform"] button').click()
    page.get_by_role("alert").wait_for()
    assert f"{added}.toml" in page.locator("main").inner_text()
    visitor.screenshot("reload-refused")
    assert last("reload")["Outcome"].startswith(("refused", "failed"))
    rule.unlink()
    visitor.go("/rules")
    act(visitor, "reload")


@both
def test_try_an_event(visit: Visit, javascript: bool):
    visitor = visit("ana", javascript=javascript)
    page = visitor.go("/rules/failed")
    page.locator("textarea[name=event]").fill(
        '{"id": "attach-try", "content": {"eniId": "<b>eni</b>", "result": "failed"}}'
    )
    page.get_by_role("button", name="Try").click()
    page.wait_for_url("**/try")
    main = page.locator("main")
    main.get_by_text("looking at <b>eni</b>").wait_for()
    assert "inventory" in main.inner_text()
    visitor.screenshot("try-event")
    # And again on the page itself, with an event that does not match.
    page.locator("textarea[name=event]").fill('{"id": "attach-try", "content": {}}')
    page.get_by_role("button", name="Try").click()
    main.get_by_text("No rule matches").wait_for()
    page.locator("textarea[name=event]").fill('{"id": ')
    page.get_by_role("button", name="Try").click()
    page.get_by_role("alert").wait_for()
    visitor.check_layout()


@both
def test_what_if_and_tests_of_a_rule(visit: Visit, javascript: bool):
    visitor = visit("ana", javascript=javascript)
    page = visitor.go("/rules/failed")
    page.get_by_role("link", name="Run its tests").click()
    page.get_by_text("1 passed, 0 failed").wait_for()
    visitor.go("/rules/failed")
    text = page.locator("#edited").input_value()
    page.locator("#edited").fill(text.replace('starts with "attach"', 'starts with "attach-1"'))
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/what-if")
    result = page.locator("main").inner_text()
    # attach-1 and attach-10 to attach-19, of 60.
    assert "matches 60 of them, the edited one 11" in result
    assert "No longer matched: 49" in result
    visitor.check_layout()
    visitor.screenshot("what-if")


@both
def test_explanations_of_an_event(visit: Visit, javascript: bool):
    visitor = visit("ana", javascript=javascript)
    page = visitor.go("/events?id=attach-7")
    page.locator('main tbody a[href^="/events/"]').first.click()
    page.wait_for_url(re.compile(r"/events/\d+"))
    main = page.locator("main")
    for text in ("As received", "looking at eni-7", "archive", "inventory", "delivered"):
        assert text in main.inner_text(), text
    page.get_by_role("link", name="Why?").first.click()
    if javascript:
        page.locator(".verdicts div:not(:empty)").first.wait_for()
        visitor.check_access()
    else:
        page.wait_for_url("**/why/*")
    assert "id" in main.inner_text()
    visitor.screenshot("why")

"""A running service with a console, and something to show on every page."""

from __future__ import annotations

import json
from pathlib import Path

from receiver import Receiver, Request
from service_process import Service, event, eventually, free_port

# Rules of each kind. The events of these tests are years late, so that `settle` takes the place of
# `grace`.
RULES = {
    "failed": """
description = "Report operations that failed"
when = 'id starts with "attach" and content.result == "failed"'
level = "critical"
labels = { team = "network" }
then = '''
log(`looking at ${event.content.eniId}`);
let seen = get("seen") ?? 0;
set("seen", seen + 1);
send("inventory", #{ id: event.id, seen: seen });
send("archive", #{ id: event.id });
'''

[[test]]
name = "a failed attach is sent"
event = '{"id": "attach-1", "content": {"eniId": "eni-1", "result": "failed"}}'
matches = true
""",
    "lost": """
description = "Send what the receiver refuses"
when = 'id starts with "lost"'
then = 'send("network-team", #{ id: event.id, eni: event.content.eniId });'
""",
    "stuck": """
description = "Report interfaces that do not become available"
when = 'id starts with "stuck"'
by = "content.eniId"
settle = "50ms"
then = 'send("archive", #{ stuck: key }); send("archive", #{ manager: key }, #{ after: "1h" });'
resolved = 'send("archive", #{ resolved: key });'
[not_followed_by]
when = 'id starts with "free"'
within = "50ms"
""",
    "waiting": """
description = "Count failures of an interface"
when = 'id starts with "wait"'
by = "content.eniId"
count = { at_least = 3, within = "1h" }
then = 'send("archive", #{ often: key });'
""",
    "later": """
description = "Send to a receiver that is down"
when = 'id starts with "later"'
then = 'send("later", #{ id: event.id });'
""",
    "fails": """
description = "A reaction that fails"
when = 'id starts with "fault"'
then = 'let gone = event.content.nothing; send("archive", #{ id: gone.more });'
""",
}

READ, OPERATE = "read-token-of-the-console-tests", "operate-token-of-the-console-tests"

TOKENS = """
[[http.tokens]]
name = "cloud"
roles = ["ingest", "read", "operate"]
token = { file = "operate.token" }
[[http.tokens]]
name = "ana"
roles = ["read"]
token = { file = "read.token" }
[[http.tokens]]
name = "ola"
roles = ["read", "operate"]
token = { file = "ola.token" }
"""
OLA = "operate-token-of-ola-in-the-console-tests"

TARGETS = """
[targets.archive]
type = "file"
path = "archive.ndjson"
[targets.inventory]
type = "webhook"
url = "{url}/inventory"
allow = ["127.0.0.0/8"]
retry = []
[targets.network-team]
type = "webhook"
url = "{url}/refuse"
allow = ["127.0.0.0/8"]
retry = []
breaker = {{ failures = 0 }}
[targets.later]
type = "webhook"
url = "{url}/later"
allow = ["127.0.0.0/8"]
"""

# What a page must show as text. Most set `window.hostile` if a browser takes them for markup.
HOSTILE = (
    "<script>window.hostile=1</script>",
    "</script><script>window.hostile=2</script>",
    "<img src=x onerror=window.hostile=3>",
    '"><img src=x onerror=window.hostile=4>',
    "'><img src=x onerror=window.hostile=5>",
    "<svg onload=window.hostile=6>",
    "<svg/onload=window.hostile=7//",
    "<body onload=window.hostile=8>",
    '" onmouseover="window.hostile=9" autofocus onfocus="window.hostile=9',
    "' onfocus='window.hostile=10' autofocus='",
    "javascript:window.hostile=11",
    "JaVaScRiPt:window.hostile=12",
    "java\tscript:window.hostile=13",
    "data:text/html,<script>window.hostile=14</script>",
    "</title><script>window.hostile=15</script>",
    "</textarea><script>window.hostile=16</script>",
    "</style><script>window.hostile=17</script>",
    "<style>*{display:none}</style>",
    "<!--<script>window.hostile=19</script>-->",
    "--><script>window.hostile=20</script>",
    "]]><script>window.hostile=21</script>",
    "<iframe srcdoc='<script>top.hostile=22</script>'></iframe>",
    "<a href=javascript:window.hostile=23>x</a>",
    "<form action=//evil.example><input name=x></form>",
    "<base href=//evil.example/>",
    '<meta http-equiv="refresh" content="0;url=//evil.example/">',
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<object data=//evil.example/x>",
    "<embed src=//evil.example/x>",
    '<div hx-get="/audit" hx-trigger="load">x</div>',
    '<div hx-on:load="window.hostile=31">x</div>',
    '<div data-hx-post="/perform" data-hx-trigger="load">x</div>',
    "{{ 7*7 }}{% raw %}${7*7}#{7*7}",
    "\u202etxt.exe\u202c\u2066\u2069",
    "&lt;script&gt;window.hostile=35&lt;/script&gt;",
    "&#60;script&#62;window.hostile=36&#60;/script&#62;",
    "\ufeff<script >window.hostile=37</script\n>",
    "x\r\nset-cookie: hostile=38\r\n\r\n<script>window.hostile=38</script>",
    "//evil.example/%2e%2e/\\evil",
    "<math><mtext><table><mglyph><style><img src onerror=window.hostile=40>",
)


def respond(request: Request, number: int) -> tuple[int, str] | None:
    """The receiver refuses some paths."""
    if request.path == "/refuse":
        return 422, json.dumps({"error": "unknown team <b>network</b>"})
    if request.path == "/later":
        return 503, "{}"
    return None


def hostile_event(identifier: str) -> dict:
    """An event whose every field is hostile, and which a rule sends to a target that refuses it."""
    content = {f"field{number}": text for number, text in enumerate(HOSTILE)}
    content |= {text: "a hostile name" for text in HOSTILE[:10]}
    content["eniId"] = HOSTILE[3]
    return {
        "id": f"{identifier}-{HOSTILE[0]}",
        "product": HOSTILE[5],
        "resourceId": HOSTILE[8],
        "level": HOSTILE[2],
        "name": HOSTILE[14],
        "userId": HOSTILE[9],
        "eventTime": "20190409T121826.922+0800",
        "regionId": HOSTILE[3],
        "content": content,
    }


class Console(Service):
    """A service with a console."""

    def __init__(self, folder: Path, receiver: Receiver, *, with_tokens: bool = True):
        self.receiver = receiver
        self.url = f"http://127.0.0.1:{free_port()}"
        self.with_tokens = with_tokens
        for name, token in (("read", READ), ("operate", OPERATE), ("ola", OLA)):
            (folder / f"{name}.token").write_text(token)
        (folder / "rules").mkdir()
        for name, rule in RULES.items():
            (folder / "rules" / f"{name}.toml").write_text(rule)
        listen = self.url.removeprefix("http://")
        configuration = f'[console]\nlisten = "{listen}"\n' + TARGETS.format(url=receiver.url)
        super().__init__(folder, (TOKENS if with_tokens else "") + configuration, rule=None)

    @property
    def token(self) -> str | None:
        """What this client sends to the API."""
        return OPERATE if self.with_tokens else None

    def get(self, path: str) -> list | dict:
        """A document of the API."""
        status, answer = self.call("GET", path, token=self.token)
        assert status == 200, f"{path}: {answer}"
        return json.loads(answer)

    def do(self, path: str) -> None:
        """POST without a body."""
        status, answer = self.call("POST", path, token=self.token)
        assert status == 200, f"{path}: {answer}"

    def post(self, *events: dict) -> None:
        """Send events."""
        status, answer = self.call("POST", "/events", json.dumps(events).encode(), self.token)
        assert status == 200, answer

    def fill(self) -> None:
        """Make something to show on every page."""
        self.post(
            *(event(f"attach-{number}", f"eni-{number}") for number in range(60)),
            *(event(f"lost-{number}", f"eni-{number}") for number in range(12)),
            *(event(f"stuck-{number}", f"eni-stuck-{number}") for number in range(3)),
            *(event(f"wait-{number}", f"eni-wait-{number}") for number in range(4)),
            *(event(f"later-{number}", f"eni-later-{number}") for number in range(4)),
            *(event(f"fault-{number}") for number in range(4)),
            hostile_event("lost-hostile"),
            hostile_event("wait-hostile"),
            hostile_event("stuck-hostile"),
        )
        self.silence('event.content.eniId == "eni-moved"', "moving eni-moved")
        self.silence('rule == "lost" and event.id == "none"', HOSTILE[2])
        eventually(lambda: len(self.get("/incidents?open=true")) >= 4)
        eventually(lambda: len(self.get("/dlq?limit=1000")) >= 13)

    def refused(self, identifier: str) -> int:
        """How often the receiver has refused the delivery of an event."""
        requests = [one for one in self.receiver.requests if one.path == "/refuse"]
        return sum(f'"{identifier}"' in one.body for one in requests)

    def settled_dead(self, identifier: str) -> None:
        """Wait until the delivery of an event is a dead letter."""
        eventually(lambda: any(one["event"] == identifier for one in self.get("/dlq?limit=1000")))

    def silence(self, pattern: str, reason: str) -> None:
        """Silence deliveries for an hour."""
        made = self.run("silence", "add", pattern, "--for", "1h", "--reason", reason, "--yes")
        assert made.returncode == 0, made.stderr

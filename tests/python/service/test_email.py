"""E-mail targets with real mail servers."""

import email
import email.policy
import json
import time

from service_process import FIXTURES, event, eventually

RETRY = 'retry = ["100ms", "100ms"]\n'


def target(name: str, port: int, more: str = "", host: str = "localhost") -> str:
    return f"""
[targets.{name}]
type = "email"
host = "{host}"
port = {port}
from = "Alerts <alerts@example.com>"
to = ["Operators <ops@example.com>", "second@example.com"]
authorities = "{FIXTURES}/localhost.pem"
{more}"""


LOGIN = 'user = "alerts"\npassword = { env = "SMTP_PASSWORD" }\n'


def test_mail_is_sent_with_starttls_and_login(serve, mail_server):
    inbox = mail_server(password="canary-password")
    service = serve(target("mail", inbox.port, LOGIN), SMTP_PASSWORD="canary-password")
    service.post(event("e1", "eni-1"), event("e2", "eni-1"), event("e3", "eni-2"))
    delivered = [service.settled(number, "delivered")[0] for number in ("e1", "e2", "e3")]
    assert delivered[0]["attempts"][0]["answer"].startswith("250 kept as number")
    assert service.stop() == 0

    assert len(inbox.mails) == 3
    parsed = {}
    for sender, recipients, content, session in inbox.mails:
        assert session.ssl is not None and session.authenticated
        assert sender == "alerts@example.com"
        assert recipients == ["ops@example.com", "second@example.com"]
        mail = email.message_from_bytes(content, policy=email.policy.default)
        parsed[mail["X-Reflexarc-Delivery"]] = mail
    mails = [parsed[delivery["id"]] for delivery in delivered]
    first = mails[0]
    assert first["Subject"] == "[CRITICAL] AttachNetworkInterface failed"
    assert first["Message-ID"] == f"<{delivered[0]['id']}@example.com>"
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["Importance"] == "high"
    assert "for eni-1\nregion cn-hangzhou" in first.get_body(("plain",)).get_content().replace(
        "\r\n", "\n"
    )
    html = first.get_body(("html",)).get_content()
    assert "AttachNetworkInterface failed</h3>" in html
    # The colour of the level, and a table of facts.
    assert "#b3261e" in html and ">rule</th>" in html and ">failed</td>" in html
    text = first.get_body(("plain",)).get_content()
    assert "\n-- \n" in text.replace("\r\n", "\n")
    assert first["List-Id"] == "mail <mail.reflexarc.example.com>"
    assert first["X-Reflexarc-Rule"] == "failed"
    assert first["X-Reflexarc-Level"] == "critical"
    # Mails about one interface are in one thread, others are not.
    assert mails[0]["X-Reflexarc-Thread"] == mails[1]["X-Reflexarc-Thread"]
    assert mails[0]["X-Reflexarc-Thread"] != mails[2]["X-Reflexarc-Thread"]
    for mail in mails:
        # Neither may name a mail that was never sent.
        assert mail["In-Reply-To"] is None and mail["References"] is None
    assert "canary" not in (service.folder / "serve.log").read_text()


def parsed(inbox) -> list:
    """The mails of a server, in their order."""
    policy = email.policy.default
    return [email.message_from_bytes(mail[2], policy=policy) for mail in inbox.mails]


def test_mails_beyond_the_pace_are_digests(serve, mail_server):
    inbox = mail_server()
    service = serve(target("mail", inbox.port))
    # More at once than single mails are left in a minute: 45, as a quarter is for digests.
    service.post(*[event(number, f"eni-{number}") for number in range(100)])
    found = [service.settled(number, "delivered")[0] for number in (0, 50, 99)]
    assert service.stop() == 0
    mails = parsed(inbox)
    assert len(mails) < 50
    digests = [mail for mail in mails if mail["X-Reflexarc-Digest"]]
    texts = [mail.get_body(("plain",)).get_content() for mail in mails]
    for number in range(100):
        assert sum(f"for eni-{number}\n" in text.replace("\r\n", "\n") for text in texts) == 1
    first = digests[0]
    assert first["Subject"].startswith("[CRITICAL] ")
    assert first["Subject"].endswith(" messages: AttachNetworkInterface failed")
    assert first["List-Id"] == "mail <mail.reflexarc.example.com>"
    assert first["Message-ID"] == f"<{first['X-Reflexarc-Digest']}@example.com>"
    assert "#b3261e" in first.get_body(("html",)).get_content()
    # A trace names the digest that carried a delivery.
    carried = {delivery["attempts"][0].get("digest") for delivery in found}
    assert carried <= {None, *(mail["X-Reflexarc-Digest"] for mail in digests)}
    assert carried != {None}


FIRES = """
when = 'content.result == "failed"'
by = "content.eniId"
level = "critical"
count = { at_least = 1, within = "1m" }
notify = ["mail"]
message = { title = "failed", text = "for {{ key }}" }
"""


def test_a_flood_of_firings_is_one_mail(serve, mail_server):
    inbox = mail_server()
    service = serve(target("mail", inbox.port), rule=FIRES)
    service.post(*[event(number, f"eni-{number}") for number in range(100)])
    eventually(lambda: len(inbox.mails) == 20)
    _, status = service.call("GET", "/status")
    status = json.loads(status)
    problems = {problem["problem"]: problem["detail"] for problem in status["problems"]}
    assert problems == {"flood": "firings are merged: failed"}
    assert status["target_states"][0]["flooding"] == ["failed"]
    held = service.run("outbox", "list", "--format", "json")
    assert len(json.loads(held.stdout)) == 80
    # When the minute is over. A cancelled one is not in it.
    assert service.run("outbox", "cancel", json.loads(held.stdout)[0]["id"]).returncode == 0
    eventually(lambda: len(inbox.mails) == 21, seconds=300)
    assert service.stop() == 0
    last = parsed(inbox)[-1]
    assert last["Subject"] == "[CRITICAL] 79 more firings of failed"
    text = last.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text.count("\n- eni-") == 19 and "\nand 59 more\n" in text
    assert last["Message-ID"] == f"<{last['X-Reflexarc-Digest']}@example.com>"
    assert last["Importance"] == "high"


def test_mail_is_sent_with_implicit_tls(serve, mail_server):
    inbox = mail_server(implicit=True)
    service = serve(target("mail", inbox.port, 'protection = "tls"\n'))
    service.post(event("e1"))
    service.settled("e1", "delivered")
    assert len(inbox.mails) == 1


def test_event_text_cannot_inject_headers_or_markup(serve, mail_server):
    inbox = mail_server()
    service = serve(target("mail", inbox.port))
    evil = event("e1", operation="x\r\nBcc: all@example.com\r\n\r\n<script>alert(1)</script>")
    service.post(evil)
    service.settled("e1", "delivered")
    _, recipients, content, _ = inbox.mails[0]
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert mail["Bcc"] is None and "all@example.com" not in recipients
    assert mail["Subject"] == "[CRITICAL] x Bcc: all@example.com <script>alert(1)</script> failed"
    html = mail.get_body(("html",)).get_content()
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_smtp_errors_have_distinct_outcomes(serve, mail_server):
    busy = mail_server(refuse="451 come back later")
    full = mail_server(refuse="552 the mailbox is full")
    locked = mail_server(password="right")
    plain = mail_server(tls=False)
    rule = """
when = 'content.result == "failed"'
then = 'for name in ["busy", "full", "locked", "plain", "other-host"] { notify(name, "x"); }'
"""
    service = serve(
        target("busy", busy.port, RETRY)
        + target("full", full.port, RETRY)
        + target("locked", locked.port, RETRY + LOGIN)
        + target("plain", plain.port, RETRY)
        + target("other-host", busy.port, RETRY, host="127.0.0.2"),
        rule=rule,
        SMTP_PASSWORD="canary-wrong",
    )
    service.post(event("e1"))
    attempts = {
        delivery["target"]: delivery["attempts"] for delivery in service.settled("e1", "dead")
    }
    outcomes = {name: [attempt["outcome"] for attempt in made] for name, made in attempts.items()}
    assert outcomes["busy"] == ["failed"] * 3
    assert "come back later" in attempts["busy"][0]["answer"]
    assert outcomes["full"] == ["refused"]
    assert "the mailbox is full" in attempts["full"][0]["answer"]
    assert outcomes["locked"] == ["misconfigured"]
    # STARTTLS is required, and the certificate must be that of the host.
    assert plain.mails == [] and outcomes["plain"] != ["delivered"]
    assert "delivered" not in outcomes["other-host"]
    assert "canary" not in (service.folder / "serve.log").read_text()


def test_silent_servers_time_out_and_delay_no_other(serve, mail_server, silent):
    inbox = mail_server()
    rule = """
when = 'content.result == "failed"'
then = 'notify("hanging", "x"); notify("mail", "y");'
"""
    # Without pauses of the target, so that its retries end soon.
    more = 'timeout = "1s"\nbreaker = { failures = 0 }\n' + RETRY
    service = serve(target("hanging", silent.port, more) + target("mail", inbox.port), rule=rule)
    service.post(*[event(number) for number in range(20)])
    begun = time.monotonic()
    while len(inbox.mails) < 20 and time.monotonic() - begun < 60:
        time.sleep(0.05)
    assert len(inbox.mails) == 20

    def gone():
        hanging = [
            delivery for delivery in service.deliveries(0) if delivery["target"] == "hanging"
        ]
        return hanging if hanging and hanging[0]["status"] == "dead" else None

    attempts = eventually(gone)[0]["attempts"]
    assert [attempt["answer"] for attempt in attempts] == ["no response within 1s"] * 3


def test_target_test_sends_a_mail(serve, mail_server):
    inbox = mail_server()
    service = serve(target("mail", inbox.port))
    tested = service.run("target", "test", "mail")
    assert tested.returncode == 0, tested.stderr
    assert tested.stdout == "delivered: 250 kept as number 1\n"
    assert b"Test message from reflexarc" in inbox.mails[0][2]


def test_other_recipients_get_the_mail_of_a_refused_one(serve, mail_server):
    refusals = {"ops@example.com": "550 5.1.1 no such user"}
    inbox = mail_server(refuse_to=refusals)
    service = serve(target("mail", inbox.port, RETRY))
    service.post(event(1))
    [delivery] = service.settled(1, "dead")
    [attempt] = delivery["attempts"]
    assert attempt["outcome"] == "partly"
    assert "sent to second@example.com" in attempt["answer"]
    assert "not to ops@example.com" in delivery["reason"] and "no such user" in delivery["reason"]
    assert delivery["taken"] == ["second@example.com"]
    refusals.clear()
    assert service.run("dlq", "redrive", delivery["id"]).returncode == 0
    service.settled(1, "delivered")
    assert [recipients for _, recipients, _, _ in inbox.mails] == [
        ["second@example.com"],
        ["ops@example.com"],
    ]

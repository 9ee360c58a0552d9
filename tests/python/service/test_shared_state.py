"""A service and a program that take turns with one store."""

import json
import subprocess

import pytest
import reflexarc as ra
from service_process import Service, event, eventually, program

STUCK = """
when = 'content.operation == "DetachNetworkInterface"'
by = "content.eniId"
not_followed_by = { when = 'content.operation == "DeleteNetworkInterface"', within = "1h" }
then = 'notify("log", `${key} was detached ${count}`)'
"""
SEEN = "when = 'content.eniId exists'\nthen = 'add(\"seen\", 1)'\n"
LOG = '[targets.mail]\ntype = "file"\npath = "mail"\n[targets.log]\ntype = "file"\npath = "log"\n'


def rules(service: Service) -> ra.RuleSet:
    return ra.RuleSet.load(service.folder / "rules")


def restarted(service: Service) -> Service:
    service.process = subprocess.Popen(
        [program(), "serve"],
        cwd=service.folder,
        stderr=service.log,
        stdout=subprocess.DEVNULL,
        env=service.environment,
    )
    eventually(service.ready)
    return service


def test_a_program_and_a_service_go_on_with_each_others_state(serve):
    service = serve(LOG)
    (service.folder / "rules/seen.toml").write_text(SEEN)
    (service.folder / "rules/stuck.toml").write_text(STUCK)
    assert service.call("POST", "/reload")[0] == 200
    store = service.folder / "reflexarc.db"
    service.post(event("1", "eni-1", operation="DetachNetworkInterface"))
    with pytest.raises(ra.StateError, match=r"reflexarc\.db is in use: a service runs with it"):
        ra.State.open(store)
    assert service.stop() == 0

    with ra.State.open(store) as file:
        assert file.state.get("seen", "seen") == 1
        assert file.state.pending("stuck") == ["eni-1"]
        state = file.state
        for number, eni in [("2", "eni-2"), ("3", "eni-3")]:
            happened = event(number, eni, operation="DetachNetworkInterface")
            state = rules(service).evaluate(happened, state=state).state
            file.commit(state)
        over = event("4", "eni-1", operation="DeleteNetworkInterface")
        state = rules(service).evaluate(over, state=state).state
        file.commit(state)
        assert state.pending("stuck") == ["eni-2", "eni-3"]

    restarted(service)
    service.post(event("5", "eni-2", operation="DeleteNetworkInterface"))
    waiting = json.loads(service.run("pending", "list", "--format", "json").stdout)
    assert [match["key"] for match in waiting] == ["eni-3"]
    assert service.stop() == 0
    # A copy of the store is checked as a whole, and its archive says where a program has written.
    backup = service.run("backup", "copy.db")
    assert backup.returncode == 0, backup.stdout + backup.stderr
    listed = service.run("archive", "list", "--kind", "state")
    header, *entries = listed.stdout.splitlines()
    assert header.startswith("ACCEPTED") and len(entries) == 1, listed
    verified = service.run("replay", "--verify")
    assert "a program wrote the state at position" in verified.stderr, verified

    with ra.State.open(store) as file:
        assert file.state.get("seen", "seen") == 5
        assert file.state.pending("stuck") == ["eni-3"]

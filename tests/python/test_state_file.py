"""The state of a program: as JSON, and in the tables of the service."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psutil
import pytest
import reflexarc as ra
from test_time_random import NOW, RULES, payloads, scenario

COUNT = ra.RuleSet.from_rules(
    {
        "count": "when = 'id exists'\nthen = 'add(\"seen\", 1); set(event.id, event.id);'",
        "once": "when = 'id exists'\nby = 'id'\nonce = { within = '1h' }\n"
        'then = \'add("n", 1); notify("ops", event.id)\'',
    }
)


def with_everything() -> ra.State:
    """Entries, one of which expires, and matches with their events."""
    state = ra.State({"own": {"deep": {"a": [1, None, "text", {"b": True}]}}})
    state = COUNT.evaluate({"id": "1"}, state=state, now=NOW).state
    for now, event in scenario(7):
        state = RULES.evaluate(event, state=state, now=now).state
    assert state.pending()
    return state


def test_json_has_everything(tmp_path: Path) -> None:
    state = with_everything()
    text = state.to_json()
    assert ra.State.from_json(text) == state
    assert ra.State.from_json(text).to_json() == text
    document = json.loads(text)
    assert (document["format"], document["version"]) == ("reflexarc-state", 1)
    (entry,) = [entry for key, entry in document["entries"]["once"].items() if "expires" in entry]
    assert entry["expires"] == (NOW + timedelta(hours=1)).isoformat().replace("+00:00", "Z")

    path = tmp_path / "state.json"
    state.save(path)
    assert ra.State.load(path) == state
    path.chmod(0o640)
    ra.State().save(path)
    assert ra.State.load(path) == ra.State()
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["state.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid state"),
        ("[]", "expected an object"),
        ('{"format": "reflexarc-state", "version": 2}', "its format has version 2"),
        (
            '{"format":"reflexarc-state","version":1,"entries":{"a":{"x":{}}}}',
            "`entries.a.x`: missing `value`",
        ),
    ],
)
def test_other_texts_are_no_states(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ra.StateError, match=message):
        ra.State.from_json(text)
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(ra.StateError, match=r"state\.json.*" + message):
        ra.State.load(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.json"):
        ra.State.load(tmp_path / "missing.json")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ra.State().save(tmp_path / "nowhere/state.json")
    with pytest.raises(ra.StateError, match="nowhere"):
        ra.State.open(tmp_path / "nowhere/state.db")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ra.StateError, match=r"invalid state in .*binary"):
        ra.State.load(tmp_path / "binary")


def test_a_file_has_what_was_committed(tmp_path: Path) -> None:
    path, state = tmp_path / "state.db", with_everything()
    with ra.State.open(path) as file:
        assert file.state == ra.State() and file.path == path
        assert repr(file) == f"<StateFile {path}>"
        file.commit(state)
        assert file.state == state
    assert repr(file) == f"<StateFile {path}, closed>"
    assert file.state == state
    with pytest.raises(ra.StateError, match="is closed"):
        file.commit(ra.State())
    with ra.State.open(path) as file:
        assert file.state == state
        file.commit(ra.State())
    with ra.State.open(path) as file:
        assert file.state.to_dict() == {} and file.state.pending() == {}
    # Only the owner may read it, and no disk space is reserved, as a service does.
    assert path.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "state.db.reserve").exists()


@pytest.mark.parametrize("seed", range(12))
def test_committing_and_reopening_changes_nothing(seed: int, tmp_path: Path) -> None:
    numbers, path = random.Random(seed), tmp_path / "state.db"
    expected, state = [], ra.State()
    for now, event in scenario(seed):
        evaluation = RULES.evaluate(event, state=state, now=now, strict=True)
        state = evaluation.state
        expected += payloads(evaluation)
    file, actions = ra.State.open(path), []
    for now, event in scenario(seed):
        evaluation = RULES.evaluate(event, state=file.state, now=now, strict=True)
        actions += payloads(evaluation)
        file.commit(evaluation.state)
        if numbers.random() < 0.4:
            file.close()
            file = ra.State.open(path)
            assert file.state == evaluation.state
    assert actions == expected
    # Other positions of events, where it was reopened.
    assert file.state.to_dict(now=NOW) == state.to_dict(now=NOW)
    assert [*map(list, file.state.due())] == [*map(list, state.due())]
    file.close()
    referred = (
        "SELECT count(*) FROM archive WHERE entry = 1 AND seq NOT IN (SELECT seq FROM kept_event)"
    )
    with sqlite3.connect(path) as connection:
        # What no match refers to is removed, and every reference leads to an event.
        assert connection.execute(referred).fetchone() == (0,)
        missing = "SELECT count(*) FROM kept_event WHERE seq NOT IN (SELECT seq FROM archive)"
        assert connection.execute(missing).fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM archive WHERE entry = 8").fetchone() == (1,)


def test_one_program_at_a_time_has_a_file_open(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with ra.State.open(path) as file:
        with pytest.raises(ra.StateError, match=r"state\.db is in use"):
            ra.State.open(path)
        link = tmp_path / "link.db"
        link.symlink_to(path)
        with pytest.raises(ra.StateError, match="is in use"):
            ra.State.open(link)
        program = f"import reflexarc as ra; ra.State.open({str(path)!r})"
        other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert "is in use: a service runs with it" in other.stderr, other.stderr
        # And the first goes on.
        file.commit(ra.State({"a": {"x": 1}}))
    with ra.State.open(path) as file:
        assert file.state.get("a", "x") == 1


def test_files_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE own (x)")
    before = path.read_bytes()
    with pytest.raises(ra.StateError, match=r"state\.db"):
        ra.State.open(path)
    assert path.read_bytes() == before


def test_a_forked_process_does_not_write(tmp_path: Path) -> None:
    file = ra.State.open(tmp_path / "state.db")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            file.commit(ra.State({"a": {"x": 1}}))
        except ra.StateError as error:
            status = 0 if "fork" in str(error) else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    file.commit(ra.State({"a": {"x": 2}}))
    file.close()


def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys, reflexarc as ra
        rules = ra.RuleSet.from_rules({"count": "when = 'id exists'\\nthen = 'add(\\"seen\\", 1)'"})
        file = ra.State.open(sys.argv[1])
        while True:
            file.commit(rules.evaluate({"id": "1"}, state=file.state).state)
            print(file.state.get("count", "seen"), flush=True)
        """
    )
    path, before = tmp_path / "state.db", 0
    for seconds in [0.05, 0.2, 0.4]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        assert int(first) == before + 1
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        printed = [first, *process.stdout.read().splitlines()]
        process.wait()
        with ra.State.open(path) as file:
            seen = file.state.get("count", "seen")
        # The last commit may have come without its line, and a line may have been cut.
        assert seen >= int(printed[-2] if len(printed) > 1 else first)
        before = seen


def test_states_of_another_history_are_refused(tmp_path: Path) -> None:
    ones, others = ra.State(), ra.State()
    for now, event in scenario(7):
        ones = RULES.evaluate(event, state=ones, now=now).state
    for now, event in scenario(8):
        others = RULES.evaluate(event, state=others, now=now).state
    with ra.State.open(tmp_path / "state.db") as file:
        file.commit(ones)
        try:
            file.commit(others)
        except ra.StateError as error:
            assert "has another event" in str(error)
            # Nothing of it was written.
            assert file.state == ones
            expected = ones
        else:
            expected = others
    with ra.State.open(tmp_path / "state.db") as file:
        assert file.state == expected


def test_expired_entries_can_be_removed() -> None:
    state = COUNT.evaluate({"id": "1"}, now=NOW).state
    later = NOW + timedelta(hours=2)
    removed = state.without_expired(now=later)
    assert removed != state and removed.to_dict(now=NOW) != state.to_dict(now=NOW)
    assert removed.to_dict(now=later) == state.to_dict(now=later)
    assert state.without_expired(now=NOW) == state


def filled(count: int) -> ra.State:
    return ra.State({"count": {f"key-{number}": {"n": number} for number in range(count)}})


def seconds_of(action: object, count: int = 300) -> float:
    """The shortest time of a few repetitions."""
    assert callable(action)
    found = []
    for _ in range(5):
        begun = time.perf_counter()
        for _ in range(count):
            action()
        found.append(time.perf_counter() - begun)
    return min(found)


def test_an_evaluation_copies_nothing_of_the_state(tmp_path: Path) -> None:
    small, large = filled(10), filled(200_000)
    event = ra.Event({"id": "1"})
    small_time = seconds_of(lambda: COUNT.evaluate(event, state=small, now=NOW))
    large_time = seconds_of(lambda: COUNT.evaluate(event, state=large, now=NOW))
    # A copy of 200,000 entries takes some thousand times as long as an evaluation.
    assert large_time < small_time * 5, (small_time, large_time)

    process = psutil.Process()
    before = process.memory_info().rss
    states = []
    state = large
    for number in range(500):
        state = COUNT.evaluate({"id": str(number)}, state=state, now=NOW).state
        states.append(state)
    grown = process.memory_info().rss - before
    # 500 states of 200,000 entries, of some 100 bytes each, would be 10 GB.
    assert grown < 100 << 20, grown
    assert len({state.get("count", "seen") for state in states}) == 500


def test_a_commit_costs_what_has_changed(tmp_path: Path) -> None:
    times = []
    for count in [10, 100_000]:
        with ra.State.open(tmp_path / f"{count}.db") as file:
            file.commit(filled(count))

            def step(file: ra.StateFile = file) -> None:
                file.commit(COUNT.evaluate({"id": "1"}, state=file.state, now=NOW).state)

            times.append(seconds_of(step, 20))
    # All of 100,000 entries take half a second.
    assert times[1] < times[0] * 10 + 0.2, times


def test_times_are_exact_to_the_microsecond(tmp_path: Path) -> None:
    now = datetime(2026, 11, 25, 8, 0, 0, 123456, tzinfo=timezone.utc)
    state = COUNT.evaluate({"id": "1"}, now=now).state
    with ra.State.open(tmp_path / "state.db") as file:
        file.commit(state)
    with ra.State.open(tmp_path / "state.db") as file:
        assert file.state == state

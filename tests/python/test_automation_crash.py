"""A process that is killed anywhere between delivery, commit and acknowledgement loses nothing."""

from __future__ import annotations

import json
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import reflexarc as ra

EVENTS = 12
# Counts events, delays an action of each and calls an API.
RULE = """
when = 'n exists'
then = '''
notify("log", `${event.n} of ${add("seen", 1)}`);
notify("log", #{ text: `later ${event.n}`, after: "1ms" });
call("api", "Look", #{ N: event.n });
'''
answered = 'notify("log", `answer ${event.n}`)'
"""
WORKER = f'''
import os, pickle, signal, sys
from pathlib import Path
import reflexarc as ra

folder, moment, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
RULE = {RULE!r}
steps = 0

def reached(step):
    """Kill the process at the given occurrence of a step."""
    global steps
    if step == moment:
        steps += 1
        if steps == number:
            os.kill(os.getpid(), signal.SIGKILL)

def append(name, text):
    with open(folder / name, "a") as file:
        file.write(text + "\\n")
        file.flush()
        os.fsync(file.fileno())

class Pickled:
    """A state in a file that is replaced at each commit."""

    def __init__(self):
        file = folder / "state"
        self.state = pickle.loads(file.read_bytes()) if file.exists() else ra.State()

    def commit(self, state):
        reached("before commit")
        new = folder / "state.new"
        new.write_bytes(pickle.dumps(state))
        os.replace(new, folder / "state")
        self.state = state
        reached("after commit")

    def close(self):
        pass

class Sqlite:
    """The state file of the package."""

    def __init__(self):
        self.file = ra.State.open(folder / "state.db")
        self.state = self.file.state

    def commit(self, state):
        reached("before commit")
        self.file.commit(state)
        self.state = state
        reached("after commit")

    def close(self):
        self.file.close()

store = Sqlite() if sys.argv[4] == "sqlite" else Pickled()
app = ra.Automation(ra.RuleSet.from_rules({{"r": RULE}}), state=store)

@app.target("log")
def log(action):
    reached("before delivery")
    append("log", action.text)
    reached("after delivery")

@app.target("api")
def api(action):
    reached("call")
    return {{"ok": True}}

@app.on("r")
def handle(event, match):
    reached("handler")

def queue():
    for file in sorted((folder / "queue").iterdir()):
        def ack(file=file):
            reached("before ack")
            file.unlink()
            reached("after ack")
        yield ra.sources.Message(file.read_bytes(), ack=ack)
    while app.next_due is not None:
        yield None

print("begun", flush=True)
app.run(queue())
'''
MOMENTS = [
    "handler",
    "before delivery",
    "after delivery",
    "call",
    "before commit",
    "after commit",
    "before ack",
    "after ack",
]


def fill(folder: Path) -> None:
    queue = folder / "queue"
    queue.mkdir()
    for number in range(EVENTS):
        (queue / f"{number:03}.json").write_text(json.dumps({"n": number}))


def command(folder: Path, store: str, moment: str = "never", number: int = 0) -> list[str]:
    return [sys.executable, "-c", WORKER, str(folder), moment, str(number), store]


def finish(folder: Path, store: str) -> tuple[list[str], int]:
    """Let a process end the work; return what was delivered, and how many events were counted."""
    subprocess.run(command(folder, store), check=True, timeout=600, stdout=subprocess.DEVNULL)
    assert list((folder / "queue").iterdir()) == []
    if store == "sqlite":
        with ra.State.open(folder / "state.db") as file:
            state = file.state
    else:
        state = pickle.loads((folder / "state").read_bytes())
    assert state.to_dict().keys() == {"r"}, "nothing waits any more"
    return (folder / "log").read_text().splitlines(), state.get("r", "seen")


def check_that_nothing_is_lost(delivered: list[str]) -> None:
    for number in range(EVENTS):
        for text in (f"{number} of", f"later {number}", f"answer {number}"):
            assert any(line == text or line.startswith(f"{text} ") for line in delivered), text


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("store", "number"), [("pickled", 1), ("pickled", 5), ("sqlite", 3)])
def test_killed_at_each_step_nothing_is_lost(
    tmp_path: Path, moment: str, store: str, number: int
) -> None:
    fill(tmp_path)
    killed = subprocess.run(
        command(tmp_path, store, moment, number),
        timeout=600,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    delivered, seen = finish(tmp_path, store)
    check_that_nothing_is_lost(delivered)
    # The event of the crash alone is repeated; it is counted twice only if its commit was done and
    # its acknowledgement was not.
    assert seen - EVENTS in ((0, 1) if moment in ("after commit", "before ack") else (0,))
    assert len(delivered) <= EVENTS * 3 + 3


@pytest.mark.parametrize("store", ["pickled", "sqlite"])
def test_killed_at_random_nothing_is_lost(tmp_path: Path, store: str) -> None:
    fill(tmp_path)
    source, kills = random.Random(21), 0
    for _ in range(12):
        with subprocess.Popen(command(tmp_path, store), stdout=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.readline() == b"begun\n"
            time.sleep(source.uniform(0, 0.03))
            process.kill()
            kills += process.wait() == -signal.SIGKILL
    delivered, seen = finish(tmp_path, store)
    assert kills > 0
    check_that_nothing_is_lost(delivered)
    assert EVENTS <= seen <= EVENTS + kills


def test_stores_that_cannot_commit_keep_the_event() -> None:
    class Store(ra.StateStore):
        state = ra.State()

        def commit(self, state: ra.State) -> None:
            raise OSError("disk full")

        def close(self) -> None:
            pass

    app = ra.Automation(ra.RuleSet.from_rules({"r": RULE}), state=Store())
    app.target("*")(lambda action: None)
    done: list[str] = []
    message = ra.sources.Message({"n": 1}, lambda: done.append("ack"), lambda: done.append("nack"))
    with pytest.raises(OSError, match="disk full"):
        app.run([message])
    assert done == ["nack"] and app.state == ra.State() and app.next_due is None
    with pytest.raises(TypeError, match="found int"):
        ra.Automation(ra.RuleSet({}), state=7)  # type: ignore[arg-type]

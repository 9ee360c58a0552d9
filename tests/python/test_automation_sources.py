"""Sources: files, folders and the positions that they keep."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import reflexarc as ra
from reflexarc.sources import Message, directory, ndjson
from test_automation_async import counting


def lines(*numbers: int) -> bytes:
    return b"".join(b'{"n": %d}\n' % number for number in numbers)


def seen_by(app: ra.Automation) -> list[int]:
    """The numbers of the events that an automation will process."""
    seen: list[int] = []
    app.on("n >= 0")(lambda event, match: seen.append(event.to_dict()["n"]))
    return seen


def run_until(app: ra.Automation, source: Any, poll: Callable[[], bool]) -> None:
    """Run until `poll` is true."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            app.run(source)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    end = time.monotonic() + 60
    while not poll() and not errors and time.monotonic() < end:
        time.sleep(0.01)
    app.stop()
    thread.join(timeout=60)
    assert not errors and poll() and not thread.is_alive()


def test_files_of_lines(tmp_path: Path) -> None:
    app, _ = counting()
    seen = seen_by(app)
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n \n" + lines(1, 2) + b'\r\n{"n": 3}')
    for source in (file, str(file), ndjson(file), file.read_bytes(), bytearray(lines(1, 2, 3))):
        assert app.run(source).events == 3
    compressed = tmp_path / "events.ndjson.gz"
    compressed.write_bytes(gzip.compress(file.read_bytes()))
    app.run(compressed)
    assert seen == [1, 2, 3] * 6
    with pytest.raises(FileNotFoundError):
        app.run(tmp_path / "missing.ndjson")
    with pytest.raises(ValueError, match=r"without `\.gz`"):
        ndjson(compressed, follow=True)


def test_lines_that_are_too_long_are_invalid_events(tmp_path: Path) -> None:
    app, _ = counting(on_error="skip")
    seen = seen_by(app)
    file = tmp_path / "events.ndjson"
    file.write_bytes(lines(1) + b'{"n": "%s"}\n' % (b"x" * 5_000_000) + lines(2))
    assert app.run(file).events == 2
    app.run(ndjson(file, position=tmp_path / "position"))
    assert seen == [1, 2, 1, 2]
    app, _ = counting()
    with pytest.raises(ra.EventError):
        app.run(file)


def test_positions_are_those_of_acknowledged_events(tmp_path: Path) -> None:
    file, position = tmp_path / "events.ndjson", tmp_path / "position"
    file.write_bytes(lines(1, 2, 3, 4))

    def run(stop_at: int | None = None, fail_at: int | None = None) -> list[int]:
        app, _ = counting()
        seen = seen_by(app)

        @app.on("n >= 0")
        def handle(event: ra.Event, match: ra.Match) -> None:
            if seen[-1] == stop_at:
                app.stop()
            if seen[-1] == fail_at:
                raise LookupError

        if fail_at is None:
            app.run(ndjson(file, position=position))
        else:
            with pytest.raises(LookupError):
                app.run(ndjson(file, position=position))
        return seen

    assert run(stop_at=2) == [1, 2]
    assert run(fail_at=3) == [3]
    assert run() == [3, 4] and run() == []
    with open(file, "ab") as more:
        more.write(lines(5) + b'{"n": 6}')
    assert run() == [5, 6], "the end of the file ends the last line"
    file.write_bytes(lines(7))
    assert run() == [7], "a file that is shorter than the position begins anew"
    other = tmp_path / "other.ndjson"
    other.write_bytes(lines(*range(10, 30)))
    os.replace(other, file)
    assert run() == list(range(10, 30)), "so does another file"
    position.write_text("nonsense")
    with pytest.raises(ValueError, match="is not a position"):
        run()


def test_a_followed_file_grows_is_rotated_and_cut(tmp_path: Path) -> None:
    app, _ = counting()
    seen = seen_by(app)
    file, position = tmp_path / "events.ndjson", tmp_path / "position"

    def write() -> None:
        steps: list[tuple[Callable[[], object], list[int]]] = [
            (lambda: file.write_bytes(lines(1, 2)), [1, 2]),
            (lambda: append(lines(3)[:5]), []),
            (lambda: append(lines(3)[5:]), [3]),
            (lambda: append(lines(4)) and os.replace(file, tmp_path / "old"), [4]),
            (lambda: file.write_bytes(lines(5, 6)), [5, 6]),
            (lambda: os.truncate(file, 0), []),
            (lambda: append(lines(7)), [7]),
        ]
        expected: list[int] = []
        for step, more in steps:
            step()
            expected += more
            end = time.monotonic() + 60
            while seen != expected and time.monotonic() < end:
                time.sleep(0.01)
            time.sleep(0.1)
            assert seen == expected

    def append(text: bytes) -> int:
        with open(file, "ab") as more:
            return more.write(text)

    writer = threading.Thread(target=write)
    writer.start()
    source = ndjson(file, follow=True, poll=0.02, position=position)
    run_until(app, source, lambda: seen == [1, 2, 3, 4, 5, 6, 7])
    writer.join()
    append(lines(8))
    app, _ = counting()
    again = seen_by(app)
    source = ndjson(file, follow=True, poll=0.02, position=position)
    run_until(app, source, lambda: again == [8])


def test_folders_are_emptied_in_the_order_of_files(tmp_path: Path) -> None:
    app, _ = counting()
    seen = seen_by(app)
    for number, name in enumerate(["b.json", "a.json", "c.json"]):
        file = tmp_path / name
        file.write_text(json.dumps({"n": number}))
        os.utime(file, (number, number))
    (tmp_path / ".hidden.json").write_text("{")
    (tmp_path / "half.json.new").write_text("{")
    assert app.run(directory(tmp_path, once=True)).events == 3
    assert seen == [0, 1, 2]
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".hidden.json", "half.json.new"]


def test_folders_of_many_events_a_file(tmp_path: Path) -> None:
    app, _ = counting()
    seen = seen_by(app)
    done = tmp_path / "done"
    (tmp_path / "a.ndjson").write_bytes(lines(1, 2))
    (tmp_path / "b.jsonl").write_bytes(b"")
    (tmp_path / "c.json").write_text('{"Records": [{"n": 3}, {"n": 4}]}')
    source = directory(tmp_path, pattern="*.*", done=done, once=True)
    assert app.run(source).events == 4 and seen == [1, 2, 3, 4]
    assert sorted(path.name for path in done.iterdir()) == ["a.ndjson", "b.jsonl", "c.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["done"]


def test_a_file_stays_until_all_its_events_were_processed(tmp_path: Path) -> None:
    file = tmp_path / "a.ndjson"
    file.write_bytes(lines(1, 2, 3))
    app, _ = counting()
    seen = seen_by(app)
    app.on("n == 3")(lambda event, match: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        app.run(directory(tmp_path, pattern="*.ndjson", once=True))
    assert file.exists() and seen == [1, 2, 3]
    app, _ = counting(on_error="skip", dead_letters=tmp_path / "dead")
    app.on("n == 3")(lambda event, match: 1 / 0)
    assert app.run(directory(tmp_path, pattern="*.ndjson", once=True)).dead_letters == 1
    assert not file.exists()
    # Stopped at its last event, it is finished nevertheless.
    file.write_bytes(lines(1, 2))
    app, _ = counting()
    app.on("n == 2")(lambda event, match: app.stop())
    app.run(directory(tmp_path, pattern="*.ndjson"))
    assert not file.exists()


def test_folders_are_watched(tmp_path: Path) -> None:
    app, _ = counting()
    seen = seen_by(app)

    def write() -> None:
        for number in range(5):
            new = tmp_path / f"{number}.json.new"
            new.write_text(json.dumps({"n": number}))
            os.replace(new, tmp_path / f"{number}.json")
            time.sleep(0.03)

    writer = threading.Thread(target=write)
    writer.start()
    run_until(app, directory(tmp_path, poll=0.02), lambda: seen == [0, 1, 2, 3, 4])
    writer.join()


def test_files_that_change_are_left_for_a_while(tmp_path: Path) -> None:
    app, _ = counting()
    file = tmp_path / "a.json"
    file.write_text('{"n": 1}')
    assert app.run(directory(tmp_path, settle=60, once=True)).events == 0
    os.utime(file, (time.time() - 61,) * 2)
    assert app.run(directory(tmp_path, settle=60, once=True)).events == 1


def test_a_path_of_a_folder_is_watched(tmp_path: Path) -> None:
    app, _ = counting()
    seen = seen_by(app)
    (tmp_path / "a.json").write_text('{"n": 1}')
    run_until(app, tmp_path, lambda: seen == [1])


def test_messages_acknowledge_what_was_skipped() -> None:
    done: list[str] = []
    app, _ = counting(on_error="skip")
    app.run([Message("no event", ack=lambda: done.append("ack"), nack=lambda: done.append("nack"))])
    assert done == ["ack"]


def test_errors_of_acknowledgements_end_the_run() -> None:
    app, delivered = counting()
    with pytest.raises(ZeroDivisionError):
        app.run([Message({"n": 1}, ack=lambda: 1 / 0), {"n": 2}])
    assert delivered == [1] and app.state.get("count", "seen") == 1


def test_importing_the_package_does_not_import_asyncio() -> None:
    code = "import sys, reflexarc; print(sorted({'asyncio', 'gzip', 'logging'} & {*sys.modules}))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"

"""Sources of events for `Automation.run`: files, folders, and messages of any queue.

A source is any iterable or async iterable of events. What it yields is

* an event as JSON text, dict or `Event`, or a document with several (a notification, a list);
* a `Message`: an event with what is to be done when it was processed, such as deleting it from its
  queue, or was not;
* `None`: nothing has come, so that timers can fire. A source that waits for long yields it now and
  then.

A source is asked for the next item only when the one before has been processed and acknowledged, so
that a generator may also acknowledge an item after its `yield`.

>>> import reflexarc as ra
>>> app = ra.Automation(ra.RuleSet({}))
>>> @app.on("n > 1")
... def seen(event: ra.Event, match: ra.Match) -> None:
...     print(event.to_json())
>>> def queue():
...     for text in ('{"n": 1}', '{"n": 2}'):
...         yield ra.sources.Message(text, ack=lambda: print("delete"))
>>> app.run(queue()).events
delete
{"n": 2}
delete
2
"""

from __future__ import annotations

import fnmatch
import gzip
import os
import time
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Union, cast

from ._core import Event

if TYPE_CHECKING:
    from ._types import EventLike

__all__ = ["Message", "directory", "ndjson"]

# The bytes that an event may have. Of a longer line only the beginning is read into memory; it is
# yielded, so that it is an invalid event like any other.
MAX_LINE = 1 << 20


@dataclass(frozen=True)
class Message:
    """An event with what is to be done when it was processed, or was not.

    Attributes:
        body: the event, or a document with several.
        ack: is called when all its events were processed, their actions delivered and the state
            committed. It may return an awaitable.
        nack: is called when they were not: the source is to deliver the message again. It may
            return an awaitable. Without it, the automation itself tries again where `on_error` says
            so.
    """

    body: EventLike
    ack: Callable[[], object] | None = None
    nack: Callable[[], object] | None = None


Item = Union["EventLike", Message, None]
Source = Union[
    Iterable[Item],
    AsyncIterable[Item],
    bytes,
    str,
    "os.PathLike[str]",
]


class ndjson:
    """The events of an NDJSON file, one a line; blank lines are ignored.

    Args:
        path: the file. One that ends with `.gz` is decompressed.
        position: a file in which the position behind the last acknowledged event is kept. A later
            run begins there, unless the file has become shorter. It is written once a second and
            at the end: after a crash, the events of about a second come again.
        follow: wait for further lines at the end, as `tail -F` does: the file may be missing at
            first, and be replaced or cut off later.
        poll: how often to look for further lines, in seconds.

    Raises:
        OSError: when it is iterated, if the file cannot be read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        position: str | os.PathLike[str] | None = None,
        follow: bool = False,
        poll: float = 0.5,
    ) -> None:
        self._path = Path(path)
        self._is_compressed = self._path.suffix == ".gz"
        if self._is_compressed and (follow or position is not None):
            raise ValueError(f"{self._path}: `follow` and `position` need a file without `.gz`")
        self._position = None if position is None else _Position(Path(position))
        self._follow = follow
        self._poll = poll

    @property
    def never_waits(self) -> bool:
        """Whether the next item is always there at once."""
        return not self._follow

    def __iter__(self) -> Iterator[Item]:
        """Yield the events."""
        if self._follow:
            return self._followed()
        return self._plain() if self._position is None else self._read_to_end()

    def _plain(self) -> Iterator[Item]:
        with _open(self._path, self._is_compressed) as file:
            while line := file.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE:
                    _skip_rest_of_line(file, line)
                if line != b"\n" and not line.isspace():
                    yield line

    def _read_to_end(self) -> Iterator[Item]:
        position = cast(_Position, self._position)
        with open(self._path, "rb") as file:
            _seek(file, position.read(file))
            try:
                yield from self._messages(file, partial=True)
            finally:
                position.save()

    def _followed(self) -> Iterator[Item]:
        # At first from the position, in later files from the beginning.
        is_first = True
        while True:
            if not self._path.exists():
                yield None
                time.sleep(self._poll)
                continue
            with open(self._path, "rb") as file:
                if self._position is not None:
                    _seek(file, self._position.read(file) if is_first else 0)
                    self._position.begin(file)
                is_first = False
                try:
                    yield from self._lines_until_replaced(file)
                finally:
                    if self._position is not None:
                        self._position.save()

    def _lines_until_replaced(self, file: BinaryIO) -> Iterator[Item]:
        while True:
            yield from self._messages(file, partial=False)
            if self._is_replaced(file):
                # Its last lines may have been written since.
                yield from self._messages(file, partial=True)
                return
            yield None
            time.sleep(self._poll)

    def _is_replaced(self, file: BinaryIO) -> bool:
        try:
            now = os.stat(self._path)
        except FileNotFoundError:
            return False
        before = os.fstat(file.fileno())
        is_same = (now.st_dev, now.st_ino) == (before.st_dev, before.st_ino)
        return not is_same or before.st_size < file.tell()

    def _messages(self, file: BinaryIO, *, partial: bool) -> Iterator[Item]:
        """The lines up to the end of the file; the last one, without a line break, if `partial`."""
        while True:
            start = file.tell()
            line = file.readline(MAX_LINE + 1)
            if len(line) > MAX_LINE:
                _skip_rest_of_line(file, line)
            elif not line or (not line.endswith(b"\n") and not partial):
                file.seek(start)
                return
            end = file.tell()
            if line.isspace():
                continue
            if self._position is None:
                yield line
            else:
                yield Message(line, ack=self._position.setter(end))


def directory(
    path: str | os.PathLike[str],
    *,
    pattern: str = "*.json",
    done: str | os.PathLike[str] | None = None,
    poll: float = 1.0,
    settle: float = 0.0,
    once: bool = False,
) -> Iterator[Item]:
    """The events in the files of a folder, and of those that come into it.

    Each file is a document: an event, or several in a notification or list; of files `*.ndjson` and
    `*.jsonl` each line is one. The oldest comes first. Write a file under another name, or into
    another folder of the same disk, and rename it: then it is never read half written.

    Args:
        path: the folder.
        pattern: which files, as in a shell. Names that begin with a dot are never read.
        done: a folder to which a file is moved when all its events were processed; by default it
            is deleted.
        poll: how often to look for further files, in seconds.
        settle: how long a file must not have changed before it is read, in seconds; for writers
            that do not rename.
        once: end when there is no file any more, instead of waiting.

    Raises:
        OSError: if the folder or a file cannot be read.
    """
    folder = Path(path)
    if done is not None:
        Path(done).mkdir(parents=True, exist_ok=True)
    while True:
        files = _files(folder, pattern, settle)
        for file in files:
            yield from _messages_of_file(file, _Finish(file, done))
        if files:
            continue
        if once:
            return
        yield None
        time.sleep(poll)


class _Finish:
    """Moves or deletes a file whose events were all processed."""

    def __init__(self, file: Path, done: str | os.PathLike[str] | None) -> None:
        self._file = file
        self._done = None if done is None else Path(done)

    def __call__(self) -> None:
        if self._done is None:
            self._file.unlink(missing_ok=True)
        else:
            os.replace(self._file, self._done / self._file.name)


class _Position:
    """The position behind the last acknowledged event of a file, in a file of its own."""

    # Writing it costs more than an event, so it is not written for each.
    INTERVAL = 1.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end: int | None = None
        self._inode = 0
        self._saved_at = 0.0

    def read(self, file: BinaryIO) -> int:
        """Where to begin in `file`: at 0 in another file than that of the position."""
        self.begin(file)
        try:
            inode, end = map(int, self._path.read_text(encoding="ascii").split())
        except FileNotFoundError:
            return 0
        except ValueError:
            raise ValueError(f"{self._path} is not a position that reflexarc has written") from None
        # The number of the file tells a rotated file from the one that took its place.
        return end if inode == self._inode else 0

    def begin(self, file: BinaryIO) -> None:
        """What is set from now on is a position in `file`."""
        self._inode = os.fstat(file.fileno()).st_ino

    def setter(self, end: int) -> Callable[[], None]:
        """What sets the position."""

        def set_position() -> None:
            self._end = end
            if time.monotonic() - self._saved_at >= self.INTERVAL:
                self.save()

        return set_position

    def save(self) -> None:
        """Write the position, if it was set since."""
        if self._end is None:
            return
        # Replaced as a whole, so that a crash leaves the old one or the new one.
        new = self._path.with_name(f"{self._path.name}.new")
        with open(new, "w", encoding="ascii") as file:
            file.write(f"{self._inode} {self._end}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self._path)
        self._end, self._saved_at = None, time.monotonic()


def source_of(source: Source) -> Iterable[Item] | AsyncIterable[Item]:
    """The items of what `Automation.run` takes."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return [line for line in bytes(source).split(b"\n") if line and not line.isspace()]
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return directory(path) if path.is_dir() else ndjson(path)
    if isinstance(source, (Mapping, Event)):
        raise TypeError("expected a source of events, found one event; use `process`")
    if not isinstance(source, (Iterable, AsyncIterable)):
        raise TypeError(f"expected a source of events, found {type(source).__name__}")
    return cast(Iterable[Item], source)


def never_waits(source: object) -> bool:
    """Whether a source always has its next item at once: timers need not fire meanwhile."""
    return isinstance(source, (list, tuple)) or getattr(source, "never_waits", False) is True


def _files(folder: Path, pattern: str, settle: float) -> list[Path]:
    """The files of a folder that are to be read, the oldest first."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not fnmatch.fnmatchcase(entry.name, pattern):
                continue
            try:
                modified = entry.stat().st_mtime
                is_file = entry.is_file()
            except FileNotFoundError:
                continue
            if is_file and time.time() - modified >= settle:
                found.append((modified, entry.name))
    return [folder / name for _, name in sorted(found)]


def _messages_of_file(file: Path, finish: Callable[[], None]) -> Iterator[Item]:
    if file.suffix not in (".ndjson", ".jsonl"):
        yield Message(file.read_bytes(), ack=finish)
        return
    # The file is finished with its last line, not when the next item is asked for: a run that is
    # stopped does not ask any more.
    last: Item = None
    for line in ndjson(file):
        if last is not None:
            yield last
        last = line
    if last is None:
        finish()
    else:
        yield Message(cast(bytes, last), ack=finish)


def _open(path: Path, is_compressed: bool) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if is_compressed else open(path, "rb")


def _skip_rest_of_line(file: BinaryIO, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = file.readline(MAX_LINE)


def _seek(file: BinaryIO, position: int) -> None:
    # A file that has become shorter is another one.
    file.seek(position if position <= os.fstat(file.fileno()).st_size else 0)

"""Dead letters: actions that no target took, and events that could not be processed."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Union

from ._core import Action, Event
from ._errors import EventError

DeadLettersArgument = Union[str, "os.PathLike[str]", Callable[["DeadLetter"], object], None]


@dataclass(frozen=True)
class DeadLetter:
    """An action that no target took, or an event that could not be processed.

    Attributes:
        at: when it became one.
        error: why.
        action: the action; `None` for an event.
        event: the event, or the text of what was not an event; `None` for an action.
    """

    at: datetime
    error: str
    action: Action | None = None
    event: Event | str | None = None

    def to_json(self) -> str:
        """The dead letter as one line of JSON, from which `from_json` makes it again."""
        members = [f'"at":"{self.at.isoformat()}"', f'"error":{_text(self.error)}']
        # Texts of JSON as they are: Python's floats would round long numbers.
        if self.action is not None:
            members.append(f'"action":{self.action.__reduce__()[1][0]}')
        if isinstance(self.event, Event):
            text = self.event.to_json()
            members.append(f'"text":{_text(text)}' if "\n" in text else f'"event":{text}')
        elif self.event is not None:
            members.append(f'"text":{_text(self.event)}')
        return f"{{{','.join(members)}}}"

    @staticmethod
    def from_json(text: str) -> DeadLetter:
        """The dead letter of a line that `to_json` made.

        Raises:
            ValueError: if it is no such line.
        """
        try:
            line = json.loads(text)
            action = _member(text, "action") if "action" in line else None
            event = _member(text, "event") if "event" in line else None
            return DeadLetter(
                at=datetime.fromisoformat(line["at"]),
                error=line["error"],
                action=None if action is None else Action._rebuild(action),
                event=_event(line.get("text")) if event is None else Event(event),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not a dead letter: {text[:80]}") from error


class DeadLetterFile:
    """A file of dead letters, one a line."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()

    def __call__(self, letter: DeadLetter) -> None:
        """Append a dead letter. When this returns, it is on the disk."""
        line = f"{letter.to_json()}\n".encode()
        with self._lock, open(self.path, "ab") as file:
            # A process that was killed while it wrote left a line without an end.
            if file.tell() > 0 and not self._ends_with_line():
                file.write(b"\n")
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def _ends_with_line(self) -> bool:
        with open(self.path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


def dead_letter_writer(argument: DeadLettersArgument) -> Callable[[DeadLetter], object] | None:
    """What takes dead letters: a file, or a function of the program."""
    if argument is None or callable(argument):
        return argument
    return DeadLetterFile(argument)


def letter_now(error: BaseException | str, **what: Any) -> DeadLetter:
    """A dead letter of this moment."""
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return DeadLetter(at=datetime.now(timezone.utc), error=text, **what)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _member(text: str, name: str) -> str | None:
    """The JSON text of a member of the object `text`, with its digits."""
    # No string has this inside: its quotes would be escaped.
    found = re.search(rf'"{name}"\s*:\s*', text)
    if found is None:
        return None
    _, end = json.JSONDecoder().raw_decode(text, found.end())
    return text[found.end() : end]


def _event(text: str | None) -> Event | str | None:
    if text is None:
        return None
    try:
        return Event(text)
    except EventError:
        return text

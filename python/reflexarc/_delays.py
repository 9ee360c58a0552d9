"""Actions with `after`, which wait in the state until their time."""

from __future__ import annotations

import heapq
import json
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ._core import Action, Cancellation, State

# The name under which actions wait, beside the names of rules. A rule cannot have it: it is the
# stem of a file, and `@` is no letter of one.
ENTRIES = "@delayed"

Changes = dict[str, tuple[datetime, Action] | None]


class Delays:
    """What waits, soonest first. The state has the same: this is its index by time."""

    def __init__(self, state: State) -> None:
        self._waiting: dict[str, tuple[datetime, Action]] = {}
        self._heap: list[tuple[datetime, str]] = []
        self._update({id: _read(entry) for id, entry in _entries(state).items()})

    def __len__(self) -> int:
        return len(self._waiting)

    def first(self) -> tuple[datetime, str] | None:
        """The time and the id of what is due first."""
        while self._heap:
            due, id = self._heap[0]
            waiting = self._waiting.get(id)
            if waiting is not None and waiting[0] == due:
                return due, id
            # It was cancelled, or replaced by one with another time.
            heapq.heappop(self._heap)
        return None

    def action(self, id: str) -> Action:
        """The action that waits under an id."""
        return self._waiting[id][1]

    def changes(
        self, cancelled: Iterable[Cancellation], later: Iterable[tuple[datetime, Action]]
    ) -> Changes:
        """What cancellations, and then actions with their times, change of what waits."""
        found: Changes = {_name(each.rule, each.key, each.scope): None for each in cancelled}
        for due, action in later:
            if action.key is None:
                found[f"#{uuid.uuid4().hex}"] = (due, action)
            else:
                found[_name(action.rule, action.key, action.scope)] = (due, action)
        return found

    def committed(self, state: State, changes: Changes) -> State:
        """The state with the changes. To be called when `apply` is certain to follow."""
        # A cancellation of what does not wait changes nothing.
        entries = {
            id: None if waiting is None else _written(waiting)
            for id, waiting in changes.items()
            if waiting is not None or id in self._waiting
        }
        return state._with_entries(ENTRIES, entries) if entries else state

    def apply(self, changes: Changes) -> None:
        """Change what waits, after the state was committed."""
        self._update(changes)

    def _update(self, changes: Mapping[str, tuple[datetime, Action] | None]) -> None:
        for id, waiting in changes.items():
            if waiting is None:
                self._waiting.pop(id, None)
            else:
                self._waiting[id] = waiting
                heapq.heappush(self._heap, (waiting[0], id))


def _name(rule: str, key: str, scope: Any) -> str:
    return json.dumps([rule, key, scope], ensure_ascii=False, default=str)


def _entries(state: State) -> dict[str, Any]:
    return state.to_dict().get(ENTRIES, {})


def _written(waiting: tuple[datetime, Action]) -> dict[str, Any]:
    due, action = waiting
    (text,) = action.__reduce__()[1]
    return {"due": due.isoformat(), "action": text}


def _read(entry: dict[str, str]) -> tuple[datetime, Action]:
    return datetime.fromisoformat(entry["due"]), Action._rebuild(entry["action"])

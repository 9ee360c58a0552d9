"""Actions with `after`, which wait in the state until their time."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ._core import Action, Cancellation, State

# The name under which actions wait, beside the names of rules. A rule cannot have it: it is the
# stem of a file, and `@` is not a letter of one.
ENTRIES = "@delayed"


class Waiting(NamedTuple):
    """An action that waits."""

    due: datetime
    # The order in which they began to wait: of equal times, the lower one comes first.
    number: int
    action: Action


Changes = dict[str, Waiting | None]


class Delays:
    """What waits, soonest first. The state has the same: this is its index by time."""

    def __init__(self, state: State) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._heap: list[tuple[datetime, int, str]] = []
        entries = state.to_dict().get(ENTRIES, {})
        self._update({id: _read(entry) for id, entry in entries.items()})
        self._next_number = 1 + max((each.number for each in self._waiting.values()), default=0)

    def __len__(self) -> int:
        return len(self._waiting)

    def first(self) -> tuple[datetime, str] | None:
        """The time and the id of what is due first."""
        while self._heap:
            due, number, id = self._heap[0]
            waiting = self._waiting.get(id)
            if waiting is not None and waiting.number == number:
                return due, id
            # It was cancelled or replaced.
            heapq.heappop(self._heap)
        return None

    def action(self, id: str) -> Action:
        """The action that waits under an id."""
        return self._waiting[id].action

    def changes(
        self, cancelled: Iterable[Cancellation], later: Iterable[tuple[datetime, Action]]
    ) -> Changes:
        """What cancellations, and then actions with their times, change of what waits."""
        found: Changes = {_name(each.rule, each.key, each.scope): None for each in cancelled}
        for due, action in later:
            number = self._next_number
            self._next_number += 1
            named = action.key is not None
            id = _name(action.rule, action.key or "", action.scope) if named else f"#{number}"
            found[id] = Waiting(due, number, action)
        return found

    def committed(self, state: State, changes: Changes) -> State:
        """The state with the changes, for a commit after which `apply` is called."""
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

    def _update(self, changes: Mapping[str, Waiting | None]) -> None:
        for id, waiting in changes.items():
            if waiting is None:
                self._waiting.pop(id, None)
            else:
                self._waiting[id] = waiting
                heapq.heappush(self._heap, (waiting.due, waiting.number, id))


def _name(rule: str, key: str, scope: Any) -> str:
    return json.dumps([rule, key, scope], ensure_ascii=False, default=str)


def _written(waiting: Waiting) -> dict[str, Any]:
    (text,) = waiting.action.__reduce__()[1]
    return {"due": waiting.due.isoformat(), "number": waiting.number, "action": text}


def _read(entry: dict[str, Any]) -> Waiting:
    due = datetime.fromisoformat(entry["due"])
    return Waiting(due, entry["number"], Action._rebuild(entry["action"]))

"""Where an automation keeps its state."""

from __future__ import annotations

import os
from typing import Protocol

from ._core import State


class StateStore(Protocol):
    """Keeps the state of an automation, for example in a database of the program:
    `State.to_json` and `State.from_json` write and read it.
    """

    @property
    def state(self) -> State:
        """The committed state."""

    def commit(self, state: State) -> None:
        """Replace the committed state. When this returns, a crash must not lose it; if it raises
        an exception, the event is not acknowledged.
        """

    def close(self) -> None:
        """Release what keeps it."""


def state_store(state: State | StateStore | str | os.PathLike[str] | None) -> StateStore:
    """What keeps the state that `Automation` was given."""
    if state is None:
        return MemoryStore(State())
    if isinstance(state, State):
        return MemoryStore(state)
    if isinstance(state, (str, os.PathLike)):
        return State.open(state)
    if hasattr(state, "commit"):
        return state
    raise TypeError(f"expected a state, a path or a StateStore, found {type(state).__name__}")


class MemoryStore:
    """Keeps the state until the process ends."""

    def __init__(self, state: State) -> None:
        self.state = state

    def commit(self, state: State) -> None:
        """Replace the state."""
        self.state = state

    def close(self) -> None:
        """Nothing to release."""

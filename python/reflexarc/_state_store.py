"""Where an automation keeps its state."""

from __future__ import annotations

import os
from typing import Protocol

from ._core import State


class StateStore(Protocol):
    """Keeps the state of an automation."""

    @property
    def state(self) -> State:
        """The committed state."""

    def commit(self, state: State) -> None:
        """Replace the committed state. When this returns, a crash does not lose it."""

    def close(self) -> None:
        """Release what keeps it."""


def state_store(state: State | str | os.PathLike[str] | None) -> StateStore:
    """What keeps the state that `Automation` was given."""
    if state is None:
        return MemoryStore(State())
    if isinstance(state, State):
        return MemoryStore(state)
    return State.open(state)


class MemoryStore:
    """Keeps the state until the process ends."""

    def __init__(self, state: State) -> None:
        self.state = state

    def commit(self, state: State) -> None:
        """Replace the state."""
        self.state = state

    def close(self) -> None:
        """Nothing to release."""

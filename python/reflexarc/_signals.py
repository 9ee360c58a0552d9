"""Ctrl-C and SIGTERM end a run after the event that is being processed."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """Interrupts a source that waits. No `Exception`, so that sources do not catch it."""


@contextmanager
def handled(stop: Callable[[], None], *, is_waiting: Callable[[], bool]) -> Iterator[None]:
    """Call `stop` at a signal, and interrupt what waits; a second signal interrupts anything.

    Only the main thread gets signals; in other threads this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        stop()
        if count > 1:
            raise KeyboardInterrupt
        if is_waiting():
            raise Stopped

    before: dict[int, Any] = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            # `None` for a handler that was not installed by Python; it cannot be restored.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def handled_in_loop(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at a signal, in a running event loop; a second one cancels the task."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    count = 0

    def handle() -> None:
        nonlocal count
        count += 1
        stop()
        if count > 1 and task is not None:
            task.cancel()

    added = []
    before: dict[int, Any] = {}
    try:
        for number in SIGNALS:
            before[number] = signal.getsignal(number)
            loop.add_signal_handler(number, handle)
            added.append(number)
    except (NotImplementedError, RuntimeError, ValueError):
        # Another thread than the main one, or a loop without signals.
        pass
    try:
        yield
    finally:
        for number in added:
            loop.remove_signal_handler(number)
            if before[number] is not None:
                signal.signal(number, before[number])

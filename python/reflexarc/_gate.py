"""One event at a time, for threads and for tasks of an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

Result = TypeVar("Result")

# How long another thread needs to take what was released, in seconds.
LET_OTHERS = 0.0001

PLAIN_FUNCTION = (
    "a handler or target returned an awaitable; make it a coroutine function (`async def`)"
)


class Gate:
    """A lock that a thread holds, or a task of an event loop. Not to be entered twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The thread or task that holds it.
        self._owner: object = None
        # How many threads and tasks wait for it.
        self.others_wait = 0
        # The lock of the loop whose task holds it.
        self._held_in_loop: asyncio.Lock | None = None
        # For the tasks of each loop.
        self._in_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]
        self._in_loops = WeakKeyDictionary()

    def __enter__(self) -> None:
        owner = threading.get_ident()
        if not self._lock.acquire(blocking=False):
            if self._owner == owner or self._is_held_by_this_loop():
                raise self._nested()
            self.others_wait += 1
            try:
                self._lock.acquire()
            finally:
                self.others_wait -= 1
        self._owner = owner

    def __exit__(self, *exception: object) -> None:
        self._owner = None
        self._lock.release()

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        if task is not None and self._owner is task:
            raise self._nested()
        if self._owner == threading.get_ident():
            raise self._nested()
        loop_lock = self._loop_lock()
        self.others_wait += 1
        try:
            await loop_lock.acquire()
            try:
                # Only one task of the loop waits for threads, so that it takes one thread of the
                # pool.
                if not self._lock.acquire(blocking=False):
                    await acquire_in_thread(self._lock)
            except BaseException:
                loop_lock.release()
                raise
        finally:
            self.others_wait -= 1
        self._owner, self._held_in_loop = task, loop_lock

    async def __aexit__(self, *exception: object) -> None:
        loop_lock, self._held_in_loop = self._held_in_loop, None
        self._owner = None
        self._lock.release()
        assert loop_lock is not None
        loop_lock.release()

    async def let_others(self, *, in_loop: bool) -> None:
        """Let others have it, after it was held for many events."""
        if not in_loop:
            # The other thread has to run before this one asks again.
            time.sleep(LET_OTHERS)
        elif self.others_wait:
            await asyncio.sleep(LET_OTHERS)
        else:
            await asyncio.sleep(0)

    async def run(self, processing: Coroutine[Any, Any, Result], *, in_loop: bool) -> Result:
        """Await a coroutine while nothing else is processed."""
        if in_loop:
            async with self:
                return await processing
        with self:
            return await processing

    def _loop_lock(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        lock = self._in_loops.get(loop)
        if lock is None:
            lock = self._in_loops[loop] = asyncio.Lock()
        return lock

    def _is_held_by_this_loop(self) -> bool:
        owner = self._owner
        if not isinstance(owner, asyncio.Task):
            return False
        try:
            return owner.get_loop() is asyncio.get_running_loop()
        except RuntimeError:
            return False

    @staticmethod
    def _nested() -> RuntimeError:
        return RuntimeError(
            "an event is being processed here: handlers and targets cannot process another one; "
            "return actions from a handler, or `emit` from a rule"
        )


async def acquire_in_thread(lock: threading.Lock) -> None:
    """Acquire a lock without blocking the loop, also when this is cancelled meanwhile."""
    waiting = asyncio.ensure_future(asyncio.to_thread(lock.acquire))
    try:
        await asyncio.shield(waiting)
    except asyncio.CancelledError:
        # The thread goes on and will acquire it, for no one.
        waiting.add_done_callback(lambda done: lock.release())
        raise


def drive(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that awaits nothing that needs an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stopped:
        result: Result = stopped.value
        return result
    coroutine.close()
    raise RuntimeError(PLAIN_FUNCTION)

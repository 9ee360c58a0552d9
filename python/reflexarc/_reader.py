"""Taking the items of a source one by one, for at most some time."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator
from typing import Any, cast

from .sources import Item

# The source is exhausted; nothing has come in time.
END: Any = object()
NOTHING: Any = object()

# An item, or the exception of the source.
Found = tuple[Item, BaseException | None]


class Reader:
    """Takes the items of an iterable.

    A source that waits is asked in this thread while no timer runs, and in a thread of its own as
    soon as one does, for good: some sources must not change the thread again and again.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._items: Iterator[Item] = iter(items)
        self._thread: _ReaderThread | None = None
        self._found: queue.SimpleQueue[Found] = queue.SimpleQueue()
        self._is_wanted = False

    def next(self, timeout: float | None) -> Item:
        """The next item; `END` after the last one, `NOTHING` if none comes within `timeout`
        seconds.
        """
        if self._thread is None:
            if timeout is None:
                return cast(Item, next(self._items, END))
            self._thread = _ReaderThread(self._items)
        if not self._is_wanted:
            self._is_wanted = True
            self._thread.ask(self._found.put)
        try:
            item, error = self._found.get(timeout=timeout)
        except queue.Empty:
            return cast(Item, NOTHING)
        self._is_wanted = False
        if error is not None:
            raise error
        return item

    def close(self) -> None:
        """Close a generator, unless another thread waits in it."""
        if not self._is_wanted and hasattr(self._items, "close"):
            self._items.close()
        if self._thread is not None:
            self._thread.close()


class AsyncReader:
    """Takes the items of an iterable or async iterable in an event loop. An iterable is asked in a
    thread of its own.
    """

    def __init__(self, items: Iterable[Item] | AsyncIterable[Item]) -> None:
        self._items: Any
        self._next: Callable[[], Awaitable[Item]]
        self._thread: _ReaderThread | None = None
        if isinstance(items, AsyncIterable):
            self._items, self._next = items.__aiter__(), self._next_of_async
        else:
            self._items, self._next = iter(items), self._next_of_thread
            self._thread = _ReaderThread(self._items)
        self._pending: asyncio.Future[Item] | None = None

    async def next(self, timeout: float | None, stopped: asyncio.Future[None]) -> Item:
        """The next item; `END` after the last one, `NOTHING` if none comes within `timeout`
        seconds or before `stopped`.
        """
        if self._pending is None:
            self._pending = asyncio.ensure_future(self._next())
        waiting: set[asyncio.Future[Any]] = {self._pending, stopped}
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not self._pending.done():
            return cast(Item, NOTHING)
        found, self._pending = self._pending, None
        return found.result()

    async def close(self) -> None:
        """End what waits, and close a generator."""
        is_waiting = self._pending is not None
        if self._pending is not None:
            self._pending.cancel()
            # An item that comes just now is not acknowledged, and comes again.
            await asyncio.wait({self._pending})
        if self._thread is not None:
            self._thread.close()
            if not is_waiting and hasattr(self._items, "close"):
                self._items.close()
        elif hasattr(self._items, "aclose"):
            await self._items.aclose()

    async def _next_of_async(self) -> Item:
        try:
            return cast(Item, await self._items.__anext__())
        except StopAsyncIteration:
            return cast(Item, END)

    async def _next_of_thread(self) -> Item:
        assert self._thread is not None
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Item] = loop.create_future()

        def settle(found: Found) -> None:
            item, error = found
            if future.cancelled():
                return
            if error is None:
                future.set_result(item)
            else:
                future.set_exception(error)

        def put(found: Found) -> None:
            # The loop may have ended meanwhile.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, found)

        self._thread.ask(put)
        return await future


class _ReaderThread:
    """Asks a source for an item when that is wanted, so that it is never ahead."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._wanted: queue.SimpleQueue[Callable[[Found], None] | None] = queue.SimpleQueue()
        # A daemon, because nothing can interrupt a source that waits for ever.
        threading.Thread(target=self._read, name="reflexarc source", daemon=True).start()

    def ask(self, put: Callable[[Found], None]) -> None:
        """Have the next item, or the exception of the source, passed to `put`."""
        self._wanted.put(put)

    def close(self) -> None:
        """End the thread, when the source returns."""
        self._wanted.put(None)

    def _read(self) -> None:
        while (put := self._wanted.get()) is not None:
            try:
                put((next(self._items, END), None))
            except BaseException as error:
                put((None, error))

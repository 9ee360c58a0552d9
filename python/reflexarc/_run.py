"""One run over a source: take an item, process its events, acknowledge it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from ._core import Event
from ._errors import EventError
from ._gate import Gate, drive
from ._handlers import Evaluated
from ._processor import Counts, Processor
from ._reader import END, NOTHING, AsyncReader, Reader
from ._signals import Stopped, handled, handled_in_loop
from .sources import Item, Message, Source, never_waits, source_of

Decision = Literal["raise", "retry", "skip"]
OnError = Decision | Callable[[Exception, Event | None], Decision]

logger = logging.getLogger("reflexarc")

# Pauses between attempts of an event that its source cannot deliver again, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
# After how many items of a source that never waits other tasks of an event loop run.
ITEMS_BETWEEN_TASKS = 64


@dataclass
class Summary(Counts):
    """What a run has done.

    Attributes:
        stopped: whether it was stopped, instead of ending with its source.
    """

    stopped: bool = False


class Run:
    """A run; used once."""

    def __init__(
        self, processor: Processor, gate: Gate, on_error: OnError, until: datetime | None
    ) -> None:
        self._processor = processor
        self._gate = gate
        self._on_error = on_error
        self._until = until
        self._before = replace(processor.counts)
        self._pause = FIRST_PAUSE
        self._is_stopping = False
        self._is_waiting = False
        self._stopped: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None

    def stop(self) -> None:
        """End it after the event that is being processed."""
        self._is_stopping = True
        if self._stopped is not None:
            loop, stopped = self._stopped
            loop.call_soon_threadsafe(_set_result, stopped)

    def run(self, source: Source) -> Summary:
        """Process the items in this thread."""
        items = source_of(source)
        assert isinstance(items, Iterable)
        reader = Reader(items)
        with handled(self.stop, is_waiting=lambda: self._is_waiting):
            try:
                drive(self._begin(in_loop=False))
                if never_waits(items):
                    drive(self._run_ready(items, in_loop=False))
                else:
                    self._run_waiting_here(reader)
                drive(self._end(in_loop=False))
            except Stopped:
                # A source was interrupted that waited: nothing was being processed.
                pass
            finally:
                reader.close()
        return self._summary()

    async def run_async(self, source: Source) -> Summary:
        """Process the items in an event loop."""
        loop = asyncio.get_running_loop()
        stopped: asyncio.Future[None] = loop.create_future()
        self._stopped = (loop, stopped)
        items = source_of(source)
        with handled_in_loop(self.stop):
            await self._begin(in_loop=True)
            if never_waits(items) and isinstance(items, Iterable):
                await self._run_ready(items, in_loop=True)
            else:
                await self._run_waiting(items, stopped)
            await self._end(in_loop=True)
        return self._summary()

    def _run_waiting_here(self, reader: Reader) -> None:
        while not self._is_over():
            item = self._next(reader, self._timeout())
            if item is END:
                return
            drive(self._process_item(item, in_loop=False))

    async def _run_ready(self, source: Iterable[Item], *, in_loop: bool) -> None:
        """Process items that are all there already."""
        items = iter(source)
        while True:
            burst = self._run_burst(items, in_loop)
            item, event, error = await self._gate.run(burst, in_loop=in_loop)
            if item is END:
                return
            if item is NOTHING:
                await self._gate.let_others(in_loop=in_loop)
            elif event is None:
                await self._process_item(item, in_loop=in_loop)
            else:
                await self._process_event(event, item, error, in_loop=in_loop)

    async def _run_burst(
        self, items: Iterator[Item], in_loop: bool
    ) -> tuple[Item, Event | None, Exception | None]:
        """Process items with little besides the events themselves, and without giving back the
        gate. Returns the first item for which more is to be done, with its event and error if that
        has failed; `NOTHING` when others are to have the gate; `END` at the end.
        """
        gate, processor = self._gate, self._processor
        evaluated: Evaluated | None
        event: Event | None
        processing: Coroutine[Any, Any, object] | None
        for count, item in enumerate(items, 1):
            if self._is_stopping or (self._until is not None and self._is_over()):
                break
            is_timeless = processor.is_timeless
            if item is None or type(item) is Message or (not is_timeless and processor.is_due):
                return item, None, None
            evaluated = event = processing = None
            try:
                if is_timeless:
                    evaluated = processor.evaluate_timeless(item)
                    if evaluated is None:
                        return item, None, None
                    processing = processor.react(evaluated, in_loop=in_loop)
                else:
                    events = [item] if type(item) is Event else Event.read_all(item)
                    if len(events) != 1:
                        return item, None, None
                    event = events[0]
                    processing = processor.process(event, item, in_loop=in_loop)
                if processing is not None:
                    if in_loop:
                        await processing
                    else:
                        drive(processing)
                if is_timeless:
                    processor.counts.events += 1
            except Exception as error:
                if evaluated is not None:
                    event = evaluated[0]._received
                return item, event, error
            if gate.others_wait or (in_loop and count == ITEMS_BETWEEN_TASKS):
                return NOTHING, None, None
        return END, None, None

    async def _run_waiting(
        self, items: Iterable[Item] | AsyncIterable[Item], stopped: asyncio.Future[None]
    ) -> None:
        reader = AsyncReader(items)
        try:
            while not self._is_over():
                item = await reader.next(self._timeout(), stopped)
                if item is END:
                    return
                if not self._is_stopping or item is not NOTHING:
                    await self._process_item(item, in_loop=True)
        finally:
            await reader.close()

    def _next(self, reader: Reader, timeout: float | None) -> Item:
        # A signal that comes here interrupts the source; later it waits for the end of the event.
        self._is_waiting = True
        try:
            if self._is_stopping:
                raise Stopped
            return reader.next(timeout)
        finally:
            self._is_waiting = False

    async def _begin(self, *, in_loop: bool) -> None:
        processor = self._processor
        if processor.follows_events or processor.hold_overdue():
            return
        now = processor.now()
        await self._fire_due(now, in_loop)
        # Otherwise an error has it tried again later, with what is due then.
        if processor.held_until is None:
            await self._gate.run(processor.begin(now, in_loop=in_loop), in_loop=in_loop)

    async def _end(self, *, in_loop: bool) -> None:
        """With the clock of events, the time after the last event."""
        if self._until is not None and not self._is_stopping:
            await self._fire_due(self._processor.reach(self._until), in_loop)

    async def _process_item(self, item: Item, *, in_loop: bool) -> None:
        """Process the events of an item and acknowledge it; without an item, only what is due."""
        if self._processor.is_due:
            await self._fire_due(self._processor.now(), in_loop)
        if item is None or item is NOTHING:
            return
        message = item if isinstance(item, Message) else None
        body = item.body if isinstance(item, Message) else item
        try:
            events = Event.read_all(body)
        except EventError as error:
            events = []
            if not await self._failed(error, None, body, item, in_loop):
                return
        for event in events:
            if not await self._process_event(event, item, None, in_loop=in_loop):
                return
        if message is not None and message.ack is not None:
            await _awaited(message.ack())

    async def _process_event(
        self, event: Event, item: Item, error: Exception | None, *, in_loop: bool
    ) -> bool:
        """Process an event, after an `error` again. False if its source delivers it again, or the
        run ends.
        """
        while True:
            if error is None:
                try:
                    processing = self._processor.process(event, item, in_loop=in_loop)
                    await self._gate.run(processing, in_loop=in_loop)
                    self._pause = FIRST_PAUSE
                    return True
                except Exception as raised:
                    error = raised
            found = await self._failed(error, event, event, item, in_loop)
            if found is not None or self._is_stopping:
                return bool(found)
            error = None

    async def _failed(
        self, error: Exception, event: Event | None, body: Any, item: Item, in_loop: bool
    ) -> bool | None:
        """What follows after an error: true if it was skipped, false if the source delivers it
        again, `None` if it is to be tried again.
        """
        decision = self._decide(error, event)
        nack = item.nack if isinstance(item, Message) else None
        if decision == "retry" and nack is None and event is None:
            # However often it is read, it does not become an event.
            decision = "skip" if self._processor.has_dead_letters else "raise"
        if decision != "skip" and nack is not None:
            try:
                await _awaited(nack())
            except Exception:
                # The queue delivers it again after a while, as after a crash.
                logger.warning("cannot give a message back", exc_info=True)
        if decision == "raise":
            raise error
        if decision == "skip":
            logger.error("skipped an event: %s", error, exc_info=error)
            self._processor.make_dead_letter(error, event=event or _as_text(body))
            return True
        if nack is not None:
            return False
        logger.warning("trying again in %g s: %s", self._pause, error, exc_info=error)
        await self._sleep(in_loop)
        return None

    async def _fire_due(self, now: datetime, in_loop: bool) -> None:
        while True:
            try:
                firing = self._processor.fire_due(now, in_loop=in_loop)
                await self._gate.run(firing, in_loop=in_loop)
                return
            except Exception as error:
                decision = self._decide(error, None)
                if decision == "raise":
                    raise
                if decision == "retry":
                    logger.warning("trying again in %g s: %s", self._pause, error, exc_info=error)
                    self._processor.held_until = now + timedelta(seconds=self._longer_pause())
                    return
                logger.error("skipped what was due: %s", error, exc_info=error)
                self._processor.skip_due(error)

    def _decide(self, error: Exception, event: Event | None) -> Decision:
        on_error = self._on_error
        decision = on_error(error, event) if callable(on_error) else on_error
        if decision not in ("raise", "retry", "skip"):
            raise ValueError(f"`on_error` returned {decision!r}: expected raise, retry or skip")
        return decision

    async def _sleep(self, in_loop: bool) -> None:
        seconds = self._longer_pause()
        if in_loop:
            assert self._stopped is not None
            await asyncio.wait({self._stopped[1]}, timeout=seconds)
        else:
            self._is_waiting = True
            try:
                time.sleep(seconds)
            finally:
                self._is_waiting = False

    def _longer_pause(self) -> float:
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        return pause

    def _is_over(self) -> bool:
        if self._is_stopping:
            return True
        until = self._until
        if until is None or self._processor.follows_events:
            return False
        return self._processor.now() >= until

    def _timeout(self) -> float | None:
        """How long the source may wait, in seconds."""
        return self._processor.seconds_to_next(self._until)

    def _summary(self) -> Summary:
        counts = self._processor.counts
        done = {
            field.name: getattr(counts, field.name) - getattr(self._before, field.name)
            for field in fields(Counts)
        }
        return Summary(**done, stopped=self._is_stopping)


async def _awaited(result: object) -> None:
    if inspect.isawaitable(result):
        await result


def _set_result(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _as_text(body: Any) -> str:
    if isinstance(body, str):
        return body
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body).decode(errors="replace")
    return repr(body)

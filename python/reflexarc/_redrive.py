"""Dead letters that are delivered again."""

from __future__ import annotations

import contextlib
import os
from dataclasses import fields
from pathlib import Path

from ._core import Event
from ._dead_letters import DeadLetter, DeadLetterFile
from ._gate import Gate
from ._processor import Counts, Processor


async def redrive(
    processor: Processor, file: DeadLetterFile, gate: Gate, *, in_loop: bool
) -> Counts:
    """Deliver the actions and process the events of a file again. What fails again is appended to
    the file. If this is interrupted, all are still there.
    """
    before = {field.name: getattr(processor.counts, field.name) for field in fields(Counts)}
    taken = Path(f"{file.path}.redrive")
    # Left by a redrive that was interrupted; what has come since is for the next one.
    if not taken.exists():
        with contextlib.suppress(FileNotFoundError):
            os.replace(file.path, taken)
    if taken.exists():
        with open(taken, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if not line.isspace():
                    await gate.run(_redrive_line(processor, line, in_loop), in_loop=in_loop)
        taken.unlink()
    counts = {name: getattr(processor.counts, name) - count for name, count in before.items()}
    return Counts(**counts)


async def _redrive_line(processor: Processor, line: str, in_loop: bool) -> None:
    try:
        letter = DeadLetter.from_json(line)
    except ValueError as error:
        # For example half of a line, of a process that was killed while it wrote.
        processor.make_dead_letter(error, event=line.rstrip("\n"))
        return
    if letter.action is not None:
        await processor.redeliver(letter.action, in_loop=in_loop)
        return
    body = letter.event or ""
    try:
        for event in Event.read_all(body):
            await processor.process(event, body, in_loop=in_loop)
    except Exception as error:
        processor.make_dead_letter(error, event=body)

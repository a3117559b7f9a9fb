"""Where lines come from: journalctl as a child, or standard input.

Rules
-----
* A line longer than `LINE_MOST` is dropped whole.
* The line at the cursor comes again (--cursor, not --after-cursor): journalctl skips the first line after it unseen,
  also where the line at the cursor was cleared away or is of another unit (seen with 252), and that would be lost.
* --follow alone shows this boot only, and nothing at all where a container shows a process the boot id of its host;
  with --merge it shows every boot, and every machine, of which ours is picked.
* Who never listened begins where the unit was last started, for from there on freshd says anew what stands.
* journalctl is asked for one unit: what other programs wrote is not even read.
* A child started here is ended here, by its own id.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freshd.cli.alerting.lines import Reader
from freshd.errors import FreshdError

STARTING: Final = "7d4958e842da4a758f6c1cdc7b36dcc5"
"""The message id of "Starting UNIT" (sd-messages.h, SD_MESSAGE_UNIT_STARTING)."""
MACHINE_ID: Final = Path("/etc/machine-id")
LINE_MOST: Final = 2**20
CHUNK: Final = 2**16


class NoJournal(FreshdError):
    """journalctl cannot be started."""

    exit_code = 69
    type = "no-journal"


@dataclass(frozen=True, slots=True)
class Journal:
    """The lines of one unit, as JSON.  `of_user`: a unit of this user's manager."""

    unit: str
    of_user: bool = False

    def command(self, cursor: str | None, *, follow: bool) -> list[str]:
        """What to start: from the line at the cursor on, or without one from the first line that is kept."""
        begin = [] if cursor is None else [f"--cursor={cursor}"]
        more = ["--follow", "--no-tail", "--merge", *_this_machine()] if follow else []
        return [*self._of_unit(), *begin, *more]

    def _of_unit(self) -> list[str]:
        which = "--user-unit" if self.of_user else "--unit"
        return ["journalctl", "--quiet", "--output=json", "--no-pager", f"{which}={self.unit}"]

    async def last_start(self) -> str | None:
        """The cursor of the line that says that the unit is being started; None where there is none."""
        cursor = None
        async for line in _output([*self._of_unit(), f"MESSAGE_ID={STARTING}", "--lines=1"]):
            cursor = Reader().read(line)[1] or cursor
        return cursor

    async def lines(self, cursor: str | None, *, follow: bool) -> AsyncIterator[str]:
        """The lines from the cursor on; ends when the child does.  Raises NoJournal."""
        async for line in _output(self.command(cursor, follow=follow)):
            yield line


def _this_machine() -> list[str]:
    try:
        return [f"_MACHINE_ID={MACHINE_ID.read_text(encoding='ascii').strip()}"]
    except (OSError, ValueError):
        return []


async def _output(command: list[str]) -> AsyncIterator[str]:
    try:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
    except OSError as error:
        remedy = "install systemd's journalctl, or give the lines on standard input: freshd alerts < FILE"
        raise NoJournal(f"journalctl cannot be started: {error.strerror}", remedy) from None
    assert child.stdout is not None  # noqa: S101 - asked for above
    try:
        async for line in split(_chunks(child.stdout)):
            yield line
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        await child.wait()


async def split(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The lines of a stream, without their ends; the last one too where it has none."""
    rest, is_dropping = b"", False
    async for chunk in chunks:
        first, *more = (rest + chunk).split(b"\n")
        for line in [first, *more][: len(more)]:
            if not is_dropping:
                yield line.decode("utf-8", "replace")
            is_dropping = False
        rest = more[-1] if more else first
        if len(rest) > LINE_MOST:
            rest, is_dropping = b"", True
    if rest and not is_dropping:
        yield rest.decode("utf-8", "replace")


async def _chunks(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while chunk := await stream.read(CHUNK):
        yield chunk


async def standard_input(descriptor: int) -> AsyncIterator[str]:
    """The lines of a file, a pipe or a terminal."""
    async for line in split(_read_apart(descriptor)):
        yield line


async def _read_apart(descriptor: int) -> AsyncIterator[bytes]:
    """On a thread that the end of the process does not wait for: a file cannot be watched, a read not be ended."""
    chunks: asyncio.Queue[bytes] = asyncio.Queue(4)
    loop = asyncio.get_running_loop()

    def pump() -> None:
        data = b"begin"
        while data:
            try:
                data = os.read(descriptor, CHUNK)
            except OSError:
                data = b""
            try:
                asyncio.run_coroutine_threadsafe(chunks.put(data), loop).result()
            except (RuntimeError, concurrent.futures.CancelledError):
                return  # nobody listens any more

    threading.Thread(target=pump, daemon=True, name="stdin").start()
    while data := await chunks.get():
        yield data

"""Being on duty: takes lines in, keeps the book, tells what is to be told, one message after the other.

Rules
-----
* What a line changed is kept before anything is told of it; that it was told is kept right after.  So a restart repeats
  nothing and loses nothing; a power cut between the command's end and that write repeats one message.
* Who listens for the first time is told what is open at that moment, not the history that led to it.
* A journalctl that ended is started again behind the last line, with patience.
* A disk that is full keeps nobody from being told: then a restart may repeat or forget.
* A command that fails holds up its own message only, however often it fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from freshd.cli.alerting.journal import Journal
from freshd.cli.alerting.lines import Reader
from freshd.cli.alerting.outbox import Outbox
from freshd.cli.alerting.store import Kept, Store
from freshd.clock import SystemClock
from freshd.core.alerts import Message, note, standing
from freshd.core.events import Severity
from freshd.errors import StoreError

SAVE_EVERY_LINES: Final = 500
"""Lines that change nothing need not be written down; after so many it saves reading them again."""
PAUSES_SECONDS: Final = (1.0, 5.0, 30.0)
LAST_TRIES: Final = 2
"""How often a message is tried at the end of the input, before it is given up as not told."""

Tell = Callable[[Message], Awaitable[str]]
"""Tells a message; "" or why it could not."""


class Duty:
    """One listener.  `complain` gets a line about what went wrong here, for our own log."""

    def __init__(self, store: Store, tell: Tell, complain: Callable[[str], None], least: Severity) -> None:
        self._store, self._tell, self._complain, self._least = store, tell, complain, least
        kept = store.load()
        self._book, self._cursor = kept.book, kept.cursor
        self._outbox = Outbox(kept.messages)
        self._reader = Reader()
        self._unsaved = 0
        self._closing = self._unkept = False
        self._news = asyncio.Event()
        self._clock = SystemClock()

    # -- taking in --------------------------------------------------------------------------------------------------

    def take(self, text: str, *, silently: bool = False) -> None:
        """Take in one line.  `silently`: keep the book, tell nothing."""
        garbage = self._reader.garbage
        line, cursor = self._reader.read(text)
        if cursor is not None and cursor == self._cursor:
            return  # it was taken in before
        if self._reader.garbage and not garbage:
            self._complain("a line of the log cannot be read; no further one is told of")
        self._cursor = cursor or self._cursor
        self._unsaved += 1
        before, messages = self._book, tuple[Message, ...]()
        if line is not None:
            self._book, messages = note(self._book, line, self._least)
        if not silently and (messages or self._book != before):
            self._post(messages)
        elif not silently and self._unsaved >= SAVE_EVERY_LINES:
            self.keep()

    def _post(self, messages: tuple[Message, ...]) -> None:
        dropped = self._outbox.dropped
        self._outbox.add(messages)
        if self._outbox.dropped > dropped:
            self._complain(f"too much is still to be told: {self._outbox.dropped} messages were dropped")
        self.keep()
        self._news.set()

    def keep(self) -> None:
        """Write down what must outlive a restart; a store that cannot is complained of once."""
        try:
            self._store.save(Kept(self._book, self._outbox.messages, self._cursor))
        except StoreError as error:
            if not self._unkept:
                self._complain(f"what is told is not written down: {error.cause}; {error.remedy}")
            self._unkept = True
        else:
            self._unsaved, self._unkept = 0, False

    async def follow(self, journal: Journal) -> None:
        """Take in what a unit writes, until cancelled.  Raises NoJournal."""
        if self._cursor is None:
            async for text in journal.lines(await journal.last_start(), follow=False):
                self.take(text, silently=True)
            self._post(standing(self._book))
        failures = 0
        while True:
            async for text in journal.lines(self._cursor, follow=True):
                self.take(text)
                failures = 0
            pause = PAUSES_SECONDS[min(failures, len(PAUSES_SECONDS) - 1)]
            failures += 1
            self._complain(f"journalctl ended; started again in {pause:g} s")
            await asyncio.sleep(pause)

    async def read(self, lines: AsyncIterator[str]) -> None:
        """Take in lines to their end."""
        async for text in lines:
            self.take(text)
        self.keep()

    # -- telling ----------------------------------------------------------------------------------------------------

    async def deliver(self) -> None:
        """Tell what is to be told, until `close`."""
        while not self._closing:
            self._news.clear()
            if not await self._tell_one(self._clock.now().boot):
                await self._until_due()

    def close(self) -> None:
        """Let `deliver` end after the message that is just being told."""
        self._closing = True
        self._news.set()

    async def finish(self) -> int:
        """Tell what is left now, without patience; how many could not be told."""
        for _ in range(LAST_TRIES):
            while await self._tell_one(self._clock.now().boot):
                pass
            self._outbox = Outbox(self._outbox.messages)
        return len(self._outbox.messages)

    async def _tell_one(self, now: float) -> bool:
        pending = self._outbox.due(now)
        if pending is None:
            return False
        if why := await self._tell(pending.message):
            pause = self._outbox.failed(pending, self._clock.now().boot)
            self._complain(f"the command {why}; tried again in {pause:g} s")
        else:
            self._outbox.told(pending)
            self.keep()
        return True

    async def _until_due(self) -> None:
        wait = self._outbox.wait(self._clock.now().boot)
        try:
            async with asyncio.timeout(wait):
                await self._news.wait()
        except TimeoutError:
            return

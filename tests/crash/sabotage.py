"""The real daemon with one promise of its vault broken, so that what watches from outside can be seen to notice.

    python -m tests.crash.sabotage KIND CONFIG

Must not: be what any other test runs.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from freshd.app import serve
from freshd.core.model import Intent
from freshd.core.outcome import Reply
from freshd.core.pace import Row
from freshd.vault import JournalVault
from freshd.vault.writer import Writer


def synchronous(level: str) -> Callable[[], None]:
    """The whole journal with another setting of SQLite's."""

    def sabotage() -> None:
        honest = Writer._open

        def opened(self: Writer) -> None:
            honest(self)
            _connection(self).execute(f"PRAGMA synchronous = {level}")

        _replace(Writer, "_open", opened)

    return sabotage


def careless(point: str) -> Callable[[], None]:
    """One kind of transaction is not synced."""

    def sabotage() -> None:
        honest = Writer._commit

        def commit(self: Writer, group: Sequence[Any]) -> object:
            level = "OFF" if any(request.point == point for request in group) else "FULL"
            _connection(self).execute(f"PRAGMA synchronous = {level}")
            return honest(self, group)

        _replace(Writer, "_commit", commit)

    return sabotage


def late_intent() -> None:
    """The intent is written when the answer is there, and no sooner."""
    intend, escrow = JournalVault.intend, JournalVault.escrow
    waiting: list[tuple[Intent, Mapping[str, Row]]] = []

    async def remember(_self: JournalVault, intent: Intent, rows: Mapping[str, Row]) -> None:
        waiting.append((intent, rows))

    async def catch_up(self: JournalVault, intent: Intent, reply: Reply) -> None:
        while waiting:
            await intend(self, *waiting.pop(0))
        await escrow(self, intent, reply)

    _replace(JournalVault, "intend", remember)
    _replace(JournalVault, "escrow", catch_up)


def no_escrow() -> None:
    """Answers are read at once."""

    async def nothing(_self: JournalVault, _intent: Intent, _reply: Reply) -> None:
        return

    _replace(JournalVault, "escrow", nothing)


KINDS: Final[Mapping[str, Callable[[], None]]] = {
    "off": synchronous("OFF"),
    "normal": synchronous("NORMAL"),
    "careless-intent": careless("intent-durable"),
    "careless-escrow": careless("escrow-durable"),
    "careless-commit": careless("commit-durable"),
    "late-intent": late_intent,
    "no-escrow": no_escrow,
}


def _connection(writer: Writer) -> sqlite3.Connection:
    made = writer._writing
    assert made is not None
    return made


def _replace(owner: type[Any], name: str, function: object) -> None:
    assert hasattr(owner, name), f"{owner.__name__} has no {name} any more"
    setattr(owner, name, function)


if __name__ == "__main__":
    KINDS[sys.argv[1]]()
    sys.exit(asyncio.run(serve(Path(sys.argv[2]))))

"""The anchor: how far the journal had come, written down outside it, so that an old copy is noticed.

Rules
-----
* It names journal, commit number and machine (the last as a keyed digest).  A journal below its anchor, or on another
  machine, is an old or copied one: secrets it holds may be spent.  The vault says so; what follows is the engine's.
* It is never moved backwards, and not at all while the difference stands: that would wipe out the evidence.
* What it cannot see: a copy that is newer than the last anchor, and a custodian that was rolled back as well.
* Must not: keep the vault from opening, or from closing.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from freshd.errors import FreshdError, KeyringUnavailable, StoreError
from freshd.ports import Custodian
from freshd.vault import keys
from freshd.vault.calls import Calls
from freshd.vault.codec import CodecError, from_bytes, to_bytes
from freshd.vault.seal import Seal
from freshd.vault.statedir import sync_folder

ANCHOR_ENTRY: Final = "anchor"
MACHINE_ID: Final = Path("/etc/machine-id")


@dataclass(frozen=True, slots=True)
class Anchor:
    """How far a journal had come.  `machine` is empty where the machine has no id."""

    vault: str
    commits: int
    machine: str


class Ground(Protocol):
    """Where an anchor holds.  Blocks."""

    def get(self) -> str | None:
        """The anchor's text; None where there is none."""

    def put(self, text: str) -> None:
        """Write it."""


class FileGround:
    """A file in another directory than the journal's, on another disk at best."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self) -> str | None:
        """Raises StoreError where there is a file that cannot be read."""
        try:
            return self._path.read_text("ascii")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            raise StoreError(f"the anchor {self._path} cannot be read", f"ls -la {self._path}") from None

    def put(self, text: str) -> None:
        """Whole or not at all, and durable."""
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise StoreError(
                f"the anchor {self._path} cannot be written: {error.strerror}", f"ls -la {self._path.parent}"
            ) from None


class CustodianGround:
    """An entry beside the sealing key."""

    def __init__(self, custodian: Custodian, vault: str) -> None:
        self._custodian = custodian
        self._service = keys.service_of(vault)

    def get(self) -> str | None:
        """The entry."""
        return self._custodian.get(self._service, ANCHOR_ENTRY)

    def put(self, text: str) -> None:
        """Write the entry."""
        self._custodian.put(self._service, ANCHOR_ENTRY, text)


class Watch:
    """Compares and writes the anchor of one vault."""

    def __init__(self, ground: Ground, calls: Calls, seal: Seal, vault: str) -> None:
        self._ground = ground
        self._calls = calls
        self._vault = vault
        machine = _machine_id()
        self._machine = seal.digest(machine.encode(), "machine") if machine else ""

    async def compare(self, commits: int) -> str | None:
        """Why this journal is not the one that was anchored, None where all is well or nothing is known."""
        try:
            text = await self._calls.run("anchor", self._ground.get)
        except FreshdError:
            return None
        found = None if text is None else _parsed(text)
        if found is None:
            return None if text is None else "its anchor cannot be read"
        if found.vault != self._vault:
            return f"its anchor belongs to another journal ({found.vault[:8]})"
        if commits < found.commits:
            return f"the journal is at commit {commits}, its anchor at {found.commits}: it is an old copy"
        if found.machine and self._machine and found.machine != self._machine:
            return "it was written on another machine"
        return None

    async def write(self, commits: int) -> None:
        """Anchor it here.  Raises KeyringUnavailable or StoreError."""
        text = to_bytes(Anchor(self._vault, commits, self._machine)).decode("ascii")
        await self._calls.run("anchor", lambda: self._ground.put(text))

    async def try_write(self, commits: int) -> None:
        """The same, at a start or stop, which it must not spoil."""
        with contextlib.suppress(KeyringUnavailable, StoreError):
            await self.write(commits)


def _parsed(text: str) -> Anchor | None:
    try:
        return from_bytes(Anchor, text.encode())
    except CodecError:
        return None


def _machine_id() -> str:
    try:
        return MACHINE_ID.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""

"""The anchor: how far the journal had come, written down outside it, so that an old copy is noticed.

Rules
-----
* It names journal, commit number, branch and machine (the last as a digest).  A journal below its anchor, of another
  branch, or on another machine is an old or copied one: secrets it holds may be spent.  The vault says so; what follows
  is the engine's.
* The machine stands in the journal too, so that a journal which is moved without any anchor is noticed.
* It is never moved backwards, and not at all while a difference stands or while nobody could look: that would wipe out
  the evidence.  The first decision of an operator about an account moves it: from then on this journal is the one.
* What it cannot see: a copy that is newer than the last anchor, and a custodian that was rolled back as well.
* Must not: keep the vault from opening, or from closing.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from freshd.errors import KeyringUnavailable, StoreError
from freshd.ports import Custodian
from freshd.vault import keys
from freshd.vault.calls import Calls
from freshd.vault.codec import CodecError, from_bytes, to_bytes
from freshd.vault.holds import Holds
from freshd.vault.statedir import sync_folder

ANCHOR_ENTRY: Final = "anchor"
MACHINE_ID: Final = Path("/etc/machine-id")
_MACHINE_ID: Final = re.compile("[0-9a-f]{32}")
"""Anything else (empty in an image, "uninitialized" in a first boot) names no machine."""
_MARK: Final = "m1-"


@dataclass(frozen=True, slots=True)
class Anchor:
    """How far a journal had come.

    machine  empty where the machine has no id
    branch   empty where the journal was never found to be a copy
    at       wall-clock second at which it was written; 0 where it is not known
    """

    vault: str
    commits: int
    machine: str
    branch: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Difference:
    """Why a journal is an old or copied one.  `evidence`: a fingerprint of what that was seen by."""

    why: str
    evidence: str


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
    """Compares and writes the anchor of one vault.  `ground` is None where there is nowhere to write one."""

    def __init__(self, ground: Ground | None, calls: Calls, vault: str) -> None:
        self._ground = ground
        self._calls = calls
        self._vault = vault
        self.machine = machine_mark(vault)

    async def compare(self, commits: int, holds: Holds) -> Difference | None:
        """Why this journal is not the one that was anchored; None where all is well, or there is no anchor.

        Raises KeyringUnavailable or StoreError where nobody can look now.
        """
        text = None if self._ground is None else await self._calls.run("anchor", self._ground.get)
        why = None if text is None else self._why(text, commits, holds)
        if why is None and is_elsewhere(holds.machine, self.machine):
            why = ELSEWHERE
        if why is None:
            return None
        seen = "\n".join((text or "", self.machine, holds.machine))
        return Difference(why, hashlib.sha256(seen.encode("utf-8", "surrogatepass")).hexdigest()[:32])

    def _why(self, text: str, commits: int, holds: Holds) -> str | None:
        found = parsed(text)
        if found is None:
            return "its anchor cannot be read"
        if found.vault != self._vault:
            return f"its anchor belongs to another journal ({found.vault[:8]})"
        if commits < found.commits:
            return f"the journal is at commit {commits}, its anchor at {found.commits}: it is an old copy"
        if holds.branch != found.branch:
            return "another copy of the journal went on meanwhile"
        return ELSEWHERE if is_elsewhere(found.machine, self.machine) else None

    async def write(self, commits: int, branch: str, wall: float) -> None:
        """Anchor it here.  Raises KeyringUnavailable or StoreError."""
        ground = self._ground
        if ground is not None:
            text = to_bytes(Anchor(self._vault, commits, self.machine, branch, wall)).decode("ascii")
            await self._calls.run("anchor", lambda: ground.put(text))

    async def try_write(self, commits: int, branch: str, wall: float) -> None:
        """The same, at a start or stop, which it must not spoil."""
        with contextlib.suppress(KeyringUnavailable, StoreError):
            await self.write(commits, branch, wall)


ELSEWHERE: Final = "it was written on another machine"


def is_elsewhere(written: str, here: str) -> bool:
    """Whether two marks are of two machines; an unknown one, or one made in another way, says nothing."""
    return written.startswith(_MARK) and here.startswith(_MARK) and written != here


def parsed(text: str) -> Anchor | None:
    """The anchor in a text, None where it is none."""
    try:
        return from_bytes(Anchor, text.encode("utf-8", "surrogatepass"))
    except CodecError:
        return None


def machine_mark(vault: str) -> str:
    """A digest of this machine's id, of use for this vault only; empty where it has none."""
    try:
        name = MACHINE_ID.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    if not _MACHINE_ID.fullmatch(name):
        return ""
    return _MARK + hmac.new(vault.encode(), name.encode(), hashlib.sha256).hexdigest()[:32]

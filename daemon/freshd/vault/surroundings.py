"""What the journal rests on, looked at: folder, files, ballast, key, anchor.  Part of `verification`.

Rules
-----
* Changes nothing, and asks a custodian with a deadline.
* Each trouble is a fault of its own with its remedy; what cannot be looked at is one too.
* Must not: open anything that is sealed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from freshd.errors import FreshdError, StoreError
from freshd.vault import statedir
from freshd.vault.anchor import Watch
from freshd.vault.ballast import MEBIBYTE
from freshd.vault.holds import RESTORED, Holds
from freshd.vault.keys import Places
from freshd.vault.names import Named, Names
from freshd.vault.seal import Seal
from freshd.vault.statedir import BALLAST_FILE, JOURNAL_FILE, RESTORING_FILE

OURS = (JOURNAL_FILE, f"{JOURNAL_FILE}-wal", f"{JOURNAL_FILE}-shm", BALLAST_FILE, "lock")
BLOCK_BYTES = 512


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it should be.  `place`: where; `account`: whose, None where it is nobody's own."""

    place: str
    what: str
    remedy: str
    account: str | None = None


def of_error(place: str, error: FreshdError) -> Fault:
    """What an error says, as a fault."""
    return Fault(place, error.cause, error.remedy)


def of_folder(folder: Path, *, has_records: bool) -> Iterator[Fault]:
    """Modes, owners, file system, ballast.  Blocks."""
    status = folder.stat()
    if status.st_uid != os.geteuid():
        what = f"{folder} belongs to user id {status.st_uid}, not to {os.geteuid()}"
        yield Fault("state", what, f"chown {os.geteuid()} {folder}")
    if stat.S_IMODE(status.st_mode) & 0o077:
        yield Fault("state", f"{folder} is open to other users", f"chmod 700 {folder}")
    system = statedir.file_system(folder, statedir.MOUNTS)
    if system in statedir.NETWORK_FILE_SYSTEMS:
        what = f"{folder} lies on a network file system ({system})"
        yield Fault("state", what, "put it on a local disk: state_dir in the configuration")
    for name in OURS:
        try:
            statedir.must_be_plain(folder / name, (folder / name).lstat())
        except FileNotFoundError:
            continue
        except StoreError as error:
            yield of_error("state", error)
    if (folder / RESTORING_FILE).exists():
        what = "a restore did not come to its end, or was refused the last step"
        remedy = f"run it again: freshd vault restore FILE --replace; or: rm {folder / RESTORING_FILE}"
        yield Fault("state", what, remedy)
    if has_records:
        yield from _of_ballast(folder / BALLAST_FILE)


def _of_ballast(path: Path) -> Iterator[Fault]:
    remedy = "freshd makes it before the next refresh, if there is room: df -h"
    try:
        status = path.lstat()
    except FileNotFoundError:
        yield Fault("ballast", "there is none: a full disk may lose an answer", remedy)
        return
    if status.st_size < MEBIBYTE or status.st_blocks * BLOCK_BYTES < status.st_size:
        yield Fault("ballast", "it is smaller than it should be, or has holes", f"rm {path}; {remedy}")


async def of_key(places: Places, names: Names, seal: Seal) -> AsyncIterator[Fault]:
    """Is the key in force where the next start will look for it, and is it the right one?"""
    keeper = names.custodian or places.configured.name
    wanted = [Named(seal.key_id.hex(), seal.check, keeper), *names.kept]
    for number, named in enumerate(wanted):
        try:
            found = [await places.find(custodian, named) for custodian in places.among(named.custodian)]
        except FreshdError as error:
            yield of_error("key", error)
            continue
        if all(key is None for key in found):
            what = "the sealing key" if not number else f"the earlier key {named.id[:8]}, which something still names,"
            yield Fault(
                "key", f"{named.custodian} does not hold {what} of vault {places.vault[:8]}",
                "bring it back before the next start; or, while the daemon still runs: freshd vault rotate-key",
            )  # fmt: skip


async def of_anchor(watch: Watch, commits: int, holds: Holds) -> AsyncIterator[Fault]:
    """Does the anchor fit the journal?  A difference that somebody is deciding about already is none."""
    try:
        difference = await watch.compare(commits, holds)
    except FreshdError as error:
        yield of_error("anchor", error)
        return
    is_known = holds.accounts or (difference is not None and difference.evidence == holds.evidence)
    if difference is not None and not is_known and not holds.evidence.startswith(RESTORED):
        yield Fault("anchor", difference.why, "is this the newest copy? freshd status; then freshd confirm or enrol")

"""What freshd rests on, for `freshd doctor`: state directory, clock, journal, custody of the sealing key."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from freshd.cli.finding import Finding, fine, trouble, warning
from freshd.cli.output import span, utc
from freshd.clock import SystemClock
from freshd.core.settings import Settings
from freshd.errors import FreshdError, KeyringUnavailable
from freshd.ports import Custodian

MEBIBYTE: Final = 2**20
LITTLE_ROOM: Final = 64 * MEBIBYTE
NO_ROOM: Final = 8 * MEBIBYTE
"""Below this the ballast may be the only thing that still finds room."""
EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
"""A clock before this freshd was written is wrong."""
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
WRITING_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
"""With these the daemon does not start."""
AS_OWNER: Final = "run doctor as the daemon's user"


def state_dir(settings: Settings) -> Iterator[Finding]:
    """Is it there, ours alone, on a local disk, with room?"""
    from freshd.vault.statedir import MOUNTS, NETWORK_FILE_SYSTEMS, file_system

    folder = settings.state_dir
    if not folder.exists():
        yield warning("state", f"{folder} is not there yet", "freshd run makes it, where it may")
        return
    found = folder.stat()
    if found.st_mode & OTHERS:
        can_write = found.st_mode & WRITING_OTHERS
        what = f"other users may {'write to' if can_write else 'look into'} {folder}"
        yield (trouble if can_write else warning)("state", what, f"chmod 700 {folder}")
    if found.st_uid != os.geteuid():
        yield fine("state", f"{folder} belongs to user id {found.st_uid}, you are {os.geteuid()}")
    system = file_system(folder, MOUNTS)
    if system in NETWORK_FILE_SYSTEMS:
        yield trouble("state", f"{folder} lies on a network file system ({system})", "put state_dir on a local disk")
    yield _room(folder, system)


def _room(folder: Path, system: str) -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{folder} on {system or 'an unknown file system'}, {free // MEBIBYTE} MiB free"
    if free < NO_ROOM:
        return trouble("state", text, f"make room at once: df -h {folder}")
    return fine("state", text) if free >= LITTLE_ROOM else warning("state", text, f"make room: df -h {folder}")


def clock(settings: Settings) -> Iterator[Finding]:
    """Is the wall clock plausible, and not behind what the journal has seen?"""
    from freshd.vault.glance import glance

    now = SystemClock().now()
    yield fine("clock", f"boot {now.boot_id[:8]}, up for {span(now.boot)}, wall clock {utc(now.wall)}")
    sync = "set the clock: timedatectl; until then expiries count as unproven"
    if now.wall < EARLIEST:
        yield trouble("clock", "the wall clock is years behind", sync)
        return
    seen = glance(settings.state_dir)
    if seen is not None and now.wall < seen.high_water - 1.0:
        yield trouble("clock", f"the wall clock is {span(seen.high_water - now.wall)} behind the journal's", sync)


def journal(settings: Settings) -> Iterator[Finding]:
    """Is the journal readable, and is anything left over in it?"""
    from freshd.vault.glance import glance

    seen = glance(settings.state_dir)
    if seen is None:
        yield fine("vault", "there is no journal yet; the first start makes it")
        return
    yield fine("vault", f"{seen.vault[:8]}: {seen.records} records, {seen.commits} commits, {seen.bytes // 1024} KiB")
    if not seen.ballast and seen.records:
        remedy = "freshd makes it before the next refresh, if there is room: df -h"
        yield warning("vault", "there is no ballast: a full disk may lose an answer", remedy)
    if seen.open_calls:
        yield fine("vault", f"{seen.open_calls} calls without an end; freshd status names accounts in doubt")
    if seen.escrowed:
        text = f"{seen.escrowed} answers wait to be taken in"
        yield warning("vault", text, "start the daemon if it does not run; it takes them in offline")
    if seen.quarantine:
        yield warning(
            "vault", f"{seen.quarantine} answers or records in quarantine", "freshd explain the accounts concerned"
        )


def custody_of_key(settings: Settings) -> Iterator[Finding]:
    """Can the sealing key be had, and is it the right one?  Read as the daemon would; nothing is unlocked."""
    from freshd.custody import custody

    if settings.vault.custodian == "systemd-credential" and not os.environ.get("CREDENTIALS_DIRECTORY"):
        yield fine("custody", f"systemd credential {settings.vault.credential}: only the unit itself sees it")
        return
    placement, custodian = custody(settings)
    yield fine("custody", f'placement "{placement}", sealing key in {custodian.name}')
    owner = settings.state_dir.stat().st_uid if settings.state_dir.exists() else os.geteuid()
    if owner != os.geteuid():
        yield warning("custody", f"not examined: the daemon runs as user id {owner}", AS_OWNER)
        return
    yield _key(settings, custodian)


def _key(settings: Settings, custodian: Custodian) -> Finding:
    from freshd.vault.glance import glance, proves

    seen = glance(settings.state_dir)
    if seen is None or seen.check is None:
        return _first_key(custodian)
    try:
        proven = asyncio.run(proves(custodian, seen))
    except FreshdError as error:
        return trouble("custody", error.cause, error.remedy)
    if proven is None:
        remedy = "unlock it, or bring back the key; freshd goes on by itself"
        return trouble("custody", f"{custodian.name} does not give the sealing key: locked, or lost", remedy)
    if not proven:
        remedy = "bring back the right key; the journal is untouched"
        return trouble("custody", f"the key in {custodian.name} is not the one of this vault", remedy)
    return fine("custody", "the sealing key is there, and is the right one")


def _first_key(custodian: Custodian) -> Finding:
    """No key was made yet: can one be asked for at all?"""
    from freshd.vault.calls import Calls

    probe = "freshd doctor"
    try:
        asyncio.run(Calls().run(probe, lambda: custodian.get(probe, "probe")))
    except KeyringUnavailable as error:
        return trouble("custody", error.cause, error.remedy)
    made = "it is made at the first start" if custodian.writable else "it must be there at the first start"
    return fine("custody", f"no sealing key was used yet; {made}")

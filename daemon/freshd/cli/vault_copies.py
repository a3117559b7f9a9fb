"""freshd vault backup, restore: the vault in a file, and back.

Rules
-----
* `backup` asks the daemon where one answers, and reads the vault itself where none does.  The passphrase stays here:
  the daemon is given the key that was made of it for this one file, which opens nothing else.
* The file is written whole, read back and opened before it has its name.
* `restore` is for a daemon that is stopped.
* A FILE that is no plain one is refused, for writing as for reading; nothing here waits for a named pipe.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from freshd.cli import passphrase
from freshd.cli.daemon import Daemon
from freshd.cli.named_file import reading
from freshd.cli.options import Scene, as_json, examples, on_scene
from freshd.cli.output import dump, hint, moments, plain, say
from freshd.cli.passphrase import Given
from freshd.cli.vault_whole import answers, setup_of
from freshd.clock import SystemClock
from freshd.errors import StoreError

if TYPE_CHECKING:
    from freshd.core.settings import Settings
    from freshd.vault.copies import Copy, Derivation
    from freshd.vault.restoring import Restored

file = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))


@click.command(
    epilog=examples(
        "freshd vault backup /mnt/stick/freshd.backup",
        "freshd vault backup nightly.backup --force --key-file /etc/freshd/backup.key",
    )
)
@file
@passphrase.options
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--without", multiple=True, metavar="NAME", help="Leave out the grant of an account; may be repeated.")
@as_json
@on_scene
def backup(
    scene: Scene, file: Path, passphrase_file: Path | None, key_file: Path | None, force: bool,
    without: tuple[str, ...], json: bool,
) -> None:  # fmt: skip
    """Write the whole vault into one file, sealed under a passphrase.

    With a running daemon or without one.  In it are the journal as it stood at one commit, and the grants that rest in
    the OS keyring.  It opens on another machine, with the passphrase alone: keep both, and apart from each other.
    """
    from freshd.hardening import harden
    from freshd.vault import deposit
    from freshd.vault.copies import Derivation, key_of

    harden()
    deposit.may_be_put(file, force=force)
    given = Given(passphrase_file, key_file)
    derivation = Derivation.fresh(given.way)
    key = key_of(given.read(anew=True), derivation)
    daemon = scene.daemon()
    write = _ask(daemon, key, derivation, without) if answers(daemon) else _read(scene, key, derivation, without)
    done = write(file, force)
    if json:
        dump({"file": str(file), **done})
        return
    say(f"backed up: {file}, vault {plain(done['vault'])[:8]} at commit {done['commits']}, {done['accounts']} accounts")
    for name in done["without"]:
        hint(f"left out, as was asked for: the grant of {plain(name)}")


Write = Callable[[Path, bool], Mapping[str, Any]]
"""Writes the file, replacing one or not, and tells of it."""


def _ask(daemon: Daemon, key: bytes, derivation: Derivation, without: Iterable[str]) -> Write:
    """Fetch it from the daemon."""
    from freshd.vault import deposit

    def write(path: Path, force: bool) -> Mapping[str, Any]:
        told = {"way": derivation.way, "salt": _base64(derivation.salt), "memory_kib": derivation.memory_kib,
                "iterations": derivation.iterations, "lanes": derivation.lanes}  # fmt: skip
        session = daemon.tend("backup", key=key.hex(), derivation=told, without=list(without))["session"]
        deposit.put(path, _parts(daemon, session), lambda new: _prove(new, key), force=force)
        return daemon.tend("backup-done", session=session)

    return write


def _parts(daemon: Daemon, session: str) -> Iterable[bytes]:
    at = 0
    while True:
        told = daemon.tend("backup-part", session=session, at=at)
        if not told.get("ready"):
            continue
        part = b64decode(str(told["part"]))
        yield part
        at += len(part)
        if at >= int(told["bytes"]) or not part:
            return


def _read(scene: Scene, key: bytes, derivation: Derivation, without: Iterable[str]) -> Write:
    """Read the vault that nobody has open."""
    import asyncio

    from freshd.app import settings_of

    settings = settings_of(scene.config)

    def write(path: Path, force: bool) -> Mapping[str, Any]:
        return asyncio.run(_at_rest(settings, path, key, derivation, frozenset(without), force=force))

    return write


async def _at_rest(
    settings: Settings, path: Path, key: bytes, derivation: Derivation, without: frozenset[str], *, force: bool
) -> Mapping[str, Any]:
    from freshd.vault import deposit, lookout, snapshot, still

    async with still.at_rest(setup_of(settings)) as vault:
        at = SystemClock().now().wall
        copy = await lookout.sealed(await snapshot.taken(vault.source, without), at, derivation, key)
        deposit.put(path, [copy.content], lambda new: _prove(new, key), force=force)
        vault.note(copy.header.at, copy.header.commits)
        return lookout.facts_of(copy.header)


def _prove(path: Path, key: bytes) -> None:
    from freshd.vault.copies import looked_at

    looked_at(path.read_bytes()).opened(key)


def _base64(content: bytes) -> str:
    return b64encode(content).decode("ascii")


@click.command(
    epilog=examples(
        "freshd vault restore /mnt/stick/freshd.backup",
        "freshd vault restore nightly.backup --replace --key-file /etc/freshd/backup.key",
    )
)
@file
@passphrase.options
@click.option("--replace", is_flag=True, help="Set a journal of the same vault aside.")
@as_json
@on_scene
def restore(
    scene: Scene, file: Path, passphrase_file: Path | None, key_file: Path | None, replace: bool, json: bool
) -> None:
    """Put a backup in the place of the journal, here or on another machine.  The daemon is stopped.

    What works once may have been used since the backup was made: it is held back, account by account, until you say
    freshd confirm NAME or freshd enrol NAME.  Tokens in hand, and what works many times, go on at once.  A vault with
    nothing in it, as a first start makes it, is set aside; another one with records is left alone.
    """
    import asyncio

    from freshd.app import settings_of
    from freshd.hardening import harden
    from freshd.vault.copies import key_of

    harden()
    settings = settings_of(scene.config)
    copy = _looked_at(file)
    given = Given(passphrase_file, key_file)
    _must_be_of(given, copy)
    key = key_of(given.read(anew=False), copy.header.derivation)
    _tell(settings, asyncio.run(_restored(settings, copy, key, replace=replace)), json=json)


def _looked_at(path: Path) -> Copy:
    from freshd.vault.copies import MAGIC, looked_at

    try:
        with reading(path) as file:
            content = file.read(len(MAGIC))
            content += file.read() if content == MAGIC else b""  # whatever else it is may be long
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", "name the backup's file") from None
    return looked_at(content)


def _must_be_of(given: Given, copy: Copy) -> None:
    wanted = copy.header.derivation.way
    if given.way != wanted:
        option = "--key-file KEYFILE" if wanted == "key-file" else "a passphrase"
        raise click.UsageError(f"this backup was made with {option}")


async def _restored(settings: Settings, copy: Copy, key: bytes, *, replace: bool) -> Restored:
    from freshd.vault.restoring import Site, restored

    setup = setup_of(settings)
    site = Site(setup.state_dir, setup.custodian, lambda: SystemClock().now().wall)
    return await restored(site, copy, key, replace=replace)


def _tell(settings: Settings, done: Restored, *, json: bool) -> None:
    held = sorted(done.held)
    if json:
        facts = {"vault": done.header.vault, "commits": done.header.commits, "at": done.header.at, "held": held}
        aside = {"aside": str(done.aside) if done.aside else None, "empty": done.empty}
        dump({**facts, "state_dir": str(settings.state_dir), **aside})
        return
    say(f"restored: vault {done.header.vault[:8]} as of {moments(done.header.at, SystemClock().now().wall)}")
    if done.aside is not None:
        say(f"aside     {done.aside}")
    if done.empty is not None:
        say(f"          an empty vault ({done.empty[:8]}), with no record of any account: delete it when you like")
    if done.made_key:
        say("key       a new sealing key was made: it is not the one of the machine that made the backup")
    for name in done.header.without:
        say(f"missing   the grant of {plain(name)} is not in the backup: freshd enrol {plain(name)}")
    say(f"held      {len(held)} accounts; what of them works once is not presented before you decide")
    hint("Stop the daemon for good on the machine that the backup is of: two that renew end each other's grants.")
    hint("Then start this one; freshd status names those held back: freshd confirm NAME, or freshd enrol NAME.")

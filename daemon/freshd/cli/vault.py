"""freshd vault: looking after the vault.  Each verb is a command of this group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from freshd.cli.exits import OK, TEMPORARY
from freshd.cli.options import Scene, as_json, examples, on_scene
from freshd.cli.output import dump, hint, plain, say
from freshd.cli.vault_copies import backup, restore
from freshd.cli.vault_status import status
from freshd.cli.vault_whole import init, verify


@click.group(epilog=examples("freshd vault status"))
def vault() -> None:
    """Look after the vault: where grants rest."""


for _verb in (init, status, verify, backup, restore):
    vault.add_command(_verb)


@vault.command("rotate-key", epilog=examples("freshd vault rotate-key"))
@as_json
@on_scene
def rotate_key(scene: Scene, json: bool) -> int:
    """Seal everything with a new key, and let go of the old one.

    The daemon does it while it serves and renews; what was begun is finished after a restart, too.  Where a systemd
    credential keeps the key, give the unit the new one as NAME-next first; without it the commands are told.
    """
    return _show(scene.daemon().tend("rotate-key"), json=json)


@vault.command(epilog=examples("freshd vault move"))
@as_json
@on_scene
def move(scene: Scene, json: bool) -> int:
    """Carry out what the configuration file now says of where grants rest and who keeps the key.

    Edit placement and custodian under [vault] first.  The daemon does it while it serves and renews; what was begun is
    finished after a restart, too.
    """
    return _show(scene.daemon().tend("move"), json=json)


def _show(done: Mapping[str, Any], *, json: bool) -> int:
    """What came of it, and what is left to a person.  The exit status: temporary where it is not done yet."""
    if json:
        dump(done)
    else:
        _tell(done)
    return OK if done.get("done") else TEMPORARY


def _tell(done: Mapping[str, Any]) -> None:
    say(f"{plain(done.get('verb'))}: {'done' if done.get('done') else 'not done yet'}")
    for name in ("placement", "custodian", "moved", "left", "resealed", "kept", "why"):
        if done.get(name) not in (None, ""):
            say(f"{name:<9} {plain(done[name])}")
    for command in done.get("commands") or ():
        say(f"then      {plain(command)}")
    if done.get("remedy"):
        hint(f"remedy: {plain(done['remedy'])}")

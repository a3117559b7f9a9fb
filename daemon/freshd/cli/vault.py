"""freshd vault: looking after the vault.  So far `status`; each further verb is a command of this group."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from freshd.cli.options import Scene, as_json, examples, on_scene
from freshd.cli.output import dump, moments, say
from freshd.clock import SystemClock
from freshd.errors import StoreError

if TYPE_CHECKING:
    from freshd.vault.glance import Glance


@click.group(epilog=examples("freshd vault status"))
def vault() -> None:
    """Look after the vault: where grants rest."""


@vault.command(epilog=examples("freshd vault status", "freshd vault status --json"))
@as_json
@on_scene
def status(scene: Scene, json: bool) -> None:
    """Show the journal in numbers: size, commits, records, what is under way or set aside.

    Reads the journal in the state directory, beside a running daemon or without one; opens nothing that is sealed.
    """
    from freshd.app import settings_of
    from freshd.vault.glance import glance

    folder = settings_of(scene.config).state_dir
    found = glance(folder)
    if found is None:
        raise StoreError(f"there is no journal in {folder} yet", "start the daemon once: freshd run")
    if json:
        dump({"state_dir": str(folder), **{name: value for name, value in asdict(found).items() if name != "check"}})
        return
    say(f"state     {folder}")
    for line in lines_of(found):
        say(line)


def lines_of(found: Glance) -> list[str]:
    """The numbers with their names."""
    now = SystemClock().now().wall
    return [
        f"vault     {found.vault[:8]}, {'sealed' if found.check else 'no key was made yet'}",
        f"journal   {found.bytes // 1024} KiB, {found.commits} commits, the last {moments(found.high_water, now)}",
        f"ballast   {found.ballast // 1024} KiB",
        f"records   {found.records}; grants in the journal {found.sealed}, in the keyring alone {found.in_keyring}",
        f"open      {found.open_calls} calls without an end, {found.escrowed} of them with their answer",
        f"aside     {found.quarantine} in quarantine",
    ]

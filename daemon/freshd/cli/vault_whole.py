"""freshd vault init, verify: the vault as a whole, made and proven."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from freshd.cli.daemon import Daemon
from freshd.cli.options import Scene, as_json, examples, on_scene
from freshd.cli.output import dump, hint, plain, say
from freshd.clock import SystemClock
from freshd.errors import Unreachable

if TYPE_CHECKING:
    from freshd.core.settings import Settings
    from freshd.vault import Setup

PROBLEMS = 1


def setup_of(settings: Settings) -> Setup:
    """What the configuration makes of the vault, for a process that is no daemon."""
    from freshd.custody import custody, recall
    from freshd.vault import Setup

    placement, custodian = custody(settings)
    return Setup(
        settings.state_dir, placement, custodian, SystemClock().now, anchor=settings.vault.anchor, recall=recall
    )


def answers(daemon: Daemon) -> bool:
    """Whether a daemon is there to be asked."""
    try:
        daemon.get("healthz")
    except Unreachable:
        return False
    return True


@click.command(epilog=examples("freshd vault init", "freshd vault init --json"))
@as_json
@on_scene
def init(scene: Scene, json: bool) -> None:
    """Make the vault without starting the daemon: journal, sealing key, ballast, anchor.

    Does what the first start does, and says where everything lies.  Where there is a vault, or no key can be had,
    nothing is changed.  What was broken off is finished.
    """
    import asyncio

    from freshd.app import settings_of
    from freshd.hardening import harden
    from freshd.vault.founding import founded

    harden()
    done = asyncio.run(founded(setup_of(settings_of(scene.config))))
    if json:
        dump(
            {"vault": done.vault, "journal": str(done.journal), "ballast": str(done.ballast)}
            | {"custodian": done.custodian, "anchor": done.anchor}
        )
        return
    say(f"vault     {done.vault[:8]}")
    say(f"journal   {done.journal}")
    say(f"key       {done.custodian}")
    say(f"ballast   {done.ballast}")
    say(f"anchor    {done.anchor or 'none: an old copy is noticed on another machine only; see [vault] anchor'}")
    hint("Keep safe: journal and key; one is worth nothing without the other.  Both are in: freshd vault backup FILE")


@click.command(epilog=examples("freshd vault verify", "freshd vault verify --json"))
@as_json
@on_scene
def verify(scene: Scene, json: bool) -> int:
    """Prove the whole vault: open everything sealed, look for everything that rests elsewhere.

    The running daemon does it while it serves and renews; without one it is done here.  Changes nothing.  Exits with 0
    if the vault is whole, 1 if something is not: what, of which account, and what helps.
    """
    daemon = scene.daemon()
    found = _asked(daemon) if answers(daemon) else _examined(scene)
    faults = found["faults"]
    if json:
        dump({"whole": not faults, **{name: value for name, value in found.items() if name not in ("done", "session")}})
        return PROBLEMS if faults else 0
    for fault in faults:
        whose = f" of {plain(fault['account'])}" if fault.get("account") else ""
        say(f"BAD   {plain(fault['place'])}{whose}: {plain(fault['what'])}")
        say(f"      remedy: {plain(fault['remedy'])}")
    counts = f"{found['records']} records, {found['values']} sealed values, {found['entries']} grants in the keyring"
    say(f"{'not whole' if faults else 'whole'}: {counts}, {len(faults)} faults")
    if found["held"]:
        hint(f"{found['held']} accounts are held back until you say freshd confirm NAME, or freshd enrol NAME")
    return PROBLEMS if faults else 0


def _asked(daemon: Daemon) -> Mapping[str, Any]:
    told = daemon.tend("verify")
    while not told.get("done"):
        told = daemon.tend("verify", session=told.get("session"))
    return told


def _examined(scene: Scene) -> Mapping[str, Any]:
    import asyncio

    from freshd.app import settings_of
    from freshd.hardening import harden

    harden()
    return asyncio.run(_at_rest(setup_of(settings_of(scene.config))))


async def _at_rest(setup: Setup) -> Mapping[str, Any]:
    from freshd.vault import lookout, still, verification

    async with still.at_rest(setup) as vault:
        return lookout.told(await verification.verified(vault.scope))

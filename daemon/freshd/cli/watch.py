"""freshd watch: the present health of accounts, and again at every change.  Tokens are not among it."""

from __future__ import annotations

from typing import Final

import click

from freshd.cli.options import Scene, as_json, examples, on_scene
from freshd.cli.output import dump, hint, plain, say
from freshd.cli.status import LOCKED, line_of
from freshd.client.wire import Change
from freshd.clock import SystemClock

SYNCED: Final = "synced"


@click.command(epilog=examples("freshd watch", "freshd watch work-mail --json", "freshd watch --once"))
@click.argument("accounts", metavar="[ACCOUNT]…", nargs=-1)
@click.option("--once", is_flag=True, help="End after the present state of all accounts named.")
@as_json
@on_scene
def watch(scene: Scene, accounts: tuple[str, ...], once: bool, json: bool) -> None:
    """Follow changes of accounts: all that this user may see, or those named.

    One line per change, the present state first.  Goes on after a restart of the daemon, until Ctrl-C.
    """
    for change in scene.daemon().watch(accounts):
        if json:
            dump({"change": change.kind, "id": change.id, **change.data})
        else:
            _show(change)
        if once and change.kind == SYNCED:
            return


def _show(change: Change) -> None:
    data = change.data
    why = f" event={plain(data['event'])}" if data.get("event") else ""
    if change.kind == "account":
        say(line_of(data, SystemClock().now().wall) + why)
    elif change.kind == "removed":
        say(f"{plain(data.get('account'))} removed{why}")
    elif change.kind == "daemon" and data.get("locked"):
        hint(LOCKED)

"""freshd geniusauth: what GeniusAuth says of an account's access token, and what its tokens carry.  The daemon asks."""

from __future__ import annotations

import click

from freshd.cli.calls import show
from freshd.cli.options import Scene, account, as_json, examples, on_scene


@click.group(
    epilog=examples("freshd geniusauth verify front-desk", "freshd geniusauth payload front-desk tenant-a"),
)
def geniusauth() -> None:
    """Ask GeniusAuth about an account's token, or change what its tokens carry.

    No token is printed; `freshd revoke` ends a login.
    """


@geniusauth.command(
    epilog=examples("freshd geniusauth verify front-desk", "freshd geniusauth verify front-desk --json")
)
@account
@as_json
@on_scene
def verify(scene: Scene, account: str, json: bool) -> None:
    """Ask whether the access token in hand is good: whose it is, and what it carries.

    One that is over or refused is renewed first; nothing is spent.
    """
    _ask(scene, account, "verify", {}, json=json)


@geniusauth.command(epilog=examples("freshd geniusauth whoami front-desk"))
@account
@as_json
@on_scene
def whoami(scene: Scene, account: str, json: bool) -> None:
    """Ask for number, name, groups and picture of the user who has logged in."""
    _ask(scene, account, "whoami", {}, json=json)


@geniusauth.command(epilog=examples("freshd geniusauth payload front-desk tenant-a"))
@account
@click.argument("value")
@as_json
@on_scene
def payload(scene: Scene, account: str, value: str, json: bool) -> None:
    """Let the account's tokens carry VALUE from now on: 1 to 31 characters.

    Ends when the new tokens are written and read back.  Tokens given out before carry what they carried until they
    end, and the end of the login stays where it was.
    """
    _ask(scene, account, "payload", {"payload": value}, json=json)


def _ask(scene: Scene, account: str, operation: str, given: dict[str, str], *, json: bool) -> None:
    show(scene.daemon().operate(account, "operate", operation=operation, given=given), json=json)

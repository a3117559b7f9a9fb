"""Verbs of operators on one account: refresh, pause, resume, confirm, forget, revoke.  The daemon does them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from freshd.cli.options import Scene, account, as_json, examples, on_scene
from freshd.cli.output import dump, hint, plain, say
from freshd.errors import FreshdError

yes = click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")


class NotMeant(FreshdError):
    """The person was asked and did not agree.  Nothing was changed."""

    type = "not-meant"


@click.command(epilog=examples("freshd refresh work-mail"))
@account
@as_json
@on_scene
def refresh(scene: Scene, account: str, json: bool) -> None:
    """Renew an account now, whatever is left of its token.

    The service's pace is kept all the same.  Ends when the new grant is stored, or says why there is none.
    """
    done = scene.daemon().operate(account, "refresh")
    _report(done, json, f"refreshed: {account}, generation {done.get('generation')}")


@click.command(epilog=examples("freshd pause work-mail"))
@account
@as_json
@on_scene
def pause(scene: Scene, account: str, json: bool) -> None:
    """Serve what is there, renew nothing, until `freshd resume`.

    Holds until the daemon ends; paused = true in the configuration holds for good.
    """
    _report(scene.daemon().operate(account, "pause"), json, f"paused: {account}")


@click.command(epilog=examples("freshd resume work-mail"))
@account
@as_json
@on_scene
def resume(scene: Scene, account: str, json: bool) -> None:
    """Renew a paused account again."""
    _report(scene.daemon().operate(account, "resume"), json, f"resumed: {account}")


@click.command(epilog=examples("freshd confirm work-mail"))
@account
@yes
@as_json
@on_scene
def confirm(scene: Scene, account: str, yes: bool, json: bool) -> None:
    """Keep a grant whose account now names another service, client or subject.

    The grant in hand will be sent to the place that the configuration names now.
    """
    must_be_meant(yes, f"The grant of {account} will be presented to the service that the configuration names now.")
    done = scene.daemon().operate(account, "confirm")
    _report(done, json, f"confirmed: {account}, generation {done.get('generation')}")


@click.command(epilog=examples("freshd forget old-mail", "freshd forget old-mail --yes"))
@account
@yes
@as_json
@on_scene
def forget(scene: Scene, account: str, yes: bool, json: bool) -> None:
    """Erase an account's record: grant, lease and history.

    The service is not told: what was given out works there until it ends; see `freshd revoke`.
    """
    must_be_meant(yes, _loss(scene, account))
    _report(scene.daemon().operate(account, "forget"), json, f"forgotten: {account}")


@click.command(epilog=examples("freshd revoke work-mail"))
@account
@yes
@as_json
@on_scene
def revoke(scene: Scene, account: str, yes: bool, json: bool) -> None:
    """End a grant at the service, then erase the account's record."""
    must_be_meant(yes, f"The service will be told to end the grant.  {_loss(scene, account)}")
    done = scene.daemon().operate(account, "revoke")
    _report(done, json, f"{plain(done.get('revoked'))}; forgotten: {account}")


def _loss(scene: Scene, account: str) -> str:
    """What will be erased, as far as the daemon knows the account."""
    found = scene.daemon().account(account)
    held = f"grant and lease of generation {found.get('generation')}" if found.get("generation") else "no grant yet"
    return (
        f"Erased will be, in the journal and in the keyring: the record of {account} ({plain(found.get('kind'))},"
        f" {held}) and its history.  Only an enrolment brings it back: freshd enrol {account}"
    )


def must_be_meant(yes: bool, loss: str) -> None:
    """Say what will happen, and ask.  Raises NotMeant."""
    hint(loss)
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotMeant("nobody is there to ask whether this is meant", "add --yes")
    if not click.confirm("Go on?", err=True):
        raise NotMeant("nothing was changed", "say yes, or add --yes, if it is meant")


def _report(done: Mapping[str, Any], json: bool, text: str) -> None:
    dump(done) if json else say(text)

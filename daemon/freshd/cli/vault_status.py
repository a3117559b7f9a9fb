"""freshd vault status: what can be told of the vault without opening anything that is sealed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from freshd.cli.options import Scene, as_json, examples, on_scene
from freshd.cli.output import dump, moments, plain, say
from freshd.clock import SystemClock
from freshd.errors import FreshdError, StoreError

if TYPE_CHECKING:
    from freshd.core.settings import Settings
    from freshd.vault.anchor import Anchor
    from freshd.vault.glance import Glance
    from freshd.vault.names import Names

NAMED: Final = 10
"""Accounts that are named on one line; --json names all."""


@click.command(epilog=examples("freshd vault status", "freshd vault status --json"))
@as_json
@on_scene
def status(scene: Scene, json: bool) -> None:
    """Show the vault: where grants rest, who keeps its keys, what is under way, set aside or held back.

    Reads the journal in the state directory, beside a running daemon or without one; opens nothing that is sealed.
    """
    from freshd.app import settings_of
    from freshd.vault.glance import glance

    settings = settings_of(scene.config)
    found = glance(settings.state_dir)
    if found is None:
        remedy = "make the vault: freshd vault init; or start the daemon once: freshd run"
        raise StoreError(f"there is no journal in {settings.state_dir} yet", remedy)
    anchor = _anchor(settings, found)
    if json:
        dump(_facts(settings, found, anchor))
        return
    say(f"state     {settings.state_dir}")
    for line in lines_of(found, anchor):
        say(line)


def lines_of(found: Glance, anchor: Anchor | str | None) -> Iterator[str]:
    """The facts with their names, a line each.  `anchor`: why it cannot be looked at, where that is so."""
    now = SystemClock().now().wall
    yield f"vault     {found.vault[:8]}, {'sealed' if found.check else 'no key was made yet'}"
    yield f"journal   {found.bytes // 1024} KiB, {found.commits} commits, the last {moments(found.high_water, now)}"
    yield f"ballast   {found.ballast // 1024} KiB"
    yield f"records   {found.records}; grants in the journal {found.sealed}, in the keyring alone {found.in_keyring}"
    yield f"placement {f'keyring, in {plain(found.keys.shelf)}' if found.keys.shelf else 'sealed'}"
    yield from _keys(found.keys)
    if found.unsettled:
        yield f"unsettled {_named(found.unsettled)}: not at rest in the keyring yet"
    yield f"open      {found.open_calls} calls without an end, {found.escrowed} of them with their answer"
    yield f"aside     {found.quarantine} in quarantine"
    yield f"anchor    {_anchored(anchor, now)}"
    last = found.backup
    yield f"backup    {'none yet: freshd vault backup FILE' if last is None else moments(last.at, now)}"
    if last is not None:
        yield f"          at commit {last.commits}, {found.commits - last.commits} commits ago"
    if found.why is not None:
        yield f"held      {_named(found.held)}: {plain(found.why)}"
        yield "          decide about each: freshd confirm NAME, or freshd enrol NAME"


def _keys(names: Names) -> Iterator[str]:
    current = f"{names.id[:8]} in " if names.id else ""
    yield f"key       {current}{plain(names.custodian) or 'not written down yet'}"
    if names.next is not None:
        way = "everything is being sealed anew under it" if names.in_use else "it is to follow"
        yield f"next key  {names.next.id[:8]} in {plain(names.next.custodian)}: {way}"
    for kept in names.kept:
        yield f"old key   {kept.id[:8]} in {plain(kept.custodian)}: something that does not open still names it"


def _named(accounts: Sequence[str]) -> str:
    more = f", and {len(accounts) - NAMED} more" if len(accounts) > NAMED else ""
    return ", ".join(map(plain, accounts[:NAMED])) + more


def _anchored(anchor: Anchor | str | None, now: float) -> str:
    if anchor is None:
        return "none; an old copy on this machine would not be noticed: see [vault] anchor"
    if isinstance(anchor, str):
        return f"not known: {plain(anchor)}"
    at = f", {moments(anchor.at, now)}" if anchor.at else ""
    return f"at commit {anchor.commits}{at}"


def _anchor(settings: Settings, found: Glance) -> Anchor | str | None:
    import asyncio

    from freshd.custody import custody
    from freshd.vault.glance import anchored

    try:
        _, custodian = custody(settings)
        return asyncio.run(anchored(custodian, settings.vault.anchor, found.vault))
    except FreshdError as error:
        return error.cause


def _facts(settings: Settings, found: Glance, anchor: Anchor | str | None) -> Mapping[str, Any]:
    keys = {name: value for name, value in asdict(found.keys).items() if name != "digests"}
    facts = {name: value for name, value in asdict(found).items() if name != "check"}
    told = None if anchor is None else {"why": anchor} if isinstance(anchor, str) else asdict(anchor)
    return {
        "state_dir": str(settings.state_dir), **facts, "keys": keys, "anchor": told,
        "placement": "keyring" if found.keys.shelf else "sealed", "custodian": found.keys.custodian or None,
    }  # fmt: skip

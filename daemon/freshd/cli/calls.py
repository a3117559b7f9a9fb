"""freshd operate: a service's own calls, such as who a token is, or a new key.  The daemon makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from freshd.cli.given import line_given
from freshd.cli.options import Scene, account, as_json, examples, on_scene
from freshd.cli.output import dump, plain, say

FROM_STANDARD_INPUT: Final = "-"


@click.command(
    epilog=examples(
        "freshd operate front-desk whoami",
        "freshd operate agent rekey",
        "freshd operate front-desk verify token=-     the value is read from standard input",
    )
)
@account
@click.argument("operation")
@click.argument("given", nargs=-1, metavar="[NAME=VALUE]...")
@as_json
@on_scene
def operate(scene: Scene, account: str, operation: str, *, given: Sequence[str], json: bool) -> None:
    """Use a call that an account's service offers beyond renewing.

    An unknown OPERATION lists those there are.  A secret is not written on the command line: NAME=- reads it from
    standard input.
    """
    done = scene.daemon().operate(account, "operate", operation=operation, given=values(given))
    show(done, json=json)


def values(given: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE as a mapping; what is asked for is read.  Raises UsageError."""
    found: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name or name in found:
            raise click.UsageError(f"write NAME=VALUE, each name once, instead of {plain(name)!r}")
        found[name] = line_given(name) if value == FROM_STANDARD_INPUT else value
    return found


def show(done: Mapping[str, Any], *, json: bool) -> None:
    """What came of a call: its facts, or the generation that is stored now."""
    if json:
        dump(done)
        return
    facts = done.get("facts") or {}
    for name, value in facts.items():
        say(f"{plain(name)}: {_text(value)}")
    if not facts:
        generation = done.get("generation")
        stored = "" if generation is None else f"; generation {generation}, written and read back"
        say(f"done: {plain(done.get('operation'))} of {plain(done.get('account'))}{stored}")


def _text(value: object) -> str:
    return ", ".join(map(plain, value)) if isinstance(value, list) else plain(value)

"""freshd token, for the list of verbs and its help: `entry` answers it before this module could be imported."""

from __future__ import annotations

import click

from freshd.cli.entry import token as answer
from freshd.cli.options import examples


@click.command(
    context_settings={"ignore_unknown_options": True},
    add_help_option=False,
    epilog=examples("freshd token work-mail", "freshd token work-mail --min-ttl 300", "freshd token --help"),
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def token(context: click.Context, words: tuple[str, ...]) -> int:
    """Print a token that lives long enough, and nothing else.

    A socket named before the verb is passed on.  See freshd token --help.
    """
    named = context.find_root().params.get("socket")
    return answer([*(() if named is None else ("--socket", str(named))), *words])

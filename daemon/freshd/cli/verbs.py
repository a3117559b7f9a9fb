"""The verbs: one line each.  A verb's module is imported when the verb is used, and not before."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

import click

from freshd import __version__
from freshd.cli import exits
from freshd.cli.options import examples, place_options

TABLE: Final[Mapping[str, tuple[str, str]]] = {
    "run": ("run:run", "Run the daemon."),
    "check": ("check:check", "Check the configuration without running it."),
    "status": ("status:status", "Show how accounts stand."),
    "token": ("token:token", "Print a token that lives long enough."),
    "enrol": ("enrol:enrol", "Give an account its grant: a person agrees."),
    "import-env": ("import_env:import_env", "Take the tokens of a .env file, and own them."),
    "refresh": ("operate:refresh", "Renew an account now."),
    "refused": ("refused:refused", "Report that a service refused a token."),
    "watch": ("watch:watch", "Follow changes of accounts."),
    "explain": ("explain:explain", "Say why an account is as it is, and what to do."),
    "doctor": ("doctor:doctor", "Examine the machine, or one account."),
    "alerts": ("alerts:alerts", "Tell a command of every trouble, once."),
    "operate": ("calls:operate", "Use a service's own call."),
    "pause": ("operate:pause", "Serve what is there, renew nothing."),
    "resume": ("operate:resume", "Renew again."),
    "confirm": ("operate:confirm", "Keep a grant whose configuration was changed on purpose."),
    "forget": ("operate:forget", "Erase an account's record."),
    "revoke": ("operate:revoke", "End a grant at the service, then erase it."),
    "geniusauth": ("geniusauth:geniusauth", "Ask GeniusAuth about a token, or change what it carries."),
    "sandbox": ("sandbox:sandbox", "Serve stand-ins of services, with faults."),
    "vault": ("vault:vault", "Look after the vault."),
}
"""Verb → where it lives, and its line in the list of verbs; the order is that of the list."""


class Verbs(click.Group):
    """The group that imports a verb on use, and turns every end into an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(TABLE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in TABLE:
            return None
        module, _, name = TABLE[cmd_name][0].partition(":")
        return cast("click.Command", getattr(import_module(f"freshd.cli.{module}"), name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of verbs, without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, line) for name, (_, line) in TABLE.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as click has it
        """Do what the arguments say, then exit."""
        exits.leave(exits.run(lambda: super(Verbs, self).main(*args, **{**kwargs, "standalone_mode": False})))


@click.group(cls=Verbs, epilog=examples("freshd check", "freshd enrol work-mail", "freshd token work-mail"))
@click.version_option(__version__, prog_name="freshd", message="%(prog)s %(version)s")
@place_options
def cli(config: Path | None, socket: Path | None) -> None:
    """Keep credentials fresh, and hand short-lived tokens to local programs."""

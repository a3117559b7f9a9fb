"""freshd alerts: hears of trouble from the log, and tells a command of the operator's.

Rules
-----
* The log alone is asked, neither the daemon nor a service (I8): it works while the daemon is down, and says so.
* SIGTERM ends it at once, but for the command that is just running: that one may end by itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from freshd.cli.options import as_json, examples
from freshd.cli.output import dump, hint, say
from freshd.core.events import Severity
from freshd.errors import FreshdError

if TYPE_CHECKING:
    from freshd.cli.alerting.duty import Duty
    from freshd.cli.alerting.journal import Journal
    from freshd.core.alerts import Message

SYSTEM_UNIT: Final = "freshd.service"
LEASTS: Final = ("alert", "error", "warning", "notice")


class NotTold(FreshdError):
    """The input ended, and not every message could be told."""

    exit_code = 75
    type = "not-told"


@click.command(
    epilog=examples(
        "freshd alerts --follow --run /etc/freshd/alert",
        "freshd alerts --follow --run 'mail -s {subject} root'",
        "freshd alerts --json < freshd.log       what would have been told",
    )
)
@click.option("--run", "command", metavar="COMMAND", help="Told of each alert; {subject} in it is filled in.")
@click.option("--follow", is_flag=True, help="Follow the journal of the unit; else read log lines to their end.")
@click.option("--unit", default=SYSTEM_UNIT, show_default=True, help="The unit to follow.")
@click.option("--user", "of_user", is_flag=True, help="It is a unit of your own.")
@click.option("--least", type=click.Choice(LEASTS), default="warning", show_default=True, help="The least told of.")
@click.option("--state", type=click.Path(path_type=Path), metavar="DIR", help="Folder for what outlives a restart.")
@as_json
def alerts(
    *, command: str | None, follow: bool, unit: str, of_user: bool, least: str, state: Path | None, json: bool
) -> None:
    """Tell a command of every trouble once, and once when it is over.

    Hears of it from the journal, or from log lines on standard input (of journalctl -o json, or freshd's own JSON).
    The command gets the message on standard input and its parts as FRESHD_ALERT_… in the environment; no shell is
    started.  One that fails is tried again, later and later.  Without --run the messages are printed.

    What is open, what is still to be told and how far the journal was read is kept in --state, by default the unit's
    $STATE_DIRECTORY; without either a restart begins anew.
    """
    import asyncio

    from freshd.cli.alerting.journal import Journal

    source = Journal(unit, of_user) if follow else None
    asyncio.run(_serve(source, command, _folder(state), Severity[least.upper()], json))


def _folder(state: Path | None) -> Path | None:
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return state or (Path(given) if given else None)


async def _serve(source: Journal | None, command: str | None, folder: Path | None, least: Severity, json: bool) -> None:
    from freshd.cli.alerting.command import Command, parsed
    from freshd.cli.alerting.duty import Duty
    from freshd.cli.alerting.store import Store

    async def show(message: Message) -> str:
        _show(message, json=json)
        return ""

    tell = show if command is None else Command(parsed(command), os.environ).run
    duty = Duty(Store(folder), tell, lambda text: hint(f"freshd alerts: {text}"), least)
    left = await _until_end(duty, source)
    if left:
        raise NotTold(f"{left} messages could not be told", "see why the command of --run fails")


async def _until_end(duty: Duty, source: Journal | None) -> int:
    """Until the input ends, or SIGTERM or SIGINT comes; how many messages of an ended input could not be told."""
    import asyncio
    import signal

    from freshd.cli.alerting.journal import standard_input

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    listening = asyncio.create_task(duty.read(standard_input(0)) if source is None else duty.follow(source))
    telling = asyncio.create_task(duty.deliver())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((listening, telling, stopping), return_when=asyncio.FIRST_COMPLETED)
    duty.close()
    listening.cancel()
    stopping.cancel()
    ends = await asyncio.gather(listening, telling, return_exceptions=True)
    duty.keep()
    for end in ends:
        if isinstance(end, Exception):
            raise end
    return 0 if stop.is_set() else await duty.finish()


def _show(message: Message, *, json: bool) -> None:
    from freshd.cli.alerting import words

    if json:
        dump(words.document(message))
    else:
        say(words.text(message))

"""How a verb's end becomes words and an exit code.  The only place of freshd that exits the process.

Rules
-----
* Every error says its cause and its remedy; a person never meets a traceback.
* Exit codes are those of sysexits.h; 130 for Ctrl-C, and 1, quietly, where nobody reads on (freshd status | head -1).
* With FRESHD_DEBUG=1 a mistake of our own shows where it happened: frames and the exception's class, neither its text
  nor any value, for either may hold what must not be seen (I10).
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final

import click

from freshd.cli.daemon import Told
from freshd.cli.output import plain
from freshd.errors import ConfigError, FreshdError

OK: Final = 0
USAGE: Final = 64
SOFTWARE: Final = 70
TEMPORARY: Final = 75
NO_PERMISSION: Final = 77
INTERRUPTED: Final = 130

BY_TYPE: Final = {
    "config": 78, "store": 74, "vault-locked": 75, "keyring-unavailable": 75, "vault-foreign": 76, "unreachable": 69,
    "already-running": 73, "not-possible": 65, "not-found": NO_PERMISSION, "unidentified": NO_PERMISSION,
    "bad-request": USAGE, "min-ttl-too-long": USAGE, "internal": SOFTWARE,
}  # fmt: skip
"""Types of problem documents, where their status alone would say too little."""


def run(work: Callable[[], Any]) -> int:
    """Do the work; whatever comes of it ends in an exit code, and in words where it failed."""
    try:
        result = work()
    except FreshdError as error:
        return _explained(error)
    except click.UsageError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("freshd: interrupted", err=True)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - nobody above would turn it into words
        return _mistake(error)
    return result if isinstance(result, int) else OK


def leave(code: int) -> None:
    """End the process."""
    sys.exit(code)


def code_of(error: FreshdError) -> int:
    """The exit code of an error; of one the daemon told, by its type and status."""
    if not isinstance(error, Told):
        return error.exit_code
    by_status = TEMPORARY if error.status >= 500 else type(error).exit_code
    return BY_TYPE.get(error.kind, by_status)


def _explained(error: FreshdError) -> int:
    told = error.diagnostics()
    click.echo(f"freshd: {plain(told.cause)}", err=True)
    for problem in error.problems if isinstance(error, ConfigError) else ():
        click.echo(f"  {plain(problem)}", err=True)
    click.echo(f"  remedy: {plain(told.remedy)}", err=True)
    return code_of(error)


def _mistake(error: Exception) -> int:
    frames = traceback.extract_tb(error.__traceback__)
    at = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "?"  # noqa: PTH119
    click.echo(f"freshd: a mistake of its own ({type(error).__name__} at {at}); nothing more was done", err=True)
    click.echo("  remedy: report it; the daemon's log: journalctl -u freshd; FRESHD_DEBUG=1 shows more", err=True)
    if os.environ.get("FRESHD_DEBUG") == "1":
        click.echo("".join(traceback.format_list(frames)) + type(error).__name__, err=True)
    return SOFTWARE

"""freshd status: how accounts stand, from the daemon's memory.  Reaches no service (I8).

On a terminal a table, else one line per account with NAME key=value …, for grep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

import click

from freshd.cli.options import Scene, as_json, examples, on_scene
from freshd.cli.output import dump, hint, is_terminal, moments, plain, say, until
from freshd.clock import SystemClock

Health = Mapping[str, Any]
TABLE_ROWS: Final = 200
"""Drawing a table takes half a millisecond a row; nobody reads more than this."""
LOCKED: Final = "the vault is LOCKED: no tokens, nothing is renewed, until its key is there; what helps: freshd doctor"


@click.command(epilog=examples("freshd status", "freshd status work-mail", "freshd status --json"))
@click.argument("account", metavar="[ACCOUNT]", required=False)
@click.option("--all", "every", is_flag=True, help=f"Draw all rows of the table, not {TABLE_ROWS} at most.")
@as_json
@on_scene
def status(scene: Scene, account: str | None, every: bool, json: bool) -> None:
    """Show how accounts stand: usable until when, renewed when, and what is wrong.

    With ACCOUNT everything that is known of one.  Nothing is spent and no service is asked.
    """
    daemon = scene.daemon()
    if account is not None:
        found = daemon.account(account)
        dump(found) if json else _show_one(found)
        return
    locked = bool(daemon.get("healthz").get("locked"))
    if json:
        dump({"locked": locked, "accounts": list(daemon.accounts())})
        return
    if locked:
        hint(LOCKED)
    if is_terminal():
        _draw(list(daemon.accounts()), None if every else TABLE_ROWS)
    else:
        now = SystemClock().now().wall
        for found in daemon.accounts():
            say(line_of(found, now))


def line_of(found: Health, now: float) -> str:
    """One account on one line."""
    parts = [
        plain(found.get("account")),
        f"phase={phase_of(found)}",
        f"usable={_joined(usable(found, now))}",
        f"renewable={found.get('renewable')}",
        f"next={_joined(until(found.get('next_refresh_at'), now))}",
        f"refreshes={found.get('refreshes')}",
        f"heals={found.get('heals')}",
    ]
    logins = [f"{plain(name)}:{plain(one.get('state'))}" for name, one in (found.get("channels") or {}).items()]
    parts += ["channels=" + ",".join(logins)] if logins else []
    parts += [f'{name}="{plain(found[name])}"' for name in ("reason", "remedy") if found.get(name)]
    return " ".join(parts)


def phase_of(found: Health) -> str:
    """The phase with its flags: live, live+paused, parked+unsettled."""
    flags = [name for name in ("paused", "retired") if found.get(name) and found.get("phase") != name]
    return "+".join([plain(found.get("phase")), *flags, *([] if found.get("settled", True) else ["unsettled"])])


def logins_down(found: Health) -> Sequence[str]:
    """Channels of the account that are not logged in, with how they stand."""
    logins = (found.get("channels") or {}).items()
    return [f"{plain(name)}: {plain(one.get('state'))}" for name, one in logins if one.get("state") != "connected"]


def usable(found: Health, now: float) -> str:
    """For how long a reader gets a token."""
    at = found.get("usable_until")
    return "no" if at is None or at <= now else until(at, now)


def _joined(text: str) -> str:
    return text.replace(" ", "")


def _draw(accounts: Sequence[Health], rows: int | None) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    now = SystemClock().now().wall
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("account", "kind", "phase", "usable", "next", "refreshes", "note"):
        table.add_column(title, overflow="fold", no_wrap=title != "note")
    for found in islice(accounts, rows):
        notes = [plain(found[name]) for name in ("reason", "remedy") if found.get(name)]
        note = " → ".join([*notes, *logins_down(found)])
        cells = (
            found.get("account"), found.get("kind"), phase_of(found), usable(found, now),
            until(found.get("next_refresh_at"), now), found.get("refreshes"), note,
        )  # fmt: skip
        style = "red" if found.get("renewable") == "no" else "yellow" if found.get("reason") else ""
        table.add_row(*(Text(plain(cell)) for cell in cells), style=style)
    console = Console(highlight=False)
    console.print(table)
    left = 0 if rows is None else len(accounts) - rows
    console.print(f"… and {left} more: freshd status --all" if left > 0 else f"{len(accounts)} in all", style="dim")


def _show_one(found: Health) -> None:
    now = SystemClock().now().wall
    width = max(map(len, found))
    for name, value in {"account": found.get("account"), **found}.items():
        if name == "channels":
            _show_channels(value, now)
            continue
        text = moments(value, now) if name in MOMENTS and value is not None else _word(value)
        say(f"{name:<{width}}  {text}")


def _show_channels(channels: Mapping[str, Health], now: float) -> None:
    for name, one in channels.items():
        rest = {key: value for key, value in one.items() if key != "state" and value is not None}
        texts = (f"{key} {moments(value, now) if key in MOMENTS else _word(value)}" for key, value in rest.items())
        say(f"channel {plain(name)}: {plain(one.get('state'))}; {', '.join(texts)}")


MOMENTS: Final = frozenset(
    {"usable_until", "deadline", "next_refresh_at", "doubtful_since", "since", "next_try_at"}
)  # fmt: skip


def _word(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(plain, value)) if isinstance(value, list) else plain(value)

"""What the booted tests have in common: where things are in the machine, and how they are looked at."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.host.booted_bed import Machine, until

SOCKET: Final = "/run/freshd/freshd.sock"
CONFIG: Final = "/etc/freshd/freshd.toml"
DROP_IN: Final = "/etc/systemd/system/freshd.service.d/test.conf"
ACCOUNT: Final = """
[accounts.mail]
kind = "oauth2"
issuer = "{issuer}"
client_id = "freshd"
min_interval = 0
readers = {{ {readers} }}
"""
Row = Callable[[str, str], None]
"""Writes down one thing that was seen."""


def view(machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(machine.run("freshd", "status", "mail", "--json").stdout)
    return found


def token(machine: Machine, *before: str) -> subprocess.CompletedProcess[str]:
    """What a reader of the machine's freshd gets."""
    return machine.run(*before, "freshd", "token", "mail", "--socket", SOCKET, check=False)


def lease(machine: Machine) -> dict[str, Any]:
    ask = ("freshd", "token", "mail", "--json", "--socket", SOCKET)
    found: dict[str, Any] = json.loads(machine.run(*machine.as_user("ann"), *ask).stdout)
    return found


def settled(machine: Machine) -> bool:
    return machine.show("freshd", "ActiveState") == "active" and token(machine, *machine.as_user("ann")).returncode == 0


@contextmanager
def changed(machine: Machine, lines: str) -> Iterator[str]:
    """A freshd under a drop-in; yields the moment before. Afterwards it runs as shipped."""
    machine.run("systemctl", "stop", "freshd.service")
    machine.write(DROP_IN, f"[Service]\n{lines}\n")
    machine.run("systemctl", "daemon-reload")
    since = machine.now()
    machine.run("systemctl", "start", "freshd.service", check=False)
    try:
        yield since
    finally:
        machine.run("rm", DROP_IN)
        back_up(machine)


def back_up(machine: Machine) -> None:
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "reset-failed", check=False)
    machine.run("systemctl", "restart", "freshd-key.service", "freshd.socket", "freshd.service")
    until("freshd serves as before", lambda: settled(machine))


def told(machine: Machine, kind: str, event: str, since: str = "") -> str | None:
    """The shipped command writes each message into its unit's journal; the last of that kind about that event."""
    said = machine.said("freshd-alerts", since)
    blocks = [part for part in said.split("host ") if f"{kind} " in part and f"event     {event}" in part]
    return blocks[-1] if blocks else None


def one_line(text: str) -> str:
    kept = ("raised", "cleared", "do ", "event")
    return "; ".join(" ".join(line.split()) for line in text.splitlines() if line.startswith(kept))

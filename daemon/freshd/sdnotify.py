"""systemd's notification protocol: one datagram per message (sd_notify(3)).  Silent where no manager listens.

A manager that reads nothing (its queue is full) holds the daemon up for a second per message at most.
"""

from __future__ import annotations

import os
import socket
from typing import Final

PATIENCE_SECONDS: Final = 1.0


class Notifier:
    """Sends states to the service manager named by NOTIFY_SOCKET, taken from the environment once."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address if address is not None else os.environ.get("NOTIFY_SOCKET", "")

    @property
    def watchdog_seconds(self) -> float | None:
        """How often the manager wants a sign of life, or None."""
        usec, pid = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
        if not usec or not usec.isdigit() or (pid and pid != str(os.getpid())):
            return None
        return int(usec) / 1e6

    def say(self, *lines: str) -> bool:
        """One message of any number of lines, such as READY=1 and STATUS=….  False where nobody listens."""
        if not self._address:
            return False
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.settimeout(PATIENCE_SECONDS)
                sock.sendto("\n".join(lines).encode(), address)
        except OSError:
            return False
        return True

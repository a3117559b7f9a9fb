"""What passes between a program and its session bus, seen and disturbed: for tests of the OS keyring.

`Wire` stands in the way of the calls of this process: it counts them by name, and runs a deed before a call is sent,
or after its answer has come.  `Prompts` listens on the bus itself for anybody who asks for a prompt.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import pytest
from jeepney import DBusAddress, HeaderFields, MatchRule, MessageType, new_method_call  # type: ignore[import-untyped]
from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped]

from freshd.vault.secret_service import Line

WRITE = "CreateItem"
ERASE = "Delete"
LOOK = "SearchItems"
OPEN = "OpenSession"


class Wire:
    """Patches `Line` for the length of a test.  `sent`: calls that left; `calls`: those that were answered."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.sent: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._before: dict[str, Callable[[], None]] = {}
        self._after: dict[str, Callable[[], None]] = {}
        through = Line.send_and_get_reply

        def send(line: Line, message: Any) -> Any:  # noqa: ANN401 - jeepney has no types
            name = message.header.fields[HeaderFields.member]
            self._before.pop(name, _nothing)()
            self.sent[name] += 1
            answer = through(line, message)
            self.calls[name] += 1
            self._after.pop(name, _nothing)()
            return answer

        patch.setattr(Line, "send_and_get_reply", send)

    def before(self, name: str, deed: Callable[[], object]) -> None:
        """Do this once, when the next call of that name is about to leave."""
        self._before[name] = lambda: _done(deed)

    def after(self, name: str, deed: Callable[[], object]) -> None:
        """Do this once, when the next call of that name was answered and nobody has seen the answer."""
        self._after[name] = lambda: _done(deed)


def _nothing() -> None:
    """No deed."""


def _done(deed: Callable[[], object]) -> None:
    deed()


def open_files() -> int:
    """File descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - iterating a Path opens one more


class Prompts:
    """A context manager; `seen` tells whether anybody called for a prompt."""

    def __init__(self, address: str) -> None:
        self._connection = open_dbus_connection(address)

    def __enter__(self) -> Self:
        rule = MatchRule(interface="org.freedesktop.Secret.Prompt", type=MessageType.method_call)
        monitor = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus.Monitoring")
        message = new_method_call(monitor, "BecomeMonitor", "asu", ([rule.serialise()], 0))
        self._connection.send_and_get_reply(message)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def seen(self) -> bool:
        """Whether there was one since the last look; the bus has passed on by now whatever was sent before."""
        found = False
        with contextlib.suppress(TimeoutError):
            while True:
                message = self._connection.receive(timeout=0.2)
                found = found or message.header.fields.get(HeaderFields.member) == "Prompt"
        return found

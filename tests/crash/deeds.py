"""What is asked of a daemon so that an exchange begins: an operator's verb, or an enrolment of several steps.

Rules
-----
* `do` waits for the answer and raises what the daemon says; `begin` waits for nothing.
* A deed may be done again: a victim that is to die at a later passage is asked until it dies.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Protocol

Args = Mapping[str, Any]
JOIN_SECONDS: Final = 60.0


class Daemon(Protocol):
    """What a deed needs of a process (`scene.Process`)."""

    def operate(self, verb: str, account: str = ..., **args: object) -> dict[str, Any]:
        """An operator's verb."""

    def view(self) -> dict[str, Any]:
        """How the account stands."""

    def begin(self, verb: str, args: Args | None = None) -> socket.socket:
        """Send a verb and wait for nothing."""


class Deed(Protocol):
    """One way to have an exchange."""

    def do(self, daemon: Daemon) -> None:
        """Raises Gone or Told where nothing came of it."""

    def begin(self, daemon: Daemon) -> contextlib.AbstractContextManager[None]:
        """Ask, and go on at once; leaving the context ends the asking."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One call."""

    name: str
    args: Args = field(default_factory=lambda: MappingProxyType({}))

    def do(self, daemon: Daemon) -> None:
        daemon.operate(self.name, **self.args)

    @contextlib.contextmanager
    def begin(self, daemon: Daemon) -> Iterator[None]:
        with daemon.begin(self.name, self.args):
            yield


class Steps:
    """Several calls; begun, they are made by a thread of their own."""

    def do(self, daemon: Daemon) -> None:
        """The steps."""
        raise NotImplementedError

    @contextlib.contextmanager
    def begin(self, daemon: Daemon) -> Iterator[None]:
        def work() -> None:
            with contextlib.suppress(RuntimeError):  # Gone and Told: the daemon is about to be killed
                self.do(daemon)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            thread.join(JOIN_SECONDS)


REFRESH: Final[Deed] = Verb("refresh")

"""freshd, a broker and the service whose access tokens are the broker's passwords, on one machine.

Rules
-----
* The service runs in a thread here, so that the broker can be told of a token the moment it is issued: `Clerk` does.
* The daemon is a process and knows nothing of that.
* `Rotation` is what was seen of one change of password; nothing is judged here.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar, cast

from freshd.sandbox.server import Running, Settings, start
from freshd.sandbox.tokens import Holder
from tests.crash.scene import Process
from tests.crash.services import Sandbox
from tests.flow.bed import Bed, Line, account, until
from tests.flow.mosquitto import Mosquitto
from tests.flow.shift import Shift

T = TypeVar("T")
NAME: Final = "meter"
OTHER: Final = "ticker"
"""An account that nothing is done with but pausing it and letting it go on, for the events."""
CHANNEL: Final = "broker"
PREFIX: Final = "freshd"
LOOK_SECONDS: Final = 0.01
ACCESS_SECONDS: Final = 3600


class Issuer:
    """The sandbox's OAuth2 server on a thread of its own.  A context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._running: Running | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._running = self._do(lambda: start(Settings(seed=1)))
        self._running.policies.change({"access_s": ACCESS_SECONDS})
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._up.aclose)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever it returns
        async def work() -> Any:  # noqa: ANN401
            made = make()
            return await made if asyncio.iscoroutine(made) else made

        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(20)

    @property
    def _up(self) -> Running:
        assert self._running is not None
        return self._running

    @property
    def issuer(self) -> str:
        return self._up.base_url

    def mint(self, label: str) -> str:
        holder = Holder(client_id="freshd", label=label, subject=label)
        return str(self._do(lambda: self._up.ledger.mint(holder, self._up.service.stage.now()).text))

    def newest(self, label: str) -> str | None:
        """The access token issued last, if it is still good."""

        def look() -> str | None:
            chains = [one.access for one in self._up.ledger.books.account(label).lineages if one.access]
            last = chains[-1][-1] if chains else None
            return last.text if last is not None and last.is_alive(self._up.service.stage.now()) else None

        found: str | None = self._do(look)
        return found

    def revoke(self, label: str) -> int:
        """Every access token of the label is refused from now on."""
        return int(self._do(lambda: self._up.ledger.revoke_access(label)))

    def refreshes(self, label: str) -> int:
        """Calls made for it."""
        return int(self._do(lambda: len(self._up.ledger.books.account(label).calls)))

    def spent_uses(self, label: str) -> int:
        return int(self._do(lambda: self._up.ledger.books.account(label).counters.spent_uses))


class Clerk(Shift):
    """Makes every new access token the broker's password."""

    def __init__(self, issuer: Issuer, broker: Mosquitto, label: str = NAME) -> None:
        super().__init__()
        self._issuer, self._broker, self._label = issuer, broker, label
        self.told = ""

    def _work(self) -> None:
        while not self._ends.wait(LOOK_SECONDS):
            token = self._issuer.newest(self._label)
            if token is not None and token != self.told:
                self._broker.set_password(self._label, token)
                self.told = token


@dataclass(frozen=True, slots=True)
class Rotation:
    """One change.  `away`: seconds without a connection, by the daemon's own clock; `refusals`: logins refused."""

    number: int
    away: float
    refusals: int


def channel(broker: Mosquitto, version: str, *more: str, port: int = 0) -> list[str]:
    """The lines of the channel."""
    lines = [f"[channels.{CHANNEL}]", 'kind = "mqtt"', f'account = "{NAME}"', 'host = "127.0.0.1"']
    return [*lines, f"port = {port or broker.port}", f'version = "{version}"', *more]


def outlet(*more: str) -> list[str]:
    """The lines of the outlet."""
    return ["[outlets.mqtt]", f'channel = "{CHANNEL}"', f'prefix = "{PREFIX}"', *more]


class Stage:
    """A daemon with one account and one channel, connected."""

    def __init__(self, folder: Path, broker: Mosquitto, issuer: Issuer) -> None:
        self.bed, self.broker, self.issuer = Bed(folder), broker, issuer
        self.daemon: Process | None = None

    @contextlib.contextmanager
    def up(self, *lines: str) -> Iterator[Process]:
        """With these lines beside the account's, once the account has its first lease."""
        with self.bed as bed:
            bed.write(*self.accounts(), *lines)
            self.daemon = daemon = bed.up()
            daemon.operate("import", NAME, secrets={"refresh_token": self.issuer.mint(NAME)})
            until("the first lease", lambda: daemon.view(NAME)["usable_until"])
            yield daemon

    def accounts(self) -> list[str]:
        """The lines of the account whose token is the password, and of one for events."""
        return [*account(NAME, cast("Sandbox", self.issuer)), *account(OTHER, cast("Sandbox", self.issuer))]

    def connections(self) -> Sequence[Line]:
        return self.bed.events("channel.connected", NAME)

    def rotate(self, number: int) -> Rotation:
        """Revoke the token, change the broker's password, wait until the channel is back."""
        before, refused = len(self.connections()), len(self.bed.events("channel.refused"))
        self.issuer.revoke(NAME)
        self.broker.set_password(NAME, secrets.token_hex(16))
        back = until("the channel is back", lambda: self.connections()[before:])[0]
        return Rotation(number, float(back["seconds_away"]), len(self.bed.events("channel.refused")) - refused)


def share(values: Sequence[float], part: float) -> float:
    """The value below which that part of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]

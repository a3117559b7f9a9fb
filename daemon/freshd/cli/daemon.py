"""The one place of the command line that talks to the daemon, over its Unix socket.

Rules
-----
* Every call has a deadline.  A refresh or an enrolment waits for a service; the daemon gives up before we do.
* Whatever goes wrong is a FreshdError with a remedy: nobody there, may not connect, went away, said no.
* A call is sent once, on a connection of its own.  Whether it was done is then asked, never assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import quote, urlencode

from freshd.client.errors import ClientError
from freshd.client.errors import Unreachable as NotReached
from freshd.client.sync import Client
from freshd.client.wire import Change
from freshd.errors import FreshdError, Unreachable

DEADLINE_SECONDS: Final = 15.0
"""For what is answered from memory or disk."""
LONG_DEADLINE_SECONDS: Final = 180.0
"""For what waits for a service: an exchange, its writing, and the queue before both (150 s in the daemon)."""
FOREIGN: Final = "error"
"""The client's kind where the answer was no problem document."""
AFTERWARDS: Final = "freshd status tells what came of it"


class Barred(FreshdError):
    """The system does not let this user connect."""

    exit_code: ClassVar[int] = 77
    type: ClassVar[str] = "barred"


class Unanswered(FreshdError):
    """The daemon was there and no answer came: what was asked may have been done."""

    exit_code: ClassVar[int] = 75
    type: ClassVar[str] = "unanswered"


class Told(FreshdError):
    """The daemon said no, in a problem document.  `kind`: the last part of its type; `status`: its HTTP status."""

    exit_code: ClassVar[int] = 65
    type: ClassVar[str] = "told"

    def __init__(self, error: ClientError) -> None:
        super().__init__(error.cause, error.remedy or "freshd doctor")
        self.kind = error.kind
        self.status = error.status


class Daemon:
    """The daemon behind one socket."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, *segments: str, **query: str) -> dict[str, Any]:
        """The answer to GET."""
        target = _target(segments) + (f"?{urlencode(query)}" if query else "")
        return self._ask("GET", target, None, DEADLINE_SECONDS)

    def post(self, *segments: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """The answer to POST; may take minutes."""
        return self._ask("POST", _target(segments), dict(body or {}), LONG_DEADLINE_SECONDS)

    def operate(self, account: str, verb: str, **args: object) -> dict[str, Any]:
        """An operator's verb on an account."""
        given = {name: value for name, value in args.items() if value is not None}
        return self.post("v1", "accounts", account, verb, body=given)

    def tend(self, verb: str, **args: object) -> dict[str, Any]:
        """An operator's verb on the vault as a whole."""
        given = {name: value for name, value in args.items() if value is not None}
        return self.post("v1", "vault", verb, body=given)

    def account(self, name: str) -> dict[str, Any]:
        """How one account stands."""
        return self.get("v1", "accounts", name)

    def accounts(self) -> Iterator[dict[str, Any]]:
        """How all accounts stand that this user may see, page by page."""
        after = ""
        while True:
            page = self.get("v1", "accounts", **({"after": after} if after else {}))
            yield from page.get("accounts", [])
            following = page.get("next")
            if not following or following == after:
                return
            after = str(following)

    def history(self, name: str) -> Sequence[Mapping[str, Any]]:
        """What the last attempts came to, oldest first."""
        lines: Sequence[Mapping[str, Any]] = self.get("v1", "accounts", name, "history").get("lines", [])
        return lines

    def watch(self, names: Sequence[str]) -> Iterator[Change]:
        """The present health of accounts (none named: all), and again at every change; goes on after a restart."""
        try:
            yield from Client(str(self.path), timeout=DEADLINE_SECONDS).watch(names or None)
        except ClientError as error:
            raise self._meaning(error, DEADLINE_SECONDS) from None

    def _ask(self, method: str, target: str, body: Mapping[str, object] | None, deadline: float) -> dict[str, Any]:
        try:
            with Client(str(self.path), timeout=deadline) as client:
                return client.call(method, target, body, wait=0.0)
        except ClientError as error:
            raise self._meaning(error, deadline) from None

    def _meaning(self, error: ClientError, deadline: float) -> FreshdError:
        """The client's error in the words of the command line."""
        met = error.__context__
        if isinstance(error, NotReached):
            if isinstance(met, PermissionError):
                return Barred(
                    f"this user may not connect to {self.path}",
                    "ask for membership in the socket's group ([socket] group), or use the daemon's own user",
                )
            if isinstance(met, (EOFError, ConnectionResetError, BrokenPipeError)):
                return Unanswered("the daemon went away before it answered", f"look at its log; {AFTERWARDS}")
            return Unreachable(error.cause, "start it: systemctl start freshd, or freshd run; or name its --socket")
        if error.status and error.kind != FOREIGN:
            return Told(error)
        if error.kind == "late":
            return Unanswered(f"the daemon did not answer within {deadline:g} s", AFTERWARDS)
        return Unreachable(error.cause, "name the right --socket")


def _target(segments: Sequence[str]) -> str:
    return "/" + "/".join(quote(segment, safe="") for segment in segments)

"""What a kind of channel has to do: log in with a lease, stay, and say why that ended.  The runner does the rest.

Rules
-----
* A dialer logs in once and holds the connection until it ends.  It neither renews, nor waits between tries, nor decides
  about another try: it says what happened, and `run.py` does what that calls for.
* A lease's token goes into the login and nowhere else: no exception, no event and no fact holds it (I10).
* Whatever a library raises ends as an `Ended`; only cancellation passes through, and closes the connection.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from freshd.core.model import Lease

Facts = Mapping[str, str | int | float | bool | Sequence[str] | None]
"""What `freshd status` shows of a channel: plain values, no secrets."""


class Why(enum.Enum):
    """Why a login, or the connection after it, ended.

    REFUSED  the service refused this very lease (`code`): it is reported as a reader would, healed, and tried again
    LOST     connection, network or service trouble: tried again, ever more slowly
    AGAIN    to be tried again at once, once (a stale challenge); a second time in a row acts as LOST
    KICKED   somebody else took the place: stop, do not fight; a person decides
    WRONG    the service will never take this login as it is configured: stop, a person is needed
    """

    REFUSED = "refused"
    LOST = "lost"
    AGAIN = "again"
    KICKED = "kicked"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a login ended.

    code    the service's own code, as text, or a word of ours
    reason  in plain words, without anything the service sent
    status  the number to judge a refusal by (`Provider.is_dead`), where there is one
    wait    seconds that the service, or the kind of ending, asks for at least; more than an hour counts as an hour
    """

    why: Why
    code: str
    reason: str
    status: int | None = None
    wait: float = 0.0


class Dialer(Protocol):
    """One kind of long-lived login."""

    async def hold(self, lease: Lease | None, up: Callable[[Facts], None]) -> Ended:
        """Log in, call `up` once logged in (and again when the facts change), hold until the connection ends.

        lease  None where the channel logs in without an account's lease
        """

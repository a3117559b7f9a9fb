"""Why an account does not work, found by calls that spend nothing (I8).

The service's own key is asked for with a signature, which proves application, secret and clock; the access token in
hand is shown for a check.  No refresh token is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from freshd.core.age import left
from freshd.core.model import Record
from freshd.core.outcome import Performed, Reply
from freshd.errors import FreshdError
from freshd.ports import Clock, Found
from freshd.providers.form import Foreign, date, object_of, plain
from freshd.providers.geniusauth.case import USER_NAMES, code_of, first
from freshd.providers.geniusauth.client import (
    REFUSING,
    SERVER_KEY,
    VERIFY,
    Client,
    answer_in,
    data_in,
    is_fine,
    why_not,
)
from freshd.providers.geniusauth.options import Options
from freshd.providers.geniusauth.refusal import CLOCK, DEAD

CLOCK_SECONDS: Final = 10.0
"""How far ahead of the service's clock a stamp may be; a clock that far off deserves to be set."""
CAUSES: Final = {"3": "wrong-app", "6": "app-refused", CLOCK: "clock"}
BETWEEN: Final = frozenset({"the proxy does not let the call through", "the certificate is not trusted", "TLS failed"})
"""Reasons of `http` that speak of something between us and the service."""


class Examination:
    """The calls of one examination."""

    def __init__(self, client: Client, options: Options, clock: Clock, account: str) -> None:
        self._client = client
        self._options = options
        self._clock = clock
        self._account = account

    async def app(self) -> Sequence[Found]:
        """What the service says of application, secret and clock; nothing where calls are not signed."""
        if not self._options.is_signed:
            return []
        try:
            performed = await self._client.ask(SERVER_KEY, {})
        except FreshdError as error:
            return [Found(2, error.cause, error.remedy)]
        between = in_between(performed)
        return [between or _of_app(performed), *self._off(performed)]

    async def user(self, record: Record) -> Sequence[Found]:
        """What the service says of the access token in hand."""
        lease = record.lease
        if lease is None:
            return []
        try:
            performed = await self._client.ask(VERIFY, {"token": lease.token.reveal()})
        except FreshdError:
            return []  # told by `app`
        if in_between(performed) is not None:
            return []
        if is_fine(performed):
            return [self._whose(performed, record)]
        return [self._why_refused(performed, left(lease.sent, lease.valid_for, self._clock.now()))]

    def _whose(self, performed: Performed, record: Record) -> Found:
        known = None if record.grant is None else record.grant.binding.subject
        expected, user = self._options.subject or known, plain(first(data_in(performed), USER_NAMES))
        if expected is None or user in (None, expected):
            return Found(0, "the access token in hand works: the user is there, and so is the login")
        remedy = f"correct subject, or enrol as that user: freshd enrol {self._account}"
        return Found(2, "the access token in hand is of another user than the one that enrolled", remedy)

    def _why_refused(self, performed: Performed, rest: float) -> Found:
        """What it means that the token does not work; `rest`: seconds it should have left."""
        if code_of(answer_in(performed)) != DEAD:
            return Found(1, f"the access token in hand could not be tried: {why_not(performed)}")
        if rest <= 0:
            return Found(1, "the access token in hand is over, and tells nothing")
        wrong = (
            f"the access token in hand is refused {rest:.0f} s before its end: the login was ended, or groups of the "
            "user or of the application were changed"
        )
        return Found(2, wrong, f"freshd refresh {self._account}; if it is refused too: freshd enrol", "revoked")

    def _off(self, performed: Performed) -> Iterator[Found]:
        """How far the clock is off, if it matters."""
        theirs = date(performed.header("Date")) if isinstance(performed, Reply) else None
        off = 0.0 if theirs is None else self._clock.now().wall - theirs
        if abs(off) > CLOCK_SECONDS:
            way = "ahead of" if off > 0 else "behind"
            wrong = f"this clock is {abs(off):.0f} s {way} the service's; calls are signed by the service's"
            yield Found(1, wrong, "set it: timedatectl set-ntp true", "clock")


def in_between(performed: Performed) -> Found | None:
    """What stands between us and the service, or that it cannot be reached; None where the service itself answered."""
    if not isinstance(performed, Reply):
        cause = "gateway" if performed.reason in BETWEEN else ""
        remedy = "check proxy, ca_file and the network" if cause else "check the network, then try again"
        return Found(2 if cause else 1, f"the service cannot be reached: {performed.reason}", remedy, cause)
    found = object_of(performed)
    if performed.status == 407 or isinstance(found, Foreign) or code_of(found) is None:
        said = "wants a login" if performed.status == 407 else f"answers in its place (status {performed.status})"
        return Found(2, f"something between here and the service {said}", "check base_url, proxy, network", "gateway")
    return None


def _of_app(performed: Performed) -> Found:
    if is_fine(performed):
        return Found(0, "the service accepts app_code, app_secret and the clock")
    code = code_of(answer_in(performed)) or ""
    if code not in REFUSING:
        return Found(1, f"the application could not be checked: {why_not(performed)}", "try again later")
    cause, remedy = REFUSING[code]
    return Found(2, f"the service says {code}: {cause}", remedy, CAUSES[code])

"""Looking for why an account does not work, by the record, by what can be tried here, and by one harmless call (I8).

The call is an introspection of the token in hand, made once: what it said is recalled when the engine asks for the
same token a moment later.  It touches no refresh token.  No sign-in is tried, for each is an attempt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from freshd.core.age import left
from freshd.core.finding import BROKEN, FINE, LOOK
from freshd.core.model import Lease, Record
from freshd.core.outcome import Performed, Reply
from freshd.errors import FreshdError
from freshd.ports import Found
from freshd.providers.cloudbase.case import PUSHED_OUT, REFUSED_PASSWORD, SESSIONLESS, UNCONFIRMED, held
from freshd.providers.cloudbase.client import Client, is_alive, why_not
from freshd.providers.cloudbase.envelope import opened
from freshd.providers.cloudbase.flow import flow_of
from freshd.providers.cloudbase.refusal import STRANGER
from freshd.providers.cloudbase.times import sign_ins
from freshd.providers.cloudbase.ways import Ways
from freshd.providers.form import date, text

RECALL_SECONDS: Final = 10.0
CLOCK_SECONDS: Final = 30.0
"""How far our clock may be off: tickets live for ten minutes."""


class Examination:
    """The examinations of one account."""

    def __init__(self, name: str, client: Client, ways: Ways) -> None:
        self._name = name
        self._client = client
        self._ways = ways
        self._last: tuple[str, float, bool | None] | None = None

    def recalled(self, lease: Lease) -> bool | None:
        """What the service said of this token a moment ago; None where it was not asked, or said nothing."""
        if self._last is None or self._last[0] != lease.fingerprint:
            return None
        return self._last[2] if self._client.deps.clock.boot() - self._last[1] < RECALL_SECONDS else None

    async def of(self, record: Record, subject: str | None) -> Sequence[Found]:
        """Everything that is found."""
        found = [*self._kept(record)]
        try:
            await self._ways.check()
        except FreshdError as error:
            found.append(Found(BROKEN, error.cause, error.remedy, "app-refused"))
        if record.lease is not None:
            found += await self._introspected(record, record.lease, subject)
        return found

    def _kept(self, record: Record) -> Iterator[Found]:
        """What the record itself says."""
        name, flow = self._name, flow_of(record)
        if held(record, PUSHED_OUT) is not None:
            yield Found(
                BROKEN, f"freshd has stopped signing in: {STRANGER}", f"then: freshd enrol {name}", "used-twice"
            )
        if flow is not None:
            yield Found(BROKEN, "a captcha waits for a person", f"freshd enrol {name} shows it")
        if held(record, REFUSED_PASSWORD) is not None:
            text_ = "the service has refused the password; the same one is not presented again"
            yield Found(BROKEN, text_, f"store the right one, then: freshd refresh {name}", "app-refused")
        if held(record, UNCONFIRMED) is not None:
            yield Found(LOOK, "the last renewal brought no refresh token: the one in hand may be over")
        if held(record, SESSIONLESS) is not None:
            yield Found(LOOK, "sign-ins bring no refresh token here: every renewal is a sign-in")
        times = sign_ins(record)
        if times:
            now = self._client.deps.clock.now()
            ago = now.wall - times[-1].wall
            yield Found(FINE, f"freshd last signed in by itself {max(0.0, ago):.0f} s ago")

    async def _introspected(self, record: Record, lease: Lease, subject: str | None) -> Sequence[Found]:
        clock = self._client.deps.clock
        performed = await self._client.deps.http.call(
            self._client.introspection(lease.token, self._client.device(record))
        )
        self._last = (lease.fingerprint, clock.boot(), is_alive(performed))
        return [*self._of_token(performed, left(lease.sent, lease.valid_for, clock.now()), subject, record),
                *_of_clock(performed, clock.now().wall)]  # fmt: skip

    def _of_token(self, performed: Performed, rest: float, subject: str | None, record: Record) -> Iterator[Found]:
        """What the introspection said; `rest`: seconds that the token should have left."""
        alive = is_alive(performed)
        if alive is None:
            yield Found(LOOK, f"the access token in hand could not be tried: {why_not(performed)}")
        elif alive:
            known = subject or (None if record.grant is None else record.grant.binding.subject)
            sub = text(opened(performed).members.get("sub")) if isinstance(performed, Reply) else None
            if known is not None and sub is not None and sub != known:
                remedy = f"correct subject, or enrol as that user: freshd enrol {self._name}"
                yield Found(BROKEN, "the access token in hand is of another user than expected", remedy)
            else:
                yield Found(FINE, "the service says that the access token in hand works")
        elif rest > 0:
            told = f"the access token in hand is dead {rest:.0f} s before its end: signed out, or pushed out"
            remedy = f"end the other program's use, then: freshd enrol {self._name}"
            yield Found(BROKEN, told, remedy, "revoked")


def _of_clock(performed: Performed, wall: float) -> Iterator[Found]:
    """How far the clock is off, if it matters."""
    theirs = date(performed.header("Date")) if isinstance(performed, Reply) else None
    off = 0.0 if theirs is None else wall - theirs
    if abs(off) > CLOCK_SECONDS:
        way = "ahead of" if off > 0 else "behind"
        told = f"this clock is {abs(off):.0f} s {way} the service's"
        yield Found(BROKEN, told, "set it: timedatectl set-ntp true", "clock")

"""Looking for why an account does not work, by calls that spend nothing, renew nothing and count as no attempt (I8).

Rules
-----
* Two calls: one for a token of the app, which tests app_id, app_secret and brand; one that asks who the user is, with
  the access token in hand.  No token endpoint for users is ever asked.
* The secret goes to the configured brand's own domain only, not to the other one to see whether it fits there.
* A refusal of the token in hand before its end says that somebody ended it; not who.  History tells more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from freshd.core.age import left
from freshd.core.model import Record
from freshd.core.outcome import Performed, Remedy, Reply
from freshd.errors import FreshdError
from freshd.ports import Clock, Found
from freshd.providers.feishu.case import FINE, code_of
from freshd.providers.feishu.client import Client, app_token_in, why_not
from freshd.providers.feishu.refusal import APP, BRAND, NO_APP
from freshd.providers.feishu.token import DEAD_CODES, is_alive
from freshd.providers.form import Foreign, date, object_of, text

CLOCK_SECONDS: Final = 30.0
"""How far our clock may be off: beyond it lives and waits come out wrong."""
GONE_CODES: Final = frozenset({"20008", "20021", "20022", "20023", "20066"})
BETWEEN: Final = frozenset({"the proxy does not let the call through", "the certificate is not trusted", "TLS failed"})
"""Reasons of `http` that speak of something between us and the service."""
CHECK_PAIR: Final = "check app_id, app_secret and brand against the app's console"


class Examination:
    """The calls of one examination."""

    def __init__(self, client: Client, clock: Clock, account: str) -> None:
        self._client = client
        self._clock = clock
        self._account = account

    async def app(self, kind: str) -> Sequence[Found]:
        """What the service says of the app; `kind`: of the token asked for, "tenant" or "app"."""
        try:
            call = await self._client.app_call(kind)
        except FreshdError as error:
            return [Found(2, error.cause, error.remedy)]
        performed = await self._client.http.call(call)
        between = in_between(performed)
        if between is not None:
            return [between]
        if app_token_in(performed, f"{kind}_access_token") is not None:
            return [Found(0, "the service accepts app_id and app_secret"), *self._off(performed)]
        return [_refused(performed), *self._off(performed)]

    async def user(self, record: Record, subject: str | None) -> Sequence[Found]:
        """What the token in hand tells of its user.  What stands in between was told by `app`."""
        lease = record.lease
        if lease is None:
            return []
        performed = await self._client.http.call(self._client.user_call(lease.token))
        if in_between(performed) is not None:
            return []
        known = None if record.grant is None else record.grant.binding.subject
        if is_alive(performed):
            return [self._whose(_answer(performed), subject or known)]
        return [self._why_refused(performed, left(lease.sent, lease.valid_for, self._clock.now()))]

    def _why_refused(self, performed: Performed, rest: float) -> Found:
        """What it means that the token does not work; `rest`: seconds it should have left."""
        code = code_of(_answer(performed))
        if code in GONE_CODES:
            wrong = f"the user has left, is frozen or does not exist ({code})"
            remedy = f"have the user's account repaired, or enrol another: freshd enrol {self._account}"
            return Found(2, wrong, remedy, "user-gone")
        if code not in DEAD_CODES:
            return Found(1, f"the access token in hand could not be tried: {why_not(performed)}")
        if rest <= 0:
            return Found(1, "the access token in hand is over, and tells nothing")
        wrong = f"the access token in hand is refused {rest:.0f} s before its end: somebody renewed or ended it"
        return Found(2, wrong, f"end the other program's use, then: freshd enrol {self._account}", "revoked")

    def _whose(self, answer: Mapping[str, Any], expected: str | None) -> Found:
        inner = answer.get("data")
        user = text(inner.get("open_id")) if isinstance(inner, dict) else None
        if expected is None or user is None or user == expected:
            return Found(0, "the access token in hand works: the user is there and may use the app")
        remedy = f"correct subject, or enrol as that user: freshd enrol {self._account}"
        return Found(2, "the access token in hand is of another user than subject says", remedy)

    def _off(self, performed: Performed) -> Sequence[Found]:
        """How far the clock is off, if it matters."""
        theirs = date(performed.header("Date")) if isinstance(performed, Reply) else None
        off = 0.0 if theirs is None else self._clock.now().wall - theirs
        if abs(off) <= CLOCK_SECONDS:
            return []
        way = "ahead of" if off > 0 else "behind"
        wrong = f"this clock is {abs(off):.0f} s {way} the service's"
        return [Found(2, wrong, "set it: timedatectl set-ntp true", "clock")]


def in_between(performed: Performed) -> Found | None:
    """What stands between us and the service, or that it cannot be reached; None where the service itself answered."""
    if not isinstance(performed, Reply):
        cause = "gateway" if performed.reason in BETWEEN else ""
        remedy = "check proxy, ca_file and the network" if cause else "check the network, then try again"
        return Found(2 if cause else 1, f"the service cannot be reached: {performed.reason}", remedy, cause)
    if performed.status == 407 or isinstance(object_of(performed), Foreign):
        said = "wants a login" if performed.status == 407 else f"answers in its place (status {performed.status})"
        return Found(2, f"something between here and the service {said}", "check proxy and the network", "gateway")
    return None


def _refused(performed: Performed) -> Found:
    code = code_of(_answer(performed)) or FINE
    word = text(_answer(performed).get("error"))
    verdict = APP.get(code)
    if verdict in (BRAND, NO_APP):
        return Found(2, f"the service says {code}: {verdict.hint}", 'write brand = "…"', "wrong-app")
    if (verdict is not None and verdict.remedy is Remedy.CONFIG) or (code == FINE and word == "invalid_client"):
        said = word if verdict is None else f"{code}: {verdict.hint}"
        return Found(2, f"the service refuses the app ({said})", CHECK_PAIR, "app-refused")
    return Found(1, f"the app could not be checked: {why_not(performed)}", "try again later")


def _answer(performed: Performed) -> Mapping[str, Any]:
    found = object_of(performed) if isinstance(performed, Reply) else Foreign()
    return {} if isinstance(found, Foreign) else found

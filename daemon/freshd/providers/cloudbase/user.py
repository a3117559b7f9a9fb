"""Users of a CloudBase environment: sessions whose refresh token works once, and ways to sign in again.

Rungs, top to bottom
-----
    refresh       presents the refresh token
    renew         signs in, where the last sign-in brought no refresh token     } automatic; paced, and counted over
    signin        signs in again, when the refresh token is no longer good      } restarts
    signin-again, captcha-check, captcha, code-check, signin-code               a person's (`enrol`)

A sign-in ends the oldest session of the user, as a rule the only one.  So it is never made while a refresh may still
work, never while a captcha waits for a person, and never again once somebody else was found to sign in too.  What it
presents is not used up, so a lost answer to it is no doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from freshd.core.contract import Contract, Reuse
from freshd.core.ladder import Ladder, Rung
from freshd.core.model import Change, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Judged, NotSent, Performed, Reply
from freshd.core.pace import Pace
from freshd.errors import FreshdError, NotPossible
from freshd.ports import Asked, Found
from freshd.providers.base import Base
from freshd.providers.cloudbase.adopt import adopt
from freshd.providers.cloudbase.case import (
    API_VERSION,
    CAPTCHA,
    CAPTCHA_CHECK,
    CAPTCHA_STEP,
    CODE_CHECK,
    DEVICE_ID,
    PUSHED_OUT,
    REFRESH,
    REFRESH_TOKEN,
    RENEW,
    REQUEST_ID,
    SESSIONLESS,
    SIGNIN,
    SIGNIN_AGAIN,
    SIGNIN_CODE,
    held,
)
from freshd.providers.cloudbase.challenge import PICTURE_TOKEN, USED
from freshd.providers.cloudbase.client import Captcha, Client, is_alive, new_id, why_not
from freshd.providers.cloudbase.codes import ID
from freshd.providers.cloudbase.enrol import CODED, Steps
from freshd.providers.cloudbase.envelope import opened
from freshd.providers.cloudbase.examine import Examination
from freshd.providers.cloudbase.explain import explained, is_dead
from freshd.providers.cloudbase.flow import Flow, flow_of
from freshd.providers.cloudbase.options import Options
from freshd.providers.cloudbase.pasted import problem_of, token_in
from freshd.providers.cloudbase.read import read
from freshd.providers.cloudbase.rules import SIGNING_IN
from freshd.providers.cloudbase.service import CAPTCHA_VERIFY, TOKEN, VERIFY
from freshd.providers.cloudbase.ways import Presented, Ways
from freshd.providers.deps import Deps
from freshd.providers.http import Call

PRESENTING: Final = frozenset({RENEW, SIGNIN, SIGNIN_AGAIN, SIGNIN_CODE, CAPTCHA_STEP})
"""Rungs that sign in."""
OVER: Final = "this captcha is answered already, or nothing waits for it any more"
TYPED_MOST: Final = 64


class User(Base):
    """One user's account (`ports.Provider`)."""

    def __init__(self, name: str, options: Options, contract: Contract, deps: Deps) -> None:
        self._options = options
        self._deps = deps
        self._client = Client(options, deps)
        self._ways = Ways(self._client)
        self._steps = Steps(name, self._client)
        self._terms = options.terms(contract)
        self._ready: dict[str, Presented | str] = {}
        self._examination = Examination(name, self._client, self._ways)
        super().__init__(name, ladder_of(options), self._terms.contract, self._terms.binding)

    def paces(self, rung: str) -> Sequence[tuple[str, Pace]]:
        return self._options.paces(self.account, rung)

    async def prepare(self, rung: str, record: Record) -> Mapping[str, Secret]:
        """What the call presents, made fresh; of it only what tells the request and the password reach the intent."""
        material = {REQUEST_ID: Secret(new_id())}
        if rung in (CAPTCHA_CHECK, CAPTCHA_STEP):
            _must_wait(flow_of(record), self._deps.clock.now(), is_check=rung == CAPTCHA_CHECK)
        if rung == REFRESH:
            self._ready[rung] = await self._client.secret()
        if rung not in PRESENTING:
            return material
        presented = await self._ways.presented(record)
        self._ready[rung] = presented
        bound = {"origin": Secret(self.binding.origin), "client_id": Secret(self.binding.client_id)}
        device = {DEVICE_ID: Secret(self._client.device(record, is_new=True))}
        return {**material, **bound, **device, **presented.material}

    async def perform(self, rung: str, record: Record, intent: Intent) -> Performed:
        call = self._call(rung, record, intent)
        return call if isinstance(call, NotSent) else await self._deps.http.call(call)

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        return read(rung, record, intent, reply, self._terms)

    async def probe(self, lease: Lease) -> bool | None:
        """The service's own word on the token; what an examination was told a moment ago is not asked again."""
        known = self._examination.recalled(lease)
        if known is not None:
            return known
        call = self._client.introspection(lease.token, self._client.device(Record(self.account)))
        return is_alive(await self._deps.http.call(call))

    def is_dead(self, status: int | None, code: str | None) -> bool:
        return is_dead(status, code)

    async def ask(self, flow: str, redirect_uri: str | None, record: Record, *, consent: bool = False) -> Asked:
        if flow != "auto":
            raise NotPossible("this account is not enrolled this way", f"freshd enrol {self.account}, without options")
        return await self._steps.ask(redirect_uri, record, consent=consent)

    def adopt(self, given: Mapping[str, Secret], now: Moment, lineage: str) -> Change:
        return adopt(self.account, given, now, lineage, self._terms)

    async def examine(self, record: Record) -> Sequence[Found]:
        return await self._examination.of(record, self._options.subject)

    def explain(self, code: str) -> Found | None:
        return explained(self.account, code)

    async def revoke(self, record: Record) -> str:
        """Sign out, in both forms at once.  That the refresh token ends with it is likely, and said nowhere."""
        if record.lease is None:
            raise NotPossible(
                "there is no access token to sign out with", f"freshd refresh {self.account}, then revoke again"
            )
        if record.grant is not None and not record.grant.binding.fits(self.binding):
            raise NotPossible("the session belongs to another environment, client or user", "see freshd explain")
        call = self._client.farewell(record.lease.token, self._client.device(record))
        performed = await self._deps.http.call(call)
        said = opened(performed) if isinstance(performed, Reply) else None
        if said is None or said.code is not None or not _is_yes(performed):
            raise FreshdError(
                f"the service did not sign out: {why_not(performed)}", "try again, or end it in the console"
            )
        return "signed out: the access token is revoked, and by all signs the session with it"

    # -- the one call -----------------------------------------------------------------------------------------------

    def _call(self, rung: str, record: Record, intent: Intent) -> Call | NotSent:
        """What the rung sends."""
        ready = self._ready.pop(rung, None)
        if rung == REFRESH and isinstance(ready, str):
            return self._refreshing(record, intent, ready)
        if rung in PRESENTING and isinstance(ready, Presented):
            return self._signing_in(rung, record, intent, ready)
        if rung == CAPTCHA_CHECK:
            return self._checking(record, intent)
        if rung == CODE_CHECK:
            return self._verifying(record, intent)
        return NotSent(f"nothing was prepared for {rung}")

    def _refreshing(self, record: Record, intent: Intent, secret: str) -> Call | NotSent:
        token, version = held(record, REFRESH_TOKEN), held(record, API_VERSION)
        if record.grant is None or token is None:
            return NotSent("there is no refresh token")
        if not record.grant.binding.fits(self.binding):
            return NotSent("the session belongs to another environment, client or user")
        if version is not None and version.reveal() != self._options.api_version:
            return NotSent("the session is of a generation that freshd does not speak")
        body = {"grant_type": "refresh_token", "client_id": self._options.client, "client_secret": secret,
                "refresh_token": token.reveal()}  # fmt: skip
        flow = flow_of(record)
        passed = flow if flow is not None and flow.operation == REFRESH else None
        return self._post(TOKEN, body, record, intent, captcha=self._captcha(passed, intent))

    def _signing_in(self, rung: str, record: Record, intent: Intent, ready: Presented) -> Call | NotSent:
        captcha = None
        if rung == CAPTCHA_STEP:
            flow = flow_of(record)
            wrong = problem_of(intent.material) or _is_late(flow, intent.material)
            captcha = None if wrong else self._captcha(flow, intent)
            if captcha is None:
                return NotSent(wrong or "the captcha's answer is over: begin again")
            self._steps.challenges.close()
        return self._post(ready.path, ready.body, record, intent, captcha=captcha)

    def _checking(self, record: Record, intent: Intent) -> Call | NotSent:
        typed, token = _typed(intent), intent.material.get(PICTURE_TOKEN)
        wrong = _is_late(flow_of(record), intent.material)
        if wrong or typed is None or token is None:
            return NotSent(wrong or "there is no answer to the captcha")
        self._steps.challenges.close()
        return self._post(CAPTCHA_VERIFY, {"token": token.reveal(), "key": typed}, record, intent)

    def _verifying(self, record: Record, intent: Intent) -> Call | NotSent:
        typed, name = _typed(intent), intent.material.get(ID)
        if typed is None or name is None:
            return NotSent("there is no code")
        return self._post(VERIFY, {"verification_id": name.reveal(), "verification_code": typed}, record, intent)

    def _captcha(self, flow: Flow | None, intent: Intent) -> Captcha | None:
        """The token to hand over, and how; None where none is in hand."""
        token = None if flow is None else token_in(intent.material, flow, intent.sent)
        if flow is None or token is None:
            return None
        only = {"query": "query", "header": "header"}.get(self._options.captcha_token_in)
        return Captcha(token.token, only or flow.way)

    def _post(
        self, path: str, body: Mapping[str, object], record: Record, intent: Intent, *, captcha: Captcha | None = None
    ) -> Call:
        given, sent = intent.material.get(DEVICE_ID), intent.material.get(REQUEST_ID)
        device = self._client.device(record) if given is None else given.reveal()
        request_id = None if sent is None else sent.reveal()
        return self._client.post(path, body, device, captcha=captcha, request_id=request_id)


def ladder_of(options: Options) -> Ladder:
    """The rungs of an account."""
    refresh = Rung(REFRESH, frozenset({REFRESH_TOKEN}), pace=options.pace(REFRESH))
    barred = frozenset({CAPTCHA, PUSHED_OUT})
    automatic = (
        Rung(
            name, needs, budgeted=True, ends_session=True, unless=barred, reuse=Reuse.REUSABLE, pace=options.pace(name)
        )
        for name, needs in ((RENEW, frozenset({SESSIONLESS})), (SIGNIN, frozenset[str]()))
    )
    person = {
        **dict.fromkeys(SIGNING_IN, (SIGNIN_AGAIN, CAPTCHA_CHECK, CAPTCHA_STEP)),
        **dict.fromkeys(CODED, (CODE_CHECK, SIGNIN_CODE, CAPTCHA_CHECK, CAPTCHA_STEP)),
    }.get(options.method, (CAPTCHA_CHECK,))
    return (
        refresh,
        *(automatic if options.method in SIGNING_IN else ()),
        *(Rung(name, person=True, reuse=Reuse.REUSABLE, pace=options.pace(name)) for name in person),
    )


def _must_wait(flow: Flow | None, now: Moment, *, is_check: bool) -> None:
    """Raise where nothing waits for the answer of a captcha: another operator was faster."""
    if flow is None or flow.rest(now) > 0 or (is_check and flow.is_passed(now)):
        raise NotPossible(OVER, "see freshd status")


def _is_late(flow: Flow | None, material: Mapping[str, Secret]) -> str | None:
    """Why an answer is not for the challenge that is open now; None where it is."""
    if flow is None:
        return OVER
    used = material.get(USED)
    return None if used is None or used.reveal() == str(flow.used) else "another challenge is open by now"


def _typed(intent: Intent) -> str | None:
    """What a person typed in; None for what is none."""
    given = intent.material.get("code", Secret("")).reveal().strip()
    return given if given and given.isprintable() and len(given) <= TYPED_MOST else None


def _is_yes(performed: Performed) -> bool:
    """Any JSON is a yes, and so is an empty body."""
    if not isinstance(performed, Reply) or performed.status not in range(200, 300):
        return False
    return opened(performed).foreign is None or (performed.complete and not performed.body.strip())

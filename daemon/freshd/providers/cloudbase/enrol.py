"""What a person is asked to do, by how the account stands: a captcha first, then what the method wants.

Steps
-----
    captcha-check   the characters of a picture; brings a token         }
    captcha         the step that was held up, with that token, or with the address at which a page's check ended
    code-check      the code of an SMS or e-mail; brings a token
    signin-code     the sign-in with it, at once
    signin-again    the sign-in that freshd makes by itself, at once, because a person wants it

One step leads to the next, so a person sees one dialogue.  What WeChat or a QR code opens needs their own programs: a
person signs in there, and the refresh token is imported.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from freshd.core.model import Record
from freshd.errors import NotPossible
from freshd.ports import Asked
from freshd.providers.cloudbase.case import CAPTCHA_STEP, REFRESH, SIGNIN_AGAIN, SIGNIN_CODE
from freshd.providers.cloudbase.challenge import Challenges
from freshd.providers.cloudbase.client import Client
from freshd.providers.cloudbase.codes import CaptchaFirst, Codes
from freshd.providers.cloudbase.flow import VERIFICATION, Flow, flow_of, verified_of
from freshd.providers.cloudbase.rules import SIGNING_IN

CODED = frozenset({"sms", "email"})


class Steps:
    """The steps of one account."""

    def __init__(self, name: str, client: Client) -> None:
        self._name = name
        self._client = client
        self.challenges = Challenges(name, client)
        self._codes = Codes(name, client)

    async def ask(self, redirect_uri: str | None, record: Record, *, consent: bool) -> Asked:
        """The step that is due.  Raises FreshdError."""
        now, method, flow = self._client.deps.clock.now(), self._client.options.method, flow_of(record)
        if flow is not None and flow.rest(now) > 0:
            raise NotPossible(
                "the captcha was answered wrongly twice, or its answer was not taken",
                f"wait {flow.rest(now):.0f} s, then: freshd enrol {self._name}",
            )
        flow = flow if flow is None or flow.rests is None else Flow(flow.operation)
        sends = flow is not None and flow.operation == VERIFICATION and flow.is_passed(now)
        if flow is not None and not sends:
            return await self._held_up(flow, redirect_uri, record)
        if method in SIGNING_IN:
            return _at_once(SIGNIN_AGAIN)
        if method not in CODED:
            raise NotPossible(
                "freshd cannot sign in this way: a person does, in the vendor's own program or page",
                f"sign in there, stop that program, then: freshd enrol {self._name} --import < REFRESH-TOKEN",
            )
        checked = verified_of(record)
        if checked is not None and checked.left(now) > 0:
            return _at_once(SIGNIN_CODE)
        try:
            return await self._codes.ask(record, flow, consent=consent)
        except CaptchaFirst as error:
            return await self.challenges.ask(_next(flow, is_bad=error.is_bad), redirect_uri, record)

    async def _held_up(self, flow: Flow, redirect_uri: str | None, record: Record) -> Asked:
        if not flow.is_passed(self._client.deps.clock.now()):
            return await self.challenges.ask(flow, redirect_uri, record)
        if flow.operation == REFRESH:
            raise NotPossible("the captcha is passed", f"freshd refresh {self._name}")
        return _at_once(CAPTCHA_STEP)


def _next(flow: Flow | None, *, is_bad: bool) -> Flow:
    """The captcha before a code is sent; one whose token was not taken counts as refused."""
    if flow is None:
        return Flow(VERIFICATION)
    used = flow.used + is_bad
    if used > 1:
        raise NotPossible("the captcha's answer was not taken twice", "wait ten minutes, then enrol again")
    return replace(flow, used=used, passed=None)


def _at_once(rung: str) -> Asked:
    return Asked("", MappingProxyType({}), interval=1.0, expires_in=300.0, rung=rung)

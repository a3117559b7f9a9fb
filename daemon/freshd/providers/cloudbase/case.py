"""Names of rungs and secrets, and one reply with everything that it is read against.  Pure and total."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from freshd.core.model import Grant, Intent, Record, Secret
from freshd.core.outcome import Reply
from freshd.providers.cloudbase.envelope import opened
from freshd.providers.cloudbase.flow import CAPTCHA, VERIFIED
from freshd.providers.cloudbase.times import SIGN_INS
from freshd.providers.cloudbase.unknowns import REFRESH_SECONDS
from freshd.providers.oauth2 import case as oauth2
from freshd.providers.oauth2.case import ISSUE, REFRESH, REFRESH_TOKEN

__all__ = ["API_VERSION", "AUTOMATIC", "CAPTCHA", "CAPTCHA_CHECK", "CAPTCHA_STEP", "CODE_CHECK", "DEVICE_ID", "ISSUE",
           "KIND", "PASSWORD_MARK", "PUSHED_OUT", "REFRESH", "REFRESH_TOKEN", "REFUSED_PASSWORD", "REFUSED_TOKEN",
           "RENEW", "REQUEST_ID", "SESSIONLESS", "SIGNIN", "SIGNINS_DAILY", "SIGNIN_AGAIN", "SIGNIN_CODE", "SIGN_INS",
           "UNCONFIRMED", "VERIFIED", "WRONG_CODES", "Case", "Terms", "case_of", "held"]  # fmt: skip

KIND: Final = "cloudbase"

RENEW: Final = "renew"
SIGNIN: Final = "signin"
SIGNIN_AGAIN: Final = "signin-again"
SIGNIN_CODE: Final = "signin-code"
CODE_CHECK: Final = "code-check"
CAPTCHA_STEP: Final = "captcha"
CAPTCHA_CHECK: Final = "captcha-check"
AUTOMATIC: Final = frozenset({RENEW, SIGNIN})
"""Sign-ins that nobody asked for."""

DEVICE_ID: Final = "device_id"
API_VERSION: Final = "api_version"
UNCONFIRMED: Final = "unconfirmed"
"""Held while the refresh token is one that a renewal did not replace: it may be over."""
SESSIONLESS: Final = "sessionless"
"""Held while the last sign-in brought no refresh token: signing in is the only way to renew."""
PUSHED_OUT: Final = "pushed_out"
"""Held since somebody else was found to sign in with the account: no sign-in without a person."""
REFUSED_TOKEN: Final = "refused_refresh_token"
"""The refresh token that was refused then: kept, presented nowhere."""
REFUSED_PASSWORD: Final = "refused_password"
"""What tells the password that was refused from another one."""

WRONG_CODES: Final = "wrong_codes"
"""How many wrong codes were typed in, of which verification: [id, count]."""

SIGNINS_DAILY: Final = 5
PASSWORD_MARK: Final = "password_mark"
REQUEST_ID: Final = "request_id"
"""Material: what tells the password presented, and the id of the request, for people."""


@dataclass(frozen=True, slots=True)
class Terms(oauth2.Terms):
    """What reading needs to know of the account.

    method        how it signs in
    refresh_life  seconds a refresh token lives
    has_signin    whether freshd can sign in by itself
    scope         what is expected to be granted
    tries_header  whether a captcha's token that was not taken in the query is handed over in the header
    service       the service, where a refusal is not this account's alone
    signin_daily  how many automatic sign-ins there may be in 24 h
    """

    method: str = "import"
    refresh_life: float = REFRESH_SECONDS
    has_signin: bool = False
    scope: str = ""
    tries_header: bool = True
    service: str = ""
    signin_daily: int = SIGNINS_DAILY


@dataclass(frozen=True, slots=True)
class Case(oauth2.Case):
    """One reply.  code: of the refusal; foreign: why it is not the service's own word."""

    terms: Terms
    code: str | None = None
    foreign: str | None = None

    @property
    def old(self) -> Grant | None:
        """The grant that goes on; none when a person begins a new lineage."""
        return self.record.grant if self.rung in (REFRESH, *AUTOMATIC) else None


def case_of(rung: str, record: Record, intent: Intent, reply: Reply, terms: Terms) -> Case:
    """The reply in one form.  A status that speaks against a body with a token in it is not believed."""
    said = opened(reply)
    is_yes = reply.status in range(200, 300) or bool(said.members.get("access_token"))
    is_success = is_yes and said.code is None and said.foreign is None
    return Case(rung, record, intent, reply, terms, said.members, is_success, said.code, said.foreign)


def held(record: Record, name: str) -> Secret | None:
    """A secret of the grant."""
    return None if record.grant is None else record.grant.secrets.get(name)

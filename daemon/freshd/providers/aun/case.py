"""Names of rungs and secrets, and one answer in the form that reading needs.  Pure and total.

Rules
-----
* A pre-auth call is answered by one frame: a JSON object with `result` or `error`.  `error` wins where both are there.
* A `result` whose `success` is false is a refusal.
* What is whole of a frame that was cut is used, also inside `result`, for a token in it may be the only one left (I3).
* A reply whose first header is `FAULT` was judged on this machine: the service's first answer to a login did not prove
  that it comes from the service.  Frames have no headers, so no service can write one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from freshd.core.model import Binding, Intent, Record, Secret
from freshd.core.outcome import Reply
from freshd.core.profile import Margins
from freshd.providers.aun.unknowns import CHAIN_REFRESHES, CHAIN_SECONDS
from freshd.providers.form import Foreign, fragment_of, object_of
from freshd.providers.oauth2 import case as oauth2
from freshd.providers.oauth2.case import REFRESH, REFRESH_TOKEN

__all__ = ["ADOPT", "CANDIDATE_KEY", "CANDIDATE_SINCE", "CERTIFICATE", "CHAIN", "CREATE", "CURRENT", "FAULT",
           "GATEWAYS", "ISSUERS", "LOGIN", "LOGIN1", "NONCE", "PRIVATE_KEY", "REFRESH", "REFRESH_TOKEN", "REKEY",
           "RENEW", "REQUEST_ID", "REVOKED", "SETTLE", "UNREACHED", "UNSENT", "Case", "Terms", "case_of",
           "held"]  # fmt: skip

LOGIN: Final = "login"
SETTLE: Final = "settle-key"
RENEW: Final = "renew"
CREATE: Final = "create"
ADOPT: Final = "adopt-certificate"
REKEY: Final = "rekey"

PRIVATE_KEY: Final = "private_key"
CERTIFICATE: Final = "certificate"
CANDIDATE_KEY: Final = "candidate_key"
"""A new key whose registration was begun; `candidate_since`: when, as seconds since 1970."""
CANDIDATE_SINCE: Final = "candidate_since"
CURRENT: Final = "current_certificate"
"""There while nothing is to be done about key or certificate; its value: seconds since 1970 before which nothing is."""
CHAIN: Final = "chain"
"""How often tokens were refreshed since the last login, and when that was."""

GATEWAYS: Final = "gateways"
UNSENT: Final = "unsent"
LOGIN1: Final = "login1"
REQUEST_ID: Final = "request_id"
NONCE: Final = "nonce"
ISSUERS: Final = "issuers"
"""The issuer's chain, found good up to a trusted root before the call."""
REVOKED: Final = "revoked"
"""Serial numbers that the issuer has revoked, in hexadecimal."""
UNREACHED: Final = "unreached"
"""The fault of an issuer that was not there when key or certificate were looked after for their own sake."""
FAULT: Final = "freshd-fault"
"""Name of the header that says what did not prove true of the service.  Ours, never the service's."""


@dataclass(frozen=True, slots=True)
class Terms(oauth2.Terms):
    """What reading needs to know of the account.

    most_refreshes, chain_seconds  refreshes, and age of the last login, at which the next renewal is a login
    """

    aid: str = ""
    margins: Margins = field(default_factory=Margins)
    most_refreshes: int = CHAIN_REFRESHES
    chain_seconds: float = CHAIN_SECONDS


@dataclass(frozen=True, slots=True)
class Case(oauth2.Case):
    """One reply with everything that it is read against.

    error    the refusal in it, None where there is none
    foreign  why the reply is not the service's own word; None where it is
    fault    what did not prove true of the service, None where nothing did not
    limits   the account's terms
    """

    error: Mapping[str, Any] | None = None
    foreign: str | None = None
    fault: str | None = None
    limits: Terms = field(default_factory=lambda: Terms(Binding("aun", "", "")))

    @property
    def secrets(self) -> Mapping[str, Secret]:
        """What the grant holds."""
        return {} if self.record.grant is None else self.record.grant.secrets


def case_of(rung: str, record: Record, intent: Intent, reply: Reply, terms: Terms) -> Case:
    """The reply in one form."""
    fault = reply.headers[0][1] if reply.headers and reply.headers[0][0] == FAULT else None
    found = object_of(reply)
    if isinstance(found, Foreign):
        whole = MappingProxyType({}) if reply.complete else _fragment(reply)
        return Case(rung, record, intent, reply, terms, whole, False, None, str(found), fault, terms)  # noqa: FBT003
    result, error = found.get("result"), found.get("error")
    answer = result if isinstance(result, dict) else {}
    if error is not None and not isinstance(error, dict):
        error = {"code": error}
    if error is None and answer.get("success") is False:
        error = {**answer, "code": answer.get("error")}
    foreign = None if isinstance(result, dict) or error is not None else "neither result nor error in the frame"
    is_success = reply.complete and error is None and foreign is None and fault is None
    return Case(rung, record, intent, reply, terms, answer, is_success, error, foreign, fault, terms)


def held(secrets: Mapping[str, Secret], name: str) -> str | None:
    """A secret in the clear, None where it is not held."""
    secret = secrets.get(name)
    return None if secret is None else secret.reveal()


def _fragment(reply: Reply) -> Mapping[str, Any]:
    """What arrived whole of the result in a frame that was cut."""
    at = reply.body.find(b'"result"')
    begin = reply.body.find(b"{", at) if at >= 0 else -1
    return {} if begin < 0 else fragment_of(replace(reply, body=reply.body[begin:]))

"""One reply of the service, in the one form that reading needs.  Pure and total.

Rules
-----
* `code` decides, whether it came as a number or as text; `msg` is never looked at, for the service rewrites it.
* A success is HTTP 2xx and `code` 0.  An object without a code is not this service's.
* What is whole of a reply that broke off is used, also inside `data` (see `form`).
* Names differ between the service's calls, and between its program and its page: the first that is there is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from freshd.core.model import Grant, Intent, Record
from freshd.core.outcome import Reply
from freshd.providers.form import Foreign, bearer, fragment_of, object_of, plain
from freshd.providers.geniusauth.claims import claims
from freshd.providers.geniusauth.options import LONGEST_SECONDS
from freshd.providers.oauth2 import case as oauth2
from freshd.providers.oauth2.case import REFRESH, REFRESH_TOKEN

__all__ = ["FINE", "LOGIN", "PATCH", "PAYLOAD", "REFRESH", "REFRESH_TOKEN", "SIGNED", "USER_NAMES", "Case", "Terms",
           "case_of", "code_of", "first", "present_payload"]  # fmt: skip

PATCH: Final = "patch"
LOGIN: Final = "login"
PAYLOAD: Final = "payload"
"""A rung, and the secret under which the grant keeps the payload that its tokens carry."""
SIGNED: Final = "signed"
"""Material of a login: a signed call worked just before it."""
ACCESS_NAMES: Final = ("access_token", "accessToken")
REFRESH_NAMES: Final = ("refreshToken", "refresh_token")
USER_NAMES: Final = ("userID", "uid", "id")
FINE: Final = "0"
ODD: Final = "(odd)"
"""A code that is neither a number nor a text."""
DIGITS: Final = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Terms(oauth2.Terms):
    """What reading needs to know of the account.  place: the service's host; valid: seconds asked for at a login."""

    place: str = ""
    valid: int = LONGEST_SECONDS
    is_signed: bool = True
    patch_fallback: bool = False


@dataclass(frozen=True, slots=True)
class Case(oauth2.Case):
    """One reply with everything that it is read against.

    terms    those of this kind
    code     the service's own, digits as text; None where it gave none
    foreign  why the reply is no JSON object; None where it is one
    """

    terms: Terms
    code: str | None = None
    foreign: str | None = None

    @property
    def old(self) -> Grant | None:
        """The grant that goes on or is changed; none where a person logs in anew."""
        return None if self.rung == LOGIN else self.record.grant

    @property
    def presented(self) -> str | None:
        """The refresh token that was sent."""
        token = None if self.old is None else self.old.secrets.get(REFRESH_TOKEN)
        return None if token is None else token.reveal()

    @property
    def access_token(self) -> str | None:
        """An access token that can be handed out."""
        return bearer(first(self.answer, ACCESS_NAMES))

    @property
    def refresh_token(self) -> str | None:
        """A refresh token that can be kept."""
        return plain(first(self.answer, REFRESH_NAMES))

    @property
    def users(self) -> Sequence[str]:
        """Whom the answer is for, by its own word first, then by its tokens."""
        return [*dict.fromkeys(_users(self))]


def case_of(rung: str, record: Record, intent: Intent, reply: Reply, terms: Terms) -> Case:
    """The reply in one form."""
    found = object_of(reply)
    is_broken = isinstance(found, Foreign) and not reply.complete
    whole = _fragment(reply) if is_broken else {} if isinstance(found, Foreign) else found
    inner = whole.get("data")
    code = code_of(whole)
    is_success = reply.status in range(200, 300) and not is_broken and code == FINE
    why = str(found) if isinstance(found, Foreign) else None
    members = inner if isinstance(inner, dict) else whole
    return Case(rung, record, intent, reply, terms, members, is_success, code, why)


def code_of(answer: Mapping[str, Any]) -> str | None:
    """The code, as text without needless zeros; None where there is none."""
    code = answer.get("code")
    if code is None:
        return None
    if isinstance(code, float) and code.is_integer():
        code = int(code)
    if isinstance(code, bool) or not isinstance(code, int | str):
        return ODD
    written = str(code).strip()
    return str(int(written)) if DIGITS.fullmatch(written) else written or None


def first(answer: Mapping[str, Any], names: Sequence[str]) -> object:
    """The first of these members that is there and not empty."""
    return next((answer[name] for name in names if answer.get(name) not in (None, "")), None)


def present_payload(grant: Grant | None) -> str:
    """What the grant's tokens carry: by the refresh token itself, else by what was kept beside it; "" for nothing."""
    if grant is None or REFRESH_TOKEN not in grant.secrets:
        return ""
    told = claims(grant.secrets[REFRESH_TOKEN].reveal())
    kept = grant.secrets.get(PAYLOAD)
    return told.payload if told.is_readable or kept is None else kept.reveal()


def _users(case: Case) -> Iterator[str]:
    named = plain(first(case.answer, USER_NAMES))
    told = (claims(token).uid for token in (case.refresh_token, case.access_token))
    yield from (user for user in (named, *told) if user is not None)


def _fragment(reply: Reply) -> Mapping[str, Any]:
    """What arrived whole, of the object and of the one inside it."""
    outer = fragment_of(reply)
    at = reply.body.find(b'"data"')
    if at < 0 or "data" in outer:
        return outer
    begin = reply.body.find(b"{", at)
    inner = {} if begin < 0 else fragment_of(replace(reply, body=reply.body[begin:]))
    return {**inner, **outer}

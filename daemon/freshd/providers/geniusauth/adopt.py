"""What was obtained elsewhere becomes a grant: a refresh token of another program, perhaps with an access token.

Names: `refresh_token`, `access_token`.  Both are JWTs, so they tell their own ends, their user and their payload.

Rules
-----
* What cannot be a token, is one of the other sort, or belongs to another application or user, is refused by its name.
* The service looks up no application when a payload is changed or a grant is ended, so that is looked at here.
* An end that has passed is no reason to refuse a refresh token: clocks err, and the first renewal will tell.
* When the person logged in is not told; the end counts from the import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from freshd.core.contract import Contract
from freshd.core.model import Change, Grant, Lease, Moment, Secret
from freshd.errors import NotPossible
from freshd.providers.form import bearer
from freshd.providers.geniusauth.case import PAYLOAD, REFRESH_TOKEN
from freshd.providers.geniusauth.claims import LONGEST_GRANT_SECONDS, LONGEST_LEASE_SECONDS, Claims, claims
from freshd.providers.geniusauth.options import Options

ACCESS_TOKEN: Final = "access_token"
SORTS: Final[Mapping[str, str]] = MappingProxyType({REFRESH_TOKEN: "refresh", ACCESS_TOKEN: "access"})
QUOTES: Final = "\"'`"
Given = Mapping[str, Secret]


def adopt(account: str, given: Given, now: Moment, lineage: str, terms: tuple[Options, Contract]) -> Change:
    """The change that the secrets come to.  Raises NotPossible."""
    options, contract = terms
    if REFRESH_TOKEN not in given:
        raise NotPossible("there is no refresh token among it", f"this account takes {REFRESH_TOKEN}")
    token = _token(given, REFRESH_TOKEN, options)
    told = claims(token)
    payload = {PAYLOAD: Secret(told.payload)} if told.payload else {}
    grant = Grant(
        lineage=lineage,
        binding=replace(options.binding, subject=told.uid or options.subject),
        secrets=MappingProxyType({REFRESH_TOKEN: Secret(token), **payload}),
        obtained=now,
        enrolled=now,
        absolute_for=_left(told, now, LONGEST_GRANT_SECONDS) or contract.absolute_life,
    )
    return Change(account, grant=grant, lease=_lease(account, given, now, told, options))


def _token(given: Given, name: str, options: Options) -> str:
    token = bearer(given[name].reveal().strip())
    if token is None or token[0] in QUOTES or token[-1] in QUOTES:
        raise NotPossible(f"{name} cannot be a token", "give it alone: one line, without quotes and blanks")
    told = claims(token)
    if told.kind is not None and told.kind.lower() != SORTS[name]:
        raise NotPossible(f"{name} is a token of another sort", f"give the {SORTS[name]} token")
    if told.app_code not in (None, options.app_code):
        raise NotPossible(f"{name} belongs to another application", "give one of the application that app_code names")
    if options.subject is not None and told.uid not in (None, options.subject):
        raise NotPossible(f"{name} belongs to another user", "correct subject, or give a token of that user")
    return token


def _left(told: Claims, now: Moment, longest: float) -> float | None:
    """Seconds until the token's end; None where it tells none, is over, or ends too far away."""
    left = 0.0 if told.ends is None else told.ends - now.wall
    return left if 0 < left <= longest else None


def _lease(account: str, given: Given, now: Moment, of: Claims, options: Options) -> Lease | None:
    """The access token that came along; the vault's next generation is not known here, so it bears the first."""
    if ACCESS_TOKEN not in given:
        return None
    token = _token(given, ACCESS_TOKEN, options)
    told = claims(token)
    if of.uid is not None and told.uid not in (None, of.uid):
        raise NotPossible(f"{ACCESS_TOKEN} and {REFRESH_TOKEN} belong to two users", "give the two of one login")
    left = _left(told, now, LONGEST_LEASE_SECONDS)
    if left is None:
        return None
    facts = {"token_type": "Bearer", "uid": told.uid or "", "payload": told.payload}
    return Lease(account, 1, Secret(token), now, left, MappingProxyType({k: v for k, v in facts.items() if v}))

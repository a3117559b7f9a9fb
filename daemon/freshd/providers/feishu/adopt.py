"""What was obtained elsewhere becomes a grant: from another program's store, or a file of settings.  Nothing is sent.

Names
-----
    refresh_token             of the newer endpoints (v2, v3); or
    refresh_token_v1          of the older ones, presented nowhere else; a person's next enrolment replaces it
    refresh_token_expires_at  seconds or milliseconds since 1970
    access_token, expires_at  published only if the end is believable: ahead, and by no more than a day
    scope                     what the access token may do

Rules
-----
* A secret that cannot be one (blanks, quotes, line ends) is refused by its name, never by its value.
* An end that has passed is no reason to refuse the refresh token: clocks err, and the first renewal will tell.
* When the person authorized is not known; the year that a grant lasts is counted from the import.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from freshd.core.contract import Contract
from freshd.core.model import Binding, Change, Grant, Lease, Moment, Secret
from freshd.errors import NotPossible
from freshd.providers.feishu.case import REFRESH_TOKEN, REFRESH_TOKEN_V1
from freshd.providers.form import bearer, number

LONGEST_LEASE_SECONDS: Final = 86_400.0
LONGEST_GRANT_SECONDS: Final = 366 * 86_400.0
LATEST_SECOND: Final = 1e11
"""Beyond the year 5000; what is larger counts milliseconds."""
QUOTES: Final = "\"'`"
Given = Mapping[str, Secret]


def adopt(account: str, given: Given, now: Moment, lineage: str, terms: tuple[Binding, Contract]) -> Change:
    """The change that the secrets come to.  Raises NotPossible."""
    binding, contract = terms
    name = _which(given)
    grant = Grant(
        lineage=lineage,
        binding=binding,
        secrets=MappingProxyType({name: Secret(_token(given, name))}),
        obtained=now,
        enrolled=now,
        valid_for=_left(given, "refresh_token_expires_at", now, LONGEST_GRANT_SECONDS),
        absolute_for=contract.absolute_life,
    )
    return Change(account, grant=grant, lease=_lease(account, given, now))


def _which(given: Given) -> str:
    names = [name for name in (REFRESH_TOKEN, REFRESH_TOKEN_V1) if name in given]
    if not names:
        raise NotPossible("there is no refresh token among it", f"this account takes {REFRESH_TOKEN}")
    if len(names) > 1:
        raise NotPossible(
            "there are refresh tokens of two generations", f"give one of them: {REFRESH_TOKEN} if it is not spent"
        )
    return names[0]


def _token(given: Given, name: str) -> str:
    token = bearer(given[name].reveal().strip())
    if token is None or token[0] in QUOTES or token[-1] in QUOTES:
        raise NotPossible(f"{name} cannot be a token", "give it alone: one line, without quotes and blanks")
    return token


def _left(given: Given, name: str, now: Moment, longest: float) -> float | None:
    """Seconds until the moment of that name; None where it is not given, is over or too far away."""
    if name not in given:
        return None
    moment = number(given[name].reveal().strip())
    if moment is None or not math.isfinite(moment):
        raise NotPossible(f"{name} is no moment", "give seconds since 1970, or leave it out")
    left = (moment / 1000 if moment > LATEST_SECOND else moment) - now.wall
    return left if 0 < left <= longest else None


def _lease(account: str, given: Given, now: Moment) -> Lease | None:
    """The access token that came along; the vault's next generation is not known here, so it bears the first."""
    left = _left(given, "expires_at", now, LONGEST_LEASE_SECONDS)
    if "access_token" not in given or left is None:
        return None
    scope = given.get("scope")
    fields = {"token_type": "Bearer", **({} if scope is None else {"scope": scope.reveal()})}
    return Lease(account, 1, Secret(_token(given, "access_token")), now, left, MappingProxyType(fields))

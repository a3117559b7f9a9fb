"""How long what an answer brought will live (RFC 6749 section 5.1), whatever the answer claims.  Pure and total.

A life counts from the moment of sending, so every value here may be too short but never too long:

* `expires_in` where it is believable, cut to the token's own `exp - iat` where the token is a JWT;
* else what the JWT says, cut to what is left by the service's own Date;
* else the contract's `lease_life`.  An unbelievable `expires_in` (not a number, negative, zero) shortens that to
  `SUSPECT_LIFE_SECONDS`: the token may work, so it is not thrown away, but it is not relied upon for an hour either.
  A life beyond ten years says that the service does not mind, and takes the contract's value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from freshd.core.contract import Contract
from freshd.core.outcome import Reply
from freshd.providers.form import claims_of, date, number

LONGEST_LIFE_SECONDS: Final = 10 * 365 * 86_400.0
SUSPECT_LIFE_SECONDS: Final = 300.0
GRANT_LIFE_NAMES: Final = ("refresh_expires_in", "refresh_token_expires_in", "x_refresh_token_expires_in")
"""Keycloak; GitHub, Microsoft and others; Intuit.  Zero means "no end" at the first."""


def lease_life(answer: Mapping[str, Any], reply: Reply, contract: Contract) -> tuple[float, str | None]:
    """Seconds of life of the access token, and what is odd about the life that was stated."""
    stated = number(answer.get("expires_in"))
    claims = claims_of(answer.get("access_token"))
    whole = _difference(claims.get("exp"), claims.get("iat"))
    if _is_believable(stated):
        return min(stated or 0.0, whole or LONGEST_LIFE_SECONDS), None
    odd = None if answer.get("expires_in") is None else "unbelievable"
    if whole is not None:
        left = _difference(claims.get("exp"), date(reply.header("Date")))
        return min(whole, left or whole), odd
    if odd is None or (stated is not None and stated > LONGEST_LIFE_SECONDS):
        return contract.lease_life, odd
    return min(contract.lease_life, SUSPECT_LIFE_SECONDS), odd


def grant_life(answer: Mapping[str, Any]) -> float | None:
    """Seconds of life of the refresh token; None where the answer does not say so believably."""
    stated = (number(answer.get(name)) for name in GRANT_LIFE_NAMES)
    return next((life for life in stated if _is_believable(life)), None)


def _is_believable(life: float | None) -> bool:
    return life is not None and 0 < life <= LONGEST_LIFE_SECONDS


def _difference(end: object, start: object) -> float | None:
    until, since = number(end), number(start)
    if until is None or since is None or not _is_believable(until - since):
        return None
    return until - since

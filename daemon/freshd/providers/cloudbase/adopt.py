"""A session that a person began elsewhere becomes a grant.  Nothing is sent; the first renewal follows at once.

Names
-----
    refresh_token              needed.  Whoever had it must stop: two holders log each other out
    device_id                  the device it was begun on; sent with every renewal
    sub                        whose session it is
    access_token, expires_at   published only if the end is believable: ahead, and by no more than a day
    scope                      what the access token may do
    api_version                "v1" if it is given

Rules
-----
* A secret that cannot be one is refused by its name, never by its value.
* When the person signed in is not known; the refresh token's life is counted from the import.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from freshd.core.model import Binding, Change, Grant, Lease, Moment, Secret
from freshd.errors import NotPossible
from freshd.providers.cloudbase import unknowns
from freshd.providers.cloudbase.case import API_VERSION, DEVICE_ID, REFRESH_TOKEN, Terms
from freshd.providers.cloudbase.rules import DEVICE
from freshd.providers.form import bearer, number, text

LONGEST_LEASE_SECONDS: Final = 86_400.0
LATEST_SECOND: Final = 1e11
"""Beyond the year 5000; what is larger counts milliseconds."""
QUOTES: Final = "\"'`"
SUB_MOST: Final = 128
Given = Mapping[str, Secret]


def adopt(account: str, given: Given, now: Moment, lineage: str, terms: Terms) -> Change:
    """The change that the secrets come to.  Raises NotPossible."""
    token = _token(given, REFRESH_TOKEN)
    if token is None:
        raise NotPossible("there is no refresh token among it", f"this account takes {REFRESH_TOKEN}")
    version = _plain(given, API_VERSION) or unknowns.API_VERSION
    if version != unknowns.API_VERSION:
        raise NotPossible("the session is of a generation that freshd does not speak", "sign in through v1")
    device = _plain(given, DEVICE_ID)
    if device is not None and DEVICE.fullmatch(device) is None:
        raise NotPossible(f"{DEVICE_ID} is none", "give 16 to 48 letters and digits, or leave it out")
    secrets = {REFRESH_TOKEN: token, API_VERSION: version, **({} if device is None else {DEVICE_ID: device})}
    is_final = not (terms.has_signin or unknowns.SLIDES)
    grant = Grant(
        lineage=lineage,
        binding=_bound(given, terms),
        secrets=MappingProxyType({name: Secret(value) for name, value in secrets.items()}),
        obtained=now,
        enrolled=now,
        valid_for=terms.refresh_life,
        absolute_for=terms.refresh_life if is_final else terms.contract.absolute_life,
    )
    return Change(account, grant=grant, lease=_lease(account, given, now, terms))


def _bound(given: Given, terms: Terms) -> Binding:
    """What it belongs to, with the user if one is named.  Another one than `subject` is refused."""
    sub, expected = _plain(given, "sub"), terms.binding.subject
    if sub is None:
        return terms.binding
    if len(sub) > SUB_MOST or (expected is not None and sub != expected):
        raise NotPossible("the session is another user's than subject says", "correct subject, or import the right one")
    return replace(terms.binding, subject=sub)


def _plain(given: Given, name: str) -> str | None:
    return text(given[name].reveal().strip()) if name in given else None


def _token(given: Given, name: str) -> str | None:
    if name not in given:
        return None
    token = bearer(given[name].reveal().strip())
    if token is None or token[0] in QUOTES or token[-1] in QUOTES:
        raise NotPossible(f"{name} cannot be a token", "give it alone: one line, without quotes and blanks")
    return token


def _lease(account: str, given: Given, now: Moment, terms: Terms) -> Lease | None:
    """The access token that came along; the vault's next generation is not known here, so it bears the first."""
    token, life = _token(given, "access_token"), _left(given, now)
    if token is None or life is None:
        return None
    more = {name: value for name in ("scope", "sub") if (value := _plain(given, name)) is not None}
    fields = MappingProxyType({"token_type": "Bearer", "login": terms.method, **more})
    return Lease(account, 1, Secret(token), now, life, fields)


def _left(given: Given, now: Moment) -> float | None:
    """Seconds until `expires_at`; None where it is not given, is over or too far away."""
    if "expires_at" not in given:
        return None
    moment = number(given["expires_at"].reveal().strip())
    if moment is None or not math.isfinite(moment):
        raise NotPossible("expires_at is no moment", "give seconds since 1970, or leave it out")
    left = (moment / 1000 if moment > LATEST_SECOND else moment) - now.wall
    return left if 0 < left <= LONGEST_LEASE_SECONDS else None

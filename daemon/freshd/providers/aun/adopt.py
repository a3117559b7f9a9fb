"""What was obtained elsewhere becomes a grant: from another client's store.  Nothing is sent.

Names
-----
    private_key               PEM, not encrypted; also as `private_key_pem`
    certificate               PEM; also as `cert` or `cert_pem`.  Without it the next enrolment fetches it
    refresh_token             the newest one; its chain is counted from now on
    access_token, expires_at  published only if the end is believable; also as `access_token_expires_at`
    aid                       checked, where it is there

Rules
-----
* Key and certificate must belong to each other and to the agent: what does not is refused by its name.
* Two programs with one refresh token end each other's chain: the other one has to be stopped for good.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from freshd.core.model import Change, Grant, Lease, Moment, Secret
from freshd.errors import NotPossible
from freshd.providers.aun.case import CERTIFICATE, CHAIN, CURRENT, PRIVATE_KEY, REFRESH_TOKEN
from freshd.providers.aun.certificate import Certificate, certificate_of
from freshd.providers.aun.issued import not_ours
from freshd.providers.aun.life import Chain, seconds_left
from freshd.providers.aun.options import Options
from freshd.providers.aun.signing import private_key_of
from freshd.providers.form import bearer, number

KEY_NAMES: Final = ("private_key", "private_key_pem")
CERTIFICATE_NAMES: Final = ("certificate", "cert", "cert_pem")
END_NAMES: Final = ("expires_at", "access_token_expires_at")
LONGEST_LEASE_SECONDS: Final = 86_400.0
LATEST_SECOND: Final = 1e11
"""Beyond the year 5000; what is larger counts milliseconds."""
Given = Mapping[str, Secret]


def adopt(account: str, given: Given, now: Moment, lineage: str, options: Options) -> Change:
    """The change that the secrets come to.  Raises NotPossible."""
    named = _given(given, ("aid",))
    if named is not None and named != options.aid:
        raise NotPossible("it is another agent's", "import it into the account of that aid")
    key = _given(given, KEY_NAMES)
    if key is None or private_key_of(key) is None:
        wrong = "there is no private key among it" if key is None else "private_key is no plain key in PEM"
        raise NotPossible(wrong, "give private_key as PEM, EC on P-256, not encrypted")
    certificate = _certificate(given, key, options.aid)
    secrets = {PRIVATE_KEY: key, CHAIN: Chain(now).text, CURRENT: "0"}
    secrets |= {} if certificate is None else {CERTIFICATE: certificate.pem}
    secrets |= {} if REFRESH_TOKEN not in given else {REFRESH_TOKEN: _token(given, REFRESH_TOKEN)}
    grant = Grant(
        lineage=lineage,
        binding=options.binding,
        secrets=MappingProxyType({name: Secret(value) for name, value in secrets.items()}),
        obtained=now,
        enrolled=now,
        absolute_for=None if certificate is None else seconds_left(certificate, now),
    )
    return Change(account, grant=grant, lease=_lease(account, given, now, options.aid))


def _certificate(given: Given, key: str, aid: str) -> Certificate | None:
    text = _given(given, CERTIFICATE_NAMES)
    if text is None:
        return None
    one = certificate_of(text)
    wrong = not_ours(one, aid, key)
    if wrong is not None:
        raise NotPossible(f"the certificate is {wrong}", "give the certificate that belongs to key and aid, as PEM")
    return one


def _given(given: Given, names: tuple[str, ...]) -> str | None:
    return next((given[name].reveal().strip() for name in names if name in given), None)


def _token(given: Given, name: str) -> str:
    token = bearer(given[name].reveal().strip())
    if token is None:
        raise NotPossible(f"{name} cannot be a token", "give it alone: one line, without blanks")
    return token


def _lease(account: str, given: Given, now: Moment, aid: str) -> Lease | None:
    """The access token that came along; the vault's next generation is not known here, so it bears the first."""
    end = number(_given(given, END_NAMES))
    if "access_token" not in given or end is None or not math.isfinite(end):
        return None
    left = (end / 1000 if end > LATEST_SECOND else end) - now.wall
    if not 0 < left <= LONGEST_LEASE_SECONDS:
        return None
    return Lease(account, 1, Secret(_token(given, "access_token")), now, left, MappingProxyType({"aid": aid}))

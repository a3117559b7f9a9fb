"""Certificates that an answer brings: whether they are ours, and proven.  Pure and total.

Rules
-----
* Ours: the name is the agent's, the key is the one in hand, and it is in its time.
* Proven: issued by the first element of the chain that was found good before the call, and not on the list of revoked
  ones that was seen then.  One about which the issuer has yet to be asked has just been issued by it.
* What is not taken is noted by name, never by content, and changes nothing.
"""

from __future__ import annotations

from freshd.core.model import Intent
from freshd.providers.aun.case import ISSUERS, REVOKED, held
from freshd.providers.aun.certificate import Certificate, certificate_of, chain_of, is_issued_by
from freshd.providers.aun.signing import public_of


def wrong_with(one: Certificate | None, aid: str, key: str | None, intent: Intent) -> str | None:
    """Why a certificate is not taken; None where it is ours and proven.  key: the private key it must belong to."""
    why = not_ours(one, aid, key)
    if why is not None or one is None:
        return why
    if not one.is_in_time(intent.sent.wall):
        return "not in its time"
    issuers = chain_of(held(intent.material, ISSUERS) or "")
    if not issuers or not is_issued_by(one, issuers[0]):
        return "not proven"
    revoked = (held(intent.material, REVOKED) or "").split()
    return "revoked" if f"{one.serial:x}" in revoked else None


def not_ours(one: Certificate | None, aid: str, key: str | None) -> str | None:
    """Why a certificate is not the agent's for that private key; None where it is."""
    if one is None:
        return "unreadable"
    if one.name != aid:
        return "of another name"
    public = public_of(key)
    return None if public is not None and public == one.public else "of another key"


def newest(old: Certificate | None, *others: object, aid: str, key: str | None, intent: Intent) -> tuple[
    Certificate | None, str | None
]:  # fmt: skip
    """The certificate to go on with out of those that an answer holds, and why one was not taken."""
    best, why = old, None
    for given in others:
        if given in (None, ""):
            continue
        one = certificate_of(given)
        wrong = wrong_with(one, aid, key, intent)
        if wrong is not None or one is None:
            why = wrong
        elif best is None or one.ends > best.ends:
            best = one
    return best, why

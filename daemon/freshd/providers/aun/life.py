"""How long a chain of refreshes goes on, and whether something is to be done about a certificate.  Pure and total.

Rules
-----
* A login begins a chain.  After so many refreshes, or at such an age, the next renewal is a login.
* A lease renewed well before its time was refused by somebody, or an operator wanted another one: then the chain is
  not trusted any more.  Else tokens that are dead at birth would be refreshed again and again.
* Past half of its life a certificate is replaced.  Where that came to nothing it rests before it is tried again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from freshd.core.age import age
from freshd.core.model import Intent, Lease, Moment, Record, Secret
from freshd.core.policy import lead
from freshd.providers.aun.case import CANDIDATE_KEY, CERTIFICATE, CHAIN, CURRENT, RENEW, SETTLE, Terms, held
from freshd.providers.aun.certificate import Certificate, certificate_of
from freshd.providers.form import number

EARLY: Final = 1.25
"""Beyond this many times the usual margin (jitter included) a renewal was not made by schedule."""
LONGEST_REST_SECONDS: Final = 2 * 86_400.0
"""A longer rest was written down under a wrong clock."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Refreshes since the login that began it."""

    began: Moment
    refreshes: int = 0

    @property
    def text(self) -> str:
        """As it is kept."""
        return json.dumps({"wall": self.began.wall, "boot": self.began.boot, "boot_id": self.began.boot_id,
                           "refreshes": self.refreshes})  # fmt: skip

    def grown(self, answer: Mapping[str, Any]) -> Chain:
        """One refresh longer; the service may know of more."""
        told = number(answer.get("refresh_count"))
        known = int(told) if told is not None and math.isfinite(told) else 0
        return replace(self, refreshes=max(self.refreshes + 1, min(known, 10**6)))

    def is_over(self, terms: Terms, now: Moment, lease_life: float) -> bool:
        """Whether the next refresh would come too late."""
        is_old = age(self.began, now).seconds + lease_life >= terms.chain_seconds
        return is_old or self.refreshes >= terms.most_refreshes


def chain_of(secrets: Mapping[str, Secret], now: Moment) -> Chain:
    """The chain in a grant; a new one where nothing is known."""
    try:
        kept = json.loads(held(secrets, CHAIN) or "")
        began = Moment(float(kept["wall"]), float(kept["boot"]), str(kept["boot_id"]))
        return Chain(began, int(kept["refreshes"]))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return Chain(now)


def is_early(lease: Lease | None, now: Moment, terms: Terms) -> bool:
    """Whether a lease was replaced well before its time."""
    if lease is None:
        return False
    left = lease.valid_for - age(lease.sent, now).seconds
    return left > lead(lease.valid_for, terms.margins) * EARLY * (1 + terms.margins.jitter)


def own_certificate(record: Record) -> Certificate | None:
    """The certificate that a record holds."""
    return None if record.grant is None else certificate_of(held(record.grant.secrets, CERTIFICATE))


def is_past_half(certificate: Certificate | None, now: Moment) -> bool:
    """Whether more than half of its life is over."""
    return certificate is not None and now.wall > certificate.half


def rests(secrets: Mapping[str, Secret], now: Moment) -> bool:
    """Whether nothing is to be done about key and certificate just now, whatever would be due."""
    until = number(held(secrets, CURRENT))
    return until is not None and 0 < until - now.wall <= LONGEST_REST_SECONDS


def wants_upkeep(secrets: Mapping[str, Secret], certificate: Certificate | None, now: Moment) -> bool:
    """Whether key or certificate need something done."""
    is_due = is_past_half(certificate, now) or CANDIDATE_KEY in secrets
    return is_due and not rests(secrets, now)


def is_upkeep(rung: str, record: Record, intent: Intent) -> bool:
    """Whether key or certificate are looked after for their own sake: what is in hand is good, and nobody waits."""
    if rung not in (RENEW, SETTLE) or intent.candidate is not None or record.grant is None:
        return False
    own = own_certificate(record)
    return CURRENT not in record.grant.secrets and own is not None and intent.sent.wall < own.ends


def seconds_left(certificate: Certificate, now: Moment) -> float | None:
    """Seconds until a certificate ends; None where it has."""
    left = certificate.ends - now.wall
    return left if left > 0 else None

"""How far an account's captcha has come, and a code that was checked: durable between two steps of a person.

Rules
-----
* One secret of the grant holds it (`CAPTCHA`, `VERIFIED`), so it is sealed and survives a restart.
* `used` counts answers that were refused.  After the second nothing is tried for `REST_SECONDS`, whoever asks.
* A token is good until shortly before its end, and none of it is shown.
* Reading is total: what cannot be read is a flow that has just begun, so that a damaged one still stops sign-ins.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from typing import Any, Final

from freshd.core.age import left
from freshd.core.model import Moment, Record, Secret
from freshd.providers.cloudbase.times import json_of, moment_of, told
from freshd.providers.cloudbase.unknowns import LEAD_SECONDS

CAPTCHA: Final = "captcha"
VERIFIED: Final = "verified"
ANSWERS_MOST: Final = 2
REST_SECONDS: Final = 600.0
QUERY: Final = "query"
HEADER: Final = "header"
VERIFICATION: Final = "verification"
"""The sending of a code, as an operation that a captcha can hold up."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A token that a person's step brought: when, and for how many seconds."""

    token: str = field(repr=False)
    at: Moment
    life: float

    def left(self, now: Moment) -> float:
        """Seconds it can still be presented for."""
        return left(self.at, self.life, now) - LEAD_SECONDS


@dataclass(frozen=True, slots=True)
class Flow:
    """One captcha.

    operation  the call that is held up by it: a rung, or VERIFICATION
    used       answers refused so far
    passed     the token that an answer brought; `way`: how it is handed over next
    rests      since when nothing is tried
    """

    operation: str
    used: int = 0
    passed: Ticket | None = None
    way: str = QUERY
    rests: Moment | None = None

    def refused(self, at: Moment) -> Flow:
        """After an answer, or a token, that the service did not take."""
        used = self.used + 1
        return replace(self, used=used, passed=None, rests=at if used >= ANSWERS_MOST else None)

    def ended(self, at: Moment) -> Flow:
        """After a token that was taken for none in every way there is."""
        return replace(self, used=ANSWERS_MOST, passed=None, rests=at)

    def rest(self, now: Moment) -> float:
        """Seconds for which nothing is tried."""
        return 0.0 if self.rests is None else left(self.rests, REST_SECONDS, now)

    def is_passed(self, now: Moment) -> bool:
        """Whether a token is in hand."""
        return self.passed is not None and self.passed.left(now) > 0

    @property
    def secret(self) -> Secret:
        """As it is kept."""
        kept = {
            "operation": self.operation,
            "used": self.used,
            "way": self.way,
            "passed": None if self.passed is None else _written(self.passed),
            "rests": None if self.rests is None else told(self.rests),
        }
        return Secret(json.dumps(kept))


def flow_of(record: Record) -> Flow | None:
    """The captcha that holds the account up; None where none does."""
    if record.grant is None or CAPTCHA not in record.grant.secrets:
        return None
    found = json_of(record, CAPTCHA)
    kept: dict[str, Any] = found if isinstance(found, dict) else {}
    operation, used = kept.get("operation"), kept.get("used")
    return Flow(
        operation if isinstance(operation, str) else "signin",
        used if isinstance(used, int) and not isinstance(used, bool) and 0 <= used <= ANSWERS_MOST else 0,
        _read(kept.get("passed")),
        HEADER if kept.get("way") == HEADER else QUERY,
        moment_of(kept.get("rests")),
    )


def verified_of(record: Record) -> Ticket | None:
    """The token of a code that was checked; it may be over."""
    return _read(json_of(record, VERIFIED))


def verified(ticket: Ticket) -> Secret:
    """As it is kept."""
    return Secret(json.dumps(_written(ticket)))


def _written(ticket: Ticket) -> dict[str, object]:
    return {"token": ticket.token, "at": told(ticket.at), "for": ticket.life}


def _read(value: object) -> Ticket | None:
    if not isinstance(value, dict):
        return None
    token, at, life = value.get("token"), moment_of(value.get("at")), value.get("for")
    if not isinstance(token, str) or at is None or isinstance(life, bool) or not isinstance(life, int | float):
        return None
    return Ticket(token, at, float(life)) if 0 < life <= 86_400 and math.isfinite(life) else None

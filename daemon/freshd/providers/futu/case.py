"""The words of a Futu family: its rungs, its secrets, and what reading an answer needs to know.  Data only.

A family is one platform account and its brokers.  The platform's grant is a ticket and what belongs to it; a broker's
grant is one unspent code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from freshd.core.contract import Contract
from freshd.core.model import Binding, Intent, Moment, Record, Secret

PLATFORM_KIND: Final = "futu"
BROKER_KIND: Final = "futu-broker"

# rungs
REFRESH: Final = "refresh"
LOGIN_AGAIN: Final = "login-again"
DEVICE_CHECK: Final = "device-check"
THIRD_FACTOR: Final = "third-factor"
BROKER_AUTH: Final = "broker-auth"
REPULL: Final = "repull"
ASK_PLATFORM: Final = "platform"

# secrets of the platform
TICKET: Final = "tgtgt"
RAND_KEY: Final = "rand_key"
DEVICE_ID: Final = "device_id"
DEVICE_SIG: Final = "device_sig"
WEB_SIG: Final = "web_sig"
UID: Final = "uid"
MOOMOO_WEB_SIG: Final = "moomoo_web_sig"
# what a person's step needs, while one is due
DEVICE_VERIFY: Final = "device_verify_sig"
DEVICE_VERIFY_AT: Final = "device_verify_at"
PHONE_NO: Final = "phone_no"
WRONG_CODES: Final = "wrong_codes"
THIRD_VERIFY: Final = "third_factor_verify_sig"
THIRD_VERIFY_AT: Final = "third_factor_verify_at"
DEVICE_STEP: Final = frozenset({DEVICE_VERIFY, DEVICE_VERIFY_AT, PHONE_NO})
THIRD_STEP: Final = frozenset({THIRD_VERIFY, THIRD_VERIFY_AT})
STEPS: Final = frozenset({*DEVICE_STEP, *THIRD_STEP, WRONG_CODES})
"""Gone once a login has succeeded."""
# secrets of a broker
AUTH_CODE: Final = "auth_code"

STEP_SECONDS: Final = 300.0
"""How long a client may use what came with the demand for a person's step."""
CLOCK_SLACK_SECONDS: Final = 30.0
"""A clock that is set right meanwhile may go back by so much, and no login is repeated for that."""


@dataclass(frozen=True, slots=True)
class BrokerTerms:
    """One broker of the family.  hands_out: readers get the code itself, so it is a lease and no stock."""

    account: str
    broker_id: int
    binding: Binding
    hands_out: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What reading an answer of the platform needs to know; the rest is in intent and record."""

    binding: Binding
    contract: Contract = field(default_factory=Contract)
    brokers: tuple[BrokerTerms, ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """The step of a person that a login asked for.  asked_at: wall-clock second of the login, as text."""

    rung: str
    signature: Secret
    asked_at: float

    def left(self, now: Moment) -> float:
        """Seconds it is good for still; after a step of the clock, none."""
        age = now.wall - self.asked_at
        return STEP_SECONDS - max(0.0, age) if -CLOCK_SLACK_SECONDS <= age < STEP_SECONDS else 0.0


def held(record: Record, name: str) -> str | None:
    """A secret of the grant, in the clear, for a call; None where it is not held."""
    secret = None if record.grant is None else record.grant.secrets.get(name)
    return None if secret is None else secret.reveal()


def uid_of(record: Record) -> int:
    """The account's number; 0 while it is not known."""
    found = held(record, UID)
    return int(found) if found is not None and found.isdecimal() else 0


def due(record: Record) -> Due | None:
    """The step that is due, whether or not it is still good."""
    steps = ((THIRD_FACTOR, THIRD_VERIFY, THIRD_VERIFY_AT), (DEVICE_CHECK, DEVICE_VERIFY, DEVICE_VERIFY_AT))
    for rung, signature, moment in steps:
        found = None if record.grant is None else record.grant.secrets.get(signature)
        if found is not None:
            at = held(record, moment) or ""
            return Due(rung, found, float(at) if at.isdecimal() else 0.0)
    return None


def lineage_of(record: Record, intent: Intent) -> str:
    """The lineage that goes on; a first one where the account had none."""
    return record.lineage or intent.candidate or intent.lineage or intent.flight

"""What operators may ask of an agent's account: facts, a new certificate, a new key.

Rules
-----
* Facts are looked up by harmless calls; no secret is among them.
* What changes the grant is a step of its own, with all eight points of the exchange.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from freshd.core.age import age
from freshd.core.model import Record
from freshd.errors import NotPossible
from freshd.ports import Asked, Clock, Facts
from freshd.providers.aun.case import CANDIDATE_KEY, PRIVATE_KEY, REFRESH_TOKEN, held
from freshd.providers.aun.certificate import Certificate
from freshd.providers.aun.enrol import Steps
from freshd.providers.aun.issued import not_ours
from freshd.providers.aun.life import chain_of, own_certificate
from freshd.providers.aun.options import Options

OPERATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "certificate": "the certificate in hand, and whether it is the one that is registered",
        "whoami": "the agent, and how its tokens are renewed",
        "renew": "a new certificate for the same key",
        "rekey": "another key; the older certificate ends at once",
    }
)


class Operator:
    """The calls of one account."""

    def __init__(self, options: Options, steps: Steps, clock: Clock) -> None:
        self._options = options
        self._steps = steps
        self._clock = clock

    async def operate(self, operation: str, record: Record) -> Facts | Asked:
        """Do what is asked for.  Raises NotPossible."""
        match operation:
            case "rekey":
                return await self._steps.rekey(record)
            case "renew":
                return self._steps.renew(record)
            case "certificate":
                return await self._certificate(record)
            case "whoami":
                return self._whoami(record)
        raise NotPossible("there is no such call", f"one of: {', '.join(sorted(OPERATIONS))}")

    async def _certificate(self, record: Record) -> Facts:
        own, now = own_certificate(record), self._clock.now()
        registered = (await self._steps.registered()).certificate
        told: dict[str, str | float | None] = {"registered": self._registration(record, registered)}
        if own is not None:
            told |= {"serial": f"{own.serial:x}", "days_left": round((own.ends - now.wall) / 86_400, 1)}
            told |= {
                "state": "over" if now.wall > own.ends else "past half of its life" if now.wall > own.half else "good"
            }
        return told

    def _registration(self, record: Record, registered: Certificate | None) -> str:
        """How what is registered relates to the keys in hand."""
        if registered is None:
            return "nothing"
        secrets = {} if record.grant is None else record.grant.secrets
        own = own_certificate(record)
        if not_ours(registered, self._options.aid, held(secrets, PRIVATE_KEY)) is None:
            return "this certificate" if own is not None and own.raw == registered.raw else "another one for this key"
        is_new = not_ours(registered, self._options.aid, held(secrets, CANDIDATE_KEY)) is None
        return "the new key whose registration was not answered" if is_new else "a key that is not in hand"

    def _whoami(self, record: Record) -> Facts:
        secrets, now = {} if record.grant is None else record.grant.secrets, self._clock.now()
        chain = chain_of(secrets, now)
        return {
            "aid": self._options.aid,
            "login_service": self._options.auth_service,
            "renewed_by": "refresh" if REFRESH_TOKEN in secrets else "login",
            "refreshes": chain.refreshes,
            "login_age_hours": round(age(chain.began, now).seconds / 3600, 1),
            "new_key_pending": CANDIDATE_KEY in secrets,
        }

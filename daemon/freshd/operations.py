"""A service's own calls for operators: `freshd operate`.  Looking with the lease in hand, or a step that may spend.

Rules
-----
* The lease is renewed first where it is over, and once more where the service refuses it; then what it says is told.
* What may spend or change the grant is a step: it takes the way of an enrolment, with all eight points.
* Nothing secret comes out: a provider tells plain facts, and what was given goes in only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from freshd.core.model import Record, Secret
from freshd.enrolment import Enrolment
from freshd.errors import LeaseRefused, NotPossible
from freshd.ports import Asked, Facts, Operated
from freshd.supervisor import Supervisor
from freshd.turn import Verb

LEFT_SECONDS: Final = 5.0
"""A lease with less left might end on its way."""
GIVEN_MOST: Final = 16


class Operations:
    """`verbs`: by name; the account was checked by whoever calls.  `renew`: the verb "refresh"."""

    def __init__(self, supervisor: Supervisor, enrolment: Enrolment, renew: Verb) -> None:
        self._supervisor = supervisor
        self._enrolment = enrolment
        self._renew = renew
        self.verbs: Mapping[str, Verb] = {"operate": self._operate}

    async def _operate(self, account: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        provider = self._supervisor.keeper(account).provider(account)
        kind = self._supervisor.members[account].kind
        if not isinstance(provider, Operated) or not provider.operations:
            raise NotPossible(f"accounts of kind {kind} offer no calls of their own", "freshd --help lists the verbs")
        offered, wanted = provider.operations, args.get("operation")
        if not isinstance(wanted, str) or wanted not in offered:
            listed = "; ".join(f"{name}: {what}" for name, what in sorted(offered.items()))
            raise NotPossible(f"accounts of kind {kind} offer no such call", f"they offer: {listed}")
        found, record = await self._ask(provider, account, wanted, _given(args))
        if isinstance(found, Asked):
            done = await self._enrolment.at_once(account, found, record)
            return {"account": account, "operation": wanted, "generation": done["generation"], "facts": {}}
        return {"account": account, "operation": wanted, "facts": dict(found)}

    async def _ask(
        self, provider: Operated, account: str, operation: str, given: Mapping[str, Secret]
    ) -> tuple[Facts | Asked, Record]:
        record = await self._record(account)
        if record.lease is None and account in self._supervisor.leases:
            await self._renew(account, {})
            record = await self._record(account)
        try:
            return await provider.operate(operation, given, record), record
        except LeaseRefused:
            await self._renew(account, {})
            record = await self._record(account)
            return await provider.operate(operation, given, record), record

    async def _record(self, account: str) -> Record:
        """The record with the lease as readers have it; without one where that is over."""
        record = await self._supervisor.vault.read(account)
        held = self._supervisor.leases.get(account)
        if held is None or held.until - self._supervisor.clock.boot() < LEFT_SECONDS:
            return replace(record, lease=None)
        return replace(record, lease=held.lease)


def _given(args: Mapping[str, Any]) -> Mapping[str, Secret]:
    """What came with the call: at most a few texts.  Raises NotPossible."""
    given = args.get("given", {})
    if (
        not isinstance(given, dict)
        or len(given) > GIVEN_MOST
        or not all(isinstance(one, str) for one in given.values())
    ):
        raise NotPossible("what is given to the call is not readable", 'send {"given": {"NAME": "TEXT"}}')
    return {str(name): Secret(value) for name, value in given.items()}

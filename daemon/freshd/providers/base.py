"""What a provider does where its service asks for nothing else: a base class that one's own provider begins from.

`perform` and `read` are the service's own.  Everything else here is the careful answer: nothing is asked of anybody,
nothing is believed, nothing is revoked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from freshd.core.contract import Contract
from freshd.core.ladder import Ladder, find
from freshd.core.model import EMPTY, Binding, Change, Grant, Lease, Moment, Record, Secret
from freshd.core.pace import Pace
from freshd.errors import NotPossible
from freshd.ports import Asked, Found

UNAUTHORIZED = 401


class Base:
    """One account; `perform(rung, record, intent)` and `read(rung, record, intent, reply)` are missing."""

    def __init__(
        self, account: str, ladder: Ladder, contract: Contract, binding: Binding, kin: Sequence[str] = ()
    ) -> None:
        self.account, self.ladder, self.contract, self.binding, self.kin = account, ladder, contract, binding, kin

    def paces(self, rung: str) -> Sequence[tuple[str, Pace]]:
        """Its own row in the ledger for each rung."""
        found = find(self.ladder, rung)
        return ((f"account:{self.account}/{rung}", Pace() if found is None else found.pace),)

    async def prepare(self, rung: str, record: Record) -> Mapping[str, Secret]:
        return EMPTY

    async def probe(self, lease: Lease) -> bool | None:
        return None

    def is_dead(self, status: int | None, code: str | None) -> bool:
        return status == UNAUTHORIZED

    async def ask(self, flow: str, redirect_uri: str | None, record: Record, *, consent: bool = False) -> Asked:
        raise NotPossible("accounts of this kind take what was obtained elsewhere", self._import_it)

    def adopt(self, given: Mapping[str, Secret], now: Moment, lineage: str) -> Change:
        """Whatever the rungs need by name; an age is not known."""
        names = {name for rung in self.ladder for name in rung.needs if "/" not in name} & given.keys()
        if not names:
            raise NotPossible("these secrets renew nothing here", self._import_it)
        secrets = MappingProxyType({name: given[name] for name in names})
        life = self.contract
        return Change(self.account, Grant(lineage, self.binding, secrets, now, now, life.idle_life, life.absolute_life))

    async def examine(self, record: Record) -> Sequence[Found]:
        return ()

    def explain(self, code: str) -> Found | None:
        return None

    async def revoke(self, record: Record) -> str:
        raise NotPossible("this service has no way to end a grant", f"freshd forget {self.account}")

    @property
    def _import_it(self) -> str:
        return f"freshd enrol {self.account} --import < FILE"

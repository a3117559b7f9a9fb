"""The operators' verb `examine`: why a grant does not renew.  Reads, asks harmless questions, spends nothing.

Rules
-----
* What is looked at: the record, the history, an answer left in escrow, the provider's own harmless calls, and the token
  in hand on one more (I8).  No flight is started, no lock taken, nothing written.
* However often it is asked, a service is asked once in a while per account: in between the last findings are told (I6).
* What cannot be had now (a locked keyring, a service that hangs) is itself a finding, and hides no other.
* No finding holds a secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

from freshd.core import autopsy
from freshd.core.autopsy import Body
from freshd.core.finding import LOOK, Found
from freshd.core.model import Lease, Record
from freshd.errors import FreshdError
from freshd.ports import Provider
from freshd.supervisor import Supervisor
from freshd.turn import Verb

T = TypeVar("T")
ASK_SECONDS: Final = 30.0
"""How long all harmless calls of one examination may take together."""
REST_SECONDS: Final = 10.0
"""How long the service is left alone after it was asked."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the service's harmless calls said, and when by the boot clock."""

    at: float
    fingerprint: str | None
    seen: tuple[Found, ...]
    alive: bool | None


class Examination:
    """`verbs`: by name; the account was checked by whoever calls."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._asked: dict[str, _Asked] = {}
        self._asking: dict[str, asyncio.Lock] = {}
        self.verbs: Mapping[str, Verb] = {"examine": self._examine}

    async def _examine(self, account: str, _args: Mapping[str, Any]) -> Mapping[str, Any]:
        supervisor = self._supervisor
        provider = supervisor.keeper(account).provider(account)
        missing = list[Found]()
        record = await _had(supervisor.vault.read(account), Record(account), missing)
        left = await _had(supervisor.vault.escrowed(account), None, missing)
        asked = await self._ask(account, provider, record)
        body = Body(
            account, provider.ladder, provider.contract, supervisor.state(account).standing,
            await _had(supervisor.vault.history(account), (), missing), supervisor.vault.high_water, provider.explain,
            asked.alive, None if left is None else left[1], (*asked.seen, *missing),
        )  # fmt: skip
        found = autopsy.examine(body, supervisor.clock.now())
        return {"account": account, "findings": [asdict(one) for one in found]}

    async def _ask(self, account: str, provider: Provider, record: Record) -> _Asked:
        """One examination of an account at a time; who comes meanwhile gets its findings."""
        lease = self._supervisor.leases.get(account)
        name = None if lease is None else lease.fingerprint
        async with self._asking.setdefault(account, asyncio.Lock()):
            last, now = self._asked.get(account), self._supervisor.clock.boot()
            if last is not None and last.fingerprint == name and now - last.at < REST_SECONDS:
                return last
            seen, alive = await _questions(provider, record, None if lease is None else lease.lease)
            self._asked[account] = _Asked(self._supervisor.clock.boot(), name, seen, alive)
            return self._asked[account]


async def _questions(provider: Provider, record: Record, lease: Lease | None) -> tuple[tuple[Found, ...], bool | None]:
    """The provider's findings, and whether the token in hand works."""
    seen, alive = list[Found](), None
    try:
        async with asyncio.timeout(ASK_SECONDS):
            seen += await provider.examine(record)
            alive = None if lease is None else await provider.probe(lease)
    except TimeoutError:
        seen.append(Found(LOOK, f"the service was not heard to the end within {ASK_SECONDS:g} s", "try again later"))
    except FreshdError as error:
        seen.append(Found(LOOK, error.cause, error.remedy))
    except Exception as error:  # noqa: BLE001 - a bug of a provider's must not hide what we know ourselves
        seen.append(Found(LOOK, f"freshd made a mistake here ({type(error).__name__})", "report it"))
    return tuple(seen), alive


async def _had(question: Awaitable[T], otherwise: T, missing: list[Found]) -> T:
    try:
        return await question
    except FreshdError as error:
        missing.append(Found(LOOK, f"not all could be looked at: {error.cause}", error.remedy))
        return otherwise

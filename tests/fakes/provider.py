"""A service that says what the test wrote down for it, and a provider that reads its simple answers.

An answer is JSON: `{"access": …, "expires_in": …, "refresh": …}` or `{"error": code, "remedy": …, "retry_after": …}`;
anything else is unreadable.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from freshd.core.contract import Contract
from freshd.core.ladder import Ladder, Rung
from freshd.core.model import EMPTY, Binding, Change, Grant, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Answered, Judged, Lost, NotSent, Performed, Rejected, Remedy, Reply, Unreadable
from freshd.core.pace import Pace
from freshd.core.settings import Margins
from freshd.core.state import Plan
from freshd.errors import NotPossible
from freshd.ports import Asked, Found

REFRESH = Rung("refresh", frozenset({"refresh_token"}))
ISSUE = Rung("issue", spends=False)
PERSON = Rung("authorize", person=True)
BOUND = Binding("oauth2", "https://service.example", "client")
Said = Performed | BaseException | Callable[[Record, Intent], Awaitable[Performed]]
DEFAULT = Contract()


def reply(status: int = 200, **fields: object) -> Reply:
    return Reply(status, (("content-type", "application/json"),), json.dumps(fields).encode())


def tokens(number: int, expires_in: float = 3600.0, *, rotated: bool = True) -> Reply:
    """The answer to a refresh."""
    return reply(access=f"at-{number}", expires_in=expires_in, refresh=f"rt-{number}" if rotated else None)


def refusal(code: str, remedy: Remedy, retry_after: float | None = None) -> Reply:
    return reply(400, error=code, remedy=remedy.value, retry_after=retry_after)


def enrolled(account: str, now: Moment, refresh: str = "rt-1", valid_for: float = 3600.0) -> Record:
    """A record as an enrolment leaves it."""
    grant = Grant("one", BOUND, {"refresh_token": Secret(refresh)}, now, now)
    return Record(account, 1, grant, Lease(account, 1, Secret(f"{account}-at-1"), now, valid_for))


def plan_for(provider: FakeProvider, margins: Margins | None = None, draw: float = 0.0) -> Plan:
    return Plan(provider.account, provider.ladder, provider.contract, margins or Margins(), provider.binding, draw)


class FakeProvider:
    """`ports.Provider`.  `script`: what each call comes to, in order; `log`: what happened; `presented`: secrets."""

    def __init__(
        self, account: str, *script: Said, ladder: Ladder = (REFRESH, PERSON), contract: Contract = DEFAULT,
        pace: Pace | None = None, host: Pace | None = None, log: list[str] | None = None,
    ) -> None:  # fmt: skip
        self.account, self.script, self.binding = account, list(script), BOUND
        self.ladder, self.contract = ladder, contract
        self.log = [] if log is None else log
        self.presented: list[tuple[str, Intent]] = []
        self.preparing: Callable[[], Awaitable[None]] | None = None
        self.reading: Exception | None = None
        self.relatives: tuple[str, ...] = ()
        self.examined = 0
        self.examining: Callable[[], Awaitable[None]] | None = None
        self.probed: list[Lease] = []
        self.findings: tuple[Found, ...] = ()
        self.meanings: dict[str, Found] = {}
        self.alive: bool | None = None
        self._paces = [("host", host)] if host is not None else []
        self._pace = pace or Pace(interval=1.0)

    def paces(self, rung: str) -> Sequence[tuple[str, Pace]]:
        return [*self._paces, (f"{self.account}/{rung}", self._pace)]

    async def prepare(self, rung: str, record: Record) -> Mapping[str, Secret]:
        self.log.append("prepare")
        if self.preparing is not None:
            await self.preparing()
        return EMPTY

    async def perform(self, rung: str, record: Record, intent: Intent) -> Performed:
        self.log.append("perform")
        held = EMPTY if record.grant is None else record.grant.secrets
        presented = intent.material.get("code") or held.get("refresh_token")
        self.presented.append(("" if presented is None else presented.reveal(), intent))
        said: Said = self.script.pop(0) if self.script else Lost("the script is over")
        if isinstance(said, BaseException):
            raise said
        if isinstance(said, NotSent | Lost | Reply):
            return said
        return await said(record, intent)

    def read(self, rung: str, record: Record, intent: Intent, reply: Reply) -> Judged:
        self.log.append("judge")
        if self.reading is not None:
            raise self.reading
        try:
            said = json.loads(reply.body)
        except ValueError:
            return Unreadable("not JSON", gateway=reply.status >= 500)
        if not reply.complete or reply.status >= 500:
            return Unreadable(f"status {reply.status}", gateway=True)
        if "error" in said:
            return Rejected(
                said["error"], Remedy(said["remedy"]), said.get("retry_after"), known=said["error"] != "odd"
            )
        lease = Lease(self.account, intent.generation + 1, Secret(said["access"]), intent.sent, said["expires_in"])
        grant = None if rung == "issue" else self._grant(record, intent, said.get("refresh"))
        return Answered((Change(self.account, grant, lease, withheld=said.get("stranger")),))

    def _grant(self, record: Record, intent: Intent, refresh: str | None) -> Grant | None:
        old = record.grant if intent.candidate is None else None
        if old is not None:
            return (
                old
                if refresh is None
                else replace(old, secrets={"refresh_token": Secret(refresh)}, obtained=intent.sent)
            )
        if refresh is None:
            return None
        lineage = intent.candidate or intent.flight
        return Grant(lineage, self.binding, {"refresh_token": Secret(refresh)}, intent.sent, intent.sent)

    async def probe(self, lease: Lease) -> bool | None:
        self.probed.append(lease)
        await asyncio.sleep(0)
        return self.alive

    def is_dead(self, status: int | None, code: str | None) -> bool:
        return status == 401

    async def ask(self, flow: str, redirect_uri: str | None, record: Record, *, consent: bool = False) -> Asked:
        return Asked("https://service.example/consent", {"state": Secret("s")})

    @property
    def kin(self) -> Sequence[str]:
        return self.relatives

    def adopt(self, given: Mapping[str, Secret], now: Moment, lineage: str) -> Change:
        if not {name for rung in self.ladder for name in rung.needs} & given.keys():
            raise NotPossible("these secrets renew nothing here", "this account renews with: refresh_token")
        return Change(self.account, Grant(lineage, self.binding, given, now, now))

    async def examine(self, record: Record) -> Sequence[Found]:
        self.examined += 1
        if self.examining is not None:
            await self.examining()
        return self.findings

    def explain(self, code: str) -> Found | None:
        return self.meanings.get(code)

    async def revoke(self, record: Record) -> str:
        return "revoked"

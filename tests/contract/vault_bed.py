"""What the tests of a vault share: a clock that stands still, values, and one exchange from end to end."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from freshd.core.model import Binding, Change, Grant, Intent, Lease, Moment, Secret, Standing
from freshd.core.outcome import Reply
from freshd.core.pace import Row
from freshd.ports import Custodian, Line, Vault
from freshd.vault import JournalVault, Placement, Setup

NOON = Moment(1_790_000_000.0, 5_000.0, "boot-1")
BINDING = Binding("oauth2", "https://as.example", "client", "subject")
REPLY = Reply(
    200, (("Content-Type", "application/json"), ("X-Odd", "\udcff")), b'{"\xff\x00": "canary-reply"}', complete=False
)
FLIGHTS = itertools.count()
CANARIES = (b"canary", b"Y2FuYXJ5")  # plain, and as base64 begins


@dataclass
class Bed:
    """Vaults over one state directory and one custodian."""

    folder: Path
    placement: Placement
    custodian: Custodian
    deadline: float = 10.0
    trace: Callable[[str], None] | None = None
    now: Moment = NOON
    anchor: Path | None = None
    news: list[tuple[str, bool]] = field(default_factory=list)
    _told: asyncio.Event = field(default_factory=asyncio.Event)
    opened: list[JournalVault] = field(default_factory=list)

    def vault(self) -> JournalVault:
        made = JournalVault(
            Setup(
                self.folder,
                self.placement,
                self.custodian,
                lambda: self.now,
                on_settled=self._hear,
                trace=self.trace,
                deadline=self.deadline,
                anchor=self.anchor,
            )
        )
        self.opened.append(made)
        return made

    async def open(self) -> JournalVault:
        vault = self.vault()
        await vault.open()
        return vault

    async def aclose(self) -> None:
        for vault in self.opened:
            await vault.aclose()

    def _hear(self, account: str, settled: bool) -> None:
        self.news.append((account, settled))
        self._told.set()

    async def until_told(self, account: str, *, settled: bool) -> None:
        """Wait for that piece of news, and take it."""
        while (account, settled) not in self.news:
            self._told.clear()
            await self._told.wait()
        self.news.remove((account, settled))

    async def first_news(self, account: str) -> bool:
        """Wait for news of the account, and take it: whether its grant came to rest."""
        while not (known := [one for one in self.news if one[0] == account]):
            self._told.clear()
            await self._told.wait()
        self.news.remove(known[0])
        return known[0][1]

    async def rest(self, standing: Standing) -> None:
        """Wait until the account's grant has come to rest, if it has not yet."""
        if not standing.settled:
            await self.until_told(standing.account, settled=True)


def journal_holds(bed: Bed, account: str) -> bool:
    """Whether the journal has a copy of the grant."""
    with closing(sqlite3.connect(bed.folder / "journal.db")) as db:
        (blob,) = db.execute("SELECT grant_blob FROM records WHERE account = ?", (account,)).fetchone()
    return blob is not None


def retry(vault: JournalVault) -> None:
    """Spare the test the pause between two attempts."""
    settler = vault._open().settler
    assert settler is not None
    settler.retry()


def settles(vault: JournalVault, bed: Bed, account: str) -> bool:
    """Whether the grant has come to rest; hurries it where not."""
    retry(vault)
    return (account, True) in bed.news


def grant(token: str = "canary-refresh", lineage: str = "line-1", **more: str) -> Grant:
    secrets = {"refresh_token": Secret(token), **{name: Secret(value) for name, value in more.items()}}
    return Grant(lineage, BINDING, secrets, NOON, NOON, valid_for=86_400.0, absolute_for=31_536_000.0)


def lease(account: str, token: str = "canary-access", generation: int = 0) -> Lease:
    return Lease(account, generation, Secret(token), NOON, 3600.0, {"scope": "a b"}, {"sid": Secret("canary-sid")})


def row(charges: int = 1) -> Row:
    return Row(last=NOON, day_used=charges)


def line(outcome: str = "ok", generation: int = 1) -> Line:
    return Line(NOON, "refresh", outcome, generation)


async def intent_on(
    vault: Vault, account: str, flight: str, *, candidate: str | None = None, replays: int = 0
) -> Intent:
    """An intent that fits the record as it stands."""
    record = await vault.read(account)
    return Intent(
        flight=flight,
        account=account,
        rung="refresh",
        lineage=record.lineage,
        generation=record.generation,
        sent=NOON,
        material={"verifier": Secret("canary-verifier")},
        replays=replays,
        candidate=candidate if record.grant is not None or candidate else "line-1",
    )


async def exchange(vault: Vault, account: str, change: Change, flight: str = "") -> Standing:
    """Points 3, 5 and 6."""
    intent = await intent_on(vault, account, flight or f"flight-{account}-{next(FLIGHTS)}")
    await vault.intend(intent, {f"{account}/refresh": row()})
    await vault.escrow(intent, REPLY)
    told = await vault.commit(intent, account, [change], {}, line())
    return told[account]


async def enrolled(bed: Bed, vault: Vault, account: str, token: str = "canary-refresh-1") -> Standing:
    """An account with a first grant at rest."""
    standing = await exchange(vault, account, Change(account, grant(token), lease(account)), f"first-{account}")
    await bed.rest(standing)
    return standing


async def put_back(bed: Bed, *accounts: str) -> None:
    """Enrol them, and put the journal back to how it was before the last exchange of `a`."""
    vault = await bed.open()
    for name in accounts:
        await exchange(vault, name, Change(name, grant("one")))
    await vault.aclose()
    old = (bed.folder / "journal.db").read_bytes()
    vault = await bed.open()
    await exchange(vault, "a", Change("a", grant("two")))
    await vault.aclose()
    (bed.folder / "journal.db").write_bytes(old)

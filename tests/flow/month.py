"""Thirty virtual days of fifty accounts: the whole engine, an honest ledger as the service, and all that can happen.

Run it: `python -m tests.flow.month [--days 30] [--seed 1]`; it prints a table and exits with 1 if a promise was broken.

Time is virtual.  The service is the sandbox's pure ledger; it counts calls, spent secrets and its own pace.  True time
is known to the world alone; the daemon sees clocks that stop, step and lie.  A gap is time in which the newest lease a
reader could have is refused by the service, or there is none, while the machine runs and the service is up; each has
its cause.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import random
import sys
import time as real
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from freshd.core import policy
from freshd.core.contract import Contract, Reuse
from freshd.core.events import Event
from freshd.core.model import Intent, Record
from freshd.core.outcome import Lost, NotSent, Performed, Remedy, Reply
from freshd.core.pace import Pace
from freshd.core.settings import Margins
from freshd.core.state import Phase
from freshd.desk import Desk
from freshd.roster import Member
from freshd.sandbox.grants import Granted, Ledger
from freshd.sandbox.policy import Rotation
from freshd.sandbox.tokens import AccessToken, Commit, Holder, fingerprint
from freshd.supervisor import Supervisor
from freshd.tokens import Published
from tests.fakes.provider import FakeProvider, plan_for, refusal, reply
from tests.fakes.time import EPOCH, FakeAlarms, VirtualTime, run
from tests.fakes.vault import Disk, FakeVault

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
LIVES: Final = (600.0,) * 2 + (1800.0,) * 6 + (3600.0,) * 14 + (4 * HOUR,) * 12 + (12 * HOUR,) * 8 + (DAY,) * 8
GRACE: Final = 60.0
HOST: Final = Pace(interval=0.2)
OWN: Final = Pace(interval=1.0, backoff_cap=120.0)
LOOK_SECONDS: Final = 300.0
"""How often the readers look; gaps themselves are measured exactly, at each publication."""
SLACK_SECONDS: Final = 30.0
"""A tick (10 s) to notice that the machine slept, and the queue of fifty."""
DOUBT_SLACK_SECONDS: Final = 300.0
"""An account whose only replay fell into an outage too is asked again on a slow pace (core.doubt)."""
MARGINS: Final = Margins()
GATEWAY: Final = Reply(503, (("content-type", "text/html"),), b"<html>unavailable</html>")


@dataclass(frozen=True, slots=True)
class Spell:
    """Something that lasted, in true seconds."""

    kind: str
    begin: float
    end: float


@dataclass
class Account:
    """One account as the world knows it."""

    name: str
    reuse: Reuse
    life: float
    refreshes: int = 0
    gaps: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    down: float = 0.0
    mourned: int = 0
    worst_late: float = 0.0
    lost_after_commit: int = 0
    parked: int = 0
    visits: int = 0
    lease: AccessToken | None = None
    shown_at: float = 0.0
    due: float | None = None
    last_call: float = float("-inf")


class Service:
    """The ledger behind a door that opens, shuts and swallows answers."""

    def __init__(self, month: Month) -> None:
        self.month = month
        self.ledger = Ledger()
        self.mode = "up"
        self.swallow: dict[str, int] = {}
        """Account → how many of its next answers are lost after the commit."""
        self.last_call = float("-inf")
        self.too_fast: list[str] = []
        self.calls = 0

    def note_call(self, account: Account, now: float) -> None:
        """The service counts its pace itself."""
        self.calls += 1
        if now - self.last_call < HOST.interval - 1e-6 or now - account.last_call < OWN.interval - 1e-6:
            self.too_fast.append(f"{account.name} at {now:.3f}")
        self.last_call = account.last_call = now

    async def answer(self, account: Account, token: str) -> Performed:
        time, dice = self.month.time, self.month.dice
        if self.mode == "refuse":
            return NotSent("connection refused")
        self.note_call(account, time.true)
        self.month.note_start(account)
        await asyncio.sleep(dice.uniform(0.01, self.month.slow / 4))
        if self.mode == "gateway":
            return GATEWAY
        if self.mode == "swallow-before":
            await asyncio.sleep(10.0)
            return Lost("no answer")
        result = self.ledger.refresh(token, time.true)
        if not isinstance(result, Granted):
            return refusal(result.error, Remedy.CLIMB)
        if self.swallow.get(account.name, 0) > 0:
            self.swallow[account.name] -= 1
            account.lost_after_commit += 1
            if result.commit is not None:
                self.ledger.lose(result.commit, "swallowed")
            await asyncio.sleep(10.0)
            return Lost("no answer")
        await asyncio.sleep(dice.uniform(0.01, self.month.slow))
        if result.commit is not None:
            self.ledger.deliver(result.commit)
        refresh = None if result.refresh is None else result.refresh.text
        return reply(access=result.access.text, expires_in=account.life, refresh=refresh)


class LedgerProvider(FakeProvider):
    """`ports.Provider` whose service is the ledger."""

    def __init__(self, account: Account, service: Service) -> None:
        contract = Contract(account.reuse, grace=GRACE if account.reuse is Reuse.GRACE else 0.0)
        super().__init__(account.name, contract=contract, pace=OWN, host=HOST)
        self._known, self._service = account, service

    async def perform(self, rung: str, record: Record, intent: Intent) -> Performed:
        held = {} if record.grant is None else record.grant.secrets
        return await self._service.answer(self._known, held["refresh_token"].reveal())


class Month:
    """The world."""

    def __init__(self, days: float, seed: int, lives: Sequence[float] = LIVES, *, slow: float = 0.2) -> None:
        self.slow = slow
        self.days, self.dice = days, random.Random(seed)
        self.time = VirtualTime()
        self.service = Service(self)
        self.disk = Disk()
        kinds = (Reuse.STRICT, Reuse.GRACE, Reuse.REUSABLE)
        self.accounts = {f"a{n:02}": Account(f"a{n:02}", kinds[n % 3], life) for n, life in enumerate(lives)}
        self.spells: list[Spell] = []
        self.events: Counter[str] = Counter()
        self.broken: list[str] = []
        self.looks = 0
        self.longest: dict[str, float] = defaultdict(float)
        self.supervisor: Supervisor
        self.desk: Desk

    # -- the machine ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """A process begins on what is on the disk."""
        vault = FakeVault(self.disk, lambda: self.time.now().wall, latency=self.slow / 50)
        alarms = FakeAlarms(self.time, self._ring)
        self.supervisor = Supervisor(vault, self.time, alarms, self.tell)
        self.desk = Desk(self.supervisor)
        self.supervisor._shelf = dataclasses.replace(self.supervisor._shelf, show=self.show)
        await self.supervisor.load()
        self.supervisor.start([self._member(account) for account in self.accounts.values()])

    async def stop(self, *, power_cut: bool) -> None:
        supervisor = self.supervisor
        if not power_cut:
            await supervisor.stop()
            return
        for name in supervisor.in_air():
            commits = self.service.ledger.books.account(name).commits
            if not commits or self._is_durable(name, commits[-1]):
                continue
            self.accounts[name].lost_after_commit += 1
            if commits[-1].delivery is None:
                self.service.ledger.lose(commits[-1], "power cut")
        tasks = list(supervisor._tasks)
        for name in self.accounts:
            supervisor._alarms.cancel(name)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_durable(self, name: str, commit: Commit) -> bool:
        """Whether the answer of the service's newest commit rests in the journal, judged or in escrow."""
        record, (_, escrow) = self.disk.records.get(name), self.disk.intents.get(name, (None, None))
        texts = [] if record is None or record.lease is None else [record.lease.token.reveal()]
        texts += [] if escrow is None else [json.loads(escrow.body).get("access", "")]
        return commit.access in {fingerprint(text) for text in texts}

    def _member(self, account: Account) -> Member:
        provider = LedgerProvider(account, self.service)
        plan = plan_for(provider, MARGINS, draw=int(account.name[1:]) / 50)
        return Member(plan, provider, "oauth2", account.name)

    def _ring(self, account: str) -> None:
        self.supervisor.ring(account)

    def tell(self, event: Event) -> None:
        self.events[event.name] += 1
        if event.name == "account.parked" and event.account is not None:
            self.accounts[event.account].parked += 1

    # -- readers ----------------------------------------------------------------------------------------------------

    def show(self, published: Published) -> None:
        """A lease is published: measure the gap before it."""
        self.supervisor._show(published)
        account, now = self.accounts[published.lease.account], self.time.true
        found = self.service.ledger.accepts(published.lease.token.reveal(), now)
        if found is not account.lease and found is not None:
            self._note_gap(account, now)
            account.refreshes += 1
            account.lease, account.shown_at, account.mourned = found, now, account.lost_after_commit
        state = self.supervisor.state(account.name)
        at = policy.refresh_at(published.until, published.lease.valid_for, MARGINS, Contract(), self._draw(account))
        account.due = None if state.unproven else now + max(0.0, at - self.time.boot())

    def _draw(self, account: Account) -> float:
        return int(account.name[1:]) / 50

    def _note_gap(self, account: Account, now: float) -> None:
        if account.lease is None:
            return
        over = max(min(account.lease.expires_at, now), account.shown_at)
        down = self._overlap(("refuse", "gateway", "swallow-before"), over, now)
        seconds = now - over - down - self._overlap(("asleep",), over, now)
        account.down += down
        if seconds > 1e-6:
            cause = self._cause(account, over, now)
            account.gaps[cause] += seconds
            self.longest[cause] = max(self.longest[cause], seconds)

    def _cause(self, account: Account, over: float, now: float) -> str:
        is_lost = account.lost_after_commit > account.mourned
        if is_lost and account.reuse is Reuse.STRICT:
            return "answer lost after commit"
        slack, early = SLACK_SECONDS + OWN.backoff_cap, OWN.backoff_cap
        if account.reuse is not Reuse.REUSABLE:
            slack += DOUBT_SLACK_SECONDS
        for spell in self._chains(slack):
            if spell.begin - 1.0 <= over <= spell.end + early and now <= spell.end + slack:
                return "after sleep" if spell.kind == "asleep" else f"after outage, {account.reuse.value}"
            if is_lost and spell.begin <= now and over - account.life <= spell.end:
                return "answer lost after commit, outage before or behind"
        return "freshd"

    def _chains(self, slack: float) -> Iterable[Spell]:
        """Spells, newest first, each with those that began before anybody could have recovered from it."""
        begin, end = 0.0, float("-inf")
        chains: list[Spell] = []
        for spell in self.spells:
            chained = spell.begin <= end + slack
            begin, end = begin if chained else spell.begin, max(end, spell.end)
            kind = chains[-1].kind if chained and chains[-1].kind != "asleep" else spell.kind
            chains.append(Spell(kind, begin, end))
        return reversed(chains)

    def _overlap(self, kinds: Iterable[str], begin: float, end: float) -> float:
        return sum(
            max(0.0, min(end, spell.end) - max(begin, spell.begin)) for spell in self.spells if spell.kind in kinds
        )

    def note_start(self, account: Account) -> None:
        """A refresh arrives at the service: how late, leaving out what no daemon can help."""
        due, now = account.due, self.time.true
        if due is None or now <= due:
            return
        account.due = None
        if not any(spell.begin - 1.0 <= now and due - OWN.backoff_cap <= spell.end for spell in self.spells):
            account.worst_late = max(account.worst_late, now - due)

    async def look(self) -> None:
        """Readers ask the desk; what they get must work at the service whenever the lease's life is not over."""
        for account in self.accounts.values():
            self.looks += 1
            held = self.desk.lease(account.name)
            known = account.lease
            if held is None or known is None:
                self.broken += [] if known is None else [f"{account.name} shows nothing"]
                continue
            if known.is_alive(self.time.true):
                if held.lease.token.reveal() != known.text:
                    self.broken.append(f"{account.name} shows an old lease")
                self.service.ledger.accepts(known.text, self.time.true)

    # -- what happens -----------------------------------------------------------------------------------------------

    async def outage(self, kind: str, seconds: float) -> None:
        begin = self.time.true
        self.service.mode = kind
        self.spells.append(Spell(kind, begin, begin + seconds))
        await asyncio.sleep(seconds)
        self.service.mode = "up"

    async def suspend(self, seconds: float) -> None:
        begin = self.time.true
        self.time.suspend(seconds)
        self.spells.append(Spell("asleep", begin, self.time.true))
        await asyncio.sleep(0.0)

    async def reboot(self, *, down: float, wall_error: float, power_cut: bool) -> None:
        begin = self.time.true
        await self.stop(power_cut=power_cut)
        self.time.reboot(down=down, wall_error=wall_error)
        self.spells.append(Spell("asleep", begin, self.time.true))
        for account in self.accounts.values():
            account.due = None
        await self.start()

    async def visit(self) -> None:
        """A person sees to what is parked."""
        for account in self.accounts.values():
            state = self.supervisor.state(account.name)
            if state.phase is Phase.PARKED and state.parked is not None and state.parked.until is None:
                account.visits += 1
                token = self.service.ledger.mint(self._holder(account), self.time.true)
                await self.desk.operate("import", account.name, {"secrets": {"refresh_token": token.text}})

    def _holder(self, account: Account) -> Holder:
        return Holder(client_id="client", label=account.name)

    def script(self) -> list[tuple[float, str]]:
        """What happens when, over the days."""
        acts: list[tuple[float, str]] = []
        for day in range(int(self.days)):
            base = day * DAY
            acts.append((base + self.dice.uniform(0.0, DAY), ("refuse", "gateway", "swallow-before")[day % 3]))
            acts.append((base + self.dice.uniform(0.0, DAY), ("suspend", "step back", "step on")[day % 3]))
            acts.append((base + self.dice.uniform(0.0, DAY), "swallow grace"))
            if day % 5 == 2:
                acts.append((base + self.dice.uniform(0.0, DAY), ("1970", "next year", "power cut")[day // 5 % 3]))
            if day % 10 == 4:
                acts.append((base + self.dice.uniform(0.0, DAY), "swallow strict"))
            acts.extend((base + hour * HOUR, "visit") for hour in (8, 16))
        return sorted(acts)

    async def act(self, name: str) -> None:
        dice = self.dice
        match name:
            case "refuse" | "gateway" | "swallow-before":
                await self.outage(name, dice.choice([30.0, 5 * MINUTE, 40 * MINUTE, 3 * HOUR]))
            case "suspend":
                await self.suspend(dice.choice([5 * MINUTE, HOUR, 9 * HOUR]))
            case "step back" | "step on":
                self.time.step((-1 if name == "step back" else 1) * dice.choice([90.0, HOUR, 400 * DAY]))
                await asyncio.sleep(dice.uniform(0.0, 2 * HOUR))
                self.time.wall_error = 0.0
            case "1970" | "next year":
                error = -(EPOCH + self.time.true) if name == "1970" else 365 * DAY
                await self.reboot(down=dice.uniform(30.0, 600.0), wall_error=error, power_cut=False)
                await asyncio.sleep(dice.uniform(MINUTE, HOUR))
                self.time.wall_error = 0.0
            case "power cut":
                await self.reboot(down=60.0, wall_error=0.0, power_cut=True)
            case "swallow grace" | "swallow strict":
                reuse = Reuse.STRICT if name == "swallow strict" else dice.choice([Reuse.GRACE, Reuse.REUSABLE])
                chosen = dice.choice([one for one in self.accounts.values() if one.reuse is reuse])
                self.service.swallow[chosen.name] = 1
            case "visit":
                await self.visit()

    # -- the whole --------------------------------------------------------------------------------------------------

    def enrol_all(self) -> None:
        rotations = {
            Reuse.STRICT: Rotation.STRICT, Reuse.GRACE: Rotation.GRACE, Reuse.REUSABLE: Rotation.REUSABLE,
        }  # fmt: skip
        for account in self.accounts.values():
            over = {"rotation": rotations[account.reuse], "grace_s": GRACE, "access_s": account.life}
            self.service.ledger.policies.change(over, label=account.name)

    async def live(self) -> None:
        await self.start()
        self.enrol_all()
        for account in self.accounts.values():
            token = self.service.ledger.mint(self._holder(account), self.time.true)
            secrets = {"refresh_token": token.text}
            await self.desk.operate("import", account.name, {"secrets": secrets})
        looking = asyncio.ensure_future(self._look_on())
        for at, name in self.script():
            await asyncio.sleep(max(0.0, at - self.time.true))
            await self.act(name)
        await asyncio.sleep(max(0.0, self.days * DAY - self.time.true))
        looking.cancel()
        for account in self.accounts.values():
            self._note_gap(account, self.time.true)
        await self.stop(power_cut=False)

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the month came to."""

    refreshes: int
    calls: int
    spent_uses: int
    doubtful_replays: int
    in_grace: int
    too_fast: int
    late_worst: float
    gaps: dict[str, float]
    wrong: tuple[str, ...]
    events: dict[str, int]
    month: Month = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return not self.wrong


def judge(month: Month) -> Verdict:
    """Compare what happened with what is promised."""
    totals, accounts = month.service.ledger.books.totals, month.accounts.values()
    gaps: dict[str, float] = defaultdict(float)
    for account in accounts:
        for cause, seconds in account.gaps.items():
            gaps[cause] += seconds
    wrong = list(month.broken)
    wrong += [f"{one.name}: a gap of {one.gaps['freshd']:.1f} s" for one in accounts if "freshd" in one.gaps]
    wrong += [
        f"{one.name}: a refresh {one.worst_late:.1f} s late" for one in accounts if one.worst_late > SLACK_SECONDS
    ]
    wrong += [f"too fast: {call}" for call in month.service.too_fast]
    wrong += [f"{totals.spent_uses} spent secrets presented"] if totals.spent_uses else []
    wrong += [f"{one.name}: parked without a lost answer" for one in accounts if one.visits > one.lost_after_commit]
    wrong += [f"{month.events['bug']} bugs"] if month.events["bug"] else []
    for account in accounts:
        state = month.supervisor.state(account.name)
        if state.phase not in (Phase.LIVE, Phase.DOUBTFUL, Phase.PARKED, Phase.SPENDING):
            wrong.append(f"{account.name} ends {state.phase.value}")
    return Verdict(
        totals.refreshes, month.service.calls, totals.spent_uses, totals.doubtful_replays, totals.in_grace,
        len(month.service.too_fast), max(one.worst_late for one in accounts), dict(gaps), tuple(wrong),
        dict(month.events), month,
    )  # fmt: skip


def live(days: float = 30.0, seed: int = 1) -> Verdict:
    """Live the days and judge them."""
    month = Month(days, seed)
    run(month.time, month.live())
    return judge(month)


def table(verdict: Verdict) -> str:
    """What a person reads."""
    month = verdict.month
    head = ("account", "contract", "life_s", "refreshes", "late_s", "visits", "down_s")
    rows = ["{:8} {:9} {:>7} {:>9} {:>7} {:>6} {:>7}  gaps".format(*head)]
    for one in month.accounts.values():
        gaps = ", ".join(f"{cause} {seconds:.1f}" for cause, seconds in one.gaps.items()) or "none"
        rows.append(
            f"{one.name:8} {one.reuse.value:9} {one.life:7.0f} {one.refreshes:9} {one.worst_late:7.2f} "
            f"{one.visits:6} {one.down:7.0f}  {gaps}"
        )
    rows.append(
        f"refreshes {verdict.refreshes}, calls {verdict.calls}, spent_uses {verdict.spent_uses}, "
        f"doubtful_replays {verdict.doubtful_replays}, in_grace {verdict.in_grace}, too fast {verdict.too_fast}, "
        f"worst late {verdict.late_worst:.2f} s"
    )
    rows.append(
        "service down beyond a lease's life (s, all accounts): " + f"{sum(a.down for a in month.accounts.values()):.0f}"
    )
    for cause, seconds in sorted(verdict.gaps.items()):
        rows.append(f"gaps {cause}: {seconds:.1f} s in all, longest {month.longest[cause]:.1f} s")
    rows.append("events: " + ", ".join(f"{name} {count}" for name, count in sorted(verdict.events.items())))
    rows.extend(f"WRONG {line}" for line in verdict.wrong)
    return "\n".join(rows)


def main() -> int:
    """Live a month and print it."""
    parser = argparse.ArgumentParser(description="Live virtual days of fifty accounts.")
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = real.monotonic()
    verdict = live(given.days, given.seed)
    print(table(verdict))
    print(f"{given.days:g} days in {real.monotonic() - began:.1f} s of real time, seed {given.seed}")
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())

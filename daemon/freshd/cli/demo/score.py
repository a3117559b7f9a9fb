"""From evidence to a verdict.  Pure, and suspicious: what was not seen to go well has failed.

`spent_uses` and `doubtful_replays` are the service's own counts (see the sandbox), renewals and heals are counted in
the daemon's log (a code for the stock is no renewal, and is counted apart), everything else comes from the readers'
diaries and the service's books.

Every account is held to the same: no gap but healing, no spent token, still renewing.  What must have happened for the
run to prove anything is demanded of each service by itself (in the file of its name; of OAuth 2.0 here), so that
nothing that one of them shows stands for what another one did not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from freshd.cli.demo import aun, cloudbase, feishu, futu, geniusauth, mqtt
from freshd.cli.demo.cast import AUN, BROKER, CLOUD, FUTU, OAUTH2
from freshd.cli.demo.evidence import AccountEvidence, Evidence
from freshd.cli.demo.lapses import Lapses, lapses
from freshd.cli.demo.lateness import lateness, percentile, waits

RESOLUTION_S = 0.01
"""Gaps are rounded up to this, so that no gap is rounded away: 0 means none.  A clock read twice and a reply on the
loopback interface take a tenth of it."""
RENEWALS_SHARE = 0.5
"""An account must have renewed at least this share of what the time allows: storm, restart and jitter take some."""
UNWATCHED_MOST_S = 3.0
"""A reader that proved nothing for longer than this might have missed something: the machine was too busy to judge."""
STOCKS = "repull"
ANSWERED = frozenset({"granted", "early", "pending", "answered", "ok"})
MORE: Mapping[str, Callable[[str, Evidence], dict[str, int]]] = {
    FUTU: futu.counts, BROKER: futu.counts, AUN: aun.counts, CLOUD: cloudbase.counts
}  # fmt: skip
JUDGES = (feishu, futu, geniusauth, aun, cloudbase, mqtt)
AT_WORK = frozenset({"live", "spending"})
JSON_NAMES = (
    "name", "refreshes", "heals", "reads", "late_p99_s", "spent_uses", "doubtful_replays", "gap_s", "expected_parked",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AccountScore:
    """One account's line.  Seconds.

    gap_s      all of it; `healing_s` is the part between a revocation and the healed token, which nobody can avoid
    broken_s   the rest of the gap: must be nothing
    down_s     no part of the gap
    more       what only its service counts: see `counts` in the file of its name
    """

    name: str
    refreshes: int
    heals: int
    reads: int
    late_p99_s: float | None
    spent_uses: int
    doubtful_replays: int
    gap_s: float
    expected_parked: bool
    down_s: float
    healing_s: float
    broken_s: float
    unwatched_s: float
    doubts: int
    failed_calls: int
    phase: str
    remedy: str
    more: Mapping[str, int] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Its part of the JSON line."""
        return {name: getattr(self, name) for name in JSON_NAMES} | dict(self.more)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`failures`: one sentence each; none of them means that all went as it should."""

    accounts: tuple[AccountScore, ...]
    failures: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.failures

    def document(self) -> dict[str, Any]:
        """The JSON line."""
        return {"ok": self.ok, "accounts": [account.document() for account in self.accounts]}


def judge(evidence: Evidence) -> Verdict:
    """All accounts, then everything that is not as it should be."""
    told = Counter((kind_of(event), str(event.get("account"))) for event in evidence.events)
    accounts = tuple(_score(one, evidence, told) for one in evidence.accounts)
    failures = [*_happenings(evidence, accounts), *(line for one in JUDGES for line in one.failures(evidence))]
    for one, score in zip(evidence.accounts, accounts, strict=True):
        failures += _expected(one, score) if one.expected_parked else _healthy(one, score, evidence)
        failures += _never(score)
    return Verdict(accounts, tuple(failures))


def kind_of(event: Mapping[str, Any]) -> str:
    """What a line of the daemon's log counts as: its name, but for what only fills a stock."""
    name = str(event.get("event"))
    return "stock.filled" if name == "refresh.succeeded" and event.get("rung") == STOCKS else name


def rounded_up(seconds: float) -> float:
    """To RESOLUTION_S; what is left of subtracting equal moments (below a microsecond) is nothing."""
    return round(math.ceil((seconds - 1e-6) / RESOLUTION_S) * RESOLUTION_S, 6) if seconds > 1e-6 else 0.0


def _score(one: AccountEvidence, evidence: Evidence, told: Mapping[tuple[str, str], int]) -> AccountScore:
    late = percentile(_late(one, evidence), 0.99)
    worst = _worst(one, evidence)
    return AccountScore(
        name=one.name,
        refreshes=told.get(("refresh.succeeded", one.name), 0),
        heals=told.get(("lease.healed", one.name), 0),
        reads=one.reads,
        late_p99_s=None if late is None else round(late, 3),
        spent_uses=int(one.counters.get("spent_uses", 0)),
        doubtful_replays=int(one.counters.get("doubtful_replays", 0)),
        gap_s=rounded_up(worst.gap_s + worst.healing_s),
        expected_parked=one.expected_parked,
        down_s=rounded_up(worst.down_s),
        healing_s=rounded_up(worst.healing_s),
        broken_s=rounded_up(worst.gap_s),
        unwatched_s=worst.unwatched_s,
        doubts=told.get(("doubt.opened", one.name), 0),
        failed_calls=sum(1 for call in one.arrivals if call.outcome not in ANSWERED) + one.lost,
        phase=str(one.final.get("phase", "unknown")),
        remedy=str(one.final.get("remedy") or ""),
        more=MORE.get(one.kind, mqtt.counts)(one.name, evidence),
    )


def _late(one: AccountEvidence, evidence: Evidence) -> list[float]:
    """Where leases are made on demand there is no due moment but what a reader asks for."""
    if one.kind in (FUTU, BROKER):
        return waits(one.arrivals, one.wishes, evidence.downs, evidence.ended)
    return lateness(one.arrivals, one.samples, evidence.downs)


def _worst(one: AccountEvidence, evidence: Evidence) -> Lapses:
    """The largest of each number among its readers; a reader without a diary has seen nothing but a gap."""
    span = (evidence.began, evidence.ended)
    refused = {**evidence.revoked, **evidence.voided}
    found = [
        lapses((line for line in one.readings if line.reader == reader), span, evidence.downs, refused)
        for reader in sorted({line.reader for line in one.readings})
    ] or [Lapses(gap_s=span[1] - span[0])]
    return Lapses(
        gap_s=max(lapse.gap_s for lapse in found),
        down_s=max(lapse.down_s for lapse in found),
        healing_s=max(lapse.healing_s for lapse in found),
        unwatched_s=max(lapse.unwatched_s for lapse in found),
    )


def _healthy(one: AccountEvidence, score: AccountScore, evidence: Evidence) -> Iterator[str]:
    away = sum(end - start for start, end in evidence.storms)
    least = max(1, int((evidence.ended - evidence.began - away) / one.renews_every * RENEWALS_SHARE))
    if score.refreshes < least:
        yield f"{one.name} was renewed {score.refreshes} times; at least {least} were expected"
    if score.broken_s > 0:
        yield f"{one.name} had a gap of {score.broken_s:g} s: a reader's newest token was refused, or it held none"
    if score.phase not in AT_WORK:
        yield f"{one.name} ended {score.phase}; it should still be renewing"
    if score.late_p99_s is None:
        seen = "reader had to ask" if one.kind in (FUTU, BROKER) else "renewal's due moment was seen"
        yield f"{one.name}: no {seen}, so nobody knows whether it was late"


def _expected(one: AccountEvidence, score: AccountScore) -> Iterator[str]:
    if not one.lost:
        yield f"{one.name} never lost an answer after the service's commit; it was meant to"
    if score.phase != "parked":
        yield f"{one.name} ended {score.phase}; without its answer it should be parked"
    elif not score.remedy:
        yield f"{one.name} is parked without a remedy"
    if not score.refreshes:
        yield f"{one.name} was never renewed before it lost its answer"


def _never(score: AccountScore) -> Iterator[str]:
    if score.spent_uses:
        yield f"{score.name}: a token known to be spent was presented {score.spent_uses} times"
    if not score.reads:
        yield f"{score.name} was never read"
    if score.unwatched_s > UNWATCHED_MOST_S:
        yield f"{score.name}: nobody looked for {score.unwatched_s:.1f} s; the machine was too busy to judge"


def _happenings(evidence: Evidence, accounts: tuple[AccountScore, ...]) -> Iterator[str]:
    """What must have happened to the OAuth 2.0 accounts, and to the daemon, for the run to prove anything."""
    yield from _ends(evidence)
    plain = [one for one in evidence.accounts if one.kind == OAUTH2]
    if not any(account.expected_parked for account in accounts):
        yield "no account was meant to lose its answer for good"
    if not any(one.lost for one in plain if not one.expected_parked):
        yield "no account that can recover lost an answer after the service's commit"
    if not _struck(plain, evidence):
        yield "there was no storm: the service answered no renewal with 5xx"
    if not evidence.revoked:
        yield "the service revoked no token"
    names = {one.name for one in plain}
    if not sum(account.heals for account in accounts if account.name in names):
        yield "no refused token was healed"
    for event in evidence.events:
        if event.get("event") == "bug":
            yield f"the daemon met something it does not understand: {event.get('kind')} ({event.get('account')})"


def _ends(evidence: Evidence) -> Iterator[str]:
    """Of the daemon, and of the script."""
    yield from evidence.troubles
    if not evidence.kills:
        yield "the daemon was never killed"
    elif evidence.comebacks < evidence.kills:
        yield "the daemon was killed and did not come back"
    if evidence.deaths:
        yield f"the daemon ended by itself {evidence.deaths} times"


def _struck(accounts: Sequence[AccountEvidence], evidence: Evidence) -> bool:
    failures = ("status", "bad_gateway", "oauth_error")
    calls = [call for one in accounts for call in one.arrivals if call.outcome in failures]
    return any(start <= call.at <= end + 0.5 for call in calls for start, end in evidence.storms)

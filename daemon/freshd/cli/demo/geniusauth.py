"""What must have happened to GeniusAuth's accounts for the run to prove anything.  Pure.

Rules
-----
* A refused access token counts as healed as everywhere.
* While the service cannot look logins up it says of each that it is dead.  Each account must have been told so; one
  alert for all of them, one for its end, and nobody is parked or has to log in again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from freshd.cli.demo.cast import GENIUS
from freshd.cli.demo.evidence import AccountEvidence, Evidence

DEAD: Final = "31"
FEWEST: Final = 2


def failures(evidence: Evidence) -> Iterator[str]:
    """One sentence for each thing that is missing or should not be."""
    accounts = [one for one in evidence.accounts if one.kind == GENIUS]
    if len(accounts) < FEWEST:
        yield "no two accounts of GeniusAuth were shown"
        return
    revoked = [one for one in accounts if {line.token for line in one.readings} & evidence.voided.keys()]
    if not revoked:
        yield "GeniusAuth revoked no token"
    for one in revoked:
        if not _count(evidence, "lease.healed", one.name):
            yield f"{one.name}: no refused token was healed"
    yield from _store(accounts, evidence)


def _store(accounts: list[AccountEvidence], evidence: Evidence) -> Iterator[str]:
    struck = evidence.struck.get("store", {})
    if not struck:
        yield "GeniusAuth's store of logins never failed"
        return
    for one in accounts:
        met = int(one.counters.get("errors", {}).get(DEAD, 0))
        if not met:
            yield f"{one.name} was never told {DEAD}"
        if _count(evidence, "account.parked", one.name):
            yield f"{one.name} was parked, though GeniusAuth said {DEAD} of others too"
    told = _count(evidence, "service.refusing")
    if told != 1:
        yield f"that GeniusAuth says {DEAD} of several accounts was told {told} times; once was expected"
    if not _count(evidence, "service.accepting"):
        yield "GeniusAuth never answered again after its store had failed"


def _count(evidence: Evidence, name: str, account: str | None = None) -> int:
    events = (event for event in evidence.events if event.get("event") == name)
    return sum(1 for event in events if account is None or event.get("account") == account)

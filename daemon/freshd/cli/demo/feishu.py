"""What must have happened to Feishu's accounts for the run to prove anything.  Pure.

Its refresh tokens work once, and a second use ends the whole grant with the code 20064; so that code must not be met.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from freshd.cli.demo.cast import FEISHU, FEISHU_APP
from freshd.cli.demo.evidence import Evidence

REUSED: Final = "20064"


def failures(evidence: Evidence) -> Iterator[str]:
    """One sentence for each thing that is missing or should not be."""
    users = [one for one in evidence.accounts if one.kind == FEISHU]
    if not users:
        yield "no user of Feishu was shown"
    if not any(one.kind == FEISHU_APP for one in evidence.accounts):
        yield "no tenant token of Feishu was shown"
    for one in users:
        met = int(one.counters.get("errors", {}).get(REUSED, 0))
        if met:
            yield f"{one.name} met {REUSED} {met} times: its refresh token was presented twice"
        had = {line.token for line in one.readings}
        if not had & evidence.voided.keys():
            yield f"Feishu revoked no token of {one.name}"
        healed = (event for event in evidence.events if event.get("event") == "lease.healed")
        if not any(event.get("account") == one.name for event in healed):
            yield f"{one.name}: no refused token was healed"

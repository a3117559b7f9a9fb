"""What must have happened to CloudBase's accounts for the run to prove anything.  Pure.

A user has one session there.  A stranger's sign-in ends freshd's, and nobody is told: the next refresh is refused, one
sign-in heals, and there is no second one, for two who sign in again and again throw each other out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from freshd.cli.demo.cast import ANONYMOUS, CLOUD, CUSTOM
from freshd.cli.demo.evidence import AccountEvidence, Evidence
from freshd.cli.demo.sequence import Step, follow, granted

CLOUD_NAMES: Final = ("signins",)
METHODS: Final = {CUSTOM: "custom", ANONYMOUS: "anonymously"}
"""Names of the calls in the service's books."""
HEALED: Final[tuple[Step, ...]] = (("refresh_token", False), ("custom", True))


def counts(name: str, evidence: Evidence) -> dict[str, int]:
    """An account's members of the JSON line beside the usual ones, in the order of CLOUD_NAMES.

    signins     without a person, the first one included
    """
    calls = next((one.arrivals for one in evidence.accounts if one.name == name), ())
    return dict(zip(CLOUD_NAMES, (sum(granted(calls, call) for call in METHODS.values()),), strict=True))


def failures(evidence: Evidence) -> Iterator[str]:
    """One sentence for each thing that is missing or should not be."""
    accounts = [one for one in evidence.accounts if one.kind == CLOUD]
    for method, call in METHODS.items():
        if not any(granted(one.arrivals, call) for one in accounts):
            yield f"nobody signed in at CloudBase by the way called {method}"
    struck = evidence.struck.get("stranger", {})
    if not struck:
        yield "nobody else signed in at CloudBase with an account of freshd's"
    for one in accounts:
        if one.name in struck:
            yield from _pushed_out(one, struck[one.name][0])
    revoked = [one for one in accounts if {line.token for line in one.readings} & evidence.voided.keys()]
    if not revoked:
        yield "CloudBase revoked no token"
    healed = {event.get("account") for event in evidence.events if event.get("event") == "lease.healed"}
    for one in revoked:
        if one.name not in healed:
            yield f"{one.name}: no refused token was healed"


def _pushed_out(one: AccountEvidence, since: float) -> Iterator[str]:
    if not follow(one.arrivals, since, HEALED):
        yield f"{one.name}: its session was ended by a stranger, and no sign-in made another one"
    signins = granted(one.arrivals, METHODS[CUSTOM], since)
    if signins > 1:
        yield f"{one.name} signed in {signins} times against a stranger; once was expected"

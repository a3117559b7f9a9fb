"""What must have happened to an agent of AUN and its login at the gateway for the run to prove anything.  Pure.

Rules
-----
* All of it is the service's own count: refreshes, logins with the key, sessions, how they ended.
* A login must have been made at the end of a chain of refreshes, though none was refused, and one after a refusal.
* Each time the gateway ended the session with 4001 there must be another one soon, and one at the end of the run.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

from freshd.cli.demo.cast import AUN
from freshd.cli.demo.evidence import AccountEvidence, Evidence
from freshd.cli.demo.lapses import overlap
from freshd.cli.demo.sequence import YES, Step, follow, granted

AUN_NAMES: Final = ("logins", "sessions", "sessions_ended")
REFRESH, LOGIN, CONNECT = "auth.refresh_token", "auth.aid_login2", "auth.connect"
DEAD_TOKEN: Final = "4001"
AGAIN_SECONDS: Final = 5.0
"""A token that may be too new for the gateway is tried up to 4.3 s long before it is believed dead."""
BY_KEY: Final[tuple[Step, ...]] = ((REFRESH, False), (LOGIN, True))


def counts(name: str, evidence: Evidence) -> dict[str, int]:
    """An account's members of the JSON line beside the usual ones, in the order of AUN_NAMES.

    logins          with the key; sessions: logins at the gateway, and of these how many it ended with 4001
    """
    calls = next((one.arrivals for one in evidence.accounts if one.name == name), ())
    ended = evidence.aun.tally.get(name, {}).get("ended", {}).get(DEAD_TOKEN, 0)
    return dict(zip(AUN_NAMES, (granted(calls, LOGIN), granted(calls, CONNECT), int(ended)), strict=True))


def failures(evidence: Evidence) -> Iterator[str]:
    """One sentence for each thing that is missing or should not be."""
    agents = [one for one in evidence.accounts if one.kind == AUN]
    if not agents:
        yield "no agent of AUN was shown"
    for one in agents:
        if not _ends_a_chain(one):
            yield f"{one.name}: no login was made at the end of a chain of refreshes"
        yield from _sessions(one, evidence)


def _sessions(one: AccountEvidence, evidence: Evidence) -> Iterator[str]:
    moments = evidence.struck.get("session", {}).get(one.name, ())
    if not moments:
        yield f"{one.name}: the gateway never ended its login"
    elif counts(one.name, evidence)["sessions_ended"] < len(moments):
        yield f"{one.name}: the gateway ended fewer logins with {DEAD_TOKEN} than it was told to"
    elif not any(follow(one.arrivals, at, BY_KEY) for at in moments):
        yield f"{one.name}: no refused refresh was followed by a login with the key"
    for at in moments:
        had = [call.at for call in one.arrivals if call.operation == CONNECT and call.outcome in YES]
        until = min((found for found in had if found >= at), default=evidence.ended)
        if until - at - overlap((at, until), evidence.downs) > AGAIN_SECONDS:
            yield f"{one.name}: its login at the gateway was not had again within {AGAIN_SECONDS:g} s"
    if not evidence.aun.sessions.get(one.name):
        yield f"{one.name} is not logged in at its gateway at the end"


def _ends_a_chain(one: AccountEvidence) -> bool:
    """Whether a login followed a refresh that was granted, with nothing refused in between."""
    tokens = [call for call in sorted(one.arrivals, key=lambda call: call.at) if call.operation in (REFRESH, LOGIN)]
    return any(
        after.operation == LOGIN and before.operation == REFRESH and {before.outcome, after.outcome} <= YES
        for before, after in itertools.pairwise(tokens)
    )

"""What must have happened to the login at the MQTT broker for the run to prove anything.  Pure.

Rules
-----
* A password that changes throws freshd out.  Each time the broker itself must have let it in again soon, with the
  password of then, which is the token that freshd then had.
* Every event that freshd numbered must have reached the subscriber; one that never left a killed daemon had no chance
  to, and shows in no gap between numbers.
* Where there was no broker, nothing is demanded: that this part is not shown is said at the beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from freshd.cli.demo.evidence import Evidence, MqttEvidence
from freshd.cli.demo.lapses import overlap

MQTT_NAMES: Final = ("rotations", "logins", "events", "events_lost")
AGAIN_SECONDS: Final = 5.0
"""A token that may be too new for the broker is tried up to 4.3 s long before it is believed dead."""
FEWEST: Final = 2


def counts(name: str, evidence: Evidence) -> dict[str, int]:
    """An account's members of the JSON line beside the usual ones, in the order of MQTT_NAMES; none for others.

    rotations   changes of the password; logins: that the broker took; events: heard by the subscriber, and lost
    """
    found = evidence.mqtt
    if found is None or found.account != name:
        return {}
    return dict(zip(MQTT_NAMES, (len(found.changes), len(found.logins), found.events, found.lost), strict=True))


def failures(evidence: Evidence) -> Iterator[str]:
    """One sentence for each thing that is missing or should not be."""
    found = evidence.mqtt
    if found is None:
        return
    counted = [at for at in found.changes if at >= evidence.began]
    if len(counted) < FEWEST:
        yield f"{found.account}: the broker's password changed {len(counted)} times; at least {FEWEST} were expected"
    yield from _away(found, evidence)
    if not found.events:
        yield "nobody heard of any event over MQTT"
    if found.lost:
        yield f"{found.lost} events that freshd numbered were lost on their way over MQTT"


def _away(found: MqttEvidence, evidence: Evidence) -> Iterator[str]:
    """Once, however often; a change too near to the end to be judged is not judged."""
    for at in found.changes:
        if evidence.ended - at <= AGAIN_SECONDS:
            continue
        until = min((login for login in found.logins if login >= at), default=evidence.ended)
        if until - at - overlap((at, until), evidence.downs) > AGAIN_SECONDS:
            yield f"{found.account}: its login at the broker was not had again within {AGAIN_SECONDS:g} s"
            return

"""What must have happened to the login at Futu and its brokers for the run to prove anything.  Pure.

Rules
-----
* Logins, codes asked for and text messages are the service's own count.  A login inside the window, and any text
  message at all, is a failure: both can lock an account.
* A code that expired, and one that was refused with 20029, count as healed when the service's books show it: the
  refusal, then a code that was asked for, then an exchange that was granted.
* A connection counts as mended when its program itself logged in again, with another lease, within the time that
  healing may take.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from freshd.cli.demo.cast import BROKER, FUTU
from freshd.cli.demo.evidence import AccountEvidence, Evidence, Held, Turn
from freshd.cli.demo.lapses import HEALING_SECONDS, overlap
from freshd.cli.demo.sequence import Step, follow

FUTU_NAMES: Final = ("repulls", "authority_calls", "authority_too_soon", "sms")
NO_CID: Final = "20029"
EXPIRED: Final[Sequence[Step]] = (("broker_auth", False), ("repull", True), ("broker_auth", True))
NO_CODE: Final[Sequence[Step]] = (("repull", False), ("repull", True), ("broker_auth", True))


def counts(name: str, evidence: Evidence) -> dict[str, int]:
    """An account's members of the JSON line beside the usual ones, in the order of FUTU_NAMES.

    repulls             codes asked for: the broker's own; for the platform, those of all its brokers
    authority_calls     logins of the family; authority_too_soon: of these, inside the service's window
    sms                 text messages to the family's phone
    """
    tally = evidence.futu.tally
    asked = {one.name: _count(one, "repull") for one in evidence.accounts if one.kind == BROKER}
    repulls = asked.get(name, sum(asked.values()))
    return dict(
        zip(
            FUTU_NAMES,
            (repulls, *(int(tally.get(key, 0)) for key in ("authority_calls", "authority_too_soon", "sms_sent"))),
            strict=True,
        )
    )


def failures(evidence: Evidence) -> Iterator[str]:
    """One sentence for each thing that is missing or should not be."""
    brokers = [one for one in evidence.accounts if one.kind == BROKER]
    if len(brokers) < 2 or not any(one.kind == FUTU for one in evidence.accounts):
        yield "no login at Futu with two brokers was shown"
        return
    yield from _platform(evidence.futu.tally)
    yield from _expired(brokers, evidence.futu.expired)
    yield from _refused(brokers, evidence)
    if not evidence.futu.cut:
        yield "no trading connection was cut"
    for one in brokers:
        yield from _connection(one, evidence)


def _platform(tally: Mapping[str, object]) -> Iterator[str]:
    numbers = {key: int(str(tally.get(key, 0))) for key in ("authority_calls", "authority_too_soon", "sms_sent")}
    if not numbers["authority_calls"]:
        yield "nobody logged in at Futu"
    if numbers["authority_too_soon"]:
        yield f"Futu was sent {numbers['authority_too_soon']} logins inside the window in which it takes them for abuse"
    if numbers["sms_sent"]:
        yield f"{numbers['sms_sent']} text messages were asked for at Futu; none may ever be without a person"


def _expired(brokers: Sequence[AccountEvidence], expired: Mapping[str, float]) -> Iterator[str]:
    if not expired:
        yield "no code of a broker had expired"
    for one in brokers:
        since = expired.get(one.name)
        if since is not None and not follow(one.arrivals, since, EXPIRED):
            yield f"{one.name}: its code expired, and no new one was asked for and taken"


def _refused(brokers: Sequence[AccountEvidence], evidence: Evidence) -> Iterator[str]:
    if not evidence.futu.told_no_cid:
        yield f"no broker was told {NO_CID}"
    for one in brokers:
        since, met = evidence.futu.told_no_cid.get(one.name), int(one.counters.get("errors", {}).get(NO_CID, 0))
        if met != (since is not None):
            yield f"{one.name} was told {NO_CID} {met} times; {int(since is not None)} was expected"
        if since is None:
            continue
        withdrawn = (event for event in evidence.events if event.get("event") == "lease.withdrawn")
        if not any(event.get("account") == one.name for event in withdrawn):
            yield f"{one.name}: what {NO_CID} makes void was not forgotten"
        if not follow(one.arrivals, since, NO_CODE):
            yield f"{one.name} was told {NO_CID}, and no new code was had and taken"


def _connection(one: AccountEvidence, evidence: Evidence) -> Iterator[str]:
    """The trading connection of one broker: held to the end, and mended where it was cut."""
    diary = evidence.futu.held.get(one.name, ())
    longest = max(_outages(diary, evidence), default=0.0)
    if not any(line.turn is Turn.IN for line in diary):
        yield f"{one.name}: nobody was logged in at its trading connection"
    elif longest > HEALING_SECONDS:
        yield f"{one.name}: its trading connection was without a login for {longest:.1f} s"
    if one.name in evidence.futu.cut and not _is_mended(diary):
        yield f"{one.name}: no refused signature was reported and the connection logged in again with another one"


def _outages(diary: Sequence[Held], evidence: Evidence) -> Iterator[float]:
    """Seconds from a break to the next login, or to the end; without those in which no daemon ran."""
    since: float | None = None
    for line in (*diary, Held(evidence.ended, Turn.IN)):
        if line.turn is not Turn.IN:
            since = line.at if since is None else since
        elif since is not None:
            yield line.at - since - overlap((since, line.at), evidence.downs)
            since = None


def _is_mended(diary: Sequence[Held]) -> bool:
    """Whether a refused lease was reported, and another one logged in afterwards."""
    reported = {line.token: line.at for line in diary if line.turn is Turn.REPORTED}
    refused = {line.token for line in diary if line.turn is Turn.REFUSED}
    logins = [line for line in diary if line.turn is Turn.IN]
    return any(
        token in refused and any(login.at > at and login.token != token for login in logins)
        for token, at in reported.items()
    )


def _count(one: AccountEvidence, operation: str) -> int:
    return sum(1 for call in one.arrivals if call.operation == operation)

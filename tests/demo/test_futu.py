"""What the judge demands of the login at Futu and its brokers; each thing that is broken is named."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from freshd.cli.demo.evidence import AccountEvidence, Evidence, FutuEvidence, Turn
from freshd.cli.demo.futu import FUTU_NAMES, counts, failures
from tests.demo.brokers import BEGAN, ENDED, EVENTS, calls, expiring, futu, held, platform, refused


def evidence(*accounts: AccountEvidence, **changes: Any) -> Evidence:
    whole = Evidence(BEGAN, ENDED, accounts=accounts or (platform(), expiring(), refused()), futu=futu(), events=EVENTS)
    return dataclasses.replace(whole, **changes)


def named(*accounts: AccountEvidence, **changes: Any) -> list[str]:
    return list(failures(evidence(*accounts, **changes)))


def test_a_run_in_which_all_went_as_it_should_is_fine() -> None:
    assert named() == []


def test_the_counts_are_the_services_own() -> None:
    assert counts("hk", evidence()) == dict(zip(FUTU_NAMES, (4, 3, 0, 0), strict=True))
    assert counts("us", evidence())["repulls"] == 4
    assert counts("futu", evidence())["repulls"] == 8


def tally(**changes: int) -> FutuEvidence:
    return futu(tally={**futu().tally, **changes})


def connection(*lines: tuple[float, Turn] | tuple[float, Turn, str]) -> FutuEvidence:
    return futu(held={**futu().held, "hk": held(*lines)})


CUT = (1011.0, Turn.OUT)
REFUSED, REPORTED = (1011.1, Turn.REFUSED, "a"), (1011.2, Turn.REPORTED, "a")
BAD: dict[str, tuple[Callable[[], list[str]], str]] = {
    "no family": (lambda: named(platform()), "no login at Futu with two brokers"),
    "one broker only": (lambda: named(platform(), refused()), "no login at Futu with two brokers"),
    "no login": (lambda: named(futu=tally(authority_calls=0)), "nobody logged in"),
    "a login too soon": (lambda: named(futu=tally(authority_too_soon=1)), "1 logins inside the window"),
    "a text message": (lambda: named(futu=tally(sms_sent=1)), "1 text messages"),
    "no code expired": (lambda: named(futu=futu(expired={})), "no code of a broker had expired"),
    "an expired code that nobody presented": (
        lambda: named(platform(), expiring(arrivals=calls((1009.0, "broker_auth", "granted"))), refused()),
        "hk: its code expired",
    ),
    "an expired code without a repull": (
        lambda: named(
            platform(),
            expiring(arrivals=calls((1009.0, "broker_auth", "990003"), (1010.0, "broker_auth", "granted"))),
            refused(),
        ),
        "hk: its code expired",
    ),
    "no 20029": (lambda: named(futu=futu(told_no_cid={})), "no broker was told 20029"),
    "a 20029 that never came": (
        lambda: named(platform(), expiring(), refused(counters={"errors": {}})),
        "us was told 20029 0 times; 1 was expected",
    ),
    "20029 twice": (
        lambda: named(platform(), expiring(), refused(counters={"errors": {"20029": 2}})),
        "us was told 20029 2 times",
    ),
    "20029 at the other broker": (
        lambda: named(platform(), expiring(counters={"errors": {"20029": 1}}), refused()),
        "hk was told 20029 1 times; 0 was expected",
    ),
    "20029 and nothing forgotten": (lambda: named(events=EVENTS[1:]), "was not forgotten"),
    "20029 and no code afterwards": (
        lambda: named(platform(), expiring(), refused(arrivals=refused().arrivals[:4])),
        "us was told 20029, and no new code",
    ),
    "no connection cut": (lambda: named(futu=futu(cut={})), "no trading connection was cut"),
    "a connection that nobody held": (lambda: named(futu=futu(held={})), "nobody was logged in"),
    "a connection that stayed cut": (
        lambda: named(futu=connection((999.5, Turn.IN, "a"), CUT)),
        "without a login for 29.0 s",
    ),
    "a connection that was cut for long": (
        lambda: named(futu=connection((999.5, Turn.IN, "a"), CUT, REFUSED, REPORTED, (1012.5, Turn.IN, "b"))),
        "without a login for 1.5 s",
    ),
    "a refusal that nobody reported": (
        lambda: named(futu=connection((999.5, Turn.IN, "a"), CUT, REFUSED, (1011.3, Turn.IN, "b"))),
        "no refused signature was reported",
    ),
    "a connection logged in again with the same lease": (
        lambda: named(futu=connection((999.5, Turn.IN, "a"), CUT, REFUSED, REPORTED, (1011.3, Turn.IN, "a"))),
        "no refused signature was reported",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_must_not_be_is_named(what: str) -> None:
    make, sentence = BAD[what]
    found = make()
    assert any(sentence in failure for failure in found), found


def test_seconds_without_a_daemon_are_no_outage_of_a_connection() -> None:
    cut = connection((999.5, Turn.IN, "a"), CUT, REFUSED, REPORTED, (1012.5, Turn.IN, "b"))
    assert named(futu=cut, downs=[(1011.2, 1012.2)]) == []

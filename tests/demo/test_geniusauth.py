"""What the judge demands of GeniusAuth's accounts; each thing that is broken is named."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from freshd.cli.demo.evidence import AccountEvidence, Evidence
from freshd.cli.demo.geniusauth import failures
from tests.demo.clouds import EVENTS, STRUCK, VOIDED, desk, kiosk


def named(*accounts: AccountEvidence, **changes: Any) -> list[str]:
    whole = Evidence(
        1000.0, 1040.0, accounts=accounts or (desk(), kiosk()), voided=VOIDED, struck=STRUCK, events=EVENTS
    )
    return list(failures(dataclasses.replace(whole, **changes)))


def without(name: str) -> list[dict[str, Any]]:
    return [event for event in EVENTS if event["event"] != name]


def test_a_run_in_which_all_went_as_it_should_is_fine() -> None:
    assert named() == []


PARKED = {"event": "account.parked", "account": "desk"}
BAD: dict[str, tuple[Callable[[], list[str]], str]] = {
    "one account alone": (lambda: named(desk()), "no two accounts"),
    "no token revoked": (lambda: named(voided={}), "revoked no token"),
    "nothing healed": (lambda: named(events=without("lease.healed")), "kiosk: no refused token was healed"),
    "a store that never failed": (lambda: named(struck={}), "never failed"),
    "an account that was not told": (lambda: named(desk(counters={}), kiosk()), "desk was never told 31"),
    "an account that was parked": (lambda: named(events=[*EVENTS, PARKED]), "desk was parked"),
    "no alert": (lambda: named(events=without("service.refusing")), "was told 0 times"),
    "one alert for each": (lambda: named(events=[*EVENTS, {"event": "service.refusing"}]), "was told 2 times"),
    "a store that failed for good": (lambda: named(events=without("service.accepting")), "never answered again"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_must_not_be_is_named(what: str) -> None:
    make, sentence = BAD[what]
    found = make()
    assert any(sentence in failure for failure in found), found

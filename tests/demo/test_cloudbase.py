"""What the judge demands of CloudBase's accounts; each thing that is broken is named."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from freshd.cli.demo.cloudbase import CLOUD_NAMES, counts, failures
from freshd.cli.demo.evidence import AccountEvidence, Arrival, Evidence
from tests.demo.clouds import EVENTS, STRUCK, VOIDED, bot, guest


def evidence(*accounts: AccountEvidence, **changes: Any) -> Evidence:
    whole = Evidence(1000.0, 1040.0, accounts=accounts or (bot(), guest()), voided=VOIDED, struck=STRUCK, events=EVENTS)
    return dataclasses.replace(whole, **changes)


def named(*accounts: AccountEvidence, **changes: Any) -> list[str]:
    return list(failures(evidence(*accounts, **changes)))


def test_a_run_in_which_all_went_as_it_should_is_fine() -> None:
    assert named() == []


def test_the_counts_are_the_services_own() -> None:
    assert counts("bot", evidence()) == dict(zip(CLOUD_NAMES, (2,), strict=True))
    assert counts("guest", evidence()) == dict(zip(CLOUD_NAMES, (1,), strict=True))


AGAIN = Arrival(1020.0, "granted", "custom")
BAD: dict[str, tuple[Callable[[], list[str]], str]] = {
    "no custom sign-in": (lambda: named(guest()), "by the way called custom"),
    "no anonymous one": (lambda: named(bot()), "by the way called anonymous"),
    "no stranger": (lambda: named(struck={}), "nobody else signed in"),
    "no sign-in after it": (lambda: named(bot(arrivals=bot().arrivals[:3]), guest()), "no sign-in made another one"),
    "a sign-in without a refusal": (
        lambda: named(bot(arrivals=[one for one in bot().arrivals if one.outcome == "granted"]), guest()),
        "no sign-in made another one",
    ),
    "a fight": (lambda: named(bot(arrivals=[*bot().arrivals, AGAIN]), guest()), "signed in 2 times against a stranger"),
    "no token revoked": (lambda: named(voided={}), "CloudBase revoked no token"),
    "nothing healed": (lambda: named(events=[]), "guest: no refused token was healed"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_must_not_be_is_named(what: str) -> None:
    make, sentence = BAD[what]
    found = make()
    assert any(sentence in failure for failure in found), found

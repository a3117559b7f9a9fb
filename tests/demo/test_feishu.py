"""What the judge demands of Feishu's accounts; each thing that is broken is named."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from freshd.cli.demo.evidence import AccountEvidence, Evidence, Met, Reading
from freshd.cli.demo.feishu import failures


def user(**changes: Any) -> AccountEvidence:
    readings = [Reading("ann/0", 1001.0, Met.LEASE, "u", 1015.0), Reading("ann/0", 1012.0, Met.REFUSED, "u")]
    return dataclasses.replace(AccountEvidence("ann", 4.0, kind="feishu", readings=readings), **changes)


APP = AccountEvidence("app", 4.0, kind="feishu-app")
HEALED = {"event": "lease.healed", "account": "ann"}


def named(*accounts: AccountEvidence, **changes: Any) -> list[str]:
    whole = Evidence(1000.0, 1040.0, accounts=accounts or (user(), APP), voided={"u": 1011.0}, events=[HEALED])
    return list(failures(dataclasses.replace(whole, **changes)))


def test_a_run_in_which_all_went_as_it_should_is_fine() -> None:
    assert named() == []


BAD: dict[str, tuple[Callable[[], list[str]], str]] = {
    "no user": (lambda: named(APP), "no user of Feishu"),
    "no app": (lambda: named(user()), "no tenant token"),
    "a refresh token presented twice": (lambda: named(user(counters={"errors": {"20064": 1}}), APP), "met 20064 1"),
    "no token revoked": (lambda: named(voided={}), "revoked no token of ann"),
    "somebody else's token revoked": (lambda: named(voided={"x": 1011.0}), "revoked no token of ann"),
    "nothing healed": (lambda: named(events=[]), "ann: no refused token was healed"),
    "somebody else healed": (lambda: named(events=[{**HEALED, "account": "mail"}]), "no refused token was healed"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_must_not_be_is_named(what: str) -> None:
    make, sentence = BAD[what]
    found = make()
    assert any(sentence in failure for failure in found), found

"""What the judge demands of an agent and its login at the gateway; each thing that is broken is named."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from freshd.cli.demo.aun import AUN_NAMES, counts, failures
from freshd.cli.demo.evidence import AccountEvidence, Arrival, AunEvidence, Evidence
from tests.demo.clouds import ENDED_AGAIN, STRUCK, agent, at_gateway


def evidence(*accounts: AccountEvidence, **changes: Any) -> Evidence:
    whole = Evidence(1000.0, 1040.0, accounts=accounts or (agent(),), struck=STRUCK, aun=at_gateway())
    return dataclasses.replace(whole, **changes)


def named(*accounts: AccountEvidence, **changes: Any) -> list[str]:
    return list(failures(evidence(*accounts, **changes)))


def less(*gone: str, after: float = 0.0) -> AccountEvidence:
    """The agent without some calls."""
    kept = [call for call in agent().arrivals if not (call.operation in gone and call.at > after)]
    return agent(arrivals=kept)


def late() -> AccountEvidence:
    """The agent whose last login at the gateway took too long."""
    whole: list[Arrival] = list(agent().arrivals)
    return agent(arrivals=[*whole[:-1], dataclasses.replace(whole[-1], at=ENDED_AGAIN + 5.1)])


def test_a_run_in_which_all_went_as_it_should_is_fine() -> None:
    assert named() == []


def test_the_counts_are_the_services_own() -> None:
    assert counts("agent", evidence()) == dict(zip(AUN_NAMES, (2, 3, 2), strict=True))


def test_seconds_without_a_daemon_do_not_count() -> None:
    assert named(late(), ended=1045.0, downs=[(ENDED_AGAIN + 1, ENDED_AGAIN + 3)]) == []


BAD: dict[str, tuple[Callable[[], list[str]], str]] = {
    "no agent": (lambda: named(AccountEvidence("mail", 4.0)), "no agent of AUN"),
    "no chain that ends": (lambda: named(less("auth.aid_login2")), "at the end of a chain"),
    "logins after refusals alone": (
        lambda: named(agent(arrivals=agent().arrivals[5:])),
        "at the end of a chain",
    ),
    "no session ended": (lambda: named(struck={}), "the gateway never ended its login"),
    "another end than was told": (lambda: named(aun=at_gateway(ended=1)), "ended fewer logins with 4001"),
    "no login after a refusal": (
        lambda: named(less("auth.aid_login2", after=1030.0)),
        "no refused refresh was followed by a login with the key",
    ),
    "nobody came back": (
        lambda: named(less("auth.connect", after=1030.0), ended=1045.0),
        "was not had again within 5 s",
    ),
    "somebody came back late": (lambda: named(late(), ended=1045.0), "was not had again within 5 s"),
    "nobody there at the end": (lambda: named(aun=at_gateway(sessions=0)), "is not logged in at its gateway"),
    "nothing counted": (lambda: named(aun=AunEvidence()), "ended fewer logins"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_must_not_be_is_named(what: str) -> None:
    make, sentence = BAD[what]
    found = make()
    assert any(sentence in failure for failure in found), found

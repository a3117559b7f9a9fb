"""Keys are made where there is none, and only there: a key that was registered and is not kept is lost for ever."""

from pathlib import Path

import pytest

from freshd.core.model import EMPTY, Record, Secret
from freshd.ports import Asked
from freshd.providers.aun.agent import Aun
from freshd.providers.aun.signing import public_of
from tests.unit.providers.aun_issuer import Issuer, StillClock, agent
from tests.unit.providers.aun_parts import CERTIFICATE, NEXT, OWN, PKI, RECORD, record
from tests.unit.providers.aun_pki import NOW, pem_of

LATER = NOW + 1234.4


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(lambda: NOW, certificate=CERTIFICATE, latency=0.0)


@pytest.fixture
def provider(issuer: Issuer, tmp_path: Path) -> Aun:
    return agent(issuer, StillClock(LATER), tmp_path)


async def rekeyed(provider: Aun, known: Record) -> Asked:
    asked = await provider.operate("rekey", {}, known)
    assert isinstance(asked, Asked)
    return asked


async def test_the_first_key_is_made_and_kept_before_it_is_registered(provider: Aun, issuer: Issuer) -> None:
    issuer.certificate = None
    asked = await provider.ask("auto", None, Record("a"))
    again = await provider.ask("auto", None, Record("a"))
    assert (asked.rung, set(asked.keeps)) == ("create", {"private_key"})
    assert public_of(asked.keeps["private_key"].reveal()) != public_of(again.keeps["private_key"].reveal())


async def test_a_key_that_is_held_is_registered_and_no_other_one(provider: Aun, issuer: Issuer) -> None:
    issuer.certificate = None
    asked = await provider.ask("auto", None, record(""))
    assert (asked.rung, asked.keeps) == ("create", EMPTY)


async def test_a_change_of_the_key_makes_one_candidate_and_notes_when(provider: Aun) -> None:
    asked = await rekeyed(provider, RECORD)
    assert (asked.rung, set(asked.keeps)) == ("rekey", {"candidate_key", "candidate_since"})
    assert asked.keeps["candidate_since"] == Secret(f"{LATER:.0f}")
    assert public_of(asked.keeps["candidate_key"].reveal()) != public_of(pem_of(OWN))


async def test_a_second_change_sends_the_same_candidate_again_and_counts_its_time_anew(provider: Aun) -> None:
    pending = record(candidate_key=pem_of(NEXT), candidate_since=f"{NOW - 60:.0f}")
    asked = await rekeyed(provider, pending)
    assert (asked.rung, dict(asked.keeps)) == ("rekey", {"candidate_since": Secret(f"{LATER:.0f}")})


async def test_a_candidate_that_is_registered_is_settled_and_nothing_is_renewed(provider: Aun, issuer: Issuer) -> None:
    issuer.certificate = PKI.agent(NEXT)
    pending = record(candidate_key=pem_of(NEXT), candidate_since=f"{NOW - 60:.0f}")
    asked = await rekeyed(provider, pending)
    assert (asked.rung, asked.keeps) == ("settle-key", EMPTY)

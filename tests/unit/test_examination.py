"""examination: `examine` reads and asks harmless questions; nothing of it spends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from freshd.core.finding import Found
from freshd.core.model import Intent, Secret
from freshd.core.outcome import Remedy
from freshd.core.state import Phase
from freshd.errors import FreshdError, KeyringUnavailable, NotPossible
from tests.fakes.house import House, only
from tests.fakes.provider import FakeProvider, refusal, reply, tokens
from tests.fakes.time import VirtualTime

SPENT = Found(2, "no longer good", "freshd enrol mail", "used-twice")


def causes(told: Mapping[str, Any]) -> list[str]:
    return [found["cause"] for found in told["findings"]]


async def examine(house: House) -> Mapping[str, Any]:
    return await house.desk.operate("examine", "mail", {})


def dead_house(*findings: Found) -> House:
    time = VirtualTime()
    provider = FakeProvider("mail", refusal("spent", Remedy.CLIMB))
    provider.meanings = {"spent": SPENT}
    provider.findings = findings
    return House(provider, disk=only("mail", time, valid_for=60.0), time=time)


def test_I8_an_examination_presents_nothing_and_changes_nothing() -> None:
    house = dead_house()
    provider = house.providers["mail"]

    async def work() -> None:
        await house.until(Phase.PARKED)
        sent, kept, log = len(provider.presented), dict(house.vault.disk.records), list(house.vault.log)
        for _ in range(100):
            await examine(house)
        assert (len(provider.presented), house.vault.disk.records, house.vault.log) == (sent, kept, log)

    house.live(work)


def test_I8_an_account_that_could_renew_is_not_renewed_by_being_examined() -> None:
    time = VirtualTime()
    house = House(FakeProvider("mail", tokens(2)), disk=only("mail", time), time=time)

    async def work() -> None:
        for _ in range(100):
            await examine(house)
            await asyncio.sleep(0)
        assert house.providers["mail"].presented == []
        assert house.state().standing.generation == 1

    house.live(work)


def test_the_services_word_and_the_token_in_hand_make_the_cause() -> None:
    for alive, expected in ((True, "used-twice"), (False, "revoked"), (None, "used-twice")):
        house = dead_house()
        house.providers["mail"].alive = alive

        async def work(house: House = house) -> Mapping[str, Any]:
            await house.until(Phase.PARKED)
            return await examine(house)

        assert causes(house.live(work))[0] == expected


def test_I6_a_service_is_asked_once_in_a_while_however_often_the_verb_comes() -> None:
    house = dead_house()
    provider = house.providers["mail"]

    async def work() -> None:
        await house.until(Phase.PARKED)
        await asyncio.gather(*(examine(house) for _ in range(50)))
        assert provider.examined == 1
        await asyncio.sleep(11)
        await examine(house)
        assert provider.examined == 2

    house.live(work)


def test_a_service_that_hangs_hides_nothing() -> None:
    house = dead_house()

    async def hang() -> None:
        await asyncio.sleep(3600)

    house.providers["mail"].examining = hang

    async def work() -> Mapping[str, Any]:
        await house.until(Phase.PARKED)
        return await examine(house)

    told = house.live(work)
    assert causes(told)[0] == "used-twice"
    assert "not heard to the end" in json.dumps(told)


def test_a_locked_keyring_hides_nothing_else() -> None:
    house = dead_house(Found(2, "wrong", "correct it", "wrong-app"))

    async def work() -> Mapping[str, Any]:
        await house.until(Phase.PARKED)
        house.vault.broken["read"] = KeyringUnavailable("the keyring is locked", "unlock it")
        return await examine(house)

    told = house.live(work)
    assert {"used-twice", "wrong-app"} <= set(causes(told))
    assert "the keyring is locked" in json.dumps(told)


def test_an_error_or_a_bug_of_the_provider_is_a_finding() -> None:
    for error, words in (
        (FreshdError("no secret there", "make it"), "no secret there"),
        (ValueError("x"), "ValueError"),
    ):
        house = dead_house()

        async def fail(error: Exception = error) -> None:
            raise error

        house.providers["mail"].examining = fail

        async def work(house: House = house) -> Mapping[str, Any]:
            await house.until(Phase.PARKED)
            return await examine(house)

        assert words in json.dumps(house.live(work))


def test_an_answer_of_a_gateway_in_escrow_is_recognised() -> None:
    time = VirtualTime()
    disk = only("mail", time, valid_for=7200.0)
    record = disk.records["mail"]
    intent = Intent("f", "mail", "refresh", record.lineage, 1, time.now(), {"verifier": Secret("canary")})
    page = reply(502)
    disk.intents["mail"] = (intent, type(page)(502, (("content-type", "text/html"),), b"<html>canary"))
    house = House(FakeProvider("mail"), disk=disk, time=time)

    async def work() -> Mapping[str, Any]:
        await house.landed()
        return await examine(house)

    told = house.live(work)
    assert "canary" not in json.dumps(told)
    assert causes(told)[0] == "gateway"


# -- import: what was held before --------------------------------------------------------------------------------------


def imports(house: House, token: str) -> Mapping[str, Any] | str:
    async def work() -> Mapping[str, Any] | str:
        try:
            return await house.desk.operate("import", "mail", {"secrets": {"refresh_token": token}})
        except NotPossible as no:
            return no.cause

    return house.live(work)


def test_I5_a_token_that_was_held_and_replaced_is_not_imported_again() -> None:
    time = VirtualTime()
    house = House(FakeProvider("mail"), disk=only("mail", time), time=time)
    assert imports(house, "rt-2") == {"account": "mail", "generation": 2}
    again = House(FakeProvider("mail"), disk=house.vault.disk, time=time)
    assert "had this refresh_token before" in str(imports(again, "rt-1"))
    last = House(FakeProvider("mail"), disk=house.vault.disk, time=time)
    assert imports(last, "rt-2") == {"account": "mail", "generation": 3}


def test_the_lease_given_to_a_probe_is_the_one_in_hand() -> None:
    house = dead_house()

    async def work() -> None:
        await house.until(Phase.PARKED)
        await examine(house)
        probed = house.providers["mail"].probed
        assert [lease.fingerprint for lease in probed] == [house.supervisor.leases["mail"].fingerprint]

    house.live(work)

"""A person enrols a Futu account: real daemon, real command line, real stand-in of the service."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.services import Sandbox
from tests.flow.bed import Bed, until

UID = 90000001
SHORT = {
    "FUTU_SIM_AUTHORITY_MIN_INTERVAL_S": 0.1,
    "FUTU_SIM_REPULL_MIN_INTERVAL_S": 0,
    "FUTU_SIM_SMS_MIN_INTERVAL_S": 0,
}


class Family:
    """A platform and a broker in a daemon's configuration, and their account at the service."""

    def __init__(self, bed: Bed, service: Sandbox) -> None:
        self.bed, self.service = bed, service
        service.ask("PATCH", "/futu/constants", SHORT)
        wish = {"label": "futu", "brokers": {"1001": "hk"}, "uid": UID, "account": "ann@example.org", "attribution": 6}
        self.known = service.ask("POST", "/futu/accounts", wish)
        readers = f"readers = {{ users = [{os.geteuid()}] }}"
        bed.write(
            "[accounts.futu]", 'kind = "futu"', 'account = "ann@example.org"', f'auth_url = "{service.issuer}"',
            "min_interval = 0.2", readers,
            "[accounts.hk]", 'kind = "futu-broker"', 'platform = "futu"', "broker_id = 1001",
            f'broker_url = "{service.issuer}"', "min_interval = 0", "repull_interval = 0", readers,
        )  # fmt: skip

    def bring(self) -> None:
        """The record of another client is taken over."""
        done = self.bed.run("enrol", "futu", "--import", given=json.dumps(self.known))
        assert done.code == 0, done.text

    def codes(self) -> list[str]:
        """Of all text messages that were sent."""
        return list(self.service.ask("GET", f"/futu/phone/{UID}")["codes"])

    def count(self) -> dict[str, Any]:
        found: dict[str, Any] = self.service.ask("GET", "/futu/counters")["by_uid"][str(UID)]
        return found


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    with Sandbox() as service, Bed(tmp_path) as bed:
        made = Family(bed, service)
        bed.up()
        yield made


def test_a_record_of_another_client_brings_leases_for_platform_and_broker(family: Family) -> None:
    family.bring()
    assert family.bed.token("futu", "--wait", "10").code == 0
    found = family.bed.token("hk", "--wait", "10", "--json")
    assert found.code == 0, found.text
    assert {"customer_id", "broker_id", "uid"} <= json.loads(found.out).keys()
    assert not family.count()["spent_uses"]


def test_a_record_of_another_account_is_refused_and_not_shown(family: Family) -> None:
    wrong = {**family.known, "account": "bob@example.org"}
    done = family.bed.run("enrol", "futu", "--import", given=json.dumps(wrong))
    assert done.code == 65
    assert "another account" in done.err
    assert str(family.known["tgtgt"]) not in done.text


def test_from_a_login_to_the_sms_to_the_ticket_and_one_sms_only(family: Family) -> None:
    family.bring()
    family.service.ask("POST", "/futu/require", {"uid": UID, "what": "device_check"})
    refused = family.bed.run("enrol", "futu", given="n\n")
    assert refused.code == 65
    assert "an SMS with a code will be sent to" in refused.err
    assert family.codes() == []
    empty = family.bed.run("enrol", "futu", "--yes")
    assert "nothing was typed" in empty.err
    [code] = family.codes()
    done = family.bed.run("enrol", "futu", given=f"{code}\n")
    assert done.code == 0, done.text
    assert code not in done.text
    assert family.count()["sms_sent"] == 1
    until("a lease", lambda: family.bed.token("hk", "--wait", "5").code == 0)


def test_a_wrong_code_is_told_and_the_next_one_agreed_to(family: Family) -> None:
    family.bring()
    family.service.ask("POST", "/futu/require", {"uid": UID, "what": "device_check"})
    wrong = family.bed.run("enrol", "futu", "--yes", given="000000\n")
    assert wrong.code == 65
    assert "1 wrong so far" in wrong.err
    [code] = family.codes()
    done = family.bed.run("enrol", "futu", given=f"y\n{code}\n")
    assert done.code == 0, done.text
    assert family.count()["sms_sent"] == 1


def test_the_daemon_sends_no_sms_and_makes_no_second_login_while_a_step_is_due(family: Family) -> None:
    family.bring()
    family.service.ask("POST", "/futu/require", {"uid": UID, "what": "device_check"})
    assert family.bed.token("futu", "--wait", "1").code != 0
    until("parked", lambda: family.bed.events("account.parked", "futu"))
    logins = len(family.count()["authority_at"])
    assert family.bed.token("futu", "--wait", "1").code != 0
    assert family.bed.token("hk", "--wait", "1").code in (0, 1, 75)
    assert len(family.count()["authority_at"]) == logins == 1
    assert family.codes() == []

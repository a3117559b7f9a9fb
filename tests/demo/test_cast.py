"""The accounts of the demo, and the configuration that the daemon gets for them."""

from pathlib import Path

import pytest

from freshd.app import settings_of
from freshd.cli.demo.cast import CLIENT, MARGIN, Setting, cast, configuration
from freshd.cli.demo.script import STORM_S
from freshd.core.contract import Reuse


@pytest.mark.parametrize(("custodian", "placement"), [("key-file", "sealed"), ("keyring", "keyring")])
def test_the_daemon_takes_the_configuration(tmp_path: Path, custodian: str, placement: str) -> None:
    setting = Setting(tmp_path, "http://127.0.0.1:9", 1000, custodian, placement)
    roles = cast(40)
    for role in roles:
        if role.contract == "issue":
            setting.secret(role).touch(mode=0o600)
    path = tmp_path / "freshd.toml"
    path.touch(mode=0o600)
    path.write_text(configuration(setting, roles))
    settings = settings_of(path)
    assert {account.name for account in settings.accounts} == {role.name for role in roles}
    reuse = {account.name: account.profile.contract.reuse for account in settings.accounts}
    assert reuse["chat"] is Reuse.GRACE
    assert reuse["bank"] is Reuse.STRICT


def test_there_are_eight_accounts_or_more_and_one_is_to_be_lost() -> None:
    roles = cast(40)
    assert len(roles) >= 8
    assert len({role.name for role in roles}) == len(roles)
    assert [role.contract for role in roles if role.is_lost] == ["strict"]
    assert CLIENT not in {role.name for role in roles}


@pytest.mark.parametrize("duration", [20.0, 40.0])
def test_every_account_can_outlive_the_storm(duration: float) -> None:
    storm = STORM_S * duration / 40
    for role in cast(duration):
        margin = role.life_s * MARGIN
        longest_wait = margin / 2 if role.contract == "strict" else margin - 1
        assert storm < longest_wait, role.name


def test_a_longer_run_has_the_same_lives() -> None:
    assert cast(400) == cast(40)

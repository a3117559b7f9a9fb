"""The accounts of the demo, and the configuration that the daemon gets for them."""

from pathlib import Path

import pytest

from freshd.app import settings_of
from freshd.channels.pace import STEADY_SECONDS
from freshd.cli.demo.cast import (
    ANONYMOUS,
    ASKS_AT,
    AUN,
    BROKER,
    CLIENT,
    CLOUD,
    CUSTOM,
    FEISHU,
    FEISHU_APP,
    FUTU,
    GENIUS,
    LOGIN_WINDOW_S,
    METER,
    OAUTH2,
    cast,
    lives_of,
    scale_of,
)
from freshd.cli.demo.configuration import JITTER, REISSUE_SHARE, RESERVE_S, Setting, configuration
from freshd.cli.demo.openings import REISSUED_SHARE
from freshd.cli.demo.storm import STORM_S
from freshd.core.contract import Reuse
from freshd.providers.geniusauth.refusal import DEAD_AGAIN_SECONDS


@pytest.mark.parametrize(("custodian", "placement"), [("key-file", "sealed"), ("keyring", "keyring")])
def test_the_daemon_takes_the_configuration(tmp_path: Path, custodian: str, placement: str) -> None:
    setting = Setting(tmp_path, "http://127.0.0.1:9", 1000, custodian, placement, mqtt_port=1883)
    roles = cast(40)
    for role in roles:
        if role.has_secret:
            setting.secret(role).touch(mode=0o600)
    path = tmp_path / "freshd.toml"
    path.touch(mode=0o600)
    path.write_text(configuration(setting, roles))
    settings = settings_of(path)
    assert {account.name for account in settings.accounts} == {role.name for role in roles}
    reuse = {account.name: account.profile.contract.reuse for account in settings.accounts}
    assert reuse["chat"] is Reuse.GRACE
    assert reuse["bank"] is Reuse.STRICT
    assert reuse["feishu-user"] is Reuse.STRICT
    families = {account.name: account.family for account in settings.accounts if account.kind in (FUTU, BROKER)}
    assert set(families.values()) == {FUTU}


def test_there_are_eight_accounts_or_more_and_one_is_to_be_lost() -> None:
    roles = cast(40)
    assert len([role for role in roles if role.kind == OAUTH2]) >= 8
    assert len({role.name for role in roles}) == len(roles)
    assert [role.contract for role in roles if role.is_lost] == ["strict"]
    assert CLIENT not in {role.name for role in roles}


def test_feishu_plays_with_a_user_and_an_app_and_futu_with_one_login_and_two_brokers() -> None:
    kinds = [role.kind for role in cast(40)]
    assert (kinds.count(FEISHU), kinds.count(FEISHU_APP), kinds.count(FUTU), kinds.count(BROKER)) == (1, 1, 1, 2)
    assert len({role.broker_id for role in cast(40) if role.kind == BROKER}) == 2


def test_geniusauth_plays_with_two_logins_aun_with_an_agent_and_cloudbase_with_two_ways_to_sign_in() -> None:
    roles = cast(40)
    kinds = [role.kind for role in roles]
    assert (kinds.count(GENIUS), kinds.count(AUN)) == (2, 1)
    assert {role.method for role in roles if role.kind == CLOUD} == {CUSTOM, ANONYMOUS}


@pytest.mark.parametrize("duration", [20.0, 27.0, 40.0])
def test_a_login_that_is_called_dead_is_tried_again_while_the_token_lives(duration: float) -> None:
    for role in cast(duration):
        if role.kind == GENIUS:
            assert role.life_s * role.margin > DEAD_AGAIN_SECONDS[0] + 2
            assert role.life_s == int(role.life_s)


@pytest.mark.parametrize("duration", [20.0, 27.0, 40.0])
def test_what_says_that_a_login_is_dead_is_over_before_that_is_asked_again(duration: float) -> None:
    assert STORM_S * lives_of(scale_of(duration)) < DEAD_AGAIN_SECONDS[0]


@pytest.mark.parametrize("duration", [20.0, 27.0, 40.0])
def test_a_life_at_futu_is_whole_seconds_and_a_reader_asks_for_less_than_half_of_it(duration: float) -> None:
    for role in cast(duration):
        if role.is_on_demand:
            assert role.life_s == int(role.life_s) > 0
            assert 0 < role.asks_for_s < role.life_s / 2


@pytest.mark.parametrize("duration", [20.0, 27.0, 40.0])
def test_a_login_that_was_refused_can_be_made_again_while_the_signature_lives(duration: float) -> None:
    role = next(role for role in cast(duration) if role.kind == FUTU)
    assert role.life_s * ASKS_AT > LOGIN_WINDOW_S * scale_of(duration) + RESERVE_S + 1


def test_a_tenant_token_is_asked_for_when_the_service_gives_a_new_one() -> None:
    assert REISSUE_SHARE < REISSUED_SHARE


@pytest.mark.parametrize("duration", [20.0, 40.0])
def test_every_account_can_outlive_the_storm(duration: float) -> None:
    storm = STORM_S * lives_of(scale_of(duration))
    for role in cast(duration):
        if role.is_on_demand:
            assert storm < role.asks_for_s - 1, role.name
            continue
        margin = role.life_s * role.margin
        longest_wait = margin / 2 if role.contract == "strict" else margin - 1
        assert storm < longest_wait, role.name


def test_without_an_mqtt_broker_nobody_has_a_login_there(tmp_path: Path) -> None:
    setting = Setting(tmp_path, "http://127.0.0.1:9", 1000, "key-file", "sealed")
    roles = cast(40, has_broker=False)
    assert {role.name for role in cast(40)} - {role.name for role in roles} == {METER}
    assert "[outlets.mqtt]" in configuration(setting, cast(40))
    assert "[outlets.mqtt]" not in configuration(setting, roles)
    assert "[channels.bus]" not in configuration(setting, roles)


@pytest.mark.parametrize("duration", [20.0, 40.0])
def test_a_login_at_the_broker_holds_long_enough_to_count_as_good(duration: float) -> None:
    [role] = [role for role in cast(duration) if role.name == METER]
    soonest = role.life_s * (1 - role.margin * (1 + JITTER))
    assert soonest > STEADY_SECONDS + 2


@pytest.mark.parametrize("duration", [20.0, 27.0, 40.0])
def test_the_storm_is_about_as_long_as_lives_are_between_two_renewals(duration: float) -> None:
    storm = STORM_S * lives_of(scale_of(duration))
    often = [role.renews_every for role in cast(duration) if role.kind == OAUTH2]
    assert min(often) < storm


def test_a_longer_run_has_the_same_lives() -> None:
    assert cast(400) == cast(40)

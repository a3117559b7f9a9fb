"""Accounts that hang on another one: that it is there, of the right kind, and that nobody stands there twice."""

from pathlib import Path

import pytest

from freshd.config import Surroundings, load
from freshd.core.settings import Settings
from freshd.errors import ConfigError
from freshd.providers.registry import Schemas
from tests.unit.config_parts import Desk, desk

__all__ = ["desk"]
MAIN = '[accounts.main]\nkind = "futu"\naccount = "ann@example.org"\n'
HK = '[accounts.hk]\nkind = "futu-broker"\nplatform = "main"\nbroker_id = 1001\n'
OTHER = '[accounts.other]\nkind = "oauth2"\nclient_id = "x"\nissuer = "https://x.example"\n'


def read(desk: Desk, text: str) -> Settings:
    desk.file.write_text(text)
    return load(desk.file, Schemas(), {}, Surroundings(dict(desk.here.environ), uid=1000))


def test_the_example_is_valid_and_one_family(desk: Desk) -> None:
    example = Path(__file__).parents[2] / "config" / "futu.toml"
    found = {account.name: account.family for account in read(desk, example.read_text(encoding="utf-8")).accounts}
    assert found == {"futu": "futu", "futu-hk": "futu", "futu-us": "futu"}


def problems(desk: Desk, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(desk, text)
    return [problem.removeprefix(f"{desk.file}:") for problem in caught.value.problems]


def test_a_broker_is_of_its_platforms_family(desk: Desk) -> None:
    found = {account.name: account.family for account in read(desk, MAIN + HK + OTHER).accounts}
    assert found == {"main": "main", "hk": "main", "other": "other"}


def test_a_platform_that_is_not_there_is_told_with_the_one_that_was_meant(desk: Desk) -> None:
    [problem] = problems(desk, MAIN + HK.replace('"main"', '"mian"'))
    assert problem.startswith("6: accounts.hk.platform: names no account; did you mean main?")


def test_an_account_of_another_kind_is_no_platform(desk: Desk) -> None:
    [problem] = problems(desk, MAIN + OTHER + HK.replace('"main"', '"other"'))
    assert "names an account of another kind" in problem
    assert "it must be of kind futu" in problem


def test_a_broker_is_no_platform_either(desk: Desk) -> None:
    second = HK.replace("hk", "us").replace("1001", "1007").replace('"main"', '"hk"')
    assert "another kind" in problems(desk, MAIN + HK + second)[0]


def test_two_accounts_of_one_family_are_not_the_same_broker(desk: Desk) -> None:
    [problem] = problems(desk, MAIN + HK + HK.replace("hk", "again"))
    assert "accounts.again: has the same grant as hk" in problem


def test_the_same_broker_of_two_platforms_is_two_brokers(desk: Desk) -> None:
    second = MAIN.replace("main", "second").replace("ann@", "bob@")
    third = HK.replace("hk", "hk-bob").replace('"main"', '"second"')
    assert len(read(desk, MAIN + HK + second + third).accounts) == 4


def test_two_platform_accounts_do_not_share_one_ticket(desk: Desk) -> None:
    [problem] = problems(desk, MAIN + MAIN.replace("main", "second").replace("ann@example.org", "ANN@example.org"))
    assert "has the same grant as main" in problem

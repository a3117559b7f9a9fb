"""What an account of kind `cloudbase` may say, and that no problem repeats a value."""

from pathlib import Path
from typing import Any

import pytest

from freshd.config import Surroundings, load
from freshd.core.model import Binding
from freshd.providers.cloudbase.options import Schema
from freshd.providers.profiles import packaged
from freshd.providers.registry import Schemas
from tests.unit.providers.cloudbase_parts import CONTRACT, ENV, WAYS, options, ref


@pytest.mark.parametrize("method", sorted(WAYS))
def test_every_method_is_valid_with_what_it_needs_alone(method: str) -> None:
    found = options(method)
    assert found.client == ENV
    assert found.terms(CONTRACT).method == method


@pytest.mark.parametrize("method", sorted(method for method, keys in WAYS.items() if keys))
def test_a_method_without_what_it_needs_is_told(method: str) -> None:
    problems = Schema().parse("a", {"env": ENV, "method": method}).problems
    assert problems
    assert {problem.key[0] for problem in problems} & WAYS[method].keys()


@pytest.mark.parametrize("method", sorted(WAYS))
def test_the_keys_of_other_methods_have_no_meaning(method: str) -> None:
    other = {"password": ref("x")} if method != "password" else {"uid": "bot-0001"}
    problems = Schema().parse("a", {"env": ENV, "method": method, **WAYS[method], **other}).problems
    assert [problem.key for problem in problems] == [(next(iter(other)),)]


HOSTS = [
    ({}, "https://demo-env-1.ap-shanghai.tcb-api.tencentcloudapi.com"),
    ({"region": "ap-guangzhou"}, "https://demo-env-1.ap-guangzhou.tcb-api.tencentcloudapi.com"),
    ({"host": "gateway"}, "https://demo-env-1.api.tcloudbasegateway.com"),
    ({"host": "gateway", "region": "ap-hongkong"}, "https://demo-env-1.api.tcloudbasegateway.com"),
    ({"host": "gateway", "region": "ap-singapore"}, "https://demo-env-1.api.intl.tcloudbasegateway.com"),
    ({"base_url": "http://127.0.0.1:7777/"}, "http://127.0.0.1:7777"),
]


@pytest.mark.parametrize(("keys", "base"), HOSTS)
def test_environment_and_region_name_the_host(keys: dict[str, Any], base: str) -> None:
    assert options("anonymous", **keys).base == base


def test_another_login_is_another_grant_and_keys_have_none() -> None:
    assert options("custom").binding == Binding(
        "cloudbase", "https://demo-env-1.ap-shanghai.tcb-api.tencentcloudapi.com", f"{ENV}/bot-0001"
    )
    assert options("custom").binding != options("custom", uid="bot-0002").binding
    for method in ("client-credentials", "api-key"):
        assert Schema().parse("a", {"env": ENV, "method": method, **WAYS[method]}).binding is None


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("custom", {"uid": "a b"}, "uid"),
    ("custom", {"uid": "s3cret/" * 9}, "uid"),
    ("custom", {"ticket": ref("t")}, "key_file"),
    ("custom", {"ticket_url_token": ref("t")}, "ticket_url_token"),
    ("custom", {"method": "magic"}, "method"),
    ("custom", {"colour": 1}, "colour"),
    ("custom", {"signin_interval": 60.0}, "signin_interval"),
    ("custom", {"signin_daily": 0}, "signin_daily"),
    ("anonymous", {"env": "demo.env/../x"}, "env"),
    ("anonymous", {"region": "ap shanghai"}, "region"),
    ("anonymous", {"device_id": "short"}, "device_id"),
    ("anonymous", {"base_url": "http://v.example"}, "base_url"),
    ("anonymous", {"base_url": "https://v.example/?a=b"}, "base_url"),
    ("anonymous", {"ca_file": "ca.pem"}, "ca_file"),
    ("anonymous", {"api_version": "v2"}, "api_version"),
    ("anonymous", {"captcha": "solve"}, "captcha"),
    ("anonymous", {"refresh_life": 1.0}, "refresh_life"),
    ("sms", {"phone_number": "+8613800000000"}, "phone_number"),
    ("email", {"email": "ops"}, "email"),
    ("password", {"username": "!"}, "username"),
    ("provider", {"provider_access_token": ref("t")}, "provider_access_token"),
    ("client-credentials", {"client_credentials_path": "/auth/v1/user"}, "client_credentials_path"),
    ("api-key", {"key_created": "2026-01-15"}, "key_days"),
    ("api-key", {"key_days": 90.0}, "key_created"),
    ("api-key", {"key_created": "15.1.2026", "key_days": 90.0}, "key_created"),
]


@pytest.mark.parametrize(("method", "keys", "key"), WRONG)
def test_what_is_wrong_is_told_by_its_key_and_never_by_its_value(method: str, keys: dict[str, Any], key: str) -> None:
    problems = Schema().parse("a", {"env": ENV, "method": method, **WAYS[method], **keys}).problems
    assert key in {str(problem.key[0]) for problem in problems}, problems
    assert "s3cret" not in str(problems)


def test_the_example_is_valid(tmp_path: Path) -> None:
    example = Path(__file__).parents[3] / "config" / "cloudbase.toml"
    for name in ("cloudbase-key", "cloudbase-password", "cloudbase-api-key"):
        (tmp_path / name).write_text("x")
    here = Surroundings(
        {"XDG_STATE_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "CREDENTIALS_DIRECTORY": str(tmp_path)},
        1000,
    )
    accounts = load(example, Schemas(), packaged(), here).accounts
    assert [account.name for account in accounts] == ["cloud-alice", "cloud-bot", "cloud-key", "cloud-ops"]
    assert {account.profile.name for account in accounts} == {"cloudbase"}


def test_sign_ins_on_this_machine_may_be_quicker() -> None:
    assert options("custom", signin_interval=0.0, base_url="http://127.0.0.1:1").pace("signin").interval == 0


def test_a_phone_number_is_a_user_name_too() -> None:
    assert options("password", username="+86 13800000000").login == "+86 13800000000"


def test_sign_ins_are_counted_for_the_login_however_the_account_is_called() -> None:
    (host, _), (app, _), (own, pace) = options("custom").paces("a", "signin")
    assert (host, app) == (f"host:{BASE_HOST}", f"app:{BASE_HOST}/{ENV}")
    assert (
        own
        == options("custom").paces("b", "signin")[-1][0]
        != options("custom", uid="bot-0002").paces("a", "signin")[-1][0]
    )
    assert (pace.interval, pace.daily) == (600.0, 5)
    assert options("custom").paces("a", "refresh")[-1][0] != options("custom").paces("b", "refresh")[-1][0]


BASE_HOST = "demo-env-1.ap-shanghai.tcb-api.tencentcloudapi.com"

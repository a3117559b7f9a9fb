"""What accounts of Feishu may say, what it comes to, and that everything wrong is told at once and without a value."""

from dataclasses import replace
from typing import Any

import pytest

from freshd.config import load
from freshd.core.contract import Contract, Kills, Omitted, Reuse
from freshd.core.ladder import for_person, top
from freshd.core.model import Binding
from freshd.core.policy import refresh_at
from freshd.core.settings import AccountSettings, SecretRef, Way
from freshd.providers.feishu.app_options import AppOptions, AppSchema
from freshd.providers.feishu.options import Options, Schema
from freshd.providers.profiles import packaged
from freshd.providers.registry import Schemas, make
from tests.unit.config_parts import Desk, desk
from tests.unit.providers.feishu_parts import KEYS, app, deps, provider
from tests.unit.providers.parts import FakeHttp

__all__ = ["desk"]
SECRET = SecretRef(Way.FILE, ("/secret",))
SCHEMAS: dict[str, Schema | AppSchema] = {"feishu": Schema(), "feishu-app": AppSchema()}


def problems(kind: str = "feishu", **keys: Any) -> list[tuple[str, str]]:
    found = SCHEMAS[kind].parse("a", keys).problems
    return [(".".join(map(str, problem.key)), f"{problem.wrong}; {problem.write}") for problem in found]


def wrong(kind: str = "feishu", **keys: Any) -> set[str]:
    return {key for key, _ in problems(kind, **{**KEYS, **keys})}


def options(**keys: Any) -> Options:
    parsed = Schema().parse("a", {**KEYS, **keys})
    assert not parsed.problems
    values: dict[str, Any] = dict(parsed.options)
    return Options(**values)


def app_options(**keys: Any) -> AppOptions:
    parsed = AppSchema().parse("a", {**KEYS, **keys})
    assert not parsed.problems
    assert parsed.binding is None
    values: dict[str, Any] = dict(parsed.options)
    return AppOptions(**values)


PLACES = [
    ({}, "https://accounts.feishu.cn/oauth/v3/token"),
    ({"generation": "v2"}, "https://open.feishu.cn/open-apis/authen/v2/oauth/token"),
    ({"brand": "lark"}, "https://open.larksuite.com/open-apis/authen/v2/oauth/token"),
    ({"brand": "lark", "generation": "v3"}, "https://accounts.larksuite.com/oauth/v3/token"),
    ({"accounts_url": "http://127.0.0.1:9/"}, "http://127.0.0.1:9/oauth/v3/token"),
    ({"open_url": "https://x.example/p", "generation": "v2"}, "https://x.example/p/open-apis/authen/v2/oauth/token"),
]


@pytest.mark.parametrize(("keys", "url"), PLACES)
def test_the_brand_and_the_generation_tell_the_token_endpoint(keys: dict[str, Any], url: str) -> None:
    assert options(**keys).token_url == url


def test_a_grant_outlives_a_change_of_generation_and_not_one_of_brand() -> None:
    assert options().binding == Binding("feishu", "https://open.feishu.cn", "cli_a1")
    assert options(generation="v2").binding == options().binding
    assert options(brand="lark").binding != options().binding
    assert options(subject="ou_1").binding.subject == "ou_1"


APP_PLACES = [
    ({}, "https://open.feishu.cn/open-apis/auth/v3/tenant_access_token/internal"),
    ({"token": "app"}, "https://open.feishu.cn/open-apis/auth/v3/app_access_token/internal"),
    ({"form": "oauth"}, "https://accounts.feishu.cn/oauth/v3/token"),
    ({"form": "oauth", "brand": "lark"}, "https://accounts.larksuite.com/oauth/v3/token"),
]


@pytest.mark.parametrize(("keys", "url"), APP_PLACES)
def test_the_form_tells_where_an_apps_token_is_asked_for(keys: dict[str, Any], url: str) -> None:
    assert app_options(**keys).token_url == url


def test_everything_wrong_is_told_at_once() -> None:
    found = {
        key for key, _ in problems(brand="baidu", flows=["telepathy"], generation="v1", min_interval="x", scoope="")
    }
    assert found == {"app_id", "app_secret", "brand", "flows.0", "generation", "min_interval", "scoope"}
    found = {key for key, _ in problems("feishu-app", token="user", form=1, generation="v3", app_id="")}
    assert found == {"app_id", "app_secret", "token", "form", "generation"}


def test_what_cannot_work_is_told_at_once() -> None:
    found = wrong(
        open_url="http://open.feishu.cn",
        accounts_url="https://u:p@accounts.feishu.cn",
        proxy="ftp://x",
        ca_file="relative.pem",
        redirect_uri="https://evil.example/",
        scope="a a",
        flows=[],
    )
    assert found == {"flows", "open_url", "accounts_url", "proxy", "ca_file", "redirect_uri", "scope"}
    assert wrong("feishu-app", form="oauth", token="app", open_url="https://x/?q=1") == {"form", "open_url"}


@pytest.mark.parametrize("scope", ["", "auth:user.id:read", "offline_access2", "Offline_Access"])
def test_without_offline_access_there_is_nothing_to_renew_with(scope: str) -> None:
    [(key, text)] = problems(**KEYS, scope=scope)
    assert key == "scope"
    assert "offline_access" in text


def test_scopes_are_few_and_each_is_named_once() -> None:
    assert wrong(scope="offline_access offline_access") == {"scope"}
    assert wrong(scope=" ".join(["offline_access", *(f"s{n}" for n in range(50))])) == {"scope"}
    assert not wrong(scope=" ".join(["offline_access", *(f"s{n}" for n in range(49))]))


def test_the_platforms_limits_hold_without_a_word_and_cannot_be_overstepped() -> None:
    made = options()
    paces = dict(made.paces("a", "refresh", made.token_url))
    assert paces["app:accounts.feishu.cn/cli_a1"].interval == 0.06
    assert wrong(app_interval=0.05) == {"app_interval"}
    assert not wrong(app_interval=1.5)


def test_paces_are_kept_per_host_app_and_rung() -> None:
    keys = [key for key, _ in provider().paces("refresh")]
    assert keys == ["host:accounts.feishu.cn", "app:accounts.feishu.cn/cli_a1", "account:a/refresh"]
    assert next(key for key, _ in provider().paces("refresh-v1")) == "host:open.feishu.cn"
    assert [key for key, _ in app().paces("issue")][2] == "account:a/issue"
    paces = dict(provider(daily=9).paces("device"))
    assert (paces["account:a/device"].backoff_cap, paces["account:a/device"].daily) == (10.0, 9)
    assert dict(provider().paces("refresh"))["account:a/refresh"].backoff_cap == 300.0


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"])
def test_plain_http_is_for_this_machine(url: str) -> None:
    assert not wrong(open_url=url, accounts_url=url, redirect_uri=url)


def test_no_problem_repeats_a_value() -> None:
    told = str(problems(app_id=["c4nary"], open_url="http://c4nary", app_secret="c4nary", scope={"c4nary": 1}))
    assert "c4nary" not in told
    assert "c4nary" not in str(problems(**KEYS, open_url="http://c4nary.example", ca_file="c4nary", scope="c4nary"))


def test_the_ladder_is_what_the_account_holds() -> None:
    ladder = provider().ladder
    assert [rung.name for rung in ladder] == ["refresh", "refresh-v1", "authorize", "device"]
    for held, name in (("refresh_token", "refresh"), ("refresh_token_v1", "refresh-v1")):
        found = top(ladder, {held})
        assert found is not None
        assert found.name == name
        assert found.spends
    assert top(ladder, ()) is None
    person = for_person(provider(flows=["device"]).ladder)
    assert person is not None
    assert person.name == "device"


def test_an_apps_rung_costs_nothing() -> None:
    [rung] = app().ladder
    assert rung.is_free


def written(desk: Desk, text: str) -> AccountSettings:
    keys = f'app_id = "cli_a1"\napp_secret = {{ file = "{desk.secret()}" }}\n'
    desk.file.write_text(f"[accounts.a]\n{keys}{text}")
    return load(desk.file, Schemas(), packaged(), desk.here).accounts[0]


STRICT = Contract(
    Reuse.STRICT, 0.0, Kills.LINEAGE, 60.0, Omitted.DEAD, lease_life=7200, idle_life=604_800, absolute_life=31_536_000
)


@pytest.mark.parametrize(
    ("text", "brand"), [("", "feishu"), ('profile = "lark"\n', "lark"), ('brand = "lark"\n', "lark")]
)
def test_the_kinds_own_profile_is_in_force_without_a_word(desk: Desk, text: str, brand: str) -> None:
    account = written(desk, f'kind = "feishu"\n{text}')
    assert account.options["brand"] == brand
    assert account.profile.contract == STRICT


@pytest.mark.parametrize("life", [1801, 1900, 2500, 5000, 7200])
@pytest.mark.parametrize("draw", [0.0, 0.5, 0.99])
def test_an_apps_token_is_asked_for_with_about_25_minutes_left_and_never_with_more_than_30(
    desk: Desk, life: float, draw: float
) -> None:
    profile = written(desk, 'kind = "feishu-app"\n').profile
    left = life - refresh_at(life, life, profile.margins, profile.contract, draw)
    assert 1440 <= left <= 1650


@pytest.mark.parametrize("kind", ["feishu", "feishu-app"])
def test_what_the_configuration_says_becomes_a_provider(desk: Desk, kind: str) -> None:
    account = written(desk, f'kind = "{kind}"\nbrand = "lark"\n')
    made = make(account, deps(FakeHttp()))
    assert made.binding == Binding(kind, "https://open.larksuite.com", "cli_a1")
    assert made.contract == account.profile.contract


def test_a_users_token_is_renewed_with_half_an_hour_left(desk: Desk) -> None:
    profile = written(desk, 'kind = "feishu"\n').profile
    at = refresh_at(7200, 7200, replace(profile.margins, jitter=0), profile.contract, 0, 604_800)
    assert 7200 - at == 1800

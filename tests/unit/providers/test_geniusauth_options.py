"""What accounts of GeniusAuth may say, what it comes to, and that everything wrong is told at once, without a value."""

from pathlib import Path
from typing import Any

import pytest

from freshd.config import Surroundings, load
from freshd.core.contract import Reuse
from freshd.core.ladder import Rung, can_try, find, for_person, top
from freshd.core.model import Binding
from freshd.core.policy import WARN_BEFORE_SECONDS, refresh_at, warning_step
from freshd.core.settings import AccountSettings
from freshd.providers.geniusauth.options import Schema
from freshd.providers.profiles import packaged
from freshd.providers.registry import Schemas, make
from tests.unit.config_parts import Desk, desk
from tests.unit.providers.feishu_parts import deps
from tests.unit.providers.geniusauth_parts import DAY, KEYS, LIFE, options, provider
from tests.unit.providers.parts import FakeHttp

__all__ = ["desk"]


def wrong(**keys: Any) -> dict[str, str]:
    found = Schema().parse("a", {**KEYS, **keys}).problems
    return {".".join(map(str, problem.key)): f"{problem.wrong}; {problem.write}" for problem in found}


def account(desk: Desk, text: str = "") -> AccountSettings:
    desk.file.write_text(
        f'[accounts.a]\nkind = "geniusauth"\napp_code = "demoapp1"\napp_secret = {{ file = "{desk.secret()}" }}\n{text}'
    )
    return load(desk.file, Schemas(), packaged(), desk.here).accounts[0]


def test_what_is_not_said_takes_the_careful_value() -> None:
    found = options()
    assert (found.base_url, found.valid, found.dialect) == ("https://v.ncuos.com", 2_592_000, "code")
    assert (found.keep_warm, found.patch_fallback, found.delete_in_body) == (False, False, False)
    assert found.binding == Binding("geniusauth", "https://v.ncuos.com", "demoapp1")
    assert options(subject="8").binding.subject == "8"


@pytest.mark.parametrize("valid", [604_800, 2_592_000])
def test_the_limits_of_a_login_are_the_services(valid: int) -> None:
    assert options(valid=valid).valid == valid


WRONG: list[tuple[str, Any]] = [
    ("valid", 604_799),
    ("valid", 2_592_001),
    ("valid", 0),
    ("valid", "2592000"),
    ("valid", True),
    ("payload", ""),
    ("payload", "p" * 32),
    ("payload", "p" * 33),
    ("payload", "\ud800"),
    ("client_ip", "somewhere"),
    ("client_ip", "1.2.3"),
    ("subject", "alice"),
    ("subject", "8²"),
    ("base_url", "http://v.ncuos.com"),
    ("base_url", "https://v.ncuos.com/?a=1"),
    ("callback", "http://elsewhere.example/back"),
    ("callback", "https://[::1"),
    ("dialect", "go"),
    ("app_secret", None),
    ("ca_file", "my.pem"),
    ("proxy", "ftp://x"),
    ("keep_warm", "yes"),
    ("backoff_cap", 0),
]


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_a_value_that_cannot_be_used_is_told_by_its_key(key: str, value: object) -> None:
    found = wrong(**{key: value})
    assert set(found) == {key}
    assert not (isinstance(value, str) and not value.isdecimal() and len(value) > 2 and value in found[key])


def test_everything_wrong_is_told_at_once() -> None:
    assert set(wrong(client_ip="x", subject="y", proxy="z")) == {"client_ip", "subject", "proxy"}
    assert set(wrong(valid=1, payload="p" * 32, colour="red")) == {"valid", "payload", "colour"}


def test_a_payload_is_counted_in_characters() -> None:
    assert options(payload="门" * 31).payload == "门" * 31


def test_the_page_of_the_service_knows_of_no_secret() -> None:
    parsed = Schema().parse("a", {"app_code": "demoapp1", "dialect": "wiki"})
    assert not parsed.problems


def test_a_renewal_spends_nothing_and_is_made_on_demand() -> None:
    refresh = top(provider().ladder, {"refresh_token"})
    assert refresh is not None
    assert (refresh.name, refresh.spends, refresh.on_demand, refresh.is_free) == ("refresh", False, True, True)
    assert refresh.reuse is Reuse.REUSABLE
    warm = top(provider(keep_warm=True).ladder, {"refresh_token"})
    assert warm is not None
    assert not warm.on_demand


def test_the_ladder_ends_with_a_persons_login() -> None:
    ladder = provider().ladder
    assert [rung.name for rung in ladder] == ["refresh", "login", "payload"]
    login = for_person(ladder)
    assert login is not None
    assert login.name == "login"
    assert not any(can_try(rung, {"refresh_token", "payload"}) for rung in ladder[1:])


def test_the_way_round_a_server_without_access_tokens_is_there_only_if_wanted() -> None:
    ladder = provider(patch_fallback=True).ladder
    assert [rung.name for rung in ladder] == ["refresh", "patch", "login", "payload"]
    patch = find(ladder, "patch")
    assert isinstance(patch, Rung)
    assert (patch.spends, patch.is_free, patch.person) == (True, True, False)


def test_paces_are_kept_for_host_application_and_account() -> None:
    keys = dict(provider(base_url="https://v.example:8443/x", app_interval=2.0).paces("refresh"))
    assert list(keys) == ["host:v.example:8443", "app:v.example:8443/demoapp1", "account:a/refresh"]
    assert keys["account:a/refresh"].backoff_cap == 60


def test_the_profile_renews_a_warm_token_a_minute_before_its_end_or_a_little_earlier(desk: Desk) -> None:
    found = account(desk, "keep_warm = true\n")
    contract, margins = found.profile.contract, found.margins
    assert (contract.reuse, contract.lease_life, contract.absolute_life) == (Reuse.REUSABLE, 300, LIFE)
    assert refresh_at(1300, 300, margins, contract, 0.0) == 1240
    assert refresh_at(1300, 300, margins, contract, 1.0) == 1225


def test_the_end_of_a_login_is_told_no_later_than_a_week_two_days_and_half_a_day_before() -> None:
    for lead in (7 * DAY, 2 * DAY, 0.5 * DAY):
        assert warning_step(lead, LIFE) is not None
        assert any(before >= lead and before - lead < 7 * DAY for before in WARN_BEFORE_SECONDS)
    assert warning_step(15 * DAY, LIFE) is None


def test_the_registry_makes_it(desk: Desk) -> None:
    made = make(account(desk, 'payload = "tenant-a"\n'), deps(FakeHttp()))
    assert made.binding.kind == "geniusauth"


def test_the_example_is_valid(tmp_path: Path) -> None:
    example = Path(__file__).parents[3] / "config" / "geniusauth.toml"
    here = Surroundings({"XDG_STATE_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}, uid=1000)
    found = load(example, Schemas(), packaged(), here).accounts
    assert {one.kind for one in found} == {"geniusauth"}

"""What platform and broker accounts may say, what it comes to, and that everything wrong is told at once."""

from typing import Any

import pytest

from freshd.core.model import Binding
from freshd.core.settings import Head
from freshd.providers.futu import broker_options
from freshd.providers.futu import options as platform_options
from freshd.providers.futu.hosts import BROKER_URLS, Identity, identity
from freshd.providers.registry import KINDS, Schemas

ANN: dict[str, Any] = {"account": "ann@example.org"}
BROKER: dict[str, Any] = {"platform": "main", "broker_id": 1001}


def options(**keys: Any) -> platform_options.Options:
    parsed = platform_options.Schema().parse("main", {**ANN, **keys})
    assert not parsed.problems
    values: dict[str, Any] = dict(parsed.options)
    return platform_options.Options(**values)


def broker(**keys: Any) -> broker_options.Options:
    parsed = broker_options.Schema().parse("hk", {**BROKER, **keys})
    assert not parsed.problems
    values: dict[str, Any] = dict(parsed.options)
    return broker_options.Options(**values)


def wrong(**keys: Any) -> set[str]:
    return {".".join(map(str, one.key)) for one in platform_options.Schema().parse("main", {**ANN, **keys}).problems}


def wrong_broker(**keys: Any) -> set[str]:
    found = broker_options.Schema().parse("hk", {**BROKER, **keys}).problems
    return {".".join(map(str, one.key)) for one in found}


# -- hosts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "host"),
    [
        *((region, "https://auth.futunn.com") for region in (None, "cn", "hk")),
        *((region, "https://auth.moomoo.com") for region in ("us", "sg", "au", "jp", "my", "ca")),
    ],
)
def test_the_region_decides_the_host(region: str | None, host: str) -> None:
    assert options(attribution=region).base == host


@pytest.mark.parametrize("region", ["hk", "us"])
def test_a_host_that_the_operator_names_is_never_left(region: str) -> None:
    assert options(auth_url="https://proxy.example/futu/", attribution=region).base == "https://proxy.example/futu"
    assert broker(broker_url="http://127.0.0.1:1/b/").base == "http://127.0.0.1:1/b"


@pytest.mark.parametrize(
    ("broker_id", "host"),
    [
        (1001, "authority.futuhk.com"),
        (1007, "authority.us.moomoo.com"),
        (1008, "authority.sg.moomoo.com"),
        (1009, "authority.au.moomoo.com"),
        (1012, "authority.jp.moomoo.com"),
        (1017, "authority.my.moomoo.com"),
        (1019, "authority.ca.moomoo.com"),
    ],
)
def test_a_brokers_number_decides_its_host(broker_id: int, host: str) -> None:
    assert broker(broker_id=broker_id).base == f"https://{host}"


@pytest.mark.parametrize("broker_id", [1022, 1, 2**31 - 1])
def test_a_broker_whose_host_is_not_known_needs_one(broker_id: int) -> None:
    assert wrong_broker(broker_id=broker_id) == {"broker_id"}
    assert broker(broker_id=broker_id, broker_url="https://b.example").base == "https://b.example"


# -- accounts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("+86-13900000000", Identity("13900000000", "86")),
        (" +852-9123 4567 ", Identity("91234567", "852")),
        ("+1-650-555-0100", Identity("6505550100", "1")),
        ("13900000000", Identity("13900000000")),
        ("Ann@Example.ORG", Identity("ann@example.org")),
        ("12345678", Identity("12345678")),
    ],
)
def test_an_account_has_one_form_however_it_is_written(written: str, meant: Identity) -> None:
    assert identity(written) == meant


@pytest.mark.parametrize("name", ["+86", "+86-", "+8613900000000", "+x-1", " ", "a\nb"])
def test_what_is_no_account_is_told(name: str) -> None:
    assert wrong(account=name) == {"account"}


def test_a_ticket_is_bound_to_host_and_account() -> None:
    made = options(account="+86-13900000000")
    assert made.binding == Binding("futu", "https://auth.futunn.com", "13900000000")


def test_a_code_is_bound_to_host_platform_and_broker() -> None:
    assert broker().binding == Binding("futu-broker", "https://authority.futuhk.com", "main/1001")


def test_a_broker_belongs_to_its_platforms_family() -> None:
    parsed = broker_options.Schema().parse("hk", BROKER)
    assert (parsed.family, parsed.head) == ("main", Head("main", "futu", "platform"))
    assert platform_options.Schema().parse("main", ANN).family is None


# -- everything wrong at once ---------------------------------------------------------------------------------------


def test_everything_wrong_with_a_platform_is_told_at_once() -> None:
    assert {"account", "attribution", "scheduled", "colour"} == wrong(
        account=5, attribution="mars", scheduled="no", colour=1
    )
    assert wrong(account="+86", auth_url="http://far.example", ca_file="x.pem", proxy="ftp://p") == {
        "account", "auth_url", "ca_file", "proxy",
    }  # fmt: skip


def test_everything_wrong_with_a_broker_is_told_at_once() -> None:
    assert {"platform", "broker_id", "hand_out", "colour"} == wrong_broker(
        platform=1, broker_id="1001", hand_out="all", colour=1
    )
    assert wrong_broker(platform="hk", broker_url="https://b.example/?x=1", hand_out="code", scheduled=True) == {
        "platform", "broker_url", "scheduled",
    }  # fmt: skip


@pytest.mark.parametrize("broker_id", [0, -1, 2**31])
def test_a_broker_is_a_positive_number(broker_id: int) -> None:
    assert wrong_broker(broker_id=broker_id) == {"broker_id"}


def test_no_problem_repeats_a_value() -> None:
    found = (
        platform_options.Schema().parse("main", {"account": "+canary", "auth_url": "http://canary.example"}).problems
    )
    assert found
    assert "canary" not in repr(found)


def test_logins_faster_than_the_service_bears_are_for_a_server_on_this_machine_only() -> None:
    assert wrong(min_interval=59.0) == {"min_interval"}
    assert wrong(min_interval=59.0, auth_url="https://far.example") == {"min_interval"}
    assert options(min_interval=0.1, auth_url="http://127.0.0.1:8080").min_interval == 0.1


def test_a_proxy_may_be_spoken_to_in_plain_http() -> None:
    assert options(proxy="http://proxy.example:3128").route.proxy == "http://proxy.example:3128"


def test_no_key_holds_a_secret() -> None:
    assert platform_options.Schema().secrets == broker_options.Schema().secrets == frozenset()


def test_both_kinds_stand_in_the_registry() -> None:
    assert {"futu", "futu-broker"} <= KINDS.keys()
    assert set(Schemas()["futu-broker"].json_schema()["properties"]) == set(broker_options.KEYS)  # type: ignore[call-overload]


def test_every_broker_of_the_table_is_reached_by_https() -> None:
    assert all(url.startswith("https://") for url in BROKER_URLS.values())

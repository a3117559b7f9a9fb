"""Every request, field by field."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from freshd.providers.futu import unknowns, wire
from freshd.providers.futu.broker_options import Options as BrokerOptions
from freshd.providers.futu.options import Options
from freshd.providers.http import Call, Route
from tests.unit.providers.futu_parts import broker, platform

ANN = Options(account="ann@example.org")
PHONE = Options(account="+86-13900000000", device_alias="box", device_type="PC", os_ver="12", ca_file="/ca.pem")
DEVICE = {"device_id": "0f1e2d3c4b5a6978", "device_alias": "freshd", "device_type": "Linux", "os_ver": "Linux"}


def body(call: Call) -> dict[str, Any]:
    assert (call.method, call.headers["Content-Type"]) == ("POST", "application/json")
    assert call.body is not None
    found: dict[str, Any] = json.loads(call.body)
    return found


def query(call: Call) -> dict[str, str]:
    assert (call.method, call.body) == ("GET", None)
    return dict(parse_qsl(urlsplit(call.url).query))


def test_a_login_presents_the_ticket_under_the_accounts_number() -> None:
    call = wire.login(ANN, platform())
    assert call.url == "https://auth.futunn.com/authority/"
    assert body(call) == {
        "uid": 90000001, **DEVICE, "tgtgt": "TG-0001", "device_sig": "DS-0001", "sens_state": "true",
    }  # fmt: skip


@pytest.mark.parametrize("unknown", [platform(without=("uid",)), platform(uid="0")])
def test_an_account_whose_number_is_not_known_is_named(unknown: Any) -> None:  # noqa: ANN401 - a record
    found = body(wire.login(ANN, unknown))
    assert found["account"] == "ann@example.org"
    assert "uid" not in found


def test_a_phone_is_its_bare_number_and_says_its_country() -> None:
    found = body(wire.login(PHONE, platform(without=("uid",))))
    assert (found["account"], found["is_phone"], found["region_no"]) == ("13900000000", "true", "86")
    assert (found["device_alias"], found["device_type"], found["os_ver"]) == ("box", "PC", "12")


def test_a_device_signature_that_is_not_held_is_sent_empty() -> None:
    assert body(wire.login(ANN, platform(without=("device_sig",))))["device_sig"] == ""


@pytest.mark.parametrize(("options", "client"), [(ANN, "futunn"), (Options(account="a", attribution="us"), "moomoo")])
def test_the_headers_say_which_client_it_is(options: Options, client: str) -> None:
    for call in (wire.login(options, platform()), wire.salt(options), wire.sms(options, "DVS")):
        assert call.headers[unknowns.CLIENT_TYPE_HEADER] == client
        assert call.headers["X-Futu-Client-Version"] == "1002"


def test_a_host_of_the_operators_changes_no_client_type() -> None:
    call = wire.login(Options(account="a", attribution="us", auth_url="http://127.0.0.1:1"), platform())
    assert call.url == "http://127.0.0.1:1/authority/"
    assert call.headers[unknowns.CLIENT_TYPE_HEADER] == "moomoo"


def test_a_new_code_is_asked_for_with_four_fields() -> None:
    call = wire.repull(ANN, platform(), 1001)
    assert call.url == "https://auth.futunn.com/authority/repull_auth_code"
    assert body(call) == {
        "uid": 90000001, "device_id": "0f1e2d3c4b5a6978", "web_sig": "WS-0001", "broker_id": 1001,
    }  # fmt: skip


def test_a_code_is_spent_at_the_brokers_own_host() -> None:
    call = wire.broker_auth(
        BrokerOptions(platform="main", broker_id=1001, deadline=7.0), PHONE, broker(auth_code="AC-1"), platform()
    )
    assert call.url == "https://authority.futuhk.com/broker_auth/client_auth"
    assert call.route == Route(deadline=7.0)
    assert body(call) == {
        "uid": 90000001, "auth_code": "AC-1", "device_id": "0f1e2d3c4b5a6978", "broker_id": 1001,
    }  # fmt: skip


def test_a_device_check_has_nine_fields() -> None:
    call = wire.verify(ANN, platform(), "DVS-77", "123456")
    assert call.url == "https://auth.futunn.com/authority/verify_device_code"
    found = body(call)
    assert len(found) == 9
    assert (found["uid"], found["verify_mode"], found["sens_state"]) == (90000001, 0, "true")
    assert (found[unknowns.VERIFY_SIGNATURE], found[unknowns.VERIFY_CODE]) == ("DVS-77", "123456")
    assert DEVICE.items() <= found.items()


def test_an_sms_is_asked_for_by_the_signature() -> None:
    call = wire.sms(ANN, "DVS-77")
    assert urlsplit(call.url).path == "/authority/req_device_code"
    assert query(call) == {"dvs": "DVS-77", "send_mode": "0", "is_send_no_wait": "False"}
    assert "DVS-77" not in repr(call)


def test_a_third_factor_has_seven_fields() -> None:
    call = wire.third_factor(ANN, platform(), "TFS")
    assert call.url == "https://auth.futunn.com/authority/third_factor/auth"
    assert body(call) == {"uid": 90000001, "sig": "TFS", **DEVICE, "tgtgt": "TG-0001"}


@pytest.mark.parametrize(
    ("options", "more"), [(ANN, {"account": "ann@example.org"}),
                          (PHONE, {"account": "13900000000", "is_phone": "true", "region_no": "86"})]
)  # fmt: skip
def test_the_salt_is_asked_for_without_any_secret(options: Options, more: dict[str, str]) -> None:
    call = wire.salt(options)
    assert urlsplit(call.url).path == "/authority/salt"
    assert query(call) == {"ret_no_uid": "true", **more}


def test_the_platform_is_reached_as_its_account_says() -> None:
    assert wire.repull(PHONE, platform(), 1).route == PHONE.route == Route("/ca.pem")

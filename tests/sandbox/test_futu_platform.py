"""Salt, platform login and the checks by a person."""

import base64

import pytest

from freshd.sandbox.futu.levers import Need, Opening
from tests.sandbox.futu_bed import BROKERS, DEVICE, HK, UID, US, VERSION, Bed


@pytest.fixture
def bed() -> Bed:
    return Bed()


def checked(bed: Bed) -> str:
    """A login that asks for a device check; the signature it came with."""
    bed.levers.require(bed.uid, Need.DEVICE_CHECK)
    said = bed.login()
    assert said.code == 20
    sig: str = said.error["device_verify_sig"]
    return sig


def sent(bed: Bed) -> tuple[str, str]:
    """A device check whose text message has arrived: signature and code."""
    sig = checked(bed)
    assert bed.ask_sms(sig).code == 0
    return sig, bed.phone[-1]


def test_a_login_brings_every_member(bed: Bed) -> None:
    result = bed.login().result
    assert set(result) == {
        "uid", "client_sig", "client_key", "tgtgt_new", "rand_key_new", "device_sig_new", "web_sig_new", "svr_time",
        "cltsig_invalidtime", "auth_code_list",
    }  # fmt: skip
    assert (result["uid"], result["svr_time"], result["cltsig_invalidtime"]) == (UID, int(bed.at), 172800)
    assert len(base64.b64decode(result["rand_key_new"])) == 32
    listed = [(one["broker_id"], one["invalid_time"]) for one in result["auth_code_list"]]
    assert listed == [(HK, int(bed.at) + 2592000), (US, int(bed.at) + 2592000)]


def test_a_yes_has_no_error_and_a_no_has_a_null_result(bed: Bed) -> None:
    assert bed.login().answer.keys() == {"result"}
    refused = bed.login()
    assert refused.status == 200
    assert refused.answer["result"] is None
    assert refused.error.keys() == {"error_code", "error_msg"}


def test_overseas_accounts_get_moomoos_secrets_and_no_device_sig() -> None:
    bed = Bed(attribution=2)
    result = bed.login().result
    assert {"moomoo_client_sig", "moomoo_client_key", "moomoo_web_sig_new"} <= set(result)
    assert "device_sig_new" not in result
    assert bed.kept["device_sig"] == ""


def test_a_login_by_account_name_is_the_same(bed: Bed) -> None:
    assert bed.login(uid=0, account=bed.kept["account"]).result["uid"] == UID


def test_a_phone_account_must_be_split_from_its_country() -> None:
    bed = Bed(account="13900000000", region_no="86")
    assert bed.login(uid=None, account="+86-13900000000").code == 2
    assert bed.login(uid=None, account="13900000000").code == 2
    assert bed.login(uid=None, account="13900000000", is_phone="true", region_no="86").code == 0


def test_an_unknown_account_does_not_match(bed: Bed) -> None:
    assert bed.login(uid=5).code == 2


@pytest.mark.parametrize("name", ["device_id", *DEVICE])
def test_a_missing_device_field_reads_as_a_captcha(bed: Bed, name: str) -> None:
    assert bed.login(**{name: None}).code == 11


def test_an_overseas_account_at_the_other_host_reads_as_a_captcha() -> None:
    bed = Bed(attribution=3)
    assert bed.login(headers={"Host": "auth.futunn.com"}).code == 11
    bed.pass_(60)
    assert bed.login(headers={"Host": "auth.moomoo.com:443"}).code == 0
    bed.pass_(60)
    assert bed.login(headers={"Host": "127.0.0.1:8080"}).code == 0


def test_a_second_call_inside_the_window_is_refused_and_starts_it_anew(bed: Bed) -> None:
    assert bed.login().code == 0
    bed.pass_(59.9)
    assert bed.login().code == 15
    bed.pass_(59.9)
    assert bed.login().code == 15
    bed.pass_(60)
    assert bed.login().code == 0
    assert (bed.tally.authority_calls, bed.tally.authority_too_soon) == (4, 2)


def test_the_window_is_each_accounts_own(bed: Bed) -> None:
    other = bed.levers.open(Opening(label="second"), {}, bed.at)
    assert bed.login().code == 0
    assert bed.login(uid=other["uid"], device_id=other["device_id"], tgtgt=other["tgtgt"], device_sig="").code == 0


def test_an_invented_and_an_expired_ticket_are_refused(bed: Bed) -> None:
    assert bed.login(tgtgt="TG").code == 2
    bed.pass_(2592000)
    assert bed.login().code == 2


def test_a_new_device_is_checked(bed: Bed) -> None:
    said = bed.login(device_id="0f1e2d3c4b5a6978")
    assert said.code == 20
    assert said.error["uid"] == UID
    assert said.error["device_verify_sig"]
    assert said.error["phone_no"]


def test_a_device_sig_never_given_out_is_checked_and_none_at_all_is_not(bed: Bed) -> None:
    assert bed.login(device_sig="DS").code == 20
    bed.pass_(60)
    assert bed.login(device_sig="").code == 0


def test_asking_for_a_person_sends_no_message(bed: Bed) -> None:
    checked(bed)
    assert bed.tally.sms_sent == 0


def test_a_checked_device_is_known_from_then_on(bed: Bed) -> None:
    dvs = bed.login(device_id="0f1e2d3c4b5a6978").error["device_verify_sig"]
    bed.kept["device_id"] = "0f1e2d3c4b5a6978"
    bed.ask_sms(dvs)
    said = bed.verify(dvs, bed.phone[0])
    assert said.result["tgtgt_new"]
    bed.pass_(60)
    assert bed.login().code == 0
    assert bed.tally.sms_sent == 1


def test_the_check_stays_demanded_until_it_is_passed(bed: Bed) -> None:
    checked(bed)
    bed.pass_(60)
    dvs, code = sent(bed)
    assert bed.verify(dvs, code).code == 0
    bed.pass_(60)
    assert bed.login().code == 0


def test_a_newer_attempt_voids_the_message(bed: Bed) -> None:
    dvs, code = sent(bed)
    assert bed.login().code == 15
    assert bed.ask_sms(dvs).code == 990007
    assert bed.verify(dvs, code).code == 21


def test_a_check_has_an_end(bed: Bed) -> None:
    dvs, code = sent(bed)
    bed.pass_(300)
    assert bed.ask_sms(dvs).code == 990007
    assert bed.verify(dvs, code).code == 21


@pytest.mark.parametrize(
    "query", [{"send_mode": "1", "is_send_no_wait": "False"}, {"send_mode": "0"}, {"is_send_no_wait": "False"}]
)
def test_a_message_is_sent_only_for_the_known_parameters(bed: Bed, query: dict[str, str]) -> None:
    said = bed.call("GET", "/authority/req_device_code", query={"dvs": checked(bed), **query})
    assert (said.code, bed.tally.sms_sent) == (990007, 0)


def test_messages_are_spaced(bed: Bed) -> None:
    dvs = checked(bed)
    assert [bed.ask_sms(dvs).code for _ in range(2)] == [0, 990006]
    bed.pass_(30)
    assert bed.ask_sms(dvs).code == 0
    assert bed.tally.sms_sent == 2


def test_the_second_message_outdates_the_first_code(bed: Bed) -> None:
    dvs, first = sent(bed)
    bed.pass_(30)
    bed.ask_sms(dvs)
    second = bed.phone[-1]
    assert bed.verify(dvs, first).code == (21 if first != second else 0)


def test_two_wrong_codes_poison_the_device_for_ever(bed: Bed) -> None:
    dvs, code = sent(bed)
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    assert [bed.verify(dvs, wrong).code for _ in range(2)] == [21, 21]
    assert bed.verify(dvs, code).code == 15
    bed.pass_(1e8)
    assert bed.login().code == 15


def test_one_wrong_code_does_not(bed: Bed) -> None:
    dvs, code = sent(bed)
    assert bed.verify(dvs, "x").code == 21
    assert bed.verify(dvs, code).code == 0
    bed.pass_(60)
    dvs, code = sent(bed)
    assert bed.verify(dvs, "x").code == 21
    assert bed.verify(dvs, code).code == 0


def test_an_empty_code_poisons_at_once(bed: Bed) -> None:
    dvs, _ = sent(bed)
    assert bed.verify(dvs, "").code == 21
    bed.pass_(60)
    assert bed.login().code == 15


@pytest.mark.parametrize("code", ["000000", "None"])
def test_a_code_without_a_message_is_wrong(bed: Bed, code: str) -> None:
    assert bed.verify(checked(bed), code).code == 21


def test_verification_takes_nine_fields_and_no_other_number(bed: Bed) -> None:
    dvs, code = sent(bed)
    assert bed.verify(dvs, code, more="x").code == 11
    assert bed.verify(dvs, code, os_ver="").code == 11
    assert bed.verify(dvs, code, verify_mode=1).code == 11
    assert bed.verify(dvs, code, uid=5).code == 2
    assert bed.verify(dvs, code).code == 0


def test_a_third_factor_is_demanded_and_passed(bed: Bed) -> None:
    bed.levers.require(bed.uid, Need.THIRD_FACTOR)
    said = bed.login()
    assert (said.code, said.error["uid"]) == (33, UID)
    sig = said.error["third_factor_verify_sig"]
    assert bed.third_factor("TFS").code == 990007
    assert bed.third_factor(sig, os_ver="").code == 11
    assert bed.third_factor(sig, tgtgt="TG").code == 2
    assert bed.third_factor(sig, uid=5).code == 2
    assert bed.third_factor(sig).result["web_sig_new"]
    assert bed.third_factor(sig).code == 990007
    bed.pass_(60)
    assert bed.login().code == 0


def test_salt_tells_the_attribution_and_no_uid(bed: Bed) -> None:
    result = bed.salt().result
    assert (result["uid"], result["user_attribution"], result["svr_time"]) == (0, 6, int(bed.at))
    assert result["salt"]
    assert result["salt32"]
    assert bed.salt(ret_no_uid="false").result["uid"] == UID


def test_salt_refuses_old_clients_and_unknown_accounts(bed: Bed) -> None:
    query = {"account": str(bed.kept["account"])}
    for version, code in (("332", 45), ("900", 0), ("1002", 0), ("", 45)):
        assert bed.call("GET", "/authority/salt", query=query, headers={"x-futu-client-version": version}).code == code
    assert bed.call("GET", "/authority/salt", query={"account": "x"}, headers=VERSION).code == 2


def test_salt_refuses_a_phone_that_is_not_split_and_the_wrong_host() -> None:
    bed = Bed(account="13900000000", region_no="65", attribution=3)
    assert bed.salt().code == 2
    split = {"account": "13900000000", "is_phone": "true", "region_no": "65"}
    assert bed.salt(**split).code == 0
    wrong = {**VERSION, "Host": "auth.futunn.com"}
    assert bed.call("GET", "/authority/salt", query=split, headers=wrong).code == 2


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/authority/"), ("POST", "/authority/salt"), ("POST", "/authority/none")]
)
def test_other_paths_are_not_there(bed: Bed, method: str, path: str) -> None:
    assert bed.call(method, path).status == 404


def test_the_service_may_be_minutes_off(bed: Bed) -> None:
    bed.service.state.offset_s = 600
    assert bed.login().result["svr_time"] == int(bed.at) + 600


def test_a_login_books_one_change_for_each_account_it_touches(bed: Bed) -> None:
    bed.login()
    for label in ("futu", *BROKERS.values()):
        (commit,) = bed.page(label).commits
        assert commit.delivery is not None
        assert (commit.grant_type, commit.delivery.is_whole) == ("authority", True)
    assert bed.page("futu").calls[0].outcome == "granted"

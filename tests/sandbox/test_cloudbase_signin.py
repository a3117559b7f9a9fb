"""CloudBase's ways in: passwords and their lock, devices, tickets and keys, providers, codes, cloud keys."""

from typing import Any

import pytest

from freshd.sandbox.cloudbase.user import Profile, Second
from freshd.sandbox.direct import Said
from tests.sandbox.cloudbase_bed import DEVICE, TOKEN, V1, Bed, basic, bearer, claims_of, refused

HOUR = 3600


@pytest.fixture
def bed() -> Bed:
    return Bed()


def details(said: Said) -> dict[str, Any]:
    (detail,) = said.json["details"]
    assert isinstance(detail, dict)
    return detail


# -- password ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ann", "ann@mail.example", "+86 13800000000"])
def test_a_user_goes_by_name_mail_or_telephone(bed: Bed, name: str) -> None:
    bed.profile(email="ann@mail.example", phone_number="+86 13800000000")
    assert bed.signin(name=name).status == 200


def test_the_password_grant_is_a_sign_in(bed: Bed) -> None:
    said = bed.post(
        TOKEN, {"grant_type": "password", "username": "ann", "password": "right", "client_id": "sandbox-env"}
    )
    assert said.json["refresh_token"].startswith("m.")
    assert bed.page().counters.calls == {"password": 1}


def test_wrong_passwords_lead_to_a_captcha_and_then_to_a_lock(bed: Bed) -> None:
    for left in (9, 8, 7, 6):
        said = bed.signin("wrong")
        assert (refused(said), details(said)) == ((400, "invalid_password"), {"limit_remaining": left})
    assert refused(bed.signin("wrong")) == (400, "captcha_required")
    assert refused(bed.signin("right")) == (400, "captcha_required")
    for left in (4, 3, 2, 1):
        said = bed.signin("wrong", captcha_token=bed.captcha())
        assert (refused(said), details(said)) == ((400, "invalid_password"), {"limit_remaining": left})
    said = bed.signin("wrong", captcha_token=bed.captcha())
    assert (refused(said), details(said)) == ((400, "invalid_status"), {"retry_delay": "1800s"})
    bed.now += 1799.5
    assert details(bed.signin("right")) == {"retry_delay": "0.5s"}
    bed.now += 0.5
    assert bed.signin("right").status == 200


def test_a_right_password_ends_the_counting(bed: Bed) -> None:
    for _ in range(4):
        bed.signin("wrong")
    bed.signin("right")
    assert details(bed.signin("wrong")) == {"limit_remaining": 9}


def test_a_captcha_token_that_is_good_lets_the_right_password_in(bed: Bed) -> None:
    for _ in range(5):
        bed.signin("wrong")
    assert bed.signin("right", captcha_token=bed.captcha()).status == 200


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"username": "ann"}, "invalid_argument"),
        ({"username": "ann", "password": "right", "verification_token": "x"}, "invalid_argument"),
        ({"username": "ann", "password": ""}, "invalid_argument"),
        ({"username": "a", "password": "right"}, "invalid_argument"),
        ({"username": "-ann", "password": "right"}, "invalid_argument"),
        ({"username": "nobody", "password": "right"}, "not_found"),
        ({"verification_token": "vt-unknown"}, "invalid_argument"),
    ],
)
def test_what_a_sign_in_does_not_take(bed: Bed, body: dict[str, Any], error: str) -> None:
    assert bed.post(f"{V1}/signin", body).json["error"] == error


def test_an_account_without_password_has_none(bed: Bed) -> None:
    bed.profile(password="")
    assert refused(bed.signin()) == (400, "password_not_set")


@pytest.mark.parametrize("second", [one for one in Second if one])
def test_a_second_factor_is_demanded_of_who_knows_the_first(bed: Bed, second: Second) -> None:
    bed.profile(second=second)
    assert bed.signin("wrong").json["error"] == "invalid_password"
    assert bed.signin("right").json["error"] == second


def test_a_body_that_is_no_json_object_is_refused_in_words(bed: Bed) -> None:
    json_type = {"Content-Type": "application/json; charset=utf-8"}
    for body in (b"[]", b"{", b'"x"', b"[" * 100_000):
        assert refused(bed.post(f"{V1}/signin", body, json_type)) == (400, "invalid_argument")
    good = b'{"username": "ann", "password": "right"}'
    assert refused(bed.post(f"{V1}/signin", good, {"Content-Type": "text/plain"})) == (400, "invalid_argument")
    assert bed.post(f"{V1}/signin", good, json_type).status == 200


# -- anonymous --------------------------------------------------------------------------------------------------------


def test_the_same_device_is_the_same_user(bed: Bed) -> None:
    first, second, other = bed.anonymously().json, bed.anonymously().json, bed.anonymously("f" * 32).json
    assert first["sub"] == second["sub"] != other["sub"]
    assert first["scope"] == "anonymous"
    assert claims_of(first["access_token"])["provider_type"] == "anonymous"


def test_a_device_must_be_named(bed: Bed) -> None:
    assert refused(bed.anonymously("")) == (400, "invalid_argument")


def test_a_device_may_have_a_label(bed: Bed) -> None:
    bed.environment.users.register(Profile(label="kiosk", device_id=DEVICE))
    bed.anonymously()
    assert bed.page("kiosk").counters.calls == {"anonymously": 1}


# -- providers --------------------------------------------------------------------------------------------------------


def test_a_providers_user_signs_in_and_is_found_again(bed: Bed) -> None:
    first, second = (bed.with_provider(bed.provider_token()).json for _ in range(2))
    assert first["sub"] == second["sub"]
    assert bed.page("upstream:up-1").counters.calls == {"with_provider": 2}


def test_nobody_is_made_a_user_who_must_not(bed: Bed) -> None:
    assert refused(bed.with_provider(bed.provider_token(), force_disable_sign_up=True)) == (404, "not_found")
    bed.environment.users.register(Profile(label="p", provider_id="upstream", provider_subject="up-1"))
    assert bed.with_provider(bed.provider_token(), force_disable_sign_up=True).status == 200
    assert bed.page("p").counters.calls == {"with_provider": 1}


def test_a_provider_token_works_once_and_for_an_hour(bed: Bed) -> None:
    token, late = bed.provider_token(), bed.provider_token()
    assert bed.with_provider(token).status == 200
    assert refused(bed.with_provider(token)) == (400, "invalid_argument")
    assert bed.page("upstream:up-1").counters.reasons == {"unconfirmed": 1}
    bed.now += HOUR
    assert refused(bed.with_provider(late)) == (400, "invalid_argument")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"provider_id": "upstream"}, "invalid_argument"),
        ({"provider_code": "x"}, "invalid_argument"),
        ({"provider_id": "upstream", "provider_code": "x", "provider_id_token": "y"}, "invalid_argument"),
        ({"provider_id": "upstream", "provider_code": "x"}, "provider_error"),
        ({"provider_id": "upstream", "provider_access_token": "x"}, "provider_error"),
        ({"provider_id": "nowhere", "provider_code": "x"}, "not_found"),
        ({"provider_id": "closed", "provider_code": "x"}, "provider_not_enabled"),
    ],
)
def test_what_is_no_provider_token_worth(bed: Bed, body: dict[str, Any], error: str) -> None:
    bed.environment.providers.known["closed"] = False
    assert bed.post(f"{V1}/provider/token", body).json["error"] == error


def test_a_providers_code_works_once(bed: Bed) -> None:
    asked = {"provider_id": "upstream", "provider_code": bed.environment.providers.code("upstream", "up-1")}
    said = bed.post(f"{V1}/provider/token", asked).json
    assert (said["expires_in"], said["provider_profile"]) == (3600, {"sub": "up-1", "name": "up-1"})
    assert bed.post(f"{V1}/provider/token", asked).json["error"] == "provider_error"


# -- codes ------------------------------------------------------------------------------------------------------------


def test_a_code_that_was_read_signs_in(bed: Bed) -> None:
    token = bed.verification_token()
    assert bed.by_code(token, username="ann").status == 200
    assert refused(bed.by_code(token)) == (403, "permission_denied")
    assert bed.page().counters.reasons == {"unconfirmed": 1}


def test_a_verification_is_over_in_ten_minutes(bed: Bed) -> None:
    token = bed.verification_token()
    bed.now += 600
    assert refused(bed.by_code(token)) == (403, "permission_denied")


def test_a_code_may_be_mistyped_four_times(bed: Bed) -> None:
    sent = bed.post(f"{V1}/verification", {"email": "ann@mail.example"}).json
    assert (sent["expires_in"], sent["is_user"]) == (600, True)
    asked = {"verification_id": sent["verification_id"], "verification_code": "none"}
    for _ in range(5):
        assert refused(bed.post(f"{V1}/verification/verify", asked)) == (400, "invalid_argument")
    right = {**asked, "verification_code": bed.environment.verifications.mailbox("ann@mail.example")[0]}
    assert refused(bed.post(f"{V1}/verification/verify", right)) == (409, "aborted")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "invalid_argument"),
        ({"email": "x@y.example", "phone_number": "+86 1"}, "invalid_argument"),
        ({"email": "ann@mail.example", "target": "SOME"}, "invalid_argument"),
        ({"email": "new@mail.example", "target": "USER"}, "not_found"),
        ({"email": "ann@mail.example", "target": "NOT_USER"}, "failed_precondition"),
        ({"email": "ann@mail.example", "target": "CUR_USER"}, "unauthenticated"),
    ],
)
def test_to_whom_no_code_is_sent(bed: Bed, body: dict[str, Any], error: str) -> None:
    assert bed.post(f"{V1}/verification", body).json["error"] == error


def test_a_code_for_whoever_is_signed_in(bed: Bed) -> None:
    access = bed.signin().json["access_token"]
    body = {"email": "ann@mail.example", "target": "CUR_USER"}
    assert bed.post(f"{V1}/verification", body, bearer(access)).status == 200


# -- cloud keys -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [TOKEN, f"{TOKEN}/clientCredential"])
def test_a_cloud_key_gets_an_access_token_and_nothing_to_renew_it(bed: Bed, path: str) -> None:
    answer = bed.credentials(path).json
    assert "refresh_token" not in answer
    assert (answer["expires_in"], answer["scope"]) == (432000, "administrator")
    assert bed.page("AKIDsandbox").counters.calls == {"client_credentials": 1}
    assert refused(bed.credentials(path, basic(secret="wrong"))) == (401, "unauthorized_client")
    assert refused(bed.credentials(path, {})) == (401, "unauthorized_client")

"""Constants of CloudBase both ways: passwords, captchas, tickets, codes, provider tokens, revocation."""

import urllib.parse

import pytest

from tests.sandbox.cloudbase_bed import V1, Bed, basic, bearer, outcome, refused

DAY = 86_400


@pytest.fixture
def bed() -> Bed:
    return Bed()


# -- passwords and captchas -------------------------------------------------------------------------------------------


def test_when_a_captcha_and_when_a_lock(bed: Bed) -> None:
    bed.set(CAPTCHA_AFTER=2, LOCK_AFTER=3, LOCK_S=10)
    assert [outcome(bed.signin("wrong")) for _ in range(2)] == ["invalid_password", "captcha_required"]
    said = bed.signin("wrong", captcha_token=bed.captcha())
    assert (outcome(said), said.json["details"]) == ("invalid_status", [{"retry_delay": "10s"}])
    bed.now += 10
    assert outcome(bed.signin()) == "ok"


@pytest.mark.parametrize(
    ("variant", "said"), [("both", ["ok", "ok"]), ("page", ["ok", "unimplemented"]), ("image", ["unimplemented", "ok"])]
)
def test_which_challenge_there_is(bed: Bed, variant: str, said: list[str]) -> None:
    bed.set(CAPTCHA_VARIANT=variant)
    body = {"state": "s", "redirect_uri": "https://app.example/"}
    assert [outcome(bed.post(f"{V1}/captcha/{path}", body)) for path in ("init", "data")] == said


@pytest.mark.parametrize(
    ("place", "said"),
    [("both", ["ok", "ok"]), ("query", ["ok", "captcha_required"]), ("header", ["captcha_required", "ok"])],
)
def test_where_a_captcha_token_is_looked_for(bed: Bed, place: str, said: list[str]) -> None:
    bed.set(CAPTCHA_FOR=["signin"], CAPTCHA_PLACE=place)
    token, body = bed.captcha(), {"username": "ann", "password": "right"}
    in_query = bed.post(f"{V1}/signin", body, None, captcha_token=token)
    in_header = bed.post(f"{V1}/signin", body, {"x-captcha-token": token})
    assert [outcome(in_query), outcome(in_header)] == said


def test_a_page_may_give_the_token_at_once(bed: Bed) -> None:
    bed.set(CAPTCHA_DIRECT=True, CAPTCHA_FOR=["signin"])
    said = bed.post(f"{V1}/captcha/init", {"state": "s", "redirect_uri": "https://app.example/"}).json
    assert (said["expires_in"], "url" in said) == (600, False)
    assert outcome(bed.signin(captcha_token=said["captcha_token"])) == "ok"


def test_a_page_may_need_a_basic_header(bed: Bed) -> None:
    body = {"state": "s", "redirect_uri": "https://app.example/"}
    assert outcome(bed.post(f"{V1}/captcha/init", body)) == "ok"
    bed.set(CAPTCHA_INIT_BASIC=True)
    assert outcome(bed.post(f"{V1}/captcha/init", body)) == "unauthenticated"
    assert outcome(bed.post(f"{V1}/captcha/init", body, basic("sandbox-env", ""))) == "ok"


def test_how_long_a_challenge_and_its_token_last(bed: Bed) -> None:
    bed.set(CAPTCHA_PAGE_TTL_S=20, CAPTCHA_IMAGE_TTL_S=30, CAPTCHA_TOKEN_TTL_S=40, CAPTCHA_FOR=["signin"])
    body = {"state": "s", "redirect_uri": "https://app.example/"}
    init, data = (bed.post(f"{V1}/captcha/{path}", body).json for path in ("init", "data"))
    assert (init["expires_in"], data["expires_in"]) == (20, 30)
    page = urllib.parse.parse_qs(urllib.parse.urlsplit(init["url"]).query)["challenge"][0]
    token = bed.captcha()
    bed.now += 20
    assert "captcha_expired" in str(bed.levers.visit(page))
    bed.now += 10
    late = bed.post(f"{V1}/captcha/data/verify", {"token": data["token"], "key": "x"})
    assert outcome(late) == "captcha_expired"
    assert outcome(bed.signin(captcha_token=token)) == "ok"
    bed.now += 10
    assert outcome(bed.signin(captcha_token=token)) == "captcha_invalid"


@pytest.mark.parametrize(("once", "said"), [(False, "ok"), (True, "captcha_invalid")])
def test_a_captcha_token_may_work_once(bed: Bed, once: bool, said: str) -> None:
    bed.set(CAPTCHA_TOKEN_SINGLE_USE=once, CAPTCHA_FOR=["signin"])
    token = bed.captcha()
    bed.signin(captcha_token=token)
    assert outcome(bed.signin(captcha_token=token)) == said


def test_a_picture_may_be_tried_again_and_wrong_answers_called_otherwise(bed: Bed) -> None:
    bed.set(CAPTCHA_TRIES=2, CAPTCHA_WORDS="common", CAPTCHA_ANSWER="K3PX")
    picture, answer = bed.picture()
    assert answer == "K3PX"
    asked = {"token": picture, "key": "zzzz"}
    assert outcome(bed.post(f"{V1}/captcha/data/verify", asked)) == "captcha_invalid"
    assert outcome(bed.post(f"{V1}/captcha/data/verify", {**asked, "key": answer})) == "ok"
    assert outcome(bed.post(f"{V1}/captcha/data/verify", {**asked, "key": answer})) == "captcha_invalid"


# -- codes, provider tokens, revocation --------------------------------------------------------------------------------


def test_how_long_a_code_works_how_often_and_how_soon_another_comes(bed: Bed) -> None:
    bed.set(CODE_TTL_S=10, CODE_TRIES=1, CODE_INTERVAL_S=5, VERIFICATION_TOKEN_TTL_S=3)
    asked = {"email": "ann@mail.example"}
    sent = bed.post(f"{V1}/verification", asked).json
    assert sent["expires_in"] == 10
    assert outcome(bed.post(f"{V1}/verification", asked)) == "captcha_required"
    bed.set(CODE_TOO_SOON_ERROR="resource_exhausted")
    assert refused(bed.post(f"{V1}/verification", asked)) == (429, "resource_exhausted")
    wrong = {"verification_id": sent["verification_id"], "verification_code": "none"}
    tries = [outcome(bed.post(f"{V1}/verification/verify", wrong)) for _ in range(2)]
    assert tries == ["invalid_argument", "aborted"]
    bed.now += 5
    token = bed.verification_token()
    bed.now += 3
    assert outcome(bed.by_code(token)) == "permission_denied"
    bed.now += 2
    late = {"verification_id": bed.post(f"{V1}/verification", asked).json["verification_id"]}
    bed.now += 10
    code = bed.environment.verifications.mailbox("ann@mail.example")[-1]
    assert outcome(bed.post(f"{V1}/verification/verify", {**late, "verification_code": code})) == "invalid_argument"


def test_how_long_and_how_often_a_provider_token_works(bed: Bed) -> None:
    bed.set(PROVIDER_TOKEN_TTL_S=10, PROVIDER_TOKEN_SINGLE_USE=False)
    token = bed.provider_token()
    assert [outcome(bed.with_provider(token)) for _ in range(2)] == ["ok", "ok"]
    bed.now += 10
    assert outcome(bed.with_provider(token)) == "invalid_argument"


@pytest.mark.parametrize(
    ("form", "said"),
    [("both", ["ok", "ok"]), ("bearer", ["ok", "unauthenticated"]), ("body", ["unauthenticated", "ok"])],
)
def test_how_a_revocation_names_its_token(bed: Bed, form: str, said: list[str]) -> None:
    bed.set(REVOKE_FORM=form)
    first, second = bed.signin().json["access_token"], bed.anonymously().json["access_token"]
    in_header, in_body = bed.post(f"{V1}/revoke", {}, bearer(first)), bed.post(f"{V1}/revoke", {"token": second})
    assert [outcome(in_header), outcome(in_body)] == said


@pytest.mark.parametrize(("ends", "said"), [(True, "invalid_grant"), (False, "ok")])
def test_a_revocation_may_leave_the_refresh_token(bed: Bed, ends: bool, said: str) -> None:
    bed.set(REVOKE_ENDS_SESSION=ends)
    answer = bed.signin().json
    bed.post(f"{V1}/revoke", {}, bearer(answer["access_token"]))
    assert bed.introspect(answer["access_token"]) == {}
    assert outcome(bed.refresh(answer["refresh_token"])) == said

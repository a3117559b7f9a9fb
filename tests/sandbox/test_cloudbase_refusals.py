"""Constants of CloudBase both ways: how it refuses. And refusals on demand."""

import pytest

from freshd.sandbox.cloudbase.constants import Speech
from freshd.sandbox.cloudbase.refusal import NUMBERS
from tests.sandbox.cloudbase_bed import V1, Bed, outcome, refused

DAY = 86_400


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_errors_may_have_other_names(bed: Bed) -> None:
    bed.set(
        NO_USER_ERROR="user_not_found",
        WRONG_PASSWORD_ERROR="invalid_username_or_password",
        WRONG_CODE_ERROR="invalid_verification_code",
        DEAD_REFRESH_ERROR="unauthenticated",
        BAD_TICKET_ERROR="invalid_request",
        BAD_TICKET_KEY_ERROR="unauthorized_client",
    )
    assert refused(bed.signin(name="nobody")) == (404, "user_not_found")
    assert outcome(bed.signin("wrong")) == "invalid_username_or_password"
    assert outcome(bed.refresh("m.unknown")) == "unauthenticated"
    assert outcome(bed.custom(bed.ticket(env="other"))) == "invalid_request"
    assert outcome(bed.custom(bed.ticket({**bed.key(), "private_key_id": "none"}))) == "unauthorized_client"
    sent = bed.post(f"{V1}/verification", {"email": "ann@mail.example"}).json["verification_id"]
    wrong = bed.post(f"{V1}/verification/verify", {"verification_id": sent, "verification_code": "none"})
    assert outcome(wrong) == "invalid_verification_code"


def test_each_form_of_a_refusal(bed: Bed) -> None:
    bed.order("resource_exhausted", retry_s=1800, count=None)
    plain = bed.signin().json
    assert plain.pop("error_description")
    details = [{"retry_delay": "1800s"}]
    assert plain == {"error": "resource_exhausted", "error_code": 8, "details": details}
    bed.set(SPEECH="data")
    assert bed.signin().json["data"]["error"] == "resource_exhausted"
    bed.set(SPEECH="rpc")
    told = bed.signin().json
    assert (told["code"], told["details"][0]["retry_delay"], "error" in told) == (8, "1800s", False)
    bed.set(SPEECH="gateway")
    told = bed.signin().json
    assert (told["code"], set(told)) == ("EXCEED_RATELIMIT", {"code", "message", "requestId"})


def test_the_gateway_tells_apart_why_a_refresh_token_is_dead(bed: Bed) -> None:
    bed.set(SPEECH=Speech.GATEWAY)
    pushed, late = bed.token(), bed.mint("b")["refresh_token"]
    bed.levers.stranger("a")
    assert bed.refresh(pushed, {"x-request-id": "r1"}).json["code"] == "REFRESH_TOKEN_EXHAUSTED"
    assert bed.refresh("m.unknown").json["code"] == "INVALID_REFRESH_TOKEN"
    bed.now += 30 * DAY
    assert bed.refresh(late, {"x-request-id": "r1"}).json["requestId"] == "r1"
    assert bed.refresh(late).json["code"] == "REFRESH_TOKEN_EXPIRED"


@pytest.mark.parametrize(("number", "shown"), [("number", 4001), ("text", "4001"), ("absent", None)])
def test_how_an_error_writes_its_number(bed: Bed, number: str, shown: object) -> None:
    bed.set(ERROR_CODE=number, CAPTCHA_FOR=["signin"])
    assert bed.signin().json.get("error_code") == shown


def test_an_error_without_a_number_may_bring_one(bed: Bed) -> None:
    assert "error_code" not in bed.refresh("m.unknown").json
    bed.set(OTHER_NUMBER=2)
    assert bed.refresh("m.unknown").json["error_code"] == 2


def test_every_refusal_may_have_status_200(bed: Bed) -> None:
    bed.set(STATUS_ALWAYS_200=True)
    assert refused(bed.signin(name="nobody")) == (200, "not_found")
    assert bed.signin().status == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("invalid_argument", 400), ("failed_precondition", 400), ("invalid_grant", 400), ("captcha_required", 400),
        ("unauthenticated", 401), ("unauthorized_client", 401), ("permission_denied", 403), ("user_blocked", 403),
        ("not_found", 404), ("aborted", 409), ("resource_exhausted", 429), ("internal", 500), ("unimplemented", 501),
        ("unavailable", 503),
    ],
)  # fmt: skip
def test_each_error_has_its_status(bed: Bed, error: str, status: int) -> None:
    bed.order(error)
    assert refused(bed.signin()) == (status, error)
    bed.set(STATUSES={error: 418})
    bed.order(error)
    assert refused(bed.signin()) == (418, error)


@pytest.mark.parametrize("error", sorted(NUMBERS))
def test_each_known_error_has_its_number(bed: Bed, error: str) -> None:
    bed.order(error)
    assert bed.signin().json["error_code"] == NUMBERS[error]


def test_a_pace_may_be_kept(bed: Bed) -> None:
    bed.set("a", RATE_PER_MIN=2, RETRY_DELAY_S=7)
    assert [outcome(bed.signin()) for _ in range(3)] == ["ok", "ok", "resource_exhausted"]
    said = bed.signin()
    assert (said.json["details"], "Retry-After" in said.headers) == ([{"retry_delay": "7s"}], False)
    bed.set("a", RETRY_AFTER=True)
    assert bed.signin().headers["Retry-After"] == "7"
    bed.set("a", RETRY_DELAY_S=None)
    assert "details" not in bed.signin().json
    bed.now += 60
    assert outcome(bed.signin()) == "ok"


def test_an_order_says_what_it_likes_for_so_long_as_it_is_told(bed: Bed) -> None:
    bed.order("odd_error", operation="signin", label="a", count=2, status=200, number=77, limit_remaining=1)
    told = [bed.signin() for _ in range(3)]
    assert [(said.status, outcome(said)) for said in told] == [(200, "odd_error"), (200, "odd_error"), (200, "ok")]
    assert (told[0].json["error_code"], told[0].json["details"]) == (77, [{"limit_remaining": 1}])
    bed.order("internal", operation="refresh_token", label="b")
    assert outcome(bed.refresh(bed.token())) == "ok"


def test_an_order_after_the_commit_leaves_the_token_spent(bed: Bed) -> None:
    token = bed.token()
    bed.order("internal", operation="refresh_token", after_commit=True)
    assert refused(bed.refresh(token)) == (500, "internal")
    assert [commit.doubt for commit in bed.page().commits] == ["not_carried"]
    assert outcome(bed.refresh(token)) == "invalid_grant"
    assert bed.page().counters.reasons == {"not_carried": 1}

"""CloudBase's sessions: what a refresh does, who pushes whom out, what the books say of it."""

from typing import Any

import pytest

from freshd.sandbox.cloudbase.user import Standing
from freshd.sandbox.endings import CutShort, LostAfterCommit, LostBeforeCommit, Status
from freshd.sandbox.fault_queue import Scope
from freshd.sandbox.faults import MissingFields, NoRefreshToken, WrongSubject
from tests.sandbox.cloudbase_bed import DEVICE, START, TOKEN, V1, Bed, basic, bearer, claims_of, refused

DAY = 86_400


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_a_refresh_gives_a_new_pair_and_the_old_token_is_worth_nothing(bed: Bed) -> None:
    token = bed.token()
    said = bed.refresh(token)
    answer = said.json
    assert (said.status, answer["token_type"], answer["expires_in"], answer["scope"]) == (
        200,
        "Bearer",
        7200,
        "user sso",
    )
    assert answer["refresh_token"].startswith("m.")
    assert len(answer["refresh_token"]) <= 128
    assert answer["refresh_token"] != token
    assert refused(bed.refresh(token)) == (400, "invalid_grant")
    assert bed.refresh(answer["refresh_token"]).status == 200


def test_an_access_token_says_what_those_of_the_service_say(bed: Bed) -> None:
    answer = bed.signin().json
    claims = claims_of(answer["access_token"])
    assert (claims["sub"], claims["aud"], claims["project_id"]) == (answer["sub"], "sandbox-env", "sandbox-env")
    assert (claims["iat"], claims["exp"]) == (START, START + 7200)
    assert {"iss", "at_hash", "scope", "provider_type", "meta", "user_type"} <= claims.keys()
    assert {"name", "nonce"} <= claims_of(bed.anonymously().json["access_token"]).keys()
    assert len(answer["access_token"]) <= 4096


def test_two_access_tokens_of_one_second_differ(bed: Bed) -> None:
    first = bed.refresh(bed.token()).json
    assert bed.refresh(first["refresh_token"]).json["access_token"] != first["access_token"]


def test_a_second_sign_in_pushes_the_first_session_out_without_a_word(bed: Bed) -> None:
    first = bed.signin().json
    second = bed.signin().json
    assert refused(bed.refresh(first["refresh_token"])) == (400, "invalid_grant")
    assert bed.page().counters.killed_by == {"session_limit": 1}
    assert bed.introspect(first["access_token"])["sub"] == first["sub"]
    assert bed.refresh(second["refresh_token"]).status == 200


def test_a_stranger_pushes_the_session_out_and_leaves_no_trace_on_the_page(bed: Bed) -> None:
    minted = bed.mint()
    assert bed.levers.stranger("a") == [minted["lineage"]]
    assert refused(bed.refresh(minted["refresh_token"])) == (400, "invalid_grant")
    assert (len(bed.page().lineages), list(bed.page().commits)) == (1, [])


def test_a_session_ends_at_its_absolute_end_however_often_it_was_refreshed(bed: Bed) -> None:
    token = bed.token()
    for _ in range(29):
        bed.now += DAY
        token = bed.refresh(token).json["refresh_token"]
    bed.now += DAY
    assert refused(bed.refresh(token)) == (400, "invalid_grant")


def test_an_aged_session_is_over_sooner(bed: Bed) -> None:
    token = bed.token()
    assert bed.environment.sessions.age("a", 30 * DAY) == 1
    assert refused(bed.refresh(token)) == (400, "invalid_grant")


def test_a_new_life_holds_for_new_sign_ins_only(bed: Bed) -> None:
    token = bed.token()
    bed.set(ACCESS_TTL_S=60)
    assert bed.refresh(token).json["expires_in"] == 7200
    assert bed.signin().json["expires_in"] == 60


@pytest.mark.parametrize("standing", [one for one in Standing if one is not Standing.ACTIVE])
def test_a_user_that_may_not_gets_nothing_and_loses_nothing(bed: Bed, standing: Standing) -> None:
    token = bed.token()
    bed.profile(standing=standing)
    assert refused(bed.refresh(token)) == (403, standing)
    bed.profile()
    assert bed.refresh(token).status == 200


@pytest.mark.parametrize(
    ("over", "error"),
    [
        ({"refresh_token": ""}, "invalid_argument"),
        ({"refresh_token": "m.unknown"}, "invalid_grant"),
        ({"client_id": "other"}, "invalid_client"),
        ({"client_secret": "wrong"}, "unauthorized_client"),
        ({"grant_type": "authorization_code"}, "unimplemented"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}, "unimplemented"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_argument"),
    ],
)
def test_a_refused_refresh_leaves_the_token_alone(bed: Bed, over: dict[str, Any], error: str) -> None:
    token = bed.token()
    assert bed.refresh(token, **over).json["error"] == error
    assert bed.refresh(token).status == 200


def test_another_clients_token_is_an_unknown_one(bed: Bed) -> None:
    token = bed.mint(client_id="elsewhere")["refresh_token"]
    assert refused(bed.refresh(token)) == (400, "invalid_grant")


def test_a_basic_header_proves_the_client_too(bed: Bed) -> None:
    token = bed.token()
    assert refused(bed.refresh(token, basic("sandbox-env", "wrong"))) == (401, "unauthorized_client")
    assert bed.refresh(token, basic("sandbox-env", "")).status == 200


def test_a_lost_answer_makes_the_replay_doubtful(bed: Bed) -> None:
    token = bed.token()
    bed.faults.add(LostAfterCommit(), Scope(label="a"), count=1)
    assert bed.call("POST", TOKEN, {"grant_type": "refresh_token", "refresh_token": token}) is None
    assert refused(bed.refresh(token)) == (400, "invalid_grant")
    counters = bed.page().counters
    assert (counters.spent_uses, counters.reasons) == (0, {"lost_after_commit": 1})
    assert [call.outcome for call in bed.page().calls] == ["granted", "invalid_grant"]


def test_a_request_that_never_arrived_spends_nothing(bed: Bed) -> None:
    token = bed.token()
    bed.faults.add(LostBeforeCommit(), Scope(label="a"), count=1)
    assert bed.call("POST", TOKEN, {"grant_type": "refresh_token", "refresh_token": token}) is None
    assert bed.refresh(token).status == 200


def test_a_use_after_the_successor_was_seen_is_a_spent_use(bed: Bed) -> None:
    token = bed.token()
    bed.refresh(bed.refresh(token).json["refresh_token"])
    bed.refresh(token)
    assert (bed.page().counters.spent_uses, bed.page().counters.doubtful_replays) == (1, 0)


def test_introspection_vouches_for_the_answer_it_uses(bed: Bed) -> None:
    bed.introspect(bed.refresh(bed.token()).json["access_token"])
    assert [commit.doubt for commit in bed.page().commits] == [None]


def test_answers_can_be_spoiled(bed: Bed) -> None:
    bed.faults.add(NoRefreshToken(), count=1)
    bed.faults.add(MissingFields(fields=("expires_in",)), count=1)
    bed.faults.add(WrongSubject(subject="19000"), count=1)
    answer = bed.refresh(bed.token()).json
    assert "refresh_token" not in answer
    assert "expires_in" not in answer
    assert (answer["sub"], claims_of(answer["access_token"])["sub"]) == ("19000", "19000")
    assert bed.me(answer["access_token"]).json == {"sub": "19000"}
    assert bed.page().commits[0].doubt == "no_refresh_token,missing_fields"


def test_an_empty_answer_and_half_a_one_can_be_had(bed: Bed) -> None:
    bed.faults.add(Status(status=200, body="", after_commit=True), count=1)
    said = bed.refresh(bed.token())
    assert (said.status, said.body) == (200, b"")
    bed.faults.add(CutShort(bytes=20), count=1)
    assert not bed.refresh(bed.token()).whole


def test_sign_ins_and_refreshes_are_booked_under_the_users_label(bed: Bed) -> None:
    answer = bed.signin().json
    bed.refresh(answer["refresh_token"])
    assert bed.page().counters.calls == {"signin": 1, "refresh_token": 1}
    first, second = bed.page().commits
    assert (first.grant_type, first.spent, second.spent) == ("signin", None, first.successor)


def test_introspection_of_a_dead_token_is_an_empty_object(bed: Bed) -> None:
    access = bed.signin().json["access_token"]
    told = bed.introspect(access)
    assert (told["token_type"], told["client_id"], told["scope"]) == ("Bearer", "sandbox-env", "user sso")
    bed.now += 7200
    assert (bed.introspect(access), bed.introspect("eyJ.fake.A1")) == ({}, {})


@pytest.mark.parametrize("form", ["bearer", "body", "both"])
def test_a_revocation_ends_the_session_in_either_form(bed: Bed, form: str) -> None:
    answer = bed.signin().json
    access = answer["access_token"]
    body = {"token": access} if form != "bearer" else {}
    assert bed.post(f"{V1}/revoke", body, bearer(access) if form != "body" else {}).status == 200
    assert bed.introspect(access) == {}
    assert refused(bed.refresh(answer["refresh_token"])) == (400, "invalid_grant")


def test_a_revocation_needs_a_living_token(bed: Bed) -> None:
    assert refused(bed.post(f"{V1}/revoke", {})) == (401, "unauthenticated")
    assert refused(bed.post(f"{V1}/revoke", {"token": "eyJ.fake.A1"})) == (401, "unauthenticated")


def test_a_sign_out_ends_the_session(bed: Bed) -> None:
    answer = bed.signin().json
    said = bed.post(f"{V1}/user/signout", {"redirect_uri": "https://app.example/"}, bearer(answer["access_token"]))
    assert said.json == {"redirect_uri": "https://app.example/"}
    assert refused(bed.refresh(answer["refresh_token"])) == (400, "invalid_grant")


def test_the_profile_is_that_of_the_user(bed: Bed) -> None:
    bed.profile(email="ann@mail.example", groups=("ops",))
    answer = bed.signin().json
    assert answer["groups"] == ["ops"]
    assert bed.me(answer["access_token"]).json == {
        "sub": answer["sub"],
        "name": "ann",
        "username": "ann",
        "email": "ann@mail.example",
        "groups": ["ops"],
    }
    assert refused(bed.me("eyJ.fake.A1")) == (401, "unauthenticated")


def test_ninety_days_of_a_correct_client_leave_nothing_to_hold_against_it(bed: Bed) -> None:
    bed.set(ACCESS_TTL_S=8 * 3600)
    token = ""
    for step in range(90 * 4):
        answer = bed.anonymously().json if step % (29 * 4) == 0 else bed.refresh(token).json
        token = answer["refresh_token"]
        bed.now += DAY / 4
    totals = bed.environment.ledger.books.totals
    assert (totals.spent_uses, totals.doubtful_replays, totals.refused) == (0, 0, 0)
    assert (totals.refreshes, totals.commits) == (90 * 4 - 4, 90 * 4)
    assert bed.environment.users.coming_by("device", DEVICE) is not None

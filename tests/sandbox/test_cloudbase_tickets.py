"""CloudBase's tickets and their keys: what is checked, how keys rotate, and the constants about both."""

from typing import Any

import pytest

from tests.sandbox.cloudbase_bed import Bed, outcome, refused

DAY = 86_400
HOUR = 3600


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_a_good_ticket_makes_its_user_and_finds_it_again(bed: Bed) -> None:
    first, second = bed.custom(bed.ticket()).json, bed.custom(bed.ticket()).json
    assert first["sub"] == second["sub"]
    assert bed.page("custom-1").counters.calls == {"custom": 2}


@pytest.mark.parametrize(
    "over",
    [
        {"env": "other-env"},
        {"alg": "HS256"},
        {"uid": "abc"},
        {"uid": "a" * 33},
        {"uid": "white space"},
        {"uid": "percent%"},
        {"uid": 12345},
        {"uid": None},
        {"iat": 1_800_000_000, "exp": 1_800_000_600},
        {"iat": 1_800_000_000_000.0},
        {"iat": None},
        {"exp": None},
        {"exp": 1_800_000_600_001},
        {"iat": 1_799_999_400_000, "exp": 1_800_000_000_000},
        {"iat": 1_800_000_060_001, "exp": 1_800_000_100_000},
        {"iat": 1_800_000_010_000, "exp": 1_800_000_005_000},
    ],
)
def test_a_ticket_with_a_wrong_claim_is_refused(bed: Bed, over: dict[str, Any]) -> None:
    assert refused(bed.custom(bed.ticket(**over))) == (400, "invalid_argument")


@pytest.mark.parametrize("header", [{"alg": "none", "typ": "JWT"}, {"alg": "RS512", "typ": "JWT"}, {"alg": "RS256"}])
def test_a_ticket_with_another_header_is_refused(bed: Bed, header: dict[str, Any]) -> None:
    assert refused(bed.custom(bed.ticket(header=header))) == (400, "invalid_argument")


@pytest.mark.parametrize("uid", ["abcd", "A" * 32, "_-#@~=*(){}[]:.,<>+1"])
def test_every_letter_that_a_user_id_may_have_is_taken(bed: Bed, uid: str) -> None:
    assert bed.custom(bed.ticket(uid=uid)).status == 200


def test_a_ticket_must_have_its_form(bed: Bed) -> None:
    good = bed.ticket()
    head, _, body = good.partition("/@@/")
    for text in (
        body,
        f"{head}/@/{body}",
        f"{head}/@@/{body.rpartition('.')[0]}",
        f"{head}/@@/{body}.x",
        f"{head}/@@/a.b.c",
    ):
        assert refused(bed.custom(text)) == (400, "invalid_argument")
    assert refused(bed.custom(good, provider_id="other")) == (400, "invalid_argument")


def test_a_ticket_must_be_signed_with_the_key_it_names(bed: Bed) -> None:
    good, other = bed.key(), bed.levers.make_key(bits=1024)
    crossed = {**good, "private_key": other["private_key"]}
    unknown = {**good, "private_key_id": "00000000-0000-0000-0000-000000000000"}
    assert refused(bed.custom(bed.ticket(crossed))) == (403, "permission_denied")
    assert refused(bed.custom(bed.ticket(unknown))) == (403, "permission_denied")
    assert bed.custom(bed.ticket(good)).status == 200
    assert bed.custom(bed.ticket(other)).status == 200


def test_an_old_key_works_for_two_more_hours(bed: Bed) -> None:
    old, new = bed.key(), bed.levers.make_key(bits=1024)
    bed.now += 2 * HOUR - 1
    assert bed.custom(bed.ticket(old)).status == 200
    bed.now += 1
    assert refused(bed.custom(bed.ticket(old))) == (403, "permission_denied")
    assert bed.custom(bed.ticket(new)).status == 200


def test_a_further_key_does_not_lengthen_the_life_of_an_old_one(bed: Bed) -> None:
    old = bed.key()
    bed.levers.make_key(bits=1024)
    bed.now += HOUR
    bed.levers.make_key(bits=1024)
    bed.now += HOUR
    assert refused(bed.custom(bed.ticket(old))) == (403, "permission_denied")


def test_a_key_file_comes_in_either_form(bed: Bed) -> None:
    assert bed.levers.make_key(bits=1024)["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert bed.levers.make_key(bits=1024, pkcs8=True)["private_key"].startswith("-----BEGIN PRIVATE KEY-----")


def test_how_long_an_old_key_works(bed: Bed) -> None:
    bed.set(KEY_OVERLAP_S=0)
    old = bed.key()
    bed.levers.make_key(bits=1024)
    assert outcome(bed.custom(bed.ticket(old))) == "permission_denied"


def test_how_long_a_ticket_may_live_and_how_far_ahead_it_may_begin(bed: Bed) -> None:
    now_ms = int(bed.now * 1000)
    later: dict[str, Any] = {"iat": now_ms + 120_000, "exp": now_ms + 300_000}
    longer: dict[str, Any] = {"exp": now_ms + 3_600_000}
    assert [outcome(bed.custom(bed.ticket(**over))) for over in (later, longer)] == ["invalid_argument"] * 2
    bed.set(TICKET_SKEW_S=120, TICKET_LIFE_S=3600)
    assert [outcome(bed.custom(bed.ticket(**over))) for over in (later, longer)] == ["ok", "ok"]


@pytest.mark.parametrize(("once", "said"), [(False, "ok"), (True, "unauthenticated")])
def test_a_ticket_may_work_once(bed: Bed, once: bool, said: str) -> None:
    bed.set(TICKET_SINGLE_USE=once)
    ticket = bed.ticket()
    bed.introspect(bed.custom(ticket).json["access_token"])
    assert outcome(bed.custom(ticket)) == said
    assert bed.page("custom-1").counters.spent_uses == int(once)


@pytest.mark.parametrize(("count", "life_s", "said"), [(False, 7200, "ok"), (True, 3600, "invalid_grant")])
def test_a_tickets_further_claims_may_count(bed: Bed, count: bool, life_s: int, said: str) -> None:
    bed.set(TICKET_CLAIMS_COUNT=count)
    answer = bed.custom(bed.ticket()).json
    assert answer["expires_in"] == life_s
    bed.now += 7 * DAY
    assert outcome(bed.refresh(answer["refresh_token"])) == said

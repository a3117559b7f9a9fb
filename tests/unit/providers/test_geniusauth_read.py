"""What every answer of the service comes to: nothing that is new gets lost, nothing of somebody else is handed out."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freshd.core.model import Binding, Lease, Record, Secret
from freshd.core.outcome import Answered, Rejected, Remedy, Reply, Unreadable
from freshd.providers.geniusauth.case import Terms
from tests.unit.providers.geniusauth_parts import (
    ACCESS,
    APP,
    DAY,
    ENROLLED,
    LIFE,
    RECORD,
    REFRESH,
    TERMS,
    WITH_PAYLOAD,
    judge,
    jwt,
    ok,
    record,
    rejected,
)
from tests.unit.providers.judged import change, grant, lease
from tests.unit.providers.parts import SENT, reply

EMPTY = Record("a")
LOGIN: dict[str, Any] = {
    "userID": 8, "name": "Test User", "groups": ["ops"], "avatarUrl": "https://example.invalid/a.png",
    "refreshToken": REFRESH, "accessToken": ACCESS,
}  # fmt: skip
ALLOWED = replace(TERMS, patch_fallback=True)


# -- renewing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["access_token", "accessToken"])
@pytest.mark.parametrize("status", [200, 201])
def test_a_renewal_brings_a_lease_and_nothing_else(name: str, status: int) -> None:
    judged = judge(ok(status, **{name: ACCESS, "payload": "tenant-a"}))
    facts = {"token_type": "Bearer", "uid": "8", "payload": "tenant-a"}
    assert lease(judged) == Lease("a", 4, Secret(ACCESS), SENT, 300.0, facts)
    assert (change(judged).grant, change(judged).drop, change(judged).withheld) == (None, frozenset(), None)
    assert isinstance(judged, Answered)
    assert judged.notes == {}


def test_of_two_names_the_one_of_the_renewal_counts() -> None:
    judged = judge(ok(accessToken="other", access_token=ACCESS))
    assert lease(judged).token == Secret(ACCESS)


LIVES: list[tuple[dict[str, Any], float]] = [
    ({}, 300.0),
    ({"exp": SENT.wall + 120}, 120.0),
    ({"exp": None}, 300.0),
    ({"iat": None}, 300.0),
    ({"exp": "soon"}, 300.0),
    ({"exp": 1e308}, 300.0),
    ({"iat": SENT.wall + 900}, 300.0),
    ({"exp": True}, 300.0),
]


@pytest.mark.parametrize(("claims", "life"), LIVES)
def test_a_life_is_what_the_token_tells_else_five_minutes(claims: dict[str, Any], life: float) -> None:
    token = jwt("Access", **{"iat": SENT.wall, "exp": SENT.wall + 300, **claims})
    assert lease(judge(ok(access_token=token))).valid_for == life


def test_a_token_that_is_no_jwt_lives_five_minutes() -> None:
    assert lease(judge(ok(access_token="opaque"))).valid_for == 300


def test_a_refresh_token_that_a_renewal_brings_is_told_and_the_old_one_stays() -> None:
    judged = judge(ok(access_token=ACCESS, refreshToken="another"))
    assert isinstance(judged, Answered)
    assert "refresh_token" in judged.notes
    assert "another" not in repr(judged)
    assert change(judged).grant is None


@pytest.mark.parametrize("data", [{"access_token": jwt("Access", uid=9)}, {"access_token": ACCESS, "uid": 9}])
def test_a_renewal_for_another_user_is_not_handed_out(data: dict[str, Any]) -> None:
    found = rejected(judge(ok(**data)))
    assert (found.code, found.remedy, found.dead) == ("wrong-identity", Remedy.PERSON, frozenset())


def test_the_user_is_the_one_of_the_configuration_where_it_names_one() -> None:
    terms = replace(TERMS, binding=replace(TERMS.binding, subject="9"))
    assert rejected(judge(ok(access_token=ACCESS), terms=terms)).code == "wrong-identity"
    assert lease(judge(ok(access_token=ACCESS), of=record(subject=None))).fields["uid"] == "8"


@pytest.mark.parametrize("token", [None, "", 7, [], "two words", "t\nk", "ü"])
def test_a_renewal_without_an_access_token_is_a_server_of_another_shape(token: object) -> None:
    found = rejected(judge(ok(access_token=token, uid=8, payload="")))
    assert (found.code, found.remedy) == ("incompatible-server", Remedy.PERSON)


def test_the_way_round_is_taken_only_where_it_is_allowed_and_there_is_a_payload() -> None:
    answer = ok(uid=8, payload="tenant-a")
    held = record(WITH_PAYLOAD)
    assert rejected(judge(answer, of=held)).code == "incompatible-server"
    assert rejected(judge(answer, terms=ALLOWED)).code == "incompatible-server"
    found = rejected(judge(answer, terms=ALLOWED, of=held))
    assert (found.code, found.remedy, found.dead) == ("no-access-token", Remedy.CLIMB, frozenset())
    kept = record("opaque", payload="tenant-a")
    assert rejected(judge(answer, terms=ALLOWED, of=kept)).remedy is Remedy.CLIMB


# -- what brings a refresh token --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["userID", "uid", "id"])
def test_a_login_founds_a_lineage_for_its_user(name: str) -> None:
    data = {**{key: value for key, value in LOGIN.items() if key != "userID"}, name: 8}
    judged = judge(ok(**data), "login", of=EMPTY, valid="604800")
    made = grant(judged)
    assert (made.lineage, made.binding) == ("candidate", Binding("geniusauth", "https://v.ncuos.com", APP, "8"))
    assert made.secrets == {"refresh_token": Secret(REFRESH)}
    assert (made.obtained, made.enrolled, made.valid_for, made.absolute_for) == (SENT, SENT, None, LIFE)
    assert lease(judged).fields["uid"] == "8"
    assert change(judged).withheld is None


def test_a_grant_belongs_to_what_the_login_was_sent_under() -> None:
    material: dict[str, Any] = {"origin": "https://v.then.example", "client_id": "then", "valid": "604800"}
    made = grant(judge(ok(**LOGIN), "login", of=EMPTY, **material))
    assert (made.binding.origin, made.binding.client_id) == ("https://v.then.example", "then")


@pytest.mark.parametrize(("valid", "life"), [("604800", 604_800), (None, 2_592_000), ("x", 2_592_000)])
def test_a_refresh_token_that_tells_no_end_lives_for_what_was_asked(valid: str | None, life: float) -> None:
    material: dict[str, Any] = {} if valid is None else {"valid": valid}
    made = grant(judge(ok(**{**LOGIN, "refreshToken": "opaque"}), "login", of=EMPTY, **material))
    assert made.absolute_for == life


@pytest.mark.parametrize("life", [40 * DAY, -1.0])
def test_an_end_that_is_not_believable_is_none(life: float) -> None:
    token = jwt(ends=SENT.wall + LIFE, life=life)
    assert grant(judge(ok(**{**LOGIN, "refreshToken": token}), "login", of=EMPTY)).absolute_for == LIFE


def test_the_payload_is_kept_beside_the_token_and_the_tokens_own_word_counts() -> None:
    opaque = grant(judge(ok(**{**LOGIN, "refreshToken": "opaque"}), "login", of=EMPTY, payload="asked"))
    assert opaque.secrets["payload"] == Secret("asked")
    told = grant(judge(ok(**{**LOGIN, "refreshToken": WITH_PAYLOAD}), "login", of=EMPTY, payload="asked"))
    assert told.secrets["payload"] == Secret("tenant-a")


@pytest.mark.parametrize("access", [None, "", 7])
def test_a_login_without_an_access_token_is_one_all_the_same(access: object) -> None:
    judged = judge(ok(**{**LOGIN, "accessToken": access}), "login", of=EMPTY)
    assert change(judged).lease is None
    assert grant(judged).secrets["refresh_token"] == Secret(REFRESH)
    assert isinstance(judged, Answered)
    assert judged.notes["access_token"] == "missing or unusable"


def test_a_login_without_a_refresh_token_leaves_nothing_to_renew_with() -> None:
    judged = judge(ok(**{**LOGIN, "refreshToken": ""}), "login", of=EMPTY, payload="asked")
    assert grant(judged).secrets == {}
    assert lease(judged).token == Secret(ACCESS)


OTHERS: list[dict[str, Any]] = [
    {"userID": 9},
    {"refreshToken": jwt(uid=9)},
    {"accessToken": jwt("Access", uid=9)},
    {"userID": 9, "refreshToken": jwt(uid=9), "accessToken": jwt("Access", uid=9)},
]


@pytest.mark.parametrize("over", OTHERS)
@pytest.mark.parametrize("rung", ["login", "payload", "patch"])
def test_an_answer_for_another_user_is_kept_and_withheld(over: dict[str, Any], rung: str) -> None:
    made = change(judge(ok(**{**LOGIN, **over}), rung, payload="p"))
    assert made.withheld == "the answer is for another user"
    assert made.grant is not None


def test_tokens_of_two_users_are_withheld_also_from_whoever_enrols_first() -> None:
    assert change(judge(ok(**{**LOGIN, "userID": 9}), "login", of=EMPTY)).withheld is not None


def test_a_changed_payload_founds_a_lineage_whose_end_is_the_old_one() -> None:
    judged = judge(ok(refreshToken=WITH_PAYLOAD, accessToken=ACCESS), "payload", payload="tenant-a")
    made = grant(judged)
    assert made.lineage == "candidate"
    assert made.secrets == {"refresh_token": Secret(WITH_PAYLOAD), "payload": Secret("tenant-a")}
    assert (made.obtained, made.enrolled, made.absolute_for) == (SENT, ENROLLED, 40 * DAY)
    assert lease(judged).valid_for == 300


def test_an_end_that_has_come_nearer_counts_from_now() -> None:
    nearer = jwt(ends=SENT.wall + 3 * DAY, life=LIFE, payload="p")
    made = grant(judge(ok(refreshToken=nearer), "payload", payload="p"))
    assert (made.enrolled, made.absolute_for) == (SENT, 3 * DAY)


def test_the_way_round_keeps_the_lineage() -> None:
    held = record(WITH_PAYLOAD, payload="tenant-a")
    newer = jwt(payload="tenant-a", jti="2")
    made = grant(judge(ok(refreshToken=newer, accessToken=ACCESS), "patch", of=held))
    assert (made.lineage, made.enrolled, made.absolute_for) == ("line", ENROLLED, 40 * DAY)
    assert made.secrets == {"refresh_token": Secret(newer), "payload": Secret("tenant-a")}


@pytest.mark.parametrize(("rung", "payload"), [("patch", "tenant-a"), ("payload", "tenant-b")])
def test_a_change_keeps_what_else_the_grant_holds(rung: str, payload: str) -> None:
    held = record(WITH_PAYLOAD, payload="tenant-a", note="n-1")
    made = grant(judge(ok(refreshToken=jwt(payload=payload, jti="2"), accessToken=ACCESS), rung, of=held))
    assert (made.secrets["note"], made.secrets["payload"]) == (Secret("n-1"), Secret(payload))


def test_the_way_round_without_a_new_refresh_token_keeps_the_old_one() -> None:
    judged = judge(ok(accessToken=ACCESS), "patch", of=record(WITH_PAYLOAD))
    assert change(judged).grant is None
    assert lease(judged).token == Secret(ACCESS)


def test_the_way_round_that_brings_nothing_leads_to_a_person() -> None:
    assert rejected(judge(ok(uid=8), "patch", of=record(WITH_PAYLOAD))).code == "incompatible-server"


def test_a_change_that_brings_no_refresh_token_acts_as_a_lost_answer() -> None:
    assert isinstance(judge(ok(accessToken=ACCESS), "payload", payload="p"), Unreadable)


SPOILED: list[tuple[object, int]] = [(31, 403), (8, 500), (77, 418), (0, 500), (None, 200), ([], 200)]


@pytest.mark.parametrize(("code", "status"), SPOILED)
@pytest.mark.parametrize("rung", ["login", "payload", "patch"])
def test_a_new_refresh_token_is_kept_whatever_is_wrong_with_the_rest(rung: str, code: object, status: int) -> None:
    new = jwt(id=7002)
    judged = judge(reply({"code": code, "data": {**LOGIN, "refreshToken": new}}, status), rung, payload="p")
    assert grant(judged).secrets["refresh_token"] == Secret(new)
    assert change(judged).lease is None


@pytest.mark.parametrize("rung", ["login", "payload", "patch"])
def test_a_new_refresh_token_is_kept_of_a_reply_that_broke_off(rung: str) -> None:
    new = jwt(id=7002)
    whole = json.dumps({"code": 0, "data": {"refreshToken": new, "accessToken": ACCESS}}).encode()
    judged = judge(reply(whole[:-5], complete=False), rung, payload="p")
    assert grant(judged).secrets["refresh_token"] == Secret(new)


def test_what_was_sent_and_comes_back_with_a_refusal_is_no_successor() -> None:
    echo = reply({"code": 31, "data": {"refreshToken": REFRESH}}, 403)
    assert isinstance(judge(echo, "payload", payload="p"), Rejected)
    login = reply({"code": 6, "data": {"refresh_token": "login.tok.en"}}, 401)
    assert isinstance(judge(login, "login", of=EMPTY, code="login.tok.en"), Rejected)


# -- what is no answer of the service ---------------------------------------------------------------------------------

FOREIGN = [
    reply(b"<html>c4nary</html>", 502),
    reply(b"", 200),
    reply(b"[]", 200),
    reply(b'{"code": 0', 200, complete=False),
    reply(b"", 307, {"Location": "https://elsewhere.example/"}),
    reply({"code": 0, "data": {"access_token": ACCESS}}, 503),
    reply({"code": 0}, 302),
    reply({"message": "c4nary"}, 502),
]


@pytest.mark.parametrize("answer", FOREIGN)
@pytest.mark.parametrize("rung", ["refresh", "login", "payload", "patch"])
def test_what_the_service_did_not_say_acts_as_a_lost_answer(answer: Reply, rung: str) -> None:
    judged = judge(answer, rung, payload="p")
    assert isinstance(judged, Unreadable)
    assert "c4nary" not in repr(judged)


@pytest.mark.parametrize("status", [200, 403])
def test_json_without_a_code_is_not_this_service_and_is_told(status: int) -> None:
    found = rejected(judge(reply({"data": {"access_token": ACCESS}}, status)))
    assert (found.code, found.remedy, found.known, found.dead) == ("no-code", Remedy.WAIT, False, frozenset())
    assert isinstance(judge(reply({"data": {}}, status), "login", of=EMPTY), Unreadable)


# -- anything at all --------------------------------------------------------------------------------------------------

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)
TOKENS = st.sampled_from([REFRESH, ACCESS, WITH_PAYLOAD, "opaque", "a.b.c", jwt(exp=10**40), jwt(uid=[], id={})])
DATA = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("access_token", "accessToken", "refreshToken", "refresh_token"), TOKENS | JUNK),
        **dict.fromkeys(("userID", "uid", "id", "payload"), JUNK),
    },
)
BODIES = st.binary() | st.fixed_dictionaries(
    {}, optional={"code": st.integers(-1, 40) | JUNK, "data": DATA | JUNK, "msg": JUNK}
).map(lambda found: json.dumps(found).encode(errors="surrogatepass"))
HEADERS = st.lists(st.tuples(st.sampled_from(["Date", "Retry-After", "Content-Encoding"]), st.text()), max_size=2)


@given(
    rung=st.sampled_from(["refresh", "patch", "login", "payload"]),
    body=BODIES,
    status=st.integers(100, 599),
    headers=HEADERS,
    whole=st.booleans(),
    of=st.sampled_from([RECORD, EMPTY, record("opaque", payload="p"), record(jwt(exp="x"), subject=None)]),
    terms=st.sampled_from([TERMS, ALLOWED]),
)
@example("login", b'{"code":0,"data":{"refreshToken":"x"', 200, [], False, EMPTY, TERMS)
@example("refresh", b'{"code":1e400}', 400, [], True, RECORD, TERMS)
def test_no_reply_is_too_odd(
    rung: str, body: bytes, status: int, headers: list[tuple[str, str]], whole: bool, of: Record, terms: Terms
) -> None:
    judged = judge(Reply(status, tuple(headers), body, whole), rung, terms, of, payload="p", valid="604800")
    assert isinstance(judged, Answered | Rejected | Unreadable)
    if isinstance(judged, Answered):
        [made] = judged.changes
        assert rung != "refresh" or (made.grant is None and made.lease is not None)
        assert made.lease is None or made.lease.valid_for > 0
        assert made.drop == frozenset()
    if isinstance(judged, Rejected):
        assert judged.drop == frozenset()
        assert judged.dead is not None

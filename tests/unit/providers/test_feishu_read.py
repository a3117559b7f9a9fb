"""What every answer of the token endpoints comes to, and that no new refresh token is ever lost."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freshd.core.contract import Contract, Omitted
from freshd.core.model import Binding, Grant, Lease, Record, Secret
from freshd.core.outcome import Answered, Rejected, Reply, Unreadable
from freshd.providers.feishu.case import Terms
from tests.unit.providers.feishu_parts import BINDING, LEASE, LOG_ID, OLD, PRESENTED, RECORD, TERMS, judge
from tests.unit.providers.judged import change, grant, lease
from tests.unit.providers.parts import SENT, reply

GOOD: dict[str, Any] = {
    "code": 0,
    "access_token": "u-AT-0002",
    "expires_in": 7200,
    "refresh_token": "ur-RT-0002",
    "refresh_token_expires_in": 604800,
    "token_type": "Bearer",
    "scope": "auth:user.id:read offline_access",
}
V1: dict[str, Any] = {
    "access_token": "u-AT-0002",
    "token_type": "Bearer",
    "expires_in": 7199,
    "refresh_token": "ur-V1-0002",
    "refresh_expires_in": 2591999,
    "scope": "auth:user.id:read",
}


def without(answer: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in names}


@pytest.mark.parametrize("code", [0, "0", 0.0, None, "absent"])
def test_a_success_renews_the_grant_and_yields_a_lease(code: object) -> None:
    judged = judge(reply(without(GOOD, "code") if code == "absent" else {**GOOD, "code": code}))
    fields = {"token_type": "Bearer", "scope": "auth:user.id:read offline_access"}
    assert lease(judged) == Lease("a", 4, Secret("u-AT-0002"), SENT, 7200.0, fields)
    secrets = {**OLD.secrets, "refresh_token": Secret("ur-RT-0002")}
    assert grant(judged) == replace(OLD, secrets=secrets, obtained=SENT)
    assert isinstance(judged, Answered)
    assert judged.notes == {}


def test_the_older_generation_wraps_its_answer_and_renews_its_own_secret() -> None:
    judged = judge(reply({"code": 0, "msg": "ok", "data": V1}), "refresh-v1")
    assert lease(judged).valid_for == 7199
    secrets = {**OLD.secrets, "refresh_token_v1": Secret("ur-V1-0002")}
    assert grant(judged) == replace(OLD, secrets=secrets, obtained=SENT, valid_for=2591999.0)


@pytest.mark.parametrize("rung", ["authorize", "device"])
def test_an_enrolment_founds_a_lineage_and_leaves_the_older_generation_behind(rung: str) -> None:
    judged = judge(reply(GOOD), rung, origin="https://open.then.example", client_id="cli_then")
    assert grant(judged) == Grant(
        "candidate",
        Binding("feishu", "https://open.then.example", "cli_then"),
        {"refresh_token": Secret("ur-RT-0002")},
        SENT,
        SENT,
        604_800.0,
        31_536_000.0,
    )


def test_the_year_is_counted_from_the_enrolment_and_the_week_from_each_renewal() -> None:
    renewed = grant(judge(reply({**GOOD, "refresh_token_expires_in": 1000})))
    assert (renewed.enrolled, renewed.absolute_for) == (OLD.enrolled, OLD.absolute_for)
    assert (renewed.obtained, renewed.valid_for) == (SENT, 1000.0)


@pytest.mark.parametrize("stated", [None, 0, -5, "soon", "nan", [], True])
def test_a_life_of_the_grant_that_is_not_believable_is_left_to_the_contract(stated: object) -> None:
    assert grant(judge(reply({**GOOD, "refresh_token_expires_in": stated}))).valid_for is None


LIVES = [(7200, 7200.0), ("7200", 7200.0), (None, 7200.0), (0, 300.0), (-1, 300.0), ("x", 300.0), (1e300, 7200.0)]


@pytest.mark.parametrize(("stated", "life"), LIVES)
def test_a_life_of_the_lease_is_never_too_long(stated: object, life: float) -> None:
    assert lease(judge(reply({**GOOD, "expires_in": stated}))).valid_for == life


@pytest.mark.parametrize("token", [None, "", "absent", 7, [], "u AT", "u-ÄT", "u\nAT"])
def test_a_successor_is_kept_without_a_usable_access_token(token: object) -> None:
    judged = judge(reply(without(GOOD, "access_token") if token == "absent" else {**GOOD, "access_token": token}))
    assert change(judged).lease is None
    assert grant(judged).secrets["refresh_token"] == Secret("ur-RT-0002")
    assert isinstance(judged, Answered)
    assert judged.notes["access_token"] == "missing or unusable"


SPOILED: list[tuple[dict[str, Any], int]] = [
    ({"code": 20050}, 500),
    ({"code": 20064, "error": "invalid_grant"}, 400),
    ({"code": 99991400}, 429),
    ({"code": 31337}, 200),
    ({"code": []}, 200),
    ({"error": "invalid_grant", "code": None}, 200),
    ({}, 502),
]


@pytest.mark.parametrize(("more", "status"), SPOILED)
@pytest.mark.parametrize("rung", ["refresh", "refresh-v1", "authorize"])
def test_a_successor_in_a_refusal_is_kept_and_nothing_is_published(
    more: dict[str, Any], status: int, rung: str
) -> None:
    judged = judge(reply({**GOOD, **more}, status), rung)
    assert change(judged).lease is None
    assert grant(judged).secrets[PRESENTED.get(rung, "refresh_token")] == Secret("ur-RT-0002")


@pytest.mark.parametrize("rung", ["refresh", "refresh-v1"])
def test_the_token_presented_is_no_successor_where_it_is_echoed_in_a_refusal(rung: str) -> None:
    held = OLD.secrets[PRESENTED[rung]].reveal()
    judged = judge(reply({"code": 20037, "refresh_token": held}, 400), rung)
    assert isinstance(judged, Rejected)
    assert judged.dead == frozenset({PRESENTED[rung]})


def test_a_success_that_returns_the_token_presented_is_taken_at_its_word_and_noted() -> None:
    judged = judge(reply({**GOOD, "refresh_token": "ur-RT-0001"}))
    assert grant(judged).secrets["refresh_token"] == Secret("ur-RT-0001")
    assert isinstance(judged, Answered)
    assert judged.notes == {"refresh_token": "the one that was presented"}


NOTHING: list[object] = ["absent", None, ""]
ODD: list[object] = [[], {}, True, 1.5]
OMITTED = [*((given, "omitted") for given in NOTHING), *((given, "unusable") for given in ODD)]


@pytest.mark.parametrize(("given", "noted"), OMITTED)
@pytest.mark.parametrize("rung", ["refresh", "refresh-v1"])
def test_a_success_without_a_successor_ends_the_old_secret_and_yields_the_lease(
    given: object, noted: str, rung: str
) -> None:
    body = without(GOOD, "refresh_token") if given == "absent" else {**GOOD, "refresh_token": given}
    judged = judge(reply(body), rung)
    assert change(judged).drop == {PRESENTED[rung]}
    assert change(judged).grant is None
    assert lease(judged).token == Secret("u-AT-0002")
    assert isinstance(judged, Answered)
    assert judged.notes == {"refresh_token": noted}


def test_a_contract_that_says_so_keeps_it() -> None:
    terms = replace(TERMS, contract=Contract(omitted=Omitted.KEEP))
    judged = judge(reply(without(GOOD, "refresh_token")), terms=terms)
    assert grant(judged).secrets == OLD.secrets
    assert not change(judged).drop


def test_an_enrolment_without_a_refresh_token_yields_what_there_is() -> None:
    judged = judge(reply(without(GOOD, "refresh_token")), "authorize")
    assert grant(judged).secrets == {}
    assert lease(judged).token == Secret("u-AT-0002")


def test_a_successor_in_digits_is_one() -> None:
    assert grant(judge(reply({**GOOD, "refresh_token": 12345678}))).secrets["refresh_token"] == Secret("12345678")


NARROWED = [
    ("auth:user.id:read", "lacks offline_access"),
    ("x", "lacks auth:user.id:read offline_access"),
    ("offline_access auth:user.id:read im:chat", None),
    ("", None),
    (None, None),
    (7, None),
]


@pytest.mark.parametrize(("scope", "noted"), NARROWED)
@pytest.mark.parametrize("rung", ["refresh", "authorize"])
def test_scopes_that_were_not_granted_are_noted(scope: object, noted: str | None, rung: str) -> None:
    judged = judge(reply({**GOOD, "scope": scope}), rung)
    assert isinstance(judged, Answered)
    assert judged.notes.get("scope") == noted
    assert grant(judged).secrets["refresh_token"] == Secret("ur-RT-0002")


def test_the_same_scopes_as_before_are_not_noted_again() -> None:
    known = replace(RECORD, lease=replace(LEASE, fields={"scope": "im:chat"}))
    judged = judge(reply({**GOOD, "scope": "im:chat"}), record=known)
    assert isinstance(judged, Answered)
    assert judged.notes == {}


@pytest.mark.parametrize("kind", ["mac", "", 7, []])
def test_a_token_of_another_type_is_not_published(kind: object) -> None:
    judged = judge(reply({**GOOD, "token_type": kind}))
    assert change(judged).lease is None
    assert grant(judged).secrets["refresh_token"] == Secret("ur-RT-0002")


@pytest.mark.parametrize("kind", ["bearer", "BEARER", None])
def test_a_token_type_in_any_case_or_none_will_do(kind: object) -> None:
    assert lease(judge(reply({**GOOD, "token_type": kind}))).fields["token_type"] == "Bearer"


def test_the_request_id_stands_beside_what_is_odd_and_nowhere_else() -> None:
    header = {"X-Tt-Logid": LOG_ID}
    fine, odd = judge(reply(GOOD, headers=header)), judge(reply({**GOOD, "expires_in": -1}, headers=header))
    assert isinstance(fine, Answered)
    assert isinstance(odd, Answered)
    assert fine.notes == {}
    assert odd.notes == {"expires_in": "unbelievable", "log id": LOG_ID}


UNREADABLE = [
    (b"", 200, "an empty body (status 200)"),
    (b"<html>", 502, "not a JSON object (status 502)"),
    (b"<html>", 200, "not a JSON object (status 200)"),
    (b"[]", 200, "JSON, but no object (status 200)"),
    ({}, 200, "JSON with neither token nor error (status 200)"),
    ({"code": 0}, 200, "JSON with neither token nor error (status 200)"),
    ({"code": 0, "msg": "ok", "data": {}}, 200, "JSON with neither token nor error (status 200)"),
    ({"code": 0, "access_token": "", "refresh_token": ""}, 200, "JSON with neither token nor error (status 200)"),
    ({"code": 0}, 400, "JSON with neither token nor error (status 400)"),
    ({"msg": "gateway"}, 503, "JSON with neither token nor error (status 503)"),
]


@pytest.mark.parametrize(("body", "status", "reason"), UNREADABLE)
@pytest.mark.parametrize("rung", ["refresh", "refresh-v1"])
def test_what_is_not_the_services_own_word_acts_as_a_lost_answer(
    body: object, status: int, reason: str, rung: str
) -> None:
    judged = judge(reply(body, status), rung)
    assert judged == Unreadable(reason, gateway=status >= 300)


@pytest.mark.parametrize("cut", range(1, 30, 4))
@pytest.mark.parametrize("rung", ["refresh", "refresh-v1"])
def test_a_successor_that_arrived_whole_is_kept_though_the_rest_did_not(cut: int, rung: str) -> None:
    given = {"refresh_token": "ur-RT-0002", "filler": "x" * 40, "access_token": "u-AT-0002"}
    body = json.dumps({"code": 0, "data": given} if rung == "refresh-v1" else {"code": 0, **given}).encode()
    judged = judge(reply(body[:-cut], complete=False), rung)
    assert grant(judged).secrets[PRESENTED[rung]] == Secret("ur-RT-0002")
    assert change(judged).lease is None


def test_a_token_that_broke_off_is_none() -> None:
    judged = judge(reply(b'{"code": 0, "data": {"refresh_token": "ur-RT-00', complete=False), "refresh-v1")
    assert isinstance(judged, Unreadable)


KNOWN = replace(RECORD, grant=replace(OLD, binding=replace(BINDING, subject="ou_alice")))


def test_an_answer_that_names_another_user_is_kept_and_withheld() -> None:
    judged = judge(reply({"code": 0, "data": {**V1, "open_id": "ou_bob"}}), "refresh-v1", record=KNOWN)
    assert change(judged).withheld == "the answer is for another user"
    assert grant(judged).secrets["refresh_token_v1"] == Secret("ur-V1-0002")
    assert grant(judged).binding.subject == "ou_bob"


@pytest.mark.parametrize("more", [{}, {"open_id": "ou_alice"}, {"open_id": 7}])
def test_an_answer_that_names_nobody_or_us_is_published(more: dict[str, Any]) -> None:
    judged = judge(reply({**GOOD, **more}), record=KNOWN)
    assert change(judged).withheld is None
    assert grant(judged).binding.subject == "ou_alice"


def test_a_configured_subject_outranks_the_one_on_record() -> None:
    terms = Terms(replace(BINDING, subject="ou_bob"), TERMS.contract)
    assert change(judge(reply({**GOOD, "open_id": "ou_bob"}), terms=terms, record=KNOWN)).withheld is None
    assert change(judge(reply({**GOOD, "open_id": "ou_alice"}), terms=terms, record=KNOWN)).withheld


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["code", "msg", "access_token", "token_type", "expires_in", "scope", "error", "open_id", "challenge_url",
     "refresh_token_expires_in", "refresh_expires_in"]
)  # fmt: skip
CODES = st.sampled_from([0, "0", 20026, "20037", 20050, 20064, 20074, 21000, 99991400, 7])
STATUSES = st.integers(0, 599)
RUNGS = st.sampled_from(["refresh", "refresh-v1", "authorize", "device"])
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["Retry-After", "x-ogw-ratelimit-reset", "X-Tt-Logid", "Date", "Content-Encoding"]),
        st.text(max_size=30),
    ),
    max_size=3,
).map(tuple)
Headers = tuple[tuple[str, str], ...]


@given(st.binary(max_size=300), STATUSES, HEADERS, RUNGS, st.booleans())
@example(b'{"refresh_token":"\\ud800"}', 200, (), "refresh", False)
@example(b'"data"{"refresh_token":"x"', 200, (), "refresh-v1", False)
def test_no_bytes_make_it_raise(body: bytes, status: int, headers: Headers, rung: str, complete: bool) -> None:
    judge(Reply(status, headers, body, complete), rung)


@given(JSON, STATUSES, HEADERS, RUNGS, st.booleans())
def test_no_json_makes_it_raise(body: object, status: int, headers: Headers, rung: str, complete: bool) -> None:
    judge(Reply(status, headers, json.dumps(body).encode(), complete), rung)


@given(
    st.dictionaries(NAMES, JSON, max_size=6),
    CODES | JSON,
    JSON | st.dictionaries(NAMES, JSON),
    STATUSES,
    HEADERS,
    RUNGS,
)
def test_no_answer_that_looks_like_one_makes_it_raise(
    more: dict[str, Any], code: object, data: object, status: int, headers: Headers, rung: str
) -> None:
    judge(Reply(status, headers, json.dumps({**more, "code": code, "data": data}).encode()), rung)


@given(
    st.text(min_size=1).filter(lambda token: token not in ("ur-RT-0001", "ur-V1-0001")),
    st.dictionaries(NAMES | st.text(max_size=4), JSON, max_size=6),
    STATUSES,
    st.booleans(),
    RUNGS,
    st.booleans(),
)
def test_a_usable_refresh_token_is_never_lost(
    token: str, more: dict[str, Any], status: int, complete: bool, rung: str, is_wrapped: bool
) -> None:
    body = {**more, "data": {"refresh_token": token}} if is_wrapped else {**more, "refresh_token": token}
    judged = judge(Reply(status, (), json.dumps(body).encode(), complete), rung, record=KNOWN)
    assert grant(judged).secrets[PRESENTED.get(rung, "refresh_token")] == Secret(token)
    assert (grant(judged).lineage == "line") == (rung in PRESENTED)


@given(st.dictionaries(NAMES, JSON, max_size=6), STATUSES, RUNGS)
def test_a_lease_is_finite_and_fits_a_header(more: dict[str, Any], status: int, rung: str) -> None:
    judged = judge(reply({**GOOD, **more}, status), rung)
    if isinstance(judged, Answered) and (made := judged.changes[0].lease) is not None:
        assert status in range(200, 300)
        assert 0 < made.valid_for < 1e9
        assert made.token.reveal().isascii()


@given(JSON, STATUSES, HEADERS, RUNGS)
def test_only_a_code_of_the_service_kills_a_secret(body: object, status: int, headers: Headers, rung: str) -> None:
    judged = judge(Reply(status, headers, json.dumps(body).encode()), rung, record=Record("a", 3, OLD))
    assert not (isinstance(judged, Rejected) and judged.dead)

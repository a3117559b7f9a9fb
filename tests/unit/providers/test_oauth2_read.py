"""The reading table of the token endpoint: what every reply comes to, and that no new refresh token is ever lost."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freshd.core.contract import Contract, Omitted
from freshd.core.model import Binding, Grant, Intent, Lease, Moment, Record, Secret
from freshd.core.outcome import Answered, Judged, Rejected, Remedy, Reply, Unreadable
from freshd.providers.oauth2.case import Terms
from freshd.providers.oauth2.read import read
from freshd.providers.oauth2.refusal import REMEDIES
from tests.unit.providers.judged import change, grant, lease

SENT = Moment(1_800_000_000.0, 50.0, "boot")
EARLIER = Moment(1_700_000_000.0, 1.0, "earlier")
BINDING = Binding("oauth2", "https://id.example", "freshd")
OLD = Grant(
    "line",
    BINDING,
    {"refresh_token": Secret("old-token"), "extra": Secret("kept")},
    EARLIER,
    EARLIER,
    valid_for=1000.0,
    absolute_for=9000.0,
)
RECORD = Record("a", 3, OLD)
GOOD: dict[str, Any] = {
    "access_token": "at",
    "token_type": "Bearer",
    "expires_in": 60,
    "refresh_token": "new-token",
}


def intent(rung: str = "refresh", **material: str) -> Intent:
    lineage = "line" if rung == "refresh" else None
    return Intent(
        "flight", "a", rung, lineage, 3, SENT, {k: Secret(v) for k, v in material.items()}, candidate="candidate"
    )


def reply(body: object, status: int = 200, *, complete: bool = True, **headers: str) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, tuple((k.replace("_", "-"), v) for k, v in headers.items()), content, complete)


def judge(
    answer: Reply, rung: str = "refresh", terms: Terms | None = None, record: Record = RECORD, **material: str
) -> Judged:
    return read(rung, record, intent(rung, **material), answer, terms or Terms(BINDING))


def test_a_good_answer_renews_the_grant_and_yields_a_lease() -> None:
    judged = judge(reply({**GOOD, "scope": "a b", "junk": {"x": 1}}))
    assert lease(judged) == Lease("a", 4, Secret("at"), SENT, 60.0, {"token_type": "Bearer", "scope": "a b"})
    secrets = {"refresh_token": Secret("new-token"), "extra": Secret("kept")}
    assert grant(judged) == replace(OLD, secrets=secrets, obtained=SENT, valid_for=None)


ERRORS = [(code, remedy) for code, remedy in REMEDIES.items() if remedy is not Remedy.WAIT or code == "server_error"]


@pytest.mark.parametrize(("code", "remedy"), ERRORS)
@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
def test_a_known_code_has_its_remedy_whatever_the_status(code: str, remedy: Remedy, status: int) -> None:
    assert judge(reply({"error": code}, status)) == Rejected(code, remedy)
    assert judge(reply({"error": code.upper()}, status)) == Rejected(code.upper(), remedy)


@pytest.mark.parametrize(
    ("rung", "remedy"),
    [("refresh", Remedy.CLIMB), ("issue", Remedy.CONFIG), ("authorize", Remedy.PERSON), ("device", Remedy.PERSON)],
)
def test_an_invalid_grant_calls_for_what_lies_below_the_rung(rung: str, remedy: Remedy) -> None:
    assert judge(reply({"error": "invalid_grant"}, 400), rung) == Rejected("invalid_grant", remedy)


def test_an_account_may_add_codes_of_its_service() -> None:
    terms = Terms(BINDING, remedies={"bad_refresh_token": Remedy.CLIMB, "invalid_grant": Remedy.WAIT})
    assert judge(reply({"error": "bad_refresh_token"}), terms=terms) == Rejected("bad_refresh_token", Remedy.CLIMB)
    assert judge(reply({"error": "invalid_grant"}, 400), terms=terms) == Rejected("invalid_grant", Remedy.WAIT)


@pytest.mark.parametrize("code", ["no_such_code", "17", 17, -3])
def test_an_unknown_code_keeps_everything(code: object) -> None:
    judged = judge(reply({"error": code}, 400))
    assert isinstance(judged, Rejected)
    assert (judged.code, judged.remedy, judged.known, judged.drop) == (str(code), Remedy.WAIT, False, frozenset())


@pytest.mark.parametrize("code", ["old-token", "x old-token", "<b>", "x" * 60, "\x1b[31m", "ünknown", "verif-ier"])
def test_a_code_that_may_be_more_than_a_code_is_not_shown(code: str) -> None:
    judged = judge(reply({"error": code, code: 1}, 400), code_verifier="verif-ier")
    assert isinstance(judged, Rejected)
    assert code not in repr(judged)


@pytest.mark.parametrize("body", [b"", b"Slow down", b"<html>", {"error": "invalid_grant"}, {}])
@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"Retry_After": "120"}, 120.0),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "-5"}, None),
        ({"Retry_After": "9" * 400}, 999_999_999.0),
        ({"Retry_After": "Fri, 31 Dec 1999 23:59:59 GMT", "Date": "Fri, 31 Dec 1999 23:58:59 GMT"}, 60.0),
        ({"Retry_After": "Fri, 31 Dec 1999 23:59:59 GMT", "Date": "Sat, 01 Jan 2000 23:58:59 GMT"}, 0.0),
        ({"Retry_After": "Fri, 31 Dec 1999 23:59:59 GMT"}, None),
    ],
)
def test_429_means_wait_whoever_says_it(body: object, headers: dict[str, str], wait: float | None) -> None:
    judged = judge(Reply(429, tuple((k.replace("_", "-"), v) for k, v in headers.items()), reply(body).body))
    assert isinstance(judged, Rejected)
    assert (judged.remedy, judged.retry_after, judged.known) == (Remedy.WAIT, wait, True)


@pytest.mark.parametrize(
    ("code", "interval", "wait"),
    [("authorization_pending", "7", 7.0), ("slow_down", "7", 12.0), ("slow_down", "x", 10.0)],
)
def test_a_device_waits_its_interval(code: str, interval: str, wait: float) -> None:
    assert judge(reply({"error": code}, 400), "device", interval=interval) == Rejected(code, Remedy.WAIT, wait)


FOREIGN: list[tuple[Reply, bool]] = [
    (reply(b"<html>"), False),
    (reply(b""), False),
    (reply(b"  \n"), False),
    (reply(b"[]"), False),
    (reply(b'"text"'), False),
    (reply(b"{"), False),
    (reply({}), False),
    (reply({"access_token": ""}), False),
    (reply({"error": {"code": 400, "message": "x"}}, 400), True),
    (reply({"error": True}, 400), True),
    (reply({"error": "Internal Server Error", "status": 500}, 500), True),
    (reply(b"<html>", 502), True),
    (reply(b"", 307, Location="https://evil.example"), True),
    (reply(b"<html>", 407), True),
    (reply(b"\xff\xfe\x00"), False),
    (reply(b"[" * 60_000), False),
    (reply(b'{"expires_in":' + b"9" * 6000 + b"}"), False),
    (reply(b"x", complete=False), False),
    (reply(b"", 502, complete=False), False),
    (reply(b'{"access_token":"at",', complete=False), False),
    (reply(b"\x1f\x8b rubbish", Content_Encoding="gzip"), False),
    (reply(GOOD, Content_Encoding="br"), False),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "gateway"), FOREIGN)
def test_what_is_not_the_services_own_word_is_unreadable(answer: Reply, gateway: bool) -> None:
    judged = judge(answer)
    assert isinstance(judged, Unreadable)
    assert judged.gateway is gateway


def test_a_gateway_may_ask_for_patience() -> None:
    judged = judge(reply(b"<html>", 503, Retry_After="30"))
    assert isinstance(judged, Unreadable)
    assert (judged.gateway, judged.retry_after) == (True, 30.0)


@pytest.mark.parametrize("cut", range(len(json.dumps(GOOD))))
def test_a_cut_answer_yields_the_successor_as_soon_as_it_is_whole(cut: int) -> None:
    body = json.dumps(GOOD).encode()[:cut]
    judged = judge(reply(body, complete=False))
    if b'"new-token"' in body:
        assert grant(judged).secrets["refresh_token"] == Secret("new-token")
        assert change(judged).lease is None
    else:
        assert isinstance(judged, Unreadable)


def test_a_cut_number_is_not_believed() -> None:
    assert isinstance(judge(reply(b'{"refresh_token": 12', complete=False)), Unreadable)
    judged = judge(reply(b'{"refresh_token": 12, "acc', complete=False))
    assert grant(judged).secrets["refresh_token"] == Secret("12")


def test_a_whole_object_in_a_cut_body_counts_in_full() -> None:
    judged = judge(reply(json.dumps(GOOD).encode() + b"   ", complete=False))
    assert lease(judged).valid_for == 60


@pytest.mark.parametrize("kind", ["bearer", "BEARER", "bEaReR", " Bearer ", None])
def test_bearer_is_read_in_any_case(kind: str | None) -> None:
    assert lease(judge(reply({**GOOD, "token_type": kind}))).fields["token_type"] == "Bearer"


@pytest.mark.parametrize("kind", ["DPoP", "mac", "", 7, []])
def test_another_token_type_is_not_published_but_its_grant_is_kept(kind: object) -> None:
    judged = judge(reply({**GOOD, "token_type": kind}))
    assert change(judged).lease is None
    assert grant(judged).secrets["refresh_token"] == Secret("new-token")
    alone = judge(reply({"access_token": "at", "token_type": kind}))
    assert isinstance(alone, Rejected)
    assert alone.remedy is Remedy.CONFIG


def jwt(claims: object) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


DATE = "Fri, 15 Jan 2027 08:00:00 GMT"
"""1 800 000 000 in seconds."""
LIVES: list[tuple[object, object, float]] = [
    (60, None, 60.0),
    (60.5, None, 60.5),
    ("60", None, 60.0),
    (" 60 ", None, 60.0),
    ("6e1", None, 60.0),
    (None, None, 3600.0),
    (0, None, 300.0),
    (-1, None, 300.0),
    ("soon", None, 300.0),
    ([], None, 300.0),
    (True, None, 300.0),
    (float("nan"), None, 300.0),
    (float("-inf"), None, 300.0),
    (float("inf"), None, 3600.0),
    (1e30, None, 3600.0),
    (10**400, None, 300.0),
    (900, {"iat": 10, "exp": 610}, 600.0),
    (100, {"iat": 10, "exp": 610}, 100.0),
    (None, {"iat": 10, "exp": 610}, 600.0),
    (-1, {"iat": 10, "exp": 610}, 600.0),
    (None, {"iat": 1_800_000_000 - 100, "exp": 1_800_000_000 + 500}, 500.0),
    (None, {"iat": 610, "exp": 10}, 3600.0),
    (None, {"iat": "x", "exp": {}}, 3600.0),
    (None, [], 3600.0),
]


@pytest.mark.parametrize(("stated", "claims", "life"), LIVES)
def test_a_life_is_never_longer_than_anybody_promised(stated: object, claims: object, life: float) -> None:
    token = "at" if claims is None else jwt(claims)
    judged = judge(reply({**GOOD, "access_token": token, "expires_in": stated}, Date=DATE))
    assert lease(judged).valid_for == life
    assert grant(judged).secrets["refresh_token"] == Secret("new-token")


def test_an_unbelievable_life_never_lengthens_the_contracts() -> None:
    judged = judge(reply({**GOOD, "expires_in": 0}), terms=Terms(BINDING, Contract(lease_life=20.0)))
    assert lease(judged).valid_for == 20


@pytest.mark.parametrize("name", ["refresh_expires_in", "refresh_token_expires_in", "x_refresh_token_expires_in"])
@pytest.mark.parametrize(
    ("stated", "life"), [(90, 90.0), ("90", 90.0), (0, None), (-1, None), (1e30, None), ("x", None)]
)
def test_a_life_of_the_refresh_token_is_kept_under_any_of_its_names(
    name: str, stated: object, life: float | None
) -> None:
    assert grant(judge(reply({**GOOD, name: stated}))).valid_for == life


OMITTED: list[object] = ["", None]
UNUSABLE: list[object] = [[], {}, True, 1.5, "\ud800"]


@pytest.mark.parametrize("absent", OMITTED + UNUSABLE)
def test_without_a_successor_the_grant_is_kept_with_its_life(absent: object) -> None:
    judged = judge(reply({**GOOD, "refresh_token": absent}))
    assert lease(judged).token == Secret("at")
    assert grant(judged) == OLD


def test_a_kept_grant_counts_anew_where_no_life_was_stated_for_it() -> None:
    record = Record("a", 3, replace(OLD, valid_for=None))
    judged = judge(reply({"access_token": "at"}), record=record)
    assert grant(judged).obtained == SENT
    stated = judge(reply({"access_token": "at", "refresh_expires_in": 77}))
    assert (grant(stated).obtained, grant(stated).valid_for) == (SENT, 77.0)


def test_an_omitted_successor_ends_the_grant_where_the_contract_says_so() -> None:
    terms = Terms(BINDING, Contract(omitted=Omitted.DEAD))
    judged = judge(reply({"access_token": "at"}), terms=terms)
    assert (change(judged).grant, change(judged).drop) == (None, frozenset({"refresh_token"}))
    for unusable in UNUSABLE:
        assert not change(judge(reply({**GOOD, "refresh_token": unusable}), terms=terms)).drop


@pytest.mark.parametrize("token", [None, "", 5, [], "a b", "a\nb", "ä", "\ud800"])
def test_a_bad_access_token_yields_no_lease_and_loses_no_grant(token: object) -> None:
    judged = judge(reply({**GOOD, "access_token": token}))
    assert change(judged).lease is None
    assert grant(judged).secrets["refresh_token"] == Secret("new-token")


@pytest.mark.parametrize("status", [300, 400, 401, 429, 500, 503])
def test_a_successor_counts_with_every_status_but_an_echo_does_not(status: int) -> None:
    judged = judge(reply({**GOOD, "error": "server_error"}, status))
    assert grant(judged).secrets["refresh_token"] == Secret("new-token")
    assert change(judged).lease is None
    echo = judge(reply({"error": "invalid_grant", "refresh_token": "old-token"}, 400))
    assert echo == Rejected("invalid_grant", Remedy.CLIMB)


@pytest.mark.parametrize("rung", ["authorize", "device"])
def test_an_enrolment_founds_the_candidate_and_keeps_nothing_of_the_old(rung: str) -> None:
    terms = Terms(BINDING, Contract(absolute_life=500.0))
    judged = judge(reply(GOOD), rung, terms, origin="https://then.example", client_id="then")
    assert grant(judged) == Grant(
        "candidate",
        Binding("oauth2", "https://then.example", "then"),
        {"refresh_token": Secret("new-token")},
        SENT,
        SENT,
        None,
        500.0,
    )


def test_an_enrolment_without_a_refresh_token_yields_what_there_is() -> None:
    judged = judge(reply({"access_token": "at"}), "authorize")
    assert grant(judged).secrets == {}
    assert lease(judged).token == Secret("at")


def test_an_issued_token_touches_no_grant() -> None:
    judged = judge(reply(GOOD), "issue")
    assert change(judged).grant is None
    assert lease(judged).valid_for == 60


KNOWN = Record("a", 3, replace(OLD, binding=replace(BINDING, subject="alice")))
STRANGERS: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({"id_token": jwt({"sub": "bob"})}, {}, "refresh"),
    ({"sub": "bob"}, {}, "refresh"),
    ({"sub": "alice", "id_token": jwt({"sub": "bob"})}, {}, "refresh"),
    ({"id_token": jwt({"sub": "alice", "aud": "other"})}, {}, "refresh"),
    ({"id_token": jwt({"sub": "alice", "aud": ["other"]})}, {}, "refresh"),
    ({"id_token": jwt({"sub": "bob"})}, {}, "authorize"),
    ({"id_token": jwt({"sub": "alice", "nonce": "n2"})}, {"nonce": "n1"}, "authorize"),
    ({"id_token": jwt({"sub": "alice"})}, {"nonce": "n1"}, "authorize"),
]


@pytest.mark.parametrize(("more", "material", "rung"), STRANGERS)
def test_an_answer_for_somebody_else_is_kept_and_withheld(
    more: dict[str, Any], material: dict[str, str], rung: str
) -> None:
    judged = read(rung, KNOWN, intent(rung, **material), reply({**GOOD, **more}), Terms(BINDING))
    assert change(judged).withheld
    assert grant(judged).secrets["refresh_token"] == Secret("new-token")


FRIENDS: list[dict[str, Any]] = [
    {},
    {"sub": "alice"},
    {"id_token": jwt({"sub": "alice", "aud": ["freshd", "x"]})},
    {"id_token": "rubbish"},
    {"id_token": 7},
    {"id_token": jwt([])},
]


@pytest.mark.parametrize("more", FRIENDS)
def test_an_answer_for_us_or_for_nobody_named_is_published(more: dict[str, Any]) -> None:
    judged = judge(reply({**GOOD, **more}), record=KNOWN)
    assert change(judged).withheld is None
    assert grant(judged).binding.subject == "alice"


def test_a_configured_subject_outranks_the_one_on_record() -> None:
    terms = Terms(replace(BINDING, subject="bob"))
    assert change(judge(reply({**GOOD, "sub": "bob"}), "authorize", terms, KNOWN)).withheld is None
    assert change(judge(reply({**GOOD, "sub": "alice"}), "authorize", terms, KNOWN)).withheld


def test_readers_get_the_fields_that_were_asked_for_and_no_secret() -> None:
    terms = Terms(BINDING, lease_fields=("instance_url", "refresh_token", "number", "long"))
    judged = judge(reply({**GOOD, "instance_url": "https://x", "number": 5, "long": "x" * 5000}), terms=terms)
    assert lease(judged).fields == {"token_type": "Bearer", "instance_url": "https://x"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["access_token", "token_type", "expires_in", "scope", "id_token", "sub", "error", "refresh_expires_in"]
)
STATUSES = st.integers(0, 599)
RUNGS = st.sampled_from(["refresh", "authorize", "device"])
HEADERS = st.lists(
    st.tuples(st.sampled_from(["Retry-After", "Date", "Content-Encoding", "freshd-cut"]), st.text(max_size=30)),
    max_size=3,
).map(tuple)


@given(st.binary(max_size=300), STATUSES, HEADERS, RUNGS | st.just("issue"), st.booleans())
@example(b'{"refresh_token":"\\ud800"}', 200, (), "refresh", False)
def test_no_bytes_make_it_raise(
    body: bytes, status: int, headers: tuple[tuple[str, str], ...], rung: str, complete: bool
) -> None:
    judge(Reply(status, headers, body, complete), rung)


@given(JSON, STATUSES, HEADERS, RUNGS | st.just("issue"), st.booleans())
def test_no_json_makes_it_raise(
    body: object, status: int, headers: tuple[tuple[str, str], ...], rung: str, complete: bool
) -> None:
    judge(Reply(status, headers, json.dumps(body).encode(), complete), rung)


@given(
    st.text(min_size=1).filter(lambda token: token != "old-token"),
    st.dictionaries(NAMES | st.text(max_size=4).filter(lambda name: name != "refresh_token"), JSON, max_size=6),
    STATUSES,
    st.booleans(),
    RUNGS,
)
def test_a_usable_refresh_token_is_never_lost(
    token: str, more: dict[str, Any], status: int, complete: bool, rung: str
) -> None:
    body = json.dumps({**more, "refresh_token": token}).encode()
    judged = judge(Reply(status, (), body, complete), rung, record=KNOWN)
    assert grant(judged).secrets["refresh_token"] == Secret(token)
    assert (grant(judged).lineage == "line") == (rung == "refresh")


@given(st.dictionaries(NAMES, JSON, max_size=6), STATUSES, RUNGS | st.just("issue"))
def test_a_lease_is_finite_and_fits_a_header(more: dict[str, Any], status: int, rung: str) -> None:
    judged = judge(reply({**GOOD, **more}, status), rung)
    if isinstance(judged, Answered) and (made := judged.changes[0].lease) is not None:
        assert status in range(200, 300)
        assert 0 < made.valid_for < 1e9
        assert made.token.reveal().isascii()

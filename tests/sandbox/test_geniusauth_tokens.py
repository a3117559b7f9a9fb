"""GeniusAuth's stand-in: logins, refreshes, payloads, ends; what uses something up and what does not."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from freshd.sandbox.geniusauth.apps import App
from freshd.sandbox.geniusauth.people import Person
from freshd.sandbox.geniusauth.state import Broken
from freshd.sandbox.tokens import fingerprint
from tests.sandbox.geniusauth_bed import APP, KEYPAIR, LOGIN, REFRESH, START, USERS, WEEK_S, WHOAMI, Bed, Said, claims


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_a_login_brings_both_tokens_with_all_their_claims(bed: Bed) -> None:
    data = bed.login(bed.login_token(), valid=2_592_000, payload="门-01").data
    assert {**data, "refreshToken": "", "accessToken": ""} == {
        "userID": 8,
        "name": "user",
        "groups": ["ops"],
        "avatarUrl": "https://example.invalid/avatar.png",
        "refreshToken": "",
        "accessToken": "",
    }
    shared = {"uid": 8, "oid": 1, "id": 1, "appCode": APP, "payload": "门-01", "iat": int(START)}
    assert claims(data["refreshToken"]) == {"type": "Refresh", "exp": int(START) + 2_592_000, **shared}
    assert claims(data["accessToken"]) == {"type": "Access", "exp": int(START) + 300, **shared}


@pytest.mark.parametrize("valid", [{}, {"valid": 0}, {"valid": WEEK_S}])
def test_a_login_lasts_a_week_unless_it_asks_for_more(bed: Bed, valid: dict[str, Any]) -> None:
    token = bed.login(bed.login_token(), **valid).data["refreshToken"]
    assert claims(token)["exp"] - claims(token)["iat"] == WEEK_S
    assert "payload" not in claims(token)


@pytest.mark.parametrize(
    "wrong",
    [
        {"valid": WEEK_S - 1},
        {"valid": 2_592_001},
        {"valid": -1},
        {"valid": "604800"},
        {"valid": True},
        {"payload": "x" * 33},
        {"payload": 5},
        {"grantType": "code"},
        {"grantType": 1},
        {"clientIp": 1},
        {"token": ""},
        {"token": 5},
    ],
)
def test_a_login_in_the_wrong_form_leaves_its_token_alone(bed: Bed, wrong: dict[str, Any]) -> None:
    token = bed.login_token()
    fields = bed.signed(**{"token": token, "grantType": "refresh_token", **wrong})
    assert bed.json("POST", LOGIN, fields).code == (400, 1)
    assert bed.login(token, payload="门" * 32, clientIp="192.0.2.1").code == (200, 0)


def test_a_refused_signature_and_a_wrong_clock_leave_it_alone_too(bed: Bed) -> None:
    token = bed.login_token()
    fields = bed.signed(token=token)
    assert bed.json("POST", LOGIN, {**fields, "signature": "0" * 64}).code == (401, 6)
    assert bed.json("POST", LOGIN, {**fields, "appCode": "nobody"}).code == (404, 3)
    assert bed.json("POST", LOGIN, {**fields, "timeStamp": 5}).code == (403, 9)
    assert bed.login(token).code == (200, 0)


@pytest.mark.parametrize("grant_type", ["", "once"])
def test_a_login_may_bring_no_refresh_token(bed: Bed, grant_type: str) -> None:
    said = bed.json("POST", LOGIN, bed.signed(token=bed.login_token(), grantType=grant_type))
    data = said.data
    assert (data["refreshToken"], data["accessToken"], data["userID"]) == ("", "", 8)
    bed.set(ONCE_BRINGS_ACCESS=True)
    said = bed.json("POST", LOGIN, bed.signed(token=bed.login_token(), grantType=grant_type))
    assert said.data["accessToken"]


def test_a_login_token_works_once_and_for_five_minutes(bed: Bed) -> None:
    token, late = bed.login_token(), bed.login_token()
    assert bed.login(token).code == (200, 0)
    assert bed.login(token).code == (401, 6)
    bed.at += 300
    assert bed.login(late).code == (401, 6)
    assert bed.login("made.up.token").code == (401, 6)
    assert bed.page().counters.doubtful_replays == 1


def test_a_login_token_of_another_application_is_gone_once_it_was_looked_at(bed: Bed) -> None:
    bed.state.apps.register(App(app_code="other", secret="other-secret"))
    token = bed.login_token()
    fields = bed.signed("other", "other-secret", token=token, grantType="refresh_token")
    assert bed.json("POST", LOGIN, fields).code == (401, 6)
    assert bed.login(token).code == (401, 6)
    assert bed.state.counts.burnt == 1
    assert bed.page().counters.reasons == {"burnt": 1}


def test_an_access_token_may_be_missing_from_a_login_that_succeeded(bed: Bed) -> None:
    bed.set(LOGIN_EMPTY_ACCESS=True)
    data = bed.login(bed.login_token()).data
    assert data["accessToken"] == ""
    assert bed.verify(bed.refresh(data["refreshToken"]).data["access_token"]).data == {"uid": 8}


def test_a_refresh_uses_nothing_up_and_moves_no_end(bed: Bed) -> None:
    refresh, first = bed.mint(payload="tenant-a")
    bed.at += 200
    answers = [bed.refresh(refresh).data for _ in range(3)]
    assert [one["payload"] for one in answers] == ["tenant-a"] * 3
    second = answers[-1]["access_token"]
    assert claims(second) == {**claims(first), "iat": int(START) + 200, "exp": int(START) + 500}
    assert bed.verify(first).data == bed.verify(second).data == {"uid": 8, "payload": "tenant-a"}
    counters = bed.page().counters
    assert (counters.refreshes, counters.spent_uses, counters.doubtful_replays) == (3, 0, 0)
    bed.at = START + WEEK_S - 1
    assert bed.refresh(refresh).code == (200, 0)
    bed.at = START + WEEK_S
    assert bed.refresh(refresh).code == (403, 31)


def test_an_empty_payload_is_absent(bed: Bed) -> None:
    refresh, _ = bed.mint()
    assert set(bed.refresh(refresh).data) == {"access_token"}


def test_an_access_token_outlives_its_end_by_the_leeway(bed: Bed) -> None:
    _, access = bed.mint()
    bed.at += 302
    assert bed.verify(access).code == (200, 0)
    bed.at += 1
    assert bed.verify(access).code == (403, 31)


def test_another_payload_keeps_the_record_and_the_end_and_leaves_the_old_token_alone(bed: Bed) -> None:
    refresh, _ = bed.mint(payload="one")
    bed.at += 1000
    data = bed.payload(refresh, "two", accessToken=True).data
    fresh = claims(data["refreshToken"])
    assert {**claims(refresh), "payload": "two", "iat": int(START) + 1000} == fresh
    assert claims(data["accessToken"])["payload"] == "two"
    assert bed.refresh(refresh).data["payload"] == "one"
    assert bed.refresh(data["refreshToken"]).data["payload"] == "two"
    assert set(bed.payload(refresh, "three").data) == {"refreshToken"}
    assert bed.payload(refresh, "x" * 1000).code == (200, 0)
    assert bed.revoke(refresh).code == (200, 0)
    for token in (refresh, data["refreshToken"]):
        assert bed.refresh(token).code == (403, 31)
    assert bed.verify(data["accessToken"]).code == (403, 31)


@pytest.mark.parametrize("wrong", [{"payload": ""}, {"payload": 5}, {"accessToken": "true"}, {"accessToken": 1}])
def test_a_payload_in_the_wrong_form(bed: Bed, wrong: dict[str, Any]) -> None:
    refresh, _ = bed.mint()
    assert bed.json("PATCH", REFRESH, bed.signed(**{"token": refresh, "payload": "p", **wrong})).code == (400, 1)


def test_what_is_revoked_is_gone_and_a_second_time_says_so(bed: Bed) -> None:
    refresh, access = bed.mint()
    assert bed.revoke(refresh).answer == {"code": 0}
    assert bed.revoke(refresh).code == (403, 31)
    assert bed.verify(access).code == (403, 31)
    assert bed.page().counters.killed_by == {"revoked": 1}


@pytest.mark.parametrize(
    ("text", "kind"), [("refresh", "access"), ("access", "refresh"), ("login", "refresh"), ("made.up", "refresh")]
)
def test_a_token_of_another_type_is_none(bed: Bed, text: str, kind: str) -> None:
    refresh, access = bed.mint()
    token = {"refresh": refresh, "access": access, "login": bed.login_token()}.get(text, "made.up.token")
    assert (bed.verify(token) if kind == "access" else bed.refresh(token)).code == (403, 31)


def test_a_token_of_another_key_is_none(bed: Bed) -> None:
    refresh, _ = Bed().mint()
    assert bed.refresh(refresh).code == (403, 31)
    own, _ = bed.mint()
    for spoiled in (own[:-2] + "zz", own.replace(".", "..", 1), own + "=", "ü" + own, "."):
        assert bed.refresh(spoiled).code == (403, 31)


ENDS: list[tuple[str, Callable[[Bed], object]]] = [
    ("oid", lambda bed: bed.levers.raise_oid(8, bed.at)),
    ("groups of the person", lambda bed: bed.levers.put_person(Person(uid=8, groups=("new",)), bed.at)),
    ("groups of the application", lambda bed: bed.levers.change_app(App(app_code=APP, secret="s", groups=("x",)), 0)),
    ("removed", lambda bed: bed.levers.remove_person(8, bed.at)),
    ("ended", lambda bed: bed.levers.end(bed.at, app_code=APP, label=None, uid=None)),
]


@pytest.mark.parametrize(("name", "lever"), ENDS)
def test_a_lever_ends_every_token_early(bed: Bed, name: str, lever: Callable[[Bed], object]) -> None:
    pairs = [bed.mint(label) for label in ("a", "b", "c")]
    lever(bed)
    bed.state.apps.register(App(app_code=APP, secret="sandbox-secret", groups=("x",)))
    for refresh, access in pairs:
        assert bed.refresh(refresh).code == (403, 31)
        assert bed.payload(refresh, "p").code == (403, 31)
        assert bed.verify(access).code == (403, 31)


def test_a_change_that_is_no_other_group_ends_nothing(bed: Bed) -> None:
    refresh, _ = bed.mint()
    bed.levers.put_person(Person(uid=8, name="renamed", groups=("ops",)), bed.at)
    bed.levers.change_app(App(app_code=APP, secret="sandbox-secret", name="renamed"), bed.at)
    assert bed.refresh(refresh).code == (200, 0)
    bed.levers.raise_oid(8, bed.at)
    after, _ = bed.mint()
    assert claims(after)["oid"] == 2
    assert bed.refresh(after).code == (200, 0)


def everything(bed: Bed, refresh: str, access: str) -> list[Said]:
    return [bed.refresh(refresh), bed.payload(refresh, "p"), bed.revoke(refresh), bed.verify(access)]


@pytest.mark.parametrize(
    ("broken", "code"), [(Broken.STORE, (403, 31)), (Broken.DATABASE, (500, 4)), (Broken.FAULT, (500, 8))]
)
def test_what_is_broken_refuses_everything_and_ends_nothing(bed: Bed, broken: Broken, code: tuple[int, int]) -> None:
    refresh, access = bed.mint()
    bed.state.broken = broken
    assert {said.code for said in everything(bed, refresh, access)} == {code}
    bed.state.broken = Broken.NOTHING
    assert bed.refresh(refresh).code == (200, 0)


@pytest.mark.parametrize(
    ("broken", "constant", "burns"),
    [
        (Broken.STORE, "STORE_FAILURE_BURNS_LOGIN", False),
        (Broken.STORE, "STORE_FAILURE_BURNS_LOGIN", True),
        (Broken.DATABASE, "FAULT_BURNS_LOGIN", True),
        (Broken.DATABASE, "FAULT_BURNS_LOGIN", False),
        (Broken.FAULT, "FAULT_BURNS_LOGIN", True),
    ],
)
def test_whether_a_login_survives_what_is_broken_is_a_constant(
    bed: Bed, broken: Broken, constant: str, burns: bool
) -> None:
    bed.set(**{constant: burns})
    token, bed.state.broken = bed.login_token(), broken
    assert bed.login(token).status in (403, 500)
    bed.state.broken = Broken.NOTHING
    assert bed.login(token).code == ((401, 6) if burns else (200, 0))


def test_a_lost_login_makes_its_repetition_doubtful(bed: Bed) -> None:
    token = bed.login_token()
    bed.login(token, lost_by="lost_after_commit")
    assert bed.login(token).code == (401, 6)
    counters = bed.page().counters
    assert (counters.spent_uses, counters.reasons) == (0, {"lost_after_commit": 1})


def test_a_repeated_login_is_a_spent_use_once_its_answer_was_used_or_vouched_for(bed: Bed) -> None:
    token = bed.login_token()
    refresh = bed.login(token).data["refreshToken"]
    assert bed.page().commits[-1].spent == fingerprint(token)
    assert bed.page().commits[-1].successor == fingerprint(refresh)
    assert bed.login(token).code == (401, 6)
    assert bed.page().counters.reasons == {"unconfirmed": 1}
    bed.refresh(refresh)
    assert bed.login(token).code == (401, 6)
    assert bed.page().counters.spent_uses == 1

    other = bed.login_token("b")
    kept = bed.login(other).data["refreshToken"]
    assert bed.state.records.escrowed([fingerprint(kept), "unknown"]) == 1
    bed.login(other)
    assert bed.page("b").counters.spent_uses == 1


def test_the_calls_of_each_account_are_counted_by_what_they_are(bed: Bed) -> None:
    refresh, access = bed.mint()
    everything(bed, refresh, access)
    assert bed.page().counters.calls == {"refresh": 1, "payload": 1, "revoke": 1, "verify": 1}
    assert [call.outcome for call in bed.page().calls] == ["granted", "granted", "answered", "31"]
    bed.refresh("made.up.token")
    assert bed.page("(unknown)").counters.errors == {"31": 1}
    bed.query("GET", KEYPAIR, bed.signed())
    assert bed.page(APP).counters.calls == {"keypair": 1}


def test_whoami_and_the_public_side_of_people(bed: Bed) -> None:
    bed.levers.put_person(Person(uid=9, name="Nobody", groups=()), bed.at)
    _, access = bed.mint(uid=9)
    said = bed.json("POST", WHOAMI, bed.signed(token=access))
    assert said.data == {
        "userID": 9,
        "name": "Nobody",
        "groups": None,
        "avatarUrl": "https://example.invalid/avatar.png",
    }
    found = bed.query("GET", USERS, bed.signed(id="8,404")).answer["data"]
    assert found == [
        {"id": 8, "name": "user", "avatarUrl": found[0]["avatarUrl"], "groups": [{"id": 1, "name": "ops"}]}
    ]
    for wrong in ("", "x", "8,"):
        assert bed.query("GET", USERS, bed.signed(id=wrong)).code == (400, 1)


def test_the_key_pair_checks_a_token_and_bears_an_odd_label(bed: Bed) -> None:
    data = bed.query("GET", KEYPAIR, bed.signed()).data
    pem = base64.b64decode(data["jwt"]).decode()
    assert pem.startswith("-----BEGIN EC PUBLIC KEY-----\n")
    key = load_der_public_key(base64.b64decode("".join(pem.splitlines()[1:-1])))
    assert isinstance(key, Ed25519PublicKey)
    text = bed.mint()[0]
    signed, _, mark = text.rpartition(".")
    key.verify(base64.urlsafe_b64decode(mark + "=="), signed.encode())
    load_pem_x509_certificate(base64.b64decode(data["ca"]))
    bed.set(KEY_LABEL="PUBLIC KEY")
    load_pem_public_key(base64.b64decode(bed.query("GET", KEYPAIR, bed.signed()).data["jwt"]))


def test_records_beyond_the_history_are_forgotten() -> None:
    from freshd.sandbox.geniusauth.service import GeniusAuth
    from freshd.sandbox.grants import Ledger

    bed = Bed()
    bed.genius = GeniusAuth(Ledger(history=2))
    bed.state, bed.levers = bed.genius.state, bed.genius.levers
    tokens = [bed.mint()[0] for _ in range(3)]
    assert [bed.refresh(token).status for token in tokens] == [403, 200, 200]

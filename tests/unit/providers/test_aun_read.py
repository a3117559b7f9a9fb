"""What refreshes and logins bring: tokens kept, chains counted, certificates taken or not, and nothing ever raised."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshd.core.contract import Omitted
from freshd.core.model import Moment, Record, Secret
from freshd.core.outcome import Answered, Rejected, Reply, Unreadable
from freshd.providers.aun.life import Chain, chain_of
from freshd.providers.aun.read import read
from tests.unit.providers.aun_parts import (
    CERTIFICATE,
    EARLIER,
    LEASE,
    LONG_OVER,
    NEW_CERTIFICATE,
    NEXT,
    OLD_CERTIFICATE,
    OTHER,
    OWN,
    PKI,
    RECORD,
    SENT,
    TERMS,
    after,
    error,
    frame,
    intent,
    judge,
    jwt,
    record,
    result,
    secrets,
    tokens,
)
from tests.unit.providers.aun_pki import AID, DAY, NOW, Pki, key, pem_of
from tests.unit.providers.judged import change, grant, lease

RUNGS = ("refresh", "login", "settle-key", "renew", "create", "adopt-certificate", "rekey", "nowhere")


def test_a_refresh_brings_a_lease_and_the_next_refresh_token() -> None:
    judged = judge(tokens())
    made = lease(judged)
    assert (made.token, made.valid_for, made.sent, made.generation) == (Secret("at-0002"), 3600.0, SENT, 4)
    assert made.fields["gateways"] == "wss://gw1.example.test/aun wss://gw2.example.test/aun"
    assert (made.fields["aid"], made.fields["refreshes"]) == (AID, "11 of 720")
    assert made.fields["certificate_until"].endswith("Z")
    assert secrets(judged)["refresh_token"] == "rt-00000002"
    assert secrets(judged)["private_key"] == pem_of(OWN)
    assert (grant(judged).lineage, grant(judged).absolute_for) == ("line", 700 * DAY)


def test_a_login_begins_a_chain_anew() -> None:
    judged = judge(tokens(), "login")
    assert chain_of(grant(judged).secrets, SENT) == Chain(SENT, 0)
    assert secrets(judged)["refresh_token"] == "rt-00000002"


def test_a_login_without_a_refresh_token_ends_the_older_one() -> None:
    judged = judge(tokens(refresh_token=None), "login")
    assert "refresh_token" not in secrets(judged)
    assert "refresh_token" in change(judged).drop
    assert lease(judged).valid_for == 3600


def test_a_refresh_without_a_new_token_is_read_as_the_contract_says() -> None:
    assert "refresh_token" not in secrets(judge(tokens(refresh_token=None)))
    keeping = replace(TERMS, contract=replace(TERMS.contract, omitted=Omitted.KEEP))
    judged = read("refresh", RECORD, intent("refresh"), tokens(refresh_token=None), keeping)
    assert secrets(judged)["refresh_token"] == "rt-00000001"


@pytest.mark.parametrize(
    ("members", "token", "kite"),
    [
        ({"access_token": "at", "token": "kt"}, "at", "kt"),
        ({"access_token": None, "token": "kt"}, "kt", None),
        ({"access_token": None, "kite_token": "kt"}, "kt", None),
        ({"access_token": "", "token": "kt"}, "kt", None),
    ],
)
def test_the_token_is_found_under_its_names(members: dict[str, Any], token: str, kite: str | None) -> None:
    made = lease(judge(tokens(**members), "login"))
    assert made.token == Secret(token)
    assert made.more_secrets.get("kite_token") == (None if kite is None else Secret(kite))


@pytest.mark.parametrize(
    ("expires_in", "life"),
    [(3600, 3600), ("1800", 1800), (None, 3600), (0, 300), (-5, 300), ("soon", 300), (1e99, 3600), (True, 300)],
)
def test_a_life_is_believed_only_where_it_can_be(expires_in: object, life: float) -> None:
    assert lease(judge(tokens(expires_in=expires_in))).valid_for == life


def test_the_earlier_of_two_ends_counts() -> None:
    token = jwt({"aid": AID, "iat": NOW - 5000, "exp": NOW - 5000 + 1200})
    assert lease(judge(tokens(access_token=token))).valid_for == 1200
    assert lease(judge(tokens(access_token=token, expires_in=600))).valid_for == 600
    assert lease(judge(tokens(access_token=token, expires_in=None))).valid_for == 1200


# -- when the next renewal is to be a login --------------------------------------------------------------------------


def test_the_chain_ends_with_its_last_refresh() -> None:
    last = record(chain=Chain(EARLIER, 719).text)
    assert "refresh_token" not in secrets(judge(tokens(), known=last))
    before = record(chain=Chain(EARLIER, 718).text)
    assert "refresh_token" in secrets(judge(tokens(), known=before))


def test_the_service_may_know_of_more_refreshes() -> None:
    assert chain_of(grant(judge(tokens(refresh_count=300))).secrets, SENT).refreshes == 300
    assert chain_of(grant(judge(tokens(refresh_count=3))).secrets, SENT).refreshes == 11
    assert "refresh_token" not in secrets(judge(tokens(refresh_count=720)))


def test_the_chain_ends_with_its_age_before_the_next_refresh_would_be_due() -> None:
    old = record(chain=Chain(Moment(NOW - 30 * DAY + 3000, 0.0, "older"), 5).text)
    assert "refresh_token" not in secrets(judge(tokens(), known=old))
    young = record(chain=Chain(Moment(NOW - 30 * DAY + 4000, 0.0, "older"), 5).text)
    assert "refresh_token" in secrets(judge(tokens(), known=young))


@pytest.mark.parametrize("kept", [None, "", "[]", "{}", '{"wall": "x"}', "[" * 100_000])
def test_a_chain_of_which_nothing_is_known_begins_now(kept: str | None) -> None:
    assert chain_of(grant(judge(tokens(), known=record(chain=kept))).secrets, SENT) == Chain(SENT, 1)


def test_the_service_may_ask_for_a_login() -> None:
    assert "refresh_token" not in secrets(judge(tokens(relogin_required=True)))


def test_past_half_of_the_certificates_life_a_login_is_next() -> None:
    assert "refresh_token" not in secrets(judge(tokens(), known=record(OLD_CERTIFICATE)))


def test_a_certificate_that_could_not_be_renewed_leaves_refreshes_alone_while_it_rests() -> None:
    rests = record(OLD_CERTIFICATE, current_certificate=f"{NOW + 60:.0f}")
    assert "refresh_token" in secrets(judge(tokens(), known=rests))
    wrong = record(OLD_CERTIFICATE, current_certificate=f"{NOW + 90 * DAY:.0f}")
    assert "refresh_token" not in secrets(judge(tokens(), known=wrong))


def test_a_lease_that_was_refused_before_its_time_is_the_last_of_its_chain() -> None:
    fresh = replace(LEASE, sent=replace(SENT, wall=NOW - 5, boot=SENT.boot - 5))
    judged = judge(tokens(), known=record(lease=fresh))
    assert lease(judged).token == Secret("at-0002")
    assert "refresh_token" not in secrets(judged)


# -- certificates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", ["new_cert", "active_cert"])
def test_a_certificate_of_ours_is_taken_with_the_login(member: str) -> None:
    judged = judge(tokens(2, **{member: NEW_CERTIFICATE}), "login", record(OLD_CERTIFICATE))
    assert secrets(judged)["certificate"] == NEW_CERTIFICATE
    assert secrets(judged)["current_certificate"] == "0"
    assert grant(judged).enrolled == SENT
    assert grant(judged).absolute_for == pytest.approx(730 * DAY - 60)


STRANGERS = Pki(label="strangers ")


@pytest.mark.parametrize(
    ("offered", "why"),
    [
        ("no certificate", "unreadable"),
        (7, "unreadable"),
        (PKI.agent(OTHER, begins=NOW - 60), "of another key"),
        (PKI.agent(OWN, "mallory.example.test", begins=NOW - 60), "of another name"),
        (PKI.agent(OWN, begins=NOW + DAY), "not in its time"),
        (PKI.agent(OWN, begins=NOW - 800 * DAY), "not in its time"),
        (STRANGERS.agent(OWN, begins=NOW - 60), "not proven"),
        (PKI.agent(OWN, begins=NOW - 60, serial=0xBAD), "revoked"),
    ],
)
def test_any_other_certificate_is_noted_and_the_login_counts(offered: object, why: str) -> None:
    judged = judge(tokens(new_cert=offered), "login", record(OLD_CERTIFICATE), revoked="1 bad")
    assert isinstance(judged, Answered)
    assert judged.notes["new_cert"] == why
    assert secrets(judged)["certificate"] == OLD_CERTIFICATE
    assert lease(judged).valid_for == 3600


def test_without_a_proven_chain_no_certificate_is_taken() -> None:
    judged = judge(tokens(new_cert=NEW_CERTIFICATE), "login", record(OLD_CERTIFICATE), issuers="")
    assert secrets(judged)["certificate"] == OLD_CERTIFICATE


def test_of_a_refresh_no_certificate_is_taken_for_no_chain_was_proven() -> None:
    judged = judge(tokens(new_cert=NEW_CERTIFICATE), known=record(OLD_CERTIFICATE))
    assert secrets(judged)["certificate"] == OLD_CERTIFICATE


def test_an_older_certificate_does_not_take_the_place_of_a_newer_one() -> None:
    judged = judge(tokens(active_cert=CERTIFICATE), "login", record(NEW_CERTIFICATE))
    assert secrets(judged)["certificate"] == NEW_CERTIFICATE


def test_a_login_past_half_life_that_brings_no_certificate_calls_for_a_renewal() -> None:
    judged = judge(tokens(), "login", record(OLD_CERTIFICATE))
    assert "current_certificate" in change(judged).drop
    assert "current_certificate" not in secrets(judged)
    rests = record(OLD_CERTIFICATE, current_certificate=f"{NOW + 60:.0f}")
    assert "current_certificate" in secrets(judge(tokens(), "login", rests))


def test_a_key_whose_registration_was_not_answered_is_looked_at_after_the_next_answer() -> None:
    pending = record(candidate_key=pem_of(NEXT), candidate_since=f"{NOW - 60:.0f}")
    for rung in ("refresh", "login"):
        assert "current_certificate" not in secrets(judge(tokens(), rung, pending))
    assert secrets(judge(tokens(), known=pending))["refresh_token"] == "rt-00000002"


# -- I3, strangers, foreign and broken frames ------------------------------------------------------------------------


def test_I3_a_new_refresh_token_is_kept_whatever_else_is_wrong() -> None:
    for answer in (
        result(success=False, error="odd", refresh_token="rt-00000002"),
        tokens(access_token=None),
        tokens(access_token="two words"),
        Reply(200, (("freshd-cut", "too large"),), tokens().body[:-10], complete=False),
    ):
        judged = judge(answer)
        assert secrets(judged)["refresh_token"] == "rt-00000002", answer.body
        assert change(judged).lease is None


def test_an_echo_of_the_presented_token_in_a_refusal_is_no_new_one() -> None:
    judged = judge(result(success=False, error="invalid_or_expired_refresh_token", refresh_token="rt-00000001"))
    assert isinstance(judged, Rejected)


@pytest.mark.parametrize(
    "members", [{"aid": "bob02.example.test"}, {"access_token": jwt({"sub": "bob02.example.test"})}]
)
def test_an_answer_for_another_agent_is_withheld(members: dict[str, Any]) -> None:
    assert change(judge(tokens(**members))).withheld == "the answer is for another agent"


@pytest.mark.parametrize(
    "answer",
    [
        Reply(200, (), b"<html>"),
        Reply(200, (), b""),
        Reply(200, (), b"[]"),
        frame(),
        frame(result="ok"),
        result(success=True),
        Reply(200, (("freshd-cut", "x"),), b'{"result": {"access_to', complete=False),
    ],
)
def test_what_is_no_answer_counts_as_lost(answer: Reply) -> None:
    assert isinstance(judge(answer), Unreadable)


def test_a_refusal_wins_over_a_result_beside_it() -> None:
    answer = frame(result={"access_token": "at-9"}, error={"code": -32005})
    assert isinstance(judge(answer), Rejected)


def test_the_record_after_an_answer_can_be_read_against_again() -> None:
    known = RECORD
    for number in range(2, 6):
        late = Moment(NOW + 3300 * number, SENT.boot + 3300 * number, "boot")
        known = after(known, judge(tokens(number), known=known, sent=late))
    assert chain_of(known.grant.secrets if known.grant else {}, SENT).refreshes == 14


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["success", "access_token", "token", "refresh_token", "expires_in", "new_cert", "active_cert", "cert", "cert_pem",
     "aid", "error", "relogin_required", "refresh_count", "retryable", "retry_after", "status"]
)  # fmt: skip
VALUES = JSON | st.sampled_from([CERTIFICATE, NEW_CERTIFICATE, LONG_OVER, "at-1", "rt-1"])
RESULTS = st.dictionaries(NAMES, VALUES, max_size=6)
ERRORS = st.fixed_dictionaries(
    {},
    optional={
        "code": JSON | st.sampled_from([4001, -32002, -32005, 429, 5001, "-32050"]),
        "message": JSON,
        "data": JSON | st.dictionaries(st.sampled_from(["retry_after", "trace_id"]), JSON, max_size=2),
    },
)
FRAMES = st.fixed_dictionaries({}, optional={"result": RESULTS | JSON, "error": ERRORS | JSON})
RECORDS = st.sampled_from(
    [
        RECORD,
        Record("a"),
        record("no certificate", private_key="no key", chain="x", current_certificate="x"),
        record(LONG_OVER, lease=None, candidate_key=pem_of(NEXT), candidate_since="never"),
    ]
)


@given(
    st.binary(max_size=300) | FRAMES.map(lambda one: json.dumps(one).encode()),
    st.sampled_from(RUNGS),
    RECORDS,
    st.booleans(),
    st.sampled_from([(), (("freshd-fault", "chain-root"),), (("freshd-fault", "?"),)]),
    st.sampled_from([200, 404, 0, 503]),
)
def test_reading_never_raises_and_never_makes_a_key_dead(
    body: bytes, rung: str, known: Record, complete: bool, headers: tuple[tuple[str, str], ...], status: int
) -> None:
    judged = read(rung, known, intent(rung), Reply(status, headers, body, complete), TERMS)
    if isinstance(judged, Rejected):
        assert judged.dead is not None
        assert judged.dead <= {"refresh_token"}
        assert not judged.drop
    if isinstance(judged, Answered) and known.grant is not None:
        held = secrets(judged)
        assert {"private_key", "candidate_key"} & held.keys()
        assert change(judged).lease is None or rung in ("refresh", "login")


@given(st.binary(max_size=200), st.integers(0, 400))
def test_a_cut_frame_is_read_as_far_as_it_came(tail: bytes, at: int) -> None:
    body = tokens().body[:at] + tail
    read("refresh", RECORD, intent("refresh"), Reply(200, (("freshd-cut", "x"),), body, complete=False), TERMS)


def test_no_secret_shows_in_what_a_refusal_tells() -> None:
    held = {secret.reveal() for secret in RECORD.grant.secrets.values()} if RECORD.grant else set()
    for code in [*sorted(held - {"0"}), "rt-00000001 is over", key("own", is_small=True).key_size]:
        told = repr(judge(error(code, str(code), trace_id=code)))
        assert not any(secret in told for secret in held - {"0"})

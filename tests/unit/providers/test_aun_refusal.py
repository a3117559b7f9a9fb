"""Refusals: every code of the table on every rung that can meet it, and what is known beside it."""

from typing import Any

import pytest

from freshd.core.model import Record
from freshd.core.outcome import Rejected, Remedy, Reply, Unreadable
from freshd.providers.aun.refusal import FAULTS
from tests.unit.providers.aun_parts import (
    LONG_OVER,
    NEXT,
    OLD_CERTIFICATE,
    OVER_CERTIFICATE,
    RECORD,
    error,
    judge,
    record,
    result,
)
from tests.unit.providers.aun_pki import NOW, pem_of
from tests.unit.providers.judged import rejected

STOPS = [
    *((code, Remedy.BUG) for code in (4000, -32600, -32601, -32602, -32000)),
    *((code, Remedy.CONFIG) for code in (-32004, 4030, 403)),
    *((code, Remedy.WAIT) for code in (-32029, 4290, 429, -32429)),
    (4090, Remedy.PERSON),
    (-32050, Remedy.PERSON),
]
LOGIN_STOPS = [
    *((code, Remedy.CONFIG) for code in (4001, -32001, -32003, -32005)),
    (-32002, Remedy.CLIMB),
    (4010, Remedy.UNAVAILABLE),
    *((code, Remedy.UNAVAILABLE) for code in (-32010, -32011, -32013)),
]
PENDING = record(candidate_key=pem_of(NEXT), candidate_since=f"{NOW:.0f}")


@pytest.mark.parametrize("rung", ["refresh", "login"])
@pytest.mark.parametrize(("code", "remedy"), STOPS)
def test_a_code_that_speaks_of_neither_token_nor_key_means_the_same_everywhere(
    rung: str, code: int, remedy: Remedy
) -> None:
    said = rejected(judge(error(code), rung))
    assert (said.code, said.remedy, said.dead, said.again) == (str(code), remedy, frozenset(), ())


@pytest.mark.parametrize("code", [4001, -32001, -32005, "-32005", -32005.0])
def test_a_dead_refresh_token_leads_to_a_login(code: object) -> None:
    said = rejected(judge(error(code)))
    assert (said.remedy, said.dead) == (Remedy.CLIMB, frozenset({"refresh_token"}))


@pytest.mark.parametrize("code", [-32002, -32003, -32008, 4040, 404])
def test_what_is_not_about_the_refresh_token_is_told_by_a_login(code: int) -> None:
    said = rejected(judge(error(code)))
    assert (said.remedy, said.dead) == (Remedy.CLIMB, frozenset())


@pytest.mark.parametrize("code", [-32603, 4500, 5000, 5999])
def test_trouble_at_the_service_leaves_a_refresh_in_doubt_and_a_login_waiting(code: int) -> None:
    assert isinstance(judge(error(code)), Unreadable)
    assert rejected(judge(error(code), "login")).remedy is Remedy.WAIT


def test_a_timeout_that_is_told_as_a_refusal_is_none() -> None:
    assert isinstance(judge(error(-32004, "RPC handler timeout: 10s")), Unreadable)
    assert rejected(judge(error(-32004, "rpc handler timeout"), "login")).remedy is Remedy.WAIT
    assert rejected(judge(error(-32004, "denied"), "login")).remedy is Remedy.CONFIG


@pytest.mark.parametrize(("code", "remedy"), LOGIN_STOPS)
def test_a_refused_login_is_made_once_more_before_it_counts(code: int, remedy: Remedy) -> None:
    said = rejected(judge(error(code), "login"))
    assert (said.remedy, said.again, said.dead) == (remedy, (1.0,), frozenset())


def test_a_login_that_comes_to_nothing_in_words_is_refused_too() -> None:
    said = rejected(judge(result(success=False, error="aid_login2_failed"), "login"))
    assert (said.code, said.remedy, said.again) == ("aid_login2_failed", Remedy.CONFIG, (1.0,))


@pytest.mark.parametrize(
    "members",
    [
        {"error": "missing refresh_token"},
        {"error": "Invalid_or_expired_refresh_token"},
        {"error": "refresh not supported"},
        {"error": "whatever", "relogin_required": True},
    ],
)
def test_texts_of_a_refresh_that_ask_for_a_login(members: dict[str, object]) -> None:
    said = rejected(judge(result(success=False, **members)))
    assert (said.remedy, said.dead, said.known) == (Remedy.CLIMB, frozenset({"refresh_token"}), True)


def test_other_texts_of_a_refresh_lead_to_a_login_too_and_judge_nothing() -> None:
    said = rejected(judge(result(success=False, error="storage hiccup")))
    assert (said.remedy, said.dead) == (Remedy.CLIMB, frozenset())
    assert rejected(judge(result(success=False, error="busy", retryable=True))).remedy is Remedy.WAIT
    assert rejected(judge(result(success=False))).remedy is Remedy.CLIMB


@pytest.mark.parametrize("rung", ["refresh", "login"])
def test_an_unknown_code_keeps_everything_and_is_told(rung: str) -> None:
    said = rejected(judge(error(-31999, "no idea"), rung))
    assert (said.known, said.remedy, said.dead) == (False, Remedy.WAIT, frozenset())
    assert "unknown code" in said.detail


@pytest.mark.parametrize(
    ("data", "pause"),
    [({"retry_after": 7}, 7.0), ({"retry_after": "2.5"}, 2.5), ({"retry_after": -1}, None), ({}, None),
     ({"retry_after": 1e9}, 86400.0), ({"retry_after": float("nan")}, None)],
)  # fmt: skip
def test_a_pace_is_kept_as_it_is_told(data: dict[str, Any], pause: float | None) -> None:
    assert rejected(judge(error(429, **data))).retry_after == pause


def test_a_trace_id_is_told() -> None:
    assert "trace id t-7f3a" in rejected(judge(error(-32005, trace_id="t-7f3a"))).detail


# -- what key and certificate explain --------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [-32001, -32002, -32003, -32008, -32050, 4090])
def test_with_a_key_whose_registration_was_not_answered_a_refused_login_leads_to_a_look(code: int) -> None:
    said = rejected(judge(error(code), "login", PENDING))
    assert (said.remedy, said.dead) == (Remedy.CLIMB, frozenset())


@pytest.mark.parametrize("code", [-32001, -32002, -32003])
@pytest.mark.parametrize(
    ("certificate", "remedy"), [(OVER_CERTIFICATE, Remedy.CLIMB), (LONG_OVER, Remedy.PERSON)], ids=["over", "long"]
)
def test_with_a_certificate_that_is_over_a_refused_login_leads_to_its_renewal(
    code: int, certificate: str, remedy: Remedy
) -> None:
    said = rejected(judge(error(code), "login", record(certificate)))
    assert (said.remedy, said.again) == (remedy, ())


def test_a_revoked_certificate_is_a_persons_matter_even_if_it_is_over() -> None:
    assert rejected(judge(error(-32050), "login", record(OVER_CERTIFICATE))).remedy is Remedy.PERSON


# -- renewals and steps of a person ----------------------------------------------------------------------------------

DUE = record(OLD_CERTIFICATE, current_certificate=None)


@pytest.mark.parametrize(
    "answer", [error(-32002), error(-32603), error(-1), error(4000), result(status="renewed", cert="none"), result(),
               Reply(200, (), b"<html>"), Reply(200, (("freshd-fault", "chain-root"),), b"")]
)  # fmt: skip
def test_a_renewal_for_its_own_sake_that_comes_to_nothing_rests_and_stops_nothing(answer: Reply) -> None:
    said = rejected(judge(answer, "renew", DUE))
    assert said.remedy is Remedy.WAIT
    assert float(said.keep["current_certificate"].reveal()) == NOW + 3600


def test_a_renewal_that_is_to_wait_rests_as_long_as_it_is_told() -> None:
    said = rejected(judge(error(429, retry_after=7200), "renew", DUE))
    assert (said.retry_after, float(said.keep["current_certificate"].reveal())) == (7200.0, NOW + 7200)


def test_a_revoked_certificate_is_told_by_its_renewal_too() -> None:
    assert rejected(judge(error(-32050), "renew", DUE)).remedy is Remedy.PERSON


@pytest.mark.parametrize(
    "known", [RECORD, record(OVER_CERTIFICATE), record(OVER_CERTIFICATE, current_certificate=None)]
)
@pytest.mark.parametrize("code", [-32001, -32002, -32003, -32008])
def test_a_renewal_that_was_needed_and_is_refused_calls_a_person(known: Record, code: int) -> None:
    said = rejected(judge(error(code), "renew", known))
    assert (said.remedy, said.dead, dict(said.keep)) == (Remedy.PERSON, frozenset(), {})


@pytest.mark.parametrize("rung", ["create", "rekey"])
def test_a_persons_step_that_is_refused_is_that_persons(rung: str) -> None:
    for code in (4090, -32001, -32002, -32003, 4000, 4030, -32005):
        assert rejected(judge(error(code), rung, PENDING, candidate="new")).remedy is Remedy.PERSON
    for code in (429, 5003, -32603, -32011):
        assert rejected(judge(error(code), rung, PENDING, candidate="new")).remedy is Remedy.WAIT


@pytest.mark.parametrize("word", sorted(FAULTS))
def test_what_does_not_prove_true_parks_with_a_reason_and_a_date(word: str) -> None:
    answer = Reply(200, (("freshd-fault", word),), b'{"result": {"refresh_token": "evil", "access_token": "evil"}}')
    said = rejected(judge(answer, "login"))
    assert (said.code, said.remedy, said.dead) == (word, Remedy.UNAVAILABLE, frozenset())
    assert "nothing was signed" in said.detail
    assert rejected(judge(answer, "create", candidate="new")).remedy is Remedy.PERSON


def test_no_frame_can_pass_for_a_finding_of_ours() -> None:
    said = judge(result(success=False, error="chain-root", headers=[["freshd-fault", "chain-root"]]), "login")
    assert isinstance(said, Rejected)
    assert said.remedy is Remedy.CONFIG

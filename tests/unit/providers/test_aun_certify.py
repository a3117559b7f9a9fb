"""Keys and certificates: what is issued, what is registered, and that no key is ever let go of too early."""

import pytest

from freshd.core.model import Earlier, Record
from freshd.core.outcome import Answered, Judged, Rejected, Remedy, Unreadable
from freshd.providers.aun.read import read
from tests.unit.providers.aun_parts import (
    CERTIFICATE,
    LEASE,
    NEW_CERTIFICATE,
    NEXT,
    OLD_CERTIFICATE,
    OTHER,
    OVER_CERTIFICATE,
    OWN,
    PKI,
    RECORD,
    SENT,
    TERMS,
    intent,
    judge,
    page,
    record,
    result,
    secrets,
)
from tests.unit.providers.aun_pki import DAY, NOW, Pki, pem_of
from tests.unit.providers.judged import change, grant, rejected

DUE = record(OLD_CERTIFICATE, current_certificate=None)
NEXT_CERTIFICATE = PKI.agent(NEXT, begins=NOW - 60)
PENDING = record(candidate_key=pem_of(NEXT), candidate_since=f"{NOW - 60:.0f}")
LOOKING = record(candidate_key=pem_of(NEXT), candidate_since=f"{NOW - 60:.0f}", current_certificate=None)


@pytest.mark.parametrize("member", ["cert", "cert_pem"])
def test_a_renewal_for_its_own_sake_changes_the_certificate_and_nothing_else(member: str) -> None:
    judged = judge(result(status="renewed", **{member: NEW_CERTIFICATE}), "renew", DUE)
    held = secrets(judged)
    assert (held["certificate"], held["current_certificate"]) == (NEW_CERTIFICATE, "0")
    assert held["refresh_token"] == "rt-00000001"
    assert held["private_key"] == pem_of(OWN)
    assert (grant(judged).lineage, grant(judged).enrolled) == ("line", SENT)
    assert change(judged).lease is None


def test_a_renewal_to_which_a_refused_login_led_is_followed_by_a_login() -> None:
    judged = judge(result(cert=NEW_CERTIFICATE), "renew", record(OVER_CERTIFICATE))
    assert "refresh_token" not in secrets(judged)
    assert secrets(judged)["certificate"] == NEW_CERTIFICATE


def test_what_is_in_doubt_does_not_pass_for_good_with_a_new_certificate() -> None:
    made = intent("renew")
    doubtful = type(made)(
        "f", "a", "renew", "line", 3, SENT, made.material, earlier=(Earlier("refresh", SENT),)
    )  # fmt: skip
    judged = read("renew", DUE, doubtful, result(cert=NEW_CERTIFICATE), TERMS)
    assert "refresh_token" not in secrets(judged)


def test_an_operators_renewal_founds_a_lineage_and_keeps_lease_and_pending_key() -> None:
    judged = judge(result(cert=NEW_CERTIFICATE), "renew", PENDING, candidate="new")
    assert grant(judged).lineage == "new"
    made = change(judged).lease
    assert made is not None
    assert made.token == LEASE.token
    assert "refresh_token" not in secrets(judged)
    assert secrets(judged)["candidate_key"] == pem_of(NEXT)


@pytest.mark.parametrize(
    "offered",
    [PKI.agent(OTHER), PKI.agent(OWN, "eve.example.test"), PKI.agent(OWN, begins=NOW + DAY), Pki(label="x").agent(OWN),
     "text", None],
)  # fmt: skip
@pytest.mark.parametrize("rung", ["renew", "create"])
def test_a_certificate_that_is_not_ours_and_proven_is_not_taken(rung: str, offered: object) -> None:
    said = rejected(judge(result(cert=offered), rung, record(OVER_CERTIFICATE), candidate="new"))
    assert (said.code, said.remedy, said.drop) == ("certificate-unusable", Remedy.PERSON, frozenset())


def test_a_change_of_the_key_takes_the_new_one_over() -> None:
    judged = judge(result(status="rekeyed", cert=NEXT_CERTIFICATE), "rekey", PENDING, candidate="new")
    held = secrets(judged)
    assert (held["private_key"], held["certificate"]) == (pem_of(NEXT), NEXT_CERTIFICATE)
    assert not {"candidate_key", "candidate_since", "refresh_token"} & held.keys()
    assert grant(judged).lineage == "new"


def test_a_change_of_the_key_that_brings_a_certificate_for_the_older_key_takes_nothing() -> None:
    assert isinstance(judge(result(cert=NEW_CERTIFICATE), "rekey", PENDING, candidate="new"), Rejected)


def test_a_lost_change_of_the_key_is_a_lost_answer() -> None:
    assert isinstance(judge(page("<html>"), "rekey", PENDING, candidate="new"), Unreadable)


def test_a_registration_founds_a_lineage() -> None:
    fresh = record(lease=None, certificate="", refresh_token=None, chain=None, current_certificate=None)
    judged = judge(result(cert=NEW_CERTIFICATE, ca_cert="x", curve="P-256"), "create", fresh, candidate="new")
    assert set(secrets(judged)) == {"private_key", "certificate", "current_certificate"}
    assert (grant(judged).lineage, grant(judged).binding) == ("new", TERMS.binding)


# -- what is registered ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [PENDING, LOOKING])
def test_the_new_key_is_registered_after_all(known: Record) -> None:
    judged = judge(page(NEXT_CERTIFICATE), "settle-key", known)
    held = secrets(judged)
    assert (held["private_key"], held["certificate"], held["current_certificate"]) == (
        pem_of(NEXT), NEXT_CERTIFICATE, "0",
    )  # fmt: skip
    assert "candidate_key" not in held


def test_the_older_key_is_registered_still_and_the_new_one_stays_while_it_may_be_under_way() -> None:
    judged = judge(page(CERTIFICATE), "settle-key", LOOKING)
    held = secrets(judged)
    assert (held["private_key"], held["candidate_key"]) == (pem_of(OWN), pem_of(NEXT))
    assert float(held["current_certificate"]) == NOW - 60 + DAY
    assert held["refresh_token"] == "rt-00000001"


def test_a_new_key_that_was_never_registered_goes_after_a_day() -> None:
    old = record(candidate_key=pem_of(NEXT), candidate_since=f"{NOW - DAY:.0f}", current_certificate=None)
    judged = judge(page(CERTIFICATE), "settle-key", old)
    assert {"candidate_key", "candidate_since"} <= change(judged).drop
    assert secrets(judged)["current_certificate"] == "0"


def test_a_refused_login_goes_on_downwards_where_the_older_key_is_registered_still() -> None:
    said = rejected(judge(page(CERTIFICATE), "settle-key", PENDING))
    assert (said.code, said.remedy, said.dead) == ("older-key", Remedy.CLIMB, frozenset())


def test_a_look_brings_a_newer_certificate_of_the_same_key() -> None:
    looking = record(OLD_CERTIFICATE, candidate_key=pem_of(NEXT), candidate_since="0", current_certificate=None)
    assert secrets(judge(page(NEW_CERTIFICATE), "settle-key", looking))["certificate"] == NEW_CERTIFICATE


@pytest.mark.parametrize("rung", ["settle-key", "adopt-certificate"])
@pytest.mark.parametrize(
    ("answer", "code", "remedy"),
    [
        (page(PKI.agent(OTHER)), "other-key", Remedy.PERSON),
        (page(PKI.agent(OWN, "eve.example.test")), "other-key", Remedy.PERSON),
        (page("", 404), "not-registered", Remedy.PERSON),
        (page("<html>", 502), "certificate-unknown", Remedy.WAIT),
        (page("<html>"), "certificate-unknown", Remedy.WAIT),
    ],
)
def test_what_is_registered_otherwise_changes_no_key(rung: str, answer: object, code: str, remedy: Remedy) -> None:
    said = rejected(judge(answer, rung, LOOKING))  # type: ignore[arg-type]
    assert (said.code, said.remedy, said.drop, said.dead) == (code, remedy, frozenset(), frozenset())


def test_the_registered_certificate_is_adopted_for_the_key_in_hand() -> None:
    bare = record(certificate="", lease=None, refresh_token=None, chain=None, current_certificate=None)
    judged: Judged = judge(page(NEW_CERTIFICATE), "adopt-certificate", bare, candidate="new")
    assert isinstance(judged, Answered)
    assert secrets(judged)["certificate"] == NEW_CERTIFICATE
    assert grant(judged).lineage == "new"


def test_adopting_drops_tokens_of_the_older_lineage() -> None:
    judged = judge(page(NEW_CERTIFICATE), "adopt-certificate", RECORD, candidate="new")
    assert not {"refresh_token", "chain"} & secrets(judged).keys()

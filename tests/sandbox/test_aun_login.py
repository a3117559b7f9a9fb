"""Enrolment, login, renewal and new keys, call by call."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from freshd.sandbox.aun.agents import State
from freshd.sandbox.aun.levers import Thing
from freshd.sandbox.tokens import fingerprint
from tests.sandbox.aun_bed import AID, DAY, Bed, claims_of, code_of, new_key, public, read_pem, signed

BOB = "bob0001.sandbox.test"


def test_a_name_and_a_key_become_an_aid() -> None:
    bed, key = Bed(), new_key()
    told = bed.call("auth.create_aid", aid=BOB, public_key=public(key), curve="P-256")
    assert told.result is not None
    cert = read_pem(told.result["cert"])
    assert cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == BOB
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    assert cert.public_key().public_bytes(serialization.Encoding.DER, form) == key.public_key().public_bytes(
        serialization.Encoding.DER, form
    )
    cert.verify_directly_issued_by(read_pem(told.result["ca_cert"]))
    assert (told.result["aid"], told.result["curve"]) == (BOB, "P-256")


@pytest.mark.parametrize(
    "aid",
    ["", "abc.sandbox.test", "-abcd.sandbox.test", "guest01.sandbox.test", "Alice01.sandbox.test", "alice01.else.test",
     "a" * 65 + ".sandbox.test", "alice01", "al.ice01.sandbox.test"],
)  # fmt: skip
def test_a_name_that_breaks_the_rules_is_refused(aid: str) -> None:
    assert code_of(Bed().call("auth.create_aid", aid=aid, public_key=public(new_key()))) == -32602


def test_only_a_p256_key_is_registered() -> None:
    bed, other = Bed(), ec.generate_private_key(ec.SECP384R1())
    wrong: tuple[dict[str, Any], ...] = (
        {"public_key": public(other)},
        {"public_key": "AAAA"},
        {},
        {"public_key": "", "curve": "P-256"},
    )
    for params in (*wrong, {"public_key": public(new_key()), "curve": "P-384"}):
        assert code_of(bed.call("auth.create_aid", aid=BOB, **params)) == -32602


def test_the_same_key_again_gets_the_same_certificate_and_another_a_conflict() -> None:
    bed = Bed()
    again = bed.call("auth.create_aid", aid=AID, public_key=public(bed.me.key))
    assert again.result is not None
    assert (again.result["cert"], again.commit) == (bed.me.cert, None)
    assert code_of(bed.call("auth.create_aid", aid=AID, public_key=public(new_key()))) == 4090


def test_the_first_step_proves_the_service() -> None:
    bed = Bed()
    begun = bed.begin(client_nonce="AAECAwQFBgcICQoL")
    cert = read_pem(begun["auth_cert"])
    key = cert.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(base64.b64decode(begun["client_nonce_signature"]), b"AAECAwQFBgcICQoL", ec.ECDSA(hashes.SHA384()))
    made = bed.aun.state.pki.hierarchy
    chain = [one.certificate for one in (made.issuer, made.registry, made.root)]
    for lower, upper in zip([cert, *chain], [*chain, chain[-1]], strict=True):
        lower.verify_directly_issued_by(upper)
    assert cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "auth.sandbox.test"
    assert begun["auth_curve"] == "P-384"


@pytest.mark.parametrize(
    ("over", "code"),
    [({"aid": "nobody1.sandbox.test"}, -32008), ({"cert": "no PEM"}, -32002), ({"client_nonce": ""}, -32602)],
)
def test_the_first_step_is_refused(over: dict[str, Any], code: int) -> None:
    bed = Bed()
    params: dict[str, Any] = {"aid": AID, "cert": bed.me.cert, "client_nonce": "cn", **over}
    told = bed.call("auth.aid_login1", **params)
    assert code_of(told) == code


def test_another_aids_certificate_begins_no_login() -> None:
    bed = Bed()
    other = bed.mint(BOB)
    assert code_of(bed.call("auth.aid_login1", aid=AID, cert=other.cert, client_nonce="cn")) == -32002


def test_a_login_brings_a_pair_and_the_certificate_in_use() -> None:
    bed = Bed()
    told = bed.login()
    assert told.result is not None
    assert {name: told.result[name] for name in ("status", "aid", "expires_in")} == {
        "status": "ok",
        "aid": AID,
        "expires_in": 3600,
    }
    assert told.result["active_cert"] == bed.me.cert
    assert "new_cert" not in told.result
    assert claims_of(bed.me.access)["exp"] == bed.at + 3600
    assert told.commit is not None
    assert told.commit.successor == fingerprint(bed.me.refresh)


@pytest.mark.parametrize("client_time", ["1764000000.123", 1764000000, 1764000000.25])
def test_the_time_is_signed_as_it_was_sent(client_time: object) -> None:
    bed = Bed()
    begun = bed.begin()
    signature = signed(bed.me.key, f"{begun['nonce']}:{client_time}")
    assert bed.second(begun, client_time=client_time, signature=signature).result is not None


@pytest.mark.parametrize("text", ["{nonce}", "{nonce}:1764000001", "{nonce}1764000000"])
def test_a_signature_over_anything_else_is_refused_and_uses_the_nonce_up(text: str) -> None:
    bed = Bed()
    begun = bed.begin()
    assert code_of(bed.second(begun, signature=signed(bed.me.key, text.format(**begun)))) == -32003
    assert code_of(bed.second(begun)) == -32002


@pytest.mark.parametrize(
    "over", [{"aid": BOB}, {"request_id": "req-other"}, {"nonce": "other"}], ids=["aid", "request_id", "nonce"]
)
def test_a_nonce_is_bound_and_removed_by_any_attempt(over: dict[str, str]) -> None:
    bed = Bed()
    bed.mint(BOB)
    begun = bed.begin()
    assert code_of(bed.second(begun, **over)) == -32002
    assert code_of(bed.second(begun)) == -32002


def test_a_nonce_lives_for_a_minute() -> None:
    bed = Bed()
    begun = bed.begin()
    bed.pass_(60)
    assert code_of(bed.second(begun)) == -32002


def test_logins_do_not_disturb_each_other() -> None:
    bed = Bed()
    first, other = bed.begin(), bed.begin()
    assert bed.second(other).result is not None
    assert bed.second(first).result is not None


def test_a_nonce_that_comes_again_is_a_spent_use_once_its_answer_was_read() -> None:
    bed = Bed()
    begun = bed.begin()
    told = bed.second(begun)
    assert told.result is not None
    bed.second(begun)
    counters = bed.page.counters
    assert (counters.spent_uses, counters.doubtful_replays, counters.reasons) == (0, 1, {"unconfirmed": 1})
    bed.me.refresh = str(told.result["refresh_token"])
    bed.refresh()
    bed.second(begun)
    assert (counters.spent_uses, counters.doubtful_replays) == (1, 1)


def test_a_nonce_that_comes_again_after_a_lost_answer_is_doubtful() -> None:
    bed = Bed()
    begun = bed.begin()
    bed.second(begun, lost_by="lost_after_commit")
    bed.second(begun)
    assert bed.page.counters.reasons == {"lost_after_commit": 1}


def test_past_half_its_life_a_login_brings_a_new_certificate_and_the_old_one_only_verifies() -> None:
    bed = Bed()
    bed.pass_(366 * DAY)
    told = bed.login()
    assert told.result is not None
    assert told.result["new_cert"] == told.result["active_cert"] != bed.me.cert
    states = [one.state for one in bed.aun.agent(AID).certificates]
    assert states == [State.VERIFY_ONLY, State.ACTIVE]
    again = bed.login()
    assert again.result is not None
    assert "new_cert" not in again.result


def test_a_renewal_keeps_the_key_and_a_new_key_revokes_the_old_certificate_at_once() -> None:
    bed = Bed()
    told = bed.renew()
    assert told.result is not None
    assert told.result["status"] == "renewed"
    assert read_pem(told.result["cert"]).public_key() == bed.me.key.public_key()
    assert bed.login().result is not None, "the old certificate still begins a login"
    new = new_key()
    told = bed.rekey(new)
    assert told.result is not None
    assert told.result["status"] == "rekeyed"
    assert read_pem(told.result["cert"]).public_key() == new.public_key()
    assert code_of(bed.call("auth.aid_login1", aid=AID, cert=bed.me.cert, client_nonce="cn")) == -32002
    standing = [one.state for one in bed.aun.agent(AID).certificates]
    assert standing == [State.REVOKED, State.REVOKED, State.ACTIVE]
    assert bed.aun.state.pki.status(read_pem(bed.me.cert).serial_number) == "revoked"


def test_the_new_keys_signature_is_no_old_keys() -> None:
    bed, new = Bed(), new_key()
    bed.me.key, old = new, bed.me.key
    assert code_of(bed.rekey(new)) == -32003
    bed.me.key = old
    assert code_of(bed.rekey(new)) is None


def test_an_expired_certificate_gets_no_token_but_is_renewed_for_ninety_days() -> None:
    bed = Bed()
    bed.pass_(731 * DAY)
    assert code_of(bed.login()) == -32002
    assert code_of(bed.rekey(new_key())) == -32002
    assert bed.renew().result is not None
    bed = Bed()
    bed.pass_((730 + 90) * DAY)
    assert code_of(bed.call("auth.aid_login1", aid=AID, cert=bed.me.cert, client_nonce="cn")) == -32002


def test_a_revoked_certificate_is_never_renewed() -> None:
    bed = Bed()
    begun = bed.begin()
    bed.levers.revoke(AID, Thing.CERTIFICATE, None, bed.at)
    assert code_of(bed.second(begun)) == -32002
    assert code_of(bed.call("auth.aid_login1", aid=AID, cert=bed.me.cert, client_nonce="cn")) == -32002


def test_one_certificate_at_most_is_in_use() -> None:
    bed = Bed(NEW_CERT="always")
    for _ in range(3):
        bed.login()
        bed.renew()
    states = [one.state for one in bed.aun.agent(AID).certificates]
    assert states.count(State.ACTIVE) == 1
    assert states[-1] is State.ACTIVE


def test_certificates_can_be_had_by_their_number() -> None:
    bed = Bed()
    serial = format(read_pem(bed.me.cert).serial_number, "x")
    told = bed.call("auth.download_cert", cert_sn=serial)
    assert told.result is not None
    assert told.result["cert"] == bed.me.cert
    root = bed.call("auth.download_cert", cert_sn="root").result
    assert root is not None
    assert root["cert"] == bed.aun.state.pki.roots
    assert code_of(bed.call("auth.download_cert", cert_sn="f00")) == -32008
    assert code_of(bed.call("auth.download_cert", cert_sn="zz")) == -32602


def test_what_changed_something_is_a_commit_with_what_it_spent_and_brought() -> None:
    bed = Bed()
    begun = bed.begin()
    bed.second(begun)
    bed.renew()
    bed.rekey(new_key())
    commits = bed.page.commits
    assert [one.grant_type for one in commits] == ["auth.aid_login2", "auth.renew_cert", "auth.rekey"]
    assert commits[0].spent == fingerprint(begun["nonce"])
    assert commits[2].successor == fingerprint(bed.aun.agent(AID).newest.pem)
    assert bed.aun.state.books.escrowed([str(commits[2].successor)]) == 1
    assert commits[2].doubt is None
    assert [one.outcome for one in bed.page.calls] == ["ok", "granted", "ok", "granted", "ok", "granted"]

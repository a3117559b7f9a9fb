"""Every constant of AUN's stand-in, each way; and that they are everybody's or one AID's."""

import dataclasses
import enum
import re
from pathlib import Path

import pytest

import freshd.sandbox
from freshd.sandbox.aun.constants import AunConstants, ConstantBook
from tests.sandbox.aun_bed import AID, DAY, Bed
from tests.sandbox.aun_looks import (
    Look,
    active_cert,
    after_cert_revocation,
    after_expiry,
    after_rekey,
    after_reuse,
    bad_cert,
    bad_nonce,
    bad_signature,
    capability,
    cert_life,
    chain_end,
    create_again,
    create_other,
    crl,
    dead_refresh,
    denial,
    expiry_code,
    hello,
    jti,
    just_over,
    just_revoked,
    kid,
    kite_token,
    late_renewal,
    life_told,
    login_names,
    many,
    new_cert,
    no_token,
    ocsp,
    other_device,
    other_mode,
    pong,
    protocol,
    rate,
    rated,
    refresh_after,
    refresh_detail,
    refresh_twice_slowly,
    relogin_flag,
    replay_answer,
    revoked_live,
    rotates,
    said,
    second_try,
    signature_bytes,
    slow_login,
    takeover,
    three_short,
    true_life,
    unknown_aid,
    wrong_nonce,
)

BOB = "bob0001.sandbox.test"
TEXT = (Path(freshd.sandbox.__file__).parent / "README.md").read_text(encoding="utf-8")
# Those that hold for a connection or the HTTP side: tested with sockets, in test_aun_gateway and test_aun_http.
ON_THE_WIRE = {
    "CHALLENGE", "STRAY_FRAMES", "UNKNOWN_FIELDS", "CONNECT_DEADLINE_S", "DISCONNECT_EVENT", "HEALTH_STATUS",
}  # fmt: skip

WAYS: list[tuple[str, object, object, object, Look]] = [
    ("ACCESS_TTL_S", 60, 3600, 60, true_life),
    ("EXPIRES_IN_S", 0, 3600, 0, life_told),
    ("EXPIRES_IN_FORM", "text", 3600, "3600", life_told),
    ("EXPIRES_IN_FORM", "missing", 3600, "absent", life_told),
    ("LOGIN_TOKENS", "no_refresh", ["access_token", "refresh_token"], ["access_token"], login_names),
    ("LOGIN_TOKENS", "token_only", ["access_token", "refresh_token"], ["token"], login_names),
    ("REFRESH_TTL_S", 10 * DAY, "yes", "yes", refresh_after(6 * DAY)),
    ("REFRESH_LIFE_SLIDES", False, "yes", "invalid_or_expired_refresh_token", refresh_twice_slowly),
    ("CHAIN_REFRESHES", 1000, -32005, "yes", chain_end),
    ("CHAIN_TTL_S", DAY, "yes", -32005, refresh_after(2 * DAY)),
    ("ROTATES", False, False, True, rotates),
    ("REUSE_KILLS", "token", (False, None), (True, None), after_reuse),
    ("REUSE_KILLS", "chain_and_access", (False, None), (False, 4001), after_reuse),
    ("REFRESH_GRACE_S", 5, "invalid_or_expired_refresh_token", "yes", replay_answer),
    ("REFRESH_BOUND_TO_DEVICE", True, "yes", "invalid_or_expired_refresh_token", other_device),
    ("REFRESH_DETAIL", True, None, 1, refresh_detail),
    ("REFRESH_REFUSAL", "error", "invalid_or_expired_refresh_token", -32001, dead_refresh),
    ("REFRESH_REFUSAL_TEXT", "refresh not supported", "invalid_or_expired_refresh_token", "refresh not supported",
     dead_refresh),
    ("RELOGIN_FLAG", False, True, None, relogin_flag),
    ("CHAIN_END", "result", -32005, "refresh chain used up", chain_end),
    ("CHAIN_END_CODE", -32001, -32005, -32001, chain_end),
    ("REKEY_ENDS_CHAINS", True, "yes", "invalid_or_expired_refresh_token", after_rekey),
    ("REVOKED_CERT_ENDS_CHAINS", False, "invalid_or_expired_refresh_token", "yes", after_cert_revocation),
    ("LOGIN_NONCE_TTL_S", 30, "yes", -32002, slow_login),
    ("LOGIN_REFUSAL", "result", -32003, "signature verification failed", bad_signature),
    ("UNKNOWN_AID_CODE", 4040, -32008, 4040, unknown_aid),
    ("CERT_CODE", -32001, -32002, -32001, bad_cert),
    ("LOGIN_NONCE_CODE", -32001, -32002, -32001, bad_nonce),
    ("SIGNATURE_CODE", 4001, -32003, 4001, bad_signature),
    ("LOGIN_CERT_REQUIRED", True, "yes", -32002, lambda bed: said(bed.login())),
    ("OLD_CERT_REQUIRED", True, "yes", -32002, lambda bed: said(bed.renew())),
    ("RENEW_TIMED_SIGNATURE", True, -32003, "yes", lambda bed: said(bed.renew(timed=True))),
    ("CERT_TTL_S", 365 * DAY, 730 * DAY, 365 * DAY, cert_life),
    ("RENEW_GRACE_S", DAY, "yes", -32002, late_renewal),
    ("NEW_CERT", "always", "none", "good", new_cert),
    ("NEW_CERT", "wrong_key", "none", "wrong key", new_cert),
    ("NEW_CERT", "foreign", "none", "foreign", new_cert),
    ("ACTIVE_CERT", False, True, False, active_cert),
    ("CREATE_AGAIN", "conflict", "yes", 4090, create_again),
    ("CONFLICT_CODE", -32004, 4090, -32004, create_other),
    ("JWT_KID", "upper_hex", ["hex"], ["upper_hex"], kid),
    ("JWT_KID", "padded_hex", ["hex"], ["padded_hex"], kid),
    ("JWT_KID", "decimal", ["hex"], ["decimal"], kid),
    ("JWT_SIGNATURE", "der", True, False, signature_bytes),
    ("JWT_LEEWAY_S", 10, 4001, None, just_over),
    ("JWT_JTI", True, False, True, jti),
    ("REVOCATION_DELAY_S", 60, 4001, None, just_revoked),
    ("REVOCATION_ENDS_SESSIONS", True, [], [4001], revoked_live),
    ("CHALLENGE_CODE", 4001, 4010, 4001, wrong_nonce),
    ("CONNECT_DENIAL", "answer", (True, True), (True, False), denial),
    ("CONNECT_DENIAL", "close", (True, True), (False, True), denial),
    ("CONNECT_TWICE", False, "yes", 4010, second_try),
    ("TOKEN_CODE", -32001, 4001, -32001, no_token),
    ("PROTOCOL_MIN", "1.5", "1.0", -32000, protocol),
    ("PROTOCOL_MAX", "1.2", "1.0", "1.2", protocol),
    ("NAMESPACES", ["auth"], ["auth", "message", "meta"], ["auth"], capability("namespaces")),
    ("HEARTBEAT_S", 0, 30, 0, hello("heartbeat_interval")),
    ("HEARTBEAT_IN_PONG", True, None, 30, pong),
    ("KITE_TOKEN", True, False, True, kite_token),
    ("PEER_PULL", True, None, True, capability("p2p_peer_pull_v1")),
    ("SESSION_AT_EXPIRY", "close", [], [4001], after_expiry),
    ("SESSION_EXPIRY_CODE", 1000, [4001], [1000], expiry_code),
    ("TAKEOVER", "refuse", (None, [4009]), (4012, []), takeover),
    ("SLOTS_PER_DEVICE", 2, [], [4015], many(3, device="one")),
    ("DEVICES_PER_AID", 2, [], [4015], many(3, slot="one")),
    ("SHORT_PER_SLOT", 2, [None, None, None], [None, None, 4013], three_short),
    ("DELIVERY_CODE", -32602, 4000, -32602, other_mode),
    ("CRL", "pem", ["crl_pem", "next_update", "revoked_serials"], ["crl_pem"], crl),
    ("CRL", "json", ["crl_pem", "next_update", "revoked_serials"], ["next_update", "revoked_serials"], crl),
    ("OCSP", "whole_key", True, True, ocsp),
    ("OCSP", "status", True, False, ocsp),
    ("OCSP", "not_der", True, False, ocsp),
    ("PREAUTH_PER_MIN", 2, [None, None, None], [None, None, -32029], rate),
    ("RATE_CODE", 429, -32029, 429, rated("code")),
    ("RETRY_AFTER_S", 60, 5, 60, rated("retry_after")),
    ("RETRY_AFTER_S", None, 5, None, rated("retry_after")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "other", "default", "changed", "look"), WAYS)
def test_each_way(name: str, other: object, default: object, changed: object, look: Look) -> None:
    assert look(Bed()) == default
    bed = Bed()
    bed.set(None, **{name: other})
    assert look(bed) == changed


def test_the_life_of_a_refresh_token() -> None:
    assert refresh_after(8 * DAY)(Bed()) == "invalid_or_expired_refresh_token"
    assert refresh_after(8 * DAY)(Bed(REFRESH_TTL_S=10 * DAY)) == "yes"


def test_the_code_of_a_refused_refresh() -> None:
    assert dead_refresh(Bed(REFRESH_REFUSAL="error", REFRESH_REFUSAL_CODE=4001)) == 4001


def test_every_constant_is_tried() -> None:
    tried = {name for name, *_ in WAYS} | ON_THE_WIRE | {"REFRESH_REFUSAL_CODE"}
    assert {f"AUN_SIM_{name}" for name in tried} == {field.name for field in dataclasses.fields(AunConstants)}


def test_one_aids_constants_lie_over_everybodys() -> None:
    book = ConstantBook()
    book.change({"AUN_SIM_ACCESS_TTL_S": 60}, aid=AID)
    book.change({"AUN_SIM_ACCESS_TTL_S": 600, "AUN_SIM_ROTATES": False})
    assert (book.of(AID).AUN_SIM_ACCESS_TTL_S, book.of(AID).AUN_SIM_ROTATES) == (60, False)
    assert book.of(BOB).AUN_SIM_ACCESS_TTL_S == book.of().AUN_SIM_ACCESS_TTL_S == 600


@pytest.mark.parametrize(
    "over", [{"AUN_SIM_NO_SUCH": 1}, {"AUN_SIM_ACCESS_TTL_S": -1}, {"AUN_SIM_CRL": "odd"}, {"AUN_SIM_HEALTH_STATUS": 7}]
)
def test_an_impossible_value_changes_nothing(over: dict[str, object]) -> None:
    book = ConstantBook()
    with pytest.raises(ValueError, match="AUN_SIM"):
        book.change({**over, "AUN_SIM_ROTATES": False})
    assert book.of().AUN_SIM_ROTATES


def test_the_readme_names_every_constant_with_its_value() -> None:
    part = TEXT.partition("### AUN's constants")[2].partition("\n#")[0]
    told = dict(re.findall(r"^\| `(AUN_SIM_\w+)` \| ([^|]+) \|", part, re.MULTILINE))
    held = dataclasses.asdict(AunConstants())
    words = {"None": "null", "True": "true", "False": "false"}
    shown = {name: " ".join(value) if isinstance(value, tuple) else str(value) for name, value in held.items()}
    assert told == {name: words.get(value, value) for name, value in shown.items()}


def test_the_readme_names_every_value_that_a_constant_may_have() -> None:
    part = TEXT.partition("### AUN's constants")[2].partition("\n#")[0]
    for field in dataclasses.fields(AunConstants):
        row = next(line for line in part.splitlines() if f"`{field.name}`" in line)
        if isinstance(field.default, enum.StrEnum):
            assert all(f"`{one}`" in row for one in type(field.default)), row

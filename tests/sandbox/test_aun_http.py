"""The HTTP side of the gateway, and the control port."""

import base64
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from freshd.sandbox.server import Running
from tests.sandbox.aun_bed import AID, DAY, read_pem
from tests.sandbox.conftest import Clock, Peer

HALF_LIFE_S = 366 * DAY


async def mint(peer: Peer, **wish: object) -> dict[str, str]:
    kept: dict[str, str] = (await peer.control("POST", "/aun/mint", **{"aid": AID, **wish}))["agents"][0]
    return kept


async def test_discovery_lists_two_gateways_and_what_it_is_told(running: Running, peer: Peer) -> None:
    base = running.base_url.replace("http", "ws")
    listed = (await peer.call("GET", "/.well-known/aun-gateway")).json["gateways"]
    assert listed == [{"url": f"{base}/aun", "priority": 1}, {"url": f"{base}/aun/2", "priority": 2}]
    wish = [{"path": "/aun/2", "priority": 1}, {"url": "wss://gw.else.test/ws"}]
    await peer.control("PATCH", "/aun/service", gateways=wish)
    listed = (await peer.call("GET", "/.well-known/aun-gateway")).json["gateways"]
    assert listed == [{"url": f"{base}/aun/2", "priority": 1}, {"url": "wss://gw.else.test/ws"}]


async def test_health_says_what_it_is_told(peer: Peer) -> None:
    assert (await peer.call("GET", "/health")).status == 200
    await peer.control("PATCH", "/aun/constants", AUN_SIM_HEALTH_STATUS=503)
    assert (await peer.call("GET", "/health")).status == 503


async def test_the_chain_goes_up_to_the_root_to_trust(peer: Peer) -> None:
    chain = x509.load_pem_x509_certificates((await peer.call("GET", "/pki/chain")).body)
    root = read_pem((await peer.control("GET", "/aun/roots"))["pem"])
    assert chain[-1] == root
    for lower, upper in zip(chain, [*chain[1:], root], strict=True):
        lower.verify_directly_issued_by(upper)
    ranks = [one.extensions.get_extension_for_class(x509.BasicConstraints).value for one in chain]
    assert [(one.ca, one.path_length) for one in ranks] == [(True, 0), (True, 1), (True, 2)]
    keys = [one.public_key() for one in chain]
    assert all(isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1) for key in keys)
    assert {type(one.signature_hash_algorithm).__name__ for one in chain} == {"SHA384"}


async def test_a_certificate_is_found_by_its_aid_and_by_its_fingerprint(peer: Peer) -> None:
    assert (await peer.call("GET", f"/pki/cert/{AID}")).status == 404
    assert (await peer.call("HEAD", f"/pki/cert/{AID}")).status == 404
    kept = await mint(peer)
    assert (await peer.call("HEAD", f"/pki/cert/{AID}")).status == 200
    assert (await peer.call("GET", f"/pki/cert/{AID}")).body.decode() == kept["cert"]
    await peer.control("POST", "/aun/age", aid=AID, certificate_s=DAY)
    assert (await peer.call("GET", f"/pki/cert/{AID}")).body.decode() != kept["cert"]
    name = kept["cert_fingerprint"]
    assert (await peer.call("GET", f"/pki/cert/{AID}?cert_fingerprint={name}")).body.decode() == kept["cert"]
    assert (await peer.call("GET", f"/pki/cert/{AID}?cert_fingerprint=00")).status == 404


async def test_what_is_revoked_is_in_the_signed_list(peer: Peer) -> None:
    serial = read_pem((await mint(peer))["cert"]).serial_number
    await peer.control("POST", "/aun/revoke", aid=AID, what="certificate")
    told = (await peer.call("GET", "/pki/crl.json")).json
    crl = x509.load_pem_x509_crl(told["crl_pem"].encode())
    issuer = x509.load_pem_x509_certificates((await peer.call("GET", "/pki/chain")).body)[0]
    assert crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type] # an elliptic key
    assert [one.serial_number for one in crl] == [serial]
    assert told["revoked_serials"] == [format(serial, "x")]
    await peer.control("PATCH", "/aun/constants", AUN_SIM_CRL="absent")
    assert (await peer.call("GET", "/pki/crl.json")).status == 404


@pytest.mark.parametrize("form", ["{:x}", "{:X}", "00{:x}"])
async def test_one_serial_number_is_asked_in_any_writing(peer: Peer, form: str) -> None:
    serial = read_pem((await mint(peer))["cert"]).serial_number
    told = (await peer.call("GET", f"/pki/ocsp/{form.format(serial)}")).json
    assert told["status"] == "good"
    read = ocsp.load_der_ocsp_response(base64.b64decode(told["ocsp_response"]))
    assert (read.certificate_status, read.serial_number) == (ocsp.OCSPCertStatus.GOOD, serial)
    await peer.control("POST", "/aun/revoke", aid=AID, what="certificate")
    assert (await peer.call("GET", f"/pki/ocsp/{form.format(serial)}")).json["status"] == "revoked"


async def test_the_issuers_key_is_hashed_by_the_standard_or_whole(peer: Peer) -> None:
    serial = format(read_pem((await mint(peer))["cert"]).serial_number, "x")
    issuer = x509.load_pem_x509_certificates((await peer.call("GET", "/pki/chain")).body)[0].public_key()
    assert isinstance(issuer, ec.EllipticCurvePublicKey)
    spki = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.Encoding.DER
    point = serialization.PublicFormat.UncompressedPoint, serialization.Encoding.X962
    for kind, (form, encoding) in (("standard", point), ("whole_key", spki)):
        await peer.control("PATCH", "/aun/constants", AUN_SIM_OCSP=kind)
        told = (await peer.call("GET", f"/pki/ocsp/{serial}")).json
        read = ocsp.load_der_ocsp_response(base64.b64decode(told["ocsp_response"]))
        assert read.issuer_key_hash == hashlib.sha256(issuer.public_bytes(encoding, form)).digest()


async def test_an_unknown_serial_number_is_unknown(peer: Peer) -> None:
    assert (await peer.call("GET", "/pki/ocsp/abc")).json["status"] == "unknown"
    assert (await peer.call("GET", "/pki/ocsp/zz")).status == 400
    await peer.control("PATCH", "/aun/constants", AUN_SIM_OCSP="absent")
    assert (await peer.call("GET", "/pki/ocsp/abc")).status == 404


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [("aun.discovery", "/.well-known/aun-gateway"), ("aun.health", "/health"), ("aun.cert", f"/pki/cert/{AID}"),
     ("aun.chain", "/pki/chain"), ("aun.crl", "/pki/crl.json"), ("aun.ocsp", "/pki/ocsp/1")],
)  # fmt: skip
async def test_faults_strike_the_http_side_by_name(peer: Peer, endpoint: str, path: str) -> None:
    await mint(peer)
    await peer.control("POST", "/faults", fault="bad_gateway", endpoint=endpoint, count=1)
    assert (await peer.call("GET", path)).status == 502
    assert (await peer.call("GET", path)).status == 200


async def test_minting_gives_all_that_a_client_keeps(peer: Peer) -> None:
    kept = await mint(peer, label="alice")
    key = serialization.load_pem_private_key(kept["private_key"].encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert read_pem(kept["cert"]).public_key() == key.public_key()
    assert kept["label"] == "alice"
    again = await mint(peer, private_key=kept["private_key"])
    assert again["refresh_token"] != kept["refresh_token"]
    status, told = await peer.try_control("POST", "/aun/mint", aid=AID)
    assert (status, "another key" in told["error"]) == (400, True)
    three = (await peer.control("POST", "/aun/mint", label="acct", count=3))["agents"]
    assert [one["aid"] for one in three] == [f"acct-{n}.sandbox.test" for n in (1, 2, 3)]


async def test_a_certificate_can_be_old_from_the_start(peer: Peer, clock: Clock) -> None:
    cert = read_pem((await mint(peer, cert_age_s=10 * DAY, cert_ttl_s=9 * DAY))["cert"])
    assert cert.not_valid_after_utc.timestamp() == clock() - DAY


async def test_how_an_aid_stands_is_shown_without_secrets(peer: Peer) -> None:
    kept = await mint(peer)
    await peer.control("POST", "/aun/age", aid=AID, refreshes=700, chain_s=DAY)
    shown = await peer.control("GET", f"/aun/agents/{AID}")
    assert shown["chains"][0]["refreshes"] == 700
    assert shown["certificates"][0]["standing"] == "active_signing"
    assert kept["refresh_token"] not in str(shown)
    assert kept["access_token"] not in str(shown)


async def test_tokens_and_certificates_can_be_ended(peer: Peer) -> None:
    await mint(peer)
    assert (await peer.control("POST", "/aun/expire", aid=AID, what="tokens"))["expired"] == 2
    await mint(peer, aid="bob0001.sandbox.test")
    wish = {"aid": "bob0001.sandbox.test"}
    assert (await peer.control("POST", "/aun/expire", **wish, what="certificate"))["expired"] == 1
    standing = [one["standing"] for one in (await peer.control("GET", f"/aun/agents/{wish['aid']}"))["certificates"]]
    assert set(standing) == {"expired"}
    assert (await peer.control("POST", "/aun/revoke", **wish, what="tokens"))["revoked"] == 2
    assert (await peer.control("POST", "/aun/revoke", **wish, what="tokens"))["revoked"] == 0


@pytest.mark.parametrize("flaw", ["none", "expired", "early", "foreign", "revoked", "other_name"])
async def test_the_auth_certificate_can_roll_over_sound_or_not(
    running: Running, peer: Peer, clock: Clock, flaw: str
) -> None:
    old = x509.load_pem_x509_certificates((await peer.call("GET", "/pki/chain")).body)
    told = await peer.control("POST", "/aun/rollover", curve="P-256", flaw=flaw)
    assert (told["curve"], told["keys"]) == ("P-256", 2)
    cert = running.stands["aun"].aun.state.pki.signer.certificate
    chain = x509.load_pem_x509_certificates((await peer.call("GET", "/pki/chain")).body)
    assert (chain[-1] == old[-1]) is (flaw != "foreign")
    assert ("CN=auth." in cert.subject.rfc4514_string()) is (flaw != "other_name")
    assert (cert.not_valid_before_utc.timestamp() <= clock()) is (flaw != "early")
    assert (clock() < cert.not_valid_after_utc.timestamp()) is (flaw != "expired")
    status = (await peer.call("GET", f"/pki/ocsp/{told['serial']}")).json["status"]
    assert (status == "good") is (flaw != "revoked")


async def test_the_gateways_clock_can_be_wrong(running: Running, peer: Peer, clock: Clock) -> None:
    await peer.control("PATCH", "/aun/service", offset_s=-7200)
    kept = await mint(peer)
    assert float(kept["expires_at"]) == clock() - 3600


async def test_the_script_is_shown_and_taken_back(peer: Peer) -> None:
    line = await peer.control("POST", "/aun/script", operation="auth.aid_login2", code=-32001)
    assert [one["id"] for one in (await peer.control("GET", "/aun/script"))["lines"]] == [line["id"]]
    assert (await peer.control("DELETE", f"/aun/script?id={line['id']}"))["removed"] == 1
    assert (await peer.try_control("POST", "/aun/script", operation="auth.aid_login2"))[0] == 400
    assert (await peer.try_control("POST", "/aun/script", operation="auth.aid_login2", over=[]))[0] == 400


async def test_constants_sessions_and_counters_are_shown(peer: Peer) -> None:
    await peer.control("PATCH", "/aun/constants", aid=AID, AUN_SIM_ACCESS_TTL_S=60)
    assert (await peer.control("GET", f"/aun/constants?aid={AID}"))["AUN_SIM_ACCESS_TTL_S"] == 60
    assert (await peer.control("GET", "/aun/constants"))["AUN_SIM_ACCESS_TTL_S"] == 3600
    assert (await peer.control("GET", "/aun/sessions"))["sessions"] == []
    assert (await peer.control("GET", "/aun/counters"))["connections"] == 0
    assert (await peer.control("POST", "/aun/kick", code=4009))["kicked"] == 0


@pytest.mark.parametrize(
    ("path", "wish"),
    [("/aun/mint", {}), ("/aun/mint", {"label": "a b"}), ("/aun/mint", {"aid": AID, "private_key": "none"}),
     ("/aun/revoke", {"aid": "nobody1.sandbox.test", "what": "tokens"}), ("/aun/rollover", {"flaw": "odd"})],
)  # fmt: skip
async def test_a_malformed_wish_says_what_is_wrong(peer: Peer, path: str, wish: dict[str, str]) -> None:
    status, told = await peer.try_control("POST", path, **wish)
    assert (status, bool(told["error"])) == (400, True)

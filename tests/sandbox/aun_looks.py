"""What one may look at of AUN's stand-in, to see that a constant decides it; each takes a fresh bed."""

import base64
from collections.abc import Callable

from cryptography.x509 import load_pem_x509_crl

from freshd.sandbox.aun.answer import Told
from freshd.sandbox.aun.constants import Crl, Ocsp
from freshd.sandbox.aun.levers import Thing
from freshd.sandbox.aun.revocation import revocation_list, status_answer
from tests.sandbox.aun_bed import AID, DAY, HOUR, Bed, claims_of, code_of, new_key, public, read_pem

BOB = "bob0001.sandbox.test"
Look = Callable[[Bed], object]


def life_told(bed: Bed) -> object:
    result = bed.login().result or {}
    return result.get("expires_in", "absent")


def true_life(bed: Bed) -> object:
    bed.login()
    return claims_of(bed.me.access)["exp"] - bed.at


def login_names(bed: Bed) -> object:
    result = bed.login().result or {}
    return sorted(name for name in result if "token" in name)


def refresh_after(seconds: float) -> Look:
    def look(bed: Bed) -> object:
        bed.pass_(seconds)
        return said(bed.refresh())

    return look


def said(told: Told) -> object:
    """A code, a text, or yes."""
    if told.error is not None:
        return told.error["code"]
    result = told.result or {}
    return "yes" if result.get("success", True) else result["error"]


def refresh_twice_slowly(bed: Bed) -> object:
    bed.pass_(6 * DAY)
    bed.refresh()
    bed.pass_(6 * DAY)
    return said(bed.refresh())


def replay_answer(bed: Bed) -> object:
    old = bed.me.refresh
    bed.refresh()
    bed.pass_(1)
    return said(bed.call("auth.refresh_token", refresh_token=old))


def after_reuse(bed: Bed) -> object:
    first = bed.me.access
    replay_answer(bed)
    alive = said(bed.refresh()) == "yes"
    bed.me.access = first
    return alive, code_of(bed.connect())


def rotates(bed: Bed) -> object:
    old = bed.me.refresh
    bed.refresh()
    return bed.me.refresh == old


def other_device(bed: Bed) -> object:
    bed.refresh(device_id="one")
    return said(bed.refresh(device_id="two"))


def refresh_detail(bed: Bed) -> object:
    return (bed.refresh().result or {}).get("refresh_count")


def dead_refresh(bed: Bed) -> object:
    bed.levers.revoke(AID, Thing.REFRESH, None, bed.at)
    return said(bed.refresh())


def relogin_flag(bed: Bed) -> object:
    bed.levers.revoke(AID, Thing.REFRESH, None, bed.at)
    return (bed.refresh().result or {}).get("relogin_required")


def chain_end(bed: Bed) -> object:
    bed.levers.age(AID, refreshes=720)
    return said(bed.refresh())


def after_rekey(bed: Bed) -> object:
    bed.rekey(new_key())
    return said(bed.refresh())


def after_cert_revocation(bed: Bed) -> object:
    bed.levers.revoke(AID, Thing.CERTIFICATE, None, bed.at)
    return said(bed.refresh())


def slow_login(bed: Bed) -> object:
    begun = bed.begin()
    bed.pass_(45)
    return said(bed.second(begun))


def bad_signature(bed: Bed) -> object:
    return said(bed.second(bed.begin(), signature="AAAA"))


def unknown_aid(bed: Bed) -> object:
    return said(bed.call("auth.aid_login1", aid=BOB, cert=bed.me.cert, client_nonce="cn"))


def bad_cert(bed: Bed) -> object:
    return said(bed.call("auth.aid_login1", aid=AID, cert="none", client_nonce="cn"))


def bad_nonce(bed: Bed) -> object:
    return said(bed.second({"request_id": "req", "nonce": "n"}))


def cert_life(bed: Bed) -> object:
    cert = read_pem(bed.mint(BOB).cert)
    return cert.not_valid_after_utc.timestamp() - bed.at


def late_renewal(bed: Bed) -> object:
    bed.pass_(740 * DAY)
    told = bed.call("auth.aid_login1", aid=AID, cert=bed.me.cert, client_nonce="cn")
    return said(told)


def new_cert(bed: Bed) -> object:
    pem = (bed.login().result or {}).get("new_cert")
    if pem is None:
        return "none"
    cert = read_pem(pem)
    if cert.public_key() != bed.me.key.public_key():
        return "wrong key"
    issuer = bed.aun.state.pki.hierarchy.issuer.certificate
    try:
        cert.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - the library raises several types
        return "foreign"
    return "good"


def active_cert(bed: Bed) -> object:
    return "active_cert" in (bed.login().result or {})


def create_again(bed: Bed) -> object:
    return said(bed.call("auth.create_aid", aid=AID, public_key=public(bed.me.key)))


def create_other(bed: Bed) -> object:
    return said(bed.call("auth.create_aid", aid=AID, public_key=public(new_key())))


def kid(bed: Bed) -> object:
    bed.login()
    serial = bed.aun.state.pki.signer.certificate.serial_number
    assert bed.connect().result is not None
    text = base64.urlsafe_b64decode(bed.me.access.split(".")[0] + "==").decode()
    forms = {"hex": f"{serial:x}", "upper_hex": f"{serial:X}", "padded_hex": f"{serial:042x}", "decimal": str(serial)}
    return [name for name, form in forms.items() if f'"kid":"{form}"' in text]


def signature_bytes(bed: Bed) -> object:
    bed.login()
    assert bed.connect().result is not None
    raw = base64.urlsafe_b64decode(bed.me.access.split(".")[2] + "==")
    return len(raw) == 96


def just_over(bed: Bed) -> object:
    bed.pass_(HOUR + 5)
    return code_of(bed.connect())


def jti(bed: Bed) -> object:
    bed.login()
    return "jti" in claims_of(bed.me.access)


def just_revoked(bed: Bed) -> object:
    bed.levers.revoke(AID, Thing.ACCESS, None, bed.at)
    bed.pass_(30)
    return code_of(bed.connect())


def revoked_live(bed: Bed) -> object:
    bed.connect()
    bed.levers.revoke(AID, Thing.ACCESS, None, bed.at)
    return bed.codes


def wrong_nonce(bed: Bed) -> object:
    return said(bed.connect(nonce="other"))


def denial(bed: Bed) -> object:
    bed.levers.revoke(AID, Thing.ACCESS, None, bed.at)
    told = bed.connect()
    return told.is_answered, told.farewell is not None


def second_try(bed: Bed) -> object:
    bed.set(CONNECT_DENIAL="answer")
    dead, peer = bed.me.access, bed.open()
    bed.refresh()
    good, bed.me.access = bed.me.access, dead + "x"
    bed.connect(peer)
    bed.me.access = good
    return said(bed.connect(peer))


def no_token(bed: Bed) -> object:
    return said(bed.connect(auth={}))


def protocol(bed: Bed) -> object:
    told = bed.connect(protocol={"min": "0.9", "max": "1.4"})
    return told.result["protocol"] if told.result is not None else code_of(told)


def hello(name: str) -> Look:
    def look(bed: Bed) -> object:
        return (bed.connect().result or {}).get(name)

    return look


def capability(name: str) -> Look:
    def look(bed: Bed) -> object:
        capabilities = (bed.connect().result or {})["capabilities"]
        assert isinstance(capabilities, dict)
        return capabilities.get(name)

    return look


def pong(bed: Bed) -> object:
    peer = bed.open()
    bed.connect(peer)
    return (bed.call("meta.ping", peer=peer).result or {}).get("heartbeat_interval")


def kite_token(bed: Bed) -> object:
    token = (bed.connect().result or {}).get("token")
    if token is None:
        return False
    bed.me.access = str(token)
    return code_of(bed.connect()) is None


def after_expiry(bed: Bed) -> object:
    bed.connect()
    bed.pass_(HOUR)
    bed.aun.hub.sweep(bed.at)
    return bed.codes


def expiry_code(bed: Bed) -> object:
    bed.set(SESSION_AT_EXPIRY="close")
    return after_expiry(bed)


def takeover(bed: Bed) -> object:
    bed.connect()
    return code_of(bed.connect()), bed.codes


def many(count: int, **kind: str) -> Look:
    def look(bed: Bed) -> object:
        for number in range(count):
            device, slot = (kind.get(name, f"{name}{number}") for name in ("device", "slot"))
            bed.connect(device={"id": device}, client={"slot_id": slot})
        return bed.codes

    return look


def three_short(bed: Bed) -> object:
    return [code_of(bed.connect(options={"kind": "short"})) for _ in range(3)]


def other_mode(bed: Bed) -> object:
    bed.connect()
    return said(bed.connect(client={"slot_id": "b"}, delivery_mode={"mode": "queue"}))


def crl(bed: Bed) -> object:
    bed.levers.revoke(AID, Thing.CERTIFICATE, None, bed.at)
    kind = bed.aun.state.constants.of().AUN_SIM_CRL
    if kind is Crl.ABSENT:
        return "absent"
    told = revocation_list(bed.aun.state.pki, kind, bed.at)
    serial = read_pem(bed.me.cert).serial_number
    if "crl_pem" in told:
        listed = load_pem_x509_crl(str(told["crl_pem"]).encode())
        assert [one.serial_number for one in listed] == [serial]
    return sorted(told)


def ocsp(bed: Bed) -> object:
    kind = bed.aun.state.constants.of().AUN_SIM_OCSP
    if kind is Ocsp.ABSENT:
        return "absent"
    told = status_answer(bed.aun.state.pki, read_pem(bed.me.cert).serial_number, kind, bed.at)
    assert told["status"] == "good"
    return len(str(told.get("ocsp_response", ""))) > 100


def rate(bed: Bed) -> object:
    return [code_of(bed.call("auth.aid_login1", aid=AID, cert=bed.me.cert, client_nonce="cn")) for _ in range(3)]


def rated(name: str) -> Look:
    def look(bed: Bed) -> object:
        bed.set(PREAUTH_PER_MIN=1)
        error = [bed.call("auth.aid_login1") for _ in range(2)][1].error or {}
        data = error["data"]
        assert isinstance(data, dict)
        return error["code"] if name == "code" else data.get("retry_after")

    return look

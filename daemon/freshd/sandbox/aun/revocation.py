"""How the stand-in says what is revoked: a signed list and a signed answer for one serial number.

Rules: the list is signed by the issuer and lives for an hour. The answer exists in two forms, because clients disagree
about how an issuer's key is hashed: the standard's (RFC 6960), and over the whole SubjectPublicKeyInfo.
"""

import base64
import datetime as dt
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from freshd.sandbox.aun.authority import Authority, moment
from freshd.sandbox.aun.constants import Crl, Ocsp
from freshd.sandbox.aun.pki import Pki

_LIFE_S = 3600


def revocation_list(pki: Pki, form: Crl, now: float) -> dict[str, object]:
    """Return the members of ``/pki/crl.json``."""
    said: dict[str, object] = {}
    if form is not Crl.JSON:
        said["crl_pem"] = _crl(pki, now)
    if form is not Crl.PEM:
        said |= {"revoked_serials": [format(one, "x") for one in pki.revoked], "next_update": now + _LIFE_S}
    return said


def status_answer(pki: Pki, serial: int, form: Ocsp, now: float) -> dict[str, object]:
    """Return the members of ``/pki/ocsp/{serial}``."""
    status = pki.status(serial)
    said: dict[str, object] = {"status": status, "serial": format(serial, "x"), "next_update": now + _LIFE_S}
    if form is Ocsp.NOT_DER:
        return {**said, "ocsp_response": base64.b64encode(b"no DER at all").decode()}
    if form is Ocsp.STATUS:
        return said
    if status == "unknown":
        blank = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
        return {**said, "ocsp_response": _base64(blank)}
    return {**said, "ocsp_response": _base64(_response(pki, serial, form, now))}


def _crl(pki: Pki, now: float) -> str:
    issuer = pki.hierarchy.issuer
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(moment(now))
        .next_update(moment(now) + dt.timedelta(seconds=_LIFE_S))
    )
    for serial, at in pki.revoked.items():
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment(at)).build()
        builder = builder.add_revoked_certificate(revoked)
    return builder.sign(issuer.key, issuer.hash).public_bytes(serialization.Encoding.PEM).decode()


def _response(pki: Pki, serial: int, form: Ocsp, now: float) -> ocsp.OCSPResponse:
    issuer = pki.signer.hierarchy.issuer
    revoked_at = pki.revoked.get(serial)
    builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
        issuer_name_hash=hashlib.sha256(issuer.certificate.subject.public_bytes()).digest(),
        issuer_key_hash=_key_hash(issuer, form),
        serial_number=serial,
        algorithm=hashes.SHA256(),
        cert_status=ocsp.OCSPCertStatus.GOOD if revoked_at is None else ocsp.OCSPCertStatus.REVOKED,
        this_update=moment(now),
        next_update=moment(now + _LIFE_S),
        revocation_time=None if revoked_at is None else moment(revoked_at),
        revocation_reason=None,
    )
    return builder.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer.certificate).sign(issuer.key, issuer.hash)


def _key_hash(issuer: Authority, form: Ocsp) -> bytes:
    key = issuer.key.public_key()
    if form is Ocsp.WHOLE_KEY:
        whole = serialization.PublicFormat.SubjectPublicKeyInfo
        return hashlib.sha256(key.public_bytes(serialization.Encoding.DER, whole)).digest()
    point = serialization.PublicFormat.UncompressedPoint
    return hashlib.sha256(key.public_bytes(serialization.Encoding.X962, point)).digest()


def _base64(response: ocsp.OCSPResponse) -> str:
    return base64.b64encode(response.public_bytes(serialization.Encoding.DER)).decode()

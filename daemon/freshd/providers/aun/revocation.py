"""What an issuer says of revoked certificates: its list, and its answer about one.  Pure and total.

Rules
-----
* A certificate counts as revoked as soon as one of the forms says so: the signed list, the plain one, the signed answer
  or the plain word beside it.  Whatever else comes back says nothing, and nothing is not a no.
* Signatures are not asked for here: a forged list can only stop a login, which whoever is in between can do anyway.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography import x509
from cryptography.x509 import ocsp

from freshd.core.outcome import Performed, Reply
from freshd.providers.aun.certificate import UNREADABLE
from freshd.providers.aun.signing import unbase64
from freshd.providers.form import Foreign, object_of

MOST_SERIALS: Final = 4096
"""More revoked certificates than this are not taken along; the issuer is then asked about one by name."""


def serial_of(text: object) -> int | None:
    """A serial number: hexadecimal with or without leading zeros, or a number."""
    if isinstance(text, bool) or not isinstance(text, str | int):
        return None
    try:
        return text if isinstance(text, int) else int(text, 16)
    except ValueError:
        return None


def listed(performed: Performed) -> frozenset[int]:
    """The serial numbers that a revocation list names."""
    found = _object(performed)
    plain = found.get("revoked_serials")
    serials = {serial_of(one) for one in plain} if isinstance(plain, list) else set()
    try:
        signed = found.get("crl_pem")
        if isinstance(signed, str):
            serials |= {one.serial_number for one in x509.load_pem_x509_crl(signed.encode())}
    except UNREADABLE:
        pass
    return frozenset(serial for serial in serials if serial is not None)


def is_revoked(performed: Performed) -> bool:
    """Whether the answer about one certificate says that it is revoked."""
    found = _object(performed)
    if found.get("status") == "revoked":
        return True
    try:
        der = unbase64(found.get("ocsp_response"))
        return der is not None and _status(der) is ocsp.OCSPCertStatus.REVOKED
    except UNREADABLE:
        return False


def _status(der: bytes) -> ocsp.OCSPCertStatus | None:
    """Raises what `UNREADABLE` names."""
    answer = ocsp.load_der_ocsp_response(der)
    is_told = answer.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    return answer.certificate_status if is_told else None


def _object(performed: Performed) -> dict[str, Any]:
    if not isinstance(performed, Reply) or performed.status != 200 or not performed.complete:
        return {}
    found = object_of(performed)
    return {} if isinstance(found, Foreign) else dict(found)

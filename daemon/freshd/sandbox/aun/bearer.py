"""Access tokens: signed JSON web tokens of the auth service (RFC 7515, RFC 7519).

Rules: ES384 or ES256 by the auth key's curve; ``kid`` names the auth certificate's serial number and chooses the key;
a token never outlives the certificate that signs it. The signature is raw r and s, or DER where that is ordered.
"""

import base64
import json
import math
import secrets
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from freshd.sandbox.aun.constants import AunConstants, JwtSignature, Kid
from freshd.sandbox.aun.pki import Curve, Pki, Signer
from freshd.sandbox.aun.signature import ecdsa

_KIDS = {Kid.HEX: "{:x}", Kid.UPPER_HEX: "{:X}", Kid.PADDED_HEX: "{:042x}", Kid.DECIMAL: "{:d}"}


class BadToken(Exception):
    """A token is not one of ours, or over; the text says which."""


def end_of(pki: Pki, now: float, life_s: float) -> float:
    """Return when a token that is made now ends."""
    return min(now + life_s, pki.signer.ends_at)


def mint(pki: Pki, aid: str, now: float, ends_at: float, constants: AunConstants) -> str:
    """Return a new token for ``aid``; no two are alike."""
    signer = pki.signer
    kid = _KIDS[constants.AUN_SIM_JWT_KID].format(signer.certificate.serial_number)
    alg = "ES384" if signer.curve is Curve.P384 else "ES256"
    claims: dict[str, object] = {"aid": aid, "sub": aid, "iss": f"auth.{pki.issuer}", "aud": "aun"}
    claims |= {"iat": int(now), "exp": math.floor(ends_at)}
    if constants.AUN_SIM_JWT_JTI:
        claims["jti"] = secrets.token_hex(16)
    head = _packed({"alg": alg, "typ": "JWT", "kid": kid}) + "." + _packed(claims)
    signature = signer.key.sign(head.encode(), ecdsa(signer.key))
    if constants.AUN_SIM_JWT_SIGNATURE is JwtSignature.RAW:
        signature = _raw(signature, signer)
    return f"{head}.{_base64url(signature)}"


def read(pki: Pki, text: str, now: float, *, leeway_s: float = 0) -> dict[str, Any]:
    """Return the claims of a token that verifies at ``now``; raises BadToken."""
    parts = text.split(".")
    try:
        header, claims = (json.loads(_unpacked(part)) for part in parts[:2])
        signature = _unpacked(parts[2])
        signer = _signer(pki, str(header["kid"]))
        fits = header["alg"] == ("ES384" if signer.curve is Curve.P384 else "ES256") and len(parts) == 3
        _verify(signer, signature, f"{parts[0]}.{parts[1]}")
        is_ours = claims["iss"] == f"auth.{pki.issuer}" and claims["aud"] == "aun" and claims["aid"] == claims["sub"]
        is_over = now >= claims["exp"] + leeway_s
    except (ValueError, KeyError, IndexError, TypeError, InvalidSignature) as error:
        raise BadToken("no token of this service") from error
    if not fits or not is_ours:
        raise BadToken("no token of this service")
    if is_over:
        raise BadToken("token expired")
    return dict(claims)


def claimed(text: str) -> str:
    """Return the AID that a token names, unverified; empty if it names none."""
    try:
        claims = json.loads(_unpacked(text.split(".")[1]))
    except (ValueError, IndexError):
        return ""
    return str(claims.get("aid", "")) if isinstance(claims, dict) else ""


def _signer(pki: Pki, kid: str) -> Signer:
    for one in pki.signers:
        if kid in (form.format(one.certificate.serial_number) for form in _KIDS.values()):
            return one
    raise ValueError("unknown key")


def _size(signer: Signer) -> int:
    return 48 if signer.curve is Curve.P384 else 32


def _raw(der: bytes, signer: Signer) -> bytes:
    return b"".join(number.to_bytes(_size(signer), "big") for number in decode_dss_signature(der))


def _verify(signer: Signer, signature: bytes, text: str) -> None:
    size = _size(signer)
    if len(signature) == 2 * size:
        numbers = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        signature = encode_dss_signature(*numbers)
    signer.key.public_key().verify(signature, text.encode(), ecdsa(signer.key))


def _packed(fields: dict[str, object]) -> str:
    return _base64url(json.dumps(fields, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unpacked(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)

"""Keys and signatures: ECDSA in DER, base64; the hash follows the curve.  Pure and total.

Rules
-----
* P-256 goes with SHA-256, P-384 with SHA-384, and nothing else: a mixed pair is no signature.
* Ed25519 is taken for certificates of services, never for an identity.
* What cannot be a key is None; no error tells anything of it (I10).
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
HASHES: Final[dict[str, type[hashes.HashAlgorithm]]] = {"secp256r1": hashes.SHA256, "secp384r1": hashes.SHA384}
BROKEN: Final = (ValueError, TypeError, OverflowError, UnsupportedAlgorithm)


def new_key() -> str:
    """A new identity key, PKCS#8 PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def private_key_of(pem: str | None) -> ec.EllipticCurvePrivateKey | None:
    """An identity key; None where the text is none that can be used here."""
    try:
        key = serialization.load_pem_private_key((pem or "").encode(), None)
    except BROKEN:
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in HASHES else None


def spki(key: object) -> bytes | None:
    """A public key's SubjectPublicKeyInfo, DER; None for a key of a kind that has no place here."""
    if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        return None
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_of(pem: str | None) -> bytes | None:
    """The public half of a private key, as `spki`."""
    key = private_key_of(pem)
    return None if key is None else spki(key.public_key())


def public_key_of(der: bytes) -> PublicKey | None:
    """A public key from its SubjectPublicKeyInfo."""
    try:
        key = serialization.load_der_public_key(der)
    except BROKEN:
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) else None


def hash_for(key: object) -> type[hashes.HashAlgorithm] | None:
    """The hash that goes with a key; None where the key is no ECDSA key, or of another curve."""
    return HASHES.get(key.curve.name) if isinstance(key, ec.EllipticCurvePublicKey) else None


def sign(key: ec.EllipticCurvePrivateKey, message: str) -> str:
    """The signature over a text's UTF-8 bytes, base64 of DER."""
    return base64.b64encode(key.sign(message.encode(), ec.ECDSA(HASHES[key.curve.name]()))).decode()


def is_signed(key: object, signature: bytes, message: bytes) -> bool:
    """Whether the signature is that key's, with the hash that goes with its curve."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
            return True
        algorithm = hash_for(key)
        if algorithm is None or not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(signature, message, ec.ECDSA(algorithm()))
    except (InvalidSignature, *BROKEN):
        return False
    return True


def unbase64(text: object) -> bytes | None:
    """The bytes behind base64 of the standard alphabet."""
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except (binascii.Error, ValueError):
        return None

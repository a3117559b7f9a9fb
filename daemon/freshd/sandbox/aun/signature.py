"""ECDSA as AUN writes it: DER in base64, the hash chosen by the key's curve, over exactly agreed text.

Pure. P-384 goes with SHA-384, P-256 with SHA-256; no other pair is accepted.
"""

import base64
import binascii

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PublicKey = ec.EllipticCurvePublicKey


def ecdsa(key: ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) -> ec.ECDSA:
    """Return the scheme that belongs to a key."""
    return ec.ECDSA(hashes.SHA384() if isinstance(key.curve, ec.SECP384R1) else hashes.SHA256())


def sign(key: ec.EllipticCurvePrivateKey, text: str) -> str:
    """Return the signature over the UTF-8 bytes of ``text``."""
    return base64.b64encode(key.sign(text.encode(), ecdsa(key))).decode()


def is_signed(key: ec.EllipticCurvePublicKey, signature: str, text: str) -> bool:
    """Whether ``signature`` (base64 of DER) is the key's over ``text``; never raises."""
    try:
        key.verify(base64.b64decode(signature, validate=True), text.encode(), ecdsa(key))
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def login_text(nonce: str, client_time: str) -> str:
    """What login2 signs; ``client_time`` as it was sent."""
    return f"{nonce}:{client_time}"


def rekey_text(nonce: str, new_public_key: str) -> str:
    """What rekey signs with the old key; ``new_public_key`` as it was sent."""
    return nonce + new_public_key


def read_key(spki: str) -> ec.EllipticCurvePublicKey:
    """Return the elliptic key whose SubjectPublicKeyInfo this base64 is; raises ValueError."""
    try:
        key = serialization.load_der_public_key(base64.b64decode(spki, validate=True))
    except UnsupportedAlgorithm as error:
        raise ValueError("unsupported key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("no elliptic key")  # noqa: TRY004 - the text says another kind of key, not another type
    return key


def spki_of(key: ec.EllipticCurvePublicKey) -> str:
    """Return a key's SubjectPublicKeyInfo in base64."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_bytes(serialization.Encoding.DER, form)).decode()


def read_private_key(pem: str) -> ec.EllipticCurvePrivateKey:
    """Return a P-256 key from its PKCS#8 PEM; raises ValueError."""
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("private_key: expected a P-256 key")  # noqa: TRY004 - as above
    return key


def private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a key as PKCS#8 PEM."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()

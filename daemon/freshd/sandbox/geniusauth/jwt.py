"""The service's key (Ed25519, made at the start), the tokens it signs (RFC 7519 with EdDSA), what it shows of itself.

Rules: a token is text; whether it is still good beyond its own end is for others. Times are whole seconds, so two
tokens of one record made in the same second are the same text.
"""

import base64
import binascii
import datetime as dt
import functools
import json
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

Claims = dict[str, Any]
_HEADER = {"alg": "EdDSA", "typ": "JWT"}
_LINE = 64
_CA_FROM = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_CA_UNTIL = dt.datetime(2120, 1, 1, tzinfo=dt.UTC)


class BadToken(Exception):
    """Not a token of this service."""


class Signer:
    """Signs and reads tokens; its key lives as long as the object."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    def token(self, claims: Mapping[str, object]) -> str:
        """Return the signed token of ``claims``."""
        signed = f"{_packed(_HEADER)}.{_packed(claims)}"
        return f"{signed}.{_b64(self._key.sign(signed.encode()))}"

    def claims(self, text: str) -> Claims:
        """Return the claims of a token of ours, however old; raises BadToken."""
        head, _, signature = text.rpartition(".")
        try:
            self._key.public_key().verify(_unb64(signature), head.encode("ascii"))
            claims = json.loads(_unb64(head.partition(".")[2]))
        except (ValueError, InvalidSignature) as error:
            raise BadToken from error
        return dict(claims)

    def public_pem(self, label: str) -> str:
        """Return the public key under ``label``; what is inside is a SubjectPublicKeyInfo whatever the label says."""
        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        text = base64.b64encode(der).decode()
        lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
        return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])

    @functools.cached_property
    def ca_pem(self) -> str:
        """The certificate of an authority that signs for nobody here."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")])
        key = Ed25519PrivateKey.generate()
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(1).not_valid_before(_CA_FROM).not_valid_after(_CA_UNTIL)
        return builder.sign(key, None).public_bytes(Encoding.PEM).decode()


def peek(text: str) -> Claims:
    """Return what a token says, unproven; nothing where it is none."""
    try:
        claims = json.loads(_unb64(text.split(".")[1]))
    except (ValueError, IndexError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _packed(fields: Mapping[str, object]) -> str:
    return _b64(json.dumps(fields, separators=(",", ":")).encode())


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    if "=" in text:
        raise ValueError("padded")
    try:
        raw = text.encode("ascii")
        return base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError from error

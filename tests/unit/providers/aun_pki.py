"""A small authority for tests: root, registry and issuer on P-384, a login service, agents on P-256."""

import base64
import datetime as dt
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from cryptography.x509.oid import NameOID

HashAlgorithm = hashes.HashAlgorithm
ISSUER = "example.test"
AID = f"alice01.{ISSUER}"
DAY = 86_400.0
NOW = 1_800_000_000.0
Key = ec.EllipticCurvePrivateKey


@lru_cache(maxsize=64)
def key(name: str, *, is_small: bool = False) -> Key:
    """The key of that name: on P-384, small ones on P-256."""
    return ec.generate_private_key(ec.SECP256R1() if is_small else ec.SECP384R1())


def pem_of(one: Key) -> str:
    return one.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def spki_of(one: Key) -> str:
    return base64.b64encode(one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def public(text: str) -> ec.EllipticCurvePublicKey:
    return cast("ec.EllipticCurvePublicKey", load_der_public_key(base64.b64decode(text)))


@dataclass(frozen=True)
class Node:
    """One that has a certificate and may issue others."""

    name: str
    key: Key
    raw: x509.Certificate

    @property
    def pem(self) -> str:
        return self.raw.public_bytes(Encoding.PEM).decode()

    def issue(self, name: str, public_key: ec.EllipticCurvePublicKey, **over: Any) -> str:
        """A certificate for a key, as PEM."""
        return certificate(name, public_key, self.name, self.key, **over).public_bytes(Encoding.PEM).decode()


def certificate(
    name: str, public_key: ec.EllipticCurvePublicKey, issuer: str, signer: Key, *, begins: float = NOW - 100 * DAY,
    life: float = 730 * DAY, is_ca: bool = False, below: int | None = None, digest: HashAlgorithm | None = None,
    serial: int | None = None,
) -> x509.Certificate:  # fmt: skip
    start = dt.datetime.fromtimestamp(begins, dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public_key)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(seconds=life))
        .add_extension(x509.BasicConstraints(is_ca, below), critical=True)
    )
    usual: HashAlgorithm = hashes.SHA256() if isinstance(signer.curve, ec.SECP256R1) else hashes.SHA384()
    return builder.sign(signer, cast("hashes.SHA256", digest or usual))


@dataclass
class Pki:
    """`over`: what is different about the element of that name."""

    over: dict[str, dict[str, Any]] = field(default_factory=dict)
    label: str = ""

    @cached_property
    def root(self) -> Node:
        return self._ca("Test Root", None, 2)

    @cached_property
    def registry(self) -> Node:
        return self._ca("Test Registry", self.root, 1)

    @cached_property
    def issuer(self) -> Node:
        return self._ca("Test Issuer", self.registry, 0)

    @cached_property
    def auth(self) -> Node:
        own = {"key": key(f"{self.label}auth"), "name": f"auth.{ISSUER}", **self.over.get("auth", {})}
        one, name, signer = own.pop("key"), own.pop("name"), own.pop("signer", self.issuer)
        return Node(name, one, certificate(name, one.public_key(), signer.name, signer.key, **own))

    @property
    def chain(self) -> str:
        return self.issuer.pem + self.registry.pem + self.root.pem

    def agent(self, one: Key, name: str = AID, **over: Any) -> str:
        """An agent's certificate."""
        return self.issuer.issue(name, one.public_key(), **over)

    def _ca(self, name: str, above: Node | None, below: int) -> Node:
        one = key(f"{self.label}{name}")
        signer, issuer = (one, name) if above is None else (above.key, above.name)
        own = {"is_ca": True, "below": below, "life": 7300 * DAY, **self.over.get(name, {})}
        return Node(name, one, certificate(name, one.public_key(), issuer, signer, **own))


def signed(one: Key, message: bytes) -> str:
    """A signature with the hash that goes with the key."""
    digest = hashes.SHA256() if isinstance(one.curve, ec.SECP256R1) else hashes.SHA384()
    return base64.b64encode(one.sign(message, ec.ECDSA(digest))).decode()

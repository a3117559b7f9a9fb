"""The certification authorities above an issuer: root, registry and issuer, all P-384, and what they sign.

Rules: each has its own key; path lengths are 2, 1 and 0; a certificate starts a little before its moment, so that a
client whose clock lags believes it. Pure but for the randomness of keys and serial numbers.
"""

import dataclasses
import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY_S = 86400
_CA_LIFE_S = 20 * 365 * DAY_S
_EARLY_S = DAY_S  # how long before their making the authorities are valid

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey


@dataclasses.dataclass(frozen=True, slots=True)
class Authority:
    """One authority."""

    key: PrivateKey
    certificate: x509.Certificate

    @property
    def hash(self) -> hashes.SHA384:
        """What it signs with."""
        return hashes.SHA384()


class Hierarchy:
    """Root, registry and issuer of one issuer's domain."""

    def __init__(self, issuer: str, now: float) -> None:
        """Make all three at ``now``, in wall seconds."""
        self.root = self._below(None, "Sandbox Root CA", 2, now)
        self.registry = self._below(self.root, "Sandbox Registry CA", 1, now)
        self.issuer = self._below(self.registry, f"Issuer CA of {issuer}", 0, now)

    @property
    def chain(self) -> str:
        """The PEM bundle, issuer first, root last."""
        return "".join(pem_of(one.certificate) for one in (self.issuer, self.registry, self.root))

    def certify(self, name: str, key: PublicKey, begins_at: float, ends_at: float) -> x509.Certificate:
        """Sign a certificate of an agent or a service."""
        return _signed(self.issuer, name, key, begins_at, ends_at, x509.BasicConstraints(ca=False, path_length=None))

    @staticmethod
    def _below(above: Authority | None, name: str, path_length: int, now: float) -> Authority:
        key = ec.generate_private_key(ec.SECP384R1())
        constraints = x509.BasicConstraints(ca=True, path_length=path_length)
        certificate = _signed(above or key, name, key.public_key(), now - _EARLY_S, now + _CA_LIFE_S, constraints)
        return Authority(key, certificate)


def pem_of(certificate: x509.Certificate) -> str:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def moment(at: float) -> dt.datetime:
    """Return wall seconds as certificates write them, whole seconds in UTC."""
    return dt.datetime.fromtimestamp(int(at), dt.UTC)


def _signed(
    by: Authority | PrivateKey, name: str, key: PublicKey, begins_at: float, ends_at: float, rank: x509.BasicConstraints
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    itself = not isinstance(by, Authority)
    signer = by.key if isinstance(by, Authority) else by
    usage = x509.KeyUsage(
        digital_signature=not rank.ca,
        key_cert_sign=rank.ca,
        crl_sign=rank.ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if itself else _issuer_name(by))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment(begins_at))
        .not_valid_after(moment(ends_at))
        .add_extension(rank, critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    return builder.sign(signer, hashes.SHA384())


def _issuer_name(by: Authority | PrivateKey) -> x509.Name:
    if not isinstance(by, Authority):
        raise TypeError("a bare key has no name")
    return by.certificate.subject

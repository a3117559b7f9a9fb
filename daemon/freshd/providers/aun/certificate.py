"""X.509 certificates: what they say, who issued them, and whether a chain ends at a trusted root.  Pure and total.

Rules
-----
* What cannot be read is None, whatever is wrong with it; nothing here raises for any bytes.
* A signature counts with the hash that goes with the issuer's curve only (`signing`).
* A chain is told from its issuing CA up; its last element signs itself, and its name and key are those of a root that
  is trusted here.  Every element is in its time, is a CA, and has no more CAs below it than it allows (RFC 5280 6.1).
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from freshd.providers.aun.signing import BROKEN, PublicKey, hash_for, public_key_of, spki
from freshd.providers.aun.unknowns import CLOCK_SECONDS

UNREADABLE: Final = (
    *BROKEN, x509.InvalidVersion, x509.DuplicateExtension, x509.ExtensionNotFound, CryptographyDeprecationWarning
)  # fmt: skip
LONGEST_CHAIN: Final = 8
LONGEST_PEM_CHARACTERS: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Certificate:
    """What one says.

    name    common name of its subject; "" where there is none, or several
    public  its public key, DER of SubjectPublicKeyInfo
    begins, ends  seconds since 1970
    below   how many CAs may stand below it in a chain; None: any number
    """

    raw: x509.Certificate = field(repr=False)
    name: str
    public: bytes = field(repr=False)
    begins: float
    ends: float
    serial: int
    is_ca: bool
    below: int | None = None

    @property
    def pem(self) -> str:
        """As text."""
        return self.raw.public_bytes(Encoding.PEM).decode()

    @property
    def half(self) -> float:
        """When half of its life is over."""
        return (self.begins + self.ends) / 2

    @property
    def key(self) -> PublicKey | None:
        """Its public key."""
        return public_key_of(self.public)

    def is_in_time(self, wall: float, slack: float = CLOCK_SECONDS) -> bool:
        """Whether it holds at that second, give or take the slack of clocks."""
        return self.begins - slack <= wall <= self.ends + slack


def certificate_of(text: object) -> Certificate | None:
    """The one certificate of a PEM text."""
    if not isinstance(text, str) or len(text) > LONGEST_PEM_CHARACTERS:
        return None
    try:
        with _strictly():
            return _described(x509.load_pem_x509_certificate(text.encode()))
    except UNREADABLE:
        return None


def chain_of(text: str) -> tuple[Certificate, ...]:
    """The certificates of a PEM bundle; empty where one of them cannot be read."""
    try:
        with _strictly():
            return tuple(_described(raw) for raw in x509.load_pem_x509_certificates(text.encode()))
    except UNREADABLE:
        return ()


@contextlib.contextmanager
def _strictly() -> Iterator[None]:
    """What RFC 5280 forbids and the library still reads, with a warning, cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CryptographyDeprecationWarning)
        yield


def is_issued_by(one: Certificate, issuer: Certificate) -> bool:
    """Whether names and signature say so."""
    try:
        algorithm = one.raw.signature_hash_algorithm
        wanted = hash_for(issuer.key)
        if wanted is None and not isinstance(issuer.key, ed25519.Ed25519PublicKey):
            return False
        if wanted is not None and not isinstance(algorithm, wanted):
            return False
        one.raw.verify_directly_issued_by(issuer.raw)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def chain_problem(chain: Sequence[Certificate], roots: Sequence[Certificate], wall: float) -> str | None:
    """What is wrong with an issuer's chain, as a word; None where it ends at a root of ours."""
    if not 0 < len(chain) <= LONGEST_CHAIN:
        return "chain-missing"
    if not all(one.is_in_time(wall) for one in chain):
        return "chain-dates"
    if not all(one.is_ca and (one.below is None or one.below >= place) for place, one in enumerate(chain)):
        return "chain-no-ca"
    if not all(is_issued_by(one, issuer) for one, issuer in zip(chain, (*chain[1:], chain[-1]), strict=True)):
        return "chain-broken"
    last = chain[-1]
    if not any(root.public == last.public and root.name == last.name for root in roots):
        return "chain-root"
    return None


def _described(raw: x509.Certificate) -> Certificate:
    """Raises what `UNREADABLE` names."""
    names = [str(one.value) for one in raw.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    public = spki(raw.public_key())
    if public is None:
        msg = "a key of a kind that has no place here"
        raise ValueError(msg)
    try:
        limits = raw.extensions.get_extension_for_class(x509.BasicConstraints).value
        is_ca, below = limits.ca, limits.path_length
    except x509.ExtensionNotFound:
        is_ca, below = False, None
    begins, ends = raw.not_valid_before_utc.timestamp(), raw.not_valid_after_utc.timestamp()
    return Certificate(raw, names[0] if len(names) == 1 else "", public, begins, ends, raw.serial_number, is_ca, below)

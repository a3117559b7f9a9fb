"""The certificates of one issuer's sandbox: its hierarchy, the auth service's keys through rollovers, what is revoked.

Rules: the newest auth key signs; older ones still verify tokens until they are retired. A flaw on order spoils the
newest auth certificate only, so that agents' own certificates stay good. ``now`` is wall seconds.
"""

import dataclasses
import enum

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from freshd.sandbox.aun.authority import DAY_S, Hierarchy, PublicKey, pem_of

ISSUER = "sandbox.test"
"""The domain below which all AIDs of the sandbox live."""
_AUTH_LIFE_S = 400 * DAY_S
_EARLY_S = 3600


class Curve(enum.StrEnum):
    """Curves of the auth service's key."""

    P384 = "P-384"
    P256 = "P-256"


class Flaw(enum.StrEnum):
    """What may be wrong with the auth certificate."""

    NONE = "none"
    EXPIRED = "expired"
    EARLY = "early"
    FOREIGN = "foreign"
    REVOKED = "revoked"
    OTHER_NAME = "other_name"


@dataclasses.dataclass(frozen=True, slots=True)
class Signer:
    """One key of the auth service. ``hierarchy`` stands behind it: a foreign one where that was ordered."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    hierarchy: Hierarchy

    @property
    def curve(self) -> Curve:
        """The curve, as login1 names it."""
        return Curve.P384 if isinstance(self.key.curve, ec.SECP384R1) else Curve.P256

    @property
    def ends_at(self) -> float:
        """When the certificate ends."""
        return self.certificate.not_valid_after_utc.timestamp()


class Pki:
    """Everything with a serial number."""

    def __init__(self, now: float, issuer: str = ISSUER) -> None:
        """Make hierarchy and auth key at ``now``."""
        self.issuer = issuer
        self.hierarchy = Hierarchy(issuer, now)
        self.revoked: dict[int, float] = {}
        self.issued: set[int] = set()
        self.signers: list[Signer] = []
        self.roll(now)

    @property
    def signer(self) -> Signer:
        """The auth key that signs."""
        return self.signers[-1]

    @property
    def roots(self) -> str:
        """The PEM that a client is to trust."""
        return pem_of(self.hierarchy.root.certificate)

    @property
    def chain(self) -> str:
        """What ``/pki/chain`` says."""
        return self.signer.hierarchy.chain

    def certify(self, name: str, key: PublicKey, begins_at: float, ends_at: float) -> x509.Certificate:
        """Sign an agent's certificate."""
        made = self.hierarchy.certify(name, key, begins_at, ends_at)
        self.issued.add(made.serial_number)
        return made

    def roll(
        self, now: float, *, curve: Curve = Curve.P384, flaw: Flaw = Flaw.NONE, retires_old: bool = False
    ) -> Signer:
        """Give the auth service a new key, which signs from now on; the old ones verify on unless retired."""
        hierarchy = Hierarchy(self.issuer, now) if flaw is Flaw.FOREIGN else self.hierarchy
        begins_at = now + (DAY_S if flaw is Flaw.EARLY else -2 * DAY_S if flaw is Flaw.EXPIRED else -_EARLY_S)
        ends_at = now - DAY_S if flaw is Flaw.EXPIRED else now + _AUTH_LIFE_S
        key = ec.generate_private_key(ec.SECP384R1() if curve is Curve.P384 else ec.SECP256R1())
        name = f"{'mail' if flaw is Flaw.OTHER_NAME else 'auth'}.{self.issuer}"
        certificate = hierarchy.certify(name, key.public_key(), begins_at, ends_at)
        self.issued.add(certificate.serial_number)
        if flaw is Flaw.REVOKED:
            self.revoke(certificate.serial_number, now)
        made = Signer(key, certificate, hierarchy)
        self.signers = [made] if retires_old else [*self.signers, made]
        return made

    def revoke(self, serial: int, now: float) -> None:
        """Put a certificate on the list."""
        self.revoked.setdefault(serial, now)

    def status(self, serial: int) -> str:
        """Return what is known of a serial number: ``good``, ``revoked`` or ``unknown``."""
        if serial in self.revoked:
            return "revoked"
        return "good" if serial in self.issued else "unknown"

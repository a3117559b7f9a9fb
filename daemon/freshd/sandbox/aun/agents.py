"""The registered AIDs and their certificates.

Rules: an AID has one ``active_signing`` certificate; renewing makes the old one ``verify_only``, a new key revokes it
at once. A certificate's dates here are those of its PEM, unless it was aged from behind. ``now`` is wall seconds.
"""

import dataclasses
import enum
import re

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from freshd.sandbox.aun.authority import pem_of
from freshd.sandbox.aun.pki import Pki
from freshd.sandbox.aun.signature import PublicKey, read_key

NAME = re.compile(r"(?!guest)[a-z0-9_][a-z0-9_-]{3,63}")
_EARLY_S = 60


class State(enum.StrEnum):
    """What a certificate is good for."""

    ACTIVE = "active_signing"
    VERIFY_ONLY = "verify_only"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Certificate:
    """One certificate; ``fingerprint`` is SHA-256 of its DER, in hex."""

    pem: str
    serial: int
    fingerprint: str
    begins_at: float
    ends_at: float
    state: State = State.ACTIVE

    def standing(self, now: float) -> State:
        """Return what it is worth at ``now``."""
        ended = now >= self.ends_at and self.state is not State.REVOKED
        return State.EXPIRED if ended else self.state

    def is_past_half(self, now: float) -> bool:
        """Whether more than half of its validity is gone."""
        return now > (self.begins_at + self.ends_at) / 2


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Agent:
    """One AID; ``spki`` is its public key as base64, ``label`` its name in the books."""

    aid: str
    label: str
    spki: str
    certificates: list[Certificate] = dataclasses.field(default_factory=list)

    @property
    def newest(self) -> Certificate:
        """The certificate issued last."""
        return self.certificates[-1]

    @property
    def key(self) -> PublicKey:
        """The registered key."""
        return read_key(self.spki)

    def find(self, pem: str) -> Certificate | None:
        """Return the certificate of this PEM, if it is one of this AID's."""
        try:
            name = fingerprint_of(x509.load_pem_x509_certificate(pem.encode()))
        except ValueError:
            return None
        return next((one for one in self.certificates if one.fingerprint == name), None)


class Agents:
    """All of them."""

    def __init__(self, pki: Pki) -> None:
        """Have certificates signed by ``pki``."""
        self._pki = pki
        self._agents: dict[str, Agent] = {}

    def find(self, aid: str) -> Agent | None:
        """Return an AID's record."""
        return self._agents.get(aid)

    def by_serial(self, serial: int) -> Certificate | None:
        """Return a certificate by its serial number."""
        every = (one for agent in self._agents.values() for one in agent.certificates)
        return next((one for one in every if one.serial == serial), None)

    def is_name(self, aid: str) -> bool:
        """Whether an AID may be registered here."""
        name, _, issuer = aid.partition(".")
        return issuer == self._pki.issuer and NAME.fullmatch(name) is not None

    def register(self, aid: str, spki: str, now: float, life_s: float, *, label: str | None = None) -> Agent:
        """Add an AID with its first certificate; raises ValueError for a bad name or key."""
        if not self.is_name(aid):
            raise ValueError(f"aid: expected a name of 4 to 64 characters below {self._pki.issuer}")
        read_key(spki)
        agent = self._agents[aid] = Agent(aid=aid, label=label or aid, spki=spki)
        self.certify(agent, now, life_s)
        return agent

    def certify(self, agent: Agent, now: float, life_s: float, *, spki: str | None = None) -> Certificate:
        """Make an AID's next certificate: with its key, or with a new one, which revokes what there is."""
        for old in agent.certificates:
            if spki is not None:
                self.revoke(old, now)
            elif old.state is State.ACTIVE:
                old.state = State.VERIFY_ONLY
        agent.spki = spki or agent.spki
        made = self.sign(agent.aid, agent.key, now - min(_EARLY_S, life_s / 10), now + life_s)
        agent.certificates.append(made)
        return made

    def sign(self, aid: str, key: PublicKey, begins_at: float, ends_at: float) -> Certificate:
        """Sign a certificate without registering it."""
        signed = self._pki.certify(aid, key, begins_at, ends_at)
        return Certificate(
            pem=pem_of(signed),
            serial=signed.serial_number,
            fingerprint=fingerprint_of(signed),
            begins_at=begins_at,
            ends_at=ends_at,
        )

    def age(self, agent: Agent, seconds: float) -> None:
        """Make all certificates of an AID so much older; a new PEM says so for the one in use."""
        for one in agent.certificates:
            one.begins_at -= seconds
            one.ends_at -= seconds
        newest = agent.newest
        if newest.state is State.ACTIVE:
            newest.state = State.VERIFY_ONLY
            agent.certificates.append(self.sign(agent.aid, agent.key, newest.begins_at, newest.ends_at))

    def revoke(self, certificate: Certificate, now: float) -> None:
        """Revoke one certificate."""
        certificate.state = State.REVOKED
        self._pki.revoke(certificate.serial, now)


def fingerprint_of(certificate: x509.Certificate) -> str:
    """Return the name under which a certificate may be asked for."""
    return certificate.fingerprint(hashes.SHA256()).hex()

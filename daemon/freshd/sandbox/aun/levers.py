"""What may be done to AUN's stand-in from behind: mint identities, end tokens and certificates, kick, age, roll over.

Pure, for simulations; the control port is a thin layer over it. ``now`` is true time in wall seconds. Everything raises
ValueError for an AID that is not there.
"""

import dataclasses
import enum

from cryptography.hazmat.primitives.asymmetric import ec

from freshd.sandbox.aun.agents import Agent, State
from freshd.sandbox.aun.answer import Farewell, Fields
from freshd.sandbox.aun.pki import Curve, Flaw
from freshd.sandbox.aun.rpc import Aun
from freshd.sandbox.aun.signature import private_pem, read_private_key, spki_of
from freshd.sandbox.tokens import AccessToken, fingerprint


class Thing(enum.StrEnum):
    """What can be ended."""

    ACCESS = "access"
    REFRESH = "refresh"
    TOKENS = "tokens"
    CERTIFICATE = "certificate"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Minting:
    """An identity to be made. What is left empty is made up; ``cert_age_s`` is how old its certificate is."""

    label: str = ""
    aid: str = ""
    private_key: str = ""
    cert_age_s: float = 0
    cert_ttl_s: float | None = None
    count: int = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kick:
    """Whom to kick, and how; None means any. ``code`` 1006 closes without a closing frame."""

    aid: str | None = None
    device_id: str | None = None
    slot_id: str | None = None
    code: int = 4009
    reason: str = "on demand"
    event: bool = True


class AunLevers:
    """The levers."""

    def __init__(self, aun: Aun) -> None:
        """Work on ``aun``."""
        self._aun = aun
        self._state = aun.state

    def mint(self, wish: Minting, now: float) -> Fields:
        """Register an AID (or take the one that is there) and log it in; return all that a client would have kept."""
        now += self._state.offset_s
        aid = wish.aid or f"{wish.label}.{self._state.pki.issuer}"
        key = read_private_key(wish.private_key) if wish.private_key else ec.generate_private_key(ec.SECP256R1())
        spki, promises = spki_of(key.public_key()), self._state.constants.of(aid)
        agent = self._state.agents.find(aid)
        life_s = promises.AUN_SIM_CERT_TTL_S if wish.cert_ttl_s is None else wish.cert_ttl_s
        if agent is None:
            began_at = now - wish.cert_age_s
            agent = self._state.agents.register(aid, spki, began_at, life_s, label=wish.label or aid)
        elif agent.spki != spki:
            raise ValueError("aid: registered with another key")
        access, refresh = self._state.chains.open(agent, promises, now)
        return {
            "label": agent.label,
            "aid": aid,
            "private_key": private_pem(key),
            "public_key": spki,
            "cert": agent.newest.pem,
            "cert_fingerprint": agent.newest.fingerprint,
            "access_token": access.text,
            "expires_at": access.expires_at,
            "refresh_token": refresh.text,
            "refresh_expires_at": refresh.expires_at,
            "lineage": refresh.lineage.id,
            "fingerprint": refresh.fingerprint,
        }

    def revoke(self, aid: str, what: Thing, name: str | None, now: float) -> int:
        """Revoke tokens, all or the one with this fingerprint, or the certificate; return how many were not."""
        now += self._state.offset_s
        agent, done = self._aun.agent(aid), 0
        if what in (Thing.ACCESS, Thing.TOKENS):
            done += self._revoke_access(agent, name, now)
        if what in (Thing.REFRESH, Thing.TOKENS):
            done += self._state.chains.end(agent.label, "revoked", now)
        if what is Thing.CERTIFICATE and agent.newest.state is not State.REVOKED:
            self._state.agents.revoke(agent.newest, now)
            done += 1
            if self._state.promises(agent).AUN_SIM_REVOKED_CERT_ENDS_CHAINS:
                self._state.chains.end(agent.label, "certificate_revoked", now)
        return done

    def expire(self, aid: str, what: Thing, now: float) -> int:
        """Let things reach their end now; return how many lived."""
        now += self._state.offset_s
        agent, done = self._aun.agent(aid), 0
        if what in (Thing.ACCESS, Thing.TOKENS):
            for one in self._living(agent, now):
                one.expires_at, done = now, done + 1
            for session in self._aun.hub.of(aid):
                session.expires_at = now
            self._aun.hub.sweep(now)
        if what in (Thing.REFRESH, Thing.TOKENS):
            for chain in self._state.chains.of(agent.label):
                if chain.head is not None and chain.killed_by is None:
                    chain.head.expires_at, done = now, done + 1
        if what is Thing.CERTIFICATE:
            self._state.agents.age(agent, agent.newest.ends_at - now)
            done += 1
        return done

    def age(self, aid: str, *, chain_s: float = 0, refreshes: int = 0, certificate_s: float = 0) -> int:
        """Make an AID's chains and certificates older; return how many chains there are."""
        agent = self._aun.agent(aid)
        if certificate_s:
            self._state.agents.age(agent, certificate_s)
        return self._state.chains.age(agent.label, chain_s, refreshes)

    def kick(self, wish: Kick) -> int:
        """End sessions; return how many."""
        chosen = self._aun.hub.of(wish.aid, wish.device_id, wish.slot_id)
        for one in chosen:
            detail: Fields = {"aid": one.aid, "device_id": one.device, "slot_id": one.slot}
            self._aun.hub.end(one, Farewell(code=wish.code, reason=wish.reason, detail=detail, event=wish.event))
        return len(chosen)

    def roll(self, now: float, *, curve: Curve, flaw: Flaw, retires_old: bool) -> Fields:
        """Give the auth service a new key; return how it is called."""
        now += self._state.offset_s
        made = self._state.pki.roll(now, curve=curve, flaw=flaw, retires_old=retires_old)
        return {"serial": format(made.certificate.serial_number, "x"), "curve": made.curve, "keys": self._keys()}

    def show(self, aid: str, now: float) -> Fields:
        """Return how an AID stands, with fingerprints."""
        now += self._state.offset_s
        agent = self._aun.agent(aid)
        certificates = [
            {
                "serial": format(one.serial, "x"),
                "fingerprint": one.fingerprint,
                "pem": fingerprint(one.pem),
                "begins_at": one.begins_at,
                "ends_at": one.ends_at,
                "standing": one.standing(now),
            }
            for one in agent.certificates
        ]
        chains = [
            {
                "lineage": one.id,
                "refreshes": one.refreshes,
                "started_at": one.started_at,
                "head": one.head.fingerprint if one.head is not None else None,
                "killed_by": one.killed_by,
            }
            for one in self._state.chains.of(agent.label)
        ]
        shown: Fields = {"aid": aid, "label": agent.label, "public_key": agent.spki}
        return {**shown, "certificates": certificates, "chains": chains}

    def _keys(self) -> int:
        return len(self._state.pki.signers)

    def _living(self, agent: Agent, now: float) -> list[AccessToken]:
        every = (access for chain in self._state.chains.of(agent.label) for access in chain.access)
        return [one for one in every if not one.revoked and now < one.expires_at]

    def _revoke_access(self, agent: Agent, name: str | None, now: float) -> int:
        chosen = [one for one in self._living(agent, now) if name in (None, one.fingerprint)]
        for one in chosen:
            one.revoked = True
            self._state.revoked_at[one.fingerprint] = now
        if self._state.promises(agent).AUN_SIM_REVOCATION_ENDS_SESSIONS:
            gone = {one.fingerprint for one in chosen}
            for session in self._aun.hub.of(agent.aid):
                if session.token in gone:
                    self._aun.hub.end(session, Farewell(code=4001, reason="token revoked"))
        return len(chosen)

"""What keeps an AID's certificate: renewal with the same key, a new key, and the calls around certificates.

Rules: renewal works until some time after the end, never for a revoked certificate. A new key revokes the old
certificate in the same step. Both take up a login's nonce.
"""

from cryptography.hazmat.primitives.asymmetric import ec

from freshd.sandbox.aun.agents import Agent, State
from freshd.sandbox.aun.answer import BAD_PARAMS, Asked, Fields, Refusal, Told
from freshd.sandbox.aun.authority import pem_of
from freshd.sandbox.aun.constants import AunConstants
from freshd.sandbox.aun.login import Login
from freshd.sandbox.aun.nonces import LoginNonce
from freshd.sandbox.aun.signature import login_text, read_key, rekey_text
from freshd.sandbox.aun.state import AunState
from freshd.sandbox.tokens import Commit, fingerprint


class Upkeep:
    """The operations."""

    def __init__(self, state: AunState, login: Login) -> None:
        """Work on ``state``; ``login`` has the nonces."""
        self._state = state
        self._login = login

    def renew(self, asked: Asked, now: float) -> Told:
        """``auth.renew_cert``."""
        asked.needed("aid", "request_id", "nonce", "signature")
        agent, nonce, promises = self._login.take(asked, now)
        texts = [nonce.text]
        if promises.AUN_SIM_RENEW_TIMED_SIGNATURE:
            texts.append(login_text(nonce.text, asked.text("client_time")))
        self._login.check_signature(asked, agent, promises, *texts)
        self._check_old(asked, agent, promises)
        made = self._state.agents.certify(agent, now, promises.AUN_SIM_CERT_TTL_S)
        return self._issued("renewed", agent, self._commit(asked, agent, nonce, made.pem, now))

    def rekey(self, asked: Asked, now: float) -> Told:
        """``auth.rekey``."""
        *_, spki = asked.needed("aid", "request_id", "nonce", "signature", "new_public_key")
        agent, nonce, promises = self._login.take(asked, now)
        self._login.check_signature(asked, agent, promises, rekey_text(nonce.text, spki))
        self._check_old(asked, agent, promises)
        try:
            fits = isinstance(read_key(spki).curve, ec.SECP256R1)
        except ValueError:
            fits = False
        if not fits:
            raise Refusal(BAD_PARAMS, "new_public_key: expected P-256")
        presented = agent.find(nonce.certificate)
        if presented is None or presented.standing(now) is State.EXPIRED:
            raise self._state.login_refusal(promises, promises.AUN_SIM_CERT_CODE, "certificate expired")
        made = self._state.agents.certify(agent, now, promises.AUN_SIM_CERT_TTL_S, spki=spki)
        if promises.AUN_SIM_REKEY_ENDS_CHAINS:
            self._state.chains.end(agent.label, "rekey", now)
        return self._issued("rekeyed", agent, self._commit(asked, agent, nonce, made.pem, now))

    def download(self, asked: Asked, now: float) -> Told:
        """``auth.download_cert``: a certificate by its serial number, or the root."""
        (name,) = asked.needed("cert_sn")
        pki = self._state.pki
        if name == "root":
            return Told(result={"cert": pki.roots, "ca_cert": pki.roots, "cert_chain": [pki.roots]})
        try:
            serial = int(name, 16)
        except ValueError as error:
            raise Refusal(BAD_PARAMS, "cert_sn: no number") from error
        found = self._state.agents.by_serial(serial)
        if found is None:
            raise Refusal(self._state.constants.of().AUN_SIM_UNKNOWN_AID_CODE, "certificate not found")
        return Told(result={"cert": found.pem, "ca_cert": self._issuer, "cert_chain": [found.pem, *self._chain]})

    @property
    def _issuer(self) -> str:
        return pem_of(self._state.pki.hierarchy.issuer.certificate)

    @property
    def _chain(self) -> list[str]:
        hierarchy = self._state.pki.hierarchy
        return [pem_of(one.certificate) for one in (hierarchy.issuer, hierarchy.registry, hierarchy.root)]

    def _check_old(self, asked: Asked, agent: Agent, promises: AunConstants) -> None:
        if promises.AUN_SIM_OLD_CERT_REQUIRED and agent.find(asked.text("old_cert")) is None:
            raise self._state.login_refusal(promises, promises.AUN_SIM_CERT_CODE, "old_cert required")

    def _commit(self, asked: Asked, agent: Agent, nonce: LoginNonce, pem: str, now: float) -> Commit:
        spent = fingerprint(nonce.text)
        commit = self._state.books.certify(asked.method, agent.label, agent.aid, pem, now, spent=spent)
        use = self._state.nonces.use(nonce.text)
        if use is not None:
            use.commit = commit
        return commit

    def _issued(self, status: str, agent: Agent, commit: Commit) -> Told:
        result: Fields = {"status": status, "aid": agent.aid, "cert": agent.newest.pem, "ca_cert": self._issuer}
        return Told(result=result, commit=commit, successor=agent.newest.pem)

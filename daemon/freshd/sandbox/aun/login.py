"""The two steps of a login, and the nonce that the second takes up; renewals take it up the same way.

Rules: login1 checks certificate and AID and changes nothing but the list of open nonces. An expired certificate may
begin a login, because a renewal begins so, but gets no token. State lies with the request, never with the connection.
"""

from cryptography.hazmat.primitives.asymmetric import ec

from freshd.sandbox.aun.agents import Agent, Agents, Certificate, State
from freshd.sandbox.aun.answer import Asked, Fields, Told
from freshd.sandbox.aun.authority import pem_of
from freshd.sandbox.aun.chains import Issue
from freshd.sandbox.aun.constants import AunConstants, ExpiresIn, LoginTokens, NewCert
from freshd.sandbox.aun.nonces import LoginNonce
from freshd.sandbox.aun.pki import Pki
from freshd.sandbox.aun.signature import is_signed, login_text, sign
from freshd.sandbox.aun.state import AunState
from freshd.sandbox.tokens import fingerprint


class Login:
    """The operations."""

    def __init__(self, state: AunState) -> None:
        """Work on ``state``."""
        self._state = state

    def begin(self, asked: Asked, now: float) -> Told:
        """``auth.aid_login1``."""
        aid, pem, client_nonce = asked.needed("aid", "cert", "client_nonce")
        agent, promises = self._state.agent(aid), self._state.constants.of(aid)
        self._check_certificate(agent, pem, promises, now)
        nonce = self._state.nonces.issue(aid, pem, now)
        signer = self._state.pki.signer
        said: Fields = {
            "request_id": nonce.request_id,
            "nonce": nonce.text,
            "server_time": now,
            "client_nonce_signature": sign(signer.key, client_nonce),
            "auth_cert": pem_of(signer.certificate),
            "auth_curve": signer.curve.value,
        }
        return Told(result=said)

    def finish(self, asked: Asked, now: float) -> Told:
        """``auth.aid_login2``."""
        asked.needed("aid", "request_id", "nonce", "signature")
        agent, nonce, promises = self.take(asked, now)
        client_time = asked.text("client_time")
        self.check_signature(asked, agent, promises, login_text(nonce.text, client_time))
        if promises.AUN_SIM_LOGIN_CERT_REQUIRED and agent.find(asked.text("cert")) is None:
            raise self._state.login_refusal(promises, promises.AUN_SIM_CERT_CODE, "certificate required")
        presented = agent.find(nonce.certificate)
        if presented is None or presented.standing(now) not in (State.ACTIVE, State.VERIFY_ONLY):
            raise self._state.login_refusal(promises, promises.AUN_SIM_CERT_CODE, "certificate expired")
        issue = self._state.chains.log_in(agent, promises, now, spent=fingerprint(nonce.text))
        self._state.books.watch(issue.commit)
        self.settle(nonce, issue)
        result: Fields = {"status": "ok", "aid": agent.aid, **tokens_of(issue, promises, now)}
        result |= self._certificates(agent, promises, now)
        return Told(result=result, commit=issue.commit, successor=successor_of(issue))

    def take(self, asked: Asked, now: float) -> tuple[Agent, LoginNonce, AunConstants]:
        """Use a login's nonce up, whatever comes of it; raises Refusal."""
        aid, text = asked.text("aid"), asked.text("nonce")
        known, promises = self._state.agents.find(aid), self._state.constants.of(aid)
        label = known.label if known is not None else aid
        ttl_s = promises.AUN_SIM_LOGIN_NONCE_TTL_S
        nonce = self._state.nonces.take(asked.text("request_id"), text, aid, label, now, ttl_s)
        if isinstance(nonce, str):
            raise self._state.login_refusal(promises, promises.AUN_SIM_LOGIN_NONCE_CODE, nonce)
        agent = self._state.agent(aid)
        self._check_certificate(agent, nonce.certificate, promises, now)
        return agent, nonce, promises

    def check_signature(self, asked: Asked, agent: Agent, promises: AunConstants, *texts: str) -> None:
        """Raise Refusal unless the AID's key signed one of ``texts``."""
        if not any(is_signed(agent.key, asked.text("signature"), text) for text in texts):
            raise self._state.login_refusal(promises, promises.AUN_SIM_SIGNATURE_CODE, "signature verification failed")

    def settle(self, nonce: LoginNonce, issue: Issue) -> None:
        """Note what the nonce was given up for."""
        use = self._state.nonces.use(nonce.text)
        if use is not None:
            use.commit = issue.commit

    def _check_certificate(self, agent: Agent, pem: str, promises: AunConstants, now: float) -> None:
        found = agent.find(pem)
        if found is None or found.standing(now) is State.REVOKED:
            text = "certificate not registered" if found is None else "certificate revoked"
            raise self._state.login_refusal(promises, promises.AUN_SIM_CERT_CODE, text)
        if now >= found.ends_at + promises.AUN_SIM_RENEW_GRACE_S:
            raise self._state.login_refusal(promises, promises.AUN_SIM_CERT_CODE, "certificate expired")

    def _certificates(self, agent: Agent, promises: AunConstants, now: float) -> Fields:
        """Return the certificates that a login brings."""
        said: Fields = {}
        kind, active = promises.AUN_SIM_NEW_CERT, agent.newest
        if kind is NewCert.ALWAYS or (kind is NewCert.HALF_LIFE and active.is_past_half(now)):
            active = self._state.agents.certify(agent, now, promises.AUN_SIM_CERT_TTL_S)
            said["new_cert"] = active.pem
        elif kind in (NewCert.WRONG_KEY, NewCert.FOREIGN):
            said["new_cert"] = self._spoiled(agent, kind, promises, now).pem
        if promises.AUN_SIM_ACTIVE_CERT:
            said["active_cert"] = active.pem
        return said

    def _spoiled(self, agent: Agent, kind: NewCert, promises: AunConstants, now: float) -> Certificate:
        """Return a certificate that no client may take: for another key, or of another authority."""
        foreign = kind is NewCert.FOREIGN
        agents = Agents(Pki(now, self._state.pki.issuer)) if foreign else self._state.agents
        key = agent.key if foreign else ec.generate_private_key(ec.SECP256R1()).public_key()
        return agents.sign(agent.aid, key, now, now + promises.AUN_SIM_CERT_TTL_S)


def tokens_of(issue: Issue, promises: AunConstants, now: float) -> Fields:
    """Return the tokens of an answer in the form that was chosen."""
    text, kind = issue.access.text, promises.AUN_SIM_LOGIN_TOKENS
    said: Fields = {"token": text} if kind is LoginTokens.TOKEN_ONLY else {"access_token": text}
    if issue.refresh is not None:
        said["refresh_token"] = issue.refresh.text
    told = promises.AUN_SIM_EXPIRES_IN_S
    life = int(issue.access.expires_at - now) if told is None else told
    if promises.AUN_SIM_EXPIRES_IN_FORM is not ExpiresIn.MISSING:
        said["expires_in"] = str(life) if promises.AUN_SIM_EXPIRES_IN_FORM is ExpiresIn.TEXT else life
    return said


def successor_of(issue: Issue) -> str:
    """Return the text that an answer must carry."""
    return issue.refresh.text if issue.refresh is not None else issue.access.text

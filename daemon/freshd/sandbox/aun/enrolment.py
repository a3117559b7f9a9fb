"""``auth.create_aid``: a name and a key become an AID with its first certificate, without any authentication."""

from cryptography.hazmat.primitives.asymmetric import ec

from freshd.sandbox.aun.answer import BAD_PARAMS, Asked, Fields, Refusal, Told
from freshd.sandbox.aun.authority import pem_of
from freshd.sandbox.aun.constants import CreateAgain
from freshd.sandbox.aun.signature import read_key
from freshd.sandbox.aun.state import AunState


class Enrolment:
    """The operation."""

    def __init__(self, state: AunState) -> None:
        """Work on ``state``."""
        self._state = state

    def create(self, asked: Asked, now: float) -> Told:
        """Register an AID; the same key again gets the same certificate, or a conflict."""
        aid, spki = asked.needed("aid", "public_key")
        promises, agents = self._state.constants.of(aid), self._state.agents
        _check_key(spki, asked.text("curve"))
        if not agents.is_name(aid):
            raise Refusal(BAD_PARAMS, "not a name of this issuer")
        known = agents.find(aid)
        if known is not None:
            is_same = known.spki == spki and promises.AUN_SIM_CREATE_AGAIN is CreateAgain.SAME
            if not is_same:
                raise Refusal(promises.AUN_SIM_CONFLICT_CODE, "aid is taken")
            return Told(result=self._said(aid, known.newest.pem), outcome="early")
        agent = agents.register(aid, spki, now, promises.AUN_SIM_CERT_TTL_S)
        commit = self._state.books.certify(asked.method, agent.label, aid, agent.newest.pem, now, spent=None)
        pem = agent.newest.pem
        return Told(result=self._said(aid, pem), commit=commit, successor=pem)

    def _said(self, aid: str, pem: str) -> Fields:
        return {
            "aid": aid,
            "cert": pem,
            "ca_cert": pem_of(self._state.pki.hierarchy.issuer.certificate),
            "curve": "P-256",
        }


def _check_key(spki: str, curve: str) -> None:
    """Raise Refusal unless it is a P-256 key."""
    try:
        key = read_key(spki)
    except ValueError as error:
        raise Refusal(BAD_PARAMS, "public_key: no key") from error
    if curve not in ("", "P-256") or not isinstance(key.curve, ec.SECP256R1):
        raise Refusal(BAD_PARAMS, "curve: expected P-256")

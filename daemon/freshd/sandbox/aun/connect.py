"""``auth.connect``: from a challenge and a token to a session.

Rules: the nonce is the connection's own and opens one session. A token counts until its end, or until its revocation
has come through. A refusal may leave the connection open, for another try with the same nonce.
"""

import dataclasses
import re
from collections.abc import Callable

from freshd.sandbox.aun import bearer
from freshd.sandbox.aun.agents import Agent
from freshd.sandbox.aun.answer import BAD_PARAMS, NO_COMMON_PROTOCOL, Asked, Farewell, Fields, Refusal, Told
from freshd.sandbox.aun.books import Use
from freshd.sandbox.aun.constants import AunConstants, Denial
from freshd.sandbox.aun.hub import Hub, Session
from freshd.sandbox.aun.login import Login
from freshd.sandbox.aun.state import AunState
from freshd.sandbox.tokens import fingerprint

_DEVICE = re.compile(r"[A-Za-z0-9._-]{1,128}")
_SLOT = re.compile(r"[A-Za-z0-9._-][A-Za-z0-9._/ :-]{0,127}")


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Peer:
    """One connection; ``leave`` ends it. ``use`` is the use of its nonce."""

    nonce: str
    leave: Callable[[Farewell], None]
    session: Session | None = None
    use: Use | None = None
    refusals: int = 0


class Connector:
    """The operation."""

    def __init__(self, state: AunState, hub: Hub, login: Login) -> None:
        """Work on ``state``; sessions open in ``hub``."""
        self._state = state
        self._hub = hub
        self._login = login

    def connect(self, asked: Asked, peer: Peer, now: float) -> Told:
        """Open a session."""
        self._check_nonce(asked, peer)
        auth = Asked(method=asked.method, params=asked.object("auth"))
        agent, ends_at, token = self._authenticated(auth, peer, now)
        promises = self._state.promises(agent)
        protocol = _negotiated(asked.object("protocol"), promises)
        session = _session(asked, peer, agent, now)
        session.token, session.expires_at = token, ends_at
        self._hub.admit(session, promises)
        peer.session, peer.use = session, self._state.challenges.use(peer.nonce, agent.label)
        result = _hello(session, protocol, promises, now)
        if promises.AUN_SIM_KITE_TOKEN:
            issued_until = bearer.end_of(self._state.pki, now, promises.AUN_SIM_ACCESS_TTL_S)
            result["token"] = bearer.mint(self._state.pki, agent.aid, now, issued_until, promises)
        return Told(result=result)

    def is_revoked(self, token: str, now: float, delay_s: float) -> bool:
        """Whether the gateway knows by now that a token was revoked."""
        access = self._state.chains.ledger.shelf.access_token(token)
        if access is None or not access.revoked:
            return False
        return now >= self._state.revoked_at.get(access.fingerprint, 0.0) + delay_s

    def _check_nonce(self, asked: Asked, peer: Peer) -> None:
        promises = self._state.constants.of()
        text = asked.text("nonce")
        again = peer.refusals > 0 and not promises.AUN_SIM_CONNECT_TWICE
        if not self._state.challenges.is_free(text) or text != peer.nonce or again:
            code = promises.AUN_SIM_CHALLENGE_CODE
            raise Refusal(code, "challenge nonce invalid or expired", farewell=Farewell(code=code, reason="nonce"))

    def _authenticated(self, auth: Asked, peer: Peer, now: float) -> tuple[Agent, float | None, str]:
        """Return who it is, until when, and the token's fingerprint."""
        if auth.text("method") == "aid":
            agent, nonce, promises = self._login.take(auth, now)
            self._login.check_signature(auth, agent, promises, nonce.text)
            return agent, None, ""
        token = auth.text("token") if auth.text("method") == "kite_token" else ""
        try:
            agent, ends_at = self._bearer(token, now)
        except bearer.BadToken as error:
            aid = bearer.claimed(token)
            self._state.books.note_token(aid, token, taken=False)
            raise _denied(str(error), self._state.constants.of(aid), peer) from error
        self._state.books.note_token(agent.aid, token, taken=True)
        return agent, ends_at, fingerprint(token)

    def _bearer(self, token: str, now: float) -> tuple[Agent, float]:
        promises = self._state.constants.of(bearer.claimed(token))
        claims = bearer.read(self._state.pki, token, now, leeway_s=promises.AUN_SIM_JWT_LEEWAY_S)
        agent = self._state.agents.find(str(claims["aid"]))
        if agent is None:
            raise bearer.BadToken("aid unknown")
        access = self._state.chains.ledger.shelf.access_token(token)
        if self.is_revoked(token, now, promises.AUN_SIM_REVOCATION_DELAY_S):
            raise bearer.BadToken("token revoked")
        ends_at = float(claims["exp"])
        if access is not None:
            ends_at = min(ends_at, access.expires_at)
            if now >= ends_at + promises.AUN_SIM_JWT_LEEWAY_S:
                raise bearer.BadToken("token expired")
            if access.born is not None:
                access.born.escrowed = True  # its use vouches for the answer that brought it
        return agent, ends_at


def claimed_aid(asked: Asked) -> str:
    """Return the AID that a token of ``auth.connect`` names, unverified: for the books."""
    auth = asked.object("auth")
    return bearer.claimed(str(auth.get("token", ""))) or str(auth.get("aid", ""))


def _denied(text: str, promises: AunConstants, peer: Peer) -> Refusal:
    peer.refusals += 1
    code, kind = promises.AUN_SIM_TOKEN_CODE, promises.AUN_SIM_CONNECT_DENIAL
    end = None if kind is Denial.ANSWER else Farewell(code=4001, reason=text)
    return Refusal(code, text, farewell=end, is_answered=kind is not Denial.CLOSE)


def _negotiated(wanted: Fields, promises: AunConstants) -> str:
    """Return the highest version both sides know; raises Refusal."""
    low, high = (str(wanted.get(name, "1.0")) for name in ("min", "max"))
    floor, ceiling = promises.AUN_SIM_PROTOCOL_MIN, promises.AUN_SIM_PROTOCOL_MAX
    best = min(_version(high), _version(ceiling))
    if best < max(_version(low), _version(floor)):
        data: Fields = {
            "server_range": {"min": floor, "max": ceiling},
            "client_range": {"min": low, "max": high},
        }
        end = Farewell(code=1002, reason="no common protocol")
        raise Refusal(NO_COMMON_PROTOCOL, "no common protocol version", data=data, farewell=end)
    return ".".join(str(part) for part in best)


def _version(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split("."))
    except ValueError as error:
        raise Refusal(BAD_PARAMS, "protocol: no version") from error


def _session(asked: Asked, peer: Peer, agent: Agent, now: float) -> Session:
    device, client, options = (asked.object(name) for name in ("device", "client", "options"))
    device_id, slot = str(device.get("id") or ""), str(client.get("slot_id") or "")
    if slot and not device_id:
        raise Refusal(BAD_PARAMS, "slot_requires_device_id")
    if (device_id and not _DEVICE.fullmatch(device_id)) or (slot and not _SLOT.fullmatch(slot)):
        raise Refusal(BAD_PARAMS, "device or slot: characters")
    ttl_ms = options.get("short_ttl_ms", 0)
    return Session(
        aid=agent.aid,
        label=agent.label,
        device=device_id,
        slot=slot or "default",
        is_short=options.get("kind") == "short",
        ttl_ms=ttl_ms if isinstance(ttl_ms, int | float) else 0,
        mode=_mode(asked.object("delivery_mode")),
        token="",
        expires_at=None,
        opened_at=now,
        active_at=now,
        extra_info=asked.object("extra_info"),
        client=client,
        leave=peer.leave,
    )


def _mode(wanted: Fields) -> Fields:
    """Return a delivery mode with everything said; raises Refusal."""
    mode = wanted.get("mode", "fanout")
    routing = wanted.get("routing") or ("round_robin" if mode == "queue" else "")
    if mode not in ("fanout", "queue") or (mode == "queue" and routing not in ("round_robin", "sender_affinity")):
        raise Refusal(BAD_PARAMS, "delivery_mode: not one of fanout and queue")
    return {"mode": mode, "routing": routing if mode == "queue" else "", "affinity_ttl_ms": _number(wanted)}


def _number(wanted: Fields) -> float:
    value = wanted.get("affinity_ttl_ms", 0)
    return value if isinstance(value, int | float) else 0


def _hello(session: Session, protocol: str, promises: AunConstants, now: float) -> Fields:
    names = list(promises.AUN_SIM_NAMESPACES)
    capabilities: Fields = {"namespaces": names, "features": {"max_message_size": 1048576}}
    if promises.AUN_SIM_PEER_PULL:
        capabilities["p2p_peer_pull_v1"] = True
    kind = "short" if session.is_short else "long"
    return {
        "status": "ok",
        "protocol": protocol,
        "server_time": now,
        "authenticated": True,
        "identity": {"module_id": f"gateway-client-{session.id}", "role": "agent", "aid": session.aid},
        "trust_level": "low",
        "connection": {"id": session.id, "device_id": session.device, "kind": kind},
        "bridgeInfo": {"name": "Kite Gateway", "version": "0.1"},
        "capabilities": capabilities,
        "heartbeat_interval": promises.AUN_SIM_HEARTBEAT_S,
    }

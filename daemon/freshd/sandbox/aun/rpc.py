"""AUN's gateway as a stand-in: one pure call for each request, on any clock, without sockets.

A change is final the moment ``judge`` returns. ``now`` is true time in wall seconds; the gateway's clock may be off.
"""

import dataclasses
from collections.abc import Callable

from freshd.sandbox.aun import connect
from freshd.sandbox.aun.agents import Agent
from freshd.sandbox.aun.answer import NO_SUCH_METHOD, NOT_A_SESSION, Asked, Farewell, Fields, Refusal, Told
from freshd.sandbox.aun.books import NOBODY
from freshd.sandbox.aun.connect import Connector, Peer
from freshd.sandbox.aun.enrolment import Enrolment
from freshd.sandbox.aun.hub import Hub
from freshd.sandbox.aun.login import Login
from freshd.sandbox.aun.refresh import Refresh
from freshd.sandbox.aun.state import AunState
from freshd.sandbox.aun.upkeep import Upkeep
from freshd.sandbox.counters import Call
from freshd.sandbox.grants import Ledger
from freshd.sandbox.tokens import Delivery, fingerprint

PREAUTH = (
    "auth.create_aid",
    "auth.aid_login1",
    "auth.aid_login2",
    "auth.refresh_token",
    "auth.renew_cert",
    "auth.rekey",
    "auth.download_cert",
)
"""What may be asked without a session."""
_PRESENTED = {"auth.refresh_token": "refresh_token", "auth.aid_login2": "nonce"}
_PRESENTED |= {"auth.renew_cert": "nonce", "auth.rekey": "nonce"}
_EMPTY: dict[str, Fields] = {
    "message.v2.put_peer_pk": {"success": True},
    "group.list_my": {"groups": [], "items": [], "total": 0},
    "message.pull": {"messages": [], "count": 0, "latest_seq": 0},
    "message.v2.pull": {"messages": [], "count": 0, "latest_seq": 0},
}
"""What clients ask as soon as they are connected, and the answer of a service with nothing to tell."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Whom a request is about. ``presented`` is the fingerprint of what works once and came with it."""

    aid: str
    label: str
    presented: str | None = None


class Aun:
    """The service."""

    def __init__(self, ledger: Ledger, now: float) -> None:
        """Make keys and certificates at ``now``; enter into ``ledger``, which may serve others too."""
        self.state = AunState(ledger, now)
        self.hub = Hub(self.state.books, self.state.constants)
        login = Login(self.state)
        self._upkeep = Upkeep(self.state, login)
        self._connector = Connector(self.state, self.hub, login)
        self._operations: dict[str, Callable[[Asked, float], Told]] = {
            "auth.create_aid": Enrolment(self.state).create,
            "auth.aid_login1": login.begin,
            "auth.aid_login2": login.finish,
            "auth.refresh_token": Refresh(self.state).refresh,
            "auth.renew_cert": self._upkeep.renew,
            "auth.rekey": self._upkeep.rekey,
            "auth.download_cert": self._upkeep.download,
        }

    def handle(
        self, method: str, params: Fields, now: float, *, peer: Peer | None = None, lost_by: str | None = None
    ) -> Told:
        """Carry one request through. ``lost_by`` names what eats the answer after the change; None: it arrived."""
        asked, peer = Asked(method=method, params=params), peer or self.open(lambda _: None)
        whose = self.whose(asked, peer)
        note = self.arrive(asked, whose, now)
        told = self.judge(asked, whose, peer, now)
        self.settle(asked, told, note, peer, Delivery(complete=not lost_by, carried=not lost_by, reason=lost_by))
        return told

    def open(self, leave: Callable[[Farewell], None]) -> Peer:
        """A connection begins; ``leave`` is called when the gateway wants to end it."""
        self.state.books.connections += 1
        return Peer(nonce=self.state.challenges.issue(), leave=leave)

    def whose(self, asked: Asked, peer: Peer) -> Whose:
        """Return whom a request is about; asks without changing anything."""
        text = asked.text(_PRESENTED.get(asked.method, ""))
        presented = fingerprint(text) if text else None
        if peer.session is not None and not asked.text("aid"):
            return Whose(aid=peer.session.aid, label=peer.session.label, presented=presented)
        aid = asked.text("aid")
        if asked.method == "auth.refresh_token":
            found = self.state.chains.find(text)
            aid = found[1].holder.client_id if found is not None else ""
        elif asked.method == "auth.connect":
            aid = connect.claimed_aid(asked)
        agent = self.state.agents.find(aid)
        label = agent.label if agent is not None else aid or NOBODY
        return Whose(aid=aid or NOBODY, label=label, presented=presented)

    def arrive(self, asked: Asked, whose: Whose, now: float, *, received_ns: int | None = None) -> Call:
        """Note a request before it is judged."""
        now += self.state.offset_s
        return self.state.books.arrive(
            asked.method, whose.aid, whose.label, now, presented=whose.presented, received_ns=received_ns
        )

    def judge(self, asked: Asked, whose: Whose, peer: Peer, now: float) -> Told:
        """Do what a request asks for, or what was ordered in its place."""
        now += self.state.offset_s
        line = self.state.script.take(asked.method, whose.aid)
        if line is not None and line.stands_in:
            told = Told()
        else:
            try:
                told = self._done(asked, peer, now)
            except Refusal as refusal:
                told = refusal.told()
                self.state.books.refuse(whose.aid, whose.label, told.outcome)
        return told if line is None else line.apply(told)

    def settle(self, asked: Asked, told: Told, note: Call, peer: Peer, delivery: Delivery) -> None:
        """Record how an answer fared."""
        note.outcome = told.outcome
        if told.commit is not None:
            note.outcome, note.commit, told.commit.delivery = "granted", told.commit.serial, delivery
        use = self.state.nonces.use(asked.text("nonce")) or peer.use
        if use is not None and use.delivery is None:
            use.delivery = delivery

    def _done(self, asked: Asked, peer: Peer, now: float) -> Told:
        if asked.method in self._operations:
            if peer.session is None:
                self.state.check_rate(now)
            else:
                peer.session.active_at = now
            return self._operations[asked.method](asked, now)
        if asked.method == "auth.connect":
            return self._connector.connect(asked, peer, now)
        if peer.session is None:
            raise Refusal(NOT_A_SESSION, "not initialised")
        peer.session.active_at = now
        return self._served(asked, peer.session.aid, now)

    def _served(self, asked: Asked, aid: str, now: float) -> Told:
        """Answer what only a session may ask."""
        promises = self.state.constants.of(aid)
        if asked.method == "meta.ping":
            pong: Fields = {"pong": True, "timestamp": now}
            if promises.AUN_SIM_HEARTBEAT_IN_PONG:
                pong["heartbeat_interval"] = promises.AUN_SIM_HEARTBEAT_S
            return Told(result=pong)
        namespace = asked.method.partition(".")[0]
        if asked.method in _EMPTY and namespace in promises.AUN_SIM_NAMESPACES:
            return Told(result=dict(_EMPTY[asked.method]))
        raise Refusal(NO_SUCH_METHOD, "method not found")

    def agent(self, aid: str) -> Agent:
        """Return an AID's record; raises ValueError."""
        found = self.state.agents.find(aid)
        if found is None:
            raise ValueError("aid: not registered")
        return found

"""Futu's login layer as a stand-in: one pure call for each request, on any clock, without sockets.

``handle`` is the whole service for a simulation; ``operation``, ``whose``, ``arrive`` and ``judge`` are the same in
steps, for the HTTP side, which must draw faults in between. A change is final the moment ``judge`` returns.
"""

import dataclasses
from collections.abc import Callable, Mapping

from freshd.sandbox.counters import Books, Call
from freshd.sandbox.futu.account import FutuAccount, FutuAccounts
from freshd.sandbox.futu.answer import Asked, Fields, Granted, Refusal, Told
from freshd.sandbox.futu.books import FutuBooks, bump
from freshd.sandbox.futu.broker import FutuBroker
from freshd.sandbox.futu.constants import ROUTES
from freshd.sandbox.futu.platform import DEVICE_CHECK, THIRD_FACTOR, FutuPlatform
from freshd.sandbox.futu.script import Line
from freshd.sandbox.futu.state import FutuState
from freshd.sandbox.tokens import Delivery, fingerprint

NOBODY = "(unknown)"
_HISTORY = 1024
_PRESENTED = {"authority": "tgtgt", "third_factor": "tgtgt", "repull": "web_sig", "broker_auth": "auth_code"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Whom a request is about. ``presented`` is the fingerprint of the secret that came with it."""

    label: str = NOBODY
    account: FutuAccount | None = None
    broker_id: int | None = None
    presented: str | None = None

    @property
    def uid(self) -> int | None:
        """The account's number."""
        return None if self.account is None else self.account.uid


class FutuService:
    """The service."""

    def __init__(self, books: Books | None = None, *, history: int = _HISTORY) -> None:
        """``books`` None opens some of its own; ``history`` bounds the secrets of each kind that are remembered."""
        self.state = FutuState(FutuBooks(books), FutuAccounts(history))
        self.platform = FutuPlatform(self.state)
        broker = FutuBroker(self.state)
        self._operations: dict[str, Callable[[Asked, float], Granted | Refusal]] = {
            "salt": self.platform.salt,
            "authority": self.platform.login,
            "req_device_code": self.platform.send_code,
            "verify_device_code": self.platform.verify,
            "third_factor": self.platform.third_factor,
            "repull": broker.repull,
            "broker_auth": broker.client_auth,
        }

    def handle(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Mapping[str, object],
        now: float,
        *,
        lost_by: str | None = None,
    ) -> tuple[int, dict[str, str], Fields]:
        """Carry one request through; return status, headers and the answer. ``now`` is true time in wall seconds.

        ``lost_by`` names what eats the answer after the change; None: the caller has it.
        """
        small = {name.lower(): value for name, value in headers.items()}
        asked = Asked(method=method, path=path, query=query, headers=small, body=body)
        operation = self.operation(asked)
        if operation is None:
            return 404, {}, {}
        whose = self.whose(operation, asked)
        note = self.arrive(operation, whose, now)
        told = self.judge(operation, asked, whose, now)
        note.outcome = told.outcome if told.commit is None else "granted"
        note.commit = told.commit.serial if told.commit is not None else None
        arrived = lost_by is None
        for commit in (told.commit, *told.others):
            if commit is not None:
                commit.delivery = Delivery(complete=arrived, carried=arrived, reason=lost_by)
        return told.status, {"Content-Type": "application/json"}, told.answer

    def operation(self, asked: Asked) -> str | None:
        """Return which operation a request is, None if it is none."""
        if asked.method == "GET" and asked.path == self.state.promises(None).FUTU_SIM_SALT_PATH:
            return "salt"
        return ROUTES.get((asked.method, asked.path))

    def whose(self, operation: str, asked: Asked) -> Whose:
        """Return whom a request is about; asks without changing anything."""
        accounts = self.state.accounts
        if operation == "salt":
            account = next((one for one in accounts if one.name in asked.query.values()), None)
        elif operation == "req_device_code":
            account = accounts.checked(asked.query.get("dvs", ""))
        else:
            account = accounts.asked(asked.body)
        text = asked.text(_PRESENTED.get(operation, ""))
        presented = fingerprint(text) if text else None
        broker_id = asked.number("broker_id") if operation in ("repull", "broker_auth") else None
        if account is None:
            return Whose(broker_id=broker_id, presented=presented)
        broker = account.brokers.get(broker_id) if broker_id is not None else None
        label = broker.label if broker is not None else account.label
        return Whose(label=label, account=account, broker_id=broker_id, presented=presented)

    def arrive(self, operation: str, whose: Whose, now: float, *, received_ns: int | None = None) -> Call:
        """Note a request before it is judged; ``now`` is true time."""
        books, now = self.state.books, now + self.state.offset_s
        if whose.account is not None:
            promises, uid = self.state.promises(whose.account), whose.account.uid
            if operation == "authority":
                books.note_authority(uid, now, promises.FUTU_SIM_AUTHORITY_MIN_INTERVAL_S)
            if operation == "repull" and whose.broker_id is not None:
                books.note_repull(uid, whose.broker_id, now)
            if operation == "broker_auth" and whose.broker_id is not None:
                bump(books.tally(uid).broker_auths, whose.broker_id)
        return books.arrive(operation, whose.label, now, presented=whose.presented, received_ns=received_ns)

    def judge(self, operation: str, asked: Asked, whose: Whose, now: float) -> Told:
        """Do what a request asks for, or what was ordered in its place; ``now`` is true time."""
        now += self.state.offset_s
        line = self.state.script.take(operation, whose.uid, whose.broker_id)
        if line is not None and line.stands_in:
            result: Granted | Refusal = self._ordered(operation, line, whose, now)
        else:
            result = self._operations[operation](asked, now)
        told = self._told(result, whose)
        if line is not None:
            told.answer = line.spoiled(told.answer)
        return told

    def _told(self, result: Granted | Refusal, whose: Whose) -> Told:
        answer = result.envelope()
        if isinstance(result, Granted):
            return Told(answer=answer, commit=result.commit, others=result.others, successor=result.successor)
        self.state.books.refuse(whose.label, result.code)
        status = self.state.promises(whose.account).FUTU_SIM_HTTP_STATUS_ON_ERROR
        return Told(answer=answer, status=status, outcome=str(result.code))

    def _ordered(self, operation: str, line: Line, whose: Whose, now: float) -> Refusal:
        """Refuse as ordered; the clocks of haste run on, and a check that a person can pass is opened."""
        account, code = whose.account, line.code or 0
        if account is not None and operation == "authority":
            account.attempt(now, 0)
            if code == DEVICE_CHECK:
                return self.platform.ask_device_check(account, now)
            if code == THIRD_FACTOR:
                return self.platform.ask_third_factor(account, now)
        broker = account.brokers.get(whose.broker_id or 0) if account is not None else None
        if broker is not None and operation == "repull":
            broker.repulls.enter(now, 0)
        return Refusal(code=code, message="on demand")

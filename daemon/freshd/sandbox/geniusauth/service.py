"""GeniusAuth, whole and without sockets: which path does what, and one request from arrival to answer; its mounting.

Rules: ``now`` is true wall seconds; the service's own clock is ``State.offset_s`` away from it. A change is final when
``answer`` returns; how the bytes fared is told afterwards and undoes nothing. Every call has its line in the books.
"""

from collections.abc import Callable, Mapping

from freshd.sandbox.counters import Call
from freshd.sandbox.geniusauth.api import Api
from freshd.sandbox.geniusauth.codes import Refusal, granted, refused
from freshd.sandbox.geniusauth.constants import GeniusConstants
from freshd.sandbox.geniusauth.control import GeniusControl
from freshd.sandbox.geniusauth.front import GeniusFront
from freshd.sandbox.geniusauth.gate import Caller, admit
from freshd.sandbox.geniusauth.jwt import peek
from freshd.sandbox.geniusauth.levers import GeniusLevers
from freshd.sandbox.geniusauth.orders import Operation, Order
from freshd.sandbox.geniusauth.page import LoginPage
from freshd.sandbox.geniusauth.request import Answer, Asked, claimed
from freshd.sandbox.geniusauth.routes import GeniusRoutes
from freshd.sandbox.geniusauth.state import State
from freshd.sandbox.geniusauth.tokens import Tokens
from freshd.sandbox.geniusauth.whose import Whose
from freshd.sandbox.grants import Ledger
from freshd.sandbox.stands import Ground
from freshd.sandbox.tokens import Delivery, Holder, fingerprint
from freshd.sandbox.turn import Stage

NOBODY = "(unknown)"
REFRESH_PATH = "/api/v1/app/token/refresh/"
ROUTES: Mapping[tuple[str, str], Operation] = {
    ("POST", "/api/v1/public/login/verify"): Operation.LOGIN,
    ("POST", REFRESH_PATH): Operation.REFRESH,
    ("PATCH", REFRESH_PATH): Operation.PAYLOAD,
    ("DELETE", REFRESH_PATH): Operation.REVOKE,
    ("POST", "/api/v1/app/token/access/verify"): Operation.VERIFY,
    ("POST", "/api/v1/app/token/access/user/info"): Operation.WHOAMI,
    ("GET", "/api/v1/app/keypair/server"): Operation.KEYPAIR,
    ("GET", "/api/v1/app/user/info"): Operation.USERS,
}
_Handler = Callable[[Caller, float, int | None], Answer]
_JSON = {"Content-Type": "application/json; charset=utf-8"}


class GeniusAuth:
    """The service. ``ledger`` may be shared with other stand-ins."""

    def __init__(self, ledger: Ledger | None = None) -> None:
        """None takes an empty one."""
        self.state = State(ledger or Ledger())
        self.tokens = Tokens(self.state)
        self.page = LoginPage(self.state, self.tokens)
        self.levers = GeniusLevers(self.state, self.tokens)
        api = Api(self.state)
        self._handlers: dict[Operation, _Handler] = {
            Operation.LOGIN: self.tokens.login,
            Operation.REFRESH: self.tokens.refresh,
            Operation.PAYLOAD: self.tokens.change_payload,
            Operation.REVOKE: self.tokens.revoke,
            Operation.VERIFY: api.verify,
            Operation.WHOAMI: api.whoami,
            Operation.KEYPAIR: api.keypair,
            Operation.USERS: api.users,
        }

    def operation(self, asked: Asked) -> Operation | None:
        """Return which operation a request is, None if it is none."""
        return ROUTES.get((asked.method, asked.path))

    def elsewhere(self, asked: Asked) -> str | None:
        """Return where the router sends a request that has a slash too few or too many, None if it does not."""
        other = asked.path.removesuffix("/") if asked.path.endswith("/") else asked.path + "/"
        if (asked.method, other) not in ROUTES:
            return None
        self.state.counts.redirected += 1
        return other + (f"?{asked.query}" if asked.query else "")

    def redirect_status(self, asked: Asked) -> int:
        """Return the status of such an answer."""
        return 301 if asked.method == "GET" else self.state.constants.of().GENIUS_SIM_REDIRECT_STATUS

    def whose(self, operation: Operation, asked: Asked) -> Whose:
        """Return whom a request is about, without judging or changing anything."""
        fields = claimed(asked)
        text = fields.get("token")
        text = text if isinstance(text, str) else ""
        named = str(fields.get("appCode", ""))
        presented = fingerprint(text) if text else None
        holder = self._holder(operation, text)
        if holder is None:
            label = NOBODY if text or not named else named
            return Whose(operation=operation, app_code=named, label=label, presented=presented)
        return Whose(operation=operation, app_code=named or holder.client_id, label=holder.label, presented=presented)

    def arrive(self, whose: Whose, now: float, received_ns: int | None = None) -> Call:
        """Note one call before anything is judged."""
        at = now + self.state.offset_s
        ledger = self.state.records.ledger
        return ledger.arrive(whose.operation, whose.label, at, presented=whose.presented, received_ns=received_ns)

    def answer(self, asked: Asked, whose: Whose, now: float, *, note: Call, subject: int | None = None) -> Answer:
        """Judge one request, carry it out and put it into words; ``note`` learns the outcome.

        ``subject``: the uid that the answer speaks for in place of the right one.
        """
        constants = self.state.constants.of(whose.app_code, whose.label)
        order = self.state.orders.take(whose.operation, whose.app_code, whose.label)
        try:
            answer = self._work(asked, whose, now + self.state.offset_s, subject, order)
        except Refusal as refusal:
            books = self.state.records.ledger.books
            books.count(whose.label, "refused")
            books.sort(whose.label, "errors", str(refusal.code))
            answer = self._refused(refusal, constants)
        else:
            answer.body = granted(answer.data, constants)
            if order is not None and order.after_commit:
                done, answer = answer, self._refused(Refusal(order.code, status=order.status), constants)
                answer.commit, answer.successor = done.commit, done.successor
        note.outcome = answer.outcome
        return answer

    def handle(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes,
        now: float,
        *,
        lost_by: str | None = None,
    ) -> tuple[int, dict[str, str], dict[str, object]]:
        """Carry one request through; return status, headers and the answer: the whole service for a simulation.

        ``lost_by`` names what eats the answer after the change; None: the caller has it.
        """
        small = {name.lower(): value for name, value in headers.items()}
        asked = Asked(method=method, path=path, query=query, headers=small, body=body)
        operation = self.operation(asked)
        if operation is None:
            place = self.elsewhere(asked)
            return (404, {}, {}) if place is None else (self.redirect_status(asked), {"Location": place}, {})
        whose = self.whose(operation, asked)
        note = self.arrive(whose, now)
        answer = self.answer(asked, whose, now, note=note)
        if answer.commit is not None:
            note.commit, note.outcome = answer.commit.serial, "granted"
            arrived = lost_by is None
            answer.commit.delivery = Delivery(complete=arrived, carried=arrived, reason=lost_by)
        return answer.status, dict(_JSON), answer.body

    def _work(self, asked: Asked, whose: Whose, now: float, subject: int | None, order: Order | None) -> Answer:
        if order is not None and not order.after_commit:
            raise Refusal(order.code, status=order.status)
        constants = self.state.constants.of(whose.app_code, whose.label)
        caller = admit(self.state, whose.operation, asked, constants, now)
        return self._handlers[whose.operation](caller, now, subject)

    def _refused(self, refusal: Refusal, constants: GeniusConstants) -> Answer:
        status, body = refused(refusal, constants)
        return Answer(status=status, body=body, outcome=str(refusal.code))

    def _holder(self, operation: Operation, text: str) -> Holder | None:
        if operation is Operation.LOGIN:
            login = self.state.records.login(text)
            return None if login is None else login.holder
        record = self.state.records.find(peek(text).get("id"))
        return None if record is None else record.holder


def mount(ground: Ground) -> GeniusAuth:
    """Add the service to the sandbox's ports. It lives on a clock of its own: the sandbox's, less its error."""
    genius, stage = GeniusAuth(ground.service.ledger), ground.service.stage
    own = Stage(stage.faults, lambda: stage.now() + genius.state.offset_s, stage.closing)
    ground.public.add_routes(GeniusRoutes(genius, own, stage.now, ROUTES).routes())
    ground.public.add_routes(GeniusFront(genius.page, own.now, lambda: ground.service.approves_at_once).routes())
    ground.control.add_routes(GeniusControl(genius.state, genius.levers, genius.page, own.now).routes())
    ground.service.vouchers.append(genius.state.records.escrowed)
    return genius

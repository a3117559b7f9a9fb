"""A CloudBase environment, whole and without sockets: which path does what, one request from arrival to answer. Pure.

Rules: ``now`` (wall seconds) is an argument. A change is final when ``answer`` returns; how the bytes fared is told
afterwards and undoes nothing. Every sign-in and every grant counts as the endpoint ``token``.
"""

import collections
import dataclasses
from collections.abc import Callable

from freshd.sandbox.cloudbase.account import TOKEN_PATH, TokenCalls
from freshd.sandbox.cloudbase.asked import Asked
from freshd.sandbox.cloudbase.captcha import Captchas
from freshd.sandbox.cloudbase.client import ENV, CloudbaseClients
from freshd.sandbox.cloudbase.code import Verifications
from freshd.sandbox.cloudbase.constants import ConstantsBook, Gate
from freshd.sandbox.cloudbase.notary import CloudbaseNotary
from freshd.sandbox.cloudbase.order import Orders
from freshd.sandbox.cloudbase.provider import Providers
from freshd.sandbox.cloudbase.refusal import Refusal, word
from freshd.sandbox.cloudbase.request import Answer, Request
from freshd.sandbox.cloudbase.session import Sessions
from freshd.sandbox.cloudbase.signin import SignIns
from freshd.sandbox.cloudbase.ticket import TicketKeys, claimed_uid
from freshd.sandbox.cloudbase.user import User, Users
from freshd.sandbox.counters import Call
from freshd.sandbox.grants import Ledger
from freshd.sandbox.tokens import fingerprint

UNKNOWN_LABEL = "(unknown)"
GRANTS = ("refresh_token", "password", "client_credentials")
INTERACTIVE_GRANTS = ("authorization_code", "urn:ietf:params:oauth:grant-type:device_code", "device_code")
"""Known, and not imitated."""
SIGN_INS = ("signin", "anonymously", "custom", "with_provider")
_PRESENTED = {
    "refresh_token": "refresh_token",
    "signin": "verification_token",
    "custom": "ticket",
    "with_provider": "provider_token",
}
_MINUTE_S = 60
_Handler = Callable[[Asked], Answer]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Which account a request is about, as faults and books name it; ``presented`` is a fingerprint.

    ``endpoint`` is what fault rules call it; ``operation`` the name in the books and in orders.
    """

    endpoint: str
    operation: str
    client_id: str
    label: str
    presented: str | None = None

    @property
    def grant_type(self) -> str | None:
        """The operation where it is one that gives out tokens."""
        return self.operation if self.endpoint == "token" else None


class Environment:
    """The service. ``ledger`` may be shared with other stand-ins."""

    def __init__(self, ledger: Ledger | None = None, env: str = ENV, where: Callable[[], str] = lambda: "") -> None:
        """None opens books of its own; ``where`` is asked for the public address."""
        self.ledger = ledger or Ledger()
        self.constants = ConstantsBook()
        self.clients = CloudbaseClients(env)
        self.users = Users()
        self.keys = TicketKeys(env)
        self.captchas = Captchas(where)
        self.verifications = Verifications(self.users)
        self.providers = Providers()
        self.orders = Orders()
        self.notary = CloudbaseNotary(env, where)
        self.sessions = Sessions(self.ledger, self.constants, self.notary)
        self._rates: dict[str, collections.deque[float]] = {}
        calls = TokenCalls(self.users, self.sessions, self.clients, self.captchas, self.notary)
        signs = SignIns(self.users, self.sessions, self.keys, self.captchas, self.verifications, self.providers)
        self._handlers: dict[str, _Handler] = {
            "refresh_token": calls.refresh,
            "password": signs.password,
            "client_credentials": calls.credentials,
            "signin": signs.signin,
            "anonymously": signs.anonymously,
            "custom": signs.custom,
            "with_provider": signs.with_provider,
            "other": _no_grant,
            "introspect": calls.introspect,
            "revoke": calls.revoke,
            "userinfo": calls.me,
            "signout": calls.sign_out,
            "captcha_init": lambda asked: self.captchas.init(asked.request, asked.constants, asked.now),
            "captcha_data": lambda asked: self.captchas.data(asked.request, asked.constants, asked.now),
            "captcha_verify": lambda asked: self.captchas.verify(asked.request, asked.constants, asked.now),
            "verification": self._send_code,
            "verify": lambda asked: self.verifications.verify(asked.request, asked.constants, asked.now),
            "provider_token": lambda asked: self.providers.grant(asked.request, asked.constants, asked.now),
        }

    @property
    def paths(self) -> dict[tuple[str, str], str]:
        """Where everything is: method and path to the name of the call; ``token`` depends on its body."""
        return _PATHS

    def whose(self, request: Request) -> Whose:
        """Return the account a request is about, without judging it."""
        name = _PATHS[request.method, request.path]
        operation = name
        if name == "token":
            grant = request.text("grant_type")
            operation = grant if grant in GRANTS else "other"
        is_token = name == "token" or name in (*SIGN_INS, "client_credentials")
        text = request.text(_PRESENTED.get(operation, ""))
        return Whose(
            endpoint="token" if is_token else name,
            operation=operation,
            client_id=request.text("client_id") or request.query.get("client_id", "") or self.clients.env,
            label=self._label(operation, request, text) or UNKNOWN_LABEL,
            presented=fingerprint(text) if text else None,
        )

    def arrive(self, whose: Whose, now: float, received_ns: int | None = None) -> Call | None:
        """Note one call that may give out tokens before anything is judged; None for the others."""
        if whose.grant_type is None:
            return None
        return self.ledger.arrive(whose.operation, whose.label, now, presented=whose.presented, received_ns=received_ns)

    def answer(
        self, request: Request, whose: Whose, now: float, *, note: Call | None = None, subject: str | None = None
    ) -> Answer:
        """Judge one request, carry it out and put it into words; ``note`` learns the outcome.

        ``subject`` is whom the answer speaks for instead of the right one.
        """
        constants = self.constants.of(whose.label)
        order = self.orders.draw(whose.operation, whose.label)
        request_id = request.headers.get("x-request-id", "")
        answer = Answer()
        if order is None or order.after_commit:
            try:
                answer = self._work(request, whose, now, subject)
            except Refusal as refusal:
                self._count(whose, refusal)
                answer = word(refusal, constants, request_id)
        if order is not None:
            ordered = order.strike().refusal()
            self._count(whose, ordered)
            refused = word(ordered, constants, request_id)
            answer = dataclasses.replace(refused, commit=answer.commit, successor=answer.successor)
        if note is not None:
            note.outcome = answer.outcome
        answer.headers["X-Request-Id"] = request_id
        return answer

    def _work(self, request: Request, whose: Whose, now: float, subject: str | None) -> Answer:
        constants = self.constants.of(whose.label)
        if request.malformed or (constants.CLOUDBASE_SIM_JSON_REQUIRED and not request.is_json):
            raise Refusal("invalid_argument")
        if whose.grant_type is not None:
            self._charge(whose, now)
        is_open = bool(request.bearer) or whose.operation in ("client_credentials", "introspect")
        client_id = whose.client_id if is_open else self.clients.identify(request, constants)
        asked = Asked(
            request=request,
            operation=whose.operation,
            constants=constants,
            client_id=client_id,
            now=now,
            presented=whose.presented,
            subject=subject,
        )
        return self._handlers[whose.operation](asked)

    def _charge(self, whose: Whose, now: float) -> None:
        """Raise Refusal where a label asks more often than it may."""
        constants = self.constants.of(whose.label)
        most = constants.CLOUDBASE_SIM_RATE_PER_MIN
        if not most:
            return
        times = self._rates.setdefault(whose.label, collections.deque())
        while times and times[0] <= now - _MINUTE_S:
            times.popleft()
        if len(times) >= most:
            raise Refusal("resource_exhausted", retry_s=constants.CLOUDBASE_SIM_RETRY_DELAY_S)
        times.append(now)

    def _count(self, whose: Whose, refusal: Refusal) -> None:
        if whose.grant_type is not None:
            self.ledger.books.count(whose.label, "refused")
            self.ledger.books.sort(whose.label, "errors", refusal.error)

    def _send_code(self, asked: Asked) -> Answer:
        """Send a verification code; too often, and a captcha (or what the constants say) is wanted."""
        constants, now = asked.constants, asked.now
        is_soon = self.verifications.is_too_soon(asked.request, constants, now)
        error = constants.CLOUDBASE_SIM_CODE_TOO_SOON_ERROR
        if is_soon and error != "captcha_required":
            raise Refusal(error, retry_s=constants.CLOUDBASE_SIM_RETRY_DELAY_S)
        due = is_soon or Gate.CODES in constants.CLOUDBASE_SIM_CAPTCHA_FOR
        self.captchas.check(asked.request, constants, now, due=due)
        return self.verifications.send(asked.request, constants, now, self._signed_in(asked.request, now))

    def _signed_in(self, request: Request, now: float) -> User | None:
        access = self.ledger.accepts(request.bearer, now) if request.bearer else None
        return self.users.by_sub.get(access.holder.subject) if access is not None else None

    def _label(self, operation: str, request: Request, text: str) -> str:
        """Return the label of whom a request claims to be about; empty where it cannot be told."""
        if operation == "client_credentials":
            return (request.basic or ("", ""))[0]
        if operation == "anonymously":
            return self.users.label_of("device", request.device_id) if request.device_id else ""
        if operation == "custom":
            uid = claimed_uid(text)
            return self.users.label_of("uid", uid) if uid else ""
        if operation == "with_provider":
            token = self.providers.token(text)
            return self.users.label_of(token.provider_id, token.subject) if token is not None else ""
        if operation == "refresh_token":
            found = self.sessions.find(text)
            return found[1].holder.label if found is not None else ""
        if operation in ("signin", "password", "verification"):
            return self._label_of_name(request, text)
        access = self.ledger.shelf.access_token(request.bearer or request.text("token"))
        return access.holder.label if access is not None else ""

    def _label_of_name(self, request: Request, text: str) -> str:
        verified = self.verifications.verified(text)
        address = request.text("username") or request.text("phone_number") or request.text("email")
        user = self.users.named(verified.address if verified is not None else address)
        return user.label if user is not None else ""


def _no_grant(asked: Asked) -> Answer:
    grant = asked.request.text("grant_type")
    if not grant:
        raise Refusal("invalid_argument")
    raise Refusal("unimplemented" if grant in INTERACTIVE_GRANTS else "unsupported_grant_type")


_PATHS = {
    ("POST", TOKEN_PATH): "token",
    ("POST", f"{TOKEN_PATH}/clientCredential"): "client_credentials",
    ("GET", f"{TOKEN_PATH}/introspect"): "introspect",
    ("POST", "/auth/v1/signin"): "signin",
    ("POST", "/auth/v1/signin/anonymously"): "anonymously",
    ("POST", "/auth/v1/signin/custom"): "custom",
    ("POST", "/auth/v1/signin/with/provider"): "with_provider",
    ("POST", "/auth/v1/provider/token"): "provider_token",
    ("POST", "/auth/v1/verification"): "verification",
    ("POST", "/auth/v1/verification/verify"): "verify",
    ("POST", "/auth/v1/captcha/init"): "captcha_init",
    ("POST", "/auth/v1/captcha/data"): "captcha_data",
    ("POST", "/auth/v1/captcha/data/verify"): "captcha_verify",
    ("POST", "/auth/v1/revoke"): "revoke",
    ("GET", "/auth/v1/user/me"): "userinfo",
    ("POST", "/auth/v1/user/signout"): "signout",
}
OPERATIONS = (*GRANTS, *SIGN_INS, *sorted({*_PATHS.values()} - {"token", "client_credentials", *SIGN_INS}))
"""The names of all calls, as orders and books use them."""

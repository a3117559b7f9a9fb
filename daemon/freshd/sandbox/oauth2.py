"""The token endpoint of an OAuth 2.0 service (RFC 6749 section 3.2) with the four grants freshd uses.

It reads the request, lets the ledger decide and puts the answer into words. Faults and the wire are ``turn``'s;
people, resources and metadata have files of their own.
"""

import dataclasses
import time
import urllib.parse
from collections.abc import Callable, Iterable

from aiohttp import web

from freshd.sandbox.clients import ALL_GRANTS, Client, Clients, Unauthenticated, basic_id
from freshd.sandbox.consent import Consents, poll_error, redeem_error
from freshd.sandbox.counters import Call
from freshd.sandbox.fault_queue import Plan, Scope
from freshd.sandbox.grants import Granted, Ledger, Refused, Result
from freshd.sandbox.identity import Notary
from freshd.sandbox.tokens import Holder, fingerprint
from freshd.sandbox.turn import Stage, Worked

UNKNOWN_LABEL = "(unknown)"
DEVICE_GRANT = ALL_GRANTS[3]
_FORM = "application/x-www-form-urlencoded"
_PRESENTED = {"refresh_token": "refresh_token", "authorization_code": "code", DEVICE_GRANT: "device_code"}


class BadForm(Exception):
    """The body is no form, or names a parameter twice (RFC 6749 section 3.2); the text may be shown."""


async def read_form(request: web.Request) -> dict[str, str]:
    """Return the parameters of a form post; raises BadForm."""
    body = await request.read()
    try:
        pairs = urllib.parse.parse_qsl(body.decode(), keep_blank_values=True)
    except ValueError as error:
        message = "not a form"
        raise BadForm(message) from error
    form = dict(pairs)
    if request.content_type != _FORM or len(form) != len(pairs):
        message = "not a form" if request.content_type != _FORM else "parameter given twice"
        raise BadForm(message)
    return form


@dataclasses.dataclass(slots=True)
class Service:
    """What the endpoints share. ``issuer`` is known once the socket is bound (RFC 8414 section 2).

    ``vouchers`` mark, for services with books of another make, which answers the client keeps.
    """

    stage: Stage
    ledger: Ledger
    clients: Clients
    consents: Consents = dataclasses.field(default_factory=Consents)
    notary: Notary = dataclasses.field(default_factory=Notary)
    issuer: str = ""
    approves_at_once: bool = False
    leaked_posts: int = 0
    vouchers: list[Callable[[Iterable[str]], int]] = dataclasses.field(default_factory=list)

    def now(self) -> float:
        """Return the service's clock, in wall seconds."""
        return self.stage.now()

    def authenticate(self, request: web.Request, form: dict[str, str]) -> Client | Worked:
        """Return the client, or the refusal of RFC 6749 section 5.2."""
        authorization = request.headers.get("Authorization")
        try:
            return self.clients.authenticate(authorization, form)
        except Unauthenticated as error:
            challenge = {"WWW-Authenticate": 'Basic realm="sandbox"'} if authorization is not None else {}
            return refusal("invalid_client", str(error), status=401, headers=challenge)


class TokenEndpoint:
    """POST /token."""

    def __init__(self, service: Service) -> None:
        """Serve for ``service``."""
        self._service = service
        self._grants: dict[str, Callable[[Client, dict[str, str]], Result]] = {
            "refresh_token": self._refresh,
            "client_credentials": self._client_credentials,
            "authorization_code": self._code,
            DEVICE_GRANT: self._device,
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        received_ns = time.monotonic_ns()
        try:
            form, flaw = await read_form(request), None
        except BadForm as error:
            form, flaw = {}, str(error)
        grant_type = form.get("grant_type", "")
        known = grant_type if grant_type in self._grants else "other"
        client_id = form.get("client_id") or basic_id(request.headers.get("Authorization"))
        label, presented = self._whose(grant_type, form, client_id)
        note = self._service.ledger.arrive(
            known, label, self._service.now(), presented=presented, received_ns=received_ns
        )
        call = Scope(endpoint="token", client_id=client_id, label=label, grant_type=known)

        def work(plan: Plan) -> Worked:
            worked = refusal("invalid_request", flaw) if flaw else self._work(request, form, plan, note)
            note.outcome = str(worked.answer.get("error", note.outcome))
            return worked

        return await self._service.stage.perform(request, call, work, note)

    def _work(self, request: web.Request, form: dict[str, str], plan: Plan, note: Call) -> Worked:
        client = self._service.authenticate(request, form)
        if isinstance(client, Worked):
            return client
        grant_type = form.get("grant_type", "")
        if grant_type not in self._grants:
            return refusal("unsupported_grant_type", "not one of those in the metadata")
        if grant_type not in client.grant_types:
            return refusal("unauthorized_client", "this client may not use this grant")
        result = self._grants[grant_type](client, form)
        if isinstance(result, Refused):
            return refusal(result.error, result.description)
        note.outcome = "granted" if result.commit is not None else "early"
        return self._granted(result, form, plan)

    def _granted(self, result: Granted, form: dict[str, str], plan: Plan) -> Worked:
        """Put a yes into the words of RFC 6749 section 5.1."""
        now, access, policy = self._service.now(), result.access, result.policy
        if plan.subject is not None:
            access.holder = dataclasses.replace(access.holder, subject=plan.subject)
        holder = access.holder
        answer: dict[str, object] = {"access_token": access.text, "token_type": "Bearer"}
        if policy.expires_in_present:
            answer["expires_in"] = _seconds(access.expires_at - now, whole=float(policy.access_s).is_integer())
        if result.refresh is not None:
            answer["refresh_token"] = result.refresh.text
        life = policy.refresh_idle_s or policy.refresh_absolute_s
        if result.refresh is not None and policy.refresh_expires_in_present and life is not None:
            answer["refresh_expires_in"] = _seconds(life, whole=float(life).is_integer())
        if holder.scope:
            answer["scope"] = holder.scope
        if "openid" in holder.scope.split():
            code = self._service.consents.code(form.get("code", ""))
            nonce = code.request.nonce if code is not None else None
            answer["id_token"] = self._service.notary.id_token(
                self._service.issuer, holder.subject, holder.client_id, now, nonce
            )
        elif plan.subject is not None:
            answer["sub"] = holder.subject
        successor = result.refresh.text if result.refresh is not None else access.text
        return Worked(answer=answer, commit=result.commit, successor=successor)

    def _refresh(self, client: Client, form: dict[str, str]) -> Result:
        token = form.get("refresh_token")
        if not token:
            return Refused("invalid_request", "refresh_token is required")
        return self._service.ledger.refresh(
            token, self._service.now(), client_id=client.client_id, scope=form.get("scope")
        )

    def _client_credentials(self, client: Client, form: dict[str, str]) -> Result:
        if client.secret is None:
            return Refused("unauthorized_client", "a public client has no credentials")
        return self._service.ledger.issue(client.client_id, self._service.now(), scope=form.get("scope", ""))

    def _code(self, client: Client, form: dict[str, str]) -> Result:
        ledger, now = self._service.ledger, self._service.now()
        text = form.get("code", "")
        code = self._service.consents.code(text)
        error = redeem_error(code, client.client_id, form.get("redirect_uri", ""), form.get("code_verifier", ""), now)
        if code is None or error is not None:
            if code is not None and code.lineage is not None:
                ledger.kill(code.lineage, "code_reuse", now)  # RFC 6749 section 4.1.2: a second use ends it all
            return Refused("invalid_grant", error or "unknown code")
        code.used = True
        holder = Holder(client_id=client.client_id, label=code.label, subject=code.subject, scope=code.request.scope)
        granted = ledger.enrol(
            "authorization_code", holder, now, spent=fingerprint(text), renewable="refresh_token" in client.grant_types
        )
        code.lineage = granted.access.lineage
        return granted

    def _device(self, client: Client, form: dict[str, str]) -> Result:
        text = form.get("device_code", "")
        device = self._service.consents.device(text)
        error = poll_error(device, client.client_id, self._service.now())
        if device is None or error is not None:
            return Refused(error or "invalid_grant", "device code")
        device.used = True
        holder = Holder(
            client_id=client.client_id, label=device.label, subject=device.subject, scope=device.request.scope
        )
        return self._service.ledger.enrol(
            DEVICE_GRANT,
            holder,
            self._service.now(),
            spent=fingerprint(text),
            renewable="refresh_token" in client.grant_types,
        )

    def _whose(self, grant_type: str, form: dict[str, str], client_id: str | None) -> tuple[str, str | None]:
        """Return the account label a request is about, and the fingerprint of what it presents."""
        text = form.get(_PRESENTED.get(grant_type, ""), "")
        presented = fingerprint(text) if text else None
        if grant_type == "refresh_token" and (token := self._service.ledger.find(text)):
            return token.lineage.holder.label, presented
        if grant_type == "authorization_code" and (code := self._service.consents.code(text)):
            return code.label, presented
        if grant_type == DEVICE_GRANT and (device := self._service.consents.device(text)):
            return device.label or UNKNOWN_LABEL, presented
        return (client_id or UNKNOWN_LABEL) if grant_type == "client_credentials" else UNKNOWN_LABEL, presented


def refusal(error: str, description: str, *, status: int = 400, headers: dict[str, str] | None = None) -> Worked:
    """Return an error answer (RFC 6749 section 5.2)."""
    return Worked(answer={"error": error, "error_description": description}, status=status, headers=headers or {})


def _seconds(value: float, *, whole: bool) -> float:
    return round(value) if whole else round(value, 3)

"""The pages a person sees: authorize (RFC 6749 section 4.1.1, RFC 9207) and device (RFC 8628 section 3.3)."""

import html
import urllib.parse

from aiohttp import web

from freshd.sandbox.consent import Device, Request
from freshd.sandbox.fault_queue import Plan, Scope
from freshd.sandbox.oauth2 import DEVICE_GRANT, BadForm, Service, read_form, refusal
from freshd.sandbox.turn import Worked

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1>{body}</body></html>
"""
CONSENT_FORM = """<form method="post" action="{action}">{hidden}
<p><label>Account <input name="subject" value="{subject}"></label></p>
<p><button name="decision" value="approve" id="approve">Approve</button>
<button name="decision" value="deny" id="deny">Deny</button></p></form>"""
USER_CODE_FIELD = '<p><label>Code <input name="user_code" value="{code}"></label></p>'
_HINTS = ("login_hint", "label")


class Front:
    """The handlers."""

    def __init__(self, service: Service) -> None:
        """Serve for ``service``."""
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        """Return where they live."""
        return [
            web.get("/authorize", self.ask),
            web.post("/authorize", self.answer),
            web.post("/device_authorization", self.device_authorization),
            web.get("/device", self.device_page),
            web.post("/device", self.device_answer),
        ]

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """Show the consent page, or approve at once (``auto=1``, or the control port's switch)."""
        query = dict(request.query)
        if flaw := self._unsafe(query):
            return page("Cannot continue", f"<p>{html.escape(flaw)}</p>", status=400)
        if query.get("auto") == "1" or self._service.approves_at_once:
            return self._decide(query, allowed=True)
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in query.items()
            if name != "subject"
        )
        subject = html.escape(query.get("login_hint", "user"))
        return page(
            f"Let {html.escape(query['client_id'])} in?",
            CONSENT_FORM.format(action="/authorize", hidden=hidden, subject=subject),
        )

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Take the person's decision and send the browser back to the client."""
        try:
            form = await read_form(request)
        except BadForm as error:
            return page("Cannot continue", f"<p>{error}</p>", status=400)
        if flaw := self._unsafe(form):
            return page("Cannot continue", f"<p>{html.escape(flaw)}</p>", status=400)
        return self._decide(form, allowed=form.get("decision") == "approve")

    async def device_authorization(self, request: web.Request) -> web.StreamResponse:
        """Open a device authorisation (RFC 8628 section 3.1)."""
        try:
            form, flaw = await read_form(request), None
        except BadForm as error:
            form, flaw = {}, str(error)

        def work(_: Plan) -> Worked:
            if flaw is not None:
                return refusal("invalid_request", flaw)
            client = self._service.authenticate(request, form)
            if isinstance(client, Worked):
                return client
            if DEVICE_GRANT not in client.grant_types:
                return refusal("unauthorized_client", "this client may not use this grant")
            return self._open(client.client_id, form)

        call = Scope(endpoint="device_authorization", client_id=form.get("client_id"))
        return await self._service.stage.perform(request, call, work)

    async def device_page(self, request: web.Request) -> web.StreamResponse:
        """Ask the person for the code that the device shows."""
        code = USER_CODE_FIELD.format(code=html.escape(request.query.get("user_code", "")))
        return page("Connect a device", CONSENT_FORM.format(action="/device", hidden=code, subject="user"))

    async def device_answer(self, request: web.Request) -> web.StreamResponse:
        """Take the person's decision about a device."""
        try:
            form = await read_form(request)
        except BadForm as error:
            return page("Cannot continue", f"<p>{error}</p>", status=400)
        subject = form.get("subject") or "user"
        found = self._service.consents.decide(
            form.get("user_code", ""),
            self._service.now(),
            subject=subject,
            label=form.get("label") or subject,
            allowed=form.get("decision") == "approve",
        )
        return page(
            "Done" if found else "Unknown code", "<p>You may close this page.</p>", status=200 if found else 404
        )

    def _open(self, client_id: str, form: dict[str, str]) -> Worked:
        policy = self._service.ledger.policies.of(client_id, "")
        asked = Request(client_id=client_id, scope=form.get("scope", ""))
        text, device = self._service.consents.ask(
            asked, self._service.now() + policy.device_s, policy.device_interval_s
        )
        return Worked(answer=_device_answer(self._service.issuer, text, device, policy.device_s))

    def _unsafe(self, asked: dict[str, str]) -> str | None:
        """Return why the browser must not be sent back (RFC 6749 section 4.1.2.1), or None."""
        client = self._service.clients.find(asked.get("client_id", ""))
        if client is None:
            return "unknown client"
        return None if client.may_return_to(asked.get("redirect_uri", "")) else "redirect_uri is not registered"

    def _decide(self, asked: dict[str, str], *, allowed: bool) -> web.StreamResponse:
        client = self._service.clients.find(asked["client_id"])
        answer = {"state": asked["state"]} if "state" in asked else {}
        if asked.get("response_type") != "code":
            answer["error"] = "unsupported_response_type"
        elif client is None or "authorization_code" not in client.grant_types:
            answer["error"] = "unauthorized_client"
        elif asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"):
            answer |= {"error": "invalid_request", "error_description": "PKCE with S256 is required"}
        elif not allowed:
            answer["error"] = "access_denied"
        else:
            answer["code"] = self._allow(asked)
        answer["iss"] = self._service.issuer
        parts = urllib.parse.urlsplit(asked["redirect_uri"])
        query = urllib.parse.urlencode([*urllib.parse.parse_qsl(parts.query), *answer.items()])
        return web.Response(
            status=302, headers={"Location": parts._replace(query=query).geturl(), "Cache-Control": "no-store"}
        )

    def _allow(self, asked: dict[str, str]) -> str:
        subject = asked.get("subject") or asked.get("login_hint") or "user"
        label = asked.get("label") or subject
        policy = self._service.ledger.policies.of(asked["client_id"], label)
        wish = Request(
            client_id=asked["client_id"],
            scope=asked.get("scope", ""),
            redirect_uri=asked["redirect_uri"],
            challenge=asked["code_challenge"],
            nonce=asked.get("nonce"),
        )
        return self._service.consents.allow(wish, subject, label, self._service.now() + policy.code_s)


def _device_answer(issuer: str, text: str, device: Device, life_s: float) -> dict[str, object]:
    return {
        "device_code": text,
        "user_code": device.user_code,
        "verification_uri": f"{issuer}/device",
        "verification_uri_complete": f"{issuer}/device?user_code={device.user_code}",
        "expires_in": life_s,
        "interval": device.interval_s,
    }


def page(title: str, body: str, *, status: int = 200) -> web.Response:
    """Return a page for people; ``title`` and ``body`` are HTML."""
    return web.Response(status=status, text=_PAGE.format(title=title, body=body), content_type="text/html")

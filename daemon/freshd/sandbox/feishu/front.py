"""The pages of Feishu that a person sees: authorize, and the one where a device's code is typed in."""

import html
from collections.abc import Callable, Mapping

from aiohttp import web

from freshd.sandbox.feishu.codes import Refusal
from freshd.sandbox.feishu.consent import AUTHORIZE_PATH
from freshd.sandbox.feishu.service import Feishu
from freshd.sandbox.front import CONSENT_FORM, USER_CODE_FIELD, page
from freshd.sandbox.oauth2 import BadForm, read_form

DEVICE_PATH = "/oauth/v1/device"


class FeishuFront:
    """The handlers. ``approves_at_once`` is asked at each visit; ``now`` is the service's clock, in wall seconds."""

    def __init__(self, feishu: Feishu, now: Callable[[], float], approves_at_once: Callable[[], bool]) -> None:
        """Show the pages of ``feishu``."""
        self._feishu = feishu
        self._now = now
        self._approves_at_once = approves_at_once

    def routes(self) -> list[web.RouteDef]:
        """Return where they live."""
        return [
            web.get(AUTHORIZE_PATH, self.ask),
            web.post(AUTHORIZE_PATH, self.answer),
            web.get(DEVICE_PATH, self.device_page),
            web.post(DEVICE_PATH, self.device_answer),
        ]

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """Show the consent page, or decide at once: ``auto=1``, ``auto=deny``, or the control port's switch."""
        asked = dict(request.query)
        auto = asked.get("auto", "1" if self._approves_at_once() else "")
        if auto in ("1", "deny"):
            return self._decide(asked, allowed=auto == "1")
        try:
            self._feishu.page.check(asked)
        except Refusal as refusal:
            return _stopped(refusal)
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in asked.items()
            if name != "subject"
        )
        subject = html.escape(asked.get("login_hint", "user"))
        title = f"Let {html.escape(asked['client_id'])} in?"
        return page(title, CONSENT_FORM.format(action=AUTHORIZE_PATH, hidden=hidden, subject=subject))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Take the person's decision and send the browser back to the app."""
        try:
            form = await read_form(request)
        except BadForm as error:
            return page("Cannot continue", f"<p>{error}</p>", status=400)
        return self._decide(form, allowed=form.get("decision") == "approve")

    async def device_page(self, request: web.Request) -> web.StreamResponse:
        """Ask the person for the code that the device shows."""
        code = USER_CODE_FIELD.format(code=html.escape(request.query.get("user_code", "")))
        return page("Connect a device", CONSENT_FORM.format(action=DEVICE_PATH, hidden=code, subject="user"))

    async def device_answer(self, request: web.Request) -> web.StreamResponse:
        """Take the person's decision about a device."""
        try:
            form = await read_form(request)
        except BadForm as error:
            return page("Cannot continue", f"<p>{error}</p>", status=400)
        subject = form.get("subject") or "user"
        found = self._feishu.consents.decide(
            form.get("user_code", ""),
            self._now(),
            subject=subject,
            label=form.get("label") or subject,
            allowed=form.get("decision") == "approve",
        )
        title, status = ("Done", 200) if found else ("Unknown code", 404)
        return page(title, "<p>You may close this page.</p>", status=status)

    def _decide(self, asked: Mapping[str, str], *, allowed: bool) -> web.StreamResponse:
        try:
            place = self._feishu.page.decide(asked, self._now(), allowed=allowed)
        except Refusal as refusal:
            return _stopped(refusal)
        return web.Response(status=302, headers={"Location": place, "Cache-Control": "no-store"})


def _stopped(refusal: Refusal) -> web.Response:
    return page("Cannot continue", f'<p>Error <span id="code">{refusal.name}</span></p>', status=400)

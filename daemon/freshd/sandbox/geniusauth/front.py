"""GeniusAuth's page for people: ``/?appCode=…``, where somebody logs in and is sent back to the application."""

import html
from collections.abc import Callable, Mapping

from aiohttp import web

from freshd.sandbox.front import CONSENT_FORM, page
from freshd.sandbox.geniusauth.codes import Refusal
from freshd.sandbox.geniusauth.page import LoginPage
from freshd.sandbox.oauth2 import BadForm, read_form

PATH = "/"
_HINTS = ("subject", "login_hint")


class GeniusFront:
    """The handlers. ``approves_at_once`` is asked at each visit; ``now`` is the service's own clock, wall seconds."""

    def __init__(self, login: LoginPage, now: Callable[[], float], approves_at_once: Callable[[], bool]) -> None:
        """Show ``login``."""
        self._login = login
        self._now = now
        self._approves_at_once = approves_at_once

    def routes(self) -> list[web.RouteDef]:
        """Return where they live."""
        return [web.get(PATH, self.ask), web.post(PATH, self.answer)]

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """Show the login page, or log in at once: ``auto=1``, or the control port's switch."""
        asked = dict(request.query)
        if asked.get("auto", "1" if self._approves_at_once() else "") == "1":
            return self._decide(asked)
        try:
            app = self._login.check(asked)
        except Refusal as refusal:
            return _stopped(refusal)
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in asked.items()
            if name not in _HINTS
        )
        subject = html.escape(asked.get("subject") or asked.get("login_hint") or "user")
        title = f"Log in to {html.escape(app.name)}"
        return page(title, CONSENT_FORM.format(action=PATH, hidden=hidden, subject=subject))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Take the person's decision; a browser goes back to the application only with a yes."""
        try:
            form = await read_form(request)
        except BadForm as error:
            return page("Cannot continue", f"<p>{error}</p>", status=400)
        if form.get("decision") != "approve":
            return page("Not logged in", "<p>You may close this page.</p>")
        return self._decide(form)

    def _decide(self, asked: Mapping[str, str]) -> web.StreamResponse:
        try:
            place = self._login.decide(asked, self._now())
        except Refusal as refusal:
            return _stopped(refusal)
        return web.Response(status=302, headers={"Location": place, "Cache-Control": "no-store"})


def _stopped(refusal: Refusal) -> web.Response:
    text = f'<p>Error <span id="code">{refusal.code}</span></p>'
    return page("Cannot continue", text, status=refusal.status)

"""CloudBase on the sandbox's public port: each call through the same turn as OAuth 2.0, and the captcha's page."""

import html
import time
import urllib.parse

from aiohttp import web

from freshd.sandbox.cloudbase.captcha import PAGE_PATH
from freshd.sandbox.cloudbase.direct import scope_of, work
from freshd.sandbox.cloudbase.environment import Environment
from freshd.sandbox.cloudbase.request import arrived
from freshd.sandbox.front import page
from freshd.sandbox.oauth2 import BadForm, read_form
from freshd.sandbox.turn import Stage

_FORM = """<form method="post" action="{action}"><input type="hidden" name="challenge" value="{challenge}">
<p><button name="decision" value="approve" id="approve">I am a person</button>
<button name="decision" value="deny" id="deny">I am not</button></p></form>"""
_WEB = ("http", "https")


class CloudbaseRoutes:
    """The handlers."""

    def __init__(self, environment: Environment, stage: Stage) -> None:
        """Serve ``environment`` with the faults and the clock of ``stage``."""
        self._environment = environment
        self._stage = stage

    def routes(self) -> list[web.RouteDef]:
        """Return where they live."""
        calls = [web.route(method, path, self.answer) for method, path in self._environment.paths]
        return [*calls, web.get(PAGE_PATH, self.captcha_page), web.post(PAGE_PATH, self.captcha_answer)]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        received_ns = time.monotonic_ns()
        asked = arrived(request.method, request.path, request.query, request.headers, await request.read())
        whose = self._environment.whose(asked)
        note = self._environment.arrive(whose, self._stage.now(), received_ns)
        return await self._stage.perform(
            request,
            scope_of(whose),
            lambda plan: work(self._environment, asked, whose, self._stage.now(), plan, note),
            note,
        )

    async def captcha_page(self, request: web.Request) -> web.StreamResponse:
        """Ask the person; ``auto=1`` and ``auto=deny`` decide at once."""
        challenge, auto = request.query.get("challenge", ""), request.query.get("auto", "")
        if auto in ("1", "deny"):
            return self._decide(challenge, allowed=auto == "1")
        return page("Are you a person?", _FORM.format(action=PAGE_PATH, challenge=html.escape(challenge)))

    async def captcha_answer(self, request: web.Request) -> web.StreamResponse:
        """Take the person's decision and send the browser back."""
        try:
            form = await read_form(request)
        except BadForm as error:
            return page("Cannot continue", f"<p>{error}</p>", status=400)
        return self._decide(form.get("challenge", ""), allowed=form.get("decision") == "approve")

    def _decide(self, challenge: str, *, allowed: bool) -> web.StreamResponse:
        constants = self._environment.constants.of("")
        place = self._environment.captchas.decide(challenge, constants, self._stage.now(), allowed=allowed)
        if place is None:
            return page("Cannot continue", "<p>This check is over.</p>", status=404)
        if urllib.parse.urlsplit(place).scheme in _WEB:
            return web.Response(status=302, headers={"Location": place, "Cache-Control": "no-store"})
        return page("Done", f'<p>Copy this: <code id="result">{html.escape(place)}</code></p>')

"""The HTTP side of a gateway: discovery, health, certificates, what is revoked.

Rules: none of it asks who calls. Faults strike it under the names ``aun.discovery``, ``aun.health``, ``aun.cert``,
``aun.chain``, ``aun.crl`` and ``aun.ocsp``; nothing here changes anything, so before and after a commit are the same.
"""

import asyncio
import contextlib
import json

from aiohttp import web

from freshd.sandbox.aun.constants import Crl, Ocsp
from freshd.sandbox.aun.gateway import Gateway
from freshd.sandbox.aun.revocation import revocation_list, status_answer
from freshd.sandbox.aun.rpc import Aun
from freshd.sandbox.endings import Hang
from freshd.sandbox.fault_queue import Scope
from freshd.sandbox.oauth2 import Service
from freshd.sandbox.wire import Manner, Reply, json_reply, speak

_PEM = {"Content-Type": "application/x-pem-file"}


class Endpoints:
    """The handlers."""

    def __init__(self, aun: Aun, gateway: Gateway, service: Service) -> None:
        """Serve ``aun``; ``service`` knows the public address."""
        self._aun = aun
        self._gateway = gateway
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        """Return where they live."""
        return [
            web.get("/.well-known/aun-gateway", self.discovery),
            web.get("/health", self.health),
            web.get("/pki/chain", self.chain),
            web.get("/pki/crl.json", self.crl),
            web.get("/pki/cert/{aid}", self.certificate),
            web.get("/pki/ocsp/{serial}", self.ocsp),
        ]

    async def discovery(self, request: web.Request) -> web.StreamResponse:
        """List the gateways in the order in which they were set."""
        return await self._say(request, "aun.discovery", json_reply({"gateways": self.gateways()}))

    def gateways(self) -> list[dict[str, object]]:
        """Return what discovery lists."""
        base = self._service.issuer.replace("http", "ws", 1)
        listed: list[dict[str, object]] = []
        for place in self._gateway.places:
            rank: dict[str, object] = {} if place.priority is None else {"priority": place.priority}
            listed.append({"url": place.url or base + place.path, **rank})
        return listed

    async def health(self, request: web.Request) -> web.StreamResponse:
        """Say how it is."""
        status = self._aun.state.constants.of().AUN_SIM_HEALTH_STATUS
        return await self._say(request, "aun.health", json_reply({"status": "ok"}, status))

    async def chain(self, request: web.Request) -> web.StreamResponse:
        """Give the authorities' certificates, issuer first."""
        return await self._say(request, "aun.chain", Reply(body=self._aun.state.pki.chain.encode(), headers=_PEM))

    async def certificate(self, request: web.Request) -> web.StreamResponse:
        """Give an AID's newest certificate, or the one with ``?cert_fingerprint=``."""
        agent = self._aun.state.agents.find(request.match_info["aid"])
        wanted = request.query.get("cert_fingerprint", "").lower().removeprefix("sha256:")
        found = None
        if agent is not None:
            found = next((one for one in reversed(agent.certificates) if wanted in ("", one.fingerprint)), None)
        reply = json_reply({"error": "not registered"}, 404)
        if found is not None:
            reply = Reply(body=found.pem.encode(), headers=_PEM)
        return await self._say(request, "aun.cert", reply)

    async def crl(self, request: web.Request) -> web.StreamResponse:
        """Give the list of what is revoked."""
        form = self._aun.state.constants.of().AUN_SIM_CRL
        if form is Crl.ABSENT:
            return await self._say(request, "aun.crl", json_reply({"error": "not found"}, 404))
        said = revocation_list(self._aun.state.pki, form, self._now())
        return await self._say(request, "aun.crl", json_reply(said))

    async def ocsp(self, request: web.Request) -> web.StreamResponse:
        """Say whether one serial number, any way of writing it in base 16, is revoked."""
        form = self._aun.state.constants.of().AUN_SIM_OCSP
        try:
            serial = int(request.match_info["serial"], 16)
        except ValueError:
            return await self._say(request, "aun.ocsp", json_reply({"error": "no serial number"}, 400))
        if form is Ocsp.ABSENT:
            return await self._say(request, "aun.ocsp", json_reply({"error": "not found"}, 404))
        return await self._say(
            request, "aun.ocsp", json_reply(status_answer(self._aun.state.pki, serial, form, self._now()))
        )

    def _now(self) -> float:
        return self._service.now() + self._aun.state.offset_s

    async def _say(self, request: web.Request, endpoint: str, reply: Reply) -> web.StreamResponse:
        """Draw faults and answer."""
        stage, aid = self._service.stage, request.match_info.get("aid")
        agent = self._aun.state.agents.find(aid or "")
        label = agent.label if agent is not None else aid
        plan = stage.faults.plan(Scope(endpoint=endpoint, client_id=aid, label=label))
        hang_s = plan.ending.seconds if isinstance(plan.ending, Hang) else 0
        wait_s = plan.wait_before + plan.wait_after + hang_s
        if wait_s > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stage.closing.wait(), wait_s)
        manner, cut_at = Manner.WHOLE, 0
        if plan.ending is not None:
            manner = plan.ending.manner
            cut_at = getattr(plan.ending, "bytes", 0) if manner is Manner.CUT else 0
            reply = plan.ending.reply(stage.now()) or reply
        if plan.edits and reply.headers.get("Content-Type") == "application/json":
            members = json.loads(reply.body)
            for edit in plan.edits:
                edit.edit(members)
            reply = json_reply(members, reply.status)
        if request.method == "HEAD":
            return web.Response(status=reply.status)
        spoken, _ = await speak(request, reply, date=self._now() + plan.date_offset, manner=manner, cut_at=cut_at)
        return spoken

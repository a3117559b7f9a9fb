"""AUN's gateway on the sandbox's public port: connections, their challenge, their end.

Rules: the challenge comes first and nothing follows it that was not asked for, until a session is open. A connection
without a session ends at its deadline (4008), which is true time. One watch sweeps the sessions on the service's clock.
"""

import asyncio
import contextlib
import dataclasses
import json
from typing import Any

from aiohttp import WSMsgType, web

from freshd.sandbox.aun import call
from freshd.sandbox.aun.answer import Farewell, Fields
from freshd.sandbox.aun.constants import Challenge
from freshd.sandbox.aun.frame import speak
from freshd.sandbox.aun.rpc import Aun
from freshd.sandbox.turn import Stage

PATHS = ("/aun", "/aun/2")
"""Where the gateways live."""
_LARGEST_MESSAGE = 1_048_576
_TICK_S = 0.05  # how often the watch looks while anybody is connected
_GOODBYE_S = 0.5  # how long a peer may take to answer a closing frame
_TOO_LATE = Farewell(code=4008, reason="authentication timeout")
_STOPPING = Farewell(code=1001, reason="going away")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One gateway as it is announced. ``url`` empty: this one, at ``path``. ``is_up`` False: it takes no connection."""

    path: str = PATHS[0]
    url: str = ""
    priority: int | None = None
    is_up: bool = True


class Gateway:
    """The handlers."""

    def __init__(self, aun: Aun, stage: Stage) -> None:
        """Serve ``aun`` with the faults and the clock of ``stage``."""
        self._aun = aun
        self._stage = stage
        self._watch: asyncio.Task[None] | None = None
        self._open: set[asyncio.Future[Farewell]] = set()
        self.places = [Place(path=path, priority=rank) for rank, path in enumerate(PATHS, 1)]

    def routes(self) -> list[web.RouteDef]:
        """Return where they live."""
        return [web.get(path, self.answer) for path in PATHS]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until its end."""
        if any(one.path == request.path and not one.is_up and not one.url for one in self.places):
            return web.Response(status=503, text="gateway down\n")
        socket = web.WebSocketResponse(max_msg_size=_LARGEST_MESSAGE, compress=False, timeout=_GOODBYE_S)
        await socket.prepare(request)
        bye: asyncio.Future[Farewell] = asyncio.get_running_loop().create_future()
        self._open.add(bye)
        try:
            await self._serve(socket, request, bye)
        finally:
            self._open.discard(bye)
        return socket

    async def aclose(self) -> None:
        """End all connections and the watch."""
        for bye in self._open:
            if not bye.done():
                bye.set_result(_STOPPING)
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch

    async def _serve(
        self, socket: web.WebSocketResponse, request: web.Request, bye: "asyncio.Future[Farewell]"
    ) -> None:
        transport = request.transport
        peer = self._aun.open(lambda farewell: None if bye.done() else bye.set_result(farewell))
        turn = call.Turn(self._aun, self._stage, peer, transport)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._aun.state.constants.of().AUN_SIM_CONNECT_DEADLINE_S
        await self._challenge(transport, peer.nonce)
        try:
            while not socket.closed:
                left_s = None if peer.session is not None else max(0.0, deadline - loop.time())
                text = await _next(socket, bye, left_s)
                if isinstance(text, Farewell):
                    await self._leave(socket, transport, text)
                    return
                if text is None:
                    return
                read = call.read(text)
                if isinstance(read, dict):
                    await speak(transport, json.dumps(read).encode())
                    continue
                farewell = await turn.perform(*read)
                if peer.session is not None:
                    self._keep_watch()
                if farewell is not None:
                    await self._leave(socket, transport, farewell)
                    return
        finally:
            if peer.session is not None:
                self._aun.hub.drop(peer.session)

    async def _challenge(self, transport: asyncio.Transport | None, nonce: str) -> None:
        promises = self._aun.state.constants.of()
        kind = promises.AUN_SIM_CHALLENGE
        params: Fields = {
            "nonce": "" if kind is Challenge.EMPTY_NONCE else nonce,
            "server": "kite-gateway",
            "protocol": {"min": promises.AUN_SIM_PROTOCOL_MIN, "max": promises.AUN_SIM_PROTOCOL_MAX},
            "auth_methods": ["kite_token", "aid"],
            "capabilities": {},
            "server_time": self._stage.now() + self._aun.state.offset_s,
        }
        if kind is Challenge.NO_NONCE:
            del params["nonce"]
        if kind is Challenge.SILENT:
            return
        if kind is Challenge.EARLY_FRAME:
            await speak(transport, json.dumps(call.STRAY).encode())
        text = json.dumps({"jsonrpc": "2.0", "method": "challenge", "params": params})
        await speak(transport, b"good morning" if kind is Challenge.NOT_JSON else text.encode())

    async def _leave(
        self, socket: web.WebSocketResponse, transport: asyncio.Transport | None, farewell: Farewell
    ) -> None:
        """End a connection: the announcement if there is one, then the closing frame."""
        if farewell.event:
            params: Fields = {"code": farewell.code, "reason": farewell.reason, "detail": farewell.detail}
            event = {"jsonrpc": "2.0", "method": "event/gateway.disconnect", "params": params}
            await speak(transport, json.dumps(event).encode())
        if farewell.code == 1006:
            if transport is not None:
                transport.close()  # the code that stands for no closing frame
            return
        await socket.close(code=farewell.code, message=farewell.reason.encode()[:120])

    def _keep_watch(self) -> None:
        if self._watch is None or self._watch.done():
            self._watch = asyncio.get_running_loop().create_task(self._sweep())

    async def _sweep(self) -> None:
        while self._aun.hub.sessions:
            self._aun.hub.sweep(self._stage.now() + self._aun.state.offset_s)
            await asyncio.sleep(_TICK_S)


async def _next(
    socket: web.WebSocketResponse, bye: "asyncio.Future[Farewell]", left_s: float | None
) -> str | Farewell | None:
    """Return the next message, the farewell that came first, or None for a peer that has gone."""
    receiving = asyncio.ensure_future(socket.receive())
    try:
        both: set[asyncio.Future[Any]] = {receiving, bye}
        done, _ = await asyncio.wait(both, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not receiving.done():
            receiving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await receiving
    if bye.done():
        return bye.result()
    if receiving not in done:
        return _TOO_LATE
    message = receiving.result()
    if message.type is WSMsgType.TEXT:
        return str(message.data)
    return "" if message.type is WSMsgType.BINARY else None

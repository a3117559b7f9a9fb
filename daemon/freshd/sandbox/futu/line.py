"""The socket of the trading stand-in: one JSON object a line, each way, on a loopback port of its own.

Rules: an object that is heard is answered at once; a line that is no object, or is too long, closes the connection.
A connection closes when it has heard no heartbeat for so long as its ``TradeLine`` has patience, in true seconds.
"""

import asyncio
import json
from collections.abc import Callable
from typing import cast

from freshd.sandbox.futu.answer import Fields
from freshd.sandbox.futu.state import FutuState
from freshd.sandbox.futu.trade import Command, TradeLine

_LONGEST = 64 * 1024


class _Wire(asyncio.Protocol):
    """One connection."""

    def __init__(self, state: FutuState, now: Callable[[], float], wires: set["_Wire"]) -> None:
        self.line = TradeLine(state)
        self._state = state
        self._now = now
        self._wires = wires
        self._heard = b""
        self._transport: asyncio.Transport | None = None
        self._death: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._wires.add(self)
        self._live_on()

    def data_received(self, data: bytes) -> None:
        *lines, self._heard = (self._heard + data).split(b"\n")
        for text in lines:
            self._take(text)
        if len(self._heard) > _LONGEST:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wires.discard(self)
        if self._death is not None:
            self._death.cancel()

    def say(self, message: Fields) -> None:
        """Send one object."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        """Hang up; what was said before still leaves."""
        if self._transport is not None:
            self._transport.close()

    def _take(self, text: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self.close()
            return
        said = self.line.hear(message, self._now())
        if said.get("ret") == 0 and self.line.is_heartbeat(message):
            self._live_on()
        self.say(said)

    def _live_on(self) -> None:
        """Begin a new wait for heartbeats."""
        if self._death is not None:
            self._death.cancel()
        self._death = asyncio.get_running_loop().call_later(self.line.patience_s, self._die)

    def _die(self) -> None:
        if self.line.account is not None:
            self._state.books.tally(self.line.account.uid).lost_heartbeats += 1
        self.close()


class FutuLine:
    """The listening socket and all its connections."""

    def __init__(self, state: FutuState, now: Callable[[], float]) -> None:
        """``now`` is the sandbox's clock, wall seconds."""
        self._state = state
        self._now = now
        self._wires: set[_Wire] = set()
        self._server: asyncio.Server | None = None
        self.url = ""
        state.on_brokers_changed.append(self._push)

    async def listen(self, host: str, port: int) -> None:
        """Bind; raises OSError if the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Wire(self._state, self._now, self._wires), host, port)
        bound = self._server.sockets[0].getsockname()[1]
        self.url = f"tcp://{f'[{host}]' if ':' in host else host}:{bound}"

    def kick(self, uid: int | None = None, broker_id: int | None = None) -> int:
        """Close the connections of a uid, of one of its brokers, or (None) all; return how many."""
        chosen = [wire for wire in self._wires if _is_of(wire.line, uid, broker_id)]
        for wire in chosen:
            if wire.line.account is not None:
                self._state.books.tally(wire.line.account.uid).kicked += 1
            wire.close()
        return len(chosen)

    async def aclose(self) -> None:
        """Stop listening and hang up everywhere."""
        if self._server is not None:
            self._server.close()
            for wire in tuple(self._wires):
                wire.close()
            await self._server.wait_closed()
            self._server = None

    def _push(self, uid: int) -> None:
        """Tell the platform connections of ``uid`` that its list of brokers is another one now."""
        for wire in self._wires:
            if wire.line.is_platform and wire.line.account is not None and wire.line.account.uid == uid:
                wire.say({"cmd": Command.BROKERS_CHANGED})


def _is_of(line: TradeLine, uid: int | None, broker_id: int | None) -> bool:
    """Whether a connection belongs to this uid and broker; None is any."""
    if uid is not None and (line.account is None or line.account.uid != uid):
        return False
    return broker_id is None or (line.broker is not None and line.broker.broker_id == broker_id)

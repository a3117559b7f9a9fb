"""One session at an AUN gateway: the challenge, the login, pings, and what ends it.

Rules
-----
* The challenge comes first.  What a gateway says before it is ignored, up to `MOST_BEFORE_CHALLENGE` frames.
* The login is sent once, whole, on every connection; its answer is found by its id, whatever comes in between.
* Challenge and answer have one deadline.
* Once up, all that the gateway pushes is read and ignored, but for the announcement that it ends the session.
* A ping is answered before the next but one is due, or the connection counts as gone.
* Between two frames everybody else has a turn (I11).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from freshd.channels import aun_codes as codes
from freshd.channels.aun_frames import (
    CONNECT,
    DISCONNECT,
    PING,
    Answer,
    Challenge,
    Event,
    Frame,
    interval_of,
    member,
    namespaces_of,
    read,
    request,
    shown,
)
from freshd.channels.aun_socket import Closed, Socket
from freshd.channels.dialer import Ended, Facts, Why
from freshd.core.model import Secret

MOST_BEFORE_CHALLENGE: Final = 8
MOST_MISSED: Final = 2
"""Pings without an answer after which a connection counts as gone."""
VERSION: Final = {"min": "1.0", "max": "1.0"}
"""Of the protocol: the only one there is."""
METHOD: Final = "kite_token"
"""How a token is presented, access token or session token."""


@dataclass(frozen=True, slots=True)
class Beat:
    """How often to ping.  Seconds: unless the gateway says otherwise, at least, and at most."""

    usual: float = 30.0
    least: float = 10.0
    most: float = 600.0


@dataclass(frozen=True, slots=True)
class Login:
    """What is presented.

    declared  what the login says of us besides: device, client, delivery_mode, capabilities …
    aid       whose lease it is, None where the lease does not say
    host      the gateway's, to be shown
    """

    token: Secret
    declared: Mapping[str, Any] = field(repr=False)
    aid: str | None = None
    host: str = ""


class Session:
    """One session on one connection.  `deadline`: seconds for challenge and login."""

    def __init__(self, socket: Socket, login: Login, beat: Beat, deadline: float) -> None:
        self._socket = socket
        self._login = login
        self._beat = beat
        self._deadline = deadline
        self._sent = 0
        self.was_up = False

    async def hold(self, up: Callable[[Facts], None]) -> Ended:
        """Log in, call `up`, stay until the session ends."""
        step = _Step()
        try:
            async with asyncio.timeout(self._deadline):
                opened = await self._log_in(step)
        except TimeoutError:
            return codes.out_of_order(*step.overdue)
        if isinstance(opened, Ended):
            return opened
        self.was_up = True
        return await self._stay(opened, up)

    # -- logging in --------------------------------------------------------------------------------------------------

    async def _log_in(self, step: _Step) -> dict[str, Any] | Ended:
        challenge = await self._challenge()
        if isinstance(challenge, Ended):
            return challenge
        if challenge.nonce is None:
            return codes.out_of_order(codes.BAD_FRAME, "the gateway's challenge holds no nonce that can be used")
        step.overdue = codes.NO_ANSWER, "the gateway did not answer the login in time"
        token = self._login.token.reveal()
        number = await self._ask(
            CONNECT,
            {
                "nonce": challenge.nonce,
                "auth": {"method": METHOD, "token": token},
                "protocol": VERSION,
                **self._login.declared,
            },
        )
        while True:
            frame = await self._next()
            if isinstance(frame, Ended):
                return frame
            if isinstance(frame, Answer) and is_for(frame, number):
                return self._opened(frame, shown(challenge.server, token))

    async def _challenge(self) -> Challenge | Ended:
        for _ in range(MOST_BEFORE_CHALLENGE + 1):
            frame = await self._next(is_known=False)
            if isinstance(frame, Challenge | Ended):
                return frame
        return codes.out_of_order(codes.TALKS_FIRST, "the gateway talks instead of sending a challenge")

    def _opened(self, answer: Answer, server: str | None) -> dict[str, Any] | Ended:
        """The facts of a session that is open, or why it is not."""
        if answer.error is not None:
            return codes.answered(answer.error)
        result = answer.result
        if not isinstance(result, dict):
            return codes.out_of_order(codes.BAD_ANSWER, "the gateway's answer to the login is none")
        if result.get("success") is False:
            return codes.failed()
        if result.get("status") != "ok":
            return codes.out_of_order(codes.BAD_ANSWER, "the gateway answered the login with neither yes nor no")
        aid = member(result, "identity", "aid")
        if isinstance(aid, str) and self._login.aid is not None and aid.lower() != self._login.aid.lower():
            return Ended(Why.WRONG, "other-aid", "the gateway took the login for another AID's")
        return self._facts(result, server)

    def _facts(self, result: Mapping[str, Any], server: str | None) -> dict[str, Any]:
        token, declared = self._login.token.reveal(), self._login.declared
        told = {
            "protocol": shown(result.get("protocol"), token),
            "connection": shown(member(result, "connection", "id"), token),
            "server": server or shown(member(result, "bridgeInfo", "name"), token),
        }
        return {
            **told,
            "namespaces": namespaces_of(result, token),
            "heartbeat": self._interval(result.get("heartbeat_interval"), self._beat.usual),
            "device": member(declared, "device", "id"),
            "slot": member(declared, "client", "slot_id"),
            "gateway": self._login.host,
            "aid": self._login.aid,
        }

    # -- staying -----------------------------------------------------------------------------------------------------

    async def _stay(self, facts: dict[str, Any], up: Callable[[Facts], None]) -> Ended:
        up(dict(facts))
        clock, interval = asyncio.get_running_loop().time, float(facts["heartbeat"])
        missed: list[str] = []
        due = clock() + interval
        while True:
            if interval and clock() >= due:
                if len(missed) >= MOST_MISSED:
                    return Ended(Why.LOST, codes.SILENT, "the gateway no longer answers", wait=codes.SOON_SECONDS)
                due = clock() + interval
                missed.append(await self._ask(PING, {}, within=interval))
            frame = await self._next(until=due if interval else None)
            if isinstance(frame, Ended):
                return frame
            if not isinstance(frame, Answer) or frame.id not in missed:
                continue
            missed.clear()
            ended = self._judge_pong(frame)
            if ended is not None:
                return ended
            wanted = self._wanted(frame, interval)
            if wanted != interval:
                interval, due = wanted, clock() + wanted
                facts["heartbeat"] = wanted
                up(dict(facts))

    def _judge_pong(self, answer: Answer) -> Ended | None:
        """What ends the session in the answer to a ping; any other error is an answer too: the gateway is there."""
        if answer.error is None:
            return None
        ended = codes.answered(answer.error)
        ends = ended.why in {Why.REFUSED, Why.KICKED} or ended.code in codes.SESSION_GONE
        return ended if ends else None

    def _wanted(self, answer: Answer, interval: float) -> float:
        result = answer.result if isinstance(answer.result, dict) else {}
        return self._interval(result.get("heartbeat_interval"), interval)

    def _interval(self, value: object, usual: float) -> float:
        return interval_of(value, usual, self._beat.least, self._beat.most)

    # -- frames ------------------------------------------------------------------------------------------------------

    async def _ask(self, method: str, params: Mapping[str, Any], within: float | None = None) -> str:
        """Send a request, within so many seconds if at all; its id."""
        self._sent += 1
        number = f"freshd-{self._sent}"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._socket.send(request(number, method, params))
        return number

    async def _next(self, *, until: float | None = None, is_known: bool = True) -> Frame | Ended | None:
        """The next frame, None where it is nothing to us or where `until` has come.

        is_known  whether the gateway knows who we are: else an announcement cannot be about us
        """
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout_at(until):
                text = await self._socket.receive()
        except TimeoutError:
            return None
        if isinstance(text, Closed):
            return codes.out_of_order(codes.BAD_FRAME, text.fault) if text.fault else codes.closed(text.code)
        frame = None if text is None else read(text)
        if is_known and isinstance(frame, Event) and frame.name == DISCONNECT:
            return codes.announced(frame.params.get("code"))
        return frame


def is_for(answer: Answer, number: str) -> bool:
    """Whether an answer is for the one request that is open; an error may have no id (JSON-RPC 2.0 section 5)."""
    return answer.id == number or (answer.id is None and answer.error is not None)


class _Step:
    """How far a login got: what it is told as if it gets no further."""

    def __init__(self) -> None:
        self.overdue = codes.NO_CHALLENGE, "the gateway sent no challenge in time"

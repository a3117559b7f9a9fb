"""One request's turn on a WebSocket: draw its faults, let the service work, send the answer, book how far it got.

Rules: as in ``turn``. The method's name is the endpoint that fault rules know, and the grant type; the client id is the
AID. An ending that would say something else in HTTP says it in a text message; a rate limit speaks JSON-RPC.
"""

import asyncio
import json
import time
from collections.abc import Mapping

from freshd.sandbox.aun.answer import Asked, Farewell, Fields, Told, error_of
from freshd.sandbox.aun.connect import Peer
from freshd.sandbox.aun.frame import speak
from freshd.sandbox.aun.rpc import Aun
from freshd.sandbox.endings import Ending, Hang, RateLimited
from freshd.sandbox.fault_queue import Plan, Scope
from freshd.sandbox.tokens import Delivery
from freshd.sandbox.turn import Stage, stamp

STRAY: Fields = {"jsonrpc": "2.0", "method": "event/gateway.notice", "params": {"text": "on demand"}}
"""A message that belongs to nobody."""


class Turn:
    """What every request of one connection needs."""

    def __init__(self, aun: Aun, stage: Stage, peer: Peer, transport: asyncio.Transport | None) -> None:
        """Answer requests of ``peer`` over ``transport``."""
        self._aun = aun
        self._stage = stage
        self._peer = peer
        self._transport = transport

    async def perform(self, request_id: object, asked: Asked) -> Farewell | None:
        """Carry one request through; return how the connection is to end, if it is."""
        received_ns = time.monotonic_ns()
        whose = self._aun.whose(asked, self._peer)
        note = self._aun.arrive(asked, whose, self._stage.now(), received_ns=received_ns)
        scope = Scope(endpoint=asked.method, client_id=whose.aid, label=whose.label, grant_type=asked.method)
        plan = self._stage.faults.plan(scope)
        await self._stage.wait(plan.wait_before)
        if plan.ending is not None and plan.forestalls:
            note.outcome = plan.ending.name
            await self._end(request_id, plan, plan.ending)
            return None
        told = self._aun.judge(asked, whose, self._peer, self._stage.now())
        note.outcome = told.outcome
        if told.commit is not None:
            stamp((told.commit,), note)
            note.commit, note.outcome = told.commit.serial, "granted"
        delivery = await self._answer(request_id, asked, told, plan)
        self._aun.settle(asked, told, note, self._peer, delivery)
        return told.farewell

    async def _answer(self, request_id: object, asked: Asked, told: Told, plan: Plan) -> Delivery:
        text = self._spoiled(request_id, asked, told, plan)
        await self._stage.wait(plan.wait_after)
        if plan.ending is not None:
            delivery, said = await self._end(request_id, plan, plan.ending, text)
        elif told.is_answered:
            if self._aun.state.constants.of().AUN_SIM_STRAY_FRAMES:
                await speak(self._transport, json.dumps(STRAY).encode())
            delivery, said = await speak(self._transport, text), text
        else:
            delivery, said = Delivery(reason="not_answered"), b""
        plan.judge(delivery, carried=told.successor is None or json.dumps(told.successor)[1:-1].encode() in said)
        return delivery

    def _spoiled(self, request_id: object, asked: Asked, told: Told, plan: Plan) -> bytes:
        """Return the answer with all edits made."""
        if told.result is not None and told.result.get("success") is not False:
            for edit in plan.edits:
                edit.edit(told.result)
            if plan.subject is not None and "aid" in told.result:
                told.result["aid"] = plan.subject
            if isinstance(told.result.get("server_time"), float):
                told.result["server_time"] = self._aun.state.offset_s + self._stage.now() + plan.date_offset
        envelope = told.envelope(request_id)
        if self._aun.state.constants.of().AUN_SIM_UNKNOWN_FIELDS:
            envelope |= {"_meta": {"agent_md_etag": ""}, "_trace": {"trace_id": "sandbox"}, "novelty": [None]}
            if told.result is not None:
                envelope["result"] = {**told.result, "novelty": {"of": asked.method}}
        return json.dumps(envelope).encode()

    async def _end(
        self, request_id: object, plan: Plan, ending: Ending, text: bytes | None = None
    ) -> tuple[Delivery, bytes]:
        """End a request as a fault wants it; ``text`` is the true answer, if there is one."""
        if isinstance(ending, Hang):
            await self._stage.wait(ending.seconds)
        reply = ending.reply(self._stage.now() + plan.date_offset)
        said = text or b""
        if isinstance(ending, RateLimited):
            error = error_of(-32029, "rate limited", {"retry_after": ending.retry_after})
            said = json.dumps(Told(error=error).envelope(request_id)).encode()
        elif reply is not None:
            said = reply.body
        size = reply.size if reply is not None else 0
        delivery = await speak(self._transport, said, manner=plan.manner, cut_at=plan.cut_at, size=size)
        return delivery, said


def read(text: str) -> tuple[object, Asked] | Fields:
    """Return the id and the request that a message is, or the error it gets."""
    try:
        message = json.loads(text)
    except ValueError:
        return Told(error=error_of(-32700, "no JSON")).envelope(None)
    if not isinstance(message, Mapping):
        return Told(error=error_of(-32600, "no request")).envelope(None)
    request_id, method, params = message.get("id"), message.get("method"), message.get("params", {})
    if not isinstance(method, str) or not isinstance(params, dict) or not isinstance(request_id, str | int):
        return Told(error=error_of(-32600, "no request")).envelope(request_id)
    return request_id, Asked(method=method, params=params)

"""A stand-in's answer in the same process, on any clock: a turn without sockets and without waiting.

Rules: the fault rules are those of the sandbox. What only a wire can do becomes what its client would see: silence and
resets are ``None``, a cut body is cut. Pauses are not made: whoever drives the clock reads ``Said.waits_s``. A silent
answer is booked as lost, every other as delivered as far as it goes.
"""

import dataclasses
import json
from typing import Any

from freshd.sandbox.counters import Call
from freshd.sandbox.fault_queue import Plan
from freshd.sandbox.tokens import Delivery
from freshd.sandbox.turn import Turn, Work
from freshd.sandbox.wire import Manner


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer as its client gets it. ``whole`` False: fewer bytes came than were announced. ``waits_s``: how long
    rules in force would have held it back.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True
    waits_s: float = 0.0

    @property
    def json(self) -> dict[str, Any]:
        """The body, read as the JSON object it should be."""
        answer: dict[str, Any] = json.loads(self.body)
        return answer


def carried(plan: Plan, work: Work, now: float, note: Call | None = None) -> Said | None:
    """Carry one request through at ``now`` (wall seconds) and book it; None: the connection closed without a byte.

    ``note`` is its line in the books, if it has one.
    """
    turn = Turn(plan, work, now, note)
    is_whole = plan.manner is Manner.WHOLE
    turn.settle(Delivery(complete=is_whole))
    if plan.manner in (Manner.SILENT, Manner.RESET):
        return None
    reply = turn.reply
    body = reply.body[: plan.cut_at] if plan.manner is Manner.CUT else reply.body
    waits_s = plan.wait_before + plan.wait_after
    return Said(status=reply.status, headers=reply.headers, body=body, whole=is_whole, waits_s=waits_s)

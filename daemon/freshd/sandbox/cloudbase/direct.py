"""CloudBase in the same process, on any clock: a request in, bytes out, no sockets and no waiting.

Rules: the fault rules are those of the sandbox. What only a wire can do becomes what its client would see: silence and
resets are ``None``, a cut body is cut. Pauses are not made: whoever drives the clock reads ``Said.waits_s``. A silent
answer is booked as lost, every other as delivered as far as it goes.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from freshd.sandbox.cloudbase.environment import Environment, Whose
from freshd.sandbox.cloudbase.request import Answer, Request, arrived
from freshd.sandbox.counters import Call
from freshd.sandbox.fault_queue import FaultQueue, Plan, Scope
from freshd.sandbox.tokens import Delivery
from freshd.sandbox.wire import Manner, json_reply


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


def scope_of(whose: Whose) -> Scope:
    """Return a request as fault rules name it."""
    return Scope(endpoint=whose.endpoint, client_id=whose.client_id, label=whose.label, grant_type=whose.grant_type)


class Direct:
    """A service one can call. ``faults`` None: nothing ever goes wrong."""

    def __init__(self, environment: Environment, faults: FaultQueue | None = None) -> None:
        """Call ``environment``."""
        self.environment = environment
        self._faults = faults

    def handle(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes | Mapping[str, object],
        now: float,
    ) -> Said | None:
        """Answer one request at ``now`` (wall seconds); None: the connection closed without a byte.

        Raises KeyError for a path that is not served.
        """
        request = arrived(method, path, query, headers, body)
        whose = self.environment.whose(request)
        note = self.environment.arrive(whose, now)
        plan = self._faults.plan(scope_of(whose)) if self._faults is not None else Plan()
        return self._carried(request, whose, now, plan, note)

    def _carried(self, request: Request, whose: Whose, now: float, plan: Plan, note: Call | None) -> Said | None:
        ending = plan.ending
        answer = Answer()
        if ending is None or ending.after_commit or ending.is_own_word:
            answer = self.environment.answer(request, whose, now, note=note, subject=plan.subject)
        elif note is not None:
            note.outcome = ending.name
        if note is not None and answer.commit is not None:
            note.outcome, note.commit = "granted", answer.commit.serial
        reply = ending.reply(now) if ending is not None else None
        if reply is None:
            for edit in plan.edits if answer.status == 200 else ():
                edit.edit(answer.body)
            reply = json_reply(answer.body, answer.status)
            reply.headers.update(answer.headers)
        manner = ending.manner if ending is not None else Manner.WHOLE
        whole = manner is Manner.WHOLE
        told = reply.body[: getattr(ending, "bytes", 0)] if manner is Manner.CUT else reply.body
        if answer.commit is not None:
            carried = whole and (answer.successor is None or answer.successor.encode() in reply.body)
            spoilers = ",".join(edit.name for edit in plan.edits) or "not_carried"
            reason = None if carried else ending.name if ending is not None else spoilers
            answer.commit.delivery = Delivery(complete=whole, carried=carried, reason=reason)
        if manner in (Manner.SILENT, Manner.RESET):
            return None
        waits_s = plan.wait_before + plan.wait_after
        return Said(status=reply.status, headers=reply.headers, body=told, whole=whole, waits_s=waits_s)

"""Feishu in the same process, on any clock: a request in, bytes out, no sockets and no waiting.

Rules: the fault rules are those of the sandbox. What only a wire can do becomes what its client would see: silence and
resets are ``None``, a cut body is cut. Pauses are not made: whoever drives the clock reads ``Said.waits_s``. A silent
answer is booked as lost, every other as delivered as far as it goes.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from freshd.sandbox.counters import Call
from freshd.sandbox.fault_queue import FaultQueue, Plan, Scope
from freshd.sandbox.feishu.consent import AUTHORIZE_PATH
from freshd.sandbox.feishu.faults import FeishuCode
from freshd.sandbox.feishu.request import Answer, Request, arrived
from freshd.sandbox.feishu.service import Feishu, Whose
from freshd.sandbox.tokens import Commit, Delivery
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
    return Scope(
        endpoint=whose.endpoint, client_id=whose.app_id or None, label=whose.label, grant_type=whose.grant_type
    )


def work(feishu: Feishu, request: Request, whose: Whose, now: float, plan: Plan, note: Call | None = None) -> Answer:
    """Let the service answer, with those faults that it must say itself."""
    strike = plan.ending.strike() if isinstance(plan.ending, FeishuCode) else None
    answer = feishu.answer(request, whose, now, note=note, strike=strike)
    if plan.subject is not None:
        feishu.misname(answer, plan.subject)
    return answer


class Direct:
    """A service one can call. ``faults`` None: nothing ever goes wrong."""

    def __init__(self, feishu: Feishu, faults: FaultQueue | None = None) -> None:
        """Call ``feishu``."""
        self.feishu = feishu
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

        The authorization page approves at once if the query says ``auto=1`` and is refused with ``auto=deny``.
        Raises KeyError for a path that is not served.
        """
        if (method, path) == ("GET", AUTHORIZE_PATH):
            place = self.feishu.page.decide(query, now, allowed=query["auto"] == "1")
            return Said(status=302, headers={"Location": place}, body=b"")
        request = arrived(method, path, query, headers, body)
        whose = self.feishu.whose(request)
        note = self.feishu.arrive(whose, now)
        plan = self._faults.plan(scope_of(whose)) if self._faults is not None else Plan()
        return self._carried(request, whose, now, plan, note)

    def _carried(self, request: Request, whose: Whose, now: float, plan: Plan, note: Call | None) -> Said | None:
        ending = plan.ending
        answer = Answer()
        if ending is None or ending.after_commit or ending.is_own_word:
            answer = work(self.feishu, request, whose, now, plan, note)
        elif note is not None:
            note.outcome = ending.name
        reply = ending.reply(now) if ending is not None else None
        if reply is None:
            for edit in plan.edits if answer.status == 200 else ():
                edit.edit(answer.body)
            reply = json_reply(answer.body, answer.status)
            reply.headers.update(answer.headers)
            reply.body = b"" if answer.is_empty else reply.body
        manner = ending.manner if ending is not None else Manner.WHOLE
        whole = manner is Manner.WHOLE
        told = reply.body[: getattr(ending, "bytes", 0)] if manner is Manner.CUT else reply.body
        carried = whole and (answer.successor is None or answer.successor.encode() in reply.body)
        spoilers = ",".join(edit.name for edit in plan.edits) or "not_carried"
        reason = None if carried else ending.name if ending is not None else spoilers
        _settle(answer, Delivery(complete=whole, carried=carried, reason=reason))
        if manner in (Manner.SILENT, Manner.RESET):
            return None
        waits_s = plan.wait_before + plan.wait_after
        return Said(status=reply.status, headers=reply.headers, body=told, whole=whole, waits_s=waits_s)


def _settle(answer: Answer, delivery: Delivery) -> None:
    commits: tuple[Commit | None, ...] = (answer.commit, *answer.also)
    for commit in commits:
        if commit is not None:
            commit.delivery = delivery

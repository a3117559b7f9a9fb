"""Feishu in the same process, on any clock: a request in, bytes out, as ``sandbox/direct`` has it."""

from collections.abc import Mapping

from freshd.sandbox.counters import Call
from freshd.sandbox.direct import Said, carried
from freshd.sandbox.fault_queue import FaultQueue, Plan, Scope
from freshd.sandbox.feishu.consent import AUTHORIZE_PATH
from freshd.sandbox.feishu.faults import FeishuCode
from freshd.sandbox.feishu.request import Request, arrived
from freshd.sandbox.feishu.service import Feishu, Whose
from freshd.sandbox.turn import Worked


def scope_of(whose: Whose) -> Scope:
    """Return a request as fault rules name it."""
    return Scope(
        endpoint=whose.endpoint, client_id=whose.app_id or None, label=whose.label, grant_type=whose.grant_type
    )


def work(feishu: Feishu, request: Request, whose: Whose, now: float, plan: Plan, note: Call | None = None) -> Worked:
    """Let the service answer, with those faults that it must say itself."""
    strike = plan.ending.strike() if isinstance(plan.ending, FeishuCode) else None
    answer = feishu.answer(request, whose, now, note=note, strike=strike)
    if plan.subject is not None:
        feishu.misname(answer, plan.subject)
    return Worked(
        answer=answer.body,
        status=answer.status,
        headers=answer.headers,
        commit=answer.commit,
        also=answer.also,
        successor=answer.successor,
        is_empty=answer.is_empty,
    )


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
        return carried(plan, lambda drawn: work(self.feishu, request, whose, now, drawn, note), now, note)

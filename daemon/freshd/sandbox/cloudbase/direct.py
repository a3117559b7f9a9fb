"""CloudBase in the same process, on any clock: a request in, bytes out, as ``sandbox/direct`` has it."""

from collections.abc import Mapping

from freshd.sandbox.cloudbase.environment import Environment, Whose
from freshd.sandbox.cloudbase.request import Request, arrived
from freshd.sandbox.counters import Call
from freshd.sandbox.direct import Said, carried
from freshd.sandbox.fault_queue import FaultQueue, Plan, Scope
from freshd.sandbox.turn import Worked


def scope_of(whose: Whose) -> Scope:
    """Return a request as fault rules name it."""
    return Scope(endpoint=whose.endpoint, client_id=whose.client_id, label=whose.label, grant_type=whose.grant_type)


def work(
    environment: Environment, request: Request, whose: Whose, now: float, plan: Plan, note: Call | None = None
) -> Worked:
    """Let the service answer, with those faults that it must say itself."""
    answer = environment.answer(request, whose, now, note=note, subject=plan.subject)
    return Worked(
        answer=answer.body,
        status=answer.status,
        headers=answer.headers,
        commit=answer.commit,
        successor=answer.successor,
    )


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
        return carried(plan, lambda drawn: work(self.environment, request, whose, now, drawn, note), now, note)

"""One daemon, and an account for every way in which a service can answer badly, each struck once, all at the same time.

`weather` sets it up, lets every fault strike, waits until each account has come to its end, and takes down what daemon
and service then say.  Nothing is judged here.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from tests.crash.scene import Process, Told
from tests.crash.services import Sandbox
from tests.flow.bed import Bed, Line, account, enrol, lease_of, memory_kib, until
from tests.flow.shift import Shift

ACCESS_SECONDS: Final = 6
"""In doubt an account holds its lease to its end, so this bounds how long the storm lasts."""
BYSTANDER: Final = "bystander"
MARGINS: Final = "margins = { fraction = 0.2 }"


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, and the event after which its account has come to its end."""

    name: str
    fault: Mapping[str, Any]
    ends_with: str


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What became of one account.

    answer      of the operator's `refresh` that met the fault: empty where it went well, else what was said
    held        the lease served before
    view        how the daemon sees the account at the end of it
    served      the lease served then, None where there is none any more
    presented   how often each secret was presented, as the service counted
    """

    answer: str
    held: str
    view: Mapping[str, Any]
    served: str | None
    events: Sequence[Line]
    counters: Mapping[str, Any]
    calls: Sequence[Mapping[str, Any]]

    @property
    def names(self) -> list[str]:
        """The names of the events since the fault was put in force, in order."""
        return [event["event"] for event in self.events]

    @property
    def presented(self) -> Counter[str]:
        return Counter(str(call["presented"]) for call in self.calls)

    def event(self, name: str) -> Line:
        """The first event of that name."""
        return next(event for event in self.events if event["event"] == name)


@dataclass(frozen=True, slots=True)
class Weather:
    """All of it.  `began`: the wall clock then; `bystander_misses`: what a reader of another account met but tokens."""

    bed: Bed
    daemon: Process
    service: Sandbox
    after: Mapping[str, Aftermath]
    grown_kib: int
    began: float
    bystander_renewals: int
    bystander_misses: Sequence[str]


def weather(service: Sandbox, other: Sandbox, cases: Sequence[Case], bed: Bed) -> Weather:
    """Let it rain."""
    service.ask("PATCH", "/policy", {"access_s": ACCESS_SECONDS})
    other.ask("PATCH", "/policy", {"access_s": 3})
    lines = [line for case in cases for line in account(case.name, service, MARGINS, 'scope = "openid"')]
    bed.write(*lines, *account(BYSTANDER, other))
    daemon = bed.up()
    enrol(daemon, other, BYSTANDER)
    with ThreadPoolExecutor(len(cases)) as hands:
        before, began, renewed = memory_kib(daemon.pid), time.time(), len(other.page(BYSTANDER).commits)
        with Reader(daemon) as reader:
            struck = list(hands.map(lambda case: _strike(bed, daemon, service, case), cases))
            after = {
                case.name: _look(bed, daemon, service, case, *told) for case, told in zip(cases, struck, strict=True)
            }
            until("two renewals beside it", lambda: len(other.page(BYSTANDER).commits) >= renewed + 2)
    renewals = len(other.page(BYSTANDER).commits) - renewed
    grown = memory_kib(daemon.pid) - before
    return Weather(bed, daemon, service, after, grown, began, renewals, tuple(reader.misses))


def _strike(bed: Bed, daemon: Process, service: Sandbox, case: Case) -> tuple[str, str, int]:
    """Enrol, strike the next renewal, ask for it: what was said, the lease before it, the events before it."""
    enrol(daemon, service, case.name)
    held, past = lease_of(daemon, case.name), len(_events(bed, case))
    service.ask("POST", "/faults", {**case.fault, "label": case.name, "count": 1})
    try:
        daemon.operate("refresh", case.name)
    except Told as told:
        return str(told), held, past
    return "", held, past


def _events(bed: Bed, case: Case) -> list[Line]:
    return [one for one in bed.events(account=case.name) if not one["event"].startswith("access.")]


def _look(bed: Bed, daemon: Process, service: Sandbox, case: Case, answer: str, held: str, past: int) -> Aftermath:
    def ended() -> list[Line]:
        since = _events(bed, case)[past:]
        return since if any(one["event"] == case.ends_with for one in since) else []

    events = until(f"{case.ends_with} of {case.name}", ended)
    page = service.ask("GET", f"/ledger/{case.name}")
    try:
        served = lease_of(daemon, case.name)
    except Told:
        served = None
    return Aftermath(answer, held, daemon.view(case.name), served, events, page["counters"], page["calls"])


class Reader(Shift):
    """Somebody who reads the bystander's token all the while."""

    def __init__(self, daemon: Process) -> None:
        super().__init__()
        self.misses: list[str] = []
        self._daemon = daemon

    def _work(self) -> None:
        while not self._ends.wait(0.05):
            try:
                lease_of(self._daemon, BYSTANDER)
            except Exception as error:  # noqa: BLE001 - told by the test
                self.misses.append(repr(error))

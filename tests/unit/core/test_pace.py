"""No service is called faster than its pace (I6), whatever happens between two calls."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from freshd.core import pace
from freshd.core.model import Moment
from freshd.core.pace import Pace, Row

DAY = 86_400.0
PACES = st.builds(
    Pace,
    interval=st.floats(0.0, 120.0),
    backoff_cap=st.floats(1.0, 3600.0),
    daily=st.one_of(st.none(), st.integers(1, 5)),
)
ACTS = st.sampled_from(["succeed", "fail", "told", "crash", "reboot", "step", "ask", "ask", "patient", "patient"])


@dataclass
class Ledger:
    """One row with its journal, and the true time that no clock of the machine knows."""

    limit: Pace
    row: Row = field(default_factory=Row)
    durable: Row = field(default_factory=Row)
    true: float = 0.0
    now: Moment = field(default_factory=lambda: Moment(1e9, 500.0, "boot-0"))
    boots: int = 0
    calls: list[tuple[float, float]] = field(default_factory=list)
    """When, and how long before it the last one had to be."""
    silent_until: float = 0.0
    known_failures: int = 0

    def pass_time(self, seconds: float) -> None:
        self.true += seconds
        self.now = dataclasses.replace(self.now, boot=self.now.boot + seconds, wall=self.now.wall + seconds)

    def ask(self) -> None:
        """Call if the pace lets us; the charge is durable before the call."""
        if pace.wait(self.row, self.limit, self.now) > 0:
            return
        self.calls.append((self.true, pace.spacing(Row(failures=self.known_failures), self.limit)))
        self.row = self.durable = pace.charge(self.row, self.now)
        assert self.true >= self.silent_until - 1e-6, "Retry-After is obeyed in full"

    def crash(self) -> None:
        """What was not durable is lost; the charge never is."""
        self.row, self.known_failures = self.durable, self.durable.failures
        self.silent_until = 0.0 if self.durable.told is None else self.silent_until

    def act(self, name: str, dice: float) -> None:
        match name:
            case "succeed" if self.calls:
                self.row = self.durable = pace.succeeded(self.row)
                self.known_failures, self.silent_until = 0, 0.0
            case "fail":
                self.row = pace.failed(self.row, self.now)
                self.durable = self.row if dice < 0.5 else self.durable
                self.known_failures += 1
            case "told":
                seconds = dice * 2 * DAY
                self.row = self.durable = pace.failed(self.row, self.now, seconds)
                self.known_failures += 1
                self.silent_until = self.true + min(seconds, pace.RETRY_AFTER_CAP)
            case "crash":
                self.crash()
            case "reboot":
                self.crash()
                self.boots += 1
                self.true += dice * 1000.0
                self.now = Moment((dice - 0.5) * 4e9, dice * 30.0, f"boot-{self.boots}")
            case "step":
                self.now = dataclasses.replace(self.now, wall=self.now.wall + (dice - 0.5) * 1e9)
            case "patient":
                self.pass_time(pace.wait(self.row, self.limit, self.now))
                self.ask()
            case _:
                self.pass_time(dice * 200.0)
                self.ask()


@given(PACES, st.lists(st.tuples(ACTS, st.floats(0, 1)), max_size=80))
def test_I6_the_pace_holds_over_failures_crashes_reboots_and_wrong_clocks(
    limit: Pace, acts: list[tuple[str, float]]
) -> None:
    ledger = Ledger(limit)
    for name, dice in acts:
        ledger.act(name, dice)
    for (before, _), (after, apart) in zip(ledger.calls, ledger.calls[1:], strict=False):
        assert after - before >= min(apart, limit.interval) - 1e-6
        assert after - before >= apart - 1e-6, "back-off that is known is kept"


@given(PACES, st.lists(st.tuples(ACTS, st.floats(0, 1)), max_size=80))
def test_I6_a_daily_budget_is_never_spent_twice_within_a_day(limit: Pace, acts: list[tuple[str, float]]) -> None:
    """A day runs from its first charge, so two budgets may touch, and no more than two."""
    ledger = Ledger(limit)
    for name, dice in acts:
        ledger.act(name, dice)
    if limit.daily is not None:
        times = [at for at, _ in ledger.calls]
        for at in times:
            assert sum(at <= other < at + DAY for other in times) <= 2 * limit.daily


@given(PACES, st.integers(0, 200))
def test_back_off_never_falls_below_the_interval_and_stays_finite(limit: Pace, failures: int) -> None:
    apart = pace.spacing(Row(failures=failures), limit)
    assert limit.interval <= apart <= max(limit.interval, limit.backoff_cap)


def test_back_off_doubles_up_to_its_cap() -> None:
    limit = Pace(interval=1.0, backoff_cap=10.0)
    assert [pace.spacing(Row(failures=n), limit) for n in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_header_silences_for_more_than_a_day_or_for_less_than_nothing(retry_after: float) -> None:
    now = Moment(0.0, 100.0, "boot-0")
    row = pace.failed(Row(last=now), now, retry_after)
    assert 0.0 <= row.silence <= pace.RETRY_AFTER_CAP


def test_after_another_boot_a_wait_starts_over_at_its_length() -> None:
    row = pace.charge(Row(), Moment(5e9, 1e6, "boot-0"))
    assert pace.wait(row, Pace(interval=60.0), Moment(0.0, 20.0, "boot-1")) == 40.0


def test_a_wall_clock_step_neither_shortens_nor_lengthens_a_wait() -> None:
    row = pace.charge(Row(), Moment(1e9, 100.0, "boot-0"))
    waits = {pace.wait(row, Pace(interval=60.0), Moment(wall, 130.0, "boot-0")) for wall in (0.0, 1e9, 9e9)}
    assert waits == {30.0}
